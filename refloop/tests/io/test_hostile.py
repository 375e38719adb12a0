"""Hostile peers, and a system that has run out."""

from __future__ import annotations

import asyncio
import errno
import gc
import resource
import socket
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.io.carriers import GENEROUS, Carrier, Clock, Recorder, turns, until

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 2000

# Connections that may wait to be accepted. The system drops what comes beyond the server's backlog, 100, and who is
# dropped tries again after a second.
WAITING = 50

# Seconds after which a server that had no descriptors tries again.
BREAK = 1.0


@pytest.fixture
def _few_descriptors() -> Iterator[None]:
    """Allow this process few descriptors more than it has, for one test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as probe:
        limit = probe.fileno() + 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _take_all_descriptors(address: Any) -> list[socket.socket]:
    """Return connections to `address`, as many as there are descriptors for."""
    clients = []
    with suppress(OSError):
        while True:
            clients.append(socket.socket())
    for client in clients:
        client.connect(address)
    return clients


@pytest.mark.usefixtures("_few_descriptors")
async def test_a_server_out_of_descriptors_reports_and_recovers(
    loop: Any, clock: Clock, maker: str, reported: list[dict[str, Any]]
) -> None:
    accepted: list[Recorder] = []

    def factory() -> Recorder:
        accepted.append(Recorder())
        return accepted[-1]

    server = await loop.create_server(factory, "127.0.0.1", 0)
    clients = _take_all_descriptors(server.sockets[0].getsockname())
    try:
        await until(lambda: reported)
        assert reported[0]["exception"].errno == errno.EMFILE
        await turns(100)
        # asyncio says it as often as it might have accepted.
        assert len(reported) <= 2 or maker == "asyncio"
        assert not accepted
        for client in clients[:-1]:
            client.close()
        clients[-1].sendall(b"heard")
        # The first attempt accepts those that have gone, and again there are no more descriptors; the second the last.
        for _ in range(2):
            clock.move(BREAK)
            await turns(20)
        await until(lambda: any(protocol.data == b"heard" for protocol in accepted))
    finally:
        for client in clients:
            client.close()
    server.close()
    await until(lambda: all(protocol.lost for protocol in accepted))


def _come_and_go(address: Any, number: int, room: threading.Semaphore) -> None:
    for n in range(number):
        assert room.acquire(timeout=GENEROUS)
        with socket.create_connection(address) as sock:
            if n % 3 == 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            elif n % 3 == 1:
                sock.sendall(b"x" * 100)


async def test_thousands_of_connections_that_come_and_go_leave_nothing(loop: Any) -> None:
    begun = ended = 0
    room = threading.Semaphore(WAITING)

    class Counting(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            nonlocal begun
            begun += 1
            room.release()
            transport.write(b"hello")

        def connection_lost(self, exc: BaseException | None) -> None:  # noqa: ARG002
            nonlocal ended
            ended += 1

    async with await loop.create_server(Counting, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        await loop.run_in_executor(None, _come_and_go, address, MANY, room)
        await until(lambda: begun == ended == MANY)


async def test_ended_connections_leave_no_reference_cycles(loop: Any, maker: str) -> None:
    protocols: list[Recorder] = []

    def factory() -> Recorder:
        protocols.append(Recorder())
        return protocols[-1]

    async with await loop.create_server(factory, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                client = socket.create_connection(address)
                await until(lambda: protocols and protocols[-1].transport)
                client.close()
                await until(lambda: protocols[-1].lost)
                protocols.clear()
            await turns()
            transports = [
                thing for thing in gc.get_objects() if type(thing).__name__ in ("SocketTransport", "Recorder")
            ]
            assert len(transports) <= 1 or maker == "asyncio"
        finally:
            gc.enable()


async def test_a_flood_leaves_the_loop_time_for_others(loop: Any, tcp: Carrier) -> None:
    _, protocol, peer = await tcp.connect()
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            try:
                peer.sock.sendall(b"x" * 100_000)
            except OSError:
                break

    thread = threading.Thread(target=flood)
    thread.start()
    ticks = 0
    while len(protocol.data) < 20_000_000:
        await asyncio.sleep(0)
        ticks += 1
    assert ticks > 10
    stop.set()
    peer.reset()
    await until(lambda: protocol.lost)
    await loop.run_in_executor(None, thread.join)


async def test_a_peer_that_never_reads_stops_the_writer_not_the_loop(tcp: Carrier) -> None:
    transport, protocol, peer = await tcp.connect()
    while "pause" not in protocol.events:
        transport.write(b"x" * 100_000)
    await turns()
    transport.close()
    await turns()
    assert not protocol.lost
    peer.reset()
    await until(lambda: protocol.lost)
    assert isinstance(protocol.lost[0], OSError)


async def test_a_reset_in_the_middle_of_many_writes_is_told_once(carrier: Carrier) -> None:
    transport, protocol, peer = await carrier.connect()
    peer.sock.close()
    for _ in range(50):
        transport.write(b"x" * 10_000)
        await asyncio.sleep(0)
    await until(lambda: protocol.lost)
    assert len(protocol.lost) == 1
    assert transport.get_write_buffer_size() == 0


async def test_a_connection_reset_before_it_is_accepted_does_the_server_no_harm(loop: Any) -> None:
    server = await loop.create_server(Recorder, "127.0.0.1", 0, start_serving=False)
    await server.start_serving()
    address = server.sockets[0].getsockname()
    for _ in range(20):
        client = socket.create_connection(address)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    with socket.create_connection(address) as good:
        good.settimeout(10)
        await turns(20)
        server.close()
    await server.wait_closed()


def all_have(name: str, made: list[tuple[Any, Any]]) -> bool:
    """Whether every protocol of the connections has something to show under that name."""
    return all(getattr(protocol, name) for _, protocol in made)


async def test_a_hundred_descriptors_reused_at_once_keep_their_own_data(loop: Any) -> None:
    for generation in range(5):
        pairs = [socket.socketpair() for _ in range(100)]
        made = [await loop.create_connection(Recorder, sock=ours) for ours, _ in pairs]
        for number, (_, theirs) in enumerate(pairs):
            theirs.sendall(b"%d-%d" % (generation, number))
        await until(partial(all_have, "data", made))
        assert [bytes(protocol.data) for _, protocol in made] == [b"%d-%d" % (generation, n) for n in range(100)]
        for (_, theirs), (transport, _) in zip(pairs, made, strict=True):
            transport.close()
            theirs.close()
        await until(partial(all_have, "lost", made))
