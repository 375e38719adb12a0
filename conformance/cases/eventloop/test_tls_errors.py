"""TLS handshakes that fail: the error goes to who called ``loop.start_tls()``."""

from __future__ import annotations

import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.certificates import (
    careless_context,
    distrusting_context,
    over_tls,
    server_context,
    trusting_context,
)
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import CHUNK, accepting, read_until_eof
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    import socket
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

# What an aborted transport needs to close its socket, generously.
PASSES = 5
NO_TLS = b"This is a line of text and no TLS record.\r\n"


async def fail_handshake(
    loop: AbstractEventLoop,
    aio: Any,
    serve: Callable[[socket.socket], object],
    context: ssl.SSLContext,
    error: type[Exception],
    *,
    meanwhile: Callable[[], object] = int,
    **options: Any,
) -> None:
    """Connect to a peer that runs ``serve(connection)``; ``start_tls()`` must raise ``error`` on that connection.

    ``meanwhile()`` is called as soon as ``start_tls()`` waits: what comes earlier would go to the protocol.
    """
    with accepting(serve) as peer:
        transport, protocol = await loop.create_connection(aio.Protocol, *peer.address)
        loop.call_soon(meanwhile)
        try:
            with pytest.raises(error):
                await loop.start_tls(transport, protocol, context, **options)
        finally:
            # A loop that raised before it ever waited must not leave the peer waiting.
            meanwhile()
            transport.abort()
        await peer.outcome(loop)
    # A peer that left early does not wait for the transport's end, which the loop is to see before it is closed.
    for _ in range(PASSES):
        await aio.sleep(0)


def answer_in_plain_text(connection: socket.socket) -> None:
    connection.recv(CHUNK)
    # The other end may leave without having read all.
    with suppress(OSError):
        connection.sendall(NO_TLS)
        read_until_eof(connection)


def reset(connection: socket.socket) -> None:
    """Close with data unread, which tells the other end so."""
    connection.recv(1)


def close(connection: socket.socket) -> None:
    connection.recv(CHUNK)


@on_loops(PLAIN, DEBUG)
@requirement("loop.start_tls/raises-on-handshake-failure")
async def test_a_server_that_speaks_no_tls_is_an_ssl_error(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]]
) -> None:
    await fail_handshake(loop, aio, answer_in_plain_text, careless_context(), ssl.SSLError)
    assert reported == []


@on_loops(PLAIN, DEBUG)
@requirement("loop.start_tls/raises-on-handshake-failure")
async def test_a_client_that_speaks_no_tls_is_an_ssl_error_to_the_server(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]]
) -> None:
    upgrading = threading.Event()

    def speak_first(connection: socket.socket) -> None:
        upgrading.wait(GENEROUS)
        with suppress(OSError):
            connection.sendall(NO_TLS)
            read_until_eof(connection)

    await fail_handshake(
        loop, aio, speak_first, server_context(), ssl.SSLError, meanwhile=upgrading.set, server_side=True
    )
    assert reported == []


@on_loops(PLAIN, DEBUG)
@requirement("loop.start_tls/raises-on-handshake-failure")
async def test_a_certificate_that_nobody_trusts_is_a_verification_error(loop: AbstractEventLoop, aio: Any) -> None:
    error, serve = ssl.SSLCertVerificationError, over_tls(read_until_eof)
    await fail_handshake(loop, aio, serve, distrusting_context(), error, server_hostname="localhost")


@requirement("loop.start_tls/raises-on-handshake-failure")
async def test_a_certificate_of_another_host_is_a_verification_error(loop: AbstractEventLoop, aio: Any) -> None:
    error, serve = ssl.SSLCertVerificationError, over_tls(read_until_eof)
    await fail_handshake(loop, aio, serve, trusting_context(), error, server_hostname="other.invalid")


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("leave", [reset, close], ids=["reset", "close"])
@requirement("loop.start_tls/raises-on-handshake-failure")
async def test_a_peer_that_leaves_the_handshake_is_an_oserror(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]], leave: Callable[[socket.socket], None]
) -> None:
    await fail_handshake(loop, aio, leave, careless_context(), OSError)
    assert reported == []
