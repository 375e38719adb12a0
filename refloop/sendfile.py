"""Sending files: by the system, from file to socket without a copy in between, or else by reading and writing."""

from __future__ import annotations

import errno
import os
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

from refloop.executors import Executors
from refloop.identity import SendfileNotAvailableError
from refloop.shielding import shield
from refloop.sockcalls import SocketCalls
from refloop.streamtransports import SocketTransport
from refloop.transports import BufferedTransport
from refloop.waiting import wait

if TYPE_CHECKING:
    from typing import BinaryIO

# Bytes read and written at once where the system does not send files.
CHUNK = 256 * 1024

# Bytes asked of the system at once; some count in 32 bits.
MOST_AT_ONCE = 2**30

# What the system says of a file or a socket that it cannot send from or to.
UNABLE = frozenset(
    {
        errno.EINVAL,
        errno.ENOSYS,
        errno.ENOTSOCK,
        errno.EOPNOTSUPP,
        errno.ENOTSUP,
        errno.EOVERFLOW,
        # Of a pipe.
        errno.ESPIPE,
    }
)


class FileSending(SocketCalls, Executors):
    """`sock_sendfile()` and `sendfile()`."""

    async def sock_sendfile(  # type: ignore[override]  # `fallback` may be None, say the stubs
        self, sock: socket.socket, file: BinaryIO, offset: int = 0, count: int | None = None, *, fallback: bool = True
    ) -> int:
        """Send `count` bytes of `file`, by default all, from `offset` on; return how many were sent.

        The file's position is afterwards, whatever happens, behind what was sent. `SendfileNotAvailableError` when
        the system cannot and `fallback` is false. `ValueError` for a file in text mode, a socket that is no stream and,
        in debug mode, one that blocks; `TypeError` for one that does TLS itself.

        Keeps: loop.sock_sendfile/accepts-documented-parameters, loop.sock_sendfile/returns-bytes-sent,
        loop.sock_sendfile/rejects-blocking-or-nonstream-socket, loop.sock_sendfile/requires-regular-binary-file,
        loop.sock_sendfile/honours-offset-count-position, loop.sock_sendfile/fallback-copies-manually.
        """
        self._check_socket(sock)
        if sock.type != socket.SOCK_STREAM:
            raise ValueError(f"a stream socket is needed, not {sock!r}")
        check_file(file, offset, count)
        try:
            return await self._send_by_system(sock, file, offset, count)
        except SendfileNotAvailableError:
            if not fallback:
                raise
        sent = 0
        try:
            while chunk := await self._read_chunk(file, offset + sent, None if count is None else count - sent):
                await self.sock_sendall(sock, chunk)
                sent += len(chunk)
        finally:
            file.seek(offset + sent)
        return sent

    async def sendfile(  # type: ignore[override]
        self, transport: Any, file: BinaryIO, offset: int = 0, count: int | None = None, *, fallback: bool = True
    ) -> int:
        """Send `count` bytes of `file`, by default all, from `offset` on, after what was written before.

        Returns how many bytes were sent. The file's position is afterwards, whatever happens, behind them. While the
        system sends, `transport.write()` raises `RuntimeError`. `SendfileNotAvailableError` when it cannot, as over
        TLS, and `fallback` is false; `RuntimeError` for a transport that is closing or cannot send files at all.

        Keeps: loop.sendfile/accepts-documented-parameters, loop.sendfile/returns-bytes-sent,
        loop.sendfile/uses-os-sendfile, loop.sendfile/requires-regular-binary-file, loop.sendfile/starts-at-offset,
        loop.sendfile/count-limits-bytes, loop.sendfile/updates-file-position, loop.sendfile/fallback-copies-manually,
        loop.sendfile/earlier-writes-go-first.
        """
        if transport.is_closing():
            raise RuntimeError("The transport is closing")
        if not isinstance(transport, BufferedTransport) or not hasattr(transport, "write"):
            raise RuntimeError(f"{transport!r} cannot send files")
        check_file(file, offset, count)
        if isinstance(transport, SocketTransport):
            try:
                return await self._send_over_socket(transport, file, offset, count)
            except SendfileNotAvailableError:
                if not fallback:
                    raise
        elif not fallback:
            raise SendfileNotAvailableError(f"the system cannot send files over {transport!r}")
        return await self._send_by_writing(transport, file, offset, count)

    async def _send_over_socket(
        self, transport: SocketTransport, file: BinaryIO, offset: int, count: int | None
    ) -> int:
        """Let the system send over the socket of a transport, which is kept from writing meanwhile."""
        await transport._flushed()
        transport._hold_writes()
        try:
            return await self._send_by_system(transport._sock, file, offset, count)
        except ConnectionError as error:
            # Any other error is the file's.
            transport._fail(error, "sending a file to the socket failed")
            raise
        finally:
            transport._release_writes()

    async def _send_by_writing(self, transport: Any, file: BinaryIO, offset: int, count: int | None) -> int:
        """Read the file and write it to the transport, no faster than that can send."""
        sent = 0
        try:
            while chunk := await self._read_chunk(file, offset + sent, None if count is None else count - sent):
                if transport.is_closing():
                    raise ConnectionError("The connection was closed before the whole file was sent")
                transport.write(chunk)
                sent += len(chunk)
                await transport._flushed()
        finally:
            file.seek(offset + sent)
        return sent

    async def _send_by_system(self, sock: Any, file: BinaryIO, offset: int, count: int | None) -> int:
        """Send with `os.sendfile()`; `SendfileNotAvailableError`, with nothing sent, when the system cannot."""
        if not hasattr(os, "sendfile"):
            raise SendfileNotAvailableError("the system does not send files")
        try:
            source = file.fileno()
        except (OSError, AttributeError) as error:
            raise SendfileNotAvailableError("the file is not a regular one") from error
        sent = 0
        try:
            while count is None or sent < count:
                wanted = MOST_AT_ONCE if count is None else min(count - sent, MOST_AT_ONCE)
                call = partial(send_part, sock, source, offset + sent, wanted)
                try:
                    done = call()
                except BlockingIOError:
                    done = await self._once_writable(sock, call)
                if not done:
                    break
                sent += done
        except OSError as error:
            if not sent and error.errno in UNABLE:
                # What the system does not send may have no position that could be moved.
                raise SendfileNotAvailableError("the system cannot send this file over this socket") from error
            file.seek(offset + sent)
            raise
        except BaseException:
            file.seek(offset + sent)
            raise
        file.seek(offset + sent)
        return sent

    async def _read_chunk(self, file: BinaryIO, position: int, left: int | None) -> bytes:
        """Read at most `CHUNK` bytes in the default executor, since files block.

        Cancelled meanwhile, it waits for the read to end: that moves the file's position, which the caller sets then.
        """
        wanted = CHUNK if left is None else min(left, CHUNK)

        def read() -> bytes:
            file.seek(position)
            return file.read(wanted)

        if not wanted:
            return b""
        reading = self.run_in_executor(None, read)
        try:
            return await shield(reading)
        finally:
            if not reading.done():
                await wait([reading])


def send_part(sock: socket.socket, source: int, position: int, wanted: int) -> int:
    """Let the system send once, at most `wanted` bytes; return how many it took, 0 at the end of the file.

    The socket is asked for its number each time: it may have been closed, and the number stand for another by now.
    """
    return os.sendfile(sock.fileno(), source, position, wanted)


def check_file(file: Any, offset: Any, count: Any) -> None:
    """Raise `ValueError` for a file in text mode and for amounts below zero, `TypeError` for what is no integer."""
    if "b" not in getattr(file, "mode", "b"):
        raise ValueError("the file must be opened in binary mode")
    if not isinstance(offset, int):
        raise TypeError(f"offset must be an integer, not {offset!r}")
    if offset < 0:
        raise ValueError(f"offset cannot be negative, as {offset!r} is")
    if count is not None:
        if not isinstance(count, int):
            raise TypeError(f"count must be an integer or None, not {count!r}")
        if count <= 0:
            raise ValueError(f"count must be positive, not {count!r}")
