"""The writing end of a stream: writes never wait, `drain()` does."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from refloop.sleeping import sleep

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from refloop.identity import AbstractEventLoop
    from refloop.stream_protocol import StreamReaderProtocol
    from refloop.stream_reader import StreamReader


class StreamWriter:
    """What a program writes to; `open_connection()` and `start_server()` make these. Not thread-safe.

    Keeps: StreamWriter/accepts-documented-arguments, StreamWriter/exposes-transport-methods,
    open_connection/takes-ownership-of-sock.
    """

    def __init__(
        self, transport: Any, protocol: StreamReaderProtocol, reader: StreamReader | None, loop: AbstractEventLoop
    ) -> None:
        self._transport = transport
        self._protocol = protocol
        self._reader = reader
        self._loop = loop

    @property
    def transport(self) -> Any:
        """The transport beneath.

        Keeps: StreamWriter.transport/returns-underlying-transport.
        """
        return self._transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows under `name`; see `BaseTransport.get_extra_info()`.

        Keeps: StreamWriter.get_extra_info/returns-transport-info, StreamWriter.get_extra_info/accepts-name-and-default.
        """
        return self._transport.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data` as far as that is possible at once, and queue the rest, however much it is.

        Keeps: StreamWriter.write/passes-data-to-transport, StreamWriter.write/accepts-bytes-like,
        StreamWriter.write/not-flow-controlled, StreamWriter.write/sends-immediately-when-possible.
        """
        self._transport.write(data)

    def writelines(self, data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write each of `data`, any iterable, in order.

        Keeps: StreamWriter.writelines/accepts-any-iterable, StreamWriter.writelines/sends-immediately-when-possible.
        """
        self._transport.writelines(data)

    async def drain(self) -> None:
        """Wait, if the buffer has gone over its high mark, until it is down to the low mark; call it after writing.

        `ConnectionResetError`, or the connection's own error, when that is lost.

        Keeps: StreamWriter.drain/is-coroutine, StreamWriter.drain/skips-yield-below-mark,
        StreamWriter.drain/lets-loop-flush-data.
        """
        if self._reader is not None:
            error = self._reader.exception()
            if error is not None:
                raise error
        if self._transport.is_closing():
            # The loop has yet to tell the protocol: a program that only writes and drains would never hear of it.
            await sleep(0)
        await self._protocol.wait_until_writable()

    def can_write_eof(self) -> bool:
        """Return whether the transport supports `write_eof()`.

        Keeps: StreamWriter.can_write_eof/returns-transport-answer.
        """
        return bool(self._transport.can_write_eof())

    def write_eof(self) -> None:
        """Close the writing end once what was written has been sent; reading goes on.

        Keeps: StreamWriter.write_eof/closes-write-end-after-flush.
        """
        self._transport.write_eof()

    def close(self) -> None:
        """Close the stream and its socket once what was written has been sent.

        Keeps: StreamWriter.close/flushes-and-closes-socket.
        """
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the stream is closed or being closed.

        Keeps: StreamWriter.is_closing/returns-true-once-closing.
        """
        return bool(self._transport.is_closing())

    async def wait_closed(self) -> None:
        """Wait until the connection is closed, everything written before having been sent; call it after `close()`.

        Keeps: StreamWriter.wait_closed/is-coroutine, StreamWriter.wait_closed/waits-for-flush.
        """
        await self._protocol.wait_until_closed()

    async def start_tls(
        self,
        sslcontext: ssl.SSLContext,
        *,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        """Encrypt the connection from here on; this writer and its reader carry on.

        `server_hostname` is matched against the server's certificate; `ValueError` when the context demands that and it
        is missing; `ConnectionResetError` when the connection is closing. Timeouts in seconds: 60 for the handshake and
        30 for the shutdown, if they are None.

        Keeps: StreamWriter.start_tls/accepts-documented-arguments, StreamWriter.start_tls/upgrades-to-tls,
        StreamWriter.start_tls/rejects-missing-server-hostname, StreamWriter.start_tls/keeps-reader-and-writer,
        StreamWriter.start_tls/server-hostname-overrides-matched-name,
        StreamWriter.start_tls/handshake-aborts-after-sixty-seconds,
        StreamWriter.start_tls/shutdown-aborts-after-thirty-seconds.
        """
        serves = self._protocol.serves
        if not serves and sslcontext.check_hostname and not server_hostname:
            raise ValueError("start_tls() needs server_hostname when the context checks host names")
        await self.drain()
        transport = await self._loop.start_tls(
            self._transport,
            self._protocol,
            sslcontext,
            server_side=serves,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        if transport is None:
            raise ConnectionResetError("The connection is closing, so that TLS cannot begin on it")
        self._transport = transport
        self._protocol.replace_transport(transport)

    def __del__(self) -> None:
        """Close what its owner forgot, with a `ResourceWarning`.

        Keeps: StreamWriter/warns-when-collected-open.
        """
        transport = getattr(self, "_transport", None)
        if transport is None or transport.is_closing():
            return
        if self._loop.is_closed():
            warnings.warn("loop is closed", ResourceWarning, stacklevel=2)
        else:
            self.close()
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)

    def __repr__(self) -> str:
        return f"<StreamWriter transport={self._transport!r} reader={self._reader!r}>"
