"""Timers: ``loop.call_later()``, ``loop.call_at()``, ``loop.time()`` and ``TimerHandle.when()``."""

from __future__ import annotations

import functools
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.waiting import GENEROUS, run_one_pass, run_until, wait_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Callable
    from typing import TypeAlias

    from conformance.support.programs import RunProgram

    Schedule: TypeAlias = Callable[..., TimerHandle]

colour: ContextVar[str] = ContextVar("colour", default="none")

A_DAY = 86_400.0
# The documentation lets a timer be early by one resolution of the clock, and by nothing else.
RESOLUTION = time.get_clock_info("monotonic").resolution
# Deadlines far enough apart for a loop that counts in whole milliseconds, which is what poll() and epoll_wait() take.
STEP = 0.002
# A deadline that such a loop rounds is off by less than this.
GRANULARITY = 0.001
# Deadlines that fall into one such millisecond.
FINE_STEP = 0.0001
# An order in which no two neighbours are sorted either way for long.
SHUFFLED = [7, 2, 9, 4, 0, 5, 8, 1, 6, 3]


def earliest(deadline: float) -> float:
    """The first moment at which a timer for ``deadline`` may run: rounding in the last place is nobody's fault."""
    return deadline - RESOLUTION - 2 * math.ulp(deadline)


def too_early(deadline: float, moment: float) -> str:
    """What is wrong with a timer for ``deadline`` that ran at ``moment``."""
    return f"fired {(deadline - moment) * 1000:.2f} ms before its deadline"


def after(loop: AbstractEventLoop, delay: float, callback: Callable[..., object], *args: Any, **kw: Any) -> TimerHandle:
    return loop.call_later(delay, callback, *args, **kw)


def at(loop: AbstractEventLoop, delay: float, callback: Callable[..., object], *args: Any, **kw: Any) -> TimerHandle:
    return loop.call_at(loop.time() + delay, callback, *args, **kw)


@pytest.mark.parametrize("delay", [0.001, 0.005, 0.02])
@requirement("loop.call_later/runs-after-delay")
def test_a_timer_runs_once_its_delay_has_passed_on_the_loops_clock(loop: AbstractEventLoop, delay: float) -> None:
    ran_at: list[float] = []
    deadline = loop.time() + delay
    loop.call_later(delay, lambda: ran_at.append(loop.time()))
    run_until(loop, lambda: bool(ran_at))
    assert ran_at[0] >= earliest(deadline), too_early(deadline, ran_at[0])


@requirement("loop.call_later/runs-after-delay")
def test_a_delay_is_in_seconds(loop: AbstractEventLoop) -> None:
    # Half of the delay: what a unit mistaken for another misses by far, and a clock's coarseness does not reach.
    began = time.monotonic()
    loop.call_later(0.02, loop.stop)
    loop.run_forever()
    assert time.monotonic() - began >= 0.01


@requirement("loop.call_later/runs-after-delay")
def test_a_timer_set_by_a_callback_that_took_its_time_counts_from_its_own_call(loop: AbstractEventLoop) -> None:
    moments: list[float] = []

    def work_then_schedule() -> None:
        until = time.monotonic() + 0.02
        wait_until(lambda: time.monotonic() >= until)
        moments.append(time.monotonic())
        loop.call_later(0.02, lambda: moments.append(time.monotonic()))

    loop.call_soon(work_then_schedule)
    run_until(loop, lambda: len(moments) == 2)
    assert moments[1] - moments[0] >= 0.01


@pytest.mark.parametrize("delay", [0, 0.0, -0.0, -1, -1e9, 1e-9])
@requirement("loop.call_later/runs-after-delay", "loop.call_later/accepts-int-or-float-delay")
def test_a_delay_that_has_passed_already_runs_the_callback_without_waiting(
    loop: AbstractEventLoop, delay: float
) -> None:
    calls: list[str] = []
    loop.call_later(delay, calls.append, "called")
    assert calls == []
    run_until(loop, lambda: bool(calls))
    assert calls == ["called"]


