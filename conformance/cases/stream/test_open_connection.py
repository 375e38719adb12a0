"""Connecting: ``open_connection()``, what it returns and what becomes of its arguments."""

from __future__ import annotations

import inspect
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.certificates import over_tls, trusting_context
from conformance.support.connections import NAME
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import HOST, accepting, read_once, read_until_eof, refusing_port
from conformance.support.streams import TLS_KINDS, check_limit, handed_to
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.streams import StreamMaker

# A second address that every Linux has.
SECOND_HOST = "127.0.0.2"
# What the peer is given to answer: nothing would come of waiting longer for one that never does.
SOON = 0.02


async def ask(reader: Any, writer: Any) -> bytes:
    """Close the connection after one message; what its reader still gives."""
    writer.write(b"reached")
    writer.close()
    await writer.wait_closed()
    rest: bytes = await reader.read()
    return rest


@requirement("open_connection/accepts-documented-arguments")
def test_open_connection_is_a_coroutine_function(aio: Any) -> None:
    assert inspect.iscoroutinefunction(aio.open_connection) is True


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("by_name", [False, True], ids=["by-position", "by-name"])
@requirement("open_connection/accepts-documented-arguments")
async def test_host_and_port_are_given_by_position_or_by_name(loop: AbstractEventLoop, aio: Any, by_name: bool) -> None:
    with accepting(read_once) as peer:
        host, port = peer.address
        ends = await (aio.open_connection(host=host, port=port) if by_name else aio.open_connection(host, port))
        assert await ask(*ends) == b""
        assert await peer.outcome(loop) == b"reached"


@requirement("open_connection/returns-reader-writer-pair")
async def test_a_connection_is_a_pair_of_a_reader_and_a_writer(aio: Any, streams: StreamMaker) -> None:
    reader, writer, peer = await streams.connect()
    assert (type(reader), type(writer)) == (aio.StreamReader, aio.StreamWriter)
    await peer.send(b"question")
    assert await reader.readexactly(8) == b"question"
    writer.write(b"answer")
    assert await peer.read(6) == b"answer"


@requirement("open_connection/returns-reader-writer-pair")
async def test_a_connection_that_is_refused_is_an_oserror(aio: Any) -> None:
    with refusing_port() as port, pytest.raises(ConnectionRefusedError):
        await aio.open_connection(HOST, port)


@requirement("open_connection/returns-reader-writer-pair")
async def test_connections_do_not_share_what_comes(tcp_streams: StreamMaker) -> None:
    made = [await tcp_streams.connect() for _ in range(3)]
    for number, (_, _, peer) in enumerate(made):
        await peer.send(b"%d" % number)
    assert [await reader.readexactly(1) for reader, _, _ in made] == [b"0", b"1", b"2"]


@pytest.mark.parametrize(("options", "limit"), [({}, 65536), ({"limit": 1}, 1), ({"limit": 100}, 100)])
@requirement("open_connection/limit-bounds-reader-buffer")
async def test_the_limit_of_the_reader_is_the_one_given_or_64_kib(
    aio: Any, tcp_streams: StreamMaker, options: dict[str, int], limit: int
) -> None:
    made = await tcp_streams.connect(**options)
    await check_limit(aio, made, limit)


@requirement("open_connection/passes-arguments-through")
async def test_a_local_address_is_bound(loop: AbstractEventLoop, aio: Any) -> None:
    with socket.socket() as probe:
        try:
            probe.bind((SECOND_HOST, 0))
        except OSError:
            pytest.skip(f"this machine does not have the address {SECOND_HOST}")
    with accepting(lambda connection: connection.getpeername()) as peer:
        _, writer = await aio.open_connection(*peer.address, local_addr=(SECOND_HOST, 0))
        host, _ = await peer.outcome(loop)
        assert host == SECOND_HOST
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("host", "options"),
    [(HOST, {"family": socket.AF_INET6}), ("no.such.name.invalid", {"flags": socket.AI_NUMERICHOST})],
    ids=["family", "flags"],
)
@requirement("open_connection/passes-arguments-through")
async def test_what_looks_a_host_up_is_passed_on(aio: Any, host: str, options: dict[str, Any]) -> None:
    with refusing_port() as port, pytest.raises(socket.gaierror):
        await aio.open_connection(host, port, **options)


@pytest.mark.parametrize("streams", ["tls"], indirect=True)
@requirement("open_connection/passes-arguments-through")
async def test_a_context_and_a_host_name_make_a_tls_connection(streams: StreamMaker) -> None:
    context = trusting_context()
    reader, writer, peer = await streams.connect(ssl=context, server_hostname=HOST)
    assert writer.get_extra_info("sslcontext") is context
    assert writer.get_extra_info("ssl_object").server_hostname == HOST
    writer.write(b"secret")
    assert await peer.read(6) == b"secret"
    await peer.send(b"answer")
    assert await reader.readexactly(6) == b"answer"


