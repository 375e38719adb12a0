"""What all transports have in common: one protocol, one end of which it is told once, and a buffer that has limits.

    LoopTransport        protocol, context of its callbacks, the way to the end
      BufferedTransport  the write buffer's size and its watermarks

Transports stand in the loop's tables of watched descriptors themselves: an event costs neither a handle nor a look-up.
"""

from __future__ import annotations

import warnings
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from refloop.errors import logger
from refloop.identity import BaseTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from refloop.futures import Future

# Bytes in a write buffer above which the protocol is asked to pause, and at which it may resume. The documentation
# leaves them to the loop; these are what programs were written against.
HIGH_WATER = 64 * 1024
LOW_WATER = HIGH_WATER // 4

# How often a transport that has ended drops what is written to it before the log says so, once.
LATE_WRITES_BEFORE_WARNING = 5


class LoopTransport(BaseTransport):
    """A transport from its making to its end.

    `connection_lost()` is the protocol's last callback, called once and never from within a method of the transport:
    whatever ends the transport schedules it by `_end_soon()`, and only then the descriptor is given back.

    Keeps: protocols-general/connection-callbacks-once-only, BaseProtocol.connection_lost/last-callback,
    protocols-general/callbacks-invoked-by-transport, transports-general/created-by-loops-only.
    """

    __slots__ = ("__weakref__", "_closing", "_context", "_ended", "_late_writes", "_loop", "_protocol")

    def __init__(self, loop: Any, protocol: Any) -> None:
        self._loop = loop
        # Callbacks run with the context variables of whoever made the connection, and what they set stays theirs.
        self._context = copy_context()
        self._closing = False
        self._ended = False
        self._late_writes = 0
        # What `get_extra_info()` has found out already; most transports are never asked.
        self._extra: dict[str, Any] | None = None
        self.set_protocol(protocol)

    def set_protocol(self, protocol: Any) -> None:
        """Let `protocol` receive all further callbacks.

        Keeps: BaseTransport.set_protocol/redirects-callbacks.
        """
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """Return the protocol in use; None once the transport has ended.

        Keeps: BaseTransport.get_protocol/returns-current-protocol.
        """
        return self._protocol

    def is_closing(self) -> bool:
        """Return whether the transport is closing or closed.

        Keeps: BaseTransport.is_closing/returns-true-once-closing.
        """
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known under `name`, or `default`. Found out when first asked for, and then remembered.

        Keeps: BaseTransport.get_extra_info/accepts-name-and-default,
        BaseTransport.get_extra_info/returns-default-when-unavailable.
        """
        if self._extra is None:
            self._extra = {}
        if name not in self._extra:
            found = self._find_out(name)
            if found is None:
                return default
            self._extra[name] = found
        return self._extra[name]

    def abort(self) -> None:
        """Close at once: what is buffered is lost, and the protocol's `connection_lost(None)` follows.

        Keeps: WriteTransport.abort/discards-buffered-data, WriteTransport.abort/stops-receiving,
        WriteTransport.abort/calls-connection-lost-eventually.
        """
        self._cut(None)

    # For the kinds of transport

    def _find_out(self, _: str) -> Any:
        """Return the extra information of that name, None when there is none."""
        return None

    def _stop_watching(self) -> None:
        """Stop asking the loop for events, and drop what is buffered."""
        raise NotImplementedError

    def _release(self) -> None:
        """Give the descriptor back; the protocol has been told."""
        raise NotImplementedError

    def _is_open(self) -> bool:
        """Return whether there is a descriptor to give back."""
        raise NotImplementedError

    def _begin(self) -> None:
        """Tell the protocol of its transport, before anything else can happen to it.

        Keeps: BaseProtocol.connection_made/receives-transport, BaseProtocol.connection_made/precedes-other-callbacks.
        """
        try:
            self._context.run(self._protocol.connection_made, self)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._report(error, "protocol.connection_made() failed")

    def _call(self, name: str, callback: Callable[..., object], *args: Any) -> None:
        """Call the protocol's callback `name` in the transport's context; its exception is fatal to the connection."""
        try:
            self._context.run(callback, *args)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._fail(error, f"protocol.{name}() failed")

    def _fail(self, error: BaseException, message: str) -> None:
        """End the transport because of `error`. That a peer goes away is no news; other errors are reported.

        Keeps: BaseProtocol.connection_lost/receives-exception-on-error.
        """
        if not isinstance(error, OSError):
            self._report(error, message)
        elif self._loop.get_debug():
            logger.debug("%r: %s", self, message, exc_info=True)
        self._cut(error)

    def _report(self, error: BaseException, message: str) -> None:
        self._loop.call_exception_handler(
            {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
        )

    def _cut(self, error: BaseException | None) -> None:
        """Close at once, with `error` for the protocol."""
        self._closing = True
        if not self._ended:
            self._stop_watching()
            self._end_soon(error)

    def _end_soon(self, error: BaseException | None) -> None:
        """Schedule the end; the transport has stopped watching and has nothing left to send."""
        if self._ended:
            return
        self._ended = True
        if self._loop.is_closed():
            # Nobody can be told any more, but the descriptor need not be lost as well.
            self._release()
        else:
            self._loop.call_soon(self._end, error, context=self._context)

    def _end(self, error: BaseException | None) -> None:
        """Tell the protocol, and let go of it and of the descriptor.

        Keeps: BaseProtocol.connection_lost/receives-none-on-clean-end.
        """
        try:
            self._protocol.connection_lost(error)
        finally:
            self._release()
            # Transport and protocol refer to each other; apart, they need no garbage collector.
            self._protocol = None

    def _count_late_write(self) -> None:
        """Remember that something was written after the end, for a log that a runaway writer would otherwise lack."""
        self._late_writes += 1
        if self._late_writes == LATE_WRITES_BEFORE_WARNING:
            logger.warning("%r: what is written after the connection's end is dropped", self)

    def __del__(self) -> None:
        """Close what its owner forgot, with a `ResourceWarning`.

        Keeps: debug-mode/warns-about-unclosed-resources.
        """
        try:
            is_open = self._is_open()
        except AttributeError:
            # Its making failed half-way.
            return
        if is_open:
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, source=self, stacklevel=2)
            self._release()

    def __repr__(self) -> str:
        state = "closed" if self._ended else "closing" if self._closing else "open"
        return f"<{' '.join([type(self).__name__, *self._describe(), state])}>"

    def _describe(self) -> list[str]:
        return []


class BufferedTransport(LoopTransport):
    """A transport that keeps what cannot be sent yet, and holds the protocol back when that becomes too much.

    `_size` is the number of bytes kept. Whoever changes it calls `_grown()` or `_shrunk()`.
    """

    __slots__ = ("_high", "_low", "_on_empty", "_size", "_writing_paused")

    def __init__(self, loop: Any, protocol: Any) -> None:
        self._size = 0
        self._high = HIGH_WATER
        self._low = LOW_WATER
        self._writing_paused = False
        self._on_empty: Future[None] | None = None
        super().__init__(loop, protocol)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are buffered.

        Keeps: WriteTransport.get_write_buffer_size/returns-buffered-byte-count.
        """
        return self._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the watermarks `(low, high)`, in bytes.

        Keeps: WriteTransport.get_write_buffer_limits/returns-low-high-pair,
        WriteTransport.get_write_buffer_limits/reflects-set-limits.
        """
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the watermarks, in bytes: `pause_writing()` above `high`, `resume_writing()` at `low` or below.

        A missing `low` becomes a quarter of `high`, a missing `high` four times `low`; with neither, the defaults
        apply. `ValueError` unless `0 <= low <= high`.

        Keeps: WriteTransport.set_write_buffer_limits/accepts-high-and-low,
        WriteTransport.set_write_buffer_limits/rejects-low-above-high,
        WriteTransport.set_write_buffer_limits/rejects-negative-limits,
        WriteTransport.set_write_buffer_limits/defaults-implementation-specific,
        WriteTransport.set_write_buffer_limits/derives-low-from-high,
        WriteTransport.set_write_buffer_limits/zero-high-zeroes-low,
        WriteTransport.set_write_buffer_limits/governs-write-pausing.
        """
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not 0 <= low <= high:
            raise ValueError(f"the write buffer's limits must be 0 <= low <= high, not low={low!r} and high={high!r}")
        self._high = high
        self._low = low
        self._grown()
        self._shrunk()

    def _grown(self) -> None:
        """Ask the protocol to pause if the buffer is above the high mark.

        Keeps: WriteTransport.set_write_buffer_limits/pauses-once-over-high,
        BaseProtocol.pause_writing/strictly-above-high-mark, BaseProtocol.pause_writing/once-per-crossing.
        """
        if self._size > self._high and not self._writing_paused:
            self._writing_paused = True
            self._control_flow("pause_writing")

    def _shrunk(self) -> None:
        """Let a paused protocol resume if the buffer is at the low mark or below.

        Keeps: BaseProtocol.resume_writing/at-or-below-low-mark, BaseProtocol.resume_writing/paired-with-pause-writing,
        WriteTransport.set_write_buffer_limits/zero-low-resumes-when-empty.
        """
        if self._writing_paused and self._size <= self._low:
            self._writing_paused = False
            self._control_flow("resume_writing")
        if self._on_empty is not None and not self._size:
            self._settle_empty(None)

    def _control_flow(self, name: str) -> None:
        """Call the protocol's callback `name`; that it fails to pause or to resume costs no connection."""
        if self._protocol is None:
            # It has been told of the end, and hears nothing after that.
            return
        try:
            getattr(self._protocol, name)()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._report(error, f"protocol.{name}() failed")

    async def _flushed(self) -> None:
        """Wait until nothing is buffered; `ConnectionError` when the transport ends before."""
        if self._ended:
            raise ConnectionResetError("The connection has ended")
        if self._size:
            if self._on_empty is None:
                self._on_empty = self._loop.create_future()
            await self._on_empty

    def _settle_empty(self, error: BaseException | None) -> None:
        waiter, self._on_empty = self._on_empty, None
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

    def _end(self, error: BaseException | None) -> None:
        if self._on_empty is not None:
            self._settle_empty(error or ConnectionAbortedError("The connection was closed before everything was sent"))
        super()._end(error)


def as_bytes(data: bytes | bytearray | memoryview) -> bytes | bytearray | memoryview:
    """Return `data` in a form whose length is its number of bytes; `TypeError` for what is not bytes-like."""
    if isinstance(data, (bytes, bytearray)):
        return data
    if isinstance(data, memoryview):
        if not data.c_contiguous:
            return data.tobytes()
        return data.cast("B") if data.nbytes != len(data) or data.ndim != 1 else data
    raise TypeError(f"data must be bytes, a bytearray or a memoryview, not {type(data).__name__}")


def remainder(data: bytes | bytearray | memoryview, sent: int) -> bytes | memoryview:
    """Return what of `data` comes after the first `sent` bytes, safe from changes that its owner makes later."""
    if isinstance(data, bytes):
        return memoryview(data)[sent:] if sent else data
    with memoryview(data) as whole, whole[sent:] as rest:
        return bytes(rest)
