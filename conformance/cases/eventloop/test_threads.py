"""What other threads may do with a loop, and what they may not."""

from __future__ import annotations

import contextlib
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.threads import in_thread, run_beside
from conformance.support.waiting import GENEROUS, run_one_pass, run_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from conformance.target import Target

# Enough to fill whatever a loop wakes itself with: a socket pair's buffer holds a few hundred single bytes on Linux.
MANY = 5_000
THREADS = 8
POSTS = 300


@requirement("get_running_loop/answers-per-thread")
def test_no_loop_runs_in_a_thread_beside_the_loops_own(loop: AbstractEventLoop, aio: Any) -> None:
    def ask() -> str:
        try:
            return f"found {aio.get_running_loop()!r}"
        except RuntimeError:
            return "RuntimeError"

    assert run_beside(loop, ask) == "RuntimeError"


@requirement("get_running_loop/answers-per-thread")
def test_each_of_two_threads_finds_its_own_running_loop(loop: AbstractEventLoop, aio: Any, target: Target) -> None:
    async def running_loop() -> AbstractEventLoop:
        found: AbstractEventLoop = aio.get_running_loop()
        return found

    with contextlib.closing(target.make_loop()) as other:
        found_there = run_beside(loop, lambda: other.run_until_complete(running_loop()))
        found_here = loop.run_until_complete(running_loop())
        assert (found_there is other, found_here is loop) == (True, True)


@requirement("set_event_loop/affects-calling-thread-only")
def test_setting_the_current_loop_leaves_other_threads_without_one(loop: AbstractEventLoop, aio: Any) -> None:
    def set_here_and_ask_there() -> str:
        aio.set_event_loop(loop)
        try:
            return in_thread(lambda: f"found {aio.get_event_loop()!r}")
        except RuntimeError:
            return "RuntimeError"

    assert in_thread(set_here_and_ask_there) == "RuntimeError"


@requirement("set_event_loop/affects-calling-thread-only")
def test_setting_the_current_loop_leaves_that_of_another_thread(
    loop: AbstractEventLoop, aio: Any, target: Target
) -> None:
    def set_here_then_another_there() -> bool:
        aio.set_event_loop(loop)
        in_thread(lambda: aio.set_event_loop(other))
        return aio.get_event_loop() is loop

    with contextlib.closing(target.make_loop()) as other:
        assert in_thread(set_here_then_another_there) is True


@on_loops(PLAIN, DEBUG)
@requirement("loop.call_soon_threadsafe/callable-from-any-thread")
def test_a_thread_wakes_the_idle_loop_every_time(loop: AbstractEventLoop) -> None:
    def call_and_wait() -> int:
        for answered in range(50):
            ran = threading.Event()
            loop.call_soon_threadsafe(ran.set)
            if not ran.wait(GENEROUS):
                return answered
        return 50

    assert run_beside(loop, call_and_wait) == 50


@requirement("loop.call_soon_threadsafe/callable-from-any-thread")
def test_the_callback_of_another_thread_runs_in_the_loops_thread(loop: AbstractEventLoop) -> None:
    threads: list[threading.Thread] = []
    run_beside(loop, lambda: loop.call_soon_threadsafe(lambda: threads.append(threading.current_thread())))
    assert threads == [threading.current_thread()]


