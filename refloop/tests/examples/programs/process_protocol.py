"""A child process is read by a protocol.

Prints:
    the child says: hello
    exit code: 0
"""

from __future__ import annotations

from typing import Any

import refloop as asyncio


class OutputProtocol(asyncio.SubprocessProtocol):
    """Collects what the child prints."""

    def __init__(self, ended: asyncio.Future[None]) -> None:
        self.ended = ended
        self.output = bytearray()
        self.pipe_closed = False
        self.exited = False

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        assert fd == 1
        self.output.extend(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        del fd, exc
        self.pipe_closed = True
        self.end()

    def process_exited(self) -> None:
        # It may come before the last of the output.
        self.exited = True
        self.end()

    def end(self) -> None:
        if self.pipe_closed and self.exited:
            self.ended.set_result(None)


async def main() -> None:
    loop = asyncio.get_running_loop()
    ended: Any = loop.create_future()
    transport, protocol = await loop.subprocess_exec(
        lambda: OutputProtocol(ended), "echo", "hello", stdin=None, stderr=None
    )
    await ended
    print("the child says:", protocol.output.decode().rstrip())
    print("exit code:", transport.get_returncode())
    transport.close()


asyncio.run(main())
