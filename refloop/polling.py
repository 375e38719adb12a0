"""Asking the system which descriptors are ready, and being woken while waiting for its answer.

A poller answers with pairs `(descriptor, mask)`; its `readable` and `writable` say which bits of a mask mean what.
On Linux the default asks epoll itself. Every selector of the `selectors` module serves through `SelectorPoller`.
"""

from __future__ import annotations

import os
import select
import selectors
import socket
import sys
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# `select()` and friends take a C int or timeval; a day is far inside, and waking once a day costs nothing.
LONGEST_WAIT = 24 * 3600.0

# Room for the answers of one poll; a busy server seldom has more descriptors ready at once.
MOST_AT_ONCE = 512


class Poller(ABC):
    """What a loop asks for ready descriptors."""

    readable: int
    writable: int

    @abstractmethod
    def watch(self, fd: int, reading: bool, writing: bool) -> None:
        """Report `fd` from now on when it is ready in the given directions; with neither, forget it.

        Raises `OSError` for what the system cannot watch: a closed descriptor or, with epoll, a regular file
        (`PermissionError`).
        """

    @abstractmethod
    def poll(self, timeout: float | None, at_most: int, /) -> Sequence[tuple[int, int]]:
        """Wait at most `timeout` seconds (None: without limit, 0: not at all) and return what is ready.

        `at_most`: how many descriptors the answer may name; the next answer names the others.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the system's resources back."""

    def add_waker(self) -> Waker:
        """Return a new waker, whose descriptor is watched from now on."""
        waker = default_waker()
        self.watch(waker.fd, True, False)
        return waker


class SelectorPoller(Poller):
    """Polls any selector of the `selectors` module.

    Keeps: SelectorEventLoop/accepts-selector-argument, SelectorEventLoop/works-with-each-selector.
    """

    readable = selectors.EVENT_READ
    writable = selectors.EVENT_WRITE

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector

    def watch(self, fd: int, reading: bool, writing: bool) -> None:
        events = (self.readable if reading else 0) | (self.writable if writing else 0)
        watched = self._selector.get_map().get(fd)
        if watched is None:
            if events:
                self._selector.register(fd, events)
        elif events:
            self._selector.modify(fd, events)
        else:
            self._selector.unregister(fd)

    def poll(self, timeout: float | None, _at_most: int, /) -> Sequence[tuple[int, int]]:
        return [(key.fd, mask) for key, mask in self._selector.select(timeout)]

    def close(self) -> None:
        self._selector.close()


class Waker(ABC):
    """A descriptor that becomes readable when `wake()` is called, from any thread or signal handler.

    A thread may call while the loop's thread closes: the lock keeps it from writing to a descriptor whose number stands
    for something else by then. It is reentrant, for signal handlers.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._open = True
        self.fd = self._make()

    def wake(self) -> None:
        """Make the descriptor readable; does nothing once the waker is closed."""
        with self._lock:
            if self._open:
                self._write()

    def close(self) -> None:
        """Give the descriptor back."""
        with self._lock:
            self._open = False
            self._release()

    @abstractmethod
    def drain(self) -> None:
        """Make the descriptor unreadable until the next `wake()`."""

    @abstractmethod
    def _make(self) -> int: ...

    @abstractmethod
    def _write(self) -> None: ...

    @abstractmethod
    def _release(self) -> None: ...


class SocketWaker(Waker):
    """A waker that works everywhere: a pair of sockets."""

    def _make(self) -> int:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        return self._receiver.fileno()

    def drain(self) -> None:
        with suppress(BlockingIOError):
            while len(self._receiver.recv(4096)) == 4096:
                pass

    def _write(self) -> None:
        # Full of earlier calls, any of which wakes the loop, it need not take another byte.
        with suppress(BlockingIOError):
            self._sender.send(b"\0")

    def _release(self) -> None:
        self._receiver.close()
        self._sender.close()


if sys.platform == "linux":
    # PyPy does not name it.
    EPOLLRDHUP = getattr(select, "EPOLLRDHUP", 0x2000)

    class EpollPoller(Poller):
        """Polls with epoll, without the layers between."""

        readable = select.EPOLLIN | select.EPOLLPRI | EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
        writable = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._watched: set[int] = set()
            if sys.implementation.name == "cpython":
                # The system's own method, with no call of ours around it; PyPy's takes no None.
                self.poll = self._epoll.poll  # type: ignore[method-assign]

        def watch(self, fd: int, reading: bool, writing: bool) -> None:
            events = (select.EPOLLIN if reading else 0) | (select.EPOLLOUT if writing else 0)
            known = fd in self._watched
            if not events:
                if known:
                    self._watched.discard(fd)
                    # A descriptor that was closed first, the system has forgotten by itself.
                    with suppress(OSError):
                        self._epoll.unregister(fd)
            elif known:
                try:
                    self._epoll.modify(fd, events)
                except FileNotFoundError:
                    # Closed behind our back, and its number now stands for something else.
                    self._epoll.register(fd, events)
            else:
                self._epoll.register(fd, events)
                self._watched.add(fd)

        def poll(self, timeout: float | None, at_most: int, /) -> Sequence[tuple[int, int]]:
            return self._epoll.poll(-1 if timeout is None else timeout, at_most)

        def close(self) -> None:
            self._epoll.close()

        def add_waker(self) -> Waker:
            if not hasattr(os, "eventfd"):
                return super().add_waker()
            # Every write is reported once, so that nothing need be read: one system call less for each wake-up.
            waker = UndrainedEventWaker()
            self._epoll.register(waker.fd, select.EPOLLIN | select.EPOLLET)
            return waker

    class EventWaker(Waker):
        """A waker that needs a single descriptor: Linux's eventfd."""

        def _make(self) -> int:
            return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

        def drain(self) -> None:
            with suppress(BlockingIOError):
                os.eventfd_read(self.fd)

        def _write(self) -> None:
            os.eventfd_write(self.fd, 1)

        def _release(self) -> None:
            os.close(self.fd)

    class UndrainedEventWaker(EventWaker):
        """An eventfd whose every write the poller reports: it may stay readable, and is full after 2**64 of them."""

        def drain(self) -> None:
            pass


def default_poller() -> Poller:
    """Return the system's most efficient poller.

    Keeps: SelectorEventLoop/uses-best-selector.
    """
    return EpollPoller() if sys.platform == "linux" else SelectorPoller(selectors.DefaultSelector())


def default_waker() -> Waker:
    """Return the system's cheapest waker."""
    return EventWaker() if sys.platform == "linux" and hasattr(os, "eventfd") else SocketWaker()
