"""Socket calls that are awaited: `sock_recv()` and its siblings.

Each asks the system at once and waits only if the answer is that it would block. Then the descriptor is watched, and
the waiting task asks again: nothing is taken for a task that is cancelled before. The socket stays the caller's.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, TypeVar

from refloop.addresses import is_numeric, resolve
from refloop.handles import CallersWatch
from refloop.sleeping import sleep
from refloop.spawning import TaskMaking
from refloop.watching import DescriptorWatching, descriptor_of, refuse_own_descriptor

if TYPE_CHECKING:
    from collections.abc import Callable

    from refloop.futures import Future

T = TypeVar("T")

# Seconds after which a Unix server whose queue of connections is full is asked again.
FULL_QUEUE_DELAY = 0.01


class SocketCalls(TaskMaking, DescriptorWatching):
    """The loop's `sock_*` methods.

    In debug mode they raise `ValueError` for a socket that blocks; otherwise it would block the loop. `TypeError` for a
    socket that does TLS itself, which waits for more than its descriptor says.
    """

    async def sock_recv(self, sock: socket.socket, nbytes: int) -> bytes:
        """Receive at most `nbytes` bytes; none at the end of the stream.

        Keeps: loop.sock_recv/returns-received-bytes, loop.sock_recv/returns-empty-at-eof,
        loop.sock_recv/rejects-blocking-socket, loop.sock_recv/is-coroutine-function,
        loop.sock_recv/accepts-documented-parameters, loop.sock_recv/other-tasks-run-meanwhile,
        loop.sock_recv/cancelling-frees-socket.
        """
        if type(sock) is not socket.socket or self.get_debug():
            self._check_socket(sock)
        try:
            return sock.recv(nbytes)
        except BlockingIOError:
            return await self._once_readable(sock, sock.recv, nbytes)

    async def sock_recv_into(self, sock: socket.socket, buf: Any) -> int:
        """Receive into `buf`; return how many bytes.

        Keeps: loop.sock_recv_into/returns-byte-count, loop.sock_recv_into/rejects-blocking-socket,
        loop.sock_recv_into/accepts-documented-parameters.
        """
        if type(sock) is not socket.socket or self.get_debug():
            self._check_socket(sock)
        try:
            return sock.recv_into(buf)
        except BlockingIOError:
            return await self._once_readable(sock, sock.recv_into, buf)

    async def sock_recvfrom(self, sock: socket.socket, bufsize: int) -> tuple[bytes, Any]:
        """Receive one datagram of at most `bufsize` bytes; return it and its sender's address.

        Keeps: loop.sock_recvfrom/returns-data-and-address, loop.sock_recvfrom/address-is-sender,
        loop.sock_recvfrom/rejects-blocking-socket, loop.sock_recvfrom/accepts-documented-parameters.
        """
        if type(sock) is not socket.socket or self.get_debug():
            self._check_socket(sock)
        try:
            return sock.recvfrom(bufsize)
        except BlockingIOError:
            return await self._once_readable(sock, sock.recvfrom, bufsize)

    async def sock_recvfrom_into(self, sock: socket.socket, buf: Any, nbytes: int = 0) -> tuple[int, Any]:
        """Receive one datagram of at most `nbytes` bytes into `buf`; return its length and its sender's address.

        `nbytes` 0 stands for the length of `buf`.

        Keeps: loop.sock_recvfrom_into/returns-count-and-address,
        loop.sock_recvfrom_into/zero-nbytes-uses-buffer-length, loop.sock_recvfrom_into/rejects-blocking-socket,
        loop.sock_recvfrom_into/accepts-documented-parameters.
        """
        if type(sock) is not socket.socket or self.get_debug():
            self._check_socket(sock)
        if not nbytes:
            with memoryview(buf) as view:
                nbytes = view.nbytes
        try:
            return sock.recvfrom_into(buf, nbytes)
        except BlockingIOError:
            return await self._once_readable(sock, sock.recvfrom_into, buf, nbytes)

    async def sock_sendto(self, sock: socket.socket, data: Any, address: Any) -> int:
        """Send one datagram to `address`; return how many bytes.

        Keeps: loop.sock_sendto/returns-bytes-sent, loop.sock_sendto/rejects-blocking-socket,
        loop.sock_sendto/accepts-documented-parameters.
        """
        if type(sock) is not socket.socket or self.get_debug():
            self._check_socket(sock)
        try:
            return sock.sendto(data, address)
        except BlockingIOError:
            return await self._once_writable(sock, sock.sendto, data, address)

    async def sock_sendall(self, sock: socket.socket, data: Any) -> None:
        """Send all of `data`. After an error it is unknown how much was sent.

        Keeps: loop.sock_sendall/sends-everything, loop.sock_sendall/sends-beyond-socket-buffer,
        loop.sock_sendall/rejects-blocking-or-unconnected-socket, loop.sock_sendall/is-coroutine-function,
        loop.sock_sendall/accepts-documented-parameters.
        """
        if type(sock) is not socket.socket or self.get_debug():
            self._check_socket(sock)
        try:
            sent = sock.send(data)
        except BlockingIOError:
            sent = 0
        if type(data) is bytes and sent == len(data):
            return
        with memoryview(data) as whole, whole.cast("B") as view:
            while sent < len(view):
                with view[sent:] as rest:
                    sent += await self._once_writable(sock, sock.send, rest)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect to `address`. A host that is not in digits is resolved with `getaddrinfo()` first.

        Keeps: loop.sock_connect/connects-to-address, loop.sock_connect/resolves-unresolved-names,
        loop.sock_connect/rejects-blocking-socket, loop.sock_connect/accepts-unix-path,
        loop.sock_connect/accepts-documented-parameters.
        """
        if type(sock) is not socket.socket or self.get_debug():
            self._check_socket(sock)
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not is_numeric(sock.family, address[0]):
            found = await resolve(self, address, family=sock.family, type=sock.type, proto=sock.proto)
            address = found[0].address
        await self._connect(sock, address)

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        """Accept a connection; return a non-blocking socket for it and the peer's address.

        Keeps: loop.sock_accept/returns-connection-and-address, loop.sock_accept/connection-sends-and-receives,
        loop.sock_accept/rejects-blocking-or-nonlistening-socket, loop.sock_accept/is-coroutine-function,
        loop.sock_accept/accepts-documented-parameters.
        """
        if type(sock) is not socket.socket or self.get_debug():
            self._check_socket(sock)
        try:
            connection, address = sock.accept()
        except BlockingIOError:
            connection, address = await self._once_readable(sock, sock.accept)
        connection.setblocking(False)
        return connection, address

    async def _connect(self, sock: socket.socket, address: Any) -> None:
        """Connect to an address that needs no resolving."""
        while True:
            try:
                sock.connect(address)
            except BlockingIOError:
                if sock.family == getattr(socket, "AF_UNIX", None):
                    # The server's queue is full: nothing goes on in the system, and nothing there tells of room.
                    await sleep(FULL_QUEUE_DELAY)
                    continue
                await self._once_writable(sock, check_connected, sock, address)
            return

    async def _once_readable(self, sock: socket.socket, call: Callable[..., T], *args: Any) -> T:
        """Return `call(*args)`, made as soon as `sock` can be read and tried again while it would block.

        Keeps: loop.sock_recv/cancelling-frees-socket.
        """
        fd = descriptor_of(sock)
        while True:
            refuse_own_descriptor(fd, self._readers)
            ready = Readiness(self)
            self._watch_reader(fd, ready)
            try:
                await ready.future
            finally:
                # Unless somebody else watches it by now.
                if self._readers.get(fd) is ready:
                    self._unwatch_reader(fd)
            try:
                return call(*args)
            except BlockingIOError:
                continue

    async def _once_writable(self, sock: socket.socket, call: Callable[..., T], *args: Any) -> T:
        """Return `call(*args)`, made as soon as `sock` can be written and tried again while it would block."""
        fd = descriptor_of(sock)
        while True:
            refuse_own_descriptor(fd, self._writers)
            ready = Readiness(self)
            self._watch_writer(fd, ready)
            try:
                await ready.future
            finally:
                if self._writers.get(fd) is ready:
                    self._unwatch_writer(fd)
            try:
                return call(*args)
            except BlockingIOError:
                continue

    def _check_socket(self, sock: Any) -> None:
        """Raise `TypeError` for a socket that does TLS itself and, in debug mode, `ValueError` for one that blocks."""
        if hasattr(sock, "do_handshake"):
            raise TypeError(f"a plain socket is needed, not {sock!r}")
        if self.get_debug() and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")


class Readiness(CallersWatch):
    """The loop's entry for a socket call that would have blocked: its future is done when the descriptor is ready."""

    __slots__ = ("future",)

    def __init__(self, loop: TaskMaking) -> None:
        self.future: Future[None] = loop.create_future()

    def _run(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def cancel(self) -> None:
        """Give up: somebody else watches the descriptor now, or nobody does."""
        if not self.future.done():
            self.future.set_exception(ConnectionAbortedError("Another call or the socket's end has ended this wait"))


def check_connected(sock: socket.socket, address: Any) -> None:
    """Raise the `OSError` that connecting `sock` ended with; `BlockingIOError` while it goes on."""
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, f"Connect call failed {address}")
