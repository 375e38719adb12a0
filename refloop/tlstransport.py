"""TLS as a layer: protocol of the stream transport beneath, transport of the protocol above.

The layer is always in one of these states, and never goes back:

    state      meaning                                          goes on to
    HANDSHAKE  nothing has come through                         OPEN       complete
                                                                ENDED      failure, end of the peer, timeout, close()
    OPEN       bytes go both ways                               FLUSHING   close(), or the peer has said goodbye
    FLUSHING   what comes is discarded; what was written goes   GOODBYE    all of it is encrypted
    GOODBYE    so does our goodbye; the peer's is waited for    ENDED      it came, or the end of the peer
    ENDED      the transport beneath is closed or aborted; its `connection_lost()` becomes ours

From every state, an error, a timeout or `abort()` leads to ENDED at once.

In: `buffer_updated()` puts the ciphertext into the engine, and `ON_INPUT` says for each state what is then done.
Out: `tlswriting`, of which this class is the rest.
"""

from __future__ import annotations

import ssl
import sys
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from refloop.identity import BufferedProtocol
from refloop.tlswriting import TLSWriting

if TYPE_CHECKING:
    from collections.abc import Callable

    from refloop.futures import Future
    from refloop.identity import Transport
    from refloop.servers import Server
    from refloop.tlsengine import Engine

# Seconds; documented.
HANDSHAKE_TIMEOUT = 60.0
SHUTDOWN_TIMEOUT = 30.0

# Bytes of ciphertext received at once. To ask for so much without giving the memory costs more than to decrypt a short
# message: it comes straight from the system each time.
ROOM = 256 * 1024


class State(Enum):
    """Where a TLS connection is between its first byte and its last."""

    HANDSHAKE = auto()
    OPEN = auto()
    FLUSHING = auto()
    GOODBYE = auto()
    ENDED = auto()


# Once our goodbye is said, or the connection is over anyway.
PARTED = (State.GOODBYE, State.ENDED)

# An enumeration's members are dear to look up, and every message asks.
OPEN = State.OPEN


