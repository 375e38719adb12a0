"""TLS begun on a stream that is open already: ``StreamWriter.start_tls()``, on both sides of a connection."""

from __future__ import annotations

import inspect
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.buffers import more_than_fits
from conformance.support.certificates import careless_context, distrusting_context, server_context, trusting_context
from conformance.support.clocks import Clock
from conformance.support.connections import CHUNK, NAME
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import HOST
from conformance.support.streams import SERVED_KINDS, held_back, taken
from conformance.support.waiting import GENEROUS, turns, until

if TYPE_CHECKING:
    import socket
    from asyncio import AbstractEventLoop

    from conformance.support.connections import Remote, TLSRemote
    from conformance.support.streams import StreamMaker, Streams

# Both sides of a connection, and a Unix socket beside TCP.
BOTH_SIDES = pytest.mark.parametrize("streams", ["tcp", "unix", "tcp-server", "unix-server"], indirect=True)
SERVERS = pytest.mark.parametrize("streams", SERVED_KINDS[:2], indirect=True)
# Until a peer that never answers is given up.
SOON = 0.02
# Documented, in seconds.
HANDSHAKE_TIMEOUT = 60.0
SHUTDOWN_TIMEOUT = 30.0
# Many TLS records, and more than is sent at once.
SOME = bytes(range(256)) * 4096


