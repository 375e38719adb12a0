"""The `sock_*` methods."""

from __future__ import annotations

import asyncio
import inspect
import socket
from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.io.carriers import Peer, turns, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

requirement = pytest.mark.requirement


@pytest.fixture
def pair(loop: Any) -> Iterator[tuple[socket.socket, Peer]]:
    """A connected non-blocking socket, and its peer."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield ours, Peer(loop, theirs)
    ours.close()
    theirs.close()


@pytest.fixture
def datagrams() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A non-blocking UDP socket and a blocking one."""
    with socket.socket(type=socket.SOCK_DGRAM) as ours, socket.socket(type=socket.SOCK_DGRAM) as theirs:
        ours.bind(("127.0.0.1", 0))
        theirs.bind(("127.0.0.1", 0))
        theirs.settimeout(10)
        ours.setblocking(False)
        yield ours, theirs


@requirement(
    "loop.sock_recv/returns-received-bytes",
    "loop.sock_recv/returns-empty-at-eof",
    "loop.sock_recv/other-tasks-run-meanwhile",
)
@pytest.mark.parametrize("early", [True, False], ids=["there-already", "comes-later"])
async def test_sock_recv_returns_at_most_what_was_asked_for(loop: Any, pair: Any, early: bool) -> None:
    ours, peer = pair
    if early:
        peer.sock.sendall(b"hello")
        assert await loop.sock_recv(ours, 3) == b"hel"
    else:
        receiving = loop.create_task(loop.sock_recv(ours, 3))
        await turns()
        assert not receiving.done()
        peer.sock.sendall(b"hello")
        assert await receiving == b"hel"
    assert await loop.sock_recv(ours, 100) == b"lo"
    peer.sock.close()
    assert await loop.sock_recv(ours, 100) == b""


@requirement("loop.sock_recv_into/returns-byte-count", "loop.sock_recv_into/accepts-documented-parameters")
async def test_sock_recv_into_fills_the_buffer(loop: Any, pair: Any) -> None:
    ours, peer = pair
    buffer = bytearray(8)
    receiving = loop.create_task(loop.sock_recv_into(ours, buf=buffer))
    await turns()
    peer.sock.sendall(b"abc")
    assert await receiving == 3
    assert buffer == b"abc\0\0\0\0\0"


@requirement("loop.sock_recv/cancelling-frees-socket")
async def test_a_socket_serves_the_next_call_after_one_was_cancelled(loop: Any, pair: Any) -> None:
    ours, peer = pair
    receiving = loop.create_task(loop.sock_recv(ours, 10))
    await turns()
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    peer.sock.sendall(b"next")
    assert await loop.sock_recv(ours, 10) == b"next"
    assert not loop.remove_reader(ours)


@requirement("loop.sock_sendall/sends-everything", "loop.sock_sendall/sends-beyond-socket-buffer")
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_sock_sendall_sends_more_than_the_system_buffers(loop: Any, pair: Any, kind: Any) -> None:
    ours, peer = pair
    data = bytes(range(256)) * 20_000
    reading = asyncio.ensure_future(peer.read(len(data)))
    assert await loop.sock_sendall(ours, kind(data)) is None
    assert await reading == data
    assert not loop.remove_writer(ours)


async def test_sock_sendall_ends_with_an_error_when_the_peer_goes_away(loop: Any, pair: Any) -> None:
    ours, peer = pair
    sending = loop.create_task(loop.sock_sendall(ours, b"x" * 10_000_000))
    await turns()
    peer.sock.close()
    with pytest.raises(OSError, match=r".*"):
        await sending


@requirement(
    "loop.sock_recvfrom/returns-data-and-address",
    "loop.sock_recvfrom/address-is-sender",
    "loop.sock_recvfrom_into/returns-count-and-address",
    "loop.sock_recvfrom_into/zero-nbytes-uses-buffer-length",
    "loop.sock_sendto/returns-bytes-sent",
)
async def test_datagrams_are_received_with_their_sender_and_sent_to_an_address(loop: Any, datagrams: Any) -> None:
    ours, theirs = datagrams
    receiving = loop.create_task(loop.sock_recvfrom(ours, 100))
    await turns()
    theirs.sendto(b"one", ours.getsockname())
    assert await receiving == (b"one", theirs.getsockname())
    buffer = bytearray(4)
    theirs.sendto(b"second", ours.getsockname())
    assert await loop.sock_recvfrom_into(ours, buffer) == (4, theirs.getsockname())
    assert buffer == b"seco"
    theirs.sendto(b"third", ours.getsockname())
    assert await loop.sock_recvfrom_into(ours, buffer, 2) == (2, theirs.getsockname())
    assert buffer == b"thco"
    assert await loop.sock_sendto(ours, b"back", theirs.getsockname()) == 4
    assert theirs.recvfrom(100) == (b"back", ours.getsockname())


