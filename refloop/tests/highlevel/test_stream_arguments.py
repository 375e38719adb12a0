"""What stream functions pass on to the loop, and TLS begun on a stream that is open already."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome

requirement = pytest.mark.requirement


def skip_without_tls(loop: Any) -> None:
    """Leave out what needs `loop.start_tls()` on a loop that has none."""
    if type(loop).start_tls is asyncio.AbstractEventLoop.start_tls:
        pytest.skip("the loop has no TLS")


@requirement("open_connection/passes-arguments-through", "open_connection/accepts-documented-arguments")
@requirement("open_connection/accepts-ssl-handshake-timeout-keyword")
@requirement("open_connection/accepts-happy-eyeballs-keywords", "open_connection/accepts-ssl-shutdown-timeout-keyword")
@requirement("start_server/accepts-ssl-shutdown-timeout-keyword", "start_server/accepts-keep-alive-keyword")
@requirement("start_server/accepts-handshake-and-serving-keywords")
@requirement("open_unix_connection/accepts-ssl-handshake-timeout-keyword")
@requirement("open_unix_connection/accepts-ssl-shutdown-timeout-keyword")
@requirement("start_unix_server/accepts-cleanup-socket-keyword")
@requirement("start_unix_server/accepts-ssl-shutdown-timeout-keyword")
@requirement("start_unix_server/accepts-handshake-and-serving-keywords")
@pytest.mark.parametrize(
    ("function", "method", "positional", "keywords"),
    [
        (
            "open_connection",
            "create_connection",
            ("host", 1),
            ("ssl", "family", "happy_eyeballs_delay", "interleave", "ssl_handshake_timeout", "ssl_shutdown_timeout"),
        ),
        (
            "start_server",
            "create_server",
            ("host", 1),
            ("backlog", "keep_alive", "start_serving", "ssl_shutdown_timeout"),
        ),
        (
            "open_unix_connection",
            "create_unix_connection",
            ("path",),
            ("ssl_handshake_timeout", "ssl_shutdown_timeout"),
        ),
        (
            "start_unix_server",
            "create_unix_server",
            ("path",),
            ("cleanup_socket", "ssl_handshake_timeout", "ssl_shutdown_timeout", "start_serving"),
        ),
    ],
)
async def test_all_other_arguments_reach_the_loop_unchanged(
    aio: Any,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    method: str,
    positional: tuple[Any, ...],
    keywords: tuple[str, ...],
) -> None:
    seen: list[Any] = []

    async def refuse(*arguments: Any, **others: Any) -> None:
        seen.append((arguments[1:], others))
        raise ZeroDivisionError

    monkeypatch.setattr(aio.get_running_loop(), method, refuse)
    given = {name: object() for name in keywords}
    first = (print,) if "server" in function else ()
    assert isinstance(await outcome(getattr(aio, function)(*first, *positional, limit=5, **given)), ZeroDivisionError)
    assert seen == [(positional, given)]


@requirement("StreamReader/accepts-documented-arguments", "StreamWriter/accepts-documented-arguments")
@requirement("StreamReaderProtocol/adapts-protocol-to-reader", "StreamWriter/exposes-transport-methods")
async def test_streams_can_be_put_together_by_hand(aio: Any) -> None:
    loop = aio.get_running_loop()

    class Recorder(aio.Transport):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[Any] = []
            self.closing = False

        def write(self, data: bytes) -> None:
            self.calls.append(data)

        def writelines(self, data: Any) -> None:
            self.calls.extend(data)

        def can_write_eof(self) -> bool:
            return True

        def write_eof(self) -> None:
            self.calls.append("eof")

        def is_closing(self) -> bool:
            return self.closing

        def close(self) -> None:
            self.closing = True

    seen: list[Any] = []
    reader = aio.StreamReader(limit=100, loop=loop)
    protocol = aio.StreamReaderProtocol(reader, lambda *ends: seen.append(ends), loop=loop)
    assert isinstance(protocol, asyncio.Protocol)
    transport = Recorder()
    protocol.connection_made(transport)
    ((given_reader, _),) = seen
    assert given_reader is reader
    writer = aio.StreamWriter(transport, protocol, reader, loop)
    writer.write(b"a")
    writer.writelines([b"b"])
    assert writer.can_write_eof()
    writer.write_eof()
    assert transport.calls == [b"a", b"b", "eof"]
    protocol.data_received(b"line\n")
    assert await reader.readline() == b"line\n"
    assert protocol.eof_received() is True
    assert await reader.read() == b""
    writer.close()
    protocol.connection_lost(None)
    await writer.wait_closed()


@requirement("StreamWriter.start_tls/upgrades-to-tls", "StreamWriter.start_tls/keeps-reader-and-writer")
@requirement("StreamWriter.start_tls/accepts-documented-arguments")
@requirement("StreamWriter.start_tls/server-hostname-overrides-matched-name")
@pytest.mark.since((3, 12))
async def test_a_stream_becomes_encrypted_and_its_ends_stay_the_same(aio: Any) -> None:
    trustme = pytest.importorskip("trustme")
    loop = aio.get_running_loop()
    skip_without_tls(loop)
    authority = trustme.CA()
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("example.org").configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)

    async def serve(reader: Any, writer: Any) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go\n")
        await writer.start_tls(server_context)
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        served.set_result(None)

    served = loop.create_future()
    server = await aio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await aio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"STARTTLS\n")
    assert await reader.readline() == b"go\n"
    await writer.start_tls(client_context, server_hostname="example.org", ssl_handshake_timeout=10)
    assert writer.get_extra_info("sslcontext") is client_context
    writer.write(b"secret\n")
    assert await reader.readline() == b"secret\n"
    assert await reader.read() == b""
    writer.close()
    await outcome(writer.wait_closed())
    await served
    server.close()
    await server.wait_closed()


@requirement("StreamWriter.start_tls/rejects-missing-server-hostname")
@pytest.mark.since((3, 15))
async def test_tls_without_the_host_name_that_the_context_demands_raises_valueerror(aio: Any) -> None:
    skip_without_tls(aio.get_running_loop())
    ours, theirs = socket.socketpair()
    with theirs:
        _, writer = await aio.open_connection(sock=ours)
        error = await outcome(writer.start_tls(ssl.create_default_context()))
        writer.close()
        await writer.wait_closed()
    assert isinstance(error, ValueError)
