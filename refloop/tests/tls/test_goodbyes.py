"""How TLS connections end: goodbyes in both directions, those that never come, and what is still to be sent."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import pytest

from refloop.tests.io.carriers import BufferedRecorder, Clock, Recorder, turns, until
from refloop.tests.tls.carriers import NAME, MemoryTLS, TLSCarrier, client_context, noting, server_context, shake

requirement = pytest.mark.requirement

# More than any socket buffer of a test machine holds.
LARGE = 10_000_000

# A socket buffer, in bytes, that a few reads empty.
SMALL = 65_536

# Seconds that a silent peer is given.
SHORT = 0.2


@requirement("BaseTransport.close/calls-connection-lost-after-flush", "BaseTransport.close/flushes-buffer-first")
@pytest.mark.asyncio_differs("calls eof_received() after close() as well")
async def test_closing_says_goodbye_and_waits_for_the_answer(carrier: TLSCarrier) -> None:
    transport, protocol, peer = await carrier.connect()
    # An end without a goodbye is then an error and not the end of the stream.
    peer.sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]
    transport.write(b"last words")
    transport.close()
    assert await peer.read(10) == b"last words"
    assert await peer.loop.run_in_executor(None, peer.sock.recv, 1) == b""
    assert not protocol.lost
    await peer.goodbye()
    await until(lambda: protocol.lost)
    assert protocol.events == ["made", "lost"]
    assert protocol.lost == [None]


@requirement(
    "Protocol.eof_received/tls-closes-regardless",
    "Protocol.eof_received/once-only-at-peer-eof",
    "BaseProtocol.connection_lost/receives-none-on-clean-end",
)
@pytest.mark.parametrize("keep_open", [True, False])
async def test_the_peers_goodbye_is_answered_and_ends_the_connection(carrier: TLSCarrier, keep_open: bool) -> None:
    transport, protocol, peer = await carrier.connect(lambda: Recorder(keep_open))
    await peer.send(b"last words")
    # Returns once the answer is there.
    await peer.loop.run_in_executor(None, peer.sock.unwrap)  # type: ignore[attr-defined]
    await until(lambda: protocol.lost)
    assert protocol.data == b"last words"
    assert protocol.events == ["made", "data", "eof", "lost"]
    assert protocol.lost == [None]
    assert transport.is_closing()


@requirement("Protocol.eof_received/tls-closes-regardless", "BaseTransport.close/flushes-buffer-first")
async def test_what_is_written_when_the_peer_has_said_goodbye_is_still_sent(loop: Any) -> None:
    class Polite(Recorder):
        def eof_received(self) -> bool:
            self.transport.write(b"and thanks")
            return super().eof_received()

    ours, theirs = socket.socketpair()
    client = MemoryTLS(theirs, False)

    def talk() -> bytes:
        client.do(client.tls.do_handshake)
        client.say_goodbye()
        return client.read_until_goodbye()

    talking = loop.run_in_executor(None, talk)
    _, protocol = await loop.connect_accepted_socket(Polite, ours, ssl=server_context())
    assert await talking == b"and thanks"
    await until(lambda: protocol.lost)
    theirs.close()
    assert protocol.events == ["made", "eof", "lost"]
    assert protocol.lost == [None]


@requirement("BufferedProtocol.eof_received/once-only-and-last")
@pytest.mark.asyncio_differs("tells a buffered protocol of the end only")
async def test_a_buffered_protocol_hears_the_goodbye_after_the_last_byte(carrier: TLSCarrier) -> None:
    _, protocol, peer = await carrier.connect(lambda: BufferedRecorder(10_000))
    await peer.send(b"last words")
    await peer.goodbye()
    await until(lambda: protocol.lost)
    assert protocol.data == b"last words"
    assert protocol.events[-2:] == ["eof", "lost"]
    assert protocol.lost == [None]


async def test_a_peer_that_closes_without_a_goodbye_ends_the_stream_all_the_same(carrier: TLSCarrier) -> None:
    _, protocol, peer = await carrier.connect()
    await peer.send(b"cut")
    peer.sock.shutdown(socket.SHUT_WR)
    await until(lambda: protocol.lost)
    assert protocol.data == b"cut"
    assert protocol.events == ["made", "data", "eof", "lost"]
    assert protocol.lost == [None]


@requirement("BaseTransport.close/flushes-buffer-first")
@pytest.mark.asyncio_differs("gives a peer up that is slower than the whole shutdown may take")
async def test_a_slow_peer_gets_everything_as_long_as_it_goes_on_reading(
    loop: Any, clock: Clock, carrier: TLSCarrier
) -> None:
    carrier.keywords = {"ssl_shutdown_timeout": 2.0}
    transport, protocol, peer = await carrier.connect()
    # The transport has to see the peer read: large buffers would empty and fill in few, long steps.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    transport.write(b"x" * LARGE)
    transport.close()

    def read_slowly() -> int:
        received = 0
        # Twice the time allowed in all; in what the buffers hold, and the transport cannot see read, a fraction of it.
        pause = 4.0 / (LARGE / 100_000)
        while data := peer.sock.recv(16_384):
            received += len(data)
            if received % 100_000 < 16_384:
                clock.move(pause)
        peer.say_goodbye()
        return received

    assert await loop.run_in_executor(None, read_slowly) == LARGE
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]


@requirement("BaseTransport.close/stops-receiving")
@pytest.mark.asyncio_differs("takes for an error that data comes after its goodbye")
async def test_what_comes_after_close_is_passed_over_until_the_goodbye(carrier: TLSCarrier) -> None:
    transport, protocol, peer = await carrier.connect()
    transport.close()
    await peer.send(b"too late" * 1000)
    await peer.goodbye()
    await until(lambda: protocol.lost)
    assert protocol.events == ["made", "lost"]
    assert protocol.lost == [None]


@requirement("BaseTransport.close/stops-receiving", "BaseTransport.close/flushes-buffer-first")
async def test_closing_while_reading_is_paused_ends_as_well(carrier: TLSCarrier) -> None:
    transport, protocol, peer = await carrier.connect()
    transport.pause_reading()
    await peer.send(b"unread" * 10_000)
    await turns(20)
    transport.close()
    await peer.goodbye()
    await until(lambda: protocol.lost)
    assert protocol.events == ["made", "lost"]


@pytest.mark.asyncio_differs("calls eof_received() and connection_lost() although reading is paused")
async def test_a_goodbye_that_comes_while_reading_is_paused_waits(carrier: TLSCarrier) -> None:
    class Pausing(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    transport, protocol, peer = await carrier.connect(Pausing)
    await peer.send(b"last words")
    leaving = asyncio.ensure_future(peer.goodbye())
    await until(lambda: protocol.data)
    await turns(20)
    assert protocol.events == ["made", "data"]
    transport.resume_reading()
    await until(lambda: protocol.lost)
    await leaving
    assert protocol.events == ["made", "data", "eof", "lost"]


@requirement("BaseProtocol.connection_lost/receives-none-on-clean-end")
@pytest.mark.asyncio_differs("tells of the reset although everything was sent")
async def test_a_peer_that_is_gone_instead_of_saying_goodbye_is_no_error(tcp: TLSCarrier) -> None:
    transport, protocol, peer = await tcp.connect()
    transport.close()
    await turns()
    peer.reset()
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]


@requirement("WriteTransport.abort/calls-connection-lost-eventually", "WriteTransport.abort/discards-buffered-data")
@pytest.mark.parametrize("closing", [False, True])
async def test_abort_ends_at_once_in_every_state(carrier: TLSCarrier, closing: bool) -> None:
    transport, protocol, _ = await carrier.connect()
    transport.write(b"x" * LARGE)
    if closing:
        transport.close()
    transport.abort()
    transport.abort()
    assert transport.is_closing()
    assert not protocol.lost
    await until(lambda: protocol.lost)
    await turns()
    assert protocol.lost == [None]


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_connection_can_be_ended_in_connection_made(loop: Any, end: str) -> None:
    class Brief(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.write(b"bye")
            getattr(transport, end)()

    ours, theirs = socket.socketpair()
    shaking = loop.run_in_executor(None, shake, theirs, True)
    transport, protocol = await loop.create_connection(Brief, sock=ours, ssl=client_context(), server_hostname=NAME)
    peer = await shaking
    assert transport.is_closing()
    if end == "close":
        assert await loop.run_in_executor(None, peer.recv, 10) == b"bye"
    peer.close()
    await until(lambda: protocol.lost)
    assert protocol.events == ["made", "lost"]


@requirement("loop.sendfile/works-over-tls", "loop.sendfile/fallback-copies-manually")
async def test_a_file_is_sent_encrypted(loop: Any, carrier: TLSCarrier, tmp_path: Any) -> None:
    file = tmp_path / "file"
    data = os.urandom(3_000_000)
    file.write_bytes(data)
    transport, _, peer = await carrier.connect()
    reading = asyncio.ensure_future(peer.read(len(data) - 10))
    with file.open("rb") as source:
        assert await loop.sendfile(transport, source, 10) == len(data) - 10
        assert source.tell() == len(data)
    assert await reading == data[10:]
    with file.open("rb") as source, pytest.raises(RuntimeError):
        await loop.sendfile(transport, source, fallback=False)


@requirement("Server.close_clients/closes-client-transports")
@pytest.mark.since((3, 13))
@pytest.mark.asyncio_differs("closes the connection beneath without a goodbye")
async def test_a_server_says_goodbye_to_its_clients(loop: Any) -> None:
    made: list[Recorder] = []
    server = await loop.create_server(noting(made), "127.0.0.1", 0, ssl=server_context())
    sock = socket.create_connection(server.sockets[0].getsockname())
    client: Any = await loop.run_in_executor(None, shake, sock, False)
    client.suppress_ragged_eofs = False
    await until(lambda: made and made[0].transport)
    server.close_clients()
    assert await loop.run_in_executor(None, client.recv, 1) == b""
    client.close()
    server.close()
    await server.wait_closed()
    assert made[0].lost == [None]