def overfilling(made: Streams, peer: Remote) -> bytes:
    """More than fits between the writer and its ``peer``."""
    return bytes(range(256)) * (1 + more_than_fits(made.writer.transport, peer) // 256)


def options(streams: StreamMaker) -> dict[str, Any]:
    """Arguments of ``start_tls()`` for the target's side."""
    if streams.kind.serves:
        return {"sslcontext": server_context()}
    return {"sslcontext": trusting_context(), "server_hostname": NAME}


async def upgrade(loop: AbstractEventLoop, streams: StreamMaker, made: Streams, **more: Any) -> TLSRemote:
    """Do the handshake at both ends; the peer from then on."""
    peer = loop.create_task(streams.encrypt(made.peer, server_side=not streams.kind.serves))
    await made.writer.start_tls(**{**options(streams), **more})
    return await peer


async def refused(loop: AbstractEventLoop, aio: Any, streams: StreamMaker, made: Streams, **more: Any) -> Any:
    """What ``start_tls()`` raises while the peer does its part of a handshake as well as it can."""
    peer = loop.create_task(streams.encrypt(made.peer, server_side=not streams.kind.serves))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - it is for the case to say which
        await made.writer.start_tls(**{**options(streams), **more})
    await aio.wait([peer])
    # What the peer makes of it is not what is checked.
    peer.exception()
    return caught.value


@requirement("StreamWriter.start_tls/accepts-documented-arguments")
def test_start_tls_is_a_coroutine_function_of_a_context_and_keywords(aio: Any) -> None:
    assert inspect.iscoroutinefunction(aio.StreamWriter.start_tls) is True
    _, context, *keywords = inspect.signature(aio.StreamWriter.start_tls).parameters.values()
    assert (context.name, context.kind) == ("sslcontext", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = ("server_hostname", "ssl_handshake_timeout")
    found = {keyword.name: (keyword.kind, keyword.default) for keyword in keywords if keyword.name in names}
    assert found == dict.fromkeys(names, (inspect.Parameter.KEYWORD_ONLY, None))


@on_loops(PLAIN, DEBUG)
@BOTH_SIDES
@requirement("StreamWriter.start_tls/upgrades-to-tls", "StreamWriter.start_tls/keeps-reader-and-writer")
async def test_after_start_tls_the_same_reader_and_writer_carry_encrypted_data(
    loop: AbstractEventLoop, streams: StreamMaker
) -> None:
    made = await streams.connect()
    reader, writer, plain_peer = made
    writer.write(b"plain?")
    assert await plain_peer.read(6) == b"plain?"
    await plain_peer.send(b"plain!")
    assert await reader.readexactly(6) == b"plain!"
    # Only a TLS socket can read on from here.
    peer = await upgrade(loop, streams, made)
    writer.write(b"secret?")
    assert await peer.read(7) == b"secret?"
    await peer.send(b"secret!")
    assert await reader.readexactly(7) == b"secret!"


@BOTH_SIDES
@requirement("StreamWriter.start_tls/upgrades-to-tls", "StreamWriter.transport/returns-underlying-transport")
async def test_after_start_tls_the_writer_tells_of_tls(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    made = await streams.connect()
    plain = made.writer.transport
    given = options(streams)
    peer = await upgrade(loop, streams, made, **given)
    writer = made.writer
    assert writer.get_extra_info("sslcontext") is given["sslcontext"]
    assert writer.get_extra_info("cipher")[0] == peer.sock.cipher()[0]  # type: ignore[attr-defined]
    assert writer.transport is not plain
    assert writer.transport.get_extra_info("sslcontext") is given["sslcontext"]
    assert writer.can_write_eof() is False


@BOTH_SIDES
@requirement("StreamWriter.start_tls/upgrades-to-tls")
async def test_much_data_goes_both_ways_after_start_tls(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    made = await streams.connect()
    peer = await upgrade(loop, streams, made)
    made.writer.write(SOME)
    assert await peer.read(len(SOME)) == SOME
    await made.writer.drain()
    reading = loop.create_task(made.reader.readexactly(len(SOME)))
    await peer.send(SOME)
    assert await reading == SOME


@BOTH_SIDES
@requirement("StreamWriter.start_tls/upgrades-to-tls", "StreamWriter.close/flushes-and-closes-socket")
async def test_closing_after_start_tls_flushes_and_says_goodbye(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    made = await streams.connect()
    sock = made.writer.get_extra_info("socket")
    peer = await upgrade(loop, streams, made)
    made.writer.write(SOME)
    made.writer.close()
    # Without a goodbye, a TLS socket raises where it is to say that this is the end.
    assert await peer.read_until_eof() == SOME
    await made.writer.wait_closed()
    assert (made.writer.is_closing(), sock.fileno()) == (True, -1)


@BOTH_SIDES
@requirement("StreamWriter.start_tls/keeps-reader-and-writer")
async def test_after_start_tls_the_peers_goodbye_ends_the_reader(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    made = await streams.connect()
    peer = await upgrade(loop, streams, made)
    await peer.send(b"last words")
    await peer.end()
    assert await made.reader.read() == b"last words"
    assert made.reader.at_eof() is True


@BOTH_SIDES
@requirement("StreamWriter.start_tls/upgrades-to-tls")
async def test_what_was_written_before_start_tls_is_sent_without_it(
    loop: AbstractEventLoop, streams: StreamMaker
) -> None:
    made = await streams.connect()
    much = overfilling(made, made.peer)
    made.writer.write(much)
    starting = loop.create_task(made.writer.start_tls(**options(streams)))
    assert await made.peer.read(len(much)) == much
    peer = await streams.encrypt(made.peer, server_side=not streams.kind.serves)
    await starting
    made.writer.write(b"secret")
    assert await peer.read(6) == b"secret"


# The buffers of a TCP connection may grow beyond whatever is sent.
@pytest.mark.parametrize("streams", ["unix", "unix-server"], indirect=True)
@requirement("StreamWriter.start_tls/keeps-reader-and-writer", "StreamReader/pauses-transport-over-limit")
async def test_after_start_tls_an_unread_reader_holds_its_peer_back(
    loop: AbstractEventLoop, streams: StreamMaker
) -> None:
    made = await streams.connect(limit=1024)
    peer = await upgrade(loop, streams, made)
    much = overfilling(made, peer)
    sending = loop.create_task(peer.send(much))
    assert await held_back(loop, sending, peer.sock)
    assert await made.reader.readexactly(len(much)) == much
    await sending


@BOTH_SIDES
@requirement("StreamWriter.start_tls/keeps-reader-and-writer", "StreamWriter.drain/waits-until-low-mark")
async def test_after_start_tls_drain_waits_for_a_slow_peer(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    made = await streams.connect()
    peer = await upgrade(loop, streams, made)
    much = 2 * overfilling(made, peer)
    for start in range(0, len(much), CHUNK):
        made.writer.write(much[start : start + CHUNK])
    draining = loop.create_task(made.writer.drain())
    await turns(loop, 20)
    assert draining.done() is False
    assert await peer.read(len(much)) == much
    await draining


@pytest.mark.parametrize("name", [HOST, "::1", NAME.upper()])
@requirement("StreamWriter.start_tls/server-hostname-overrides-matched-name")
async def test_the_certificate_is_matched_against_the_name_given(
    loop: AbstractEventLoop, tcp_streams: StreamMaker, name: str
) -> None:
    made = await tcp_streams.connect()
    peer = await upgrade(loop, tcp_streams, made, server_hostname=name)
    assert made.writer.get_extra_info("ssl_object").server_hostname.lower() == name.lower()
    made.writer.write(b"secret")
    assert await peer.read(6) == b"secret"


@pytest.mark.parametrize("name", ["elsewhere.invalid", "127.0.0.3"])
@requirement("StreamWriter.start_tls/server-hostname-overrides-matched-name", "StreamWriter.start_tls/upgrades-to-tls")
async def test_a_name_that_the_certificate_lacks_is_refused(
    loop: AbstractEventLoop, aio: Any, tcp_streams: StreamMaker, name: str
) -> None:
    made = await tcp_streams.connect()
    error = await refused(loop, aio, tcp_streams, made, server_hostname=name)
    assert isinstance(error, ssl.SSLCertVerificationError)


@pytest.mark.parametrize("name", ["elsewhere.invalid", None], ids=["other", "none"])
@requirement("StreamWriter.start_tls/server-hostname-overrides-matched-name")
async def test_a_context_that_checks_no_name_takes_any_and_none(
    loop: AbstractEventLoop, tcp_streams: StreamMaker, name: str | None
) -> None:
    made = await tcp_streams.connect()
    peer = await upgrade(loop, tcp_streams, made, sslcontext=careless_context(), server_hostname=name)
    made.writer.write(b"secret")
    assert await peer.read(6) == b"secret"


@requirement("StreamWriter.start_tls/upgrades-to-tls")
async def test_a_certificate_that_nobody_trusts_is_refused_and_the_connection_ends(
    loop: AbstractEventLoop, aio: Any, tcp_streams: StreamMaker
) -> None:
    made = await tcp_streams.connect()
    sock = made.writer.get_extra_info("socket")
    error = await refused(loop, aio, tcp_streams, made, sslcontext=distrusting_context())
    assert isinstance(error, ssl.SSLCertVerificationError)
    await until(loop, lambda: sock.fileno() == -1)


@SERVERS
@requirement("StreamWriter.start_tls/upgrades-to-tls")
async def test_a_server_refuses_what_is_no_handshake(loop: AbstractEventLoop, aio: Any, streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    starting = loop.create_task(writer.start_tls(server_context()))
    await turns(loop)
    await peer.send(b"GET / HTTP/1.0\r\n\r\n" * 100)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await aio.wait_for(starting, GENEROUS)


@requirement("StreamWriter.start_tls/rejects-missing-server-hostname")
async def test_a_context_that_checks_names_needs_one(tcp_streams: StreamMaker) -> None:
    _, writer, peer = await tcp_streams.connect()
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        await writer.start_tls(trusting_context())
    # Nothing has happened to the connection.
    writer.write(b"plain")
    assert await peer.read(5) == b"plain"
    assert writer.is_closing() is False


@requirement("StreamWriter.start_tls/accepts-documented-arguments")
async def test_a_handshake_that_takes_longer_than_its_timeout_is_given_up(
    loop: AbstractEventLoop, aio: Any, tcp_streams: StreamMaker
) -> None:
    _, writer, _ = await tcp_streams.connect()
    sock = writer.get_extra_info("socket")
    starting = writer.start_tls(trusting_context(), server_hostname=NAME, ssl_handshake_timeout=SOON)
    # An abort is no timeout of this case's own.
    with pytest.raises(ConnectionAbortedError):
        await aio.wait_for(starting, GENEROUS)
    await until(loop, lambda: sock.fileno() == -1)


@requirement("StreamWriter.start_tls/handshake-aborts-after-sixty-seconds")
async def test_a_handshake_has_sixty_seconds(
    loop: AbstractEventLoop, tcp_streams: StreamMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(loop, monkeypatch)
    await clock.check()
    _, writer, _ = await tcp_streams.connect()
    starting = loop.create_task(writer.start_tls(trusting_context(), server_hostname=NAME))
    await turns(loop)
    await clock.forward(HANDSHAKE_TIMEOUT - GENEROUS)
    assert starting.done() is False
    await clock.forward(GENEROUS)
    await until(loop, starting.done)
    assert isinstance(starting.exception(), ConnectionAbortedError)


@requirement("StreamWriter.start_tls/shutdown-aborts-after-thirty-seconds")
async def test_a_goodbye_has_thirty_seconds(
    loop: AbstractEventLoop, aio: Any, tcp_streams: StreamMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(loop, monkeypatch)
    await clock.check()
    made = await tcp_streams.connect()
    sock = made.writer.get_extra_info("socket")
    await upgrade(loop, tcp_streams, made)
    # The peer answers no goodbye, because it does not read.
    made.writer.close()
    await turns(loop)
    await clock.forward(SHUTDOWN_TIMEOUT - GENEROUS)
    assert sock.fileno() != -1
    await clock.forward(GENEROUS)
    await aio.wait_for(aio.gather(made.writer.wait_closed(), return_exceptions=True), GENEROUS)
    assert sock.fileno() == -1


@requirement("StreamWriter.start_tls/shutdown-aborts-after-thirty-seconds")
async def test_a_goodbye_that_takes_longer_than_its_timeout_is_given_up(
    loop: AbstractEventLoop, aio: Any, tcp_streams: StreamMaker
) -> None:
    made = await tcp_streams.connect()
    await upgrade(loop, tcp_streams, made, ssl_shutdown_timeout=SOON)
    made.writer.close()
    (outcome,) = await aio.wait_for(aio.gather(made.writer.wait_closed(), return_exceptions=True), GENEROUS)
    assert outcome is None or isinstance(outcome, OSError)


class EarlyClient:
    """A TLS client whose first message can be sent together with something else."""

    def __init__(self) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trusting_context().wrap_bio(self._incoming, self._outgoing, server_hostname=NAME)
        with pytest.raises(ssl.SSLWantReadError):
            self._tls.do_handshake()
        self.hello = self._outgoing.read()

    def send(self, sock: socket.socket, data: bytes) -> None:
        """Finish the handshake and send ``data``."""
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(self._outgoing.read())
                answer = sock.recv(CHUNK)
                if not answer:
                    raise ConnectionError("the server has gone") from None
                self._incoming.write(answer)
        self._tls.write(data)
        sock.sendall(self._outgoing.read())


@SERVERS
@requirement("StreamWriter.start_tls/takes-buffered-handshake")
async def test_a_handshake_that_the_reader_has_buffered_is_not_lost(
    loop: AbstractEventLoop, aio: Any, streams: StreamMaker
) -> None:
    reader, writer, peer = await streams.connect()
    client = EarlyClient()
    await peer.send(b"PROXY\r\n" + client.hello)
    await taken(loop, writer)
    assert await reader.readline() == b"PROXY\r\n"
    sending = peer.do(lambda: client.send(peer.sock, b"secret"))
    starting = aio.wait_for(writer.start_tls(server_context()), GENEROUS)
    assert await aio.gather(sending, starting, return_exceptions=True) == [None, None]
    assert await reader.readexactly(6) == b"secret"
