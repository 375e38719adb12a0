"""The reading end of a stream: bytes arrive when they do, and are read by count, by line or up to a separator.

What has arrived and was not read yet stands in a buffer. When that grows beyond twice the limit, the transport is asked
to pause; when it has shrunk to the limit, to go on. So an unread stream costs bounded memory, and the peer waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from refloop.current import get_event_loop
from refloop.identity import IncompleteReadError, LimitOverrunError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refloop.futures import Future
    from refloop.identity import AbstractEventLoop

# Documented: bytes that a reader buffers, and the longest data that it looks for a separator in.
DEFAULT_LIMIT = 64 * 1024


class StreamReader:
    """What a program reads from; `open_connection()` and `start_server()` make these. Not thread-safe.

    `limit` is in bytes. One task at a time may wait for data.

    Keeps: StreamReader/accepts-documented-arguments, open_connection/limit-bounds-reader-buffer,
    start_server/limit-bounds-reader-buffer.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT, loop: AbstractEventLoop | None = None) -> None:
        if limit <= 0:
            raise ValueError("Limit cannot be <= 0")
        self._limit = limit
        self._loop = get_event_loop() if loop is None else loop
        self._buffer = bytearray()
        self._eof = False
        self._exception: BaseException | None = None
        self._waiter: Future[None] | None = None
        self._transport: Any = None
        self._paused = False

    # What the protocol does

    def set_transport(self, transport: Any) -> None:
        """Attach the transport to pause and resume; `RuntimeError` for a second one.

        Keeps: StreamReader.set_transport/attaches-transport.
        """
        if self._transport is not None:
            raise RuntimeError("Transport already set")
        self._transport = transport

    def _replace_transport(self, transport: Any) -> None:
        """Go on with another transport, as after `start_tls()`; too much unread data holds that one back as well."""
        self._transport = transport
        if self._paused:
            transport.pause_reading()

    def take_unread(self) -> bytes:
        """Remove and return all that is buffered: it is somebody else's to read."""
        return self._take(len(self._buffer))

    def feed_data(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data` to the buffer and wake who waits for it.

        Keeps: StreamReader.feed_data/appends-and-wakes-readers, StreamReader/pauses-transport-over-limit.
        """
        if self._eof:
            raise RuntimeError("feed_data after feed_eof")
        if not data:
            return
        self._buffer += data
        self._wake_up()
        if self._transport is not None and not self._paused and len(self._buffer) > 2 * self._limit:
            try:
                self._transport.pause_reading()
            except NotImplementedError:
                # A transport that cannot pause is not asked again.
                self._transport = None
            else:
                self._paused = True

    def feed_eof(self) -> None:
        """Mark the end of the stream and wake who waits.

        Keeps: StreamReader.feed_eof/marks-end-of-stream.
        """
        self._eof = True
        self._wake_up()

    def at_eof(self) -> bool:
        """Return whether the end was marked and the buffer is empty.

        Keeps: StreamReader.at_eof/returns-true-when-drained.
        """
        return self._eof and not self._buffer

    def exception(self) -> BaseException | None:
        """Return the exception given to `set_exception()`, or None.

        Keeps: StreamReader.exception/returns-stored-exception.
        """
        return self._exception

    def set_exception(self, exc: BaseException) -> None:
        """Make reads raise `exc`, the one that waits now and all that come.

        Keeps: StreamReader.set_exception/raises-in-later-reads.
        """
        self._exception = exc
        self._wake_up()

    # Reading

    async def read(self, n: int = -1) -> bytes:
        """Return up to `n` bytes, at least one, as soon as there are any; b"" at the end of the stream.

        With `n` -1, everything up to the end. With 0, b"" at once.

        Keeps: StreamReader.read/reads-until-eof-by-default, StreamReader.read/returns-empty-bytes-at-eof,
        StreamReader.read/zero-returns-empty-immediately, StreamReader.read/returns-available-up-to-n,
        StreamReader.read/eof-while-waiting-returns-empty.
        """
        self._raise_stored()
        if n == 0:
            return b""
        if n < 0:
            blocks = []
            while block := await self.read(self._limit):
                blocks.append(block)
            return b"".join(blocks)
        if not self._buffer and not self._eof:
            await self._wait_for_data("read")
        return self._take(n)

    async def readexactly(self, n: int) -> bytes:
        """Return exactly `n` bytes, be they more than the limit.

        `IncompleteReadError`, with what there is, when the stream ends before; `ValueError` for a negative `n`.

        Keeps: StreamReader.readexactly/returns-exactly-n-bytes, StreamReader.readexactly/raises-on-early-eof,
        StreamReader.readexactly/rejects-negative-count, StreamReader.readexactly/limit-does-not-apply,
        IncompleteReadError/raised-on-short-read, IncompleteReadError.expected/holds-expected-byte-count.
        """
        if n < 0:
            raise ValueError("readexactly size can not be less than zero")
        self._raise_stored()
        while len(self._buffer) < n:
            if self._eof:
                raise IncompleteReadError(self._take(len(self._buffer)), n)
            await self._wait_for_data("readexactly")
        return self._take(n)

    async def readline(self) -> bytes:
        r"""Return the bytes up to and including the next b"\n", or what is left at the end of the stream.

        `ValueError` when the line is longer than the limit; the line, as far as it has come, is dropped.

        Keeps: StreamReader.readline/returns-line-with-newline, StreamReader.readline/returns-partial-line-at-eof,
        StreamReader.readline/returns-empty-bytes-at-eof, StreamReader.readline/raises-when-over-limit.
        """
        try:
            return await self.readuntil(b"\n")
        except IncompleteReadError as error:
            return error.partial
        except LimitOverrunError as error:
            whole = self._buffer.startswith(b"\n", error.consumed)
            self._take(error.consumed + 1 if whole else len(self._buffer))
            raise ValueError(error.args[0]) from None

    async def readuntil(self, separator: bytes | tuple[bytes, ...] = b"\n") -> bytes:
        r"""Return the data up to and including `separator`, or the first of several to be complete.

        `IncompleteReadError`, with what there is, when the stream ends before; the buffer is empty then.
        `LimitOverrunError` when the data before the separator is longer than the limit; it stays in the buffer. Of
        several separators that are complete at once, the shortest counts: `\n` rather than `\r\n`.
        `ValueError` for an empty separator.

        Keeps: StreamReader.readuntil/accepts-separator, StreamReader.readuntil/accepts-separator-tuple,
        StreamReader.readuntil/returns-data-through-separator, StreamReader.readuntil/raises-when-over-limit,
        StreamReader.readuntil/raises-on-early-eof, StreamReader.readuntil/limit-excludes-separator,
        StreamReader.readuntil/tuple-limit-uses-shortest-separator, StreamReader.readuntil/rejects-empty-separator,
        LimitOverrunError/raised-when-separator-exceeds-limit.
        """
        separators = separator if isinstance(separator, tuple) else (separator,)
        if not separators:
            raise ValueError("Separator should contain at least one element")
        if not all(separators):
            raise ValueError("Separator should be at least one-byte string")
        self._raise_stored()
        longest = max(map(len, separators))
        # A separator can begin no earlier than here: what stands before has been searched.
        searched = 0
        while True:
            match = _first_match(self._buffer, separators, searched)
            if match is not None:
                start, end = match
                if start > self._limit:
                    raise LimitOverrunError("Separator is found, but chunk is longer than limit", start)
                return self._take(end)
            searched = max(0, len(self._buffer) + 1 - longest)
            if searched > self._limit:
                raise LimitOverrunError("Separator is not found, and chunk exceed the limit", searched)
            if self._eof:
                raise IncompleteReadError(self._take(len(self._buffer)), None)
            await self._wait_for_data("readuntil")

    def __aiter__(self) -> StreamReader:
        return self

    async def __anext__(self) -> bytes:
        """Return the next line.

        Keeps: StreamReader/async-iteration-yields-lines.
        """
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    # The buffer

    def _take(self, n: int) -> bytes:
        """Remove the first `n` bytes from the buffer, which may let the transport go on."""
        if n >= len(self._buffer):
            data = bytes(self._buffer)
            self._buffer.clear()
        else:
            # Whoever leaves releasing a view to the garbage collector must not resize what it shows.
            with memoryview(self._buffer) as view, view[:n] as taken:
                data = bytes(taken)
            del self._buffer[:n]
        if self._paused and len(self._buffer) <= self._limit:
            self._resume()
        return data

    async def _wait_for_data(self, caller: str) -> None:
        if self._waiter is not None:
            raise RuntimeError(f"{caller}() called while another coroutine is already waiting for incoming data")
        if self._paused:
            # More than the buffer should hold is asked for.
            self._resume()
        self._waiter = cast("Future[None]", self._loop.create_future())
        try:
            await self._waiter
        finally:
            self._waiter = None
        self._raise_stored()

    def _resume(self) -> None:
        self._paused = False
        self._transport.resume_reading()

    def _wake_up(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _raise_stored(self) -> None:
        if self._exception is not None:
            raise self._exception

    def __repr__(self) -> str:
        words = ["StreamReader"]
        if self._buffer:
            words.append(f"{len(self._buffer)} bytes")
        if self._eof:
            words.append("eof")
        if self._limit != DEFAULT_LIMIT:
            words.append(f"limit={self._limit}")
        if self._exception is not None:
            words.append(f"exception={self._exception!r}")
        if self._paused:
            words.append("paused")
        return f"<{' '.join(words)}>"


def _first_match(buffer: bytearray, separators: Iterable[bytes], start: int) -> tuple[int, int] | None:
    """Return where the separator that is complete first begins and ends; None if there is none from `start` on."""
    matches = [(found, found + len(one)) for one in separators if (found := buffer.find(one, start)) >= 0]
    # Of those that end together, the shortest begins last.
    return min(matches, key=lambda match: (match[1], -match[0]), default=None)
