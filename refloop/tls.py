"""Beginning TLS: what the arguments ask for, and a layer over a connected socket or over a transport in use."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

from refloop.identity import Transport
from refloop.spawning import TaskMaking
from refloop.stream_protocol import StreamReaderProtocol
from refloop.streamtransports import SocketTransport
from refloop.tlsengine import Engine
from refloop.tlstransport import ROOM, TLSTransport

if TYPE_CHECKING:
    import socket

    from refloop.futures import Future
    from refloop.servers import Server


class TLSOptions(NamedTuple):
    """What `ssl`, `server_hostname`, `ssl_handshake_timeout` and `ssl_shutdown_timeout` ask for, checked.

    `server_hostname`: the name that the certificate must match; None on the server's side.
    The timeouts are in seconds; None stands for the default.
    """

    context: ssl.SSLContext
    server_hostname: str | None
    handshake_timeout: float | None
    shutdown_timeout: float | None


class TLSStarting(TaskMaking):
    """`start_tls()`, and what all TLS connections of a loop share."""

    _tls_room: bytearray | None = None

    def _share_tls_room(self) -> bytearray:
        """Return memory to receive ciphertext in: one for all connections, most of which are idle at any time."""
        if self._tls_room is None:
            self._tls_room = bytearray(ROOM)
        return self._tls_room

    async def start_tls(
        self,
        transport: Any,
        protocol: Any,
        sslcontext: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Transport | None:
        """Put TLS between `transport` and `protocol`; return the transport that the protocol is to use from now on.

        `server_hostname` is matched against the server's certificate. The protocol's `connection_made()` is not called
        again. None when the transport is closing. When the handshake fails, its exception is raised and the connection
        is lost. `TypeError` for what is no stream transport or no context, `ValueError` for a missing name.

        Keeps: loop.start_tls/accepts-documented-parameters, loop.start_tls/accepts-ssl-shutdown-timeout-keyword,
        loop.start_tls/returns-new-transport, loop.start_tls/old-transport-unusable,
        loop.start_tls/server-side-handshake, loop.start_tls/server-hostname-overrides-host,
        loop.start_tls/may-return-none, loop.start_tls/raises-on-handshake-failure.
        """
        context = _check_context(sslcontext)
        _check_timeouts(ssl_handshake_timeout, ssl_shutdown_timeout)
        if not isinstance(transport, Transport):
            raise TypeError(f"TLS needs a stream transport, not {transport!r}")
        if context.check_hostname and not server_side and not server_hostname:
            raise ValueError("server_hostname is needed when the ssl context checks host names")
        if transport.is_closing():
            return None
        options = TLSOptions(context, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout)
        return await completed(begin_tls_over(self, transport, protocol, options, server_side=server_side))


async def connect_tls(
    loop: Any, sock: socket.socket, protocol: Any, options: TLSOptions, *, server_side: bool, peername: Any
) -> Transport:
    """Return the transport of TLS over a connected socket, once the handshake is complete; see `begin_tls()`."""
    return await completed(begin_tls(loop, sock, protocol, options, server_side=server_side, peername=peername))


def begin_tls(
    loop: Any,
    sock: socket.socket,
    protocol: Any,
    options: TLSOptions,
    *,
    server_side: bool,
    server: Server | None = None,
    peername: Any = None,
) -> Future[Transport]:
    """Begin TLS on a connected, non-blocking socket, which belongs to the connection from now on.

    The future's result is the transport, when the handshake is over and `protocol.connection_made()` was called; its
    exception is why there is none, and then the socket is closed. `server` is told of the transport's beginning and
    end (`Server._attach()`, `Server._detach()`).
    """
    engine = Engine(options.context, server_side, options.server_hostname)
    made: Future[Transport] = loop.create_future()
    layer = TLSTransport(
        loop,
        protocol,
        engine,
        made,
        handshake_timeout=options.handshake_timeout,
        shutdown_timeout=options.shutdown_timeout,
        server=server,
        room=loop._share_tls_room(),
    )
    SocketTransport(loop, sock, layer, peername=peername)._start()
    return made


def begin_tls_over(
    loop: Any, transport: Any, protocol: Any, options: TLSOptions, *, server_side: bool
) -> Future[Transport]:
    """Begin TLS over any stream transport, whose protocol has been `protocol` so far; see `begin_tls()`."""
    made: Future[Transport] = loop.create_future()
    engine = Engine(options.context, server_side, options.server_hostname)
    if server_side and isinstance(protocol, StreamReaderProtocol):
        # The client may have begun the handshake before it was asked to, and its bytes stand in the reader.
        engine.receive(protocol.take_unread())
    # The server that accepted the connection is to close it as TLS is closed.
    server = getattr(transport, "_server", None)
    layer = TLSTransport(
        loop,
        protocol,
        engine,
        made,
        announce=False,
        handshake_timeout=options.handshake_timeout,
        shutdown_timeout=options.shutdown_timeout,
        server=server,
        # These fill it and tell of it at once; a transport of another make may leave time in between.
        room=loop._share_tls_room() if isinstance(transport, SocketTransport | TLSTransport) else None,
    )
    layer.take_over(transport)
    if server is not None:
        transport._server = None
        server._detach(transport)
    return made


async def completed(made: Future[Transport]) -> Transport:
    """Wait for a handshake. Who is cancelled leaves no connection behind that nobody has."""
    try:
        return await made
    except BaseException:
        if made.done() and not made.cancelled() and made.exception() is None:
            # It was complete already; the news came together with the cancellation.
            made.result().abort()
        raise
    finally:
        # The future has the exception, which refers to this frame.
        del made


def client_options(
    context: ssl.SSLContext | bool | None,
    host: str | None,
    server_hostname: str | None,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
) -> TLSOptions | None:
    """Return what a client's arguments ask for, None for no TLS; `ValueError` for what contradicts itself.

    Keeps: loop.create_connection/server-hostname-overrides-host, loop.create_connection/requires-hostname-without-host,
    loop.create_connection/rejects-server-hostname-without-ssl, loop.create_connection/default-context-for-ssl-true,
    loop.create_connection/uses-given-ssl-context, loop.create_connection/rejects-hostname-check-without-name.
    """
    if not context:
        if server_hostname is not None:
            raise ValueError("server_hostname is only meaningful with ssl")
        _refuse_timeouts(handshake_timeout, shutdown_timeout)
        return None
    if context is True:
        context = ssl.create_default_context()
    context = _check_context(context)
    _check_timeouts(handshake_timeout, shutdown_timeout)
    if server_hostname is None:
        if not host:
            raise ValueError("server_hostname is needed with ssl when there is no host to take it from")
        server_hostname = host
    if context.check_hostname and not server_hostname:
        raise ValueError("server_hostname cannot be empty when the ssl context checks host names")
    return TLSOptions(context, server_hostname, handshake_timeout, shutdown_timeout)


def server_options(
    context: ssl.SSLContext | bool | None, handshake_timeout: float | None, shutdown_timeout: float | None
) -> TLSOptions | None:
    """Return what a server's arguments ask for, None for no TLS; `TypeError` for an `ssl` that is no context.

    Keeps: loop.create_server/ssl-context-enables-tls, loop.connect_accepted_socket/ssl-context-enables-server-tls.
    """
    if context is None or context is False:
        _refuse_timeouts(handshake_timeout, shutdown_timeout)
        return None
    context = _check_context(context)
    _check_timeouts(handshake_timeout, shutdown_timeout)
    return TLSOptions(context, None, handshake_timeout, shutdown_timeout)


def _check_context(context: object) -> ssl.SSLContext:
    if not isinstance(context, ssl.SSLContext):
        raise TypeError(f"ssl must be an SSLContext, not {context!r}")
    return context


def _refuse_timeouts(handshake_timeout: float | None, shutdown_timeout: float | None) -> None:
    if handshake_timeout is not None:
        raise ValueError("ssl_handshake_timeout is only meaningful with ssl")
    if shutdown_timeout is not None:
        raise ValueError("ssl_shutdown_timeout is only meaningful with ssl")


def _check_timeouts(handshake_timeout: float | None, shutdown_timeout: float | None) -> None:
    if handshake_timeout is not None and handshake_timeout <= 0:
        raise ValueError(f"ssl_handshake_timeout must be positive, not {handshake_timeout!r}")
    if shutdown_timeout is not None and shutdown_timeout <= 0:
        raise ValueError(f"ssl_shutdown_timeout must be positive, not {shutdown_timeout!r}")
