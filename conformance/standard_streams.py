"""What the command says on standard output and standard error, either of which may fail at any time."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Any

from conformance.harness.interruption import Interrupted
from reports.text import one_line, reason

if TYPE_CHECKING:
    from conformance.harness.interruption import Interrupts

LONGEST_SENTENCE = 2_000
"""Characters of a sentence on standard error: the longest of our own lists every area; what a module says is cut."""

LONGEST_LOG = 4_000
"""Characters shown of a log or of the story of an error: some forty lines."""

FAILURES = (OSError, ValueError)
"""What a stream raises that fails, or was closed."""


class Output:
    """Standard output as a run writes to it: where it fails, the showing ends, not the run. Else it is the stream.

    A reader that has gone away, a full disk and a closed terminal fail; so does a reader that stopped reading, once the
    user asks a second time for an end.
    """

    def __init__(self, interrupts: Interrupts) -> None:
        # Where there is none, nobody wants to see anything.
        self._stream: Any = io.StringIO() if sys.stdout is None else sys.stdout
        self._interrupts = interrupts
        self.failure = ""
        """why nothing more is written; empty as long as all went well"""

    def write(self, text: str) -> int:
        """Write ``text``, unless the stream failed."""
        self._attempt(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        """Hand on what was written, unless the stream failed."""
        self._attempt(self._stream.flush)

    def _attempt(self, act: Any, *arguments: str) -> None:
        if self.failure:
            return
        try:
            with self._interrupts.raised_again():
                act(*arguments)
        except Interrupted:
            self._give_up("nobody read it")
        except OSError as problem:
            self._give_up(reason(problem))
        except ValueError as problem:
            self._give_up(one_line(str(problem)))

    def _give_up(self, why: str) -> None:
        self.failure = why
        silence(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def say(text: str, limit: int = LONGEST_SENTENCE) -> None:
    """Say ``text`` on standard error in one line of at most ``limit`` characters; where that fails, nobody listens."""
    say_lines(one_line(text, limit))


def say_lines(text: str) -> None:
    """Say ``text``, which is fit to be shown, on standard error."""
    if sys.stderr is None:
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except FAILURES:
        silence(sys.stderr)


def fill_gaps() -> None:
    """Open the standard descriptors that are closed: what the run opens would get their numbers, and pass for them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def silence(stream: Any) -> None:
    """Send what ``stream`` still holds, and all that follows, to nowhere: else the interpreter complains at its end."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except FAILURES:
        # It is no stream of the system's, or there is no descriptor left; nothing more can be done for it.
        return