@requirement("loop.call_soon_threadsafe/callable-from-any-thread")
def test_what_a_thread_scheduled_before_the_loop_runs_is_not_lost(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    in_thread(lambda: loop.call_soon_threadsafe(calls.append, "before the first run"))
    run_one_pass(loop)
    in_thread(lambda: loop.call_soon_threadsafe(calls.append, "between two runs"))
    run_one_pass(loop)
    assert calls == ["before the first run", "between two runs"]


@requirement("loop.call_soon_threadsafe/callable-from-any-thread")
def test_a_thread_may_schedule_more_than_any_wake_up_channel_holds(loop: AbstractEventLoop) -> None:
    order: list[int] = []

    def schedule_all() -> None:
        for n in range(MANY):
            loop.call_soon_threadsafe(order.append, n)

    in_thread(schedule_all)
    run_until(loop, lambda: len(order) >= MANY)
    assert order == list(range(MANY))


@requirement("loop.call_soon_threadsafe/callable-from-any-thread")
def test_the_loop_can_still_be_woken_after_its_wake_up_channel_was_full(loop: AbstractEventLoop) -> None:
    def schedule_while_the_loop_is_busy() -> None:
        for _ in range(MANY):
            loop.call_soon_threadsafe(int)

    loop.call_soon(in_thread, schedule_while_the_loop_is_busy)
    run_one_pass(loop)
    run_one_pass(loop)

    def call_and_wait() -> bool:
        ran = threading.Event()
        loop.call_soon_threadsafe(ran.set)
        return ran.wait(GENEROUS)

    assert run_beside(loop, call_and_wait) is True


@on_loops(PLAIN, DEBUG)
@requirement("loop.call_soon_threadsafe/callable-from-any-thread")
def test_many_threads_schedule_at_once_and_nothing_is_lost_doubled_or_reordered(loop: AbstractEventLoop) -> None:
    order: list[tuple[int, int]] = []
    together = threading.Barrier(THREADS)

    def schedule(thread: int) -> None:
        together.wait(GENEROUS)
        for n in range(POSTS):
            loop.call_soon_threadsafe(order.append, (thread, n))

    def schedule_from_all() -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(schedule, range(THREADS)))

    run_beside(loop, schedule_from_all)
    by_thread = [[n for thread, n in order if thread == each] for each in range(THREADS)]
    assert by_thread == [list(range(POSTS))] * THREADS


@requirement("loop.call_soon_threadsafe/callable-from-any-thread")
def test_a_thread_may_schedule_while_the_loop_closes(target: Target) -> None:
    def schedule_until_closed(loop: AbstractEventLoop, started: threading.Event) -> None:
        while not loop.is_closed():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(int)
            started.set()

    for _ in range(10):
        loop, started = target.make_loop(), threading.Event()
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(schedule_until_closed, loop, started)
            assert started.wait(GENEROUS)
            run_one_pass(loop)
            loop.close()
            assert job.exception(GENEROUS) is None


@requirement("loop.call_soon_threadsafe/callable-from-any-thread")
def test_stop_reaches_an_idle_loop_from_another_thread(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    rescue = loop.call_later(GENEROUS, calls.append, "the loop was woken by a timer only")
    run_beside(loop, lambda: loop.call_soon_threadsafe(loop.stop))
    rescue.cancel()
    assert calls == []


def calls_refused_elsewhere(loop: AbstractEventLoop, call: Callable[[], object]) -> str:
    """What ``call()`` does in a thread other than that of the running ``loop``."""

    def try_it() -> str:
        try:
            call()
        except RuntimeError:
            return "RuntimeError"
        return "accepted"

    return run_beside(loop, try_it)


@on_loops(DEBUG)
@requirement("loop.call_soon/not-thread-safe", "AbstractEventLoop/not-thread-safe")
def test_in_debug_mode_call_soon_refuses_another_thread(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    outcome = calls_refused_elsewhere(loop, lambda: loop.call_soon(calls.append, "called"))
    run_one_pass(loop)
    assert (outcome, calls) == ("RuntimeError", [])


@on_loops(DEBUG)
@requirement("AbstractEventLoop/not-thread-safe")
def test_in_debug_mode_timers_refuse_another_thread(loop: AbstractEventLoop) -> None:
    outcomes = [
        calls_refused_elsewhere(loop, lambda: loop.call_later(0, int)),
        calls_refused_elsewhere(loop, lambda: loop.call_at(loop.time(), int)),
    ]
    assert outcomes == ["RuntimeError", "RuntimeError"]


@on_loops(DEBUG)
@requirement("AbstractEventLoop/not-thread-safe")
def test_in_debug_mode_call_soon_threadsafe_accepts_another_thread(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    outcome = calls_refused_elsewhere(loop, lambda: loop.call_soon_threadsafe(calls.append, "called"))
    assert (outcome, calls) == ("accepted", ["called"])


@requirement("loop.add_signal_handler/main-thread-only")
def test_a_signal_handler_cannot_be_added_in_another_thread(loop: AbstractEventLoop) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    # RuntimeError is for trouble in setting up the handler, ValueError is what signal.signal() raises here.
    with pytest.raises((RuntimeError, ValueError)):
        in_thread(lambda: loop.add_signal_handler(signal.SIGUSR1, int))
    assert signal.getsignal(signal.SIGUSR1) == before
