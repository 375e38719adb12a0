"""Child programs of a few words, ways to start them, and a protocol that remembers what it is told.

Every program ends by itself: when its input ends, or after ``A_WHILE``, so that a target that forgets its child leaves
nothing for good. They are Python, because no other program is on every system.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from asyncio import SubprocessProtocol
from typing import TYPE_CHECKING, Any

from conformance.support.waiting import GENEROUS, wait_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

# Without the environment's settings and without site packages, an interpreter starts several times as fast.
PYTHON = (sys.executable, "-I", "-S", "-c")

# Longer than any case, and then the child ends.
A_WHILE = 60

# Says that it has got ready, and lives until its input ends.
UNTIL_EOF = "import sys; print('ready', flush=True); sys.stdin.buffer.read()"
# The same, and nothing but SIGKILL ends it before.
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {UNTIL_EOF}"
# Lives for a while, whatever happens to its streams.
LONG_LIVED = f"import time; time.sleep({A_WHILE})"
# Gives back what it gets, as it comes, until its input ends.
ECHO = "import os\nwhile data := os.read(0, 65536):\n while data: data = data[os.write(1, data):]"
# More than a pipe holds, also one that was made as large as an ordinary user may.
MORE_THAN_A_PIPE_HOLDS = 3 * 1024 * 1024


class Recorder(SubprocessProtocol):
    """Remembers its callbacks in order, and lets a case wait for what they have brought."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.output: dict[int, bytes] = {1: b"", 2: b""}
        self.transport: Any = None
        self._loop = loop
        self._awaited: list[tuple[Callable[[], bool], Any]] = []

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        for condition, future in self._awaited:
            if not future.done() and condition():
                future.set_result(None)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._note("connection_made", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.output[fd] = self.output.get(fd, b"") + data
        self._note("pipe_data_received", fd, data)

    def pipe_connection_lost(self, fd: int, exc: BaseException | None) -> None:
        self._note("pipe_connection_lost", fd, exc)

    def process_exited(self) -> None:
        self._note("process_exited")

    def connection_lost(self, exc: BaseException | None) -> None:
        self._note("connection_lost", exc)

    def names(self) -> list[str]:
        """The names of the callbacks, in order."""
        return [str(call[0]) for call in self.calls]

    def told(self, name: str) -> list[tuple[Any, ...]]:
        """The arguments of each call of that callback."""
        return [call[1:] for call in self.calls if call[0] == name]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition()`` holds after a callback; fail after ``GENEROUS`` seconds, or at the end without it.

        Once ``connection_lost()`` has been called, nothing can come any more.
        """
        if condition():
            return
        future = self._loop.create_future()
        self._awaited.append((lambda: condition() or "connection_lost" in self.names(), future))

        def give_up() -> None:
            if not future.done():
                future.set_result(None)

        bound = self._loop.call_later(GENEROUS, give_up)
        await future
        bound.cancel()
        assert condition(), f"it never came true; the callbacks were {self.names()}"

    async def has_read(self, data: bytes, fd: int = 1) -> None:
        """Wait until the child has written ``data``."""
        await self.until(lambda: data in self.output[fd])

    async def hears(self, name: str) -> None:
        """Wait for that callback."""
        await self.until(lambda: name in self.names())


async def spawn(loop: Any, program: str, *args: Any, **options: Any) -> tuple[Any, Recorder]:
    """Run a Python program by ``loop.subprocess_exec()`` with a `Recorder`; its transport and the recorder."""
    transport, protocol = await loop.subprocess_exec(lambda: Recorder(loop), *PYTHON, program, *args, **options)
    return transport, protocol


async def start(aio: Any, program: str, *args: Any, **options: Any) -> Any:
    """Run a Python program by ``create_subprocess_exec()``."""
    return await aio.create_subprocess_exec(*PYTHON, program, *args, **options)


async def end(transport: Any, protocol: Recorder) -> None:
    """Wait for the end of a child that ends by itself, and of its pipes; close its transport."""
    await protocol.hears("connection_lost")
    transport.close()


def is_child(pid: int) -> bool:
    """Whether it is a child of this process that nobody has reaped, zombie or not."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def reaped_after_kill(pid: int) -> bool:
    """Wait until the child is gone, and whether SIGKILL has ended it, as far as that is known.

    A zombie is reaped here. Where somebody else has reaped the child, its end is all that is known.
    """
    ended: list[int] = []

    def gone() -> bool:
        gc.collect()
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return True
        ended.extend([os.waitstatus_to_exitcode(status)] if found else [])
        return bool(found)

    try:
        wait_until(gone)
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        raise
    return ended in ([], [-9])
