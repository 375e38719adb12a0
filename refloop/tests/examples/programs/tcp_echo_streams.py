"""An echo server and its client, by streams.

Prints:
    send: 'Hello World!'
    received 'Hello World!' from ('127.0.0.1', *)
    echo: 'Hello World!'
    closed
"""

from __future__ import annotations

from typing import Any

import refloop as asyncio


async def handle_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    data = await reader.read(100)
    print(f"received {data.decode()!r} from {writer.get_extra_info('peername')!r}")
    writer.write(data)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def send(message: str, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    print(f"send: {message!r}")
    writer.write(message.encode())
    await writer.drain()
    data = await reader.read()
    print(f"echo: {data.decode()!r}")
    writer.close()
    await writer.wait_closed()
    print("closed")


async def main() -> None:
    server: Any = await asyncio.start_server(handle_echo, "127.0.0.1", 0)
    async with server:
        serving = asyncio.create_task(server.serve_forever())
        await send("Hello World!", server.sockets[0].getsockname()[1])
        serving.cancel()


asyncio.run(main())
