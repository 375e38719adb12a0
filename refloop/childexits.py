"""Hearing that a child process has ended, without signals.

Linux gives every process a descriptor that becomes readable when it ends, and the loop watches that one like any other.
Where there is none, or the system has none left, a thread waits. Neither reaps the child: that is left to the loop's
own thread, which so never signals a process id that the system has given to somebody else.

A child watcher that was set for the policy takes precedence; it reaps by itself.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

# What is reported for a child that somebody else has reaped; its own return code nobody knows any more.
UNKNOWN_RETURN_CODE = 255


class ExitWatch(Protocol):
    """Waits for the end of one child and then makes a call in the loop, once."""

    def stop(self) -> None:
        """Give the system's resources back; the child has ended, or nobody cares any more."""


class PidfdWatch:
    """The loop's entry for the process descriptor of a child."""

    __slots__ = ("_fd", "_loop", "_on_exit")

    def __init__(self, loop: Any, fd: int, on_exit: Callable[[], object]) -> None:
        self._loop = loop
        self._fd = fd
        self._on_exit: Callable[[], object] | None = on_exit
        try:
            loop._watch_reader(fd, self)
        except BaseException:
            os.close(fd)
            raise

    def _run(self) -> None:
        on_exit = self._on_exit
        self.stop()
        if on_exit is not None:
            on_exit()

    def cancel(self) -> None:
        """Do nothing: `stop()` has been called, or the loop is closed."""

    def stop(self) -> None:
        """Close the descriptor."""
        if self._on_exit is not None:
            self._on_exit = None
            self._loop._unwatch_reader(self._fd)
            os.close(self._fd)


class ThreadWatch:
    """A thread that waits for a child and ends with it."""

    def __init__(self, loop: Any, popen: subprocess.Popen[bytes], on_exit: Callable[[], object]) -> None:
        self._loop = loop
        self._popen = popen
        self._on_exit: Callable[[], object] | None = on_exit
        # A daemon: a program that ends while its child goes on does not have to wait for that.
        self._thread = threading.Thread(target=self._wait, name=f"refloop-child-{popen.pid}", daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        if not wait_without_reaping(self._popen.pid):
            self._popen.wait()
        try:
            self._loop.call_soon_threadsafe(self._heard)
        except RuntimeError:
            # The loop is closed; the child need not stay a zombie for that.
            self._popen.poll()

    def _heard(self) -> None:
        on_exit = self._on_exit
        self.stop()
        if on_exit is not None:
            on_exit()

    def stop(self) -> None:
        """Wait for the thread, which has nothing left to do: the child has ended."""
        self._on_exit = None
        if self._thread is not threading.current_thread():
            self._thread.join()


class WatcherWatch:
    """A child left to the policy's child watcher, which reaps it and may say so in any thread."""

    def __init__(
        self, loop: Any, popen: subprocess.Popen[bytes], on_exit: Callable[[], object], child_watcher: Any
    ) -> None:
        self._loop = loop
        self._popen = popen
        self._on_exit: Callable[[], object] | None = on_exit
        self._watcher = child_watcher
        child_watcher.add_child_handler(popen.pid, self._reaped)

    def _reaped(self, _: int, returncode: int, *__: object) -> None:
        if self._popen.returncode is None:
            self._popen.returncode = returncode
        # A closed loop has nobody left to tell.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._heard)

    def _heard(self) -> None:
        on_exit, self._on_exit = self._on_exit, None
        if on_exit is not None:
            on_exit()

    def stop(self) -> None:
        """Let the watcher forget the child."""
        if self._on_exit is not None:
            self._on_exit = None
            self._watcher.remove_child_handler(self._popen.pid)


def watch_exit(
    loop: Any, popen: subprocess.Popen[bytes], on_exit: Callable[[], object], child_watcher: Any = None
) -> ExitWatch:
    """Call `on_exit()` in `loop` when the child has ended, be it long ago.

    `child_watcher`: the one that was set for the policy, None for the loop's own means.

    Keeps: subprocess-and-threads/spawns-from-any-thread.
    """
    if child_watcher is not None:
        return WatcherWatch(loop, popen, on_exit, child_watcher)
    fd = open_pidfd(popen.pid)
    return ThreadWatch(loop, popen, on_exit) if fd is None else PidfdWatch(loop, fd, on_exit)


def open_pidfd(pid: int) -> int | None:
    """Return a descriptor of the process; None where the system has none, refuses it, or has none left."""
    opener = getattr(os, "pidfd_open", None)
    if opener is None:
        return None
    try:
        fd: int = opener(pid)
    except OSError:
        return None
    return fd


def wait_without_reaping(pid: int) -> bool:
    """Wait until the child has ended; return False, at once, where the system can only wait and reap in one."""
    if not hasattr(os, "waitid"):
        return False
    # Somebody else may have reaped it, which says as well that it has ended.
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return True


def was_reaped(pid: int) -> bool:
    """Return whether somebody else has reaped the child, as far as the system tells."""
    if not hasattr(os, "waitid"):
        return False
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except ChildProcessError:
        return True
    return False
