"""Unix datagrams: ``loop.create_datagram_endpoint()`` with paths."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import socket_path
from conformance.support.waiting import GENEROUS, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator
    from pathlib import Path


class Datagrams(asyncio.DatagramProtocol):
    """Writes down what comes, and from where."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []
        self.lost: list[BaseException | None] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append((data, addr))

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.append(exc)


@contextmanager
def bound(path: Path) -> Iterator[socket.socket]:
    """A datagram socket bound to ``path``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(GENEROUS)
        sock.bind(str(path))
        yield sock


async def end(loop: AbstractEventLoop, transport: Any, protocol: Datagrams) -> None:
    """Close an endpoint and wait for its end."""
    transport.close()
    await until(loop, lambda: protocol.lost)


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_datagram_endpoint/supports-unix-datagrams")
async def test_an_endpoint_at_a_path_receives_and_answers(loop: AbstractEventLoop) -> None:
    with socket_path() as path, bound(path.with_name("other")) as other:
        transport, protocol = await loop.create_datagram_endpoint(
            Datagrams,
            local_addr=str(path),
            family=socket.AF_UNIX,
        )
        other.sendto(b"question", str(path))
        await until(loop, lambda: protocol.received)
        assert protocol.received == [(b"question", str(path.with_name("other")))]
        transport.sendto(b"answer", str(path.with_name("other")))
        assert other.recvfrom(10) == (b"answer", str(path))
        await end(loop, transport, protocol)


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_datagram_endpoint/supports-unix-datagrams")
async def test_an_endpoint_connected_to_a_path_sends_there(loop: AbstractEventLoop) -> None:
    with socket_path() as path, bound(path.with_name("other")) as other:
        transport, protocol = await loop.create_datagram_endpoint(
            Datagrams,
            local_addr=str(path),
            remote_addr=str(path.with_name("other")),
            family=socket.AF_UNIX,
        )
        transport.sendto(b"question")
        assert other.recvfrom(10) == (b"question", str(path))
        other.sendto(b"answer", str(path))
        await until(loop, lambda: protocol.received)
        assert protocol.received[0][0] == b"answer"
        assert transport.get_extra_info("peername") == str(path.with_name("other"))
        await end(loop, transport, protocol)


@requirement("loop.create_datagram_endpoint/supports-unix-datagrams")
async def test_an_endpoint_without_a_path_of_its_own_can_send(loop: AbstractEventLoop) -> None:
    with socket_path() as path, bound(path) as other:
        transport, protocol = await loop.create_datagram_endpoint(
            Datagrams,
            remote_addr=str(path),
            family=socket.AF_UNIX,
        )
        sock = transport.get_extra_info("socket")
        assert (sock.family, sock.type) == (socket.AF_UNIX, socket.SOCK_DGRAM)
        transport.sendto(b"only way")
        assert other.recv(10) == b"only way"
        await end(loop, transport, protocol)


@requirement("loop.create_datagram_endpoint/supports-unix-datagrams")
async def test_a_path_without_a_receiver_is_an_oserror(loop: AbstractEventLoop) -> None:
    with socket_path() as path, pytest.raises(FileNotFoundError):
        await loop.create_datagram_endpoint(
            Datagrams,
            remote_addr=str(path),
            family=socket.AF_UNIX,
        )