class TLSTransport(TLSWriting, BufferedProtocol):
    """A TLS connection over any stream transport, which becomes this layer's by `set_protocol()` or construction.

    `engine`: its own end of TLS. `made`: gets the transport when the handshake is complete, or the reason why it will
    not be; cancelling it ends the connection. `announce`: whether `protocol.connection_made()` is called then; without,
    it has been before. The timeouts are in seconds. `server`: counts the transport among its clients. `room`: where
    ciphertext is received, shared with other layers if every transport beneath fills it and tells of it in one go.

    Keeps: loop.start_tls/inserts-tls-layer, loop.create_connection/protocol-gets-decrypted-data,
    transports-general/methods-depend-on-kind.
    """

    __slots__ = (
        "_announce",
        "_clock",
        "_error",
        "_fills_buffers",
        "_handshake_timeout",
        "_made",
        "_paused",
        "_room",
        "_server",
        "_shutdown_timeout",
        "_state",
        "_view",
    )

    def __init__(
        self,
        loop: Any,
        protocol: Any,
        engine: Engine,
        made: Future[Transport],
        *,
        announce: bool = True,
        handshake_timeout: float | None = None,
        shutdown_timeout: float | None = None,
        server: Server | None = None,
        room: bytearray | None = None,
    ) -> None:
        self._made: Future[Transport] | None = made
        self._announce = announce
        self._handshake_timeout = HANDSHAKE_TIMEOUT if handshake_timeout is None else handshake_timeout
        self._shutdown_timeout = SHUTDOWN_TIMEOUT if shutdown_timeout is None else shutdown_timeout
        self._server = server
        self._state = State.HANDSHAKE
        # Why the connection ends, kept until the transport beneath has ended.
        self._error: BaseException | None = None
        self._clock: Any = None
        self._paused = False
        self._room = bytearray(ROOM) if room is None else room
        self._view = memoryview(self._room)
        super().__init__(loop, protocol, engine)

    def set_protocol(self, protocol: Any) -> None:
        """Let `protocol` receive all further callbacks; it may be a `Protocol` or a `BufferedProtocol`."""
        self._protocol = protocol
        self._fills_buffers = isinstance(protocol, BufferedProtocol)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known under `name`, or `default`.

        Of what TLS knows, None is an answer: not compressed, no certificate shown.
        """
        return super().get_extra_info(name, None if name in EXTRA_INFO else default)

    def _find_out(self, name: str) -> Any:
        """Return what TLS knows under `name`, or else the transport beneath.

        Keeps: BaseTransport.get_extra_info/offers-tls-keys,
        BaseTransport.get_extra_info/returns-none-when-uncompressed, BaseTransport.get_extra_info/returns-peercert-dict,
        BaseTransport.get_extra_info/returns-sslcontext-in-use.
        """
        asked = EXTRA_INFO.get(name)
        return self._lower.get_extra_info(name) if asked is None else asked(self._engine.ssl_object)

    # The handshake

    def connection_made(self, transport: Any) -> None:
        """Begin the handshake over `transport`, within the time that it may take.

        Keeps: loop.create_connection/aborts-slow-tls-handshake, loop.create_server/aborts-slow-tls-handshake,
        loop.connect_accepted_socket/aborts-slow-tls-handshake, loop.start_tls/aborts-slow-tls-handshake.
        """
        self._lower = transport
        if self._server is not None:
            self._server._attach(self)
        assert self._made is not None
        self._made.add_done_callback(self._give_up_if_cancelled)
        self._clock = self._loop.call_later(self._handshake_timeout, self._time_out_handshake)
        self._shake()

    def take_over(self, transport: Any) -> None:
        """Put the layer between `transport` and the protocol that it has had so far, and begin the handshake.

        Only what is documented of transports is asked of this one. Lifting its limits makes it resume a protocol that
        it has paused; when they are back, whether it must pause is told to the layer.
        """
        self._low, self._high = transport.get_write_buffer_limits()
        transport.set_write_buffer_limits(high=sys.maxsize)
        transport.set_protocol(self)
        self._lower = transport
        transport.set_write_buffer_limits(high=self._high, low=self._low)
        self.connection_made(transport)
        transport.resume_reading()

    def _shake(self) -> None:
        """Go on with the handshake.

        Keeps: loop.create_connection/raises-certificate-verification-error, loop.start_tls/raises-on-handshake-failure,
        loop.create_server/handshake-failure-is-isolated.
        """
        engine = self._engine
        try:
            complete = engine.shake()
        except ssl.SSLError as error:
            # The peer is told why.
            self._send()
            self._cut(error)
            return
        self._send()
        if complete:
            self._open()
        elif engine.over:
            self._cut(ConnectionResetError("The peer closed the connection during the TLS handshake"))

    def _open(self) -> None:
        self._clock.cancel()
        self._state = OPEN
        if self._announce:
            self._announce = False
            self._begin()
        made, self._made = self._made, None
        if made is not None and not made.done():
            made.set_result(self)
        if self._engine.unread or self._engine.over:
            # After whoever waits for the handshake has got the transport.
            self._loop.call_soon(self._react)

    def _give_up_if_cancelled(self, made: Future[Transport]) -> None:
        if made.cancelled():
            self.abort()

    def _time_out_handshake(self) -> None:
        seconds = f"{self._handshake_timeout:g} seconds"
        self._cut(ConnectionAbortedError(f"The TLS handshake took longer than {seconds}: the connection is aborted"))

    # In

    def is_reading(self) -> bool:
        """Return whether data that arrives goes to the protocol.

        Keeps: ReadTransport.is_reading/returns-true-while-reading.
        """
        return not (self._paused or self._closing)

    def pause_reading(self) -> None:
        """Stop giving data to the protocol until `resume_reading()`.

        Keeps: ReadTransport.pause_reading/stops-data-received, ReadTransport.pause_reading/idempotent-when-paused,
        ReadTransport.pause_reading/loses-no-data.
        """
        if not (self._paused or self._closing):
            self._paused = True
            self._lower.pause_reading()

    def resume_reading(self) -> None:
        """Give data to the protocol again, first what has been received already.

        Keeps: ReadTransport.resume_reading/restarts-data-received,
        ReadTransport.resume_reading/idempotent-while-reading.
        """
        if self._paused and not self._closing:
            self._paused = False
            self._lower.resume_reading()
            if self._engine.unread or self._engine.over:
                self._loop.call_soon(self._react)

    def get_buffer(self, _: int) -> bytearray:
        """Give the transport beneath room for ciphertext."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Take ciphertext from the transport beneath."""
        self._engine.receive(self._view[:nbytes])
        if self._state is OPEN:
            self._deliver()
        else:
            self._react()

    def eof_received(self) -> bool:
        """Take note that no more comes from beneath; the layer itself closes that transport, in its time."""
        self._engine.receive_eof()
        self._react()
        return True

    def _react(self) -> None:
        """Do what the state demands now that something has come from the peer."""
        ON_INPUT[self._state](self)

    def _deliver(self) -> None:
        """Decrypt what has come, hand it over, and answer what TLS itself has to answer.

        Keeps: Protocol.data_received/receives-non-empty-bytes, Protocol.data_received/fifo-order,
        BaseTransport.close/stops-receiving.
        """
        if self._paused:
            return
        engine = self._engine
        if self._fills_buffers:
            self._call("get_buffer() or buffer_updated", self._fill_buffers)
        # A protocol that gives way to another may leave it something.
        if not (self._fills_buffers or self._closing):
            data = engine.decrypt()
            if data:
                try:
                    self._context.run(self._protocol.data_received, data)
                except (KeyboardInterrupt, SystemExit):
                    raise
                except BaseException as error:
                    self._fail(error, "protocol.data_received() failed")
        if engine.waiting:
            self._send()
        if self._backlog:
            self._encrypt_backlog()
        if engine.over and self._state is OPEN and not self._paused:
            self._finish_input()

    def _fill_buffers(self) -> None:
        """Decrypt into buffers of the protocol's.

        Keeps: BufferedProtocol.get_buffer/called-before-each-receive, BufferedProtocol.get_buffer/rejects-empty-buffer,
        BufferedProtocol.buffer_updated/receives-byte-count, BufferedProtocol.buffer_updated/follows-get-buffer.
        """
        while self._fills_buffers and not (self._paused or self._closing):
            protocol = self._protocol
            buffer = protocol.get_buffer(-1)
            if not self.is_reading():
                return
            if not len(buffer):
                raise RuntimeError("get_buffer() returned a buffer without room")
            received = self._engine.decrypt_into(buffer)
            if not received:
                return
            protocol.buffer_updated(received)
            if not self._engine.unread:
                return

    def _finish_input(self) -> None:
        """Tell the protocol, once, that the peer sends no more, and close; or why that cannot be trusted.

        Keeps: Protocol.eof_received/tls-closes-regardless, Protocol.eof_received/once-only-at-peer-eof,
        Protocol.data_received/never-after-eof, BufferedProtocol.eof_received/once-only-and-last.
        """
        failure = self._take_failure()
        if failure is not None:
            self._fail(failure, "decrypting what the peer sent failed")
        else:
            self._call("eof_received", self._protocol.eof_received)
            self.close()

    def _take_failure(self) -> ssl.SSLError | None:
        """Return the engine's error, if any, which then is nobody else's: it refers to the frames it has passed."""
        failure, self._engine.failure = self._engine.failure, None
        return failure

    # The end

    def close(self) -> None:
        """Stop reading, send what is buffered and a goodbye, wait for the peer's, then `connection_lost(None)`.

        Keeps: BaseTransport.close/flushes-buffer-first, BaseTransport.close/stops-receiving,
        BaseTransport.close/calls-connection-lost-after-flush, BaseTransport.close/safe-to-repeat.
        """
        if self._closing:
            return
        if self._state is State.HANDSHAKE:
            self.abort()
            return
        self._closing = True
        self._state = State.FLUSHING
        self._clock = self._loop.call_later(self._shutdown_timeout, self._time_out, self.get_write_buffer_size())
        if self._paused:
            # The peer's goodbye comes after what nobody wants any more.
            self._lower.resume_reading()
        if not self._backlog:
            self._say_goodbye()

    def _all_encrypted(self) -> None:
        if self._state is State.FLUSHING:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        self._state = State.GOODBYE
        self._engine.say_goodbye()
        self._send()
        # From here on "full" means that not all is sent.
        self._lower.set_write_buffer_limits(high=0)
        self._hear_goodbye()

    def _hear_goodbye(self) -> None:
        """Close for good when the peer has nothing more to say either."""
        self._engine.discard()
        if not self._engine.over:
            return
        failure = self._take_failure()
        if failure is not None:
            self._cut(failure)
        else:
            self._state = State.ENDED
            self._lower.close()

    def _discard(self) -> None:
        """Pass over what comes while there still is something to send."""
        self._engine.discard()
        self._send()
        self._encrypt_backlog()

    def _time_out(self, unsent: int) -> None:
        """Abort unless the peer has taken some of the `unsent` bytes meanwhile: slow is not silent.

        Keeps: loop.create_connection/aborts-slow-tls-shutdown, loop.create_server/aborts-slow-tls-shutdown,
        loop.connect_accepted_socket/aborts-slow-tls-shutdown, loop.start_tls/aborts-slow-tls-shutdown.
        """
        still_unsent = self.get_write_buffer_size()
        if still_unsent < unsent:
            self._clock = self._loop.call_later(self._shutdown_timeout, self._time_out, still_unsent)
            return
        seconds = f"{self._shutdown_timeout:g} seconds"
        self._cut(TimeoutError(f"The TLS shutdown took longer than {seconds}: the connection is aborted"))

    def _cut(self, error: BaseException | None) -> None:
        """Abort the transport beneath, which leads to the end."""
        self._closing = True
        if self._ended:
            return
        if self._error is None:
            self._error = error
        self._state = State.ENDED
        self._drop_backlog()
        self._lower.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End, since the transport beneath has: tell the protocol if it was told of the beginning.

        Keeps: BaseProtocol.connection_lost/receives-exception-on-error,
        BaseProtocol.connection_lost/receives-none-on-clean-end.
        """
        if self._clock is not None:
            self._clock.cancel()
        error = self._error
        # All was sent, and the peer is gone instead of hearing our goodbye or saying its own: nothing was lost by it.
        parted = self._state in PARTED and not self._full and isinstance(exc, ConnectionError)
        if error is None and not parted:
            error = exc
        self._error = None
        self._closing = True
        self._state = State.ENDED
        self._drop_backlog()
        made, self._made = self._made, None
        try:
            if self._announce:
                self._ended = True
                self._release()
                self._protocol = None
            else:
                self._context.run(self._end, error)
        finally:
            if made is not None and not made.done():
                made.set_exception(
                    error or ConnectionAbortedError("The connection was closed during the TLS handshake")
                )
            del error, made

    def _release(self) -> None:
        if self._server is not None:
            self._server._detach(self)
            self._server = None

    def _is_open(self) -> bool:
        """Return False: the transport beneath has the descriptor and says when it was forgotten."""
        return False

    def _describe(self) -> list[str]:
        return [self._state.name.lower(), f"over={self._lower!r}"]


def ignore(_: TLSTransport) -> None:
    """Do nothing: the connection has ended."""


# What is done when something has come from the peer, or nothing more will.
ON_INPUT: dict[State, Callable[[TLSTransport], None]] = {
    State.HANDSHAKE: TLSTransport._shake,
    State.OPEN: TLSTransport._deliver,
    State.FLUSHING: TLSTransport._discard,
    State.GOODBYE: TLSTransport._hear_goodbye,
    State.ENDED: ignore,
}

# What TLS itself knows, by its name in `get_extra_info()`.
EXTRA_INFO: dict[str, Callable[[ssl.SSLObject], Any]] = {
    "ssl_object": lambda ssl_object: ssl_object,
    "sslcontext": lambda ssl_object: ssl_object.context,
    "peercert": ssl.SSLObject.getpeercert,
    "cipher": ssl.SSLObject.cipher,
    "compression": ssl.SSLObject.compression,
}
