"""Datagram endpoints, where no documentation says what is to happen; the cases say the rest."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.io.carriers import turns, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"


class Datagrams:
    """A datagram protocol of no particular descent, which writes down what it is told."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []
        self.errors: list[OSError] = []
        self.lost: list[Any] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append((data, addr))

    def error_received(self, exc: OSError) -> None:
        self.errors.append(exc)

    def connection_lost(self, exc: Any) -> None:
        self.lost.append(exc)

    def pause_writing(self) -> None:
        pass

    def resume_writing(self) -> None:
        pass


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    """A plain UDP socket."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.settimeout(10)
        yield sock


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[socket.socket]:
    """A Unix datagram socket, to which nothing can be sent any more once a few datagrams wait in it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "slow"))
        sock.settimeout(10)
        yield sock


async def end(transport: Any, protocol: Any) -> None:
    """Close an endpoint and see to its end."""
    transport.close()
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]


async def test_a_connected_endpoint_sends_to_nobody_else(loop: Any, peer: socket.socket) -> None:
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=peer.getsockname())
    with pytest.raises(ValueError, match=r".*"):
        transport.sendto(b"x", (HOST, 9))
    await end(transport, protocol)


async def test_what_is_sent_after_the_end_is_dropped(loop: Any, peer: socket.socket) -> None:
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=peer.getsockname())
    transport.abort()
    transport.sendto(b"ignored")
    await until(lambda: protocol.lost)
    transport.sendto(b"ignored")
    assert protocol.errors == []


async def test_a_buffer_may_change_while_its_datagram_waits(loop: Any, slow: socket.socket) -> None:
    buffer = bytearray(4)
    transport, protocol = await loop.create_datagram_endpoint(
        Datagrams, remote_addr=slow.getsockname(), family=socket.AF_UNIX
    )
    for number in range(2000):
        buffer[:] = number.to_bytes(4, "big")
        transport.sendto(memoryview(buffer))
    for number in range(2000):
        assert await loop.run_in_executor(None, slow.recv, 10) == number.to_bytes(4, "big")
    await end(transport, protocol)


@pytest.mark.asyncio_differs("does not know a peer without a name")
async def test_one_of_a_pair_sends_without_an_address(loop: Any) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs:
        theirs.settimeout(10)
        transport, protocol = await loop.create_datagram_endpoint(Datagrams, sock=ours)
        transport.sendto(b"hello")
        assert theirs.recv(10) == b"hello"
        await end(transport, protocol)


async def test_a_socket_that_nobody_uses_any_more_gives_its_path_up(loop: Any, tmp_path: Path) -> None:
    path = str(tmp_path / "stale")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stale:
        stale.bind(path)
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, local_addr=path, family=socket.AF_UNIX)
    assert transport.get_extra_info("sockname") == path
    await end(transport, protocol)


async def test_contradictory_arguments_are_rejected(loop: Any, peer: socket.socket) -> None:
    arguments: Any
    with socket.socket() as stream:
        for arguments in ({"sock": stream}, {"sock": peer, "family": socket.AF_INET}, {"sock": peer, "flags": 1}):
            with pytest.raises(ValueError, match=r".*"):
                await loop.create_datagram_endpoint(Datagrams, **arguments)
    with pytest.raises(ValueError, match=r".*"):
        await loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0), remote_addr=("::1", 1))


async def test_a_broadcasting_endpoint_hears_everybody(loop: Any, peer: socket.socket) -> None:
    transport, protocol = await loop.create_datagram_endpoint(
        Datagrams, remote_addr=peer.getsockname(), local_addr=(HOST, 0), allow_broadcast=True
    )
    assert transport.get_extra_info("peername") is None
    transport.sendto(b"all")
    data, address = peer.recvfrom(10)
    assert data == b"all"
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.sendto(b"me", address)
        await until(lambda: protocol.received)
    await end(transport, protocol)


async def test_a_failing_protocol_loses_its_endpoint(
    loop: Any, peer: socket.socket, reported: list[dict[str, Any]]
) -> None:
    class Failing(Datagrams):
        def datagram_received(self, *_: Any) -> None:
            raise ZeroDivisionError

    transport, protocol = await loop.create_datagram_endpoint(Failing, local_addr=(HOST, 0))
    peer.sendto(b"x", transport.get_extra_info("sockname"))
    await until(lambda: reported)
    transport.abort()
    await turns()
    assert len(protocol.lost) == 1


@pytest.mark.asyncio_differs("leaves the socket to the garbage collector")
async def test_a_factory_that_fails_leaves_no_socket_behind(loop: Any) -> None:
    def fail() -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await loop.create_datagram_endpoint(fail, local_addr=(HOST, 0))


async def test_names_are_resolved_in_both_places(loop: Any, peer: socket.socket) -> None:
    transport, protocol = await loop.create_datagram_endpoint(
        Datagrams, ("localhost", 0), ("localhost", peer.getsockname()[1]), family=socket.AF_INET
    )
    transport.sendto(b"hello")
    assert await asyncio.get_running_loop().run_in_executor(None, peer.recv, 10) == b"hello"
    await end(transport, protocol)
