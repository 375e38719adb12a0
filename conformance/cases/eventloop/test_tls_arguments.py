"""What may be said about TLS when a connection or server is made: ``ssl``, ``server_hostname`` and the timeouts."""

from __future__ import annotations

import socket
import ssl
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.buffers import more_than_fits
from conformance.support.certificates import (
    certificate_file,
    distrusting_context,
    nameless_context,
    over_tls,
    trusting_context,
)
from conformance.support.connections import NAME
from conformance.support.marks import requirement
from conformance.support.peers import HOST, accepting, read_until_eof
from conformance.support.protocols import Recorder
from conformance.support.servers import Accepted
from conformance.support.waiting import GENEROUS, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

    from conformance.support.connections import Carrier
    from conformance.support.peers import Peer

# An address of this machine that the certificate is not for.
OTHER_HOST = "127.0.0.2"
OTHER_NAME = "other.invalid"

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more than one IPv4 loopback address")


def over(*kinds: str) -> pytest.MarkDecorator:
    """Run the case over these kinds of TLS connections."""
    return pytest.mark.parametrize("stream", kinds, indirect=True)


async def check_takes(stream: Carrier, keyword: str) -> None:
    """Check that a connection comes about with every value of a timeout that ends nothing."""
    for value in (None, GENEROUS):
        stream.keywords = {keyword: value}
        transport, protocol, peer = await stream.connect()
        transport.write(b"hello")
        assert await peer.read(5) == b"hello"
        transport.abort()
        await until(stream.loop, lambda: protocol.lost)  # noqa: B023 - awaited within the turn


@over("tls-client")
@requirement("loop.create_connection/accepts-ssl-handshake-timeout-keyword")
async def test_create_connection_takes_a_handshake_timeout(stream: Carrier) -> None:
    await check_takes(stream, "ssl_handshake_timeout")


@over("tls-client")
@requirement("loop.create_connection/accepts-ssl-shutdown-timeout-keyword")
async def test_create_connection_takes_a_shutdown_timeout(stream: Carrier) -> None:
    await check_takes(stream, "ssl_shutdown_timeout")


@over("tls-unix-client")
@requirement("loop.create_unix_connection/accepts-ssl-handshake-timeout-keyword")
async def test_create_unix_connection_takes_a_handshake_timeout(stream: Carrier) -> None:
    await check_takes(stream, "ssl_handshake_timeout")


@over("tls-unix-client")
@requirement("loop.create_unix_connection/accepts-ssl-shutdown-timeout-keyword")
async def test_create_unix_connection_takes_a_shutdown_timeout(stream: Carrier) -> None:
    await check_takes(stream, "ssl_shutdown_timeout")


@over("tls-server")
@requirement("loop.create_server/accepts-handshake-and-serving-keywords")
async def test_create_server_takes_a_handshake_timeout(stream: Carrier) -> None:
    await check_takes(stream, "ssl_handshake_timeout")


@over("tls-server")
@requirement("loop.create_server/accepts-ssl-shutdown-timeout-keyword")
async def test_create_server_takes_a_shutdown_timeout(stream: Carrier) -> None:
    await check_takes(stream, "ssl_shutdown_timeout")


@over("tls-unix-server")
@requirement("loop.create_unix_server/accepts-handshake-and-serving-keywords")
async def test_create_unix_server_takes_a_handshake_timeout(stream: Carrier) -> None:
    await check_takes(stream, "ssl_handshake_timeout")


@over("tls-unix-server")
@requirement("loop.create_unix_server/accepts-ssl-shutdown-timeout-keyword")
async def test_create_unix_server_takes_a_shutdown_timeout(stream: Carrier) -> None:
    await check_takes(stream, "ssl_shutdown_timeout")


@over("tls-accepted")
@requirement("loop.connect_accepted_socket/accepts-ssl-handshake-timeout-keyword")
async def test_connect_accepted_socket_takes_a_handshake_timeout(stream: Carrier) -> None:
    await check_takes(stream, "ssl_handshake_timeout")


@over("tls-accepted")
@requirement("loop.connect_accepted_socket/accepts-ssl-shutdown-timeout-keyword")
async def test_connect_accepted_socket_takes_a_shutdown_timeout(stream: Carrier) -> None:
    await check_takes(stream, "ssl_shutdown_timeout")


