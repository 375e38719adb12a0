"""Pipes: transports over one end of a pipe, a FIFO, a socket or a terminal, each for one direction."""

from __future__ import annotations

import os
import select
import socket
import stat
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from refloop.identity import ReadTransport, WriteTransport
from refloop.transports import BufferedTransport, LoopTransport, as_bytes, remainder
from refloop.watching import DescriptorWatching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Bytes asked for at once: what a pipe holds, unless it was enlarged.
READ_SIZE = 64 * 1024


class ReadPipeTransport(LoopTransport, ReadTransport):
    """The end of a pipe from which is read, which the transport owns from now on.

    Keeps: ReadTransport/returned-by-connect-read-pipe, BaseTransport.get_extra_info/offers-pipe-key.
    """

    __slots__ = ("_eof_received", "_fd", "_paused", "_pipe")

    def __init__(self, loop: Any, pipe: Any, protocol: Any) -> None:
        self._fd: int = pipe.fileno()
        check_pipe(self._fd)
        os.set_blocking(self._fd, False)
        self._pipe = pipe
        self._paused = False
        self._eof_received = False
        super().__init__(loop, protocol)

    def _start(self) -> None:
        """Begin to read, and tell the protocol. What cannot be watched stays its owner's."""
        try:
            self._loop._watch_reader(self._fd, self)
        except BaseException:
            self._pipe = None
            raise
        self._begin()

    def _find_out(self, name: str) -> Any:
        return self._pipe if name == "pipe" else None

    def is_reading(self) -> bool:
        """Return whether data that arrives goes to the protocol."""
        return not (self._paused or self._closing)

    def pause_reading(self) -> None:
        """Stop giving data to the protocol until `resume_reading()`; it waits in the pipe."""
        if not (self._paused or self._closing):
            self._paused = True
            self._loop._unwatch_reader(self._fd)

    def resume_reading(self) -> None:
        """Give data to the protocol again."""
        if self._paused and not self._closing:
            self._paused = False
            self._loop._watch_reader(self._fd, self)

    def _run(self) -> None:
        """Read once and hand over; the loop calls this in each turn that finds the pipe readable."""
        if self._paused or self._closing:
            return
        try:
            data = os.read(self._fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            if is_hangup(error):
                data = b""
            else:
                self._fail(error, "reading from the pipe failed")
                return
        if data:
            self._call("data_received", self._protocol.data_received, data)
            return
        # Nothing more can happen to it: the protocol's answer makes no difference here.
        self._call("eof_received", self._protocol.eof_received)
        self.close()

    def cancel(self) -> None:
        """Do nothing: whether it reads is known to the transport, which is asked before it does."""

    def close(self) -> None:
        """Stop reading and close; `connection_lost(None)` follows."""
        self._cut(None)

    def _stop_watching(self) -> None:
        self._loop._unwatch_reader(self._fd)

    def _release(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()

    def _is_open(self) -> bool:
        return self._pipe is not None

    def _describe(self) -> list[str]:
        return [f"fd={self._fd}"] + (["paused"] if self._paused else [])


class WritePipeTransport(BufferedTransport, WriteTransport):
    """The end of a pipe to which is written, which the transport owns from now on.

    It ends when the reader goes away, even while there is nothing to write.

    Keeps: WriteTransport/returned-by-connect-write-pipe, BaseTransport.get_extra_info/offers-pipe-key,
    loop.connect_write_pipe/works-with-base-protocol.
    """

    __slots__ = ("_buffer", "_fd", "_is_socket", "_pipe")

    def __init__(self, loop: Any, pipe: Any, protocol: Any) -> None:
        self._fd: int = pipe.fileno()
        mode = check_pipe(self._fd)
        os.set_blocking(self._fd, False)
        self._is_socket = stat.S_ISSOCK(mode)
        self._pipe = pipe
        self._buffer: deque[bytes | memoryview] | None = None
        super().__init__(loop, protocol)

    def _start(self) -> None:
        """Watch for the reader to go away, and tell the protocol. What cannot be watched stays its owner's.

        The write end of a pipe becomes "readable" when nobody can read from it any more. A terminal would have
        something to read, which is not ours.
        """
        try:
            if self._is_socket or (stat.S_ISFIFO(os.fstat(self._fd).st_mode) and not sys.platform.startswith("aix")):
                self._loop._watch_reader(self._fd, self)
        except BaseException:
            self._pipe = None
            raise
        self._begin()

    def _find_out(self, name: str) -> Any:
        return self._pipe if name == "pipe" else None

    def _run(self) -> None:
        """Find out what has made the write end readable: usually that nobody reads any more."""
        if self._ended:
            return
        if not (self._peer_has_left() if self._is_socket else self._has_hung_up()):
            # The peer has written to us, or the FIFO was opened for both directions and has what we wrote. That is not
            # ours to read, and watching it would keep the loop busy.
            self._loop._unwatch_reader(self._fd)
            return
        self._cut(BrokenPipeError("Nobody reads what was written") if self._buffer else None)

    def cancel(self) -> None:
        """Do nothing: whether it watches is known to the transport, which is asked before it acts."""

    def _has_hung_up(self) -> bool:
        poll = select.poll()
        # Asked for nothing, it reports errors and hang-ups only.
        poll.register(self._fd, 0)
        return bool(poll.poll(0))

    def _peer_has_left(self) -> bool:
        with socket.socket(fileno=os.dup(self._fd)) as sock:
            try:
                return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            except OSError:
                return True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write `data`, now as far as the system takes it and the rest when it can. Never blocks.

        After the end it is dropped. `TypeError` for what is not bytes-like.

        Keeps: WriteTransport.write/never-blocks, WriteTransport.write/fifo-order, WriteTransport.write/accepts-bytes.
        """
        if type(data) is not bytes:
            data = as_bytes(data)
        if self._closing:
            self._count_late_write()
            return
        if not data:
            return
        if self._buffer is not None:
            self._buffer.append(remainder(data, 0))
            self._size += len(data)
            self._grown()
            return
        try:
            sent = os.write(self._fd, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._fail(error, "writing to the pipe failed")
            return
        if sent < len(data):
            self._buffer = deque((remainder(data, sent),))
            self._size = len(data) - sent
            self._loop._watch_writer(self._fd, FlushPipe(self))
            self._grown()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write the pieces, in their order, as if each were given to `write()`."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return True: to close a pipe is to end it."""
        return True

    def write_eof(self) -> None:
        """Write what is buffered, then close: a pipe has no other direction that could stay open."""
        self.close()

    def close(self) -> None:
        """Write what is buffered, then close and call `connection_lost(None)`."""
        if self._closing:
            return
        self._closing = True
        if self._buffer is None:
            self._cut(None)

    def _flush(self) -> None:
        """Write of the buffer what the system takes; the loop calls this when the pipe can be written."""
        buffer = self._buffer
        while buffer:
            try:
                sent = os.write(self._fd, buffer[0])
            except BlockingIOError:
                break
            except OSError as error:
                self._fail(error, "writing to the pipe failed")
                return
            self._size -= sent
            if sent < len(buffer[0]):
                buffer[0] = memoryview(buffer[0])[sent:]
                break
            buffer.popleft()
        if not buffer:
            self._buffer = None
            self._loop._unwatch_writer(self._fd)
        self._shrunk()
        if self._closing and self._buffer is None:
            self._cut(None)

    def _stop_watching(self) -> None:
        self._loop._unwatch_reader(self._fd)
        if self._buffer is not None:
            self._buffer = None
            self._size = 0
            self._loop._unwatch_writer(self._fd)

    def _release(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()

    def _is_open(self) -> bool:
        return self._pipe is not None

    def _describe(self) -> list[str]:
        return [f"fd={self._fd}"] + ([f"buffered={self._size}"] if self._size else [])


class FlushPipe:
    """The loop's entry for a pipe that is waited for to become writable."""

    __slots__ = ("_transport",)

    def __init__(self, transport: WritePipeTransport) -> None:
        self._transport: WritePipeTransport | None = transport

    def _run(self) -> None:
        if self._transport is not None:
            self._transport._flush()

    def cancel(self) -> None:
        """Never flush again."""
        self._transport = None


class PipeConnecting(DescriptorWatching):
    """`connect_read_pipe()` and `connect_write_pipe()`."""

    async def connect_read_pipe(self, protocol_factory: Callable[[], Any], pipe: Any) -> tuple[ReadTransport, Any]:
        """Read from `pipe`, an object with `fileno()` and `close()`; return the transport and the protocol.

        It becomes non-blocking. `ValueError` for what is no pipe, FIFO, socket or character device.

        Keeps: loop.connect_read_pipe/accepts-documented-parameters,
        loop.connect_read_pipe/returns-read-transport-pair, loop.connect_read_pipe/protocol-comes-from-factory,
        loop.connect_read_pipe/makes-pipe-nonblocking, loop.connect_read_pipe/accepts-pipe-socket-character-device,
        loop.connect_read_pipe/rejects-regular-files, loop.connect_read_pipe/works-with-plain-protocol,
        loop.connect_read_pipe/unsupported-on-windows-selector.
        """
        refuse_on_windows()
        self._check_closed()
        protocol = protocol_factory()
        transport = ReadPipeTransport(self, pipe, protocol)
        transport._start()
        return transport, protocol

    async def connect_write_pipe(self, protocol_factory: Callable[[], Any], pipe: Any) -> tuple[WriteTransport, Any]:
        """Write to `pipe`, an object with `fileno()` and `close()`; return the transport and the protocol.

        It becomes non-blocking. `ValueError` for what is no pipe, FIFO, socket or character device.

        Keeps: loop.connect_write_pipe/accepts-documented-parameters,
        loop.connect_write_pipe/returns-write-transport-pair, loop.connect_write_pipe/makes-pipe-nonblocking,
        loop.connect_write_pipe/accepts-pipe-socket-character-device, loop.connect_write_pipe/rejects-regular-files,
        loop.connect_write_pipe/unsupported-on-windows-selector.
        """
        refuse_on_windows()
        self._check_closed()
        protocol = protocol_factory()
        transport = WritePipeTransport(self, pipe, protocol)
        transport._start()
        return transport, protocol


def check_pipe(fd: int) -> int:
    """Return the mode of what `fd` stands for; `ValueError` unless it is a pipe, FIFO, socket or character device."""
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)):
        raise ValueError("a pipe transport needs a pipe, a FIFO, a socket or a character device, not a regular file")
    return mode


def is_hangup(error: OSError) -> bool:
    """Return whether `error` is how a pseudo-terminal says that the program at its other end has gone."""
    return sys.platform == "linux" and error.errno == 5


def refuse_on_windows() -> None:
    """Raise `NotImplementedError` where pipes cannot be polled."""
    if os.name == "nt":
        raise NotImplementedError("selector loops cannot watch pipes on Windows")
