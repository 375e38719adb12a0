"""Where a loop's errors go: ``loop.call_exception_handler()`` and the handlers that it calls."""

from __future__ import annotations

import gc
import signal
import socket
import traceback
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.logs import logged_errors
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.waiting import GENEROUS, run_one_pass, run_until

if TYPE_CHECKING:
    import logging
    from asyncio import AbstractEventLoop
    from contextvars import Context

colour: ContextVar[str] = ContextVar("colour", default="none")


def fail(*_: object) -> None:
    """Raise a LookupError: the callback of most cases."""
    raise LookupError("raised in a callback")


def failing_with(error: Exception) -> Callable[..., None]:
    """A callback that raises ``error``."""

    def fail(*_: object) -> None:
        raise error

    return fail


def coloured(value: str) -> Context:
    """A context in which ``colour`` is ``value``."""
    context = copy_context()
    context.run(colour.set, value)
    return context


def by_call_soon(loop: AbstractEventLoop, callback: Callable[..., object]) -> None:
    loop.call_soon(callback)


def by_call_soon_threadsafe(loop: AbstractEventLoop, callback: Callable[..., object]) -> None:
    loop.call_soon_threadsafe(callback)


def by_call_later(loop: AbstractEventLoop, callback: Callable[..., object]) -> None:
    loop.call_later(0.001, callback)


def by_call_at(loop: AbstractEventLoop, callback: Callable[..., object]) -> None:
    loop.call_at(loop.time(), callback)


def by_done_callback(loop: AbstractEventLoop, callback: Callable[..., object]) -> None:
    future = loop.create_future()
    future.add_done_callback(callback)
    future.set_result(None)


def by_task_done_callback(loop: AbstractEventLoop, callback: Callable[..., object]) -> None:
    async def end() -> None:
        pass

    loop.create_task(end()).add_done_callback(callback)


Way = Callable[["AbstractEventLoop", Callable[..., object]], None]
WAYS: list[Way] = [
    by_call_soon,
    by_call_soon_threadsafe,
    by_call_later,
    by_call_at,
    by_done_callback,
    by_task_done_callback,
]
each_way = pytest.mark.parametrize("schedule", WAYS, ids=lambda way: way.__name__[3:])


@each_way
@on_loops(PLAIN, DEBUG)
@requirement(
    "loop.call_exception_handler/callback-error-keeps-loop-running",
    "loop.call_exception_handler/context-holds-raised-exception",
    "loop.call_exception_handler/context-always-has-message",
)
def test_the_error_of_a_callback_is_reported_once_with_message_and_exception(
    loop: AbstractEventLoop, reported: list[dict[str, Any]], schedule: Way
) -> None:
    error = LookupError("raised in a callback")
    schedule(loop, failing_with(error))
    run_until(loop, lambda: bool(reported))
    run_one_pass(loop)
    assert [type(context.get("message")) for context in reported] == [str]
    assert [context.get("exception") for context in reported] == [error]


@each_way
@requirement("loop.call_exception_handler/callback-error-keeps-loop-running")
def test_after_the_error_of_a_callback_the_others_run_and_the_run_goes_on(
    loop: AbstractEventLoop, reported: list[dict[str, Any]], schedule: Way
) -> None:
    order: list[str] = []

    def go_on() -> None:
        if reported:
            order.append("later")
            loop.stop()
        else:
            loop.call_later(0.001, go_on)

    loop.call_soon(order.append, "before")
    schedule(loop, fail)
    loop.call_soon(order.append, "after")
    loop.call_soon(go_on)
    loop.call_later(GENEROUS, loop.stop)
    loop.run_forever()
    assert order == ["before", "after", "later"]