@over("start-tls-client", "start-tls-server")
@requirement("loop.start_tls/accepts-documented-parameters")
async def test_start_tls_takes_a_handshake_timeout(stream: Carrier) -> None:
    await check_takes(stream, "ssl_handshake_timeout")


@over("start-tls-client", "start-tls-server")
@requirement("loop.start_tls/accepts-ssl-shutdown-timeout-keyword")
async def test_start_tls_takes_a_shutdown_timeout(stream: Carrier) -> None:
    await check_takes(stream, "ssl_shutdown_timeout")


@contextmanager
def tls_peer(host: str = HOST) -> Iterator[Peer[bytes | None]]:
    """A server with the certificate, which reads until its client has ended."""
    with accepting(over_tls(read_until_eof), socket.create_server((host, 0))) as peer:
        yield peer


async def check_connects(loop: Any, peer: Peer[bytes | None], **options: Any) -> None:
    """Check that TLS with ``peer`` comes about, and that what is written arrives there."""
    transport, protocol = await loop.create_connection(Recorder, *peer.address, **options)
    transport.write(b"accepted")
    transport.close()
    assert await peer.outcome(loop) == b"accepted"
    await until(loop, lambda: protocol.lost)


async def check_refuses(loop: Any, peer: Peer[bytes | None], **options: Any) -> None:
    """Check that the peer's certificate is not accepted, and that the protocol never hears of the connection."""
    made = Accepted()
    with pytest.raises(ssl.SSLCertVerificationError):
        await loop.create_connection(made, *peer.address, **options)
    assert await peer.outcome(loop) is None
    assert [protocol.events for protocol in made.protocols] in ([], [[]])


@requirement("loop.create_connection/default-context-for-ssl-true")
async def test_ssl_true_trusts_what_the_system_trusts(loop: AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    with certificate_file() as file, tls_peer() as peer:
        monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(file))
        await check_connects(loop, peer, ssl=True)


@requirement("loop.create_connection/default-context-verifies-certificate")
async def test_ssl_true_refuses_a_certificate_that_the_system_does_not_trust(loop: AbstractEventLoop) -> None:
    with tls_peer() as peer:
        await check_refuses(loop, peer, ssl=True)


@requirement("loop.create_connection/default-context-verifies-certificate")
async def test_ssl_true_refuses_a_trusted_certificate_of_another_host(
    loop: AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with certificate_file() as file, tls_peer() as peer:
        monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(file))
        await check_refuses(loop, peer, ssl=True, server_hostname=OTHER_NAME)


@requirement(
    "loop.create_connection/raises-certificate-verification-error",
    "loop.create_connection/uses-given-ssl-context",
)
async def test_a_certificate_that_the_context_does_not_trust_is_refused(loop: AbstractEventLoop) -> None:
    with tls_peer() as peer:
        await check_refuses(loop, peer, ssl=distrusting_context())


@requirement("loop.create_connection/raises-certificate-verification-error")
async def test_after_a_refused_certificate_others_are_accepted(loop: AbstractEventLoop) -> None:
    with tls_peer() as peer:
        await check_refuses(loop, peer, ssl=distrusting_context())
    with tls_peer() as peer:
        await check_connects(loop, peer, ssl=trusting_context())


@requirement("loop.create_connection/server-hostname-overrides-host")
async def test_the_certificate_is_matched_against_the_host(loop: AbstractEventLoop) -> None:
    with tls_peer() as peer:
        await check_connects(loop, peer, ssl=trusting_context())


@linux_only
@requirement("loop.create_connection/server-hostname-overrides-host")
async def test_a_certificate_that_does_not_match_the_host_is_refused(loop: AbstractEventLoop) -> None:
    with tls_peer(OTHER_HOST) as peer:
        await check_refuses(loop, peer, ssl=trusting_context())


@linux_only
@requirement("loop.create_connection/server-hostname-overrides-host")
async def test_the_certificate_is_matched_against_the_server_hostname_instead(loop: AbstractEventLoop) -> None:
    with tls_peer(OTHER_HOST) as peer:
        await check_connects(loop, peer, ssl=trusting_context(), server_hostname=NAME)


@requirement("loop.create_connection/server-hostname-overrides-host")
async def test_a_certificate_that_does_not_match_the_server_hostname_is_refused(loop: AbstractEventLoop) -> None:
    with tls_peer() as peer:
        await check_refuses(loop, peer, ssl=trusting_context(), server_hostname=OTHER_NAME)


