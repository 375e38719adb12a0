"""Child watchers: how a policy of 3.7 to 3.13 chose the way in which loops hear that a child has ended.

Python 3.14 has none; each loop of refloop hears of its children by itself (`childexits`) unless a watcher was set.
They differ in what they need and in whose children they reap:

    ThreadedChildWatcher   a thread for each child
    PidfdChildWatcher      the running loop and a process descriptor for each child
    MultiLoopChildWatcher  a handler for SIGCHLD; asks for each of its children then
    SafeChildWatcher       the main thread's loop handles SIGCHLD; asks for each of its children then
    FastChildWatcher       the same; reaps all children of the process, its own or not

This module has the base class and the first two, `sigchldwatchers` the others.
"""

from __future__ import annotations

import os
import threading
import warnings
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from refloop.childexits import UNKNOWN_RETURN_CODE, wait_without_reaping
from refloop.errors import logger
from refloop.identity import get_running_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from refloop.identity import AbstractEventLoop

# Modules whose watchers are documented ones; every other subclass is a program's.
OWN_MODULES = frozenset({"refloop.childwatchers", "refloop.sigchldwatchers"})


class AbstractChildWatcher(ABC):
    """The base class of child watchers, and a context manager within which children are started.

    Keeps: AbstractChildWatcher/base-of-watchers.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Say that it is of no more use.

        Keeps: AbstractChildWatcher/warns-deprecated.
        """
        super().__init_subclass__(**kwargs)
        if cls.__module__ not in OWN_MODULES:
            warn_deprecated("refloop.AbstractChildWatcher", stacklevel=3)

    @abstractmethod
    def add_child_handler(self, pid: int, callback: Callable[..., object], *args: Any) -> None:
        """Call `callback(pid, returncode, *args)` when the child ends, in any thread; replaces an earlier handler.

        Keeps: AbstractChildWatcher.add_child_handler/calls-back-on-exit,
        AbstractChildWatcher.add_child_handler/requires-thread-safe-callback.
        """

    @abstractmethod
    def remove_child_handler(self, pid: int) -> bool:
        """Drop the handler for `pid`; return whether there was one.

        Keeps: AbstractChildWatcher.remove_child_handler/returns-whether-removed.
        """

    @abstractmethod
    def attach_loop(self, loop: AbstractEventLoop | None) -> None:
        """Leave the present loop, if any, for `loop`, if any.

        Keeps: AbstractChildWatcher.attach_loop/reattaches-to-loop.
        """

    @abstractmethod
    def is_active(self) -> bool:
        """Return whether children can be watched now.

        Keeps: AbstractChildWatcher.is_active/returns-readiness.
        """

    @abstractmethod
    def close(self) -> None:
        """Drop all handlers and give the system's resources back.

        Keeps: AbstractChildWatcher.close/releases-resources.
        """

    def __enter__(self) -> Self:
        """Begin to start children."""
        return self

    def __exit__(self, *_: object) -> None:  # noqa: B027 - most watchers have nothing to do here
        """All children started since are known to the watcher."""


class ChildHandler(NamedTuple):
    """What to call when a child has ended."""

    callback: Callable[..., object]
    args: tuple[Any, ...]

    def call(self, pid: int, returncode: int) -> None:
        """Call it. Where a watcher calls, nobody could catch what it raises."""
        try:
            self.callback(pid, returncode, *self.args)
        except Exception:
            logger.error("the handler of child %d failed", pid, exc_info=True)


