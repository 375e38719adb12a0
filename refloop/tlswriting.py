"""The writing half of a TLS transport: encryption and flow control.

`write()` encrypts at once and hands over to the transport beneath. When that asks to pause, plaintext is kept in
`_backlog` instead, so a large write is not held in memory twice. The watermarks apply to both buffers together: ours
only fills while the one beneath is above its mark.
"""

from __future__ import annotations

import ssl
from collections import deque
from typing import TYPE_CHECKING, Any

from refloop.identity import Transport
from refloop.transports import BufferedTransport, as_bytes, remainder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refloop.tlsengine import Engine

# Bytes encrypted and handed over at once.
PIECE = 256 * 1024


class TLSWriting(BufferedTransport, Transport):
    """What a TLS transport does with what is written to it.

    `_lower`: the transport beneath, None before the handshake begins.
    """

    __slots__ = ("_backlog", "_engine", "_full", "_lower")

    def __init__(self, loop: Any, protocol: Any, engine: Engine) -> None:
        self._engine = engine
        self._lower: Any = None
        self._backlog: deque[bytes | memoryview] = deque()
        # Whether the transport beneath has asked to pause.
        self._full = False
        super().__init__(loop, protocol)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt `data` and send it as far as flow control allows; keep the rest for later. Never blocks.

        After the end it is dropped. `TypeError` for what is not bytes-like.

        Keeps: WriteTransport.write/never-blocks, WriteTransport.write/fifo-order, WriteTransport.write/accepts-bytes,
        BaseTransport.close/not-usable-afterwards.
        """
        if type(data) is not bytes:
            data = as_bytes(data)
        if self._closing:
            self._count_late_write()
            return
        if not data:
            return
        if self._full or self._backlog or len(data) > PIECE:
            self._backlog.append(remainder(data, 0))
            self._size += len(data)
            self._encrypt_backlog()
            self._grown()
            return
        try:
            done = self._engine.encrypt(data)
        except ssl.SSLError as error:
            self._fail(error, "encrypting failed")
            return
        if done < len(data):
            self._backlog.append(remainder(data, done))
            self._size += len(data) - done
        self._lower.write(self._engine.take())

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write the pieces, in their order, as if each were given to `write()`.

        Keeps: WriteTransport.writelines/accepts-any-iterable, WriteTransport.writelines/fifo-order.
        """
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return False: TLS ends in both directions or in none.

        Keeps: WriteTransport.can_write_eof/returns-false-for-tls.
        """
        return False

    def write_eof(self) -> None:
        """Raise `NotImplementedError`.

        Keeps: WriteTransport.write_eof/raises-when-half-close-unsupported.
        """
        raise NotImplementedError("TLS cannot be closed in one direction only")

    def _send(self) -> None:
        """Hand over what TLS itself has to say."""
        if self._engine.waiting:
            self._lower.write(self._engine.take())

    def _encrypt_backlog(self) -> None:
        """Encrypt what was kept, as far as flow control allows."""
        engine = self._engine
        backlog = self._backlog
        while backlog and not self._full:
            left = PIECE
            stuck = False
            while backlog and left and not stuck:
                first = backlog[0]
                piece = first if len(first) <= left else memoryview(first)[:left]
                try:
                    done = engine.encrypt(piece)
                except ssl.SSLError as error:
                    self._fail(error, "encrypting failed")
                    return
                if done == len(first):
                    backlog.popleft()
                else:
                    backlog[0] = memoryview(first)[done:]
                left -= done
                self._size -= done
                stuck = done < len(piece)
            self._send()
            if stuck:
                # Until something comes from the peer.
                break
        if not backlog:
            self._all_encrypted()

    def _all_encrypted(self) -> None:
        """Take note that nothing is kept any more."""

    def _drop_backlog(self) -> None:
        self._backlog.clear()
        self._size = 0

    # Flow control

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are buffered: plaintext here, ciphertext beneath.

        Keeps: WriteTransport.get_write_buffer_size/returns-buffered-byte-count.
        """
        beneath: int = 0 if self._lower is None else self._lower.get_write_buffer_size()
        return self._size + beneath

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the watermarks, in bytes, here and beneath; see `BufferedTransport.set_write_buffer_limits()`."""
        super().set_write_buffer_limits(high, low)
        self._limit_lower()

    def pause_writing(self) -> None:
        """The transport beneath has enough."""
        self._full = True
        if not self._closing:
            self._grown()

    def resume_writing(self) -> None:
        """The transport beneath can take more."""
        self._full = False
        if self._backlog:
            self._encrypt_backlog()
        self._shrunk()

    def _limit_lower(self) -> None:
        """Let the transport beneath call itself full above our high mark; while the protocol pauses, above the low one.

        Else the protocol would be resumed by what has left our buffer, with the one beneath still above the low mark.
        """
        # Once closing, the layer has limits of its own for it.
        if not self._closing:
            self._lower.set_write_buffer_limits(self._low if self._writing_paused else self._high, self._low)

    def _grown(self) -> None:
        if not self._writing_paused and (self._full or self._size > self._high):
            self._writing_paused = True
            self._limit_lower()
            self._control_flow("pause_writing")

    def _shrunk(self) -> None:
        if self._writing_paused and not self._full and self._size <= self._low:
            self._writing_paused = False
            self._limit_lower()
            self._control_flow("resume_writing")
            self._settle_empty(None)

    async def _flushed(self) -> None:
        """Wait until flow control allows more; `ConnectionError` when the transport ends before."""
        if self._ended:
            raise ConnectionResetError("The connection has ended")
        if self._writing_paused:
            if self._on_empty is None:
                self._on_empty = self._loop.create_future()
            await self._on_empty
