"""What the default exception handler logs: ``loop.default_exception_handler()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.support.logs import logged_errors
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.waiting import run_one_pass

if TYPE_CHECKING:
    import logging
    from asyncio import AbstractEventLoop


def fail(*_: object) -> None:
    """Raise a LookupError: the callback of these cases."""
    raise LookupError("raised in a callback")


@requirement("loop.default_exception_handler/used-without-custom-handler")
def test_without_a_handler_the_default_one_logs_the_error(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    loop.call_soon(fail)
    run_one_pass(loop)
    assert len(logged_errors(asyncio_log)) == 1


@requirement("loop.default_exception_handler/used-without-custom-handler")
def test_a_handler_may_call_the_default_one(loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]) -> None:
    loop.set_exception_handler(lambda loop, context: loop.default_exception_handler(context))
    loop.call_soon(fail)
    run_one_pass(loop)
    assert len(logged_errors(asyncio_log)) == 1


@on_loops(PLAIN, DEBUG)
@requirement("loop.default_exception_handler/logs-with-traceback")
def test_the_default_handler_logs_message_and_traceback(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    try:
        fail()
    except LookupError as error:
        loop.default_exception_handler({"message": "it went wrong", "exception": error})
    [text] = logged_errors(asyncio_log)
    assert "it went wrong" in text
    assert "Traceback" in text
    assert ", in fail\n" in text
    assert "LookupError: raised in a callback" in text


@requirement("loop.default_exception_handler/logs-with-traceback")
def test_the_log_of_a_callbacks_error_shows_where_it_was_raised(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    loop.call_soon(fail)
    run_one_pass(loop)
    [text] = logged_errors(asyncio_log)
    assert ", in fail\n" in text
    assert "LookupError: raised in a callback" in text


@requirement("loop.default_exception_handler/logs-with-traceback")
def test_the_traceback_is_that_of_the_reported_error_not_of_the_one_being_handled(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    try:
        raise KeyError("being handled")
    except KeyError:
        loop.default_exception_handler({"message": "without an exception"})
        loop.default_exception_handler({"message": "with one", "exception": LookupError("reported")})
    without, with_one = logged_errors(asyncio_log)
    assert "KeyError" not in without
    assert "LookupError" in with_one


@requirement("loop.default_exception_handler/logs-every-context-entry")
def test_the_default_handler_logs_every_entry(loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]) -> None:
    loop.default_exception_handler({"message": "it went wrong", "flavour": "vanilla", "portions": 1234})
    [text] = logged_errors(asyncio_log)
    assert [word for word in ("flavour", "vanilla", "portions", "1234") if word not in text] == []


@requirement("loop.default_exception_handler/accepts-handler-context")
def test_the_default_handler_accepts_every_documented_key(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    related: list[dict[str, Any]] = [{key: object()} for key in ("future", "handle", "protocol", "transport", "socket")]
    for entry in related:
        loop.default_exception_handler({"message": "it went wrong", **entry})
    assert len(logged_errors(asyncio_log)) == len(related)


@requirement("loop.default_exception_handler/accepts-handler-context")
def test_the_default_handler_accepts_a_context_with_only_a_message(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    loop.default_exception_handler({"message": "it went wrong"})
    [text] = logged_errors(asyncio_log)
    assert "it went wrong" in text
