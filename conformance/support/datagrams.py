"""Datagram endpoints of the loop and plain datagram sockets at their other end.

A plain socket sends and receives one datagram at a time here, on the machine's own addresses, where nothing gets lost
as long as the receiver's buffer has room. Whoever is to read a lot reads in a thread (`in_thread`).
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from conformance.support.peers import HOST, socket_path
from conformance.support.threads import beside
from conformance.support.waiting import GENEROUS, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

LARGEST = 60_000
"""Bytes in a large datagram: below the 65,507 that UDP over IPv4 can carry."""


class Datagrams(asyncio.DatagramProtocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.events: list[str] = []
        self.received: list[tuple[bytes, Any]] = []
        self.errors: list[Exception] = []
        self.lost: list[BaseException | None] = []
        """the arguments of ``connection_lost()``, one for each call"""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.events.append("made")

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.events.append("datagram")
        self.received.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.events.append("error")
        self.errors.append(exc)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")
        self.lost.append(exc)

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")


@asynccontextmanager
async def endpoint(
    loop: AbstractEventLoop, *addresses: Any, factory: Callable[[], Any] = Datagrams, **options: Any
) -> AsyncIterator[tuple[Any, Any]]:
    """``create_datagram_endpoint(factory, *addresses, **options)``: transport and protocol.

    It is aborted after the block, unless it has ended; the protocol must write down the end as `Datagrams` does.
    """
    transport, protocol = await loop.create_datagram_endpoint(factory, *addresses, **options)
    try:
        yield transport, protocol
    finally:
        if not protocol.lost:
            transport.abort()
            await until(loop, lambda: protocol.lost)


def bound(address: Any = (HOST, 0), family: int = socket.AF_INET) -> socket.socket:
    """A plain blocking datagram socket with an address; its waits are bounded."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.settimeout(GENEROUS)
    return sock


@contextmanager
def nonblocking_and_plain() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two UDP sockets with addresses: the first non-blocking, for the target; the second for the case."""
    with bound() as ours, bound() as theirs:
        ours.setblocking(False)
        yield ours, theirs


@contextmanager
def unix_paths() -> Iterator[tuple[Path, Path]]:
    """Two paths for Unix sockets."""
    with socket_path() as first, socket_path() as second:
        yield first, second


@contextmanager
def slow_peer() -> Iterator[socket.socket]:
    """A Unix datagram socket, to which nothing more can be sent once a few datagrams wait in it."""
    with socket_path() as path, bound(str(path), socket.AF_UNIX) as sock:
        yield sock


def connected_to(peer: socket.socket) -> socket.socket:
    """A socket connected to ``peer``, for an endpoint whose datagrams have to wait there."""
    sock = socket.socket(peer.family, socket.SOCK_DGRAM)
    sock.connect(peer.getsockname())
    return sock


async def in_thread(loop: AbstractEventLoop, work: Callable[[], T]) -> T:
    """Call ``work()`` in a thread while ``loop`` runs."""
    with ThreadPoolExecutor(1) as thread:
        return await beside(loop, thread, work)


def receive(sock: socket.socket, number: int) -> list[bytes]:
    """The next ``number`` datagrams that come to ``sock``."""
    return [sock.recv(LARGEST) for _ in range(number)]


def nothing_waits(sock: socket.socket) -> bool:
    """Whether ``sock`` has no datagram: on the machine's own addresses a sent one is there at once."""
    sock.setblocking(False)
    try:
        sock.recv(LARGEST)
    except BlockingIOError:
        return True
    finally:
        sock.settimeout(GENEROUS)
    return False
