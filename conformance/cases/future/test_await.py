"""Awaiting a future: when the await ends, with what, how often, and what the loop does meanwhile."""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.futures import FINISHES, finish_with
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Future/await-ends-when-done")
async def test_an_await_evaluates_to_the_result_set_later(loop: AbstractEventLoop, future: Future[Any]) -> None:
    value = object()
    loop.call_soon(future.set_result, value)
    assert await future is value


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Future/await-ends-when-done")
async def test_an_await_raises_the_exception_set_later(loop: AbstractEventLoop, future: Future[Any]) -> None:
    error = ValueError("set")
    loop.call_soon(future.set_exception, error)
    with pytest.raises(ValueError, match="set") as caught:
        await future
    assert caught.value is error


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Future/await-ends-when-done")
async def test_an_await_raises_cancellederror_when_the_future_is_cancelled(
    loop: AbstractEventLoop, aio: Any, future: Future[Any]
) -> None:
    loop.call_soon(future.cancel)
    with pytest.raises(aio.CancelledError):
        await future


@pytest.mark.parametrize("finish", FINISHES)
@requirement("Future/await-ends-when-done")
async def test_awaiting_a_done_future_gives_its_outcome(aio: Any, future: Future[Any], finish: str) -> None:
    finish_with(future, finish)
    assert await outcome_of_awaiting(future, aio) == EXPECTED[finish]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Future/await-ends-when-done")
async def test_an_await_does_not_end_before_the_future_is_done(
    loop: AbstractEventLoop, aio: Any, future: Future[Any]
) -> None:
    order: list[str] = []

    async def wait() -> None:
        order.append("awaiting")
        await future
        order.append("awaited")

    task = loop.create_task(wait())
    for _ in range(3):
        await aio.sleep(0)
    order.append("set")
    future.set_result(None)
    await task
    assert order == ["awaiting", "set", "awaited"]


@pytest.mark.parametrize("finish", FINISHES)
@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Future/await-repeatable")
async def test_every_concurrent_await_ends_with_the_same_outcome(
    loop: AbstractEventLoop, aio: Any, future: Future[Any], finish: str
) -> None:
    tasks = [loop.create_task(outcome_of_awaiting(future, aio)) for _ in range(5)]
    await aio.sleep(0)
    finish_with(future, finish)
    assert [await task for task in tasks] == [EXPECTED[finish]] * 5


@pytest.mark.parametrize("finish", FINISHES)
@requirement("Future/await-repeatable")
async def test_a_future_can_be_awaited_again_and_again(
    loop: AbstractEventLoop, aio: Any, future: Future[Any], finish: str
) -> None:
    loop.call_soon(finish_with, future, finish)
    assert [await outcome_of_awaiting(future, aio) for _ in range(3)] == [EXPECTED[finish]] * 3


@requirement("Future/await-repeatable")
async def test_cancelling_one_of_two_awaiting_tasks_cancels_the_future_for_both(
    loop: AbstractEventLoop, aio: Any, future: Future[Any]
) -> None:
    tasks = [loop.create_task(outcome_of_awaiting(future, aio)) for _ in range(2)]
    await aio.sleep(0)
    tasks[0].cancel()
    assert [await task for task in tasks] == ["CancelledError", "CancelledError"]
    assert future.cancelled()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Future/await-lets-loop-continue")
async def test_the_loop_runs_other_tasks_callbacks_and_timers_during_an_await(
    loop: AbstractEventLoop, aio: Any, future: Future[Any]
) -> None:
    seen: set[str] = set()

    def add(name: str) -> None:
        seen.add(name)
        if len(seen) == 3:
            future.set_result(None)

    async def other() -> None:
        await aio.sleep(0)
        add("task")

    task = loop.create_task(other())
    loop.call_soon(add, "callback")
    loop.call_later(0.001, add, "timer")
    await future
    await task
    assert seen == {"task", "callback", "timer"}


@requirement("Future/await-ends-when-done")
async def test_an_awaiting_task_resumes_in_its_own_context(loop: AbstractEventLoop, future: Future[Any]) -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("of the awaiting task")
    finishing = copy_context()
    finishing.run(variable.set, "of who finished the future")
    loop.call_soon(future.set_result, None, context=finishing)
    await future
    assert variable.get() == "of the awaiting task"


@on_loops(PLAIN, DEBUG)
@requirement("Future/wakes-run-until-complete")
def test_run_until_complete_returns_the_result_once_the_future_is_done(
    loop: AbstractEventLoop, future: Future[Any]
) -> None:
    value = object()
    loop.call_later(0.001, future.set_result, value)
    assert loop.run_until_complete(future) is value


@requirement("Future/wakes-run-until-complete")
def test_run_until_complete_ends_at_once_for_a_future_that_is_done(
    loop: AbstractEventLoop, future: Future[Any]
) -> None:
    future.set_result("done before")
    assert loop.run_until_complete(future) == "done before"


@requirement("Future/wakes-run-until-complete")
def test_run_until_complete_learns_of_the_completion_after_earlier_done_callbacks(
    loop: AbstractEventLoop, future: Future[Any]
) -> None:
    calls: list[object] = []
    future.add_done_callback(calls.append)
    loop.call_soon(future.set_result, None)
    loop.run_until_complete(future)
    assert calls == [future]


@requirement("Future/wakes-run-until-complete")
def test_run_until_complete_leaves_no_callback_that_would_stop_a_later_run(
    loop: AbstractEventLoop, future: Future[Any]
) -> None:
    later = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError):
        loop.run_until_complete(future)
    future.set_result(None)
    loop.call_later(0.001, later.set_result, "reached")
    assert loop.run_until_complete(later) == "reached"


EXPECTED = {"set_result": "first", "set_exception": "ValueError: first", "cancel": "CancelledError"}


async def outcome_of_awaiting(future: Future[Any], aio: Any) -> object:
    """Await ``future`` and tell what came of it."""
    try:
        return await future
    except ValueError as error:
        return f"ValueError: {error}"
    except aio.CancelledError:
        return "CancelledError"
