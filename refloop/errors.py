"""What happens to an exception that nobody is there to catch: the loop's exception handler."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

from refloop.identity import AbstractEventLoop

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    ExceptionHandler = Callable[[AbstractEventLoop, dict[str, Any]], object]

# The name is documented: programs configure and filter asyncio's log by it.
logger = logging.getLogger("asyncio")

# Entries of a context that the log shows in a way of their own; that of `source_traceback` is documented.
SHOWN_APART = frozenset({"message", "exception"})
STACKS = {"source_traceback": "Object created at", "handle_traceback": "Handle created at"}


class ErrorReporting(AbstractEventLoop):
    """Exception handler of a loop: set, asked for, called."""

    _exception_handler: ExceptionHandler | None = None

    def set_exception_handler(self, handler: ExceptionHandler | None) -> None:
        """Make `handler(loop, context)` receive the errors that the loop reports; None restores the default.

        Raises `TypeError` for a handler that is neither callable nor None.

        Keeps: loop.set_exception_handler/handler-called-on-error, loop.set_exception_handler/accepts-none-for-default,
        loop.set_exception_handler/rejects-non-callable-handler.
        """
        if handler is not None and not callable(handler):
            raise TypeError(f"an exception handler must be callable or None, not {handler!r}")
        self._exception_handler = handler

    def get_exception_handler(self) -> ExceptionHandler | None:
        """Return the handler in use, or None for the default one.

        Keeps: loop.get_exception_handler/returns-set-handler.
        """
        return self._exception_handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log `context`: its message, each further entry on a line of its own, and the traceback of its exception.

        Keeps: loop.default_exception_handler/logs-with-traceback,
        loop.default_exception_handler/logs-every-context-entry.
        """
        error = context.get("exception")
        lines = [context.get("message") or "Unhandled exception in event loop"]
        for key in sorted(context.keys() - SHOWN_APART):
            value = context[key]
            if key in STACKS and value:
                stack = "".join(traceback.format_list(value)).rstrip()
                lines.append(f"{key}: {STACKS[key]} (most recent call last):\n{stack}")
            else:
                lines.append(f"{key}: {value!r}")
        trace = (type(error), error, error.__traceback__) if isinstance(error, BaseException) else None
        logger.error("%s", "\n".join(lines), exc_info=trace)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Give `context` to the handler in use, in the context variables of the task or handle that it speaks of.

        A handler that fails is reported in its turn by the default handler, and the loop goes on; only
        `KeyboardInterrupt` and `SystemExit` pass.

        Keeps: loop.call_exception_handler/calls-current-handler,
        loop.set_exception_handler/handler-runs-in-origin-context,
        loop.call_exception_handler/handler-error-keeps-loop-running,
        loop.default_exception_handler/used-without-custom-handler.
        """
        handler = self._exception_handler
        try:
            if handler is None:
                self.default_exception_handler(context)
            else:
                origin = _origin_context(context)
                if origin is None:
                    handler(self, context)
                else:
                    origin.run(handler, self, context)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._report_failed_handler(error, context)

    def _report_failed_handler(self, error: BaseException, context: dict[str, Any]) -> None:
        try:
            if self._exception_handler is None:
                raise error
            self.default_exception_handler(
                {
                    "message": "Unhandled error in exception handler",
                    "exception": error,
                    "context": context,
                }
            )
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            # An overridden default handler failed as well: what is left is the log itself.
            logger.error("Exception in default exception handler, which was given %r", context, exc_info=True)


def _origin_context(context: dict[str, Any]) -> Context | None:
    """Return the context variables of the task or handle that an error came from.

    None also when that context is the one being run already, which Python does not let be entered twice.
    """
    for key in ("task", "future", "handle"):
        get_context = getattr(context.get(key), "get_context", None)
        if get_context is not None:
            origin: Context | None = get_context()
            if origin is not None and _can_enter(origin):
                return origin
    return None


def _can_enter(context: Context) -> bool:
    try:
        context.run(int)
    except RuntimeError:
        return False
    return True