@requirement("open_connection/passes-arguments-through")
async def test_the_certificate_is_matched_against_the_host_name_given(aio: Any) -> None:
    with accepting(over_tls(read_once)) as peer, pytest.raises(ssl.SSLCertVerificationError):
        await aio.open_connection(*peer.address, ssl=trusting_context(), server_hostname="elsewhere.invalid")


@requirement("open_connection/passes-arguments-through")
async def test_every_other_argument_reaches_create_connection_unchanged(
    loop: AbstractEventLoop, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("ssl", "family", "proto", "flags", "sock", "local_addr", "server_hostname")
    given = {name: object() for name in names}
    assert await handed_to(monkeypatch, loop, "create_connection", aio.open_connection("host", 1, **given)) == (
        ("host", 1),
        given,
    )


@requirement("open_connection/accepts-happy-eyeballs-keywords")
async def test_happy_eyeballs_and_interleaving_reach_create_connection(
    loop: AbstractEventLoop, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"happy_eyeballs_delay": 0.125, "interleave": 2}
    opening = aio.open_connection("host", 1, **given)
    assert await handed_to(monkeypatch, loop, "create_connection", opening) == (("host", 1), given)


@requirement("open_connection/accepts-happy-eyeballs-keywords")
async def test_happy_eyeballs_and_interleaving_make_connections(loop: AbstractEventLoop, aio: Any) -> None:
    with accepting(read_once) as peer:
        ends = await aio.open_connection(*peer.address, happy_eyeballs_delay=0.25, interleave=1)
        assert await ask(*ends) == b""
        assert await peer.outcome(loop) == b"reached"


@requirement("open_connection/accepts-ssl-handshake-timeout-keyword")
async def test_a_handshake_that_takes_longer_than_its_timeout_is_given_up(loop: AbstractEventLoop, aio: Any) -> None:
    with accepting(read_until_eof) as peer:
        with pytest.raises(OSError):  # noqa: PT011 - no text is promised
            await aio.open_connection(
                *peer.address, ssl=trusting_context(), server_hostname=NAME, ssl_handshake_timeout=SOON
            )
        await peer.outcome(loop)


@pytest.mark.parametrize("streams", TLS_KINDS, indirect=True)
@requirement(
    "open_connection/accepts-ssl-shutdown-timeout-keyword", "start_server/accepts-ssl-shutdown-timeout-keyword"
)
async def test_a_goodbye_that_takes_longer_than_its_timeout_is_given_up(aio: Any, streams: StreamMaker) -> None:
    # The peer answers no goodbye, because it does not read.
    _, writer, _ = await streams.connect(ssl_shutdown_timeout=SOON)
    writer.close()
    closed = aio.gather(writer.wait_closed(), return_exceptions=True)
    (outcome,) = await aio.wait_for(closed, GENEROUS)
    assert outcome is None or isinstance(outcome, OSError)


@requirement("open_connection/takes-ownership-of-sock", "StreamWriter.close/flushes-and-closes-socket")
async def test_closing_the_writer_closes_the_socket_that_was_given(aio: Any) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.settimeout(GENEROUS)
        _, writer = await aio.open_connection(sock=ours)
        assert ours.fileno() != -1
        writer.close()
        await writer.wait_closed()
        assert ours.fileno() == -1
        assert theirs.recv(1) == b""


@pytest.mark.parametrize("blocking", [True, False], ids=["blocking", "non-blocking"])
@requirement("open_connection/takes-ownership-of-sock")
async def test_a_connected_socket_becomes_a_connection(loop: AbstractEventLoop, aio: Any, blocking: bool) -> None:
    with accepting(read_once) as peer:
        sock = socket.create_connection(peer.address)
        sock.setblocking(blocking)
        assert await ask(*await aio.open_connection(sock=sock)) == b""
        assert await peer.outcome(loop) == b"reached"


STREAM_FUNCTIONS = {
    "open_connection": ((HOST, 1), socket.AF_INET),
    "start_server": ((print, HOST, 0), socket.AF_INET),
    "open_unix_connection": (("/nowhere/at/all",), getattr(socket, "AF_UNIX", None)),
    "start_unix_server": ((print, "/nowhere/at/all"), getattr(socket, "AF_UNIX", None)),
}


@pytest.mark.parametrize("name", [name for name, (_, family) in STREAM_FUNCTIONS.items() if family is not None])
@requirement("explicit-loop-argument-streams/rejects-loop-keyword")
async def test_no_stream_function_takes_a_loop(loop: AbstractEventLoop, aio: Any, name: str) -> None:
    arguments, _ = STREAM_FUNCTIONS[name]
    with pytest.raises(TypeError):
        await getattr(aio, name)(*arguments, loop=loop)
