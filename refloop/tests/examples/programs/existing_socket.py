"""A protocol is put on a socket that is there already.

Prints:
    received: abc
    the socket is the same: True
"""

from __future__ import annotations

import socket
from typing import Any

import refloop as asyncio


class Receiver(asyncio.Protocol):
    """Prints what comes and closes."""

    def __init__(self, lost: asyncio.Future[None]) -> None:
        self.lost = lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        print("received:", data.decode())
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        assert exc is None
        self.lost.set_result(None)


async def main() -> None:
    near, far = socket.socketpair()
    number = near.fileno()
    loop = asyncio.get_running_loop()
    lost: Any = loop.create_future()
    transport, _ = await loop.create_connection(lambda: Receiver(lost), sock=near)
    same = transport.get_extra_info("socket").fileno() == number
    loop.call_soon(far.send, b"abc")
    await lost
    print("the socket is the same:", same)
    far.close()


asyncio.run(main())
