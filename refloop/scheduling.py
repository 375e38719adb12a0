"""The scheduler: which callback runs when.

One turn of the loop, in `_run_until_stopped`:

1. poll - without waiting if anything is ready, else until the soonest timer;
2. append to the ready queue what the poll found, then the timers that are due;
3. run what stands in the ready queue now. What these entries schedule waits for the next turn.

Entries are handles and tasks (`handles.Entry`). Scheduling is appending to a `collections.deque`, which is safe in
every thread; another thread, `call_soon_threadsafe`, only has to end the poll as well.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, TypeVarTuple

from refloop.errors import ErrorReporting
from refloop.handles import Handle, TimerHandle, WatchHandle
from refloop.identity import _get_running_loop, _set_running_loop
from refloop.polling import LONGEST_WAIT, MOST_AT_ONCE
from refloop.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from refloop.handles import Entry, Watch
    from refloop.polling import Poller

Args = TypeVarTuple("Args")

CLOCK_RESOLUTION = time.get_clock_info("monotonic").resolution


class Scheduler(ErrorReporting):
    """Ready queue, timers, and the run that serves them."""

    # What debug mode replaces; outside it, no call asks whether debug mode is on. See `debug`.
    _new_handle: Callable[..., Handle] = Handle
    _new_foreign_handle: Callable[..., Handle] = Handle
    _new_timer: Callable[..., TimerHandle] = TimerHandle
    _new_watch: Callable[..., WatchHandle] = WatchHandle
    _run_entries: Callable[[int], None] | None = None

    _closed: bool = False
    _stopping: bool = False
    _thread: int | None = None
    _woken: bool = False

    def __init__(self, poller: Poller) -> None:
        self._ready: deque[Entry] = deque()
        self._enqueue: Callable[[Entry], None] = self._ready.append
        self._timers = Timers()
        self._readers: dict[int, Watch] = {}
        self._writers: dict[int, Watch] = {}
        self._poller = poller
        self._waker = poller.add_waker()
        self._readers[self._waker.fd] = WakeUp(self)

    # Scheduling

    def call_soon(self, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None) -> Handle:
        """Run `callback(*args)` in the next turn of the loop, after everything scheduled before it.

        It runs in `context`, by default a copy of the current one. Returns a handle with which it can be cancelled.
        Raises `RuntimeError` when the loop is closed. Not thread-safe.

        Keeps: loop.call_soon/runs-next-iteration, loop.call_soon/fifo-order, loop.call_soon/runs-once,
        loop.call_soon/forwards-positional-arguments, loop.call_soon/returns-handle,
        loop.call_soon/accepts-context-keyword, loop.call_soon/default-context-is-current.
        """
        handle = self._new_handle(callback, args, self, context)
        self._enqueue(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> Handle:
        """Like `call_soon()`, from any thread and from signal handlers; a loop that waits for I/O wakes.

        Keeps: loop.call_soon_threadsafe/callable-from-any-thread, loop.call_soon_threadsafe/otherwise-like-call-soon,
        loop.call_soon_threadsafe/raises-on-closed-loop, loop.call_soon_threadsafe/accepts-context-keyword,
        loop.call_soon_threadsafe/callable-from-signal-handler.
        """
        if self._closed:
            raise RuntimeError("Event loop is closed")
        handle = self._new_foreign_handle(callback, args, self, context)
        self._ready.append(handle)
        self._wake_up()
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> TimerHandle:
        """Run `callback(*args)` once `delay` seconds have passed; else like `call_at()`.

        Keeps: loop.call_later/runs-after-delay, loop.call_later/returns-timer-handle.
        """
        if self._closed:
            raise RuntimeError("Event loop is closed")
        when = self.time() + delay
        timer = self._new_timer(when, callback, args, self, context)
        self._timers.fresh.append(timer)
        return timer

    def call_at(
        self, when: float, callback: Callable[[*Args], object], *args: *Args, context: Context | None = None
    ) -> TimerHandle:
        """Run `callback(*args)` once `time()` has come to `when`, or up to one resolution of the clock earlier.

        It runs in `context`, by default a copy of the current one. Returns a handle with which it can be cancelled.
        Raises `RuntimeError` when the loop is closed. Not thread-safe.

        Keeps: loop.call_at/runs-at-absolute-time, loop.call_at/returns-timer-handle,
        loop.call_at/accepts-context-keyword, loop.call_at/early-by-one-clock-resolution.
        """
        if when is None:
            raise TypeError("when must be a time on the loop's clock, not None")
        if self._closed:
            raise RuntimeError("Event loop is closed")
        timer = self._new_timer(when, callback, args, self, context)
        self._timers.fresh.append(timer)
        return timer

    def time(self) -> float:
        """Return the time in seconds, as a float, on the loop's own monotonic clock.

        Keeps: loop.time/returns-float, loop.time/never-goes-backwards, loop.time/shared-timer-reference,
        loop.time/independent-of-wall-clock.
        """
        return time.monotonic()

    # Running

    def run_forever(self) -> None:
        """Run until `stop()` is called. Called before, it allows one turn that does not wait.

        Raises `RuntimeError` when the loop is closed, when it runs already and when another runs in this thread.

        Keeps: loop.run_forever/runs-until-stop, loop.run_forever/stop-beforehand-runs-one-pass,
        loop.run_forever/stop-finishes-current-batch, loop.run_forever/stop-defers-newly-scheduled-callbacks,
        loop.run_forever/rerunnable-after-stop.
        """
        self._check_runnable()
        hooks = sys.get_asyncgen_hooks()
        self._thread = threading.get_ident()
        self._begin_run()
        _set_running_loop(self)
        try:
            self._run_until_stopped()
        finally:
            self._stopping = False
            self._thread = None
            _set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)
            self._end_run()

    def stop(self) -> None:
        """Make the run end with the present batch of callbacks; what they schedule is left for the next run.

        Keeps: loop.stop/ends-run-forever, loop.stop/callable-from-callback.
        """
        self._stopping = True

    def is_running(self) -> bool:
        """Return whether the loop runs now.

        Keeps: loop.is_running/reports-running-state.
        """
        return self._thread is not None

    def is_closed(self) -> bool:
        """Return whether `close()` was called.

        Keeps: loop.is_closed/reports-closed-state.
        """
        return self._closed

    def _run_until_stopped(self) -> None:
        ready = self._ready
        popleft = ready.popleft
        timers = self._timers
        fresh = timers.fresh
        deadlines = timers.heap
        readers = self._readers
        writers = self._writers
        poll = self._poller.poll
        readable = self._poller.readable
        writable = self._poller.writable
        while True:
            if fresh:
                timers.take_fresh()
            if ready or self._stopping:
                timeout: float | None = 0
            elif deadlines:
                timeout = self._time_left()
            else:
                timeout = None
            for fd, mask in poll(timeout, MOST_AT_ONCE):
                if mask & readable and fd in readers:
                    ready.append(readers[fd])
                if mask & writable and fd in writers:
                    ready.append(writers[fd])
            if deadlines:
                timers.move_due(self.time() + CLOCK_RESOLUTION, ready)
            if self._run_entries is None:
                for _ in range(len(ready)):
                    popleft()._run()
            else:
                self._run_entries(len(ready))
            if self._stopping:
                return

    def _time_left(self) -> float | None:
        """Return how many seconds the soonest timer leaves for waiting."""
        deadline = self._timers.next_deadline()
        if deadline is None:
            return None
        return min(max(0.0, deadline - self.time()), LONGEST_WAIT)

    def _wake_up(self) -> None:
        """End the poll that waits now, or the next one.

        One write serves all calls until the loop has woken: whatever they scheduled stands in the ready queue by then.
        """
        if not self._woken:
            self._woken = True
            self._waker.wake()

    def _begin_run(self) -> None:
        """Prepare the thread for a run; see `asyncgens`."""

    def _end_run(self) -> None:
        """Undo `_begin_run()`."""

    def _check_closed(self) -> None:
        if self._closed:
            raise RuntimeError("Event loop is closed")

    def _check_runnable(self) -> None:
        """Raise `RuntimeError` when a run cannot begin.

        Keeps: loop.run_until_complete/rejects-nested-running-loop, loop.close/close-is-irreversible.
        """
        self._check_closed()
        if self.is_running():
            raise RuntimeError("This event loop is already running")
        if _get_running_loop() is not None:
            raise RuntimeError("Cannot run the event loop while another loop is running")

    def _close_scheduler(self) -> None:
        """Drop everything scheduled and let nothing more in.

        Keeps: loop.close/drops-pending-callbacks, loop.close/clears-queues.
        """
        self._closed = True
        self._enqueue = refuse_entry
        self._ready.clear()
        self._timers.clear()
        self._readers.clear()
        self._writers.clear()
        self._poller.close()
        self._waker.close()


def refuse_entry(_: Entry) -> None:
    """Stand in for a closed loop's queue.

    Keeps: loop.close/close-is-irreversible.
    """
    raise RuntimeError("Event loop is closed")


class WakeUp:
    """The entry that runs when the waker's descriptor is readable."""

    __slots__ = ("_loop",)

    def __init__(self, loop: Scheduler) -> None:
        self._loop = loop

    def _run(self) -> None:
        # In this order: a call that finds `_woken` still true has scheduled its callback before this turn ends.
        self._loop._waker.drain()
        self._loop._woken = False

    def cancel(self) -> None:
        pass
