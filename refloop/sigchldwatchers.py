"""Child watchers that are told by SIGCHLD, which says that children have ended but not which.

All three are deprecated since 3.12.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Self

from refloop.childwatchers import AbstractChildWatcher, ChildHandler, reap_if_ended, warn_deprecated
from refloop.errors import logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from refloop.identity import AbstractEventLoop


class MultiLoopChildWatcher(AbstractChildWatcher):
    """Handles SIGCHLD from `attach_loop()`, called in the main thread, until `close()`.

    Each time it asks for each of its children. Loops in any thread may start children. The system gives the signal to
    the thread that started the child, and Python handles it in the main thread, which does not notice while it waits;
    an attached loop does. With None attached, the main thread hears of it when it next runs.

    Keeps: MultiLoopChildWatcher/polls-children-on-sigchld.
    """

    def __init__(self) -> None:
        warn_deprecated("refloop.MultiLoopChildWatcher", stacklevel=2)
        self._handlers: dict[int, ChildHandler] = {}
        self._handler_before: Any = None
        self._active = False
        self._loop: AbstractEventLoop | None = None
        self._asking = threading.Lock()
        self._ask_again = False

    def add_child_handler(self, pid: int, callback: Callable[..., object], *args: Any) -> None:
        """Watch the child; it may have ended already."""
        self._handlers[pid] = ChildHandler(callback, args)
        self._ask()

    def remove_child_handler(self, pid: int) -> bool:
        """Drop the handler."""
        return self._handlers.pop(pid, None) is not None

    def attach_loop(self, loop: AbstractEventLoop | None) -> None:
        """Begin to handle SIGCHLD, by way of `loop` if there is one. Only in the main thread."""
        if not self._active:
            self._handler_before = signal.getsignal(signal.SIGCHLD)
            self._active = True
        self._leave_loop()
        if loop is None:
            signal.signal(signal.SIGCHLD, self._on_sigchld)
            signal.siginterrupt(signal.SIGCHLD, False)
        else:
            loop.add_signal_handler(signal.SIGCHLD, self._ask)
            self._loop = loop
        # Children may have ended while nobody listened.
        self._ask()

    def is_active(self) -> bool:
        """Return whether SIGCHLD is handled."""
        return self._active

    def close(self) -> None:
        """Drop all handlers and give SIGCHLD back."""
        self._handlers.clear()
        if self._active:
            self._active = False
            self._leave_loop()
            before = self._handler_before
            # None stands for a handler that Python did not install and cannot put back.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL if before is None else before)

    def _leave_loop(self) -> None:
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_signal_handler(signal.SIGCHLD)

    def _on_sigchld(self, _: int, __: FrameType | None) -> None:
        self._ask()

    def _ask(self) -> None:
        """Reap the children that have ended, and call their handlers.

        A signal handler runs between any two instructions, of this method as well, and a thread may add a child
        meanwhile. Whoever comes second leaves a note for the first, who asks once more.
        """
        self._ask_again = True
        while self._ask_again and self._asking.acquire(blocking=False):
            try:
                self._ask_again = False
                for pid in list(self._handlers):
                    returncode = reap_if_ended(pid)
                    handler = None if returncode is None else self._handlers.pop(pid, None)
                    if handler is not None and returncode is not None:
                        handler.call(pid, returncode)
            finally:
                self._asking.release()


class LoopSignalChildWatcher(AbstractChildWatcher):
    """What is common to the watchers for which the main thread's loop handles SIGCHLD."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._loop: AbstractEventLoop | None = None
        self._handlers: dict[int, ChildHandler] = {}

    def remove_child_handler(self, pid: int) -> bool:
        """Drop the handler."""
        with self._lock:
            return self._handlers.pop(pid, None) is not None

    def attach_loop(self, loop: AbstractEventLoop | None) -> None:
        """Let `loop`, which is to run in the main thread, handle SIGCHLD; call it there."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_signal_handler(signal.SIGCHLD)
        self._loop = loop
        if loop is not None:
            loop.add_signal_handler(signal.SIGCHLD, self._ask)
            # Children may have ended while no loop listened.
            self._ask()

    def is_active(self) -> bool:
        """Return whether the attached loop runs.

        Keeps: SafeChildWatcher/raises-without-main-loop.
        """
        return self._loop is not None and self._loop.is_running()

    def close(self) -> None:
        """Drop all handlers and leave the loop."""
        self.attach_loop(None)
        with self._lock:
            self._handlers.clear()

    def _ask(self) -> None:
        """Reap the children that have ended, and call their handlers."""
        raise NotImplementedError


class SafeChildWatcher(LoopSignalChildWatcher):
    """Asks for each of its children at every SIGCHLD, and so reaps no other.

    Keeps: SafeChildWatcher/polls-children-through-main-loop.
    """

    def __init__(self) -> None:
        warn_deprecated("refloop.SafeChildWatcher", stacklevel=2)
        super().__init__()

    def add_child_handler(self, pid: int, callback: Callable[..., object], *args: Any) -> None:
        """Watch the child; it may have ended already."""
        with self._lock:
            self._handlers[pid] = ChildHandler(callback, args)
        self._ask_for(pid)

    def _ask(self) -> None:
        for pid in list(self._handlers):
            self._ask_for(pid)

    def _ask_for(self, pid: int) -> None:
        with self._lock:
            returncode = reap_if_ended(pid) if pid in self._handlers else None
            handler = None if returncode is None else self._handlers.pop(pid)
        if handler is not None and returncode is not None:
            handler.call(pid, returncode)


class FastChildWatcher(LoopSignalChildWatcher):
    """Reaps whatever child has ended, at every SIGCHLD, and so leaves none to others.

    It may reap a child before it is told of it; within `with watcher:` it remembers such children.

    Keeps: FastChildWatcher/reaps-all-children.
    """

    def __init__(self) -> None:
        warn_deprecated("refloop.FastChildWatcher", stacklevel=2)
        super().__init__()
        self._starting = 0
        self._reaped_early: dict[int, int] = {}

    def __enter__(self) -> Self:
        with self._lock:
            self._starting += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._starting -= 1
            if self._starting == 0 and self._reaped_early:
                logger.warning("children that nobody watched have ended: %s", sorted(self._reaped_early))
                self._reaped_early.clear()

    def add_child_handler(self, pid: int, callback: Callable[..., object], *args: Any) -> None:
        """Watch the child, which was started within `with watcher:`; it may have been reaped already."""
        handler = ChildHandler(callback, args)
        with self._lock:
            returncode = self._reaped_early.pop(pid, None)
            if returncode is None:
                self._handlers[pid] = handler
        if returncode is not None:
            handler.call(pid, returncode)

    def _ask(self) -> None:
        while True:
            with self._lock:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    return
                if not pid:
                    return
                returncode = os.waitstatus_to_exitcode(status)
                handler = self._handlers.pop(pid, None)
                if handler is None:
                    if self._starting:
                        self._reaped_early[pid] = returncode
                    else:
                        logger.warning("a child that nobody watched has ended: %d", pid)
            if handler is not None:
                handler.call(pid, returncode)
