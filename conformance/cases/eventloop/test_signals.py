"""Signals: ``loop.add_signal_handler()``, ``loop.remove_signal_handler()``, and Python's own handlers beside them."""

from __future__ import annotations

import functools
import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.threads import in_thread, run_beside
from conformance.support.waiting import GENEROUS, run_one_pass, run_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterator

    from conformance.support.programs import RunProgram
    from conformance.target import Target

# Looked up, for Windows has neither; the second is ignored by default, so that it may come without a handler.
SIGNAL: Any = getattr(signal, "SIGUSR1", None)
HARMLESS: Any = getattr(signal, "SIGURG", None)

# Seconds between two signals to a loop that may have missed the first.
RESEND = 0.05
ROUNDS = 200


def send(number: int = SIGNAL) -> None:
    """Send a signal to this process; its handler in C has run when this returns."""
    signal.raise_signal(number)


@on_loops(PLAIN, DEBUG)
@requirement("loop.add_signal_handler/calls-callback-on-signal")
def test_a_signal_calls_the_callback_with_its_arguments(loop: AbstractEventLoop) -> None:
    calls: list[tuple[object, ...]] = []
    loop.add_signal_handler(SIGNAL, lambda *args: calls.append(args), 1, "two", None)
    loop.call_soon(send)
    run_until(loop, lambda: bool(calls))
    run_one_pass(loop)
    assert calls == [(1, "two", None)]


@requirement("loop.add_signal_handler/calls-callback-on-signal")
def test_a_callback_without_arguments_is_called_without_any(loop: AbstractEventLoop) -> None:
    calls: list[tuple[object, ...]] = []
    loop.add_signal_handler(SIGNAL, lambda *args: calls.append(args))
    loop.call_soon(send)
    run_until(loop, lambda: bool(calls))
    assert calls == [()]


