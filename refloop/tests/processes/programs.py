"""The programs that tests start, and a protocol that remembers."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

# Without site packages and environment, it starts sooner.
PYTHON = [sys.executable, "-I", "-S", "-c"]

# Prints a line when it has got ready, and lives until its input ends.
UNTIL_EOF = "import sys; print('ready', flush=True); sys.stdin.read()"

# Lives until it is killed.
FOREVER = "import signal\nwhile True: signal.pause()"

# Gives back what it gets.
ECHO = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"


class Recorder(asyncio.SubprocessProtocol):
    """Remembers its callbacks, and says when some have come."""

    def __init__(self, loop: Any) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.transport: Any = None
        self.exited = loop.create_future()
        self.lost = loop.create_future()
        self.data: dict[int, bytes] = {1: b"", 2: b""}
        self._loop = loop
        self._expected: list[tuple[int, bytes, Any]] = []

    def connection_made(self, transport: Any) -> None:
        self.calls.append(("connection_made",))
        self.transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.calls.append(("pipe_data_received", fd, data))
        self.data[fd] += data
        for wanted_fd, wanted, waiter in self._expected:
            if wanted in self.data[wanted_fd] and not waiter.done():
                waiter.set_result(None)

    def pipe_connection_lost(self, fd: int, exc: BaseException | None) -> None:
        self.calls.append(("pipe_connection_lost", fd, exc))

    def process_exited(self) -> None:
        self.calls.append(("process_exited",))
        self.exited.set_result(None)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append(("connection_lost", exc))
        self.lost.set_result(None)

    async def received(self, fd: int, data: bytes) -> None:
        """Wait until the child has written this."""
        waiter = self._loop.create_future()
        self._expected.append((fd, data, waiter))
        if data not in self.data[fd]:
            await waiter

    def named(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of the callbacks of that name."""
        return [call[1:] for call in self.calls if call[0] == name]