@requirement("loop.call_exception_handler/callback-error-keeps-loop-running")
def test_an_error_without_a_handler_keeps_the_loop_running(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    order: list[str] = []
    loop.call_soon(fail)
    loop.call_soon(order.append, "after")
    run_one_pass(loop)
    assert order == ["after"]
    assert len(logged_errors(asyncio_log)) == 1


@requirement("loop.call_exception_handler/callback-error-keeps-loop-running")
def test_an_error_in_a_reader_is_reported_and_keeps_the_reader(
    loop: AbstractEventLoop, reported: list[dict[str, Any]]
) -> None:
    near, far = socket.socketpair()

    def read() -> None:
        near.recv(1)
        fail()

    with near, far:
        near.setblocking(False)
        loop.add_reader(near.fileno(), read)
        far.send(b"ab")
        run_until(loop, lambda: len(reported) == 2)
        loop.remove_reader(near.fileno())
    assert [type(context.get("exception")) for context in reported] == [LookupError, LookupError]


@requirement(
    "loop.call_exception_handler/callback-error-keeps-loop-running", "loop.add_signal_handler/calls-callback-on-signal"
)
def test_an_error_in_a_signal_handler_is_reported_and_keeps_the_handler(
    loop: AbstractEventLoop, reported: list[dict[str, Any]]
) -> None:
    loop.add_signal_handler(signal.SIGUSR1, fail)
    for times in 1, 2:
        loop.call_soon(signal.raise_signal, signal.SIGUSR1)
        run_until(loop, lambda times=times: len(reported) == times)  # type: ignore[misc]
    loop.remove_signal_handler(signal.SIGUSR1)
    assert [type(context.get("exception")) for context in reported] == [LookupError, LookupError]


@on_loops(PLAIN, DEBUG)
@requirement("loop.set_exception_handler/handler-called-on-error")
def test_a_handler_is_called_with_the_loop_and_a_dict(loop: AbstractEventLoop) -> None:
    calls: list[tuple[object, ...]] = []
    loop.set_exception_handler(lambda *args: calls.append(args))
    loop.call_soon(fail)
    run_one_pass(loop)
    assert [tuple(map(type, args)) for args in calls] == [(type(loop), dict)]
    assert calls[0][0] is loop


@requirement("loop.set_exception_handler/handler-called-on-error")
def test_with_a_handler_nothing_is_logged(
    loop: AbstractEventLoop, reported: list[dict[str, Any]], asyncio_log: list[logging.LogRecord]
) -> None:
    loop.call_soon(fail)
    run_one_pass(loop)
    assert len(reported) == 1
    assert logged_errors(asyncio_log) == []


@requirement("loop.set_exception_handler/handler-called-on-error", "loop.get_exception_handler/returns-set-handler")
def test_a_handler_replaces_the_former_one(loop: AbstractEventLoop) -> None:
    called: list[str] = []
    loop.set_exception_handler(lambda *_: called.append("first"))
    loop.set_exception_handler(lambda *_: called.append("second"))
    loop.call_soon(fail)
    run_one_pass(loop)
    assert called == ["second"]


@requirement("loop.set_exception_handler/handler-called-on-error")
def test_a_handler_set_while_the_loop_runs_gets_the_next_error(loop: AbstractEventLoop) -> None:
    called: list[str] = []
    loop.call_soon(loop.set_exception_handler, lambda *_: called.append("called"))
    loop.call_soon(fail)
    run_one_pass(loop)
    assert called == ["called"]


@requirement("loop.set_exception_handler/handler-called-on-error")
def test_a_handler_may_use_the_loop(loop: AbstractEventLoop) -> None:
    order: list[str] = []

    def handle(loop: AbstractEventLoop, _context: dict[str, Any]) -> None:
        loop.call_soon(order.append, "scheduled by the handler")
        loop.call_soon(loop.stop)

    loop.set_exception_handler(handle)
    loop.call_soon(fail)
    loop.run_forever()
    assert order == ["scheduled by the handler"]


@requirement("loop.set_exception_handler/accepts-none-for-default")
def test_none_restores_the_default_handler(loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]) -> None:
    called: list[str] = []
    loop.set_exception_handler(lambda *_: called.append("called"))
    loop.set_exception_handler(None)
    loop.call_soon(fail)
    run_one_pass(loop)
    assert called == []
    assert len(logged_errors(asyncio_log)) == 1


@requirement("loop.get_exception_handler/returns-set-handler")
def test_a_loop_has_no_handler_of_its_own(loop: AbstractEventLoop) -> None:
    assert loop.get_exception_handler() is None