@requirement(
    "loop.sock_accept/returns-connection-and-address",
    "loop.sock_accept/connection-sends-and-receives",
    "loop.sock_connect/connects-to-address",
)
async def test_sockets_connect_and_accept(loop: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        listening.setblocking(False)
        client.setblocking(False)
        accepting = loop.create_task(loop.sock_accept(listening))
        await turns()
        assert await loop.sock_connect(client, listening.getsockname()) is None
        connection, address = await accepting
        with connection:
            assert connection.gettimeout() == 0
            assert address == client.getsockname()
            await loop.sock_sendall(connection, b"hello")
            assert await loop.sock_recv(client, 100) == b"hello"


@requirement("loop.sock_connect/resolves-unresolved-names")
async def test_sock_connect_resolves_names(loop: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, ("localhost", listening.getsockname()[1]))
        assert client.getpeername() == listening.getsockname()


async def test_sock_connect_to_where_nobody_listens_fails(loop: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
    with socket.socket() as client:
        client.setblocking(False)
        with pytest.raises(ConnectionRefusedError):
            await loop.sock_connect(client, address)
        assert not loop.remove_writer(client)


@requirement("loop.sock_connect/accepts-unix-path")
async def test_sock_connect_takes_a_path(loop: Any, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(str(tmp_path / "listening"))
        listening.listen()
        client.setblocking(False)
        await loop.sock_connect(client, str(tmp_path / "listening"))


@pytest.mark.asyncio_differs("takes a Unix socket for connected whose server's queue is full")
async def test_sock_connect_waits_for_room_in_the_queue_of_a_unix_server(loop: Any, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(str(tmp_path / "listening"))
        listening.listen(0)
        client.setblocking(False)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(listening.getsockname())
            connecting = loop.create_task(loop.sock_connect(client, listening.getsockname()))
            await turns()
            assert not connecting.done()
            listening.accept()[0].close()
            await connecting
            assert client.getpeername() == listening.getsockname()


@requirement(
    "loop.sock_recv/rejects-blocking-socket",
    "loop.sock_recv_into/rejects-blocking-socket",
    "loop.sock_recvfrom/rejects-blocking-socket",
    "loop.sock_recvfrom_into/rejects-blocking-socket",
    "loop.sock_sendto/rejects-blocking-socket",
    "loop.sock_sendall/rejects-blocking-or-unconnected-socket",
    "loop.sock_connect/rejects-blocking-socket",
    "loop.sock_accept/rejects-blocking-or-nonlistening-socket",
)
@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("sock_recv", (1,)),
        ("sock_recv_into", (bytearray(1),)),
        ("sock_recvfrom", (1,)),
        ("sock_recvfrom_into", (bytearray(1),)),
        ("sock_sendall", (b"x",)),
        ("sock_sendto", (b"x", ("127.0.0.1", 1))),
        ("sock_connect", (("127.0.0.1", 1),)),
        ("sock_accept", ()),
    ],
)
async def test_debug_mode_rejects_blocking_sockets(loop: Any, method: str, args: tuple[Any, ...]) -> None:
    loop.set_debug(True)
    assert inspect.iscoroutinefunction(getattr(loop, method))
    with socket.socket() as sock:
        with pytest.raises(ValueError, match="non-blocking"):
            await getattr(loop, method)(sock, *args)


@requirement(
    "loop.sock_sendall/rejects-blocking-or-unconnected-socket",
    "loop.sock_accept/rejects-blocking-or-nonlistening-socket",
)
async def test_sockets_in_the_wrong_state_raise_oserror(loop: Any) -> None:
    with socket.socket() as sock:
        sock.setblocking(False)
        with pytest.raises(OSError, match=r".*"):
            await loop.sock_sendall(sock, b"x")
        with pytest.raises(OSError, match=r".*"):
            await loop.sock_accept(sock)


@pytest.mark.asyncio_differs("lets the first wait for ever")
async def test_a_second_wait_for_the_same_socket_ends_the_first(loop: Any, pair: Any) -> None:
    ours, peer = pair
    first = loop.create_task(loop.sock_recv(ours, 10))
    await turns()
    second = loop.create_task(loop.sock_recv(ours, 10))
    await until(first.done)
    with pytest.raises(ConnectionAbortedError):
        first.result()
    peer.sock.sendall(b"x")
    assert await second == b"x"
