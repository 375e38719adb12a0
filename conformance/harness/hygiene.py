"""Leak checks from outside: what a case leaves behind is a finding of its area's ``hygiene/…`` requirements.

Looks only, unless something differs; then it waits a little, because closing may finish in another thread.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from conformance.harness import orphans
from conformance.harness.state import ProcessState
from conformance.harness.surroundings import MOST_DATA, Memory, is_crowded

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

DESCRIPTORS = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"

SETTLE = 0.5
"""Seconds that descriptors, threads and children get to go away after the loop was closed."""
SETTLE_LATER = 0.02
"""The same once a worker has seen ``PATIENCE`` leaks: a target that always leaks must not cost half a second a case."""
PATIENCE = 5
REST = 0.002


@frozen
class Finding:
    """Something that a case left behind: ``kind`` names the requirement ``hygiene/<kind>``."""

    kind: str
    message: str


class ErrorLog(logging.Handler):
    """The errors that the default exception handler logs while nobody listens for them."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@frozen
class Snapshot:
    """What the process holds before a case."""

    descriptors: frozenset[int]
    threads: frozenset[int | None]
    children: frozenset[int]
    caught: warnings.catch_warnings[Any]
    recorded: list[warnings.WarningMessage]


class Hygiene:
    """Takes a snapshot before each case and compares after it; one per process."""

    def __init__(self, most_memory: int = MOST_DATA) -> None:
        """``most_memory``: bytes that the process may gain before it is spent."""
        self._most_memory = most_memory
        self._leaks = 0
        self._before: Snapshot | None = None
        self._untidy = False
        self._open = self._at_first = descriptors()
        self._memory_at_first = Memory.now()
        self.is_spent = False
        """whether the next case should get another process: this one lacks what innocent cases need"""
        self._unraisable: list[str] = []
        self.errors = ErrorLog()
        logging.getLogger("asyncio").addHandler(self.errors)
        sys.unraisablehook = self._note
        self._state = ProcessState.now()

    def _note(self, unraisable: Any) -> None:
        self._unraisable.append(f"{unraisable.err_msg or 'exception ignored'}: {unraisable.exc_value!r}")

    def begin(self) -> None:
        """Before the fixtures of a case."""
        if self._untidy:
            clear_away_failure()
            self._open = descriptors()
        caught = warnings.catch_warnings(record=True)
        recorded = caught.__enter__()
        # An empty list, which fills as warnings come in.
        assert recorded is not None
        warnings.simplefilter("always")
        self.errors.messages.clear()
        self._unraisable.clear()
        self._before = Snapshot(self._open, threads(), children(), caught, recorded)

    def end(self, *, judge: bool) -> list[Finding]:
        """After the fixtures of a case; ``judge`` is false for a case that did not pass: its mess proves nothing."""
        before, self._before = self._before, None
        if before is None:
            return []
        self._untidy = not judge
        collect()
        changed, spent = self._state.restore()
        findings = [Finding("process-state", text) for text in changed]
        findings += [Finding("unraisable", text) for text in self._unraisable]
        findings += [Finding("exception-handler", text) for text in self.errors.messages]
        findings += [
            Finding("resource-warnings", str(warning.message))
            for warning in before.recorded
            if issubclass(warning.category, ResourceWarning)
        ]
        findings += self._leftovers(before)
        self.is_spent = spent or is_crowded(
            len(self._open) - len(self._at_first), self._memory_at_first, self._most_memory
        )
        before.caught.__exit__(None, None, None)
        if judge:
            keep_out_of_sight()
        return findings if judge else []

    def _leftovers(self, before: Snapshot) -> list[Finding]:
        def clean() -> bool:
            self._open = descriptors(before.descriptors)
            return self._open <= before.descriptors and threads() <= before.threads and children() <= before.children

        if clean():
            return []
        deadline = time.monotonic() + (SETTLE if self._leaks < PATIENCE else SETTLE_LATER)
        while time.monotonic() < deadline:
            time.sleep(REST)
            collect()
            if clean():
                return []
        self._leaks += 1
        findings = []
        if left := self._open - before.descriptors:
            names = ", ".join(sorted(describe_descriptor(number) for number in left))
            findings.append(Finding("descriptors", f"open descriptors: {names}"))
        if stray := threads() - before.threads:
            names = ", ".join(sorted(t.name for t in threading.enumerate() if t.ident in stray))
            findings.append(Finding("threads", f"live threads: {names}"))
        if orphans := children() - before.children:
            findings.append(Finding("children", f"child processes not reaped: {len(orphans)}"))
        return findings


def pending_tasks(aio: Any, loop: AbstractEventLoop) -> list[Finding]:
    """The tasks of ``loop`` that are not done after a case."""
    try:
        tasks = aio.all_tasks(loop)
        if tasks:
            # What only waits for the garbage collector is not left behind.
            del tasks
            collect()
            tasks = aio.all_tasks(loop)
    except RuntimeError:
        return []
    return [Finding("pending-tasks", f"pending: {task!r}") for task in tasks]


def collect() -> None:
    """Let the garbage go, also that which only its own destructors make garbage."""
    for _ in range(1 if sys.implementation.name == "cpython" else 3):
        gc.collect()


def clear_away_failure() -> None:
    """Let go of what a failed case held: pytest keeps its exception, and so its frames, until the next case runs.

    What a destructor says of it then would be counted against that case.
    """
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        vars(sys).pop(name, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collect()
    keep_out_of_sight()


def keep_out_of_sight() -> None:
    """Spare the next collections what is alive now, after a collection: pytest, the suite, what earlier cases left.

    A collection goes through all that it sees, so without this each case would pay for all before it. What is alive
    here was judged already; and the frames of a failed case, which pytest holds on to, are let go of before.
    """
    if hasattr(gc, "freeze"):
        gc.freeze()


def descriptors(expected: frozenset[int] = frozenset()) -> frozenset[int]:
    """The numbers of the open descriptors; found sooner where they are the ``expected`` ones."""
    try:
        numbers = frozenset(map(int, os.listdir(DESCRIPTORS)))  # noqa: PTH208 - paths cost more, twice per case
    except OSError:
        return frozenset()
    # The listing shows the descriptor that it reads the folder with, which is closed by now.
    if len(numbers) == len(expected) + 1 and expected < numbers and not any(map(_is_open, numbers - expected)):
        return expected
    return frozenset(filter(_is_open, numbers))


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def describe_descriptor(number: int) -> str:
    """What a descriptor points to, as the kernel names it."""
    try:
        return f"{number} ({Path(DESCRIPTORS, str(number)).readlink()})"
    except OSError:
        return str(number)


def threads() -> frozenset[int | None]:
    """The identities of the live threads that Python knows."""
    return frozenset(thread.ident for thread in threading.enumerate())


def children() -> frozenset[int]:
    """The process ids of the children that exist or wait to be reaped."""
    if not hasattr(os, "waitid"):
        return frozenset()
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return frozenset()
    return frozenset(orphans.children())