@on_loops(PLAIN, DEBUG)
@requirement("loop.call_later/runs-after-delay")
def test_a_timer_that_is_due_at_once_is_never_called_at_once(loop: AbstractEventLoop) -> None:
    order: list[str] = []

    def schedule() -> None:
        loop.call_later(0, order.append, "timer")
        order.append("scheduled")

    loop.call_soon(schedule)
    run_until(loop, lambda: len(order) == 2)
    assert order == ["scheduled", "timer"]


@pytest.mark.parametrize("delay", [1, 1.0, 2.5])
@requirement("loop.call_later/accepts-int-or-float-delay")
def test_a_delay_may_be_an_int_or_a_float(loop: AbstractEventLoop, delay: float) -> None:
    handle = loop.call_later(delay, lambda: None)
    ahead = handle.when() - loop.time()
    handle.cancel()
    assert delay - GENEROUS < ahead < delay + GRANULARITY


@pytest.mark.parametrize("delay", [0, 0.001, 2 * A_DAY])
@requirement("loop.call_later/returns-timer-handle")
def test_call_later_returns_a_timer_handle(loop: AbstractEventLoop, aio: Any, delay: float) -> None:
    handle = loop.call_later(delay, lambda: None)
    handle.cancel()
    assert isinstance(handle, aio.TimerHandle)


@pytest.mark.parametrize("delay", [-1, 0.001, 2 * A_DAY])
@requirement("loop.call_at/returns-timer-handle")
def test_call_at_returns_a_timer_handle(loop: AbstractEventLoop, aio: Any, delay: float) -> None:
    handle = loop.call_at(loop.time() + delay, lambda: None)
    handle.cancel()
    assert isinstance(handle, aio.TimerHandle)


