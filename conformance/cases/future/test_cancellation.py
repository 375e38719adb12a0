"""``Future.cancel()``: what it returns, what it changes, and whom its message reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.futures import FINISHES, finish_with, outcome
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.waiting import run_one_pass, run_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future


@pytest.mark.parametrize("finish", FINISHES)
@requirement("Future.cancel/returns-false-when-done")
def test_cancelling_a_done_future_returns_false_and_changes_nothing(future: Future[Any], aio: Any, finish: str) -> None:
    finish_with(future, finish)
    before = outcome(future, aio)
    assert future.cancel() is False
    assert outcome(future, aio) == before


@requirement("Future.cancel/returns-false-when-done")
def test_cancelling_again_calls_no_callback_again(loop: AbstractEventLoop, future: Future[Any]) -> None:
    calls: list[object] = []
    future.add_done_callback(calls.append)
    assert [future.cancel(), future.cancel()] == [True, False]
    run_until(loop, lambda: bool(calls))
    assert future.cancel() is False
    run_one_pass(loop)
    assert calls == [future]


@requirement("Future.cancel/returns-true-and-cancels", "Future.cancelled/returns-true-when-cancelled")
def test_cancelling_a_pending_future_cancels_it_at_once(future: Future[Any]) -> None:
    assert future.cancel() is True
    assert future.cancelled() is True
    assert future.done() is True


@requirement("Future.cancelled/returns-true-when-cancelled")
def test_a_cancelled_future_stays_cancelled_after_its_callbacks_ran(
    loop: AbstractEventLoop, future: Future[Any]
) -> None:
    states: list[bool] = []
    future.add_done_callback(lambda done: states.append(done.cancelled()))
    future.cancel()
    run_until(loop, lambda: bool(states))
    assert states == [True]
    assert future.cancelled() is True


@requirement("Future.cancel/returns-true-and-cancels")
def test_cancelling_schedules_every_callback(loop: AbstractEventLoop, future: Future[Any]) -> None:
    order: list[str] = []
    future.add_done_callback(lambda _: order.append("first"))
    future.add_done_callback(lambda _: order.append("second"))
    future.cancel()
    order.append("cancelled")
    run_until(loop, lambda: len(order) == 3)
    assert order == ["cancelled", "first", "second"]


@pytest.mark.parametrize("arguments", [((), {}), (("why",), {}), ((), {"msg": "why"})], ids=["none", "position", "msg"])
@requirement("Future.cancel/accepts-msg-argument")
def test_cancel_takes_a_message(future: Future[Any], arguments: tuple[tuple[object, ...], dict[str, object]]) -> None:
    positional, keywords = arguments
    assert future.cancel(*positional, **keywords) is True
    assert future.cancelled()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Future.cancel/msg-reaches-awaiter")
async def test_the_message_is_the_argument_of_the_error_that_a_waiting_task_gets(
    loop: AbstractEventLoop, aio: Any, future: Future[Any]
) -> None:
    async def wait() -> object:
        try:
            return await future
        except aio.CancelledError as error:
            return error.args

    tasks = [loop.create_task(wait()) for _ in range(2)]
    await aio.sleep(0)
    future.cancel("why")
    assert [await task for task in tasks] == [("why",), ("why",)]


@requirement("Future.cancel/msg-reaches-awaiter")
async def test_the_message_reaches_who_awaits_the_future_only_after_its_cancellation(
    aio: Any, future: Future[Any]
) -> None:
    future.cancel(msg="why")
    with pytest.raises(aio.CancelledError) as caught:
        await future
    assert caught.value.args == ("why",)


@requirement("Future.cancel/msg-reaches-awaiter")
async def test_without_a_message_the_error_has_no_argument(aio: Any, future: Future[Any]) -> None:
    future.cancel()
    with pytest.raises(aio.CancelledError) as caught:
        await future
    assert caught.value.args == ()


@requirement("Future.cancel/msg-reaches-awaiter")
def test_the_message_reaches_who_runs_the_loop_for_the_future(
    loop: AbstractEventLoop, aio: Any, future: Future[Any]
) -> None:
    loop.call_soon(future.cancel, "why")
    with pytest.raises(aio.CancelledError) as caught:
        loop.run_until_complete(future)
    assert caught.value.args == ("why",)


@requirement("Future.cancel/msg-reaches-awaiter")
async def test_the_message_of_a_refused_cancellation_is_dropped(aio: Any, future: Future[Any]) -> None:
    future.cancel("first")
    future.cancel("second")
    with pytest.raises(aio.CancelledError) as caught:
        await future
    assert caught.value.args == ("first",)
