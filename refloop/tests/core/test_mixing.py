"""refloop's and asyncio's objects on each other's loops."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any

import pytest

import refloop

Records = list[dict[str, Any]]


def test_a_task_of_either_awaits_a_future_of_either(loop: Any, aio: Any) -> None:
    async def main(future: Any) -> Any:
        loop.call_soon(future.set_result, "value")
        return await future

    for other in (refloop, asyncio):
        assert loop.run_until_complete(aio.Task(main(other.Future(loop=loop)), loop=loop)) == "value"


def test_a_task_of_either_awaits_a_failing_task_of_either(loop: Any, aio: Any) -> None:
    async def fail() -> None:
        await aio.sleep(0)
        raise LookupError("failed")

    async def main(other: Any) -> str:
        with pytest.raises(LookupError):
            await other.Task(fail(), loop=loop)
        return "caught"

    for other in (refloop, asyncio):
        assert loop.run_until_complete(aio.Task(main(other), loop=loop)) == "caught"


def test_cancelling_a_task_of_either_reaches_what_it_awaits(loop: Any, aio: Any) -> None:
    for other in (refloop, asyncio):
        inner = other.Future(loop=loop)

        async def main(inner: Any = inner) -> None:
            await inner

        outer = aio.Task(main(), loop=loop)
        loop.call_soon(loop.call_soon, outer.cancel, "message")
        with pytest.raises(asyncio.CancelledError) as caught:
            loop.run_until_complete(outer)
        assert (inner.cancelled(), outer.cancelled(), caught.value.args) == (True, True, ("message",))


def test_both_namespaces_see_one_current_task_and_the_same_tasks(loop: Any, aio: Any) -> None:
    async def main() -> None:
        task = refloop.current_task()
        assert task is asyncio.current_task()
        assert task in refloop.all_tasks()
        assert refloop.all_tasks() == asyncio.all_tasks()

    task = aio.Task(main(), loop=loop)
    assert asyncio.all_tasks(loop) == {task}
    loop.run_until_complete(task)
    assert refloop.all_tasks(loop) == set()


def test_asyncios_task_groups_timeouts_and_queues_work_with_refloops_tasks() -> None:
    async def produce(queue: Any) -> None:
        for n in range(3):
            await queue.put(n)

    async def main() -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue(1)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            task: Any = group.create_task(produce(queue))
            assert isinstance(task, refloop.Task)
            found = [await queue.get() for _ in range(3)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]
        return found

    with asyncio.Runner(loop_factory=refloop.EventLoop) as runner:
        assert runner.run(main()) == [0, 1, 2]


def test_asyncios_gather_and_shield_take_refloops_tasks() -> None:
    async def value(n: int) -> int:
        await asyncio.sleep(0)
        return n

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        cancelled = loop.create_future()
        cancelled.cancel("message")
        return list(await asyncio.gather(value(1), asyncio.shield(value(2)), cancelled, return_exceptions=True))

    with asyncio.Runner(loop_factory=refloop.EventLoop) as runner:
        one, two, error = runner.run(main())
    assert (one, two, error.args) == (1, 2, ("message",))


def test_an_eager_task_of_refloop_takes_and_returns_the_seat_of_the_current_task(loop: Any, aio: Any) -> None:
    seen: list[Any] = []

    async def child() -> None:
        seen.append(asyncio.current_task())
        await aio.sleep(0)
        seen.append(asyncio.current_task())

    async def main() -> None:
        me = asyncio.current_task()
        task: Any = refloop.Task(child(), loop=loop, eager_start=True)
        assert asyncio.current_task() is me
        await task
        assert seen == [task, task]

    loop.run_until_complete(aio.Task(main(), loop=loop))


def test_the_context_of_a_task_is_not_entered_twice_on_a_loop_of_asyncios() -> None:
    loop = asyncio.new_event_loop()

    async def main() -> str:
        await asyncio.sleep(0)
        return await asyncio.sleep(0.001, "done")

    assert loop.run_until_complete(refloop.Task(main(), loop=loop)) == "done"
    loop.close()


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="only CPython counts references")
def test_a_failed_task_is_collected_without_the_garbage_collector() -> None:
    reports: Records = []
    loop: Any = refloop.EventLoop()
    loop.set_exception_handler(lambda _, context: reports.append(context))

    async def fail() -> None:
        raise LookupError

    gc.disable()
    try:
        task = loop.create_task(fail())
        loop.call_soon(loop.stop)
        loop.run_forever()
        del task
        assert [report["message"] for report in reports] == ["Task exception was never retrieved"]
    finally:
        gc.enable()
        loop.close()


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
def test_a_failed_task_of_asyncios_is_let_go_in_the_turn_in_which_it_fails(debug: bool) -> None:
    reported: list[str] = []

    async def fail() -> None:
        raise LookupError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context["message"]))
        asyncio.Task(fail(), loop=loop)
        await asyncio.sleep(0)
        assert len(reported) == 1

    with asyncio.Runner(loop_factory=refloop.EventLoop, debug=debug) as runner:
        gc.collect()
        gc.disable()
        try:
            runner.run(main())
        finally:
            gc.enable()
