"""Scheduling callbacks: ``loop.call_soon()`` and ``loop.call_soon_threadsafe()``."""

from __future__ import annotations

import contextlib
import functools
import itertools
import socket
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.threads import in_thread
from conformance.support.waiting import run_one_pass

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.programs import RunProgram

colour: ContextVar[str] = ContextVar("colour", default="none")

# Enough for every internal buffer of callbacks that we know to grow or wrap around at least once.
MANY = 5_000


@on_loops(PLAIN, DEBUG)
@requirement("loop.call_soon/fifo-order")
def test_callbacks_run_in_the_order_they_were_scheduled(loop: AbstractEventLoop) -> None:
    order: list[int] = []
    for n in range(100):
        loop.call_soon(order.append, n)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert order == list(range(100))


@requirement("loop.call_soon/fifo-order", "loop.call_soon/runs-once")
def test_thousands_of_callbacks_run_once_each_and_in_order(loop: AbstractEventLoop) -> None:
    order: list[int] = []
    for n in range(MANY):
        loop.call_soon(order.append, n)
    run_one_pass(loop)
    assert order == list(range(MANY))


@requirement("loop.call_soon/fifo-order")
def test_callbacks_scheduled_by_callbacks_keep_their_order(loop: AbstractEventLoop) -> None:
    order: list[str] = []
    for name in "abc":
        loop.call_soon(lambda name: loop.call_soon(order.append, name), name)
    run_one_pass(loop)
    run_one_pass(loop)
    assert order == ["a", "b", "c"]


@requirement("loop.call_soon/fifo-order")
def test_cancelling_callbacks_leaves_the_order_of_the_others(loop: AbstractEventLoop) -> None:
    order: list[int] = []
    handles = [loop.call_soon(order.append, n) for n in range(10)]
    for handle in handles[::3]:
        handle.cancel()
    run_one_pass(loop)
    assert order == [1, 2, 4, 5, 7, 8]


@requirement("loop.call_soon/fifo-order", "loop.call_soon_threadsafe/otherwise-like-call-soon")
def test_both_ways_of_scheduling_share_one_order(loop: AbstractEventLoop) -> None:
    order: list[int] = []
    schedulers = itertools.cycle([loop.call_soon, loop.call_soon_threadsafe, loop.call_soon_threadsafe])
    for n, schedule in zip(range(9), schedulers, strict=False):
        schedule(order.append, n)
    run_one_pass(loop)
    assert order == list(range(9))