@requirement("loop.call_later/runs-once")
def test_each_call_later_runs_its_callback_once(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    for _ in range(3):
        loop.call_later(0.001, calls.append, "called")
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    assert calls == ["called"] * 3


@requirement("loop.call_at/otherwise-like-call-later")
def test_each_call_at_runs_its_callback_once(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    for _ in range(3):
        loop.call_at(loop.time() + 0.001, calls.append, "called")
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    assert calls == ["called"] * 3


@requirement("loop.call_later/equal-deadline-order-undefined", "loop.call_at/otherwise-like-call-later")
def test_all_timers_with_one_deadline_run_in_whatever_order(loop: AbstractEventLoop) -> None:
    # The arguments cannot be compared with one another: a queue that sorts by more than the deadline would fail.
    arguments = [object() for _ in range(100)]
    calls: list[object] = []
    deadline = loop.time() + 0.002
    for argument in arguments:
        loop.call_at(deadline, lambda item: calls.append(item), argument)
    run_until(loop, lambda: len(calls) >= len(arguments))
    assert sorted(map(id, calls)) == sorted(map(id, arguments))


@pytest.mark.parametrize("arguments", [(), (None,), (1, "two", [3])], ids=["0", "1", "3"])
@requirement("loop.call_later/forwards-positional-arguments")
def test_positional_arguments_reach_a_timer(loop: AbstractEventLoop, arguments: tuple[object, ...]) -> None:
    calls: list[tuple[object, ...]] = []
    loop.call_later(0.001, lambda *args: calls.append(args), *arguments)
    loop.call_later(0, lambda *args: calls.append(args), *arguments)
    run_until(loop, lambda: len(calls) == 2)
    assert calls == [arguments, arguments]


@requirement("loop.call_at/otherwise-like-call-later")
def test_positional_arguments_reach_a_timer_with_a_deadline(loop: AbstractEventLoop) -> None:
    calls: list[tuple[object, ...]] = []
    loop.call_at(loop.time() + 0.001, lambda *args: calls.append(args), 1, "two", None)
    run_until(loop, lambda: bool(calls))
    assert calls == [(1, "two", None)]


@pytest.mark.parametrize("delay", [0, 0.001])
@requirement("loop.call_later/forwards-positional-arguments")
def test_keyword_arguments_for_a_timer_need_partial(loop: AbstractEventLoop, delay: float) -> None:
    schedule: Any = loop.call_later
    calls: list[dict[str, int]] = []
    with pytest.raises(TypeError):
        schedule(delay, lambda **kwargs: calls.append(kwargs), flavour=1)
    schedule(delay, functools.partial(lambda **kwargs: calls.append(kwargs), flavour=2))
    run_until(loop, lambda: bool(calls))
    assert calls == [{"flavour": 2}]


def colours_seen(loop: AbstractEventLoop, schedule: Schedule, **given: Any) -> list[str]:
    """Schedule a timer while the colour is red, turn to blue, and let the timer look and turn its own to green."""
    seen: list[str] = []

    def look_and_change() -> None:
        seen.append(colour.get())
        colour.set("green")

    def schedule_between_two_values() -> None:
        colour.set("red")
        schedule(loop, 0.001, look_and_change, **given)
        schedule(loop, 0, look_and_change, **given)
        colour.set("blue")

    copy_context().run(schedule_between_two_values)
    run_until(loop, lambda: len(seen) == 2)
    return seen


@pytest.mark.parametrize("given", [{}, {"context": None}], ids=["left-out", "None"])
@requirement("loop.call_later/accepts-context-keyword")
def test_without_a_context_a_timer_sees_the_values_of_the_moment_it_was_set(
    loop: AbstractEventLoop, given: dict[str, None]
) -> None:
    assert colours_seen(loop, after, **given) == ["red", "red"]


@requirement("loop.call_later/accepts-context-keyword")
def test_a_timer_runs_in_the_given_context(loop: AbstractEventLoop) -> None:
    context = copy_context()
    context.run(colour.set, "white")
    assert colours_seen(loop, after, context=context) == ["white", "green"]
    assert (context[colour], colour.get()) == ("green", "none")


@pytest.mark.parametrize("given", [{}, {"context": None}], ids=["left-out", "None"])
@requirement("loop.call_at/otherwise-like-call-later")
def test_without_a_context_a_timer_with_a_deadline_sees_the_values_of_the_moment_it_was_set(
    loop: AbstractEventLoop, given: dict[str, None]
) -> None:
    assert colours_seen(loop, at, **given) == ["red", "red"]


@requirement("loop.call_at/accepts-context-keyword")
def test_a_timer_with_a_deadline_runs_in_the_given_context(loop: AbstractEventLoop) -> None:
    context = copy_context()
    context.run(colour.set, "white")
    assert colours_seen(loop, at, context=context) == ["white", "green"]
    assert (context[colour], colour.get()) == ("green", "none")


# Fractions of a millisecond, below and above its half: a loop that rounds to milliseconds is early with one of them.
@pytest.mark.parametrize("delay", [0.0004, 0.0014, 0.0026, 0.0049])
@requirement("loop.call_later/early-by-one-clock-resolution")
def test_a_delay_with_a_fraction_of_a_millisecond_is_not_cut_short(loop: AbstractEventLoop, delay: float) -> None:
    pairs = [fire(loop, loop.call_later, delay) for _ in range(5)]
    early = [(deadline, moment) for deadline, moment in pairs if moment < earliest(deadline)]
    assert early == [], too_early(*early[0])


@pytest.mark.parametrize("delay", [0.0004, 0.0014, 0.0026, 0.0049])
@requirement("loop.call_at/early-by-one-clock-resolution")
def test_a_deadline_with_a_fraction_of_a_millisecond_is_not_met_early(loop: AbstractEventLoop, delay: float) -> None:
    pairs = [fire(loop, functools.partial(at, loop), delay) for _ in range(5)]
    early = [(deadline, moment) for deadline, moment in pairs if moment < earliest(deadline)]
    assert early == [], too_early(*early[0])


def fire(loop: AbstractEventLoop, schedule: Callable[..., TimerHandle], delay: float) -> tuple[float, float]:
    """Set one timer in the running loop; give its deadline and the moment it ran, both on the loop's clock."""
    moments: list[float] = []

    def set_timer() -> None:
        moments.append(loop.time() + delay)
        schedule(delay, lambda: moments.append(loop.time()))

    loop.call_soon(set_timer)
    run_until(loop, lambda: len(moments) == 2)
    return moments[0], moments[1]


# Past 2**31 and 2**32 milliseconds, where a poll's timeout overflows; past 2**31 seconds; past 2**63 nanoseconds.
LONG_DELAYS = [2 * A_DAY, 25 * A_DAY, 60 * A_DAY, 70 * 365 * A_DAY, 300 * 365 * A_DAY]


@pytest.mark.parametrize("delay", LONG_DELAYS, ids=["2d", "25d", "60d", "70y", "300y"])
@requirement("loop.call_later/accepts-delay-beyond-one-day")
def test_a_timer_far_ahead_neither_fires_nor_keeps_the_loop_from_waking(loop: AbstractEventLoop, delay: float) -> None:
    calls: list[str] = []
    handle = loop.call_later(delay, calls.append, "far timer")
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    handle.cancel()
    assert calls == []


@pytest.mark.parametrize("delay", LONG_DELAYS, ids=["2d", "25d", "60d", "70y", "300y"])
@requirement("loop.call_at/accepts-when-beyond-one-day")
def test_a_deadline_far_ahead_neither_fires_nor_keeps_the_loop_from_waking(
    loop: AbstractEventLoop, delay: float
) -> None:
    calls: list[str] = []
    handle = loop.call_at(loop.time() + delay, calls.append, "far timer")
    loop.call_later(0.005, loop.stop)
    loop.run_forever()
    handle.cancel()
    assert calls == []


@requirement("loop.call_later/accepts-delay-beyond-one-day")
def test_a_loop_with_nothing_but_a_timer_far_ahead_sleeps_and_can_be_woken(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    handle = loop.call_later(60 * A_DAY, calls.append, "far timer")

    def wake_it_now_and_then() -> None:
        for _ in range(5):
            woken = threading.Event()
            loop.call_soon_threadsafe(woken.set)
            woken.wait(GENEROUS)
        loop.call_soon_threadsafe(loop.stop)

    with ThreadPoolExecutor(1) as pool:
        loop.call_soon(pool.submit, wake_it_now_and_then)
        loop.run_forever()
    handle.cancel()
    assert calls == []


# The older documentation promises delays of up to one day, this one included.
@requirement("loop.call_later/delay-limited-to-one-day")
def test_a_timer_one_day_ahead_waits(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    handle = loop.call_later(A_DAY, calls.append, "called")
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    handle.cancel()
    assert calls == []


@requirement("loop.call_later/runs-in-deadline-order")
def test_timers_run_in_the_order_of_their_deadlines(loop: AbstractEventLoop) -> None:
    order: list[int] = []
    whens = [loop.call_later((n + 1) * STEP, order.append, i).when() for i, n in enumerate(SHUFFLED)]
    run_until(loop, lambda: len(order) == len(SHUFFLED))
    assert [whens[i] for i in order] == sorted(whens)


@pytest.mark.parametrize("step", [STEP, FINE_STEP], ids=["2ms", "100us"])
@requirement("loop.call_later/runs-in-deadline-order")
def test_timers_that_came_due_while_a_callback_ran_keep_the_order_of_their_deadlines(
    loop: AbstractEventLoop, step: float
) -> None:
    order: list[int] = []
    ahead = 5 * STEP
    base = loop.time() + ahead
    for n in SHUFFLED:
        loop.call_at(base + n * step, order.append, n)
    until = time.monotonic() + ahead + 10 * step
    loop.call_soon(wait_until, lambda: time.monotonic() > until)
    run_until(loop, lambda: len(order) == len(SHUFFLED))
    assert order == sorted(SHUFFLED)


@requirement("loop.call_later/runs-in-deadline-order")
def test_a_timer_set_while_another_is_waited_for_may_be_due_before_it(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    far = loop.call_later(3600, calls.append, "far")
    loop.call_later(0.002, lambda: loop.call_later(0.002, loop.stop))
    loop.run_forever()
    far.cancel()
    assert calls == []


@requirement("loop.call_later/cancelled-handle-never-runs")
def test_a_cancelled_timer_never_runs(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_later(0.002, calls.append, "cancelled").cancel()
    loop.call_later(0.004, loop.stop)
    loop.run_forever()
    assert calls == []


@requirement("loop.call_at/returns-timer-handle")
def test_a_cancelled_timer_with_a_deadline_never_runs(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_at(loop.time() + 0.002, calls.append, "cancelled").cancel()
    loop.call_later(0.004, loop.stop)
    loop.run_forever()
    assert calls == []


@requirement("loop.call_later/cancelled-handle-never-runs")
def test_a_timer_cancelled_by_one_that_came_due_with_it_never_runs(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    handles: list[TimerHandle] = []
    loop.call_later(STEP, lambda: handles[0].cancel())
    handles.append(loop.call_later(2 * STEP, calls.append, "cancelled"))
    until = time.monotonic() + 4 * STEP
    loop.call_soon(wait_until, lambda: time.monotonic() > until)
    loop.call_later(5 * STEP, loop.stop)
    loop.run_forever()
    assert calls == []


@requirement("loop.call_later/cancelled-handle-never-runs")
def test_cancelling_most_of_many_timers_leaves_the_others_in_order(loop: AbstractEventLoop) -> None:
    order: list[int] = []
    base = loop.time() + STEP
    handles = {n: loop.call_at(base + n * FINE_STEP, order.append, n) for n in range(500)}
    kept = range(0, 500, 50)
    for n, handle in handles.items():
        if n not in kept:
            handle.cancel()
    run_until(loop, lambda: len(order) >= len(kept))
    run_one_pass(loop)
    assert order == list(kept)


@pytest.mark.parametrize("delay", [0.001, 0.005])
@requirement("loop.call_at/runs-at-absolute-time")
def test_a_timer_runs_once_the_loops_clock_reaches_its_deadline(loop: AbstractEventLoop, delay: float) -> None:
    ran_at: list[float] = []
    when = loop.time() + delay
    loop.call_at(when, lambda: ran_at.append(loop.time()))
    run_until(loop, lambda: bool(ran_at))
    assert ran_at[0] >= earliest(when), too_early(when, ran_at[0])


@pytest.mark.parametrize("ago", [0.0, 0.001, 1.0, 1e6])
@requirement("loop.call_at/runs-at-absolute-time")
def test_a_deadline_in_the_past_runs_without_waiting_but_never_at_once(loop: AbstractEventLoop, ago: float) -> None:
    order: list[str] = []
    loop.call_at(loop.time() - ago, order.append, "timer")
    order.append("scheduled")
    run_until(loop, lambda: len(order) == 2)
    assert order == ["scheduled", "timer"]


@requirement("loop.call_at/accepts-int-or-float-when")
def test_a_deadline_may_be_an_int(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    ahead = int(loop.time()) + 3600
    handle = loop.call_at(ahead, calls.append, "ahead")
    loop.call_at(int(loop.time()), calls.append, "passed")
    run_until(loop, lambda: bool(calls))
    handle.cancel()
    assert calls == ["passed"]
    assert abs(handle.when() - ahead) < GRANULARITY


@requirement("loop.time/returns-float")
def test_time_is_a_float(loop: AbstractEventLoop) -> None:
    seen = [loop.time()]
    loop.call_soon(lambda: seen.append(loop.time()))
    run_one_pass(loop)
    assert [type(moment) for moment in seen] == [float, float]


@requirement("loop.time/never-goes-backwards")
def test_time_never_goes_backwards(loop: AbstractEventLoop) -> None:
    moments: list[float] = []
    for delay in (0, 0.001, 0.002):
        loop.call_later(delay, lambda: moments.extend(loop.time() for _ in range(1000)))
    loop.call_later(0.004, loop.stop)
    moments.extend(loop.time() for _ in range(1000))
    loop.run_forever()
    moments.extend(loop.time() for _ in range(1000))
    assert moments == sorted(moments)


@requirement("loop.time/returns-float")
def test_time_goes_on_while_the_loop_waits(loop: AbstractEventLoop) -> None:
    # A tenth and tenfold: a unit other than seconds is off by far more, a clock read once per pass by far less.
    run_one_pass(loop)
    began, monotonic_began = loop.time(), time.monotonic()
    loop.call_later(0.02, loop.stop)
    loop.run_forever()
    passed, really_passed = loop.time() - began, time.monotonic() - monotonic_began
    assert really_passed / 10 <= passed <= really_passed * 10


@requirement("loop.time/shared-timer-reference", "TimerHandle.when/returns-loop-time")
def test_deadlines_are_on_the_clock_of_time(loop: AbstractEventLoop) -> None:
    ran_at: list[float] = []
    handle = loop.call_at(loop.time() + 0.003, lambda: ran_at.append(loop.time()))
    run_until(loop, lambda: bool(ran_at))
    assert ran_at[0] >= earliest(handle.when()), too_early(handle.when(), ran_at[0])


@requirement("loop.time/shared-timer-reference")
async def test_timeout_at_takes_a_deadline_on_the_clock_of_time(loop: AbstractEventLoop, aio: Any) -> None:
    deadline = loop.time() + 0.003
    with pytest.raises(TimeoutError):
        async with aio.timeout_at(deadline):
            await loop.create_future()
    assert loop.time() >= earliest(deadline)


@requirement("loop.time/independent-of-wall-clock")
def test_time_is_not_the_time_of_day(loop: AbstractEventLoop) -> None:
    assert abs(loop.time() - time.time()) > A_DAY


@requirement("TimerHandle.when/returns-loop-time")
def test_when_is_a_float_ahead_on_the_loops_clock(loop: AbstractEventLoop) -> None:
    handle = loop.call_later(3600, lambda: None)
    ahead = handle.when() - loop.time()
    handle.cancel()
    assert type(handle.when()) is float
    assert 3600 - GENEROUS < ahead < 3600 + GRANULARITY


@pytest.mark.parametrize("delay", [0.0123456, 3600.5])
@requirement("TimerHandle.when/equals-requested-deadline")
def test_when_is_the_deadline_given_to_call_at(loop: AbstractEventLoop, delay: float) -> None:
    deadline = loop.time() + delay
    handle = loop.call_at(deadline, lambda: None)
    handle.cancel()
    assert abs(handle.when() - deadline) < GRANULARITY


@pytest.mark.parametrize("delay", [0.0123456, 3600.5])
@requirement("TimerHandle.when/equals-requested-deadline")
def test_when_is_the_moment_of_call_later_plus_the_delay(loop: AbstractEventLoop, delay: float) -> None:
    before = loop.time()
    handle = loop.call_later(delay, lambda: None)
    after_call = loop.time()
    handle.cancel()
    assert before + delay - GRANULARITY < handle.when() < after_call + delay + GRANULARITY


@requirement("TimerHandle.when/equals-requested-deadline")
def test_when_stays_the_same_while_the_timer_waits(loop: AbstractEventLoop) -> None:
    handle = loop.call_later(3600, lambda: None)
    seen = [handle.when()]
    run_one_pass(loop)
    seen.append(handle.when())
    handle.cancel()
    assert seen[1] == seen[0]


SHOW_DATES = """
import datetime

INTERVAL = 0.01

def show_date(left):
    print(datetime.datetime.now().isoformat(timespec="microseconds"))
    if left > 1:
        loop.call_later(INTERVAL, show_date, left - 1)
    else:
        loop.stop()

loop = make_loop()
loop.call_soon(show_date, 5)
try:
    loop.run_forever()
finally:
    loop.close()
"""


@requirement("examples/display-the-current-date-with-call-later")
def test_the_date_program_shows_five_dates_stops_and_exits(run_program: RunProgram) -> None:
    finished = run_program(SHOW_DATES)
    assert (finished.stderr, finished.returncode) == ("", 0)
    assert len([datetime.fromisoformat(line) for line in finished.stdout.splitlines()]) == 5
