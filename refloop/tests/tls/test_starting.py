"""Upgrading a connection in use: by `start_tls()` of loop and stream writer, over any transport, even TLS itself."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import Any

import pytest

import refloop
from refloop.tests.io.carriers import Recorder, turns, until
from refloop.tests.tls.carriers import NAME, MemoryTLS, client_context, noting, outcome, server_context, shake
from refloop.tlsengine import Engine
from refloop.tlstransport import TLSTransport

requirement = pytest.mark.requirement

# More than any socket buffer of a test machine holds.
LARGE = 10_000_000


@requirement("loop.start_tls/returns-new-transport", "loop.start_tls/old-transport-unusable")
@requirement("loop.start_tls/inserts-tls-layer", "loop.start_tls/server-hostname-overrides-host")
async def test_the_layer_stands_between_the_old_transport_and_the_protocol(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    protocol: Any
    plain, protocol = await loop.create_connection(Recorder, sock=ours)
    plain.write(b"STARTTLS")
    assert theirs.recv(8) == b"STARTTLS"
    shaking = loop.run_in_executor(None, shake, theirs, True)
    transport = await loop.start_tls(plain, protocol, client_context(), server_hostname=NAME)
    assert transport is not plain
    assert isinstance(transport, asyncio.Transport)
    assert transport.get_protocol() == protocol
    assert isinstance(plain.get_protocol(), asyncio.BaseProtocol)
    assert plain.get_protocol() != protocol
    # It was made long ago.
    assert protocol.events == ["made"]
    with await shaking as peer:
        transport.write(b"secret")
        assert await loop.run_in_executor(None, peer.recv, 10) == b"secret"
    await until(lambda: protocol.lost)
    assert protocol.events == ["made", "eof", "lost"]
    assert plain.is_closing()


@requirement("loop.start_tls/inserts-tls-layer")
@pytest.mark.asyncio_differs("never resumes a protocol that was paused before")
async def test_what_was_written_before_goes_first(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    plain, protocol = await loop.create_connection(Recorder, sock=ours)
    plain.write(b"x" * LARGE)
    assert protocol.events == ["made", "pause"]

    def read_then_shake() -> ssl.SSLSocket:
        left = LARGE
        while left:
            left -= len(theirs.recv(min(left, 65536)))
        return shake(theirs, True)

    shaking = loop.run_in_executor(None, read_then_shake)
    transport = await loop.start_tls(plain, protocol, client_context(), server_hostname=NAME)
    with await shaking as peer:
        transport.write(b"secret")
        assert await loop.run_in_executor(None, peer.recv, 10) == b"secret"
        # Who was paused has been resumed.
        assert protocol.events.count("pause") == protocol.events.count("resume")
        transport.abort()
        await until(lambda: protocol.lost)


@requirement("loop.start_tls/may-return-none")
@pytest.mark.asyncio_differs("waits for a handshake that cannot come")
async def test_a_transport_that_is_closing_is_not_upgraded(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    plain, protocol = await loop.create_connection(Recorder, sock=ours)
    plain.close()
    assert await loop.start_tls(plain, protocol, client_context(), server_hostname=NAME) is None
    await until(lambda: protocol.lost)
    theirs.close()


@requirement("loop.start_tls/accepts-documented-parameters")
async def test_only_stream_transports_and_contexts_will_do(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    plain, protocol = await loop.create_connection(Recorder, sock=ours)
    with pytest.raises(TypeError):
        await loop.start_tls(plain, protocol, None)
    datagrams, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
    with pytest.raises(TypeError):
        await loop.start_tls(datagrams, protocol, client_context(), server_hostname=NAME)
    datagrams.close()
    theirs.sendall(b"still plain")
    await until(lambda: protocol.data == b"still plain")
    plain.close()
    theirs.close()
    await turns()


@pytest.mark.asyncio_differs("refuses only from 3.13.16, 3.14.8 and 3.15 on")
async def test_a_context_that_checks_names_needs_one(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    plain, protocol = await loop.create_connection(Recorder, sock=ours)
    with pytest.raises(ValueError, match="server_hostname"):
        await loop.start_tls(plain, protocol, client_context())
    plain.close()
    await until(lambda: protocol.lost)
    theirs.close()


async def test_who_is_cancelled_during_an_upgrade_loses_the_connection(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    plain, protocol = await loop.create_connection(Recorder, sock=ours)
    upgrading = asyncio.ensure_future(loop.start_tls(plain, protocol, client_context(), server_hostname=NAME))
    await turns()
    upgrading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upgrading
    plain.abort()
    await until(lambda: ours.fileno() == -1)
    theirs.close()


@requirement("loop.start_tls/inserts-tls-layer")
async def test_tls_goes_through_tls(loop: Any, maker: str) -> None:
    ours, theirs = socket.socketpair()
    data = os.urandom(LARGE // 10)

    def serve() -> bytes:
        with shake(theirs, True) as outer:
            inner = MemoryTLS(outer, True)
            inner.do(inner.tls.do_handshake)
            inner.tls.write(b"welcome")
            inner.flush()
            received: bytes = inner.read_until_goodbye()
            inner.say_goodbye()
        return received

    serving = loop.run_in_executor(None, serve)
    outer, protocol = await loop.create_connection(Recorder, sock=ours, ssl=client_context(), server_hostname=NAME)
    inner = await loop.start_tls(outer, protocol, client_context(), server_hostname=NAME)
    inner.write(data)
    await until(lambda: protocol.data == b"welcome")
    inner.close()
    assert await serving == data
    await until(lambda: protocol.lost)
    if maker != "asyncio":
        # The outer connection ends without a goodbye, which costs nothing after those of the inner one.
        assert protocol.lost == [None]


@requirement("loop.start_tls/inserts-tls-layer")
async def test_the_layer_works_over_any_stream_transport_of_any_loop(loop: Any) -> None:
    """refloop's layer asks nothing of the transport beneath but what is documented: asyncio's serves it as well."""
    ours, theirs = socket.socketpair()
    plain, protocol = await loop.create_connection(Recorder, sock=ours)
    shaking = loop.run_in_executor(None, shake, theirs, True)
    made = loop.create_future()
    layer = TLSTransport(loop, protocol, Engine(client_context(), False, NAME), made, announce=False)
    layer.take_over(plain)
    assert await made is layer
    data = os.urandom(LARGE)
    with await shaking as peer:
        layer.write(data)
        assert "pause" in protocol.events

        def read_all() -> bytes:
            received = bytearray()
            while len(received) < LARGE:
                received += peer.recv(65536)
            return bytes(received)

        assert await loop.run_in_executor(None, read_all) == data
        await until(lambda: "resume" in protocol.events)
        layer.close()
        assert await loop.run_in_executor(None, peer.recv, 1) == b""
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]


@requirement("StreamWriter.start_tls/upgrades-to-tls", "StreamWriter.start_tls/keeps-reader-and-writer")
@requirement("StreamWriter.start_tls/server-hostname-overrides-matched-name")
async def test_reader_and_writer_carry_on_encrypted(loop: Any, maker: str) -> None:
    aio: Any = asyncio if maker == "asyncio" else refloop
    ours, theirs = socket.socketpair()
    reader, writer = await aio.open_connection(sock=ours)
    shaking = loop.run_in_executor(None, shake, theirs, True)
    await writer.start_tls(client_context(), server_hostname=NAME)
    with await shaking as peer:
        writer.write(b"question")
        assert await loop.run_in_executor(None, peer.recv, 10) == b"question"
        await loop.run_in_executor(None, peer.sendall, b"answer")
        assert await reader.readexactly(6) == b"answer"
        assert writer.get_extra_info("cipher")
        writer.close()
        assert await loop.run_in_executor(None, peer.recv, 1) == b""
    await writer.wait_closed()


@requirement("Server.close_clients/closes-client-transports")
@pytest.mark.since((3, 13))
@pytest.mark.asyncio_differs("closes the connection beneath without a goodbye")
async def test_a_server_says_goodbye_to_clients_that_were_upgraded(loop: Any) -> None:
    made: list[Recorder] = []
    server = await loop.create_server(noting(made), "127.0.0.1", 0)
    sock = socket.create_connection(server.sockets[0].getsockname())
    await until(lambda: made and made[0].transport)
    shaking = loop.run_in_executor(None, shake, sock, False)
    await loop.start_tls(made[0].transport, made[0], server_context(), server_side=True)
    client: Any = await shaking
    client.suppress_ragged_eofs = False
    server.close_clients()
    assert await loop.run_in_executor(None, client.recv, 1) == b""
    client.close()
    server.close()
    await server.wait_closed()
    assert made[0].lost == [None]


async def test_a_handshake_that_nobody_can_finish_tells_the_protocol_why(loop: Any, maker: str) -> None:
    ours, theirs = socket.socketpair()
    plain, protocol = await loop.create_connection(Recorder, sock=ours)
    theirs.sendall(b"no TLS here\r\n")
    error = await outcome(loop.start_tls(plain, protocol, client_context(), server_hostname=NAME))
    assert isinstance(error, ssl.SSLError)
    if maker != "asyncio":
        assert protocol.lost == [error]
    theirs.close()
