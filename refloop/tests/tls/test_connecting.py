"""How TLS connections come about: contexts, names, certificates, and what is known of a connection."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import refloop
from refloop.streamtransports import SocketTransport
from refloop.tests.io.carriers import BufferedRecorder, Recorder, until
from refloop.tests.tls.carriers import (
    NAME,
    TLSCarrier,
    TLSServer,
    authority,
    careless_client_context,
    client_context,
    noting,
    outcome,
    server_context,
    shake,
)
from refloop.tlsengine import Engine
from refloop.tlstransport import TLSTransport

requirement = pytest.mark.requirement

# What a TLS connection consists of.
TLS_KINDS = (TLSTransport, SocketTransport, Engine, ssl.SSLObject, ssl.MemoryBIO, ssl.SSLError)

FORBIDDEN_NAMES = [
    pytest.param({"ssl": True, "host": ""}, id="no-name-for-ssl"),
    pytest.param({"server_hostname": NAME, "host": "127.0.0.1"}, id="name-without-ssl"),
    pytest.param({"ssl_handshake_timeout": 1, "host": "127.0.0.1"}, id="handshake-timeout-without-ssl"),
    pytest.param({"ssl_shutdown_timeout": 1, "host": "127.0.0.1"}, id="shutdown-timeout-without-ssl"),
]


@requirement(
    "BaseTransport.get_extra_info/offers-tls-keys",
    "BaseTransport.get_extra_info/returns-none-when-uncompressed",
    "BaseTransport.get_extra_info/returns-peercert-dict",
    "BaseTransport.get_extra_info/returns-sslcontext-in-use",
    "BaseTransport.get_extra_info/offers-socket-keys",
)
async def test_extra_info_tells_of_tls_and_of_the_socket_beneath(carrier: TLSCarrier) -> None:
    transport, _, peer = await carrier.connect()
    info = transport.get_extra_info
    assert info("sslcontext") is (server_context() if carrier.server_side else client_context())
    assert isinstance(info("ssl_object"), ssl.SSLObject)
    assert info("cipher") == info("ssl_object").cipher() == peer.sock.cipher()  # type: ignore[attr-defined]
    assert info("compression", "none") in (None, "none")
    if carrier.server_side:
        assert info("peercert") is None
    else:
        assert info("peercert")["subjectAltName"] == (("DNS", NAME),)
    assert info("socket").family == carrier.family
    assert info("sockname") == info("socket").getsockname()
    assert info("peername") == peer.sock.getsockname()
    assert info("nothing") is None
    assert info("nothing", 5) == 5


@requirement("loop.create_connection/protocol-gets-decrypted-data")
async def test_the_bytes_on_the_wire_are_encrypted(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    making = asyncio.ensure_future(
        loop.create_connection(Recorder, sock=ours, ssl=client_context(), server_hostname=NAME)
    )
    theirs.settimeout(10)
    hello = await loop.run_in_executor(None, theirs.recv, 3)
    # A handshake record of TLS 1.x.
    assert hello[:2] == b"\x16\x03"
    theirs.close()
    assert isinstance(await outcome(making), OSError)


@requirement(
    "loop.create_connection/default-context-for-ssl-true",
    "loop.create_connection/default-context-verifies-certificate",
    "loop.create_connection/raises-certificate-verification-error",
)
async def test_the_default_context_trusts_no_unknown_authority(loop: Any) -> None:
    made: list[Recorder] = []

    ours, theirs = socket.socketpair()
    shaking = loop.run_in_executor(None, shake, theirs, True)
    result = await outcome(loop.create_connection(noting(made), sock=ours, ssl=True, server_hostname=NAME))
    assert isinstance(result, ssl.SSLCertVerificationError)
    assert ours.fileno() == -1
    # The peer is told why.
    assert isinstance(await outcome(shaking), ssl.SSLError)
    # A protocol that was never told of a connection is not told of its end.
    assert [protocol.events for protocol in made] == [[]]


def client_context_without_names() -> ssl.SSLContext:
    """Return a context that wants a certificate of the authority's, whatever the name in it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    authority().configure_trust(context)
    return context


