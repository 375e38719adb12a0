"""Streams wait for the data of a socket that is there already.

Prints:
    received: abc
"""

from __future__ import annotations

import socket

import refloop as asyncio


async def main() -> None:
    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=near)
    asyncio.get_running_loop().call_soon(far.send, b"abc")
    print("received:", (await reader.read(100)).decode())
    writer.close()
    await writer.wait_closed()
    far.close()


asyncio.run(main())
