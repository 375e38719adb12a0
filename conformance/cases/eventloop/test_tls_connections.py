"""TLS between the target and a plain blocking TLS socket: what goes through, how it ends, whom a bad peer harms."""

from __future__ import annotations

import os
import socket
import ssl
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.buffers import more_than_fits
from conformance.support.certificates import (
    careless_context,
    distrusting_context,
    server_context,
    trusting_context,
)
from conformance.support.connections import NAME, RESET, TLS_CARRIERS, Remote, TLSRemote, encrypted
from conformance.support.marks import requirement
from conformance.support.peers import HOST, MORE_THAN_BUFFERED, socket_pair
from conformance.support.protocols import Recorder
from conformance.support.servers import SOME_TURNS, Accepted, dial, serving
from conformance.support.threads import result_of
from conformance.support.waiting import bounded, turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from concurrent.futures import Future

    from conformance.support.connections import Carrier

# Seconds that a silent peer is given.
SHORT = 0.02
# A timer may be early by the resolution of the loop's clock.
EARLIEST = SHORT - 0.001
# What a TLS record of the handshake begins with.
HANDSHAKE_RECORD = b"\x16\x03"


def over(*kinds: str) -> pytest.MarkDecorator:
    """Run the case over these kinds of TLS connections."""
    return pytest.mark.parametrize("stream", kinds, indirect=True)


# Clients


