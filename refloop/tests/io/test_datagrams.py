"""Datagram endpoints."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.io.carriers import turns, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

requirement = pytest.mark.requirement

HOST = "127.0.0.1"


class Datagrams:
    """A datagram protocol of no particular descent, which writes down what it is told."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []
        self.errors: list[OSError] = []
        self.lost: list[Any] = []
        self.flow: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append((data, addr))

    def error_received(self, exc: OSError) -> None:
        self.errors.append(exc)

    def connection_lost(self, exc: Any) -> None:
        self.lost.append(exc)

    def pause_writing(self) -> None:
        self.flow.append("pause")

    def resume_writing(self) -> None:
        self.flow.append("resume")


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


@requirement(
    "DatagramProtocol.datagram_received/receives-data-and-sender",
    "DatagramProtocol.datagram_received/keeps-datagram-boundaries",
    "DatagramTransport.sendto/sends-to-given-address",
    "protocols-general/accepts-duck-typed-protocol",
    "loop.create_datagram_endpoint/binds-local-address",
    "loop.create_datagram_endpoint/transport-is-datagram-transport",
)
async def test_datagrams_go_both_ways_unsplit_and_unjoined(loop: Any, peer: socket.socket) -> None:
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0))
    assert protocol.transport is transport
    # Until 3.11 the standard library's own is none.
    assert isinstance(transport, asyncio.DatagramTransport) or sys.version_info < (3, 12)
    address = transport.get_extra_info("sockname")
    assert address[0] == HOST
    sent = [b"a", b"", b"b" * 60_000, b"c"]
    for data in sent:
        peer.sendto(data, address)
    await until(lambda: len(protocol.received) == len(sent))
    assert protocol.received == [(data, peer.getsockname()) for data in sent]
    for block in (b"one", bytearray(b"two"), memoryview(b"three")):
        transport.sendto(block, peer.getsockname())
        assert peer.recvfrom(100) == (bytes(block), address)
    assert transport.get_extra_info("peername") is None
    await end(transport, protocol)


@requirement("DatagramTransport.sendto/sends-empty-datagram")
@pytest.mark.since((3, 13))
async def test_an_empty_datagram_is_sent(loop: Any, peer: socket.socket) -> None:
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=peer.getsockname())
    transport.sendto(b"")
    assert peer.recvfrom(100)[0] == b""
    await end(transport, protocol)


@requirement(
    "loop.create_datagram_endpoint/connects-remote-address",
    "loop.create_datagram_endpoint/connected-endpoint-needs-no-address",
    "DatagramTransport.sendto/none-address-uses-remote",
)
async def test_a_connected_endpoint_talks_to_one_peer_only(loop: Any, peer: socket.socket) -> None:
    transport, protocol = await loop.create_datagram_endpoint(
        Datagrams, local_addr=(HOST, 0), remote_addr=peer.getsockname()
    )
    assert transport.get_extra_info("peername") == peer.getsockname()
    transport.sendto(b"x")
    transport.sendto(b"y", peer.getsockname())
    assert [peer.recv(10), peer.recv(10)] == [b"x", b"y"]
    with pytest.raises(ValueError, match=r".*"):
        transport.sendto(b"x", (HOST, 9))
    with socket.socket(type=socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"hello?", transport.get_extra_info("sockname"))
    peer.sendto(b"hello", transport.get_extra_info("sockname"))
    await until(lambda: protocol.received)
    assert protocol.received == [(b"hello", peer.getsockname())]
    await end(transport, protocol)


@requirement("DatagramProtocol.error_received/receives-oserror")
async def test_a_refused_datagram_reaches_error_received_and_the_endpoint_goes_on(loop: Any) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as gone:
        gone.bind((HOST, 0))
        address = gone.getsockname()
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=address)
    transport.sendto(b"anyone?")
    await until(lambda: protocol.errors)
    assert isinstance(protocol.errors[0], ConnectionRefusedError)
    assert not transport.is_closing()
    await end(transport, protocol)


async def test_a_datagram_that_is_too_large_reaches_error_received(loop: Any, peer: socket.socket) -> None:
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0))
    transport.sendto(b"x" * 70_000, peer.getsockname())
    assert isinstance(protocol.errors[0], OSError)
    await end(transport, protocol)


