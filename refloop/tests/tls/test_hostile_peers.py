"""Peers that do not speak TLS, fall silent, break off or flood; none of them costs more than its own connection."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.io.carriers import GENEROUS, Clock, Recorder, turns, until
from refloop.tests.tls.carriers import (
    NAME,
    TLSCarrier,
    client_context,
    outcome,
    server_context,
)

if TYPE_CHECKING:
    from collections.abc import Callable

requirement = pytest.mark.requirement

# Seconds that a test lets a silent peer have; long enough for a handshake that gets on.
SHORT = 0.2

# Bytes thrown away by which it shows that they are: more than buffers and marks let pass before.
FLOOD = 50_000_000


def say_http(sock: socket.socket) -> None:
    """Speak another protocol."""
    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")


def say_noise(sock: socket.socket) -> None:
    """Speak no protocol at all."""
    sock.sendall(os.urandom(100_000))


def say_broken_record(sock: socket.socket) -> None:
    """Begin like TLS and go on with nonsense."""
    sock.sendall(b"\x16\x03\x01\x02\x00\x01" + b"\0" * 511)


def hang_up(sock: socket.socket) -> None:
    """Close without a word."""
    sock.shutdown(socket.SHUT_WR)


def hang_up_inside(sock: socket.socket) -> None:
    """Close in the middle of a record."""
    sock.sendall(b"\x16\x03\x01\x02")
    sock.shutdown(socket.SHUT_WR)


def reset(sock: socket.socket) -> None:
    """Break off."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


HOSTILITIES: list[Callable[[socket.socket], None]] = [
    say_http,
    say_noise,
    say_broken_record,
    hang_up,
    hang_up_inside,
    reset,
]


@requirement(
    "loop.start_tls/raises-on-handshake-failure", "loop.create_connection/raises-certificate-verification-error"
)
@pytest.mark.parametrize("hostility", HOSTILITIES)
@pytest.mark.parametrize("side", ["client", "server", "start-tls"])
async def test_a_handshake_that_fails_raises_and_leaves_nothing_open(
    loop: Any, maker: str, side: str, hostility: Callable[[socket.socket], None]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    protocol = Recorder()
    making: Any
    if side == "client":
        making = loop.create_connection(lambda: protocol, sock=ours, ssl=client_context(), server_hostname=NAME)
    elif side == "server":
        making = loop.connect_accepted_socket(lambda: protocol, ours, ssl=server_context())
    else:
        plain, _ = await loop.create_connection(lambda: protocol, sock=ours)
        making = loop.start_tls(plain, protocol, client_context(), server_hostname=NAME)
    hostility(theirs)
    error = await outcome(making)
    assert isinstance(error, ssl.SSLError if hostility.__name__.startswith("say") else ConnectionError)
    assert ours.fileno() == -1
    theirs.close()
    # Only who was told of the connection is told of its end; asyncio forgets that after start_tls().
    if side != "start-tls":
        assert protocol.events == []
    elif maker != "asyncio":
        assert protocol.lost == [error]


async def test_who_is_cancelled_during_a_handshake_leaves_nothing_open(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    making = asyncio.ensure_future(
        loop.create_connection(Recorder, sock=ours, ssl=client_context(), server_hostname=NAME)
    )
    await turns()
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    await until(lambda: ours.fileno() == -1)
    theirs.close()


@requirement("Server.close_clients/closes-client-transports", "Server.abort_clients/aborts-client-transports")
@pytest.mark.parametrize("end", ["close_clients", "abort_clients"])
@pytest.mark.since((3, 13))
@pytest.mark.asyncio_differs("closes the transport beneath, without a goodbye, or waits for what never comes")
async def test_a_server_ends_clients_in_the_middle_of_their_handshake(loop: Any, end: str) -> None:
    server = await loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context())
    with socket.create_connection(server.sockets[0].getsockname()) as silent:
        silent.settimeout(10)
        await until(lambda: server._clients)
        getattr(server, end)()
        assert await loop.run_in_executor(None, silent.recv, 1) == b""
    server.close()
    await server.wait_closed()


@requirement("BaseProtocol.connection_lost/receives-exception-on-error")
@pytest.mark.asyncio_differs("loses what came right before")
async def test_garbage_after_the_handshake_is_an_error_and_no_data(tcp: TLSCarrier) -> None:
    transport, protocol, peer = await tcp.connect()
    await peer.send(b"good")
    # Behind the back of the peer's TLS, which holds the descriptor.
    os.write(peer.sock.fileno(), b"\x17\x03\x03\x00\x20" + os.urandom(32))
    await until(lambda: protocol.lost)
    assert protocol.data == b"good"
    assert isinstance(protocol.lost[0], ssl.SSLError)
    assert protocol.events == ["made", "data", "lost"]
    assert transport.is_closing()


async def test_a_flood_while_reading_is_paused_stays_with_the_system(tcp: TLSCarrier) -> None:
    transport, protocol, peer = await tcp.connect()
    transport.pause_reading()
    block = os.urandom(100_000)
    peer.sock.setblocking(False)
    sent = 0
    with suppress(ssl.SSLWantWriteError):
        while True:
            sent += peer.sock.send(block)
            await turns(2)
    assert not protocol.data
    peer.sock.settimeout(10)
    transport.resume_reading()
    # Of the block that did not go out as a whole, some may have.
    await until(lambda: len(protocol.data) >= sent)
    assert (block * (sent // len(block) + 1)).startswith(protocol.data)


async def test_a_flood_after_close_is_thrown_away_until_the_time_is_over(
    loop: Any, clock: Clock, tcp: TLSCarrier
) -> None:
    tcp.keywords = {"ssl_shutdown_timeout": GENEROUS}
    transport, protocol, peer = await tcp.connect()
    flooded = 0

    def flood() -> None:
        nonlocal flooded
        with suppress(OSError):
            while True:
                peer.sock.sendall(b"x" * 100_000)
                flooded += 100_000

    flooding = loop.run_in_executor(None, flood)
    await until(lambda: protocol.data)
    transport.close()
    received = len(protocol.data)
    await until(lambda: flooded > received + FLOOD or protocol.lost)
    clock.move(GENEROUS)
    await until(lambda: protocol.lost)
    await flooding
    assert len(protocol.data) == received
    assert protocol.events == ["made", "data", "lost"]
