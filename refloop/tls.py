"""TLS over a connected socket."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import socket

    from refloop.futures import Future
    from refloop.identity import Transport
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
    raise NotImplementedError("TLS is not supported yet")


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
