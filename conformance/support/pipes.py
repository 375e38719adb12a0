"""Both ends of what a pipe transport may be given: a pipe, a FIFO, a pair of sockets, a terminal.

The end for the target is an object with ``fileno()`` and ``close()``; the other end is a plain blocking descriptor.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 64 * 1024

WRITE_METHODS = (
    "abort",
    "can_write_eof",
    "get_write_buffer_limits",
    "get_write_buffer_size",
    "set_write_buffer_limits",
    "write",
    "write_eof",
    "writelines",
)
READ_METHODS = ("is_reading", "pause_reading", "resume_reading")
BASE_METHODS = ("close", "get_extra_info", "get_protocol", "is_closing", "set_protocol")


class Ends:
    """``ours`` is for the target, ``theirs`` the descriptor of the other end."""

    def __init__(self, ours: Any, theirs: int, after: Callable[[], object] | None = None) -> None:
        self.ours = ours
        self.theirs = theirs
        self._after = after
        self._open = True

    def write(self, data: bytes) -> None:
        """Write all of ``data`` at the other end, which takes as long as it takes."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.theirs, view) :]

    def write_all(self, data: bytes) -> None:
        """Write all of ``data`` at the other end, and close it."""
        self.write(data)
        self.close_theirs()

    def read(self, number: int) -> bytes:
        """Read ``number`` bytes at the other end, fewer if it ends before."""
        received = bytearray()
        while len(received) < number and (data := os.read(self.theirs, min(CHUNK, number - len(received)))):
            received += data
        return bytes(received)

    def read_until_eof(self) -> bytes:
        """Read at the other end until there is no more."""
        return self.read(sys.maxsize)

    def close_theirs(self) -> None:
        """Close the other end."""
        if self._open:
            self._open = False
            os.close(self.theirs)

    def clean_up(self) -> None:
        """Close what is still open."""
        self.close_theirs()
        with suppress(OSError):
            self.ours.close()
        if self._after is not None:
            self._after()


def pipe(*, reading: bool) -> Ends:
    """A pipe of the system; ``reading``: the target reads from it."""
    read_end, write_end = os.pipe()
    return _ends(read_end, write_end, reading=reading)


def fifo(*, reading: bool) -> Ends:
    """A FIFO, which is a pipe with a name."""
    folder = tempfile.mkdtemp(prefix="conformance-")
    path = Path(folder) / "fifo"
    os.mkfifo(path)
    # Each end waits for the other to be opened, except this one.
    read_end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_end = os.open(path, os.O_WRONLY)
    os.set_blocking(read_end, True)
    return _ends(read_end, write_end, reading=reading, after=lambda: shutil.rmtree(folder))


def socket_ends(*, reading: bool) -> Ends:
    """A pair of connected sockets, in which ``reading`` makes no difference."""
    del reading
    ours, theirs = socket.socketpair()
    return Ends(ours, theirs.detach())


def terminal(*, reading: bool) -> Ends:
    """A pseudo-terminal in raw mode, the target at the program's end."""
    import tty

    controller, terminal_end = os.openpty()
    # Raw, so that it neither shows what is typed nor waits for whole lines.
    tty.setraw(terminal_end)
    return Ends(open(terminal_end, "rb" if reading else "wb", 0), controller)  # noqa: PTH123 - a descriptor


def _ends(read_end: int, write_end: int, *, reading: bool, after: Callable[[], object] | None = None) -> Ends:
    ours, theirs = (read_end, write_end) if reading else (write_end, read_end)
    return Ends(open(ours, "rb" if reading else "wb", 0), theirs, after)  # noqa: PTH123 - a descriptor


KINDS: dict[str, Callable[..., Ends]] = {"pipe": pipe, "fifo": fifo, "socket": socket_ends, "terminal": terminal}
"""By name; only the first three end for the reader when the writer closes."""


def lacks(transport: Any, *methods: tuple[str, ...]) -> list[str]:
    """The methods that ``transport`` does not have."""
    return [name for names in methods for name in names if not callable(getattr(transport, name, None))]
