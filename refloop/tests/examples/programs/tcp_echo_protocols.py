"""An echo server and its client, by protocols.

Prints:
    connection from ('127.0.0.1', *)
    server received: 'Hello World!'
    client received: 'Hello World!'
    the server closed the connection
"""

from __future__ import annotations

from typing import Any

import refloop as asyncio


class EchoServerProtocol(asyncio.Protocol):
    """Sends back what comes first and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        print("connection from", transport.get_extra_info("peername"))
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        print(f"server received: {data.decode()!r}")
        self.transport.write(data)
        self.transport.close()


class EchoClientProtocol(asyncio.Protocol):
    """Sends a message and prints what comes back."""

    def __init__(self, message: str, lost: asyncio.Future[bool]) -> None:
        self.message = message
        self.lost = lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self.message.encode())

    def data_received(self, data: bytes) -> None:
        print(f"client received: {data.decode()!r}")

    def connection_lost(self, exc: Exception | None) -> None:
        assert exc is None
        print("the server closed the connection")
        self.lost.set_result(True)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(EchoServerProtocol, "127.0.0.1", 0)
    async with server:
        lost: Any = loop.create_future()
        port = server.sockets[0].getsockname()[1]
        transport, _ = await loop.create_connection(lambda: EchoClientProtocol("Hello World!", lost), "127.0.0.1", port)
        try:
            await lost
        finally:
            transport.close()


asyncio.run(main())