@requirement(
    "DatagramTransport.sendto/never-blocks",
    "DatagramTransport.sendto/counts-header-in-buffer",
    "BaseProtocol.pause_writing/once-per-crossing",
    "BaseTransport.close/flushes-buffer-first",
)
@pytest.mark.since((3, 13))
async def test_datagrams_that_cannot_be_sent_are_buffered_and_sent_before_the_end(
    loop: Any, slow: socket.socket
) -> None:
    transport, protocol = await loop.create_datagram_endpoint(
        Datagrams, remote_addr=slow.getsockname(), family=socket.AF_UNIX
    )
    sent = 0
    while not protocol.flow and sent < 99_999:
        transport.sendto(b"%05d" % sent + b"x" * 500)
        sent += 1
    size = transport.get_write_buffer_size()
    transport.sendto(b"")
    assert transport.get_write_buffer_size() > size
    transport.close()
    for number in range(sent):
        assert (await loop.run_in_executor(None, slow.recv, 1000))[:5] == b"%05d" % number
    assert await loop.run_in_executor(None, slow.recv, 1000) == b""
    await until(lambda: protocol.lost)
    assert protocol.flow == ["pause", "resume"]


@requirement("DatagramTransport.abort/discards-buffered-datagrams", "DatagramTransport.abort/stops-receiving")
async def test_abort_drops_what_is_buffered(loop: Any, slow: socket.socket, tmp_path: Path) -> None:
    ours = str(tmp_path / "ours")
    transport, protocol = await loop.create_datagram_endpoint(
        Datagrams, local_addr=ours, remote_addr=slow.getsockname(), family=socket.AF_UNIX
    )
    for _ in range(2000):
        transport.sendto(b"x" * 1000)
    assert transport.get_write_buffer_size()
    slow.sendto(b"late", ours)
    transport.abort()
    transport.abort()
    assert transport.is_closing()
    transport.sendto(b"ignored")
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]
    assert not protocol.received


@requirement("loop.create_datagram_endpoint/supports-unix-datagrams")
async def test_unix_endpoints_have_paths_for_addresses(loop: Any, tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stale:
        stale.bind(one)
    first, protocol = await loop.create_datagram_endpoint(Datagrams, local_addr=one, family=socket.AF_UNIX)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(two)
        other.settimeout(10)
        other.sendto(b"hello", one)
        await until(lambda: protocol.received)
        assert protocol.received == [(b"hello", two)]
        first.sendto(b"back", two)
        assert other.recvfrom(10) == (b"back", one)
    await end(first, protocol)


@requirement(
    "loop.create_datagram_endpoint/family-alone-suffices", "loop.create_datagram_endpoint/creates-datagram-socket"
)
async def test_a_family_alone_makes_an_unbound_endpoint(loop: Any, peer: socket.socket) -> None:
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, family=socket.AF_INET)
    assert transport.get_extra_info("socket").type == socket.SOCK_DGRAM
    transport.sendto(b"x", peer.getsockname())
    assert peer.recv(10) == b"x"
    await end(transport, protocol)


@requirement(
    "loop.create_datagram_endpoint/rejects-missing-address-and-family",
    "loop.create_datagram_endpoint/rejects-sock-with-address",
    "loop.create_datagram_endpoint/rejects-reuse-address-keyword",
)
async def test_contradictory_arguments_are_rejected(loop: Any, peer: socket.socket) -> None:
    arguments: Any
    with socket.socket() as stream:
        for arguments in ({}, {"sock": peer, "local_addr": (HOST, 0)}, {"sock": stream}):
            with pytest.raises(ValueError, match=r".*"):
                await loop.create_datagram_endpoint(Datagrams, **arguments)
    with pytest.raises(ValueError, match=r".*"):
        await loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0), remote_addr=("::1", 1))
    with pytest.raises(TypeError):
        await loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0), reuse_address=True)


@requirement(
    "loop.create_datagram_endpoint/reuse-port-shares-port",
    "loop.create_datagram_endpoint/allow-broadcast-permits-broadcast",
)
async def test_options_are_set_on_the_socket(loop: Any) -> None:
    first, one = await loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0), reuse_port=True)
    address = first.get_extra_info("sockname")
    second, two = await loop.create_datagram_endpoint(
        Datagrams, local_addr=address, reuse_port=True, allow_broadcast=True
    )
    assert second.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
    assert not first.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
    await end(first, one)
    await end(second, two)


@requirement("loop.create_datagram_endpoint/allow-broadcast-permits-broadcast")
async def test_a_broadcasting_endpoint_sends_to_its_remote_address_and_hears_everybody(
    loop: Any, peer: socket.socket
) -> None:
    transport, protocol = await loop.create_datagram_endpoint(
        Datagrams, remote_addr=peer.getsockname(), local_addr=(HOST, 0), allow_broadcast=True
    )
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
