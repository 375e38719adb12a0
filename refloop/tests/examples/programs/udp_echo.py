"""An echo server and its client, by datagrams.

Prints:
    send: Hello World!
    server received 'Hello World!'
    received: Hello World!
    connection closed
"""

from __future__ import annotations

from typing import Any

import refloop as asyncio


class EchoServerProtocol(asyncio.DatagramProtocol):
    """Sends datagrams back."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        print(f"server received {data.decode()!r}")
        self.transport.sendto(data, addr)


class EchoClientProtocol(asyncio.DatagramProtocol):
    """Sends a message and closes when it comes back."""

    def __init__(self, message: str, lost: asyncio.Future[None]) -> None:
        self.message = message
        self.lost = lost

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        print("send:", self.message)
        transport.sendto(self.message.encode())

    def datagram_received(self, data: bytes, addr: Any) -> None:
        del addr
        print("received:", data.decode())
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        assert exc is None
        print("connection closed")
        self.lost.set_result(None)


async def main() -> None:
    loop = asyncio.get_running_loop()
    lost: Any = loop.create_future()
    server, _ = await loop.create_datagram_endpoint(EchoServerProtocol, local_addr=("127.0.0.1", 0))
    try:
        await loop.create_datagram_endpoint(
            lambda: EchoClientProtocol("Hello World!", lost), remote_addr=server.get_extra_info("sockname")
        )
        await lost
    finally:
        server.close()


asyncio.run(main())