@over("tls-client", "tls-unix-client", "start-tls-client")
@requirement("loop.create_connection/protocol-gets-decrypted-data", "loop.create_connection/uses-given-ssl-context")
async def test_a_client_reads_and_writes_in_the_clear(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    transport.write(b"question")
    assert await peer.read(8) == b"question"
    await peer.send(b"answer")
    await until(loop, lambda: protocol.data == b"answer")
    assert protocol.events == ["made", "data"]


@requirement("loop.create_connection/protocol-gets-decrypted-data")
async def test_nothing_is_written_in_the_clear_on_the_wire(loop: Any, aio: Any) -> None:
    with socket_pair() as (ours, theirs):
        connecting = loop.create_task(
            loop.create_connection(Recorder, sock=ours, ssl=trusting_context(), server_hostname=NAME)
        )
        wire = Remote(loop, theirs)
        assert await wire.read(2) == HANDSHAKE_RECORD
        connecting.cancel()
        await aio.wait([connecting])
        await turns(loop, SOME_TURNS)
        wire.clean_up()


@over(*TLS_CARRIERS)
@requirement("loop.create_connection/protocol-gets-decrypted-data")
async def test_much_goes_both_ways_at_once_and_nothing_is_lost(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    data = os.urandom(more_than_fits(transport, peer))
    transport.write(data)
    # The peer has one thread: what it does not read yet waits at the target.
    await peer.send(data[::-1][: len(data) // 8])
    received = await peer.read(len(data))
    await until(loop, lambda: len(protocol.data) == len(data) // 8)
    assert received == data
    assert protocol.data == data[::-1][: len(data) // 8]


@requirement("loop.create_connection/tls-over-given-socket")
async def test_a_given_socket_carries_tls(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    (transport, protocol), peer = await shake_hands(
        loop, loop.create_connection(Recorder, sock=ours, ssl=trusting_context(), server_hostname=NAME), theirs
    )
    transport.write(b"secret")
    assert await peer.read(6) == b"secret"
    transport.close()
    await peer.close()
    await until(loop, lambda: protocol.lost and ours.fileno() == -1)
    peer.clean_up()


async def shake_hands(
    loop: AbstractEventLoop, making: Any, theirs: socket.socket, *, server_side: bool = True
) -> tuple[Any, TLSRemote]:
    """Do the handshake at both ends: the target's by awaiting ``making``, the peer's in a thread."""
    with ThreadPoolExecutor(1) as thread:
        job: Future[socket.socket] = thread.submit(encrypted, theirs, server_side=server_side)
        made = await making
        return made, TLSRemote(loop, await result_of(loop, job))


@over("tls-server", "tls-unix-server")
@requirement("loop.create_server/ssl-context-enables-tls")
async def test_a_server_with_a_context_speaks_tls(loop: AbstractEventLoop, stream: Carrier) -> None:
    context = server_context()
    stream.keywords = {"ssl": context}
    transport, protocol, peer = await stream.connect()
    await peer.send(b"question")
    await until(loop, lambda: protocol.data == b"question")
    transport.write(b"answer")
    assert await peer.read(6) == b"answer"
    assert transport.get_extra_info("sslcontext") is context
    assert protocol.events == ["made", "data"]


@over("tls-accepted")
@requirement("loop.connect_accepted_socket/ssl-context-enables-server-tls")
async def test_an_accepted_socket_with_a_context_does_the_servers_side(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    context = server_context()
    stream.keywords = {"ssl": context}
    transport, protocol, peer = await stream.connect()
    await peer.send(b"question")
    await until(loop, lambda: protocol.data == b"question")
    transport.write(b"answer")
    assert await peer.read(6) == b"answer"
    assert transport.get_extra_info("sslcontext") is context


@requirement("loop.connect_accepted_socket/returns-transport-protocol-pair")
async def test_an_accepted_tls_connection_is_a_pair_of_transport_and_protocol(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    made = Accepted()
    accepting = loop.connect_accepted_socket(made, ours, ssl=server_context())
    (transport, protocol), peer = await shake_hands(loop, accepting, theirs, server_side=False)
    assert made.protocols == [protocol]
    assert protocol.transport is transport
    await peer.close()
    await until(loop, lambda: made.protocols[0].lost)
    peer.clean_up()


@requirement("loop.create_server/ssl-context-enables-tls")
async def test_many_clients_shake_hands_at_once(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted, ssl=server_context()) as server:
        clients = [Remote(loop, dial(server)) for _ in range(8)]
        tasks = [loop.create_task(client.do(partial(shake, client))) for client in clients]
        for task in tasks:
            await task
        await until(loop, lambda: len(accepted.begun) == 8)
        for number, client in enumerate(clients):
            await client.send(b"%d" % number)
        await until(loop, lambda: all(protocol.data for protocol in accepted.begun))
        assert sorted(bytes(protocol.data) for protocol in accepted.begun) == [b"%d" % n for n in range(8)]
        for client in clients:
            client.clean_up()


def shake(client: Remote) -> None:
    """Do the client's handshake over the socket of ``client``."""
    client.sock = encrypted(client.sock, server_side=False)


# Handshakes that take too long


async def check_gives_up(loop: AbstractEventLoop, making: Callable[[], Any], theirs: socket.socket) -> None:
    """Check that a connection whose peer says nothing is aborted in time, and not before."""
    wire = Remote(loop, theirs)
    began = time.monotonic()
    with pytest.raises(OSError):  # noqa: PT011 - which one, the documentation does not say
        await bounded(loop, making())
    assert time.monotonic() - began >= EARLIEST
    # What the target has said so far, and then the end.
    await wire.do(partial(drain, theirs))
    wire.clean_up()
    await turns(loop, SOME_TURNS)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """The two ends of a TCP connection."""
    with socket.create_server((HOST, 0)) as listening:
        return socket.create_connection(listening.getsockname()), listening.accept()[0]


def drain(sock: socket.socket) -> None:
    """Read until the end, whether it is a goodbye or a reset."""
    try:
        while sock.recv(1000):
            pass
    except ConnectionError:
        pass


@requirement("loop.create_connection/aborts-slow-tls-handshake")
async def test_a_server_that_does_not_shake_hands_is_given_up(loop: Any) -> None:
    ours, theirs = tcp_pair()
    options = {"ssl": careless_context(), "server_hostname": "", "ssl_handshake_timeout": SHORT}
    made = Accepted()
    await check_gives_up(loop, lambda: loop.create_connection(made, sock=ours, **options), theirs)
    assert [protocol.events for protocol in made.protocols] == [[]]


@requirement("loop.create_connection/aborts-slow-tls-handshake")
async def test_a_server_that_begins_to_shake_hands_and_stops_is_given_up(loop: Any) -> None:
    ours, theirs = tcp_pair()
    theirs.sendall(HANDSHAKE_RECORD)
    options = {"ssl": careless_context(), "server_hostname": "", "ssl_handshake_timeout": SHORT}
    await check_gives_up(loop, lambda: loop.create_connection(Recorder, sock=ours, **options), theirs)


@requirement("loop.connect_accepted_socket/aborts-slow-tls-handshake")
async def test_an_accepted_client_that_does_not_shake_hands_is_given_up(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    options = {"ssl": server_context(), "ssl_handshake_timeout": SHORT}
    await check_gives_up(loop, lambda: loop.connect_accepted_socket(Recorder, ours, **options), theirs)


@pytest.mark.parametrize("server_side", [False, True], ids=["client", "server"])
@requirement("loop.start_tls/aborts-slow-tls-handshake")
async def test_an_upgrade_with_a_silent_peer_is_given_up(loop: Any, server_side: bool) -> None:
    ours, theirs = socket.socketpair()
    plain, protocol = await loop.create_connection(Recorder, sock=ours)
    context = server_context() if server_side else careless_context()
    await check_gives_up(
        loop,
        lambda: loop.start_tls(plain, protocol, context, server_side=server_side, ssl_handshake_timeout=SHORT),
        theirs,
    )


@requirement("loop.create_server/aborts-slow-tls-handshake")
async def test_a_client_that_does_not_shake_hands_is_given_up(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted, ssl=server_context(), ssl_handshake_timeout=SHORT) as server:
        began = time.monotonic()
        silent = Remote(loop, dial(server))
        await silent.do(partial(drain, silent.sock))
        assert time.monotonic() - began >= EARLIEST
        assert [protocol.events for protocol in accepted.protocols] == [[]]
        assert server.is_serving() is True
        silent.clean_up()


# Ends that take too long


async def check_parts(loop: AbstractEventLoop, stream: Carrier, unsent: int) -> None:
    """Check that a peer who does not take part in the end of a connection is given up in time, and not before."""
    stream.keywords = {"ssl_shutdown_timeout": SHORT}
    transport, protocol, peer = await stream.connect()
    transport.write(bytes(min(unsent, more_than_fits(transport, peer))))
    began = time.monotonic()
    transport.close()
    await until(loop, lambda: protocol.lost)
    assert time.monotonic() - began >= EARLIEST
    assert len(protocol.lost) == 1


SILENT_OR_NOT_READING = pytest.mark.parametrize("unsent", [0, MORE_THAN_BUFFERED], ids=["silent", "not-reading"])


@over("tls-client", "tls-unix-client")
@SILENT_OR_NOT_READING
@requirement("loop.create_connection/aborts-slow-tls-shutdown")
async def test_a_server_that_says_no_goodbye_is_given_up(loop: AbstractEventLoop, stream: Carrier, unsent: int) -> None:
    await check_parts(loop, stream, unsent)


@over("tls-server", "tls-unix-server")
@SILENT_OR_NOT_READING
@requirement("loop.create_server/aborts-slow-tls-shutdown")
async def test_a_client_that_says_no_goodbye_is_given_up(loop: AbstractEventLoop, stream: Carrier, unsent: int) -> None:
    await check_parts(loop, stream, unsent)


@over("tls-accepted")
@SILENT_OR_NOT_READING
@requirement("loop.connect_accepted_socket/aborts-slow-tls-shutdown")
async def test_an_accepted_client_that_says_no_goodbye_is_given_up(
    loop: AbstractEventLoop, stream: Carrier, unsent: int
) -> None:
    await check_parts(loop, stream, unsent)


@over("start-tls-client", "start-tls-server")
@SILENT_OR_NOT_READING
@requirement("loop.start_tls/aborts-slow-tls-shutdown")
async def test_the_peer_of_an_upgraded_connection_that_says_no_goodbye_is_given_up(
    loop: AbstractEventLoop, stream: Carrier, unsent: int
) -> None:
    await check_parts(loop, stream, unsent)


# Clients that do harm to nobody but themselves


def speak_plainly(sock: socket.socket) -> None:
    sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
    drain(sock)


def send_noise(sock: socket.socket) -> None:
    sock.sendall(bytes(range(256)) * 100)
    drain(sock)


def send_a_broken_record(sock: socket.socket) -> None:
    sock.sendall(HANDSHAKE_RECORD + b"\x01\x02\x00\x01" + bytes(511))
    drain(sock)


def leave(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)
    drain(sock)


def leave_within_a_record(sock: socket.socket) -> None:
    sock.sendall(HANDSHAKE_RECORD + b"\x01\x02")
    leave(sock)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


def distrust(sock: socket.socket) -> None:
    try:
        distrusting_context().wrap_socket(sock, server_hostname=NAME).close()
    except ssl.SSLError:
        pass


HARMS: list[Callable[[socket.socket], None]] = [
    speak_plainly,
    send_noise,
    send_a_broken_record,
    leave,
    leave_within_a_record,
    reset,
    distrust,
]


@pytest.mark.parametrize("harm", HARMS)
@requirement("loop.create_server/handshake-failure-is-isolated")
async def test_a_client_that_fails_the_handshake_costs_nobody_else(
    loop: AbstractEventLoop, harm: Callable[[socket.socket], None]
) -> None:
    accepted = Accepted()
    async with serving(loop, accepted, ssl=server_context()) as server:
        early, bad, late = (Remote(loop, dial(server)) for _ in range(3))
        await early.do(partial(shake, early))
        # Returns when the server has ended the connection, or would not notice.
        await bad.do(partial(harm, bad.sock))
        await late.do(partial(shake, late))
        for client in (early, late):
            await client.send(b"unharmed")
        await until(loop, lambda: [protocol.data for protocol in accepted.begun] == [b"unharmed"] * 2)
        assert server.is_serving() is True
        assert [protocol.lost for protocol in accepted.begun] == [[], []]
        for client in (early, bad, late):
            client.clean_up()


# Files


@over(*TLS_CARRIERS)
@requirement("loop.sendfile/works-over-tls")
async def test_a_file_is_sent_encrypted(loop: Any, stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    data = os.urandom(MORE_THAN_BUFFERED // 8)
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        reading = loop.create_task(peer.read(len(data) - 10))
        with path.open("rb") as file:
            assert await loop.sendfile(transport, file, 10) == len(data) - 10
    assert await reading == data[10:]
