"""Stream transports over sockets: the life of a byte, in and out.

In: the transport is itself the loop's entry for its descriptor. In a turn that finds the socket readable, `_run()`
receives once and calls the protocol: no handle, no future, no task.

Out: `write()` asks the system first. What the system does not take is kept in `_buffer`, and the loop is asked to say
when the socket can be written again; `close()` and `write_eof()` take effect when the buffer is empty.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from refloop.identity import BufferedProtocol, Transport
from refloop.transports import BufferedTransport, as_bytes, remainder
from refloop.transportsockets import socket_info

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refloop.servers import Server

# Bytes asked for at once. Half of it costs a large message a second turn; a small one pays for memory that goes back at
# once, which was measured to be nothing beside that.
READ_SIZE = 256 * 1024

# Pieces handed over in one `sendmsg()`; systems allow 1024 or more, and this many fill any socket buffer.
PIECES_AT_ONCE = 256

# Windows has no such call.
GATHERS = hasattr(socket.socket, "sendmsg")

# Why `write()` refuses.
ENDED = "The transport is closed"
AFTER_EOF = "Cannot write after write_eof()"
HELD = "Cannot write while a file is being sent"

# What a peer that goes away leaves behind when the write end is to be shut.
GONE = frozenset({errno.ENOTCONN, errno.EPIPE, errno.ECONNRESET, errno.EINVAL})


class SocketTransport(BufferedTransport, Transport):
    """A stream connection over a TCP or Unix socket, which the transport owns from now on.

    `sock`: connected and non-blocking. `server`: the one that accepted it, if any. `peername`: the other end's address
    if known already. It reads only from `_start()` on.

    Keeps: Transport/subclasses-read-and-write-transport, Transport/returned-by-connection-methods,
    loop.create_connection/transport-is-bidirectional, loop.create_connection/transport-owns-given-socket,
    transports-general/methods-depend-on-kind.
    """

    __slots__ = (
        "_buffer",
        "_eof_received",
        "_eof_written",
        "_fd",
        "_fills_buffers",
        "_held",
        "_paused",
        "_peername",
        "_refusal",
        "_server",
        "_sock",
    )

    def __init__(
        self, loop: Any, sock: socket.socket, protocol: Any, server: Server | None = None, peername: Any = None
    ) -> None:
        self._sock: socket.socket | None = sock
        self._fd = sock.fileno()
        self._server = server
        self._peername = peername
        self._paused = False
        self._eof_received = False
        self._eof_written = False
        # Whether `loop.sendfile()` uses the socket, so that its end has to wait.
        self._held = False
        # Why `write()` cannot do as usual; None nearly always, so that it has one thing to ask.
        self._refusal: str | None = None
        self._buffer: deque[bytes | memoryview] | None = None
        super().__init__(loop, protocol)
        if server is not None:
            server._attach(self)

    def _start(self) -> None:
        """Tell the protocol and begin to read."""
        try:
            self._loop._watch_reader(self._fd, self)
        except BaseException:
            self._release()
            raise
        self._begin()

    def set_protocol(self, protocol: Any) -> None:
        """Let `protocol` receive all further callbacks; it may be a `Protocol` or a `BufferedProtocol`.

        Keeps: BufferedProtocol/usable-as-streaming-protocol.
        """
        self._protocol = protocol
        self._fills_buffers = isinstance(protocol, BufferedProtocol)

    def _find_out(self, name: str) -> Any:
        if name == "peername" and self._peername is not None:
            return self._peername
        return None if self._sock is None else socket_info(self._sock, name)

    # In

    def is_reading(self) -> bool:
        """Return whether data that arrives goes to the protocol.

        Keeps: ReadTransport.is_reading/returns-true-while-reading.
        """
        return not (self._paused or self._closing or self._eof_received)

    def pause_reading(self) -> None:
        """Stop giving data to the protocol until `resume_reading()`; it waits in the system's buffer.

        Keeps: ReadTransport.pause_reading/stops-data-received, ReadTransport.pause_reading/idempotent-when-paused,
        ReadTransport.pause_reading/loses-no-data.
        """
        if not (self._paused or self._closing):
            self._paused = True
            self._loop._unwatch_reader(self._fd)

    def resume_reading(self) -> None:
        """Give data to the protocol again.

        Keeps: ReadTransport.resume_reading/restarts-data-received,
        ReadTransport.resume_reading/idempotent-while-reading.
        """
        if self._paused and not self._closing:
            self._paused = False
            if not self._eof_received:
                self._loop._watch_reader(self._fd, self)

    def _run(self) -> None:
        """Receive once and hand over; the loop calls this in each turn that finds the socket readable.

        Keeps: Protocol.data_received/receives-non-empty-bytes, Protocol.data_received/fifo-order,
        BaseTransport.close/stops-receiving.
        """
        if self._paused or self._closing:
            return
        if self._fills_buffers:
            self._call("get_buffer() or buffer_updated", self._fill_buffer)
            return
        try:
            data = self._sock.recv(READ_SIZE)  # type: ignore[union-attr]  # open until it closes
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error, "receiving from the socket failed")
            return
        if not data:
            self._call("eof_received", self._receive_eof)
            return
        try:
            self._context.run(self._protocol.data_received, data)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._fail(error, "protocol.data_received() failed")

    def cancel(self) -> None:
        """Do nothing: whether it reads is known to the transport, which is asked before it does."""

    def _fill_buffer(self) -> None:
        """Receive once into a buffer of the protocol's.

        Keeps: BufferedProtocol.get_buffer/called-before-each-receive, BufferedProtocol.get_buffer/rejects-empty-buffer,
        BufferedProtocol.get_buffer/requires-buffer-protocol, BufferedProtocol.get_buffer/accepts-any-buffer-size,
        BufferedProtocol.buffer_updated/receives-byte-count, BufferedProtocol.buffer_updated/follows-get-buffer.
        """
        protocol = self._protocol
        buffer = protocol.get_buffer(-1)
        if self._paused or self._closing:
            return
        if not len(buffer):
            raise RuntimeError("get_buffer() returned a buffer without room")
        try:
            received = self._sock.recv_into(buffer)  # type: ignore[union-attr]  # open until it closes
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error, "receiving from the socket failed")
            return
        if received:
            protocol.buffer_updated(received)
        else:
            self._receive_eof()

    def _receive_eof(self) -> None:
        """Tell the protocol, once, that the peer sends no more, and close unless it wants to go on writing.

        Keeps: Protocol.eof_received/once-only-at-peer-eof, Protocol.eof_received/false-result-closes-transport,
        Protocol.eof_received/true-result-keeps-transport-open, Protocol.data_received/never-after-eof,
        BufferedProtocol.eof_received/once-only-and-last, Protocol.eof_received/follows-state-machine.
        """
        self._eof_received = True
        self._loop._unwatch_reader(self._fd)
        if not self._protocol.eof_received():
            self.close()

    # Out

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`, now as far as the system takes it and the rest when it can. Never blocks.

        After the end it is dropped. `TypeError` for what is not bytes-like; `RuntimeError` after `write_eof()`.

        Keeps: WriteTransport.write/never-blocks, WriteTransport.write/fifo-order, WriteTransport.write/accepts-bytes,
        BaseTransport.close/not-usable-afterwards.
        """
        if type(data) is not bytes:
            data = as_bytes(data)
        if self._refusal is not None:
            self._refuse_write()
            return
        if self._buffer is not None:
            if data:
                self._buffer.append(remainder(data, 0))
                self._size += len(data)
                self._grown()
            return
        try:
            sent = self._sock.send(data) if data else 0  # type: ignore[union-attr]  # open until it closes
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._refusal = ENDED
            self._fail(error, "sending to the socket failed")
            return
        unsent = len(data) - sent
        if unsent:
            self._buffer = deque((remainder(data, sent),))
            self._size = unsent
            self._loop._watch_writer(self._fd, Flush(self))
            self._grown()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write the pieces, in their order, as if each were given to `write()`.

        Keeps: WriteTransport.writelines/accepts-any-iterable, WriteTransport.writelines/fifo-order.
        """
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return True: sockets can be half-closed.

        Keeps: WriteTransport.can_write_eof/returns-true-when-supported.
        """
        return True

    def write_eof(self) -> None:
        """Close the write end when everything is sent; what the peer sends is still received.

        Keeps: WriteTransport.write_eof/closes-write-end-after-flush, WriteTransport.write_eof/keeps-receiving,
        WriteTransport.write_eof/peer-sees-data-then-eof.
        """
        if self._closing or self._eof_written:
            return
        self._eof_written = True
        self._refusal = AFTER_EOF
        if self._buffer is None and not self._held:
            self._shut_write_end()

    def close(self) -> None:
        """Stop reading, send what is buffered, then close and call `connection_lost(None)`.

        Keeps: BaseTransport.close/flushes-buffer-first, BaseTransport.close/stops-receiving,
        BaseTransport.close/calls-connection-lost-after-flush, BaseTransport.close/safe-to-repeat.
        """
        if self._closing:
            return
        self._closing = True
        self._refusal = ENDED
        self._loop._unwatch_reader(self._fd)
        if self._buffer is None and not self._held:
            self._end_soon(None)

    def _refuse_write(self) -> None:
        if self._closing:
            self._count_late_write()
        else:
            raise RuntimeError(self._refusal)

    def _hold_writes(self) -> None:
        """Let `write()` raise: something else sends over the socket, and what is written now would come between."""
        if self._refusal is not None:
            raise RuntimeError(self._refusal)
        self._held = True
        self._refusal = HELD

    def _release_writes(self) -> None:
        """Undo `_hold_writes()`, and do what has waited for it."""
        self._held = False
        if self._ended:
            return
        self._refusal = ENDED if self._closing else AFTER_EOF if self._eof_written else None
        if self._closing:
            self._end_soon(None)
        elif self._eof_written:
            self._shut_write_end()

    def _flush(self) -> None:
        """Send of the buffer what the system takes; the loop calls this when the socket can be written."""
        buffer = self._buffer
        if buffer is None:
            return
        sock: Any = self._sock
        try:
            if len(buffer) == 1 or not GATHERS:
                sent = sock.send(buffer[0])
            else:
                sent = sock.sendmsg(islice(buffer, PIECES_AT_ONCE))
        except BlockingIOError:
            return
        except OSError as error:
            self._refusal = ENDED
            self._fail(error, "sending to the socket failed")
            return
        self._size -= sent
        if self._size:
            drop_sent(buffer, sent)
            self._shrunk()
            return
        self._buffer = None
        self._loop._unwatch_writer(self._fd)
        # The protocol may write again at once, and then the end is put off once more.
        self._shrunk()
        if self._buffer is None:
            if self._closing:
                self._end_soon(None)
            elif self._eof_written:
                self._shut_write_end()

    def _shut_write_end(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)  # type: ignore[union-attr]  # open until it closes
        except OSError as error:
            if error.errno not in GONE:
                self._fail(error, "closing the write end of the socket failed")

    # The end

    def _stop_watching(self) -> None:
        self._refusal = ENDED
        self._loop._unwatch_reader(self._fd)
        self._buffer = None
        self._size = 0
        # Also what `loop.sendfile()` waits for.
        self._loop._unwatch_writer(self._fd)

    def _release(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            if self._held:
                # `loop.sendfile()` may have begun to wait after the end: it would never hear of it.
                self._loop._unwatch_writer(self._fd)
            sock.close()
            if self._server is not None:
                self._server._detach(self)
                self._server = None

    def _is_open(self) -> bool:
        return self._sock is not None

    def _describe(self) -> list[str]:
        words = [f"fd={self._fd}"]
        if self._paused:
            words.append("paused")
        if self._size:
            words.append(f"buffered={self._size}")
        return words


class Flush:
    """The loop's entry for a socket that is waited for to become writable."""

    __slots__ = ("_transport",)

    def __init__(self, transport: SocketTransport) -> None:
        self._transport: SocketTransport | None = transport

    def _run(self) -> None:
        transport = self._transport
        if transport is not None:
            # The protocol may be told to resume.
            transport._context.run(transport._flush)

    def cancel(self) -> None:
        """Never flush again."""
        self._transport = None


def drop_sent(buffer: deque[bytes | memoryview], sent: int) -> None:
    """Take the first `sent` bytes out of `buffer`, which has more than that."""
    while sent >= len(buffer[0]):
        sent -= len(buffer.popleft())
    if sent:
        first = buffer[0]
        buffer[0] = first[sent:] if isinstance(first, memoryview) else memoryview(first)[sent:]
