"""Child programs of a few words, ways to start them, and a protocol that remembers what it is told.

Every program ends by itself: when its input ends, or after ``A_WHILE``, so that a target that forgets its child leaves
nothing for good. What a child is, is no part of any promise, and there are hundreds: where there is a POSIX shell, it
runs those that its language has words for, in a tenth of the time; Python runs the others, and all where there is none.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from asyncio import SubprocessProtocol
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

# Without the environment's settings and without site packages, an interpreter starts several times as fast.
PYTHON = (sys.executable, "-I", "-S", "-c")

# What the shell programs here run besides the shell's own commands. On Windows, what has such a name is something else.
TOOLS = [None if sys.platform == "win32" else shutil.which(name) for name in ("sh", "cat", "dd", "sleep", "wc")]
SHELL = None if None in TOOLS else TOOLS[0]

# Longer than any case, and then the child ends.
A_WHILE = 60


class Program(NamedTuple):
    """What a child does, in Python and, if that has words for it, in the language of the shell."""

    python: str
    shell: str | None = None

    @property
    def line(self) -> tuple[str, ...]:
        """The words to run it with; arguments may follow."""
        if SHELL is None or self.shell is None:
            return *PYTHON, self.python
        return SHELL, "-c", self.shell, "sh"

    @property
    def command(self) -> str:
        """The command to run it with, for the system's shell."""
        if SHELL is None or self.shell is None:
            return subprocess.list2cmdline([*PYTHON, self.python])
        return self.shell


def ends_with(code: int) -> Program:
    """Ends at once, with that exit status."""
    return Program(f"raise SystemExit({code})", f"exit {code}")


def until_eof(code: int = 0) -> Program:
    """Says that it has got ready, and lives until its input ends; then that is its exit status."""
    return Program(
        f"import sys; print('ready', flush=True); sys.stdin.buffer.read(); sys.exit({code})",
        f"echo ready; while read -r line; do :; done; exit {code}",
    )


def prints(text: str) -> Program:
    """Writes ``text`` to its standard output."""
    return Program(f"import sys; sys.stdout.write({text!r})", f"printf %s {shlex.quote(text)}")


def prints_error(text: str) -> Program:
    """Writes ``text`` to its standard error."""
    return Program(f"import sys; sys.stderr.write({text!r})", f"printf %s {shlex.quote(text)} >&2")


NOTHING = ends_with(0)
UNTIL_EOF = until_eof()
# The same, and nothing but SIGKILL ends it before.
STUBBORN = Program(
    f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {UNTIL_EOF.python}",
    f"trap '' TERM; {UNTIL_EOF.shell}",
)
# Lives for a while, whatever happens to its streams.
LONG_LIVED = Program(f"import time; time.sleep({A_WHILE})", f"exec sleep {A_WHILE}")
# Gives back what it gets, as it comes, until its input ends.
ECHO = Program("import os\nwhile data := os.read(0, 65536):\n while data: data = data[os.write(1, data):]", "exec cat")
# Says a word on each of its output streams.
OUT_AND_ERR = Program("import os; os.write(1, b'out'); os.write(2, b'err')", "printf out; printf err >&2")
# Says which process it is.
OWN_PID = Program("import os; print(os.getpid(), end='')", "printf %s $$")
# Says in which folder it is, and what the variable WORD says.
FOLDER_AND_WORD = Program(
    "import os; print(os.getcwd(), os.environ['WORD'], end='')", """printf '%s %s' "$(pwd -P)" "$WORD\""""
)
# When it gets a line it ends; its own child has the pipes as well, and echoes until its input ends. (The shell gives a
# child in the background another input, unless it is told to give it this one.)
LEAVES_A_GRANDCHILD = Program(
    f"import os, subprocess; os.read(0, 1); subprocess.Popen([*{PYTHON!r}, {ECHO.python!r}]); os._exit(5)",
    "read -r line; exec 3<&0; cat <&3 3<&- & exit 5",
)
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


def line_of(program: str | Program) -> tuple[str, ...]:
    return program.line if isinstance(program, Program) else Program(program).line


async def spawn(loop: Any, program: str | Program, *args: Any, **options: Any) -> tuple[Any, Recorder]:
    """Run a program, text is one in Python, by ``loop.subprocess_exec()`` with a `Recorder`; its transport and that."""
    line = *line_of(program), *args
    transport, protocol = await loop.subprocess_exec(lambda: Recorder(loop), *line, **options)
    return transport, protocol


async def start(aio: Any, program: str | Program, *args: Any, **options: Any) -> Any:
    """Run a program, text is one in Python, by ``create_subprocess_exec()``."""
    return await aio.create_subprocess_exec(*line_of(program), *args, **options)


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
