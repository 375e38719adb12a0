"""Streams: connections and servers whose ends are a reader and a writer.

`stream_reader` and `stream_writer` hold the two ends; `stream_protocol` ties them to a transport.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from refloop.identity import get_running_loop
from refloop.stream_protocol import StreamReaderProtocol
from refloop.stream_reader import DEFAULT_LIMIT, StreamReader
from refloop.stream_writer import StreamWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from refloop.identity import AbstractEventLoop, AbstractServer

    ClientConnected = Callable[[StreamReader, StreamWriter], Any]


async def open_connection(
    host: Any = None, port: Any = None, *, limit: int = DEFAULT_LIMIT, **kwds: Any
) -> tuple[StreamReader, StreamWriter]:
    """Connect by TCP, and return a reader with the given buffer `limit` in bytes, and a writer.

    All other keywords go to `loop.create_connection()`: `ssl`, `sock`, `server_hostname`, `happy_eyeballs_delay` ...

    Keeps: open_connection/accepts-documented-arguments, open_connection/returns-reader-writer-pair,
    open_connection/passes-arguments-through, open_connection/accepts-ssl-handshake-timeout-keyword,
    open_connection/accepts-happy-eyeballs-keywords, open_connection/accepts-ssl-shutdown-timeout-keyword,
    explicit-loop-argument-streams/rejects-loop-keyword.
    """
    loop = get_running_loop()
    protocol, reader = _client_end(limit, loop)
    transport, _ = await loop.create_connection(lambda: protocol, host, port, **kwds)
    return reader, StreamWriter(transport, protocol, reader, loop)


async def start_server(
    client_connected_cb: ClientConnected,
    host: Any = None,
    port: Any = None,
    *,
    limit: int = DEFAULT_LIMIT,
    **kwds: Any,
) -> AbstractServer:
    """Serve TCP: call `client_connected_cb(reader, writer)` for every connection; return the server.

    The callback is a plain function or a coroutine function, which runs as a task. `limit` is the readers', in bytes.
    All other keywords go to `loop.create_server()`: `ssl`, `sock`, `backlog`, `start_serving`, `keep_alive` ...

    Keeps: start_server/accepts-documented-arguments, start_server/returns-server,
    start_server/accepts-handshake-and-serving-keywords, start_server/accepts-ssl-shutdown-timeout-keyword,
    start_server/accepts-keep-alive-keyword, start_server/takes-ownership-of-sock.
    """
    loop = get_running_loop()
    return await loop.create_server(lambda: _server_end(client_connected_cb, limit, loop), host, port, **kwds)


if hasattr(socket, "AF_UNIX"):

    async def open_unix_connection(
        path: str | bytes | PathLike[str] | None = None, *, limit: int = DEFAULT_LIMIT, **kwds: Any
    ) -> tuple[StreamReader, StreamWriter]:
        """Like `open_connection()`, to the Unix socket at `path`, by `loop.create_unix_connection()`.

        Keeps: open_unix_connection/accepts-documented-arguments, open_unix_connection/returns-reader-writer-pair,
        open_unix_connection/accepts-path-like, open_unix_connection/accepts-ssl-handshake-timeout-keyword,
        open_unix_connection/accepts-ssl-shutdown-timeout-keyword, open_unix_connection/takes-ownership-of-sock.
        """
        loop = get_running_loop()
        protocol, reader = _client_end(limit, loop)
        transport, _ = await loop.create_unix_connection(lambda: protocol, path, **kwds)  # type: ignore[arg-type]
        return reader, StreamWriter(transport, protocol, reader, loop)

    async def start_unix_server(
        client_connected_cb: ClientConnected,
        path: str | bytes | PathLike[str] | None = None,
        *,
        limit: int = DEFAULT_LIMIT,
        **kwds: Any,
    ) -> AbstractServer:
        """Like `start_server()`, on the Unix socket at `path`, by `loop.create_unix_server()`.

        Keeps: start_unix_server/accepts-documented-arguments, start_unix_server/calls-callback-per-connection,
        start_unix_server/accepts-path-like, start_unix_server/accepts-handshake-and-serving-keywords,
        start_unix_server/accepts-ssl-shutdown-timeout-keyword, start_unix_server/accepts-cleanup-socket-keyword,
        start_unix_server/removes-socket-file-on-close, start_unix_server/takes-ownership-of-sock.
        """
        loop = get_running_loop()
        return await loop.create_unix_server(
            lambda: _server_end(client_connected_cb, limit, loop),
            path,  # type: ignore[arg-type]
            **kwds,
        )


def _client_end(limit: int, loop: AbstractEventLoop) -> tuple[StreamReaderProtocol, StreamReader]:
    reader = StreamReader(limit, loop)
    return StreamReaderProtocol(reader, loop=loop), reader


def _server_end(client_connected: ClientConnected, limit: int, loop: AbstractEventLoop) -> StreamReaderProtocol:
    return StreamReaderProtocol(StreamReader(limit, loop), client_connected, loop)