@requirement(
    "loop.create_connection/requires-hostname-without-host",
    "loop.create_connection/rejects-server-hostname-without-ssl",
)
@pytest.mark.parametrize("arguments", FORBIDDEN_NAMES)
async def test_arguments_that_contradict_each_other_are_refused(loop: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        await loop.create_connection(Recorder, port=1, **arguments)


@pytest.mark.parametrize("keyword", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize("seconds", [0, -1])
@pytest.mark.asyncio_differs("looks at the times only when the connection is made")
async def test_there_must_be_some_time_for_everything(loop: Any, keyword: str, seconds: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ValueError, match=keyword):
        await loop.create_connection(Recorder, sock=ours, ssl=True, server_hostname=NAME, **{keyword: seconds})


@pytest.mark.parametrize("context", [True, "context", 5])
@pytest.mark.asyncio_differs("takes them, to fail later")
async def test_a_server_needs_a_context_of_its_own(loop: Any, context: Any) -> None:
    with pytest.raises(TypeError):
        await loop.create_server(Recorder, "127.0.0.1", 0, ssl=context)


@requirement("loop.create_connection/uses-given-ssl-context")
async def test_a_client_shows_its_certificate_to_a_server_that_asks(loop: Any) -> None:
    asking = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority().issue_cert(NAME).configure_cert(asking)
    authority().configure_trust(asking)
    asking.verify_mode = ssl.CERT_REQUIRED
    showing = ssl.create_default_context()
    authority().configure_trust(showing)
    authority().issue_cert("client.test").configure_cert(showing)
    made: list[Recorder] = []
    server = await loop.create_server(noting(made), "127.0.0.1", 0, ssl=asking)
    sock = socket.create_connection(server.sockets[0].getsockname())
    client = await loop.run_in_executor(None, shake, sock, False, showing)
    await until(lambda: made and made[0].transport)
    certificate = made[0].transport.get_extra_info("peercert")
    assert certificate["subjectAltName"] == (("DNS", "client.test"),)
    client.close()
    server.close()
    await server.wait_closed()


@requirement("loop.create_connection/uses-given-ssl-context")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_every_version_of_tls_carries_much_data(loop: Any, version: ssl.TLSVersion) -> None:
    context = client_context_without_names()
    context.minimum_version = context.maximum_version = version
    ours, theirs = socket.socketpair()
    shaking = loop.run_in_executor(None, shake, theirs, True)
    transport, protocol = await loop.create_connection(Recorder, sock=ours, ssl=context, server_hostname="")
    with await shaking as peer:
        data = os.urandom(1_000_000)
        sending = loop.run_in_executor(None, peer.sendall, data)
        await until(lambda: len(protocol.data) == len(data))
        await sending
        assert protocol.data == data
        assert peer.version() == version.name.replace("_", ".")
        transport.abort()
        await until(lambda: protocol.lost)


@requirement("loop.create_connection/protocol-gets-decrypted-data")
async def test_the_protocol_that_was_negotiated_is_known(loop: Any) -> None:
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), careless_client_context()
    authority().issue_cert(NAME).configure_cert(server)
    server.set_alpn_protocols(["h2", "http/1.1"])
    client.set_alpn_protocols(["http/1.1"])
    ours, theirs = socket.socketpair()
    shaking = loop.run_in_executor(None, shake, theirs, True, server)
    transport, protocol = await loop.create_connection(Recorder, sock=ours, ssl=client, server_hostname=NAME)
    (await shaking).close()
    assert transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    await until(lambda: protocol.lost)


@requirement("BufferedProtocol/usable-as-streaming-protocol")
@pytest.mark.parametrize("size", [1, 1000, 16 * 1024, 300_000])
@pytest.mark.asyncio_differs("writes every record but the first into a copy of the protocol's buffer")
async def test_a_buffered_protocol_gets_records_of_any_size(tcp: TLSCarrier, size: int) -> None:
    _, protocol, peer = await tcp.connect(lambda: BufferedRecorder(size))
    data = os.urandom(40_000 if size < 100 else 1_000_000)
    await peer.send(data)
    await until(lambda: len(protocol.data) == len(data))
    assert protocol.data == data


def test_a_connection_leaves_nothing_to_the_garbage_collector() -> None:
    async def begin_and_end() -> None:
        transport, protocol, peer = await TLSServer(asyncio.get_running_loop(), Path()).connect()
        transport.write(b"x")
        assert await peer.read(1) == b"x"
        transport.close()
        await peer.goodbye()
        await until(lambda: protocol.lost)

    async def fail() -> None:
        loop: Any = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.sendall(b"garbage" * 100)
            with suppress(ssl.SSLError):
                await loop.create_connection(Recorder, sock=ours, ssl=True, server_hostname=NAME)

    with asyncio.Runner(loop_factory=refloop.EventLoop) as runner:
        for main in (begin_and_end, fail):
            runner.run(main())
            gc.collect()
            gc.disable()
            try:
                runner.run(main())
                gc.set_debug(gc.DEBUG_SAVEALL)
                gc.collect()
                left = [type(kept).__name__ for kept in gc.garbage if isinstance(kept, TLS_KINDS)]
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
                gc.enable()
            assert left == []
