"""Handles: a callback that waits for its turn, and the right to call it off.

Everything in a loop's ready queue has a `_run()` method. A handle is the common entry: it runs a callback, once, in the
context it was scheduled with. A task is its own entry (see `tasks`), so that resuming one costs no handle.
"""

from __future__ import annotations

from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Protocol

from refloop.describing import describe_call
from refloop.identity import StandardHandle, StandardTimerHandle

if TYPE_CHECKING:
    from collections.abc import Callable
    from traceback import StackSummary

    from refloop.scheduling import Scheduler


class Entry(Protocol):
    """What may stand in the ready queue."""

    def _run(self) -> None:
        """Take the turn. Only `KeyboardInterrupt` and `SystemExit` come out; they end the loop's run."""


class Watch(Entry, Protocol):
    """The entry that a loop keeps for a watched descriptor: it runs in every turn in which that is ready."""

    def cancel(self) -> None:
        """Never run again, not even if the entry stands in the ready queue already."""


class Handle(StandardHandle):
    """A callback scheduled with `loop.call_soon()` or `loop.call_soon_threadsafe()`.

    The base class is asyncio's and gives identity and storage: `_callback` and `_args` (None once the turn is taken or
    given up), `_context`, `_loop`, `_cancelled`, and `_source_traceback`, which only debug mode sets.

    Keeps: Handle/returned-by-call-soon.
    """

    __slots__ = ()

    _loop: Scheduler
    _callback: Callable[..., object] | None
    _args: tuple[Any, ...] | None  # type: ignore[assignment]
    _source_traceback: StackSummary

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: Scheduler, context: Context | None = None
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = False

    def cancel(self) -> None:
        """Keep the callback from running. Does nothing when it was cancelled before or has run.

        Keeps: Handle.cancel/prevents-callback, Handle.cancel/no-op-when-finished.
        """
        if self._callback is not None:
            self._cancelled = True
            self._callback = self._args = None

    def cancelled(self) -> bool:
        """Return whether `cancel()` was called before the callback ran.

        Keeps: Handle.cancelled/reports-cancelled-state.
        """
        return self._cancelled

    def get_context(self) -> Context:
        """Return the `contextvars.Context` in which the callback runs.

        Keeps: Handle.get_context/returns-callback-context.
        """
        return self._context

    def _run(self) -> None:
        """Call the callback, unless it was cancelled, and report what it raises.

        Keeps: loop.call_exception_handler/callback-error-keeps-loop-running.
        """
        callback = self._callback
        if callback is None:
            return
        self._callback = None
        try:
            # Most callbacks have no arguments, and unpacking none takes longer than the whole call.
            if self._args:
                self._context.run(callback, *self._args)
            else:
                self._context.run(callback)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._report(error, callback)
        finally:
            # A failed task of another make keeps the frames that its exception passed, and this one leads back to it.
            del self, callback

    def _report(self, error: BaseException, callback: Callable[..., object]) -> None:
        """Give an exception that `callback` raised to the loop's exception handler, with what is known of it."""
        context = {
            "message": f"Exception in callback {describe_call(callback, self._args)}",
            "exception": error,
            "handle": self,
        }
        created = self._created_at()
        if created:
            context["source_traceback"] = created
        self._loop.call_exception_handler(context)

    def _created_at(self) -> StackSummary | None:
        """Return the stack of the call that made this handle; None unless it was made in debug mode."""
        return getattr(self, "_source_traceback", None)

    def __repr__(self) -> str:
        words = [type(self).__name__]
        if self._cancelled:
            words.append("cancelled")
        words.extend(self._describe_turn())
        if self._callback is not None:
            words.append(describe_call(self._callback, self._args))
        created = self._created_at()
        if created:
            words.append(f"created at {created[-1].filename}:{created[-1].lineno}")
        return f"<{' '.join(words)}>"

    def _describe_turn(self) -> list[str]:
        return []


class TimerHandle(Handle, StandardTimerHandle):
    """A callback scheduled with `loop.call_later()` or `loop.call_at()`.

    Keeps: TimerHandle/returned-by-call-later, TimerHandle/inherits-cancellation.
    """

    __slots__ = ()

    # Two timers are the same timer only if they are one object, whatever their deadlines.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: Scheduler,
        context: Context | None = None,
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = False

    def when(self) -> float:
        """Return the deadline, in seconds on the clock of `loop.time()`.

        Keeps: TimerHandle.when/returns-loop-time, TimerHandle.when/equals-requested-deadline.
        """
        return self._when

    def cancel(self) -> None:
        """Keep the callback from running; the loop's timers forget the handle in due course.

        Keeps: loop.call_later/cancelled-handle-never-runs.
        """
        if self._callback is not None:
            self._cancelled = True
            self._callback = self._args = None
            self._loop._timers.count_cancelled()

    def _describe_turn(self) -> list[str]:
        return [f"when={self._when}"]


class CallersWatch:
    """What marks the entries of watched descriptors that are the caller's: all others are the loop's own."""

    __slots__ = ()


class WatchHandle(Handle, CallersWatch):
    """A callback that runs as often as its descriptor is ready: that of `loop.add_reader()` or `loop.add_writer()`.

    `_file` is what the caller named the descriptor by: the only way to find it once that is closed.

    Keeps: loop.add_reader/fires-until-removed.
    """

    __slots__ = ("_file",)

    _file: object

    def cancel(self) -> None:
        """Never run again; from within the callback, too, of which a plain handle would think that it has run.

        Keeps: loop.remove_reader/callback-never-runs-afterwards, loop.remove_writer/callback-never-runs-afterwards.
        """
        self._cancelled = True
        self._callback = self._args = None

    def _run(self) -> None:
        callback = self._callback
        try:
            super()._run()
            if not self._cancelled:
                self._callback = callback
        finally:
            # As in `Handle._run()`.
            del self, callback
