"""What scheduling returns: ``Handle`` and ``TimerHandle``."""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.waiting import run_one_pass, run_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Handle
    from collections.abc import Callable
    from typing import TypeAlias

    Schedule: TypeAlias = Callable[..., Handle]

colour: ContextVar[str] = ContextVar("colour", default="none")


def soon(loop: AbstractEventLoop, callback: Callable[..., object], *args: Any, **given: Any) -> Handle:
    return loop.call_soon(callback, *args, **given)


def threadsafe(loop: AbstractEventLoop, callback: Callable[..., object], *args: Any, **given: Any) -> Handle:
    return loop.call_soon_threadsafe(callback, *args, **given)


def after(loop: AbstractEventLoop, callback: Callable[..., object], *args: Any, **given: Any) -> Handle:
    return loop.call_later(0.001, callback, *args, **given)


def after_no_time(loop: AbstractEventLoop, callback: Callable[..., object], *args: Any, **given: Any) -> Handle:
    return loop.call_later(0, callback, *args, **given)


def at(loop: AbstractEventLoop, callback: Callable[..., object], *args: Any, **given: Any) -> Handle:
    return loop.call_at(loop.time() + 0.001, callback, *args, **given)


SOON = [soon, threadsafe]
TIMED = [after, after_no_time, at]
every_soon = pytest.mark.parametrize("schedule", SOON)
every_timer = pytest.mark.parametrize("schedule", TIMED)
every_schedule = pytest.mark.parametrize("schedule", [*SOON, *TIMED])


def run_timers(loop: AbstractEventLoop) -> None:
    """Run the loop until every timer set beforehand has come due."""
    loop.call_later(0.004, loop.stop)
    loop.run_forever()


@every_soon
@requirement("Handle/returned-by-call-soon")
def test_a_callback_scheduled_soon_has_a_handle(loop: AbstractEventLoop, aio: Any, schedule: Schedule) -> None:
    assert isinstance(schedule(loop, lambda: None), aio.Handle)


@every_timer
@requirement("TimerHandle/returned-by-call-later")
def test_a_timer_has_a_timer_handle(loop: AbstractEventLoop, aio: Any, schedule: Schedule) -> None:
    handle = schedule(loop, lambda: None)
    handle.cancel()
    assert isinstance(handle, aio.TimerHandle)


@requirement("TimerHandle/returned-by-call-later")
def test_a_timer_handle_is_a_handle(aio: Any) -> None:
    assert issubclass(aio.TimerHandle, aio.Handle)


@on_loops(PLAIN, DEBUG)
@every_soon
@requirement("Handle.cancel/prevents-callback")
def test_a_cancelled_callback_does_not_run(loop: AbstractEventLoop, schedule: Schedule) -> None:
    calls: list[str] = []
    schedule(loop, calls.append, "cancelled").cancel()
    run_timers(loop)
    assert calls == []


@every_soon
@requirement("Handle.cancel/prevents-callback")
def test_a_callback_cancelled_by_one_of_the_same_batch_does_not_run(
    loop: AbstractEventLoop, schedule: Schedule
) -> None:
    calls: list[str] = []
    handles: list[Handle] = []
    loop.call_soon(lambda: handles[0].cancel())
    handles.append(schedule(loop, calls.append, "cancelled"))
    schedule(loop, calls.append, "behind")
    run_one_pass(loop)
    run_one_pass(loop)
    assert calls == ["behind"]