@requirement("loop.get_exception_handler/returns-set-handler", "loop.set_exception_handler/accepts-none-for-default")
def test_the_handler_that_was_set_can_be_got(loop: AbstractEventLoop) -> None:
    def handle(_loop: AbstractEventLoop, _context: dict[str, Any]) -> None:
        pass

    loop.set_exception_handler(handle)
    assert loop.get_exception_handler() is handle
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None


@requirement("loop.set_exception_handler/handler-runs-in-origin-context")
@pytest.mark.parametrize("method", ["call_soon", "call_soon_threadsafe", "call_later"])
def test_a_handler_runs_in_the_context_of_the_callback(loop: Any, method: str) -> None:
    seen: list[str] = []
    loop.set_exception_handler(lambda *_: seen.append(colour.get()))
    delay = (0,) if method == "call_later" else ()
    getattr(loop, method)(*delay, fail, context=coloured("red"))
    run_until(loop, lambda: bool(seen))
    assert seen == ["red"]


@requirement("loop.set_exception_handler/handler-runs-in-origin-context")
def test_a_handler_runs_in_the_context_of_a_forgotten_task(loop: AbstractEventLoop) -> None:
    seen: list[str] = []
    loop.set_exception_handler(lambda *_: seen.append(colour.get()))

    async def paint() -> None:
        colour.set("blue")
        raise LookupError("raised in a task")

    task = loop.create_task(paint())
    run_until(loop, task.done)
    del task
    gc.collect()
    assert seen == ["blue"]


@requirement("loop.set_exception_handler/handler-runs-in-origin-context")
@pytest.mark.parametrize("key", ["task", "future"])
def test_a_handler_runs_in_the_context_of_the_task_that_is_reported(loop: AbstractEventLoop, key: str) -> None:
    seen: list[str] = []
    loop.set_exception_handler(lambda *_: seen.append(colour.get()))

    async def paint() -> None:
        colour.set("green")

    task = loop.create_task(paint())
    loop.run_until_complete(task)
    loop.call_exception_handler({"message": "an error", key: task})
    assert seen == ["green"]


@requirement("loop.set_exception_handler/handler-runs-in-origin-context")
def test_a_handler_runs_in_the_context_of_the_handle_that_is_reported(loop: AbstractEventLoop) -> None:
    seen: list[str] = []
    loop.set_exception_handler(lambda *_: seen.append(colour.get()))
    handle = loop.call_soon(int, context=coloured("yellow"))
    loop.call_exception_handler({"message": "an error", "handle": handle})
    run_one_pass(loop)
    assert seen == ["yellow"]


@requirement("loop.set_exception_handler/handler-runs-in-origin-context")
def test_without_task_or_handle_a_handler_runs_in_the_context_of_the_call(loop: AbstractEventLoop) -> None:
    seen: list[str] = []
    loop.set_exception_handler(lambda *_: seen.append(colour.get()))
    coloured("white").run(loop.call_exception_handler, {"message": "an error"})
    assert seen == ["white"]


@on_loops(PLAIN, DEBUG)
@requirement("loop.call_exception_handler/calls-current-handler")
def test_calling_the_exception_handler_calls_the_current_one_at_once(
    loop: AbstractEventLoop, reported: list[dict[str, Any]]
) -> None:
    context = {"message": "an error", "exception": LookupError("reported")}
    loop.call_exception_handler(context)
    assert reported == [context]


