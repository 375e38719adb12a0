"""The head of an HTTP response is read by streams, and the connection left when the headers end.

Prints:
    HTTP/1.0 200 OK
    Server: tiny
    Content-Type: text/plain
"""

from __future__ import annotations

import urllib.parse
from typing import Any

import refloop as asyncio


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    assert request.startswith(b"HEAD /page?x=1 HTTP/1.0\r\n")
    writer.write(b"HTTP/1.0 200 OK\r\nServer: tiny\r\nContent-Type: text/plain\r\n\r\n")
    writer.close()
    await writer.wait_closed()


async def print_headers(address: str) -> None:
    url = urllib.parse.urlsplit(address)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(f"HEAD {url.path}?{url.query} HTTP/1.0\r\nHost: {url.hostname}\r\n\r\n".encode("latin-1"))
    while line := (await reader.readline()).decode("latin-1").rstrip():
        print(line)
    writer.close()
    await writer.wait_closed()


async def main() -> None:
    server: Any = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        await print_headers(f"http://127.0.0.1:{port}/page?x=1")


asyncio.run(main())