@requirement("loop.add_signal_handler/calls-callback-on-signal")
def test_adding_a_handler_does_not_call_it(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.add_signal_handler(SIGNAL, calls.append, "called")
    run_one_pass(loop)
    assert calls == []


@requirement("loop.add_signal_handler/calls-callback-on-signal")
def test_every_time_the_signal_comes_the_callback_is_called(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.add_signal_handler(SIGNAL, calls.append, "called")
    for times in range(1, 6):
        loop.call_soon(send)
        run_until(loop, lambda times=times: len(calls) == times)  # type: ignore[misc]
    assert calls == ["called"] * 5


@requirement("loop.add_signal_handler/calls-callback-on-signal")
def test_each_signal_calls_its_own_callback(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.add_signal_handler(signal.SIGUSR1, calls.append, "one")
    loop.add_signal_handler(signal.SIGUSR2, calls.append, "two")
    loop.call_soon(send, signal.SIGUSR2)
    run_until(loop, lambda: bool(calls))
    loop.call_soon(send, signal.SIGUSR1)
    run_until(loop, lambda: len(calls) == 2)
    assert calls == ["two", "one"]


@requirement("loop.add_signal_handler/calls-callback-on-signal")
def test_signals_that_come_together_call_their_callbacks(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.add_signal_handler(signal.SIGUSR1, calls.append, "one")
    loop.add_signal_handler(signal.SIGUSR2, calls.append, "two")

    def send_both() -> None:
        send(signal.SIGUSR1)
        send(signal.SIGUSR2)

    loop.call_soon(send_both)
    run_until(loop, lambda: len(calls) >= 2)
    assert sorted(calls) == ["one", "two"]


@on_loops(PLAIN, DEBUG)
@requirement("loop.add_signal_handler/calls-callback-on-signal")
def test_a_signal_wakes_a_loop_that_has_nothing_else_to_do(loop: AbstractEventLoop) -> None:
    called = threading.Event()
    loop.add_signal_handler(SIGNAL, called.set)

    def signal_and_wait() -> bool:
        called.clear()
        os.kill(os.getpid(), SIGNAL)
        return called.wait(GENEROUS)

    assert run_beside(loop, lambda: all(signal_and_wait() for _ in range(5))), "the loop was not woken"


@requirement("loop.add_signal_handler/calls-callback-on-signal")
def test_a_handler_outlasts_the_end_of_a_run(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.add_signal_handler(SIGNAL, calls.append, "called")
    run_one_pass(loop)
    loop.call_soon(send)
    run_until(loop, lambda: bool(calls))
    assert calls == ["called"]


@requirement("loop.add_signal_handler/calls-callback-on-signal")
async def test_a_handler_can_be_added_while_the_loop_runs(loop: AbstractEventLoop) -> None:
    received = loop.create_future()
    loop.add_signal_handler(SIGNAL, received.set_result, "received")
    send()
    assert await received == "received"


@on_loops(PLAIN, DEBUG)
@requirement("loop.add_signal_handler/callback-may-use-loop")
def test_a_signal_interrupts_no_callback(loop: AbstractEventLoop) -> None:
    order: list[str] = []

    def interrupted() -> None:
        send()
        order.append("callback ends")

    loop.add_signal_handler(SIGNAL, order.append, "signal")
    loop.call_soon(interrupted)
    run_until(loop, lambda: len(order) == 2)
    assert order == ["callback ends", "signal"]


@requirement("loop.add_signal_handler/callback-may-use-loop")
def test_a_signals_callback_runs_in_the_loops_thread_with_the_loop_running(loop: AbstractEventLoop, aio: Any) -> None:
    places: list[tuple[object, int]] = []
    loop.add_signal_handler(SIGNAL, lambda: places.append((aio.get_running_loop(), threading.get_ident())))
    loop.call_soon(send)
    run_until(loop, lambda: bool(places))
    assert places == [(loop, threading.get_ident())]


@requirement("loop.add_signal_handler/callback-may-use-loop")
def test_a_signals_callback_may_schedule_callbacks_and_tasks(loop: AbstractEventLoop) -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("task")

    def handle() -> None:
        loop.call_soon(done.append, "callback")
        loop.call_later(0.001, done.append, "timer")
        loop.create_task(work())

    loop.add_signal_handler(SIGNAL, handle)
    loop.call_soon(send)
    run_until(loop, lambda: len(done) == 3)
    assert sorted(done) == ["callback", "task", "timer"]


@on_loops(PLAIN, DEBUG)
@requirement("loop.add_signal_handler/callback-may-use-loop")
def test_a_signals_callback_may_stop_the_loop(loop: AbstractEventLoop) -> None:
    loop.add_signal_handler(SIGNAL, loop.stop)
    guard = loop.call_later(GENEROUS, loop.stop)
    loop.call_soon(send)
    loop.run_forever()
    assert loop.time() < guard.when()


@requirement("loop.add_signal_handler/callback-may-use-loop")
def test_a_signals_callback_may_remove_its_own_handler(loop: AbstractEventLoop) -> None:
    answers: list[bool] = []
    loop.add_signal_handler(HARMLESS, lambda: answers.append(loop.remove_signal_handler(HARMLESS)))
    loop.call_soon(send, HARMLESS)
    run_until(loop, lambda: bool(answers))
    assert answers == [True]
    assert loop.remove_signal_handler(HARMLESS) is False


@requirement("loop.add_signal_handler/keywords-need-partial")
def test_keyword_arguments_are_refused(loop: Any) -> None:
    with pytest.raises(TypeError):
        loop.add_signal_handler(SIGNAL, dict, colour="red")
    assert loop.remove_signal_handler(SIGNAL) is False


@requirement("loop.add_signal_handler/keywords-need-partial")
def test_a_partial_passes_keyword_arguments(loop: AbstractEventLoop) -> None:
    calls: list[dict[str, str]] = []
    loop.add_signal_handler(SIGNAL, functools.partial(lambda **kwargs: calls.append(kwargs), colour="red"))
    loop.call_soon(send)
    run_until(loop, lambda: bool(calls))
    assert calls == [{"colour": "red"}]


@requirement("loop.add_signal_handler/replaces-previous-handler")
def test_a_handler_replaces_the_former_one_of_the_same_signal(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    for name in "first", "second", "third":
        loop.add_signal_handler(SIGNAL, calls.append, name)
    loop.call_soon(send)
    run_until(loop, lambda: bool(calls))
    run_one_pass(loop)
    assert calls == ["third"]


@requirement(
    "loop.add_signal_handler/replaces-previous-handler", "loop.remove_signal_handler/returns-true-when-removed"
)
def test_a_replaced_handler_is_removed_only_once(loop: AbstractEventLoop) -> None:
    for name in "first", "second":
        loop.add_signal_handler(SIGNAL, print, name)
    assert [loop.remove_signal_handler(SIGNAL) for _ in range(2)] == [True, False]


@requirement("loop.remove_signal_handler/returns-true-when-removed")
def test_a_removed_handler_is_not_called(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.add_signal_handler(HARMLESS, calls.append, "removed")
    loop.add_signal_handler(SIGNAL, calls.append, "kept")
    assert loop.remove_signal_handler(HARMLESS) is True

    def send_both() -> None:
        send(HARMLESS)
        send(SIGNAL)

    loop.call_soon(send_both)
    run_until(loop, lambda: bool(calls))
    run_one_pass(loop)
    assert calls == ["kept"]


@requirement("loop.remove_signal_handler/returns-true-when-removed")
def test_a_handler_can_be_added_again_after_it_was_removed(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.add_signal_handler(SIGNAL, calls.append, "first")
    assert loop.remove_signal_handler(SIGNAL) is True
    loop.add_signal_handler(SIGNAL, calls.append, "second")
    loop.call_soon(send)
    run_until(loop, lambda: bool(calls))
    assert calls == ["second"]


@requirement("loop.remove_signal_handler/returns-true-when-removed")
def test_removing_one_handler_keeps_those_of_other_signals(loop: AbstractEventLoop) -> None:
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.add_signal_handler(signal.SIGUSR2, print)
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop.remove_signal_handler(signal.SIGUSR2) is True


@requirement("loop.remove_signal_handler/returns-false-without-handler")
def test_removing_a_handler_that_was_never_added_says_so(loop: AbstractEventLoop) -> None:
    assert loop.remove_signal_handler(SIGNAL) is False


@requirement("loop.remove_signal_handler/returns-false-without-handler")
def test_a_handler_of_pythons_own_is_none_of_the_loops(loop: AbstractEventLoop) -> None:
    former = signal.signal(SIGNAL, lambda *_: None)
    try:
        assert loop.remove_signal_handler(SIGNAL) is False
    finally:
        signal.signal(SIGNAL, former)


@pytest.mark.parametrize("number", [-1, 0, signal.NSIG, 1000])
@requirement("loop.add_signal_handler/raises-for-invalid-signal")
def test_an_invalid_signal_number_is_refused(loop: AbstractEventLoop, number: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the documentation promises no message
        loop.add_signal_handler(number, print)


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"])
@requirement(
    "loop.add_signal_handler/raises-for-invalid-signal", "loop.add_signal_handler/raises-when-installing-fails"
)
def test_a_signal_that_cannot_be_caught_is_refused(loop: AbstractEventLoop, name: str) -> None:
    number = getattr(signal, name)
    # The documentation names both: one for uncatchable signals, the other for handlers that cannot be set up.
    with pytest.raises((ValueError, RuntimeError)):
        loop.add_signal_handler(number, print)


@requirement("loop.add_signal_handler/raises-when-installing-fails")
def test_a_signal_that_was_refused_leaves_the_others_working(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with pytest.raises((ValueError, RuntimeError)):
        loop.add_signal_handler(signal.SIGKILL, print)
    loop.add_signal_handler(SIGNAL, calls.append, "called")
    loop.call_soon(send)
    run_until(loop, lambda: bool(calls))
    assert calls == ["called"]


def add_in_other_thread(target: Target) -> str:
    """Add a signal handler to a loop that runs in another thread; the name of the exception that it raises."""

    def work() -> str:
        loop = target.make_loop()

        async def main() -> None:
            loop.add_signal_handler(SIGNAL, print)

        try:
            loop.run_until_complete(main())
        except Exception as error:
            return type(error).__name__
        else:
            return "nothing"
        finally:
            loop.close()

    return in_thread(work)


@requirement("concurrency/signals-require-main-thread")
def test_a_loop_that_runs_in_another_thread_takes_no_signal_handler(target: Target) -> None:
    # ValueError is what signal.signal() raises there, and the documentation compares the two.
    assert add_in_other_thread(target) in ("RuntimeError", "ValueError")


@requirement("loop.add_signal_handler/raises-when-installing-fails")
def test_a_handler_that_cannot_be_set_up_in_this_thread_is_a_runtime_error(target: Target) -> None:
    assert add_in_other_thread(target) == "RuntimeError"


@requirement("concurrency/signals-require-main-thread")
def test_a_signal_handler_is_not_added_from_another_thread(loop: AbstractEventLoop) -> None:
    with pytest.raises((RuntimeError, ValueError)):
        in_thread(lambda: loop.add_signal_handler(SIGNAL, print))
    assert loop.remove_signal_handler(SIGNAL) is False


@requirement("loop.add_signal_handler/unsupported-on-windows")
def test_windows_has_no_signal_handlers_to_add(loop: AbstractEventLoop) -> None:
    with pytest.raises(NotImplementedError):
        loop.add_signal_handler(signal.SIGINT, print)


@requirement("loop.remove_signal_handler/unsupported-on-windows")
def test_windows_has_no_signal_handlers_to_remove(loop: AbstractEventLoop) -> None:
    with pytest.raises(NotImplementedError):
        loop.remove_signal_handler(signal.SIGINT)


@contextmanager
def pythons_handler(function: Callable[[], object]) -> Iterator[None]:
    """Have Python call ``function()`` itself when ``SIGNAL`` comes, without the loop."""

    def handle(*_: object) -> None:
        function()

    former = signal.signal(SIGNAL, handle)
    try:
        yield
    finally:
        signal.signal(SIGNAL, former)


@on_loops(PLAIN, DEBUG)
@requirement("loop.call_soon_threadsafe/callable-from-signal-handler")
def test_a_signal_handler_of_pythons_own_may_schedule_a_callback(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with pythons_handler(lambda: loop.call_soon_threadsafe(calls.append, "called")):
        loop.call_soon(send)
        run_until(loop, lambda: bool(calls))
    assert calls == ["called"]


@requirement("loop.call_soon_threadsafe/callable-from-signal-handler")
def test_a_callback_that_a_signal_handler_schedules_wakes_the_loop(loop: AbstractEventLoop) -> None:
    called, loops_thread = threading.Event(), threading.get_ident()

    def signal_until_called() -> bool:
        # A signal that comes just before the loop begins to wait does not interrupt the wait; so one is not enough.
        for _ in range(int(GENEROUS / RESEND)):
            signal.pthread_kill(loops_thread, SIGNAL)
            if called.wait(RESEND):
                return True
        return False

    with pythons_handler(lambda: loop.call_soon_threadsafe(called.set)):
        assert run_beside(loop, signal_until_called), "the loop was not woken"


@requirement("loop.call_soon_threadsafe/callable-from-signal-handler")
def test_scheduling_may_be_interrupted_by_a_signal_handler_that_schedules(loop: AbstractEventLoop) -> None:
    calls: list[int] = []
    with pythons_handler(lambda: loop.call_soon_threadsafe(calls.append, 1)):
        for _ in range(ROUNDS):
            loop.call_soon_threadsafe(calls.append, 0)
            send()
        run_until(loop, lambda: len(calls) == 2 * ROUNDS)
    assert calls == [0, 1] * ROUNDS


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@requirement("examples/set-signal-handlers-for-sigint-and-sigterm")
def test_a_program_may_end_itself_in_order_when_it_is_told_to(run_program: RunProgram, name: str) -> None:
    program = f"""
import os, signal, threading

loop = make_loop()

def end(name):
    print("got", name)
    loop.stop()

for name in "SIGINT", "SIGTERM":
    loop.add_signal_handler(getattr(signal, name), end, name)
loop.call_soon(threading.Thread(target=os.kill, args=(os.getpid(), signal.{name})).start)
loop.run_forever()
loop.close()
print("closed")
"""
    ended = run_program(program)
    assert (ended.stdout, ended.returncode) == (f"got {name}\nclosed\n", 0), ended.stderr