@requirement("loop.call_exception_handler/calls-current-handler")
def test_calling_the_exception_handler_without_one_calls_the_default_one(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    loop.call_exception_handler({"message": "an error"})
    [text] = logged_errors(asyncio_log)
    assert "an error" in text


@pytest.mark.parametrize("key", ["exception", "future", "handle", "protocol", "transport", "socket"])
@requirement("loop.call_exception_handler/context-holds-related-objects")
def test_a_handler_gets_the_objects_concerned(
    loop: AbstractEventLoop, reported: list[dict[str, Any]], key: str
) -> None:
    concerned = LookupError("reported") if key == "exception" else object()
    loop.call_exception_handler({"message": "an error", key: concerned})
    assert reported == [{"message": "an error", key: concerned}]


@requirement("loop.call_exception_handler/context-holds-related-objects")
def test_the_handle_that_is_reported_is_the_one_that_failed(
    loop: AbstractEventLoop, reported: list[dict[str, Any]]
) -> None:
    handle = loop.call_soon(fail)
    run_one_pass(loop)
    assert [context.get("handle", handle) for context in reported] == [handle]


@pytest.mark.parametrize("key", ["task", "asyncgen"])
@requirement("loop.call_exception_handler/context-task-and-asyncgen-keys")
def test_a_handler_gets_the_task_or_generator_concerned(
    loop: AbstractEventLoop, reported: list[dict[str, Any]], key: str
) -> None:
    concerned = object()
    loop.call_exception_handler({"message": "an error", key: concerned})
    assert reported == [{"message": "an error", key: concerned}]


@pytest.mark.parametrize("key", ["source_traceback", "handle_traceback"])
@requirement("loop.call_exception_handler/context-traceback-keys")
def test_a_handler_gets_the_traceback_of_the_source_or_the_handle(
    loop: AbstractEventLoop, reported: list[dict[str, Any]], key: str
) -> None:
    stack = traceback.extract_stack()
    loop.call_exception_handler({"message": "an error", key: stack})
    assert reported == [{"message": "an error", key: stack}]


@on_loops(DEBUG)
@requirement("loop.call_exception_handler/context-traceback-keys")
def test_the_default_handler_shows_a_traceback_frame_by_frame(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    loop.call_exception_handler({"message": "an error", "source_traceback": traceback.extract_stack()})
    [text] = logged_errors(asyncio_log)
    assert ", in test_the_default_handler_shows_a_traceback_frame_by_frame\n" in text


@requirement("loop.call_exception_handler/other-context-keys-optional")
def test_a_context_may_have_only_a_message(loop: AbstractEventLoop, reported: list[dict[str, Any]]) -> None:
    loop.call_exception_handler({"message": "an error"})
    assert reported == [{"message": "an error"}]


@requirement("loop.call_exception_handler/other-context-keys-optional")
def test_a_context_may_have_keys_that_nobody_knows(loop: AbstractEventLoop, reported: list[dict[str, Any]]) -> None:
    loop.call_exception_handler({"message": "an error", "flavour": "vanilla"})
    assert reported == [{"message": "an error", "flavour": "vanilla"}]


@requirement("loop.call_exception_handler/other-context-keys-optional")
def test_the_default_handler_takes_keys_that_nobody_knows(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    loop.call_exception_handler({"message": "an error", "flavour": "vanilla"})
    assert len(logged_errors(asyncio_log)) == 1


@on_loops(PLAIN, DEBUG)
@requirement("loop.call_exception_handler/handler-error-keeps-loop-running")
def test_an_error_in_a_handler_is_logged_and_keeps_the_loop_running(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    order: list[str] = []

    def handle(_loop: AbstractEventLoop, _context: dict[str, Any]) -> None:
        order.append("handler")
        raise ZeroDivisionError("raised in the handler")

    def end() -> None:
        order.append("later")
        loop.stop()

    loop.set_exception_handler(handle)
    loop.call_soon(fail)
    loop.call_soon(order.append, "after")
    loop.call_soon(loop.call_later, 0.001, end)
    loop.run_forever()
    assert order == ["handler", "after", "later"]
    assert "raised in the handler" in "".join(logged_errors(asyncio_log))


@requirement("loop.call_exception_handler/handler-error-keeps-loop-running")
def test_a_handler_that_failed_is_called_for_the_next_error(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    called: list[str] = []

    def handle(_loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        called.append(context["message"])
        raise ZeroDivisionError("raised in the handler")

    loop.set_exception_handler(handle)
    for message in "first", "second":
        loop.call_exception_handler({"message": message})
    assert called == ["first", "second"]
    assert len(logged_errors(asyncio_log)) >= 2