@requirement("Handle.cancel/prevents-callback")
def test_cancelling_one_of_two_equal_callbacks_leaves_the_other(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_soon(calls.append, "equal")
    loop.call_soon(calls.append, "equal").cancel()
    run_one_pass(loop)
    assert calls == ["equal"]


@on_loops(PLAIN, DEBUG)
@every_timer
@requirement("TimerHandle/inherits-cancellation")
def test_a_cancelled_timer_does_not_run(loop: AbstractEventLoop, schedule: Schedule) -> None:
    calls: list[str] = []
    handle = schedule(loop, calls.append, "cancelled")
    before = handle.cancelled()
    handle.cancel()
    run_timers(loop)
    assert (calls, before, handle.cancelled()) == ([], False, True)


@requirement("TimerHandle/inherits-cancellation")
def test_a_timer_cancelled_by_an_earlier_timer_does_not_run(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    handle = loop.call_later(0.003, calls.append, "cancelled")
    loop.call_later(0.001, handle.cancel)
    run_timers(loop)
    assert (calls, handle.cancelled()) == ([], True)


@on_loops(PLAIN, DEBUG)
@every_schedule
@requirement("Handle.cancel/no-op-when-finished", "TimerHandle/inherits-cancellation")
def test_cancelling_again_does_nothing(loop: AbstractEventLoop, schedule: Schedule) -> None:
    calls: list[str] = []
    handle = schedule(loop, calls.append, "cancelled")
    for _ in range(3):
        handle.cancel()
    run_timers(loop)
    handle.cancel()
    assert (calls, handle.cancelled()) == ([], True)


@on_loops(PLAIN, DEBUG)
@every_schedule
@requirement("Handle.cancel/no-op-when-finished", "TimerHandle/inherits-cancellation")
def test_cancelling_a_callback_that_ran_does_nothing(loop: AbstractEventLoop, schedule: Schedule) -> None:
    calls: list[str] = []
    handle = schedule(loop, calls.append, "ran")
    schedule(loop, calls.append, "another")
    run_until(loop, lambda: len(calls) == 2)
    handle.cancel()
    schedule(loop, calls.append, "a third")
    run_until(loop, lambda: len(calls) == 3)
    assert sorted(calls) == ["a third", "another", "ran"]


@every_schedule
@requirement("Handle.cancel/no-op-when-finished", "TimerHandle/inherits-cancellation")
def test_a_callback_may_cancel_its_own_handle(loop: AbstractEventLoop, schedule: Schedule) -> None:
    calls: list[str] = []

    def cancel_myself() -> None:
        calls.append("cancelling")
        handle.cancel()
        calls.append("cancelled")

    handle = schedule(loop, cancel_myself)
    run_until(loop, lambda: bool(calls))
    assert calls == ["cancelling", "cancelled"]


@every_schedule
@requirement("Handle.cancel/no-op-when-finished", "TimerHandle/inherits-cancellation")
def test_a_handle_of_a_closed_loop_can_be_cancelled(loop: AbstractEventLoop, schedule: Schedule) -> None:
    calls: list[str] = []
    handle = schedule(loop, calls.append, "called")
    loop.close()
    handle.cancel()
    assert calls == []


@on_loops(PLAIN, DEBUG)
@every_schedule
@requirement("Handle.cancelled/reports-cancelled-state")
def test_cancelled_is_false_before_cancel_and_true_after_it(loop: AbstractEventLoop, schedule: Schedule) -> None:
    handle = schedule(loop, lambda: None)
    before = handle.cancelled()
    handle.cancel()
    after_cancel = handle.cancelled()
    run_timers(loop)
    assert [before, after_cancel, handle.cancelled()] == [False, True, True]


@every_schedule
@requirement("Handle.cancelled/reports-cancelled-state")
def test_cancelled_stays_false_for_a_callback_that_ran(loop: AbstractEventLoop, schedule: Schedule) -> None:
    calls: list[str] = []
    handle = schedule(loop, calls.append, "ran")
    run_until(loop, lambda: bool(calls))
    assert handle.cancelled() is False


@every_schedule
@requirement("Handle.get_context/returns-callback-context")
def test_get_context_returns_the_context_given(loop: AbstractEventLoop, schedule: Schedule) -> None:
    context = copy_context()
    handle: Any = schedule(loop, lambda: None, context=context)
    found = handle.get_context()
    handle.cancel()
    assert found is context


@every_schedule
@requirement("Handle.get_context/returns-callback-context")
def test_get_context_returns_the_context_in_which_the_callback_then_runs(
    loop: AbstractEventLoop, schedule: Schedule
) -> None:
    calls: list[str] = []

    def change() -> None:
        calls.append(colour.get())
        colour.set("blue")

    outer = copy_context()
    outer.run(colour.set, "red")
    handle: Any = outer.run(schedule, loop, change)
    context = handle.get_context()
    assert context[colour] == "red"
    run_until(loop, lambda: bool(calls))
    assert (calls, context[colour], outer[colour]) == (["red"], "blue", "red")