@on_loops(PLAIN, DEBUG)
@requirement("loop.call_soon/runs-next-iteration")
def test_scheduling_does_not_call_the_callback(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_soon(calls.append, "called")
    assert calls == []


@on_loops(PLAIN, DEBUG)
@requirement("loop.call_soon/runs-next-iteration")
def test_a_callback_scheduled_by_a_callback_waits_until_that_one_returned(loop: AbstractEventLoop) -> None:
    order: list[str] = []

    def outer() -> None:
        order.append("outer begins")
        loop.call_soon(order.append, "inner")
        order.append("outer ends")

    loop.call_soon(outer)
    run_one_pass(loop)
    run_one_pass(loop)
    assert order == ["outer begins", "outer ends", "inner"]


@requirement("loop.call_soon/runs-next-iteration")
def test_a_callback_scheduled_by_a_callback_runs_in_the_very_next_pass(loop: AbstractEventLoop) -> None:
    order: list[str] = []
    loop.call_soon(lambda: loop.call_soon(order.append, "inner"))
    loop.call_soon(order.append, "sibling")
    run_one_pass(loop)
    run_one_pass(loop)
    assert order == ["sibling", "inner"]


@requirement("loop.call_soon/runs-next-iteration")
def test_a_callback_that_reschedules_itself_starves_no_timer(loop: AbstractEventLoop) -> None:
    rounds = itertools.count()
    done: list[str] = []

    def again() -> None:
        next(rounds)
        if not done:
            loop.call_soon(again)

    loop.call_soon(again)
    loop.call_later(0.002, done.append, "timer")
    loop.call_later(0.004, loop.stop)
    loop.run_forever()
    assert done == ["timer"]


@requirement("loop.call_soon/runs-next-iteration")
def test_a_callback_that_reschedules_itself_starves_no_reader(loop: AbstractEventLoop) -> None:
    ours, peers = socket.socketpair()
    done: list[bytes] = []

    def again() -> None:
        if done:
            loop.stop()
        else:
            loop.call_soon(again)

    with ours, peers:
        loop.add_reader(ours.fileno(), lambda: done.append(ours.recv(10)))
        loop.call_soon(again)
        peers.send(b"x")
        loop.run_forever()
        loop.remove_reader(ours.fileno())
    assert done == [b"x"]


@requirement("loop.call_soon/runs-once")
def test_a_callback_runs_once_however_often_the_loop_runs(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_soon(calls.append, "called")
    for _ in range(5):
        run_one_pass(loop)
    assert calls == ["called"]


@requirement("loop.call_soon/runs-once")
def test_one_function_scheduled_several_times_runs_as_often(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    for _ in range(5):
        loop.call_soon(calls.append, "called")
    run_one_pass(loop)
    assert calls == ["called"] * 5


@pytest.mark.usefixtures("reported")
@requirement("loop.call_soon/runs-once")
def test_callbacks_behind_one_that_raises_run_once(loop: AbstractEventLoop) -> None:
    calls: list[str] = []

    def fail() -> None:
        raise LookupError("expected")

    loop.call_soon(calls.append, "before")
    loop.call_soon(fail)
    loop.call_soon(calls.append, "behind")
    run_one_pass(loop)
    run_one_pass(loop)
    assert calls == ["before", "behind"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@requirement("loop.call_soon/runs-once")
def test_callbacks_behind_one_that_interrupts_the_loop_run_once(
    loop: AbstractEventLoop, error: type[BaseException]
) -> None:
    calls: list[str] = []

    def interrupt() -> None:
        calls.append("interrupting")
        raise error

    loop.call_soon(interrupt)
    loop.call_soon(calls.append, "behind")
    loop.call_soon(loop.stop)
    with contextlib.suppress(error):
        loop.run_forever()
    for _ in range(3):
        run_one_pass(loop)
    assert calls == ["interrupting", "behind"]


@pytest.mark.parametrize("arguments", [(), (None,), (1, "two", [3]), tuple(range(20))], ids=["0", "1", "3", "20"])
@requirement("loop.call_soon/forwards-positional-arguments")
def test_positional_arguments_reach_the_callback(loop: AbstractEventLoop, arguments: tuple[object, ...]) -> None:
    calls: list[tuple[object, ...]] = []
    loop.call_soon(lambda *args: calls.append(args), *arguments)
    run_one_pass(loop)
    assert calls == [arguments]


@requirement("loop.call_soon/forwards-positional-arguments")
def test_arguments_reach_the_callback_as_the_same_objects(loop: AbstractEventLoop) -> None:
    argument = object()
    received: list[object] = []
    loop.call_soon(received.append, argument)
    run_one_pass(loop)
    assert [item is argument for item in received] == [True]


@requirement("loop.call_soon/returns-handle")
def test_call_soon_returns_a_handle(loop: AbstractEventLoop, aio: Any) -> None:
    assert isinstance(loop.call_soon(lambda: None), aio.Handle)


@requirement("loop.call_soon/returns-handle")
def test_cancelling_the_returned_handle_prevents_the_callback(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_soon(calls.append, "kept")
    loop.call_soon(calls.append, "cancelled").cancel()
    run_one_pass(loop)
    run_one_pass(loop)
    assert calls == ["kept"]


@requirement("loop.call_soon/accepts-context-keyword")
def test_a_callback_runs_in_the_given_context(loop: AbstractEventLoop) -> None:
    context = copy_context()
    context.run(colour.set, "red")
    seen: list[str] = []
    loop.call_soon(lambda: seen.append(colour.get()), context=context)
    run_one_pass(loop)
    assert seen == ["red"]


@requirement("loop.call_soon/accepts-context-keyword")
def test_a_callback_changes_the_given_context_and_no_other(loop: AbstractEventLoop) -> None:
    context = copy_context()
    loop.call_soon(colour.set, "red", context=context)
    run_one_pass(loop)
    assert (context[colour], colour.get()) == ("red", "none")


@requirement("loop.call_soon/accepts-context-keyword")
def test_callbacks_given_one_context_share_it(loop: AbstractEventLoop) -> None:
    context = copy_context()
    seen: list[str] = []
    loop.call_soon(colour.set, "red", context=context)
    loop.call_soon(lambda: seen.append(colour.get()), context=context)
    run_one_pass(loop)
    assert seen == ["red"]


@requirement("loop.call_soon/accepts-context-keyword")
def test_the_context_is_keyword_only(loop: AbstractEventLoop) -> None:
    context = copy_context()
    received: list[object] = []
    loop.call_soon(received.append, context)
    run_one_pass(loop)
    assert received == [context]


@pytest.mark.parametrize("given", [{}, {"context": None}], ids=["left-out", "None"])
@requirement("loop.call_soon/default-context-is-current")
def test_without_a_context_a_callback_sees_the_values_of_the_moment_it_was_scheduled(
    loop: AbstractEventLoop, given: dict[str, Any]
) -> None:
    seen: list[str] = []

    def schedule_between_two_values() -> None:
        colour.set("red")
        loop.call_soon(lambda: seen.append(colour.get()), **given)
        colour.set("blue")

    copy_context().run(schedule_between_two_values)
    run_one_pass(loop)
    assert seen == ["red"]


@requirement("loop.call_soon/default-context-is-current")
def test_a_callback_without_a_context_changes_nobody_elses(loop: AbstractEventLoop) -> None:
    seen: list[str] = []
    loop.call_soon(colour.set, "red")
    loop.call_soon(lambda: seen.append(colour.get()))
    run_one_pass(loop)
    assert (seen, colour.get()) == (["none"], "none")


@requirement("loop.call_soon/default-context-is-current")
def test_a_callback_hands_its_context_on_to_those_it_schedules(loop: AbstractEventLoop) -> None:
    context = copy_context()
    context.run(colour.set, "red")
    seen: list[str] = []
    loop.call_soon(lambda: loop.call_soon(lambda: seen.append(colour.get())), context=context)
    run_one_pass(loop)
    run_one_pass(loop)
    assert seen == ["red"]


@pytest.mark.usefixtures("reported")
@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
@requirement("loop.call_soon/accepts-context-keyword")
def test_the_context_is_left_again_when_the_callback_raises(
    loop: AbstractEventLoop, error: type[BaseException]
) -> None:
    context = copy_context()
    context.run(colour.set, "red")

    def fail() -> None:
        raise error

    loop.call_soon(fail, context=context)
    with contextlib.suppress(KeyboardInterrupt):
        run_one_pass(loop)
    assert (colour.get(), context.run(colour.get)) == ("none", "red")


@requirement("loop.call_soon/keywords-need-partial")
def test_keyword_arguments_for_the_callback_are_refused(loop: AbstractEventLoop) -> None:
    schedule: Any = loop.call_soon
    calls: list[dict[str, int]] = []
    with pytest.raises(TypeError):
        schedule(lambda **kwargs: calls.append(kwargs), flavour=1)
    run_one_pass(loop)
    assert calls == []


@requirement("loop.call_soon/keywords-need-partial")
def test_partial_passes_keyword_arguments(loop: AbstractEventLoop) -> None:
    calls: list[tuple[int, dict[str, int]]] = []
    loop.call_soon(functools.partial(lambda n, **kwargs: calls.append((n, kwargs)), flavour=2), 1)
    run_one_pass(loop)
    assert calls == [(1, {"flavour": 2})]


@requirement("loop.call_soon_threadsafe/otherwise-like-call-soon")
def test_threadsafe_callbacks_run_once_each_and_in_order(loop: AbstractEventLoop) -> None:
    order: list[int] = []
    for n in range(MANY):
        loop.call_soon_threadsafe(order.append, n)
    run_one_pass(loop)
    run_one_pass(loop)
    assert order == list(range(MANY))


@requirement("loop.call_soon_threadsafe/otherwise-like-call-soon")
def test_a_threadsafe_callback_is_never_called_at_once(loop: AbstractEventLoop) -> None:
    order: list[str] = []

    def outer() -> None:
        loop.call_soon_threadsafe(order.append, "inner")
        order.append("outer")

    loop.call_soon_threadsafe(outer)
    assert order == []
    run_one_pass(loop)
    run_one_pass(loop)
    assert order == ["outer", "inner"]


@requirement("loop.call_soon_threadsafe/otherwise-like-call-soon")
def test_positional_arguments_reach_a_threadsafe_callback(loop: AbstractEventLoop) -> None:
    calls: list[tuple[object, ...]] = []
    loop.call_soon_threadsafe(lambda *args: calls.append(args), 1, None, "three")
    run_one_pass(loop)
    assert calls == [(1, None, "three")]


@requirement("loop.call_soon_threadsafe/otherwise-like-call-soon")
def test_call_soon_threadsafe_returns_a_handle_that_cancels(loop: AbstractEventLoop, aio: Any) -> None:
    calls: list[str] = []
    handle = loop.call_soon_threadsafe(calls.append, "cancelled")
    assert isinstance(handle, aio.Handle)
    handle.cancel()
    run_one_pass(loop)
    assert calls == []


@requirement("loop.call_soon_threadsafe/otherwise-like-call-soon")
def test_keyword_arguments_for_a_threadsafe_callback_are_refused(loop: AbstractEventLoop) -> None:
    schedule: Any = loop.call_soon_threadsafe
    with pytest.raises(TypeError):
        schedule(lambda **_: None, flavour=1)


@requirement("loop.call_soon_threadsafe/accepts-context-keyword")
def test_a_threadsafe_callback_runs_in_the_given_context(loop: AbstractEventLoop) -> None:
    context = copy_context()
    context.run(colour.set, "red")
    seen: list[str] = []

    def look_and_change() -> None:
        seen.append(colour.get())
        colour.set("blue")

    in_thread(lambda: loop.call_soon_threadsafe(look_and_change, context=context))
    run_one_pass(loop)
    assert (seen, context[colour], colour.get()) == (["red"], "blue", "none")


@requirement("loop.call_soon_threadsafe/otherwise-like-call-soon")
def test_without_a_context_a_threadsafe_callback_sees_the_values_of_the_calling_thread(
    loop: AbstractEventLoop,
) -> None:
    seen: list[str] = []

    def schedule_between_two_values() -> None:
        colour.set("red")
        loop.call_soon_threadsafe(lambda: seen.append(colour.get()))
        colour.set("blue")

    in_thread(schedule_between_two_values)
    run_one_pass(loop)
    assert (seen, colour.get()) == (["red"], "none")


HELLO_WORLD = """
loop = make_loop()

def greet():
    print("Hello World")
    loop.stop()

loop.call_soon(greet)
try:
    loop.run_forever()
finally:
    loop.close()
"""


@requirement("examples/hello-world-with-call-soon")
def test_the_hello_world_program_greets_stops_and_exits(run_program: RunProgram) -> None:
    finished = run_program(HELLO_WORLD)
    assert (finished.stdout, finished.stderr, finished.returncode) == ("Hello World\n", "", 0)
