"""What ends a run from outside: Ctrl-C, and the signals by which terminals, users and systems ask a program to end.

A signal is remembered, and only raised where the run waits: nothing that has just begun is left half done. What follows
the first one is remembered at most, so that a second Ctrl-C does not cost the report that the first one asked for.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
"""The signals that ask a program to end, and leave it the time to."""

DEAF_BY_WISH = ("SIGHUP",)
"""Signals that stay ignored where they were: `nohup` asks for it. (That a shell ignores SIGINT and SIGQUIT in every job
with an ``&`` nobody asks for.)"""


class Interrupted(Exception):
    """The user or the system asked the run to stop."""


class Interrupts:
    """Context manager in which those signals end the run at its next rest instead of the process at once.

    Only the main thread can have it so; in any other, nothing changes.
    """

    def __init__(self) -> None:
        self.first = ""
        """the name of the first signal that came; empty as long as none did"""
        self._raises = self._only_again = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        for name in NAMES:
            number = getattr(signal, name, None)
            if number is None or (name in DEAF_BY_WISH and signal.getsignal(number) is signal.SIG_IGN):
                continue
            self._previous[number] = signal.signal(number, self._heed)
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in self._previous.items():
            # None stands for a handler that no Python installed, which cannot be put back.
            signal.signal(number, signal.SIG_DFL if previous is None else previous)

    def _heed(self, number: int, _frame: object) -> None:
        again = bool(self.first)
        self.first = self.first or signal.Signals(number).name
        if self._raises and (again or not self._only_again):
            self._raises = False
            raise Interrupted

    def check(self) -> None:
        """Raise Interrupted if a signal came."""
        if self.first:
            raise Interrupted

    def rest(self, seconds: float) -> None:
        """Sleep; raise Interrupted if a signal came, or as soon as one comes."""
        with self.raised():
            time.sleep(seconds)

    @contextlib.contextmanager
    def raised(self) -> Iterator[None]:
        """Raise Interrupted if a signal came, or as soon as one comes: around what waits and may be left half done."""
        self._raises, self._only_again = True, False
        try:
            self.check()
            yield
        finally:
            self._raises = False

    @contextlib.contextmanager
    def raised_again(self) -> Iterator[None]:
        """Raise Interrupted when a signal comes that is not the first: around what ends by itself as a rule."""
        self._raises = self._only_again = True
        try:
            yield
        finally:
            self._raises = False

    def ignore_all(self) -> None:
        """Ignore them from now on: the process is about to end in its own way."""
        for number in self._previous:
            signal.signal(number, signal.SIG_IGN)
        self._previous.clear()
