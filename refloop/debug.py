"""Debug mode: what a loop checks and records when it is asked to.

Nothing outside this module asks on each call whether debug mode is on. `set_debug()` chooses once: it replaces the
makers of handles, the way into the ready queue, and the way its entries are run.
"""

from __future__ import annotations

import inspect
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from refloop.coroutines import iscoroutine, iscoroutinefunction
from refloop.describing import creation_stack, describe_call
from refloop.errors import logger
from refloop.futures import Future
from refloop.handles import Handle, TimerHandle, WatchHandle
from refloop.scheduling import Scheduler, refuse_entry
from refloop.spawning import TaskMaking

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from refloop.handles import Entry
    from refloop.identity import AbstractEventLoop

# Documented: callbacks that take this many seconds or more are logged.
SLOW_CALLBACK_SECONDS = 0.1

# How many frames of a coroutine's origin Python records for its "never awaited" warning.
ORIGIN_DEPTH = 10


def debug_by_default() -> bool:
    """Return whether loops start in debug mode: in Python's development mode, or with `PYTHONASYNCIODEBUG` set.

    Keeps: debug-mode/enabled-by-environment-variable, debug-mode/enabled-by-development-mode,
    loop.get_debug/default-follows-environment, loop.get_debug/default-follows-dev-mode.
    """
    return sys.flags.dev_mode or (not sys.flags.ignore_environment and bool(os.environ.get("PYTHONASYNCIODEBUG")))


class DebugMode(TaskMaking):
    """The loop's debug mode.

    `slow_callback_duration`: how many seconds a callback may take without being logged in debug mode.

    Keeps: loop.slow_callback_duration/slow-callback-threshold,
    loop.slow_callback_duration/default-hundred-milliseconds.
    """

    slow_callback_duration: float = SLOW_CALLBACK_SECONDS

    _debug: bool = False
    _origin_depth_before: int | None = None

    def get_debug(self) -> bool:
        """Return whether debug mode is on.

        Keeps: loop.get_debug/returns-bool.
        """
        return self._debug

    def set_debug(self, enabled: bool) -> None:
        """Switch debug mode on or off, also while the loop runs.

        Keeps: loop.set_debug/switches-debug-mode, loop.set_debug/accepts-enabled-bool, debug-mode/enabled-by-set-debug.
        """
        self._debug = bool(enabled)
        if self._debug:
            self._new_handle = self._checked_handle
            self._new_foreign_handle = self._recorded_handle
            self._new_timer = self._checked_timer
            self._new_watch = self._checked_watch
            self._new_future = recorded_future
            self._run_entries = self._run_timed
            self._enqueue = self._checked_enqueue
        else:
            for name in (
                "_new_handle",
                "_new_foreign_handle",
                "_new_timer",
                "_new_watch",
                "_new_future",
                "_run_entries",
            ):
                self.__dict__.pop(name, None)
            self._enqueue = self._ready.append
        if self._closed:
            self._enqueue = refuse_entry
        if self.is_running():
            self._track_origins(self._debug)

    # In place of the plain makers

    def _checked_handle(
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: Scheduler, context: Context | None
    ) -> Handle:
        self._check_thread()
        return self._recorded_handle(callback, args, loop, context)

    def _recorded_handle(
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: Scheduler, context: Context | None
    ) -> Handle:
        check_callback(callback)
        return _recorded(Handle(callback, args, loop, context))

    def _checked_timer(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: Scheduler,
        context: Context | None,
    ) -> TimerHandle:
        self._check_thread()
        check_callback(callback)
        timer = TimerHandle(when, callback, args, loop, context)
        _recorded(timer)
        return timer

    def _checked_watch(self, callback: Callable[..., object], args: tuple[Any, ...], loop: Scheduler) -> WatchHandle:
        self._check_thread()
        check_callback(callback)
        watch = WatchHandle(callback, args, loop)
        _recorded(watch)
        return watch

    def _checked_enqueue(self, entry: Entry) -> None:
        self._check_thread()
        self._ready.append(entry)

    def _check_thread(self) -> None:
        """Raise `RuntimeError` when the loop runs in another thread than the caller's.

        Keeps: debug-mode/rejects-wrong-thread-calls.
        """
        if self._thread is not None and self._thread != threading.get_ident():
            raise RuntimeError("Non-thread-safe operation invoked on an event loop other than the current one")

    def _run_timed(self, number: int) -> None:
        """Run `number` entries of the ready queue, and log those that take too long.

        Keeps: debug-mode/logs-slow-callbacks.
        """
        for _ in range(number):
            entry = self._ready.popleft()
            callback, args = getattr(entry, "_callback", None), getattr(entry, "_args", None)
            started = self.time()
            entry._run()
            seconds = self.time() - started
            if seconds >= self.slow_callback_duration:
                shown = repr(entry) if callback is None else f"<{type(entry).__name__} {describe_call(callback, args)}>"
                logger.warning("Executing %s took %.3f seconds", shown, seconds)
            # A task that is done is let go, and reported if need be, before the next entry runs, as in plain mode.
            del entry, callback, args

    # The thread's record of where coroutines come from

    def _begin_run(self) -> None:
        super()._begin_run()
        if self._debug:
            self._track_origins(True)

    def _end_run(self) -> None:
        super()._end_run()
        self._track_origins(False)

    def _track_origins(self, enabled: bool) -> None:
        """Let Python record where coroutines are made, or go back to what it did before.

        Keeps: never-awaited-coroutines/debug-adds-creation-traceback.
        """
        if enabled and self._origin_depth_before is None:
            self._origin_depth_before = sys.get_coroutine_origin_tracking_depth()
            sys.set_coroutine_origin_tracking_depth(ORIGIN_DEPTH)
        elif not enabled and self._origin_depth_before is not None:
            sys.set_coroutine_origin_tracking_depth(self._origin_depth_before)
            self._origin_depth_before = None


def check_callback(callback: object) -> None:
    """Raise `TypeError` for what cannot serve as a callback: a coroutine, a coroutine function, or no callable."""
    if iscoroutine(callback) or iscoroutinefunction(callback) or inspect.isgeneratorfunction(callback):
        raise TypeError(f"a callback cannot be a coroutine or a coroutine function: {callback!r}")
    if not callable(callback):
        raise TypeError(f"a callback must be callable, not {callback!r}")


def recorded_future(loop: AbstractEventLoop) -> Future[Any]:
    """Make a future the ordinary way, by which it asks for debug mode itself."""
    return Future(loop=loop)


def _recorded(handle: Handle) -> Handle:
    handle._source_traceback = creation_stack()
    return handle
