"""Futures of a loop: ``loop.create_future()``, and futures given to ``loop.run_until_complete()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_future/returns-pending-loop-future")
def test_create_future_makes_a_pending_future_of_this_loop(loop: AbstractEventLoop) -> None:
    future = loop.create_future()
    assert (future.done(), future.cancelled()) == (False, False)
    assert future.get_loop() is loop


@requirement("loop.create_future/returns-pending-loop-future")
def test_create_future_makes_another_future_each_time(loop: AbstractEventLoop) -> None:
    first, second = loop.create_future(), loop.create_future()
    first.set_result("first")
    assert first is not second
    assert not second.done()


@requirement("loop.create_future/returns-pending-loop-future")
async def test_create_future_of_a_loop_that_does_not_run_belongs_to_that_loop(
    loop: AbstractEventLoop, target: Any
) -> None:
    other = target.make_loop()
    try:
        assert other.create_future().get_loop() is other
        assert loop.create_future().get_loop() is loop
    finally:
        other.close()


@requirement("loop.create_future/allows-custom-future")
async def test_what_create_future_makes_is_a_future_to_the_namespace(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    assert aio.isfuture(future) is True
    assert aio.ensure_future(future) is future


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_future/allows-custom-future")
async def test_what_create_future_makes_can_be_awaited_by_a_task(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()

    async def wait() -> object:
        return await future

    task = loop.create_task(wait())
    await aio.sleep(0)
    future.set_result("result")
    assert await task == "result"


@requirement("loop.create_future/allows-custom-future")
async def test_what_create_future_makes_can_be_waited_for_with_others(loop: AbstractEventLoop, aio: Any) -> None:
    futures = [loop.create_future() for _ in range(2)]
    loop.call_soon(futures[0].set_result, "first")
    loop.call_soon(futures[1].set_result, "second")
    assert await aio.gather(*futures) == ["first", "second"]
    done, pending = await aio.wait(futures)
    assert (done, pending) == (set(futures), set())


@requirement("loop.run_until_complete/uses-future-as-is")
def test_run_until_complete_runs_for_the_future_itself(loop: AbstractEventLoop) -> None:
    future, value = loop.create_future(), object()
    loop.call_soon(future.set_result, value)
    assert loop.run_until_complete(future) is value


@on_loops(PLAIN, DEBUG)
@requirement("loop.run_until_complete/uses-future-as-is")
def test_run_until_complete_runs_a_task_itself(loop: AbstractEventLoop, aio: Any) -> None:
    async def look() -> tuple[object, set[object]]:
        await aio.sleep(0)
        return aio.current_task(), aio.all_tasks()

    task = loop.create_task(look())
    assert loop.run_until_complete(task) == (task, {task})


@pytest.mark.parametrize("kind", ["future", "task"])
@requirement("loop.run_until_complete/uses-future-as-is")
def test_run_until_complete_makes_no_task_of_a_future_or_task(loop: AbstractEventLoop, aio: Any, kind: str) -> None:
    future = loop.create_future()
    loop.call_soon(future.set_result, None)
    given = loop.create_task(aio.sleep(0)) if kind == "task" else future
    made: list[object] = []

    def factory(loop: AbstractEventLoop, coroutine: Any, **keywords: Any) -> Any:
        made.append(coroutine)
        return aio.Task(coroutine, loop=loop, **keywords)

    loop.set_task_factory(factory)
    loop.run_until_complete(given)
    loop.set_task_factory(None)
    assert made == []
