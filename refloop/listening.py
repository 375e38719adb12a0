"""Making servers: the sockets that listen on hosts, ports and paths."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from refloop import tls
from refloop.addresses import AddressInfo, resolve
from refloop.connecting import Connecting, check_stream_socket, check_unix_stream_socket, refuse_without_unix_sockets
from refloop.errors import logger
from refloop.servers import Server

if TYPE_CHECKING:
    import ssl as ssl_module
    from collections.abc import Callable, Sequence
    from pathlib import Path


# Connections that may wait to be accepted; documented.
BACKLOG = 100


class ServerMaking(Connecting):
    """`create_server()` and `create_unix_server()`."""

    async def create_server(  # type: ignore[override]  # one signature for all of the stubs' overloads
        self,
        protocol_factory: Callable[[], Any],
        host: str | Sequence[str] | None = None,
        port: int | str | None = None,
        *,
        family: int = socket.AF_UNSPEC,
        flags: int = socket.AI_PASSIVE,
        sock: socket.socket | None = None,
        backlog: int = BACKLOG,
        ssl: ssl_module.SSLContext | None = None,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        keep_alive: bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> Server:
        """Return a server that listens on `port` of `host`, of each of several hosts, or on the bound `sock`.

        No host, or an empty one, stands for all interfaces; port 0 or None for any free port, another for each address.
        `family` and `flags` go to `getaddrinfo()`. `OSError` when an address cannot be bound.

        Keeps: loop.create_server/accepts-documented-parameters,
        loop.create_server/accepts-handshake-and-serving-keywords, loop.create_server/accepts-keep-alive-keyword,
        loop.create_server/listens-on-host-and-port, loop.create_server/returns-server,
        loop.create_server/str-host-binds-one-interface, loop.create_server/host-sequence-binds-each,
        loop.create_server/empty-host-binds-all-interfaces, loop.create_server/zero-port-picks-random-port,
        loop.create_server/family-forces-ip-version, loop.create_server/uses-given-socket,
        loop.create_server/rejects-sock-with-address, loop.create_server/passes-backlog-to-listen,
        loop.create_server/starts-serving-at-once, loop.create_server/deferred-until-started.
        """
        options = tls.server_options(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        if sock is not None:
            if host is not None or port is not None:
                raise ValueError("host and port cannot be given together with sock")
            check_stream_socket(sock)
            sockets = [sock]
        else:
            if host is None and port is None:
                raise ValueError("either host and port or sock must be given")
            infos = await self._resolve_hosts(host, port, family, flags)
            sockets = bind_all(infos, reuse_address, reuse_port, keep_alive)
        for listening in sockets:
            listening.setblocking(False)
        server = Server(self, sockets, protocol_factory, options, backlog)
        if start_serving:
            begin_serving(server)
        return server

    async def create_unix_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], Any],
        path: str | bytes | Path | None = None,
        *,
        sock: socket.socket | None = None,
        backlog: int = BACKLOG,
        ssl: ssl_module.SSLContext | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
        cleanup_socket: bool = True,
    ) -> Server:
        """Return a server that listens on the Unix socket `path`, or on the bound `sock`; else like `create_server()`.

        A socket file that is there already is replaced; anything else there is an `OSError`. A path that begins with a
        NUL is the name of an abstract socket. With `cleanup_socket`, closing the server removes the file, unless it was
        replaced meanwhile.

        Keeps: loop.create_unix_server/accepts-documented-parameters,
        loop.create_unix_server/accepts-handshake-and-serving-keywords,
        loop.create_unix_server/accepts-cleanup-socket-keyword, loop.create_unix_server/returns-server,
        loop.create_unix_server/accepts-every-path-form, loop.create_unix_server/requires-path-or-sock,
        loop.create_unix_server/cleanup-removes-socket-file, loop.create_unix_server/cleanup-spares-replaced-file,
        loop.create_unix_server/cleanup-disabled-keeps-file, loop.create_unix_server/unsupported-on-windows,
        loop.create_unix_server/deferred-until-started, loop.create_unix_server/replaces-existing-socket-file.
        """
        refuse_without_unix_sockets()
        options = tls.server_options(ssl, ssl_handshake_timeout, ssl_shutdown_timeout)
        if (path is None) == (sock is None):
            raise ValueError("either path or sock must be given, and not both")
        if path is not None:
            sock = bind_path(os.fspath(path))
        assert sock is not None
        check_unix_stream_socket(sock)
        sock.setblocking(False)
        on_close = None
        file = socket_file(sock)
        if cleanup_socket and file is not None:
            with suppress(OSError):
                on_close = partial(remove_socket_file, file, identity_of(file))
        server = Server(self, [sock], protocol_factory, options, backlog, on_close)
        if start_serving:
            begin_serving(server)
        return server

    async def _resolve_hosts(
        self, host: str | Sequence[str] | None, port: int | str | None, family: int, flags: int
    ) -> list[AddressInfo]:
        """Return the addresses of all hosts, each once, in their order."""
        hosts = [host or None] if host is None or isinstance(host, (str, bytes)) else list(host)
        infos: dict[AddressInfo, None] = {}
        for name in hosts:
            found = await resolve(self, (name, port or 0), family=family, type=socket.SOCK_STREAM, flags=flags)
            infos.update(dict.fromkeys(found))
        return list(infos)


def begin_serving(server: Server) -> None:
    """Let a server that was just made accept; one that cannot is closed."""
    try:
        server._listen()
    except BaseException:
        server.close()
        raise


def bind_all(
    infos: Sequence[AddressInfo], reuse_address: bool | None, reuse_port: bool | None, keep_alive: bool | None
) -> list[socket.socket]:
    """Return a socket bound to each address. `OSError`, with none left behind, when one cannot be.

    An address whose family the system does not have is passed over, as long as any remains.

    Keeps: loop.create_server/reuse-address-sets-option, loop.create_server/reuse-address-defaults-true,
    loop.create_server/reuse-port-shares-port, loop.create_server/rejects-reuse-port-on-windows,
    loop.create_server/keep-alive-sets-option.
    """
    if reuse_address is None:
        # On Windows the option lets another program take the address over.
        reuse_address = os.name == "posix" and sys.platform != "cygwin"
    sockets: list[socket.socket] = []
    try:
        for info in infos:
            try:
                sock = socket.socket(info.family, info.type, info.proto)
            except OSError as error:
                logger.debug("there are no sockets for %r: %s", info, error)
                continue
            sockets.append(sock)
            if reuse_address:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                share_port(sock)
            if keep_alive:
                # Accepted sockets inherit it.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if info.family == socket.AF_INET6:
                # IPv4 has a socket of its own.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                sock.bind(info.address)
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL and len(infos) > 1:
                    logger.debug("the address %r is not this machine's: %s", info.address, error)
                    sockets.pop().close()
                    continue
                raise OSError(error.errno, f"cannot bind to address {info.address!r}: {error.strerror}") from None
        if not sockets:
            raise OSError(errno.EADDRNOTAVAIL, f"cannot bind to any of {[info.address for info in infos]!r}")
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def share_port(sock: socket.socket) -> None:
    """Let other sockets that ask for it as well bind the same port; `ValueError` where that is not to be had."""
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError("reuse_port is not supported on this system")
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        raise ValueError("reuse_port is not supported by this system, although it has a name for it") from None


def bind_path(path: str | bytes) -> socket.socket:
    """Return a Unix stream socket bound to `path`, in place of a socket file that is there."""
    if path[:1] not in (b"\0", "\0"):
        remove_if_socket(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(errno.EADDRINUSE, f"the address {path!r} is in use already") from None
        raise
    except BaseException:
        sock.close()
        raise
    return sock


def remove_if_socket(path: str | bytes) -> None:
    """Remove the file at `path` if it is a socket; let the attempt to bind tell what else is wrong."""
    from pathlib import Path  # only Unix servers need it

    file = Path(os.fsdecode(path))
    try:
        if stat.S_ISSOCK(file.lstat().st_mode):
            file.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.error("the stale socket file %r cannot be removed: %s", path, error)


def socket_file(sock: socket.socket) -> Path | None:
    """Return the file that a Unix socket is bound to, None when there is none (abstract or without a name)."""
    from pathlib import Path  # only Unix servers need it

    address = sock.getsockname()
    if not address or address[:1] in (b"\0", "\0"):
        return None
    return Path(os.fsdecode(address)).absolute()


def identity_of(file: Path) -> tuple[int, int]:
    """Return what tells a file from all others of this moment. Its number is free for another once it is closed."""
    status = file.stat()
    return status.st_dev, status.st_ino


def remove_socket_file(file: Path, identity: tuple[int, int]) -> None:
    """Remove a server's socket file if it is still the one that was made for it, whose socket is still open."""
    try:
        if identity_of(file) == identity:
            file.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.error("the socket file %s cannot be removed: %s", file, error)
