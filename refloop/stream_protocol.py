"""Between transports and streams: the protocol that feeds a reader and makes writers wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from refloop.coroutines import iscoroutine
from refloop.current import get_event_loop
from refloop.identity import Protocol
from refloop.stream_writer import StreamWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from refloop.futures import Future
    from refloop.identity import AbstractEventLoop
    from refloop.stream_reader import StreamReader


class FlowControl(Protocol):
    """Writers wait while the transport's buffer is too full, and for the end of the connection."""

    def __init__(self, loop: AbstractEventLoop | None = None) -> None:
        self._loop = get_event_loop() if loop is None else loop
        self._writing_paused = False
        self._lost = False
        self._lost_error: BaseException | None = None
        self._drainers: list[Future[None]] = []
        self._closers: list[Future[None]] = []

    def pause_writing(self) -> None:
        """The buffer is above its high mark."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """The buffer is down to its low mark."""
        self._writing_paused = False
        self._drainers = _wake_all(self._drainers)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is closed."""
        self._lost = True
        self._lost_error = exc
        self._drainers = _wake_all(self._drainers)
        self._closers = _wake_all(self._closers)

    async def wait_until_writable(self) -> None:
        """Wait while writing is paused; `ConnectionResetError`, or the connection's own error, if it is lost.

        Keeps: StreamWriter.drain/waits-until-low-mark, StreamWriter.drain/returns-immediately-when-idle,
        StreamWriter.drain/raises-on-lost-connection.
        """
        if self._writing_paused and not self._lost:
            await self._wait_in(self._drainers)
            if self._lost_error is not None:
                raise self._lost_error
        if self._lost:
            raise ConnectionResetError("Connection lost")

    async def wait_until_closed(self) -> None:
        """Wait for the end of the connection; raise the error that it ended with.

        Keeps: StreamWriter.wait_closed/waits-until-closed.
        """
        if not self._lost:
            await self._wait_in(self._closers)
        if self._lost_error is not None:
            raise self._lost_error

    async def _wait_in(self, waiters: list[Future[None]]) -> None:
        waiter = cast("Future[None]", self._loop.create_future())
        waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in waiters:
                waiters.remove(waiter)


def _wake_all(waiters: list[Future[None]]) -> list[Future[None]]:
    """Wake them and return the empty list that takes their place."""
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    return []


class StreamReaderProtocol(FlowControl):
    """Feeds `stream_reader`; on a connection made, calls `client_connected_cb(reader, writer)` if that is given.

    What the callback returns, if it is a coroutine, is run as a task.

    Keeps: StreamReaderProtocol/adapts-protocol-to-reader, start_server/calls-callback-per-connection,
    start_server/accepts-plain-callback, start_server/runs-coroutine-callback-as-task.
    """

    def __init__(
        self,
        stream_reader: StreamReader,
        client_connected_cb: Callable[[StreamReader, StreamWriter], Any] | None = None,
        loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(loop)
        self._reader = stream_reader
        self._client_connected = client_connected_cb
        self._transport: Any = None
        # A server's callback need not keep its task: it lives as long as the connection. Its writer is its own affair,
        # which closes the connection when it is forgotten.
        self._task: Any = None

    @property
    def serves(self) -> bool:
        """Whether this is a server's end of the connection."""
        return self._client_connected is not None

    def connection_made(self, transport: Any) -> None:
        """Begin: attach the reader and call the callback."""
        self._transport = transport
        self._reader.set_transport(transport)
        if self._client_connected is None:
            return
        writer = StreamWriter(transport, self, self._reader, self._loop)
        try:
            served = self._client_connected(self._reader, writer)
        except Exception as error:
            self._give_up(error)
            return
        if iscoroutine(served):
            self._task = self._loop.create_task(served)
            self._task.add_done_callback(self._served)

    def _served(self, task: Any) -> None:
        """The callback's task has ended; if not by returning, nobody else will close the connection."""
        if task.cancelled():
            self._transport.close()
        elif task.exception() is not None:
            self._give_up(task.exception())

    def _give_up(self, error: BaseException) -> None:
        """Report what the callback raised and close the connection, which nobody serves."""
        self._loop.call_exception_handler(
            {
                "message": "Unhandled exception in client_connected_cb",
                "exception": error,
                "transport": self._transport,
            }
        )
        self._transport.close()

    def take_unread(self) -> bytes:
        """Remove and return what the reader has buffered: the peer may have begun its TLS handshake unasked."""
        return self._reader.take_unread()

    def replace_transport(self, transport: Any) -> None:
        """Go on with another transport, as after `start_tls()`."""
        self._transport = transport
        self._reader._replace_transport(transport)

    def data_received(self, data: bytes) -> None:
        """Feed the reader."""
        self._reader.feed_data(data)

    def eof_received(self) -> bool:
        """Feed the end; keep the connection open for writing, except under TLS, which knows no half-close."""
        self._reader.feed_eof()
        return self._transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: BaseException | None) -> None:
        """End reading, with an error if the connection ended by one, and all waiting."""
        if exc is None:
            self._reader.feed_eof()
        else:
            self._reader.set_exception(exc)
        super().connection_lost(exc)
        self._task = None
