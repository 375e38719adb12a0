"""Waiting, time limits and task groups beyond what is promised; and that they work with tasks of another make.

What the documentation promises of them stands in the suite's cases, which run on refloop's own loop and tasks.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

LONG = 60


async def fail(error: BaseException) -> None:
    raise error


async def test_a_coroutine_gathered_twice_is_run_once(aio: Any) -> None:
    coro = aio.sleep(0, 1)
    assert await aio.gather(coro, aio.sleep(0, 2), coro) == [1, 2, 1]


async def test_a_task_gathered_twice_is_asked_once_to_cancel(aio: Any, loop: Any, world: str) -> None:
    if world.startswith("asyncio"):
        pytest.skip("asyncio asks it twice")
    task = loop.create_task(aio.sleep(LONG))
    gathering = aio.gather(task, task)
    await settle()
    gathering.cancel()
    assert isinstance(await outcome(gathering), aio.CancelledError)
    assert task.cancelling() == 1


async def test_shielding_what_is_done_already_makes_nothing(aio: Any, loop: Any) -> None:
    future = loop.create_future()
    future.set_result(1)
    assert aio.shield(future) is future


@pytest.mark.since((3, 14))
async def test_an_exception_that_nobody_is_left_to_hear_is_reported(aio: Any, loop: Any, reported: list[Any]) -> None:
    gate = loop.create_future()

    async def fail_late() -> None:
        await gate
        raise ZeroDivisionError

    shielded = aio.shield(fail_late())
    await settle()
    shielded.cancel()
    gate.set_result(None)
    await settle()
    gc.collect()
    await settle()
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


@pytest.mark.since((3, 13))
async def test_nothing_given_is_nothing_to_wait_for(aio: Any) -> None:
    assert list(aio.as_completed([])) == []
    with pytest.raises(TypeError):
        aio.as_completed(aio.get_running_loop().create_future())


async def test_waiting_works_with_any_tasks(aio: Any, loop: Any) -> None:
    slow = loop.create_task(aio.sleep(LONG))
    assert await aio.gather(aio.sleep(0, 1), loop.create_task(aio.sleep(0, 2)), aio.shield(aio.sleep(0, 3))) == [
        1,
        2,
        3,
    ]
    assert await aio.wait([slow], timeout=0.001) == (set(), {slow})
    assert sorted([await one for one in aio.as_completed([aio.sleep(0, n) for n in range(3)])]) == [0, 1, 2]
    for timeout in (0.001, 0):
        assert isinstance(await outcome(aio.wait_for(aio.shield(slow), timeout)), TimeoutError)
    assert isinstance(await outcome(aio.wait_for(slow, 0.001)), TimeoutError)
    assert (slow.cancelled(), aio.current_task().cancelling()) == (True, 0)


@pytest.mark.since((3, 13))
async def test_nested_blocks_tell_cancellations_apart_with_any_tasks(aio: Any, loop: Any) -> None:
    seen: list[object] = []

    async def run() -> None:
        async with aio.timeout(None) as limit:
            async with aio.TaskGroup() as outer:
                try:
                    async with aio.TaskGroup() as inner:
                        inner.create_task(fail(KeyError()))
                        await loop.create_future()
                except* KeyError:
                    seen.append(aio.current_task().cancelling())
                # Not before: it must not run out while the inner group ends.
                limit.reschedule(loop.time())
                outer.create_task(aio.sleep(LONG))

    assert isinstance(await outcome(run()), TimeoutError)
    assert (seen, aio.current_task().cancelling()) == ([0], 0)


async def test_outside_a_task_a_time_limit_raises_runtimeerror(aio: Any, loop: Any) -> None:
    raised: list[object] = []

    def call() -> None:
        entering = aio.timeout(1).__aenter__()
        try:
            entering.send(None)
        except RuntimeError as error:
            raised.append(error)

    loop.call_soon(call)
    await settle()
    assert raised


@pytest.mark.asyncio_differs("it promises no such thing, and not every version keeps it")
async def test_a_failure_of_the_body_is_freed_without_the_garbage_collector(aio: Any) -> None:
    class Error(Exception):
        pass

    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(aio.sleep(LONG))
            raise Error

    gc.disable()
    try:
        try:
            await run()
        except ExceptionGroup as group:
            error = weakref.ref(group.exceptions[0])
        await settle(2)
        assert error() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("how", ["cancel", "fail"])
async def test_groups_work_in_the_clean_up_of_a_cancelled_task(aio: Any, loop: Any, world: str, how: str) -> None:
    if world.startswith("asyncio"):
        pytest.skip("asyncio takes the request that is being cleaned up after for another one")
    steps: list[str] = []

    async def work() -> None:
        try:
            await loop.create_future()
        finally:
            try:
                async with aio.TaskGroup() as group:
                    group.create_task(aio.sleep(LONG))
                    if how == "cancel":
                        group.cancel()
                    else:
                        group.create_task(fail(ZeroDivisionError()))
                    await loop.create_future()
            except* ZeroDivisionError:
                pass
            await aio.sleep(0)
            steps.append("cleaned up")

    task = loop.create_task(work())
    await settle()
    task.cancel()
    assert isinstance(await outcome(task), aio.CancelledError)
    assert (steps, task.cancelling()) == (["cleaned up"], 1)


async def test_a_group_cancelled_at_the_end_of_its_body_in_a_clean_up_leaves_no_cancellation(
    aio: Any, loop: Any, world: str
) -> None:
    if world.startswith("asyncio"):
        pytest.skip("asyncio leaves it for the next await")
    steps: list[str] = []

    async def work() -> None:
        try:
            await loop.create_future()
        finally:
            async with aio.TaskGroup() as group:
                group.cancel()
            await aio.sleep(0)
            steps.append("cleaned up")

    task = loop.create_task(work())
    await settle()
    task.cancel()
    await settle()
    assert (task.cancelled(), steps) == (True, ["cleaned up"])


async def test_a_group_entered_with_a_cancellation_to_come_does_not_lose_it(aio: Any, loop: Any, world: str) -> None:
    if world.startswith("asyncio"):
        pytest.skip("not every version keeps it")
    steps: list[str] = []

    async def work() -> None:
        aio.current_task().cancel()
        try:
            async with aio.TaskGroup() as group:
                group.create_task(fail_when_cancelled())
                await loop.create_future()
        except* ZeroDivisionError:
            steps.append("failed")
        await aio.sleep(0)
        steps.append("not cancelled")

    async def fail_when_cancelled() -> None:
        try:
            await loop.create_future()
        finally:
            raise ZeroDivisionError

    task = loop.create_task(work())
    await settle()
    assert (task.cancelled(), [step for step in steps if step != "failed"]) == (True, [])