class ThreadedChildWatcher(AbstractChildWatcher):
    """Waits for each child in a thread of its own, which calls the handler; needs no loop and no signal.

    Keeps: ThreadedChildWatcher/waits-in-thread-per-child.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handlers: dict[int, ChildHandler] = {}
        self._threads: dict[int, threading.Thread] = {}

    def add_child_handler(self, pid: int, callback: Callable[..., object], *args: Any) -> None:
        """Start the child's thread, unless it waits already."""
        with self._lock:
            self._handlers[pid] = ChildHandler(callback, args)
            if pid not in self._threads:
                thread = threading.Thread(target=self._wait, args=(pid,), name=f"refloop-waitpid-{pid}", daemon=True)
                self._threads[pid] = thread
                thread.start()

    def remove_child_handler(self, pid: int) -> bool:
        """Drop the handler; the thread goes on waiting, and then leaves the child to be reaped by somebody else."""
        with self._lock:
            return self._handlers.pop(pid, None) is not None

    def attach_loop(self, loop: AbstractEventLoop | None) -> None:
        """Do nothing: it needs no loop."""

    def is_active(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Drop all handlers. Threads end with their children, and keep no program from ending."""
        with self._lock:
            self._handlers.clear()

    def _wait(self, pid: int) -> None:
        can_peek = wait_without_reaping(pid)
        if not can_peek:
            returncode = reap(pid)
        with self._lock:
            handler = self._handlers.pop(pid, None)
            if can_peek and handler is not None:
                returncode = reap(pid)
            del self._threads[pid]
        if handler is not None:
            handler.call(pid, returncode)


class PidfdChildWatcher(AbstractChildWatcher):
    """Lets the loop that runs where a child is added watch its process descriptor; needs no signal and no thread.

    The handler is called in that loop. `NotImplementedError` or `OSError` where there are no such descriptors.

    Keeps: PidfdChildWatcher/watches-through-pidfd.
    """

    def __init__(self) -> None:
        if not hasattr(os, "pidfd_open"):
            raise NotImplementedError("this system has no process descriptors")
        self._watched: dict[int, tuple[AbstractEventLoop, int]] = {}

    def add_child_handler(self, pid: int, callback: Callable[..., object], *args: Any) -> None:
        """Watch the child in the running loop."""
        loop = get_running_loop()
        self.remove_child_handler(pid)
        fd = os.pidfd_open(pid)
        self._watched[pid] = (loop, fd)
        loop.add_reader(fd, self._ended, pid, ChildHandler(callback, args))

    def remove_child_handler(self, pid: int) -> bool:
        """Stop watching the child; to be called in the thread of the loop that watches it."""
        watched = self._watched.pop(pid, None)
        if watched is None:
            return False
        loop, fd = watched
        if not loop.is_closed():
            loop.remove_reader(fd)
        os.close(fd)
        return True

    def attach_loop(self, loop: AbstractEventLoop | None) -> None:
        """Do nothing: children belong to the loops that started them."""

    def is_active(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Stop watching. What a loop watches, it stops in its own thread."""
        for pid, (loop, _) in list(self._watched.items()):
            try:
                loop.call_soon_threadsafe(self.remove_child_handler, pid)
            except RuntimeError:
                self.remove_child_handler(pid)

    def _ended(self, pid: int, handler: ChildHandler) -> None:
        if self.remove_child_handler(pid):
            handler.call(pid, reap(pid))


def reap(pid: int) -> int:
    """Reap the child, which has ended, and return its return code; 255 if somebody else has reaped it."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        logger.warning("child %d was reaped by somebody else; its return code is reported as 255", pid)
        return UNKNOWN_RETURN_CODE
    return os.waitstatus_to_exitcode(status)


def reap_if_ended(pid: int) -> int | None:
    """Return the return code of the child, reaped now; None while it runs."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        logger.warning("child %d was reaped by somebody else; its return code is reported as 255", pid)
        return UNKNOWN_RETURN_CODE
    return os.waitstatus_to_exitcode(status) if found else None


def warn_deprecated(name: str, stacklevel: int) -> None:
    """Say that child watchers are deprecated, to the caller `stacklevel` - 1 calls further out."""
    warnings.warn(
        f"{name!r} is deprecated: Python 3.14 has no child watchers, loops need none",
        DeprecationWarning,
        stacklevel=stacklevel + 1,
    )