@pytest.mark.parametrize("value", [True, "context"])
@requirement("loop.create_connection/requires-hostname-without-host")
async def test_a_socket_with_tls_needs_a_name_to_match(loop: Any, value: Any) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ValueError, match=r"."):
        await loop.create_connection(Recorder, sock=ours, ssl=trusting_context() if value == "context" else value)


@pytest.mark.parametrize("host", [None, ""], ids=["none", "empty"])
@requirement("loop.create_connection/requires-hostname-without-host")
async def test_no_host_with_tls_needs_a_name_to_match(loop: Any, host: str | None) -> None:
    with pytest.raises(ValueError, match=r"."):
        await loop.create_connection(Recorder, host, 1, ssl=trusting_context())


@linux_only
@requirement("loop.create_connection/empty-server-hostname-disables-matching")
async def test_with_an_empty_server_hostname_any_certificate_that_is_trusted_matches(loop: AbstractEventLoop) -> None:
    with tls_peer(OTHER_HOST) as peer:
        await check_connects(loop, peer, ssl=nameless_context(), server_hostname="")


@requirement("loop.create_connection/empty-server-hostname-disables-matching")
async def test_a_socket_with_an_empty_server_hostname_needs_no_name(loop: Any) -> None:
    with tls_peer() as peer:
        ours = socket.create_connection(peer.address)
        transport, protocol = await loop.create_connection(
            Recorder, sock=ours, ssl=nameless_context(), server_hostname=""
        )
        transport.write(b"accepted")
        transport.close()
        assert await peer.outcome(loop) == b"accepted"
        await until(loop, lambda: protocol.lost)


@requirement("loop.create_connection/empty-server-hostname-disables-matching")
async def test_with_an_empty_server_hostname_the_certificate_is_verified_all_the_same(loop: AbstractEventLoop) -> None:
    context = distrusting_context()
    context.check_hostname = False
    with tls_peer() as peer:
        await check_refuses(loop, peer, ssl=context, server_hostname="")


@pytest.mark.parametrize("options", [{}, {"ssl": None}, {"ssl": False}], ids=["missing", "none", "false"])
@requirement("loop.create_connection/rejects-server-hostname-without-ssl")
async def test_a_server_hostname_without_tls_is_refused(loop: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        await loop.create_connection(Recorder, HOST, 1, server_hostname=NAME, **options)


@pytest.mark.skipif((3, 14) <= sys.version_info < (3, 14, 8), reason="came to 3.14 with 3.14.8")
@requirement("loop.create_connection/rejects-hostname-check-without-name")
async def test_a_context_that_matches_names_needs_one(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ValueError, match=r"."):
        await loop.create_connection(Recorder, sock=ours, ssl=trusting_context(), server_hostname="")


@pytest.mark.parametrize("name", [NAME, ""])
@requirement("loop.create_unix_connection/requires-ssl-with-server-hostname")
async def test_a_unix_connection_without_tls_takes_no_server_hostname(loop: Any, name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        await loop.create_unix_connection(Recorder, "/nowhere", server_hostname=name)


@pytest.mark.parametrize("value", [True, "context"])
@requirement("loop.create_unix_connection/requires-ssl-with-server-hostname")
async def test_a_unix_connection_with_tls_needs_a_server_hostname(loop: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        await loop.create_unix_connection(Recorder, "/nowhere", ssl=trusting_context() if value == "context" else value)


@over("tls-client", "tls-unix-client", "start-tls-client")
@requirement("loop.create_connection/uses-given-ssl-context")
async def test_tls_is_done_with_the_very_context_that_was_given(stream: Carrier) -> None:
    context = trusting_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    stream.keywords = {"ssl": context}
    transport, _, peer = await stream.connect()
    assert transport.get_extra_info("sslcontext") is context
    assert peer.sock.version() == "TLSv1.2"  # type: ignore[attr-defined]


@requirement("loop.create_connection/proactor-supports-tls")
async def test_the_proactor_loop_does_tls(loop: AbstractEventLoop) -> None:
    assert sys.platform == "win32"
    with tls_peer() as peer:
        await check_connects(loop, peer, ssl=trusting_context())


@requirement("loop.create_unix_connection/otherwise-like-create-connection")
@over("tls-unix-client")
async def test_much_goes_through_a_unix_connection_with_tls(stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    much = bytes(more_than_fits(transport, peer))
    transport.write(much)
    transport.close()
    assert await peer.read_until_eof() == much
