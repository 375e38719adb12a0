"""Socket calls and watched descriptors, where no documentation says what is to happen; the cases say the rest."""

from __future__ import annotations

import array
import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.io.carriers import Carrier, Peer, turns, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pair(loop: Any) -> Iterator[tuple[socket.socket, Peer]]:
    """A connected non-blocking socket, and its peer."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield ours, Peer(loop, theirs)
    ours.close()
    theirs.close()


@pytest.mark.asyncio_differs("counts items where it should count bytes, and waits for ever")
@pytest.mark.parametrize("number", [10, 2_000_000])
async def test_sock_sendall_sends_all_bytes_of_wider_items(loop: Any, pair: Any, number: int) -> None:
    ours, peer = pair
    data = array.array("I", range(number))
    reading = asyncio.ensure_future(peer.read(4 * number))
    await loop.sock_sendall(ours, memoryview(data))
    assert await reading == data.tobytes()


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


@pytest.mark.asyncio_differs("loses what it has received already")
async def test_a_call_that_is_cancelled_when_its_data_has_come_takes_none(loop: Any, pair: Any) -> None:
    ours, peer = pair
    receiving = loop.create_task(loop.sock_recv(ours, 10))
    await turns()
    peer.sock.sendall(b"kept")

    def cancel_when_ready() -> None:
        # The reader below is called in the same turn as the call's own.
        receiving.cancel()

    other, trigger = socket.socketpair()
    with other, trigger:
        trigger.send(b"x")
        loop.add_reader(other, cancel_when_ready)
        with pytest.raises(asyncio.CancelledError):
            await receiving
        loop.remove_reader(other)
    assert await loop.sock_recv(ours, 10) == b"kept"


@pytest.mark.parametrize("host", [b"127.0.0.1", "localhost", None])
async def test_sock_connect_takes_every_kind_of_host(loop: Any, host: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, (host, listening.getsockname()[1]))
        assert client.getpeername() == listening.getsockname()


@pytest.mark.parametrize(
    ("method", "args"),
    [("sock_recv", (1,)), ("sock_sendall", (b"x",)), ("sock_connect", (("127.0.0.1", 1),)), ("sock_accept", ())],
)
async def test_sockets_that_do_tls_themselves_are_refused(loop: Any, method: str, args: tuple[Any, ...]) -> None:
    context = ssl.create_default_context()
    with context.wrap_socket(socket.socket(), do_handshake_on_connect=False, server_hostname="localhost") as sock:
        sock.setblocking(False)
        with pytest.raises(TypeError):
            await getattr(loop, method)(sock, *args)


@pytest.mark.parametrize("method", ["add_reader", "remove_reader", "add_writer", "remove_writer"])
async def test_the_descriptor_of_a_transport_is_left_to_it(loop: Any, tcp: Carrier, method: str) -> None:
    transport, protocol, peer = await tcp.connect()
    arguments = (print,) if method.startswith("add") else ()
    with pytest.raises(RuntimeError):
        getattr(loop, method)(transport.get_extra_info("socket"), *arguments)
    await peer.send(b"still received")
    await until(lambda: protocol.data)
    assert protocol.data == b"still received"


async def test_a_watched_descriptor_that_was_closed_is_found_by_the_object_it_belonged_to(loop: Any, pair: Any) -> None:
    ours, _ = pair
    loop.add_reader(ours, print)
    ours.close()
    assert loop.remove_reader(ours) is True
    with pytest.raises(ValueError, match=r".*"):
        loop.remove_reader(ours)


@pytest.mark.asyncio_differs("raises that the descriptor is a bad one")
async def test_a_closed_descriptor_can_be_removed_in_both_directions(loop: Any, pair: Any) -> None:
    ours, _ = pair
    loop.add_reader(ours, print)
    loop.add_writer(ours, print)
    ours.close()
    assert [loop.remove_reader(ours), loop.remove_writer(ours)] == [True, True]
