"""Making stream connections: to a host, to a path, or over a socket that is connected already."""

from __future__ import annotations

import os
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from refloop import tls
from refloop.addresses import AddressInfo, interleave, resolve
from refloop.racing import first_to_succeed
from refloop.sockcalls import SocketCalls
from refloop.streamtransports import SocketTransport

if TYPE_CHECKING:
    import ssl as ssl_module
    from collections.abc import Callable
    from pathlib import Path

    from refloop.identity import Transport

    SSL = ssl_module.SSLContext | bool | None

IP_FAMILIES = frozenset({socket.AF_INET, socket.AF_INET6})


class Connecting(SocketCalls):
    """`create_connection()`, `create_unix_connection()` and `connect_accepted_socket()`."""

    async def create_connection(
        self,
        protocol_factory: Callable[[], Any],
        host: str | None = None,
        port: int | str | None = None,
        *,
        ssl: SSL = None,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        sock: socket.socket | None = None,
        local_addr: tuple[str, int] | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        happy_eyeballs_delay: float | None = None,
        interleave: int | None = None,
        all_errors: bool = False,
    ) -> tuple[Transport, Any]:
        """Connect to `port` of `host`, or use the connected `sock`; return the transport and the protocol.

        The addresses that `host` stands for are tried in turn, from `local_addr` if given. `family`, `proto` and
        `flags` go to `getaddrinfo()`. With `happy_eyeballs_delay`, in seconds, attempts overlap; `interleave` lets
        families alternate after that many addresses of the first. When all attempts fail, an `OSError`; with
        `all_errors`, an `ExceptionGroup` of theirs.

        Keeps: loop.create_connection/accepts-documented-parameters,
        loop.create_connection/accepts-happy-eyeballs-interleave-keywords,
        loop.create_connection/accepts-all-errors-keyword, loop.create_connection/opens-stream-connection,
        loop.create_connection/returns-transport-protocol-pair, loop.create_connection/connection-steps-order,
        loop.create_connection/accepts-any-factory-callable, loop.create_connection/calls-factory-without-arguments,
        loop.create_connection/plain-without-ssl, loop.create_connection/uses-given-socket,
        loop.create_connection/rejects-sock-with-address, loop.create_connection/falls-through-to-next-address,
        loop.create_connection/tries-addresses-in-resolved-order,
        loop.create_connection/default-interleave-follows-happy-eyeballs,
        loop.create_connection/other-tasks-run-meanwhile.
        """
        options = tls.client_options(ssl, host, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout)
        if sock is not None:
            if host is not None or port is not None:
                raise ValueError("host and port cannot be given together with sock")
            check_stream_socket(sock)
            return await self._connected(sock, protocol_factory, options)
        if host is None and port is None:
            raise ValueError("either host and port or sock must be given")
        if interleave is None and happy_eyeballs_delay is not None:
            interleave = 1
        sock = await self._connect_to_host(
            (host, port),
            local_addr,
            family=family,
            proto=proto,
            flags=flags,
            delay=happy_eyeballs_delay,
            first_family_count=interleave,
            all_errors=all_errors,
        )
        return await self._connected(sock, protocol_factory, options)

    async def create_unix_connection(
        self,
        protocol_factory: Callable[[], Any],
        path: str | bytes | Path | None = None,
        *,
        ssl: SSL = None,
        sock: socket.socket | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[Transport, Any]:
        """Connect to the Unix socket at `path`, or use the connected `sock`; otherwise like `create_connection()`.

        A path that begins with a NUL is the name of an abstract socket.

        Keeps: loop.create_unix_connection/accepts-documented-parameters,
        loop.create_unix_connection/opens-unix-stream-connection,
        loop.create_unix_connection/returns-transport-protocol-pair, loop.create_unix_connection/accepts-str-path,
        loop.create_unix_connection/accepts-bytes-path, loop.create_unix_connection/accepts-path-like,
        loop.create_unix_connection/accepts-abstract-name, loop.create_unix_connection/requires-path-or-sock,
        loop.create_unix_connection/otherwise-like-create-connection,
        loop.create_unix_connection/connection-steps-order, loop.create_unix_connection/unsupported-on-windows,
        loop.create_unix_connection/requires-ssl-with-server-hostname.
        """
        refuse_without_unix_sockets()
        options = tls.client_options(ssl, None, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout)
        if (path is None) == (sock is None):
            raise ValueError("either path or sock must be given, and not both")
        if sock is not None:
            check_unix_stream_socket(sock)
            return await self._connected(sock, protocol_factory, options)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await self._connect(sock, os.fspath(path))  # type: ignore[arg-type]  # one of them is given
        except BaseException:
            sock.close()
            raise
        return await self._connected(sock, protocol_factory, options)

    async def connect_accepted_socket(
        self,
        protocol_factory: Callable[[], Any],
        sock: socket.socket,
        *,
        ssl: SSL = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[Transport, Any]:
        """Make a transport and a protocol for a connection that was accepted elsewhere.

        Keeps: loop.connect_accepted_socket/accepts-documented-parameters,
        loop.connect_accepted_socket/returns-transport-protocol-pair,
        loop.connect_accepted_socket/transport-owns-given-socket, loop.connect_accepted_socket/calls-connection-made.
        """
        options = tls.server_options(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        check_stream_socket(sock)
        return await self._connected(sock, protocol_factory, options, server_side=True)

    async def _connected(
        self,
        sock: socket.socket,
        protocol_factory: Callable[[], Any],
        options: tls.TLSOptions | None,
        *,
        server_side: bool = False,
    ) -> tuple[Transport, Any]:
        """Make protocol and transport over a connected socket, which is theirs: a failure closes it.

        Keeps: loop.create_connection/transport-owns-given-socket,
        loop.connect_accepted_socket/transport-owns-given-socket.
        """
        self._check_closed()
        try:
            sock.setblocking(False)
            peername = peer_of(sock)
            protocol = protocol_factory()
            if sock.family in IP_FAMILIES:
                send_without_delay(sock)
            if options is not None:
                connecting = tls.connect_tls(self, sock, protocol, options, server_side=server_side, peername=peername)
                return await connecting, protocol
        except BaseException:
            sock.close()
            raise
        return self._make_socket_transport(sock, protocol, extra={"peername": peername}), protocol

    def _make_socket_transport(
        self, sock: socket.socket, protocol: Any, waiter: Any = None, *, extra: dict[str, Any] | None = None
    ) -> Transport:
        """Make and start the transport of a plain connection: where a loop of one's own puts in a transport of its own.

        `sock` is connected, and the transport's from now on; `waiter`, a future, is done when the protocol knows of the
        connection; `extra` may hold the `peername`.

        Keeps: BaseEventLoop/calls-make-socket-transport.
        """
        transport = SocketTransport(self, sock, protocol, peername=(extra or {}).get("peername"))
        transport._start()
        if waiter is not None:
            self.call_soon(waiter.set_result, None)
        return transport

    async def _connect_to_host(
        self,
        address: tuple[Any, Any],
        local_address: tuple[Any, ...] | None,
        *,
        family: int,
        proto: int,
        flags: int,
        delay: float | None,
        first_family_count: int | None,
        all_errors: bool,
    ) -> socket.socket:
        """Return a socket connected to the first address of a host that lets itself be connected to."""
        infos = await resolve(self, address, family=family, type=socket.SOCK_STREAM, proto=proto, flags=flags)
        local_infos: list[AddressInfo] | None = None
        if local_address is not None:
            local_infos = await resolve(
                self, local_address, family=family, type=socket.SOCK_STREAM, proto=proto, flags=flags
            )
        if first_family_count:
            infos = interleave(infos, first_family_count)
        errors: list[Exception] = []
        if delay is None or len(infos) == 1:
            for info in infos:
                try:
                    return await self._attempt(info, local_infos)
                except OSError as error:
                    errors.append(error)
        else:
            attempts = [partial(self._attempt, info, local_infos) for info in infos]
            connected, errors = await first_to_succeed(self, attempts, delay, socket.socket.close)
            if connected is not None:
                return connected
        try:
            raise connection_error(errors, all_errors)
        finally:
            # Exceptions refer to the frames they passed, this one among them, which refers to them.
            errors = []

    async def _attempt(self, info: AddressInfo, local_infos: list[AddressInfo] | None) -> socket.socket:
        """Return a socket connected to one address."""
        sock = socket.socket(info.family, info.type, info.proto)
        try:
            sock.setblocking(False)
            if local_infos is not None:
                bind_to_one(sock, local_infos)
            await self._connect(sock, info.address)
        except BaseException:
            sock.close()
            raise
        return sock


def bind_to_one(sock: socket.socket, infos: list[AddressInfo]) -> None:
    """Bind `sock` to the first address of its family that it can be bound to.

    Keeps: loop.create_connection/binds-local-address.
    """
    failure: OSError | None = None
    for info in infos:
        if info.family != sock.family:
            continue
        try:
            sock.bind(info.address)
        except OSError as error:
            failure = OSError(error.errno, f"cannot bind to the local address {info.address!r}: {error.strerror}")
        else:
            return
    try:
        raise failure or OSError(f"there is no local address of family {sock.family!r} to bind to")
    finally:
        failure = None


def connection_error(errors: list[Exception], all_errors: bool) -> Exception:
    """Return what to raise when every attempt to connect failed."""
    if all_errors:
        return ExceptionGroup("create_connection failed", errors)
    if len(errors) == 1 or len({str(error) for error in errors}) == 1:
        return errors[0]
    return OSError(f"Multiple exceptions: {', '.join(map(str, errors))}")


def peer_of(sock: socket.socket) -> Any:
    """Return the address of the other end, None if the system knows none (any more)."""
    try:
        return sock.getpeername()
    except OSError:
        return None


def send_without_delay(sock: socket.socket) -> None:
    """Let TCP send small pieces at once instead of waiting for more.

    Keeps: transports-general/sets-tcp-nodelay, loop.create_connection/sets-tcp-nodelay,
    loop.create_server/sets-tcp-nodelay.
    """
    if sock.proto in (0, socket.IPPROTO_TCP):
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            # The peer is gone already, of which the first read will tell; or it is a stream of another kind.
            pass


def check_stream_socket(sock: Any) -> None:
    """Raise `ValueError` unless `sock` is a stream socket, `TypeError` if it does TLS itself."""
    if hasattr(sock, "do_handshake"):
        raise TypeError(f"a plain socket is needed, on which the loop can do TLS itself, not {sock!r}")
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"a stream socket is needed, not {sock!r}")


def check_unix_stream_socket(sock: Any) -> None:
    """Raise `ValueError` unless `sock` is a Unix stream socket."""
    check_stream_socket(sock)
    if sock.family != socket.AF_UNIX:
        raise ValueError(f"a Unix socket is needed, not {sock!r}")


def refuse_without_unix_sockets() -> None:
    """Raise `NotImplementedError` where the loop has no Unix sockets."""
    if sys.platform == "win32" or not hasattr(socket, "AF_UNIX"):
        raise NotImplementedError("Windows loops have no Unix sockets")
