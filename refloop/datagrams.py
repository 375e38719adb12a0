"""Datagrams: the transport over UDP and Unix datagram sockets, and the making of its endpoints."""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from refloop.addresses import AddressInfo, resolve
from refloop.identity import DatagramTransport
from refloop.listening import remove_if_socket, share_port
from refloop.sockcalls import SocketCalls
from refloop.transports import BufferedTransport, as_bytes
from refloop.transportsockets import socket_info

if TYPE_CHECKING:
    from collections.abc import Callable

# An address that says the family, and the local and remote address of that family, if there are.
Choice: TypeAlias = "tuple[AddressInfo, AddressInfo | None, AddressInfo | None]"

# The largest datagram there is has fewer bytes. To ask for more costs three system calls for the memory each time.
LARGEST_DATAGRAM = 64 * 1024

# What a buffered datagram counts for beside its bytes, so that empty ones fill the buffer too. About an UDP header.
HEADER_SIZE = 8

UNIX = getattr(socket, "AF_UNIX", None)


class DatagramSocketTransport(BufferedTransport, DatagramTransport):
    """A datagram socket, which the transport owns from now on.

    `sock`: non-blocking. `remote`: where datagrams without an address go, if the endpoint was made with one.
    `connected`: whether the system knows that address as well.

    Keeps: DatagramTransport/returned-by-create-datagram-endpoint,
    loop.create_datagram_endpoint/transport-is-datagram-transport,
    loop.create_datagram_endpoint/transport-owns-given-socket.
    """

    __slots__ = ("_buffer", "_connected", "_fd", "_remote", "_sock")

    def __init__(
        self, loop: Any, sock: socket.socket, protocol: Any, remote: Any = None, connected: bool = True
    ) -> None:
        self._sock: socket.socket | None = sock
        self._fd = sock.fileno()
        self._remote = remote
        self._buffer: deque[tuple[bytes, Any]] | None = None
        self._connected = connected
        super().__init__(loop, protocol)

    def _start(self) -> None:
        """Tell the protocol and begin to receive."""
        self._loop._watch_reader(self._fd, self)
        self._begin()

    def _find_out(self, name: str) -> Any:
        return None if self._sock is None else socket_info(self._sock, name)

    def _run(self) -> None:
        """Receive one datagram and hand it over; the loop calls this in each turn that finds one.

        Keeps: DatagramProtocol.datagram_received/receives-data-and-sender,
        DatagramProtocol.datagram_received/keeps-datagram-boundaries,
        DatagramProtocol.datagram_received/address-format-per-family, DatagramTransport.abort/stops-receiving.
        """
        if self._closing:
            return
        try:
            data, address = self._sock.recvfrom(LARGEST_DATAGRAM)  # type: ignore[union-attr]  # open until it closes
        except BlockingIOError:
            return
        except OSError as error:
            self._receive_error(error)
            return
        try:
            self._context.run(self._protocol.datagram_received, data, address)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._fail(error, "protocol.datagram_received() failed")

    def cancel(self) -> None:
        """Do nothing: whether it receives is known to the transport, which is asked before it does."""

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """Send `data` as one datagram to `addr`, by default to the remote address. Never blocks.

        What the system cannot take now is buffered. An `OSError` goes to the protocol's `error_received()`.
        `ValueError` for another address than the one that the endpoint is connected to.

        Keeps: DatagramTransport.sendto/accepts-data-and-addr, DatagramTransport.sendto/sends-to-given-address,
        DatagramTransport.sendto/none-address-uses-remote, DatagramTransport.sendto/never-blocks,
        DatagramTransport.sendto/sends-empty-datagram, DatagramTransport.sendto/counts-header-in-buffer.
        """
        if type(data) is not bytes:
            data = as_bytes(data)
        if self._remote is not None:
            if addr is not None and addr != self._remote:
                raise ValueError(f"the endpoint is connected to {self._remote!r} and cannot send to {addr!r}")
            addr = None if self._connected else self._remote
        if self._closing:
            self._count_late_write()
            return
        if self._buffer is None:
            try:
                self._send(data, addr)
            except BlockingIOError:
                self._buffer = deque()
                self._loop._watch_writer(self._fd, FlushDatagrams(self))
            except OSError as error:
                self._receive_error(error)
                return
            else:
                return
        self._buffer.append((bytes(data), addr))
        self._size += len(data) + HEADER_SIZE
        self._grown()

    def _send(self, data: bytes | bytearray | memoryview, addr: Any) -> None:
        sock: Any = self._sock
        if addr is None:
            sock.send(data)
        else:
            sock.sendto(data, addr)

    def _receive_error(self, error: OSError) -> None:
        """Tell the protocol that sending or receiving failed; the endpoint goes on.

        Keeps: DatagramProtocol.error_received/receives-oserror.
        """
        self._call("error_received", self._error_received, error)

    def _error_received(self, error: OSError) -> None:
        self._protocol.error_received(error)

    def _flush(self) -> None:
        """Send of the buffer what the system takes; the loop calls this when the socket can be written."""
        while self._buffer:
            data, addr = self._buffer[0]
            try:
                self._send(data, addr)
            except BlockingIOError:
                break
            except OSError as error:
                self._receive_error(error)
                if not self._buffer:
                    return
            self._buffer.popleft()
            self._size -= len(data) + HEADER_SIZE
        if not self._buffer and self._buffer is not None:
            self._buffer = None
            self._loop._unwatch_writer(self._fd)
        self._shrunk()
        if self._closing and self._buffer is None:
            self._end_soon(None)

    def close(self) -> None:
        """Stop receiving, send what is buffered, then close and call `connection_lost(None)`.

        Keeps: BaseTransport.close/flushes-buffer-first, BaseTransport.close/safe-to-repeat.
        """
        if self._closing:
            return
        self._closing = True
        self._loop._unwatch_reader(self._fd)
        if self._buffer is None:
            self._end_soon(None)

    def abort(self) -> None:
        """Close at once: buffered datagrams are lost, and the protocol's `connection_lost(None)` follows.

        Keeps: DatagramTransport.abort/discards-buffered-datagrams,
        DatagramTransport.abort/calls-connection-lost-eventually.
        """
        self._cut(None)

    def _stop_watching(self) -> None:
        self._loop._unwatch_reader(self._fd)
        if self._buffer is not None:
            self._buffer = None
            self._size = 0
            self._loop._unwatch_writer(self._fd)

    def _release(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def _is_open(self) -> bool:
        return self._sock is not None

    def _describe(self) -> list[str]:
        return [f"fd={self._fd}"] + ([f"buffered={self._size}"] if self._size else [])


class FlushDatagrams:
    """The loop's entry for a datagram socket that is waited for to become writable."""

    __slots__ = ("_transport",)

    def __init__(self, transport: DatagramSocketTransport) -> None:
        self._transport: DatagramSocketTransport | None = transport

    def _run(self) -> None:
        if self._transport is not None:
            self._transport._flush()

    def cancel(self) -> None:
        """Never flush again."""
        self._transport = None


class DatagramEndpoints(SocketCalls):
    """`create_datagram_endpoint()`."""

    async def create_datagram_endpoint(  # type: ignore[override]  # `reuse_address` is gone since 3.11
        self,
        protocol_factory: Callable[[], Any],
        local_addr: tuple[str, int] | str | bytes | None = None,
        remote_addr: tuple[str, int] | str | bytes | None = None,
        *,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        reuse_port: bool | None = None,
        allow_broadcast: bool | None = None,
        sock: socket.socket | None = None,
    ) -> tuple[DatagramTransport, Any]:
        """Make a datagram endpoint, bound to `local_addr` and connected to `remote_addr`; return transport, protocol.

        Addresses are `(host, port)`, resolved with `getaddrinfo()`, or paths for Unix sockets. With neither, `family`
        says what to make. With `sock`, that socket is used as it is. `ValueError` for arguments that contradict one
        another; `OSError` when the system refuses.

        Keeps: loop.create_datagram_endpoint/accepts-documented-parameters,
        loop.create_datagram_endpoint/creates-datagram-socket,
        loop.create_datagram_endpoint/returns-transport-protocol-pair,
        loop.create_datagram_endpoint/connects-remote-address,
        loop.create_datagram_endpoint/rejects-unavailable-reuse-port,
        loop.create_datagram_endpoint/uses-given-socket, loop.create_datagram_endpoint/rejects-sock-with-address,
        loop.create_datagram_endpoint/rejects-reuse-address-keyword,
        loop.create_datagram_endpoint/calls-factory-and-connection-made,
        loop.create_datagram_endpoint/family-alone-suffices,
        loop.create_datagram_endpoint/connected-endpoint-needs-no-address.
        """
        if sock is not None:
            given = {
                "local_addr": local_addr,
                "remote_addr": remote_addr,
                "family": family,
                "proto": proto,
                "flags": flags,
                "reuse_port": reuse_port,
                "allow_broadcast": allow_broadcast,
            }
            extra = [name for name, value in given.items() if value]
            if extra:
                raise ValueError(f"{', '.join(extra)} cannot be given together with sock")
            if sock.type == socket.SOCK_STREAM:
                raise ValueError(f"a datagram socket is needed, not {sock!r}")
            sock.setblocking(False)
            remote = None
        else:
            choices = await self._resolve_pair(local_addr, remote_addr, family, proto, flags)
            sock, remote = await self._make_endpoint(choices, reuse_port, allow_broadcast)
        connected = not (remote is not None and allow_broadcast)
        try:
            self._check_closed()
            protocol = protocol_factory()
        except BaseException:
            sock.close()
            raise
        transport = DatagramSocketTransport(self, sock, protocol, remote, connected)
        transport._start()
        return transport, protocol

    async def _resolve_pair(self, local: Any, remote: Any, family: int, proto: int, flags: int) -> list[Choice]:
        """Return the pairs of local and remote address that belong together, in the order in which to try them.

        Keeps: loop.create_datagram_endpoint/rejects-missing-address-and-family,
        loop.create_datagram_endpoint/supports-unix-datagrams.
        """
        paths = [isinstance(address, (str, bytes, os.PathLike)) for address in (local, remote) if address is not None]
        if not paths:
            if not family:
                raise ValueError("an address or a family must be given")
            return [(AddressInfo(family, socket.SOCK_DGRAM, proto, "", None), None, None)]
        if (UNIX is not None and family == UNIX) or any(paths):
            if not all(paths) or UNIX is None or family not in (0, UNIX):
                raise ValueError("the addresses must be paths for Unix sockets, and (host, port) for all others")
            local, remote = (
                None if path is None else AddressInfo(UNIX, socket.SOCK_DGRAM, proto, "", os.fspath(path))
                for path in (local, remote)
            )
            return [(local or remote, local, remote)]
        answers: list[list[AddressInfo]] = []
        for address in (local, remote):
            if address is None:
                answers.append([])
                continue
            if not (isinstance(address, tuple) and len(address) >= 2):
                raise TypeError(f"an address must be a tuple (host, port), not {address!r}")
            answers.append(
                await resolve(self, address, family=family, type=socket.SOCK_DGRAM, proto=proto, flags=flags)
            )
        locals_, remotes = answers
        if local is None:
            return [(info, None, info) for info in remotes]
        if remote is None:
            return [(info, info, None) for info in locals_]
        pairs: list[Choice] = [
            (ours, ours, theirs)
            for ours in locals_
            for theirs in remotes
            if (ours.family, ours.proto) == (theirs.family, theirs.proto)
        ]
        if not pairs:
            raise ValueError(f"{local!r} and {remote!r} have no address family in common")
        return pairs

    async def _make_endpoint(
        self,
        choices: list[Choice],
        reuse_port: bool | None,
        allow_broadcast: bool | None,
    ) -> tuple[socket.socket, Any]:
        """Return a socket for the first of the choices that works, and the address that it is connected to.

        Keeps: loop.create_datagram_endpoint/binds-local-address, loop.create_datagram_endpoint/reuse-port-shares-port,
        loop.create_datagram_endpoint/allow-broadcast-permits-broadcast.
        """
        failure: OSError | None = None
        for info, local, remote in choices:
            sock = None
            try:
                sock = socket.socket(info.family, socket.SOCK_DGRAM, info.proto)
                sock.setblocking(False)
                if reuse_port:
                    share_port(sock)
                if allow_broadcast:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                if local is not None:
                    if info.family == UNIX and local.address[:1] not in (b"\0", "\0"):
                        remove_if_socket(local.address)
                    sock.bind(local.address)
                if remote is None:
                    return sock, None
                # One that only broadcasts is not connected to an address: it must hear whoever answers.
                if not allow_broadcast:
                    await self._connect(sock, remote.address)
                return sock, remote.address
            except OSError as error:
                if sock is not None:
                    sock.close()
                failure = failure or error
            except BaseException:
                if sock is not None:
                    sock.close()
                raise
        assert failure is not None
        try:
            raise failure
        finally:
            failure = None
