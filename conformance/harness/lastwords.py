"""What only Python can tell of a case that went on for too long: which tasks are pending, and where each waits.

`faulthandler` sees threads, not tasks, and an ``async def`` case that waits for what never comes is in no thread's
stack. So a worker that is overdue is asked first, by a signal that nobody else uses, and only ended some time later.
Where its main thread comes to run Python it writes everything down and ends itself; where it does not - the GIL is
held, the signal blocked, the handler replaced - nothing happens, and the worker is ended as if it had not been asked.

A case that is not overdue notices nothing. One that is gets no chance to go on: its verdict was certain before.
"""

from __future__ import annotations

import faulthandler
import os
import re
import signal
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator
    from pathlib import Path

    from conformance.harness.outcome import CaseState

ASKED: int | None = getattr(signal, "SIGWINCH", None)
"""Asks an overdue worker for its last words. No case and no loop has a use for it, `conformance.harness.state` looks
away from it, and where a target put its handler back to the default, it is ignored."""

OVERTIME = 1.0
"""Seconds that an overdue worker gets to answer: it needs milliseconds, unless the machine is busy."""

HANG = "Timeout ({:g} s)!"
"""How last words begin, as `faulthandler` begins when it ends a process itself."""

MOST_TASKS = 20
"""Tasks told of; a thousand that wait for the same thing tell no more."""
DEEPEST = 50
"""Awaits told of each; whoever recurs does so in the innermost ones, too."""
LONGEST_REPR = 300

NUMBERS = re.compile(r"(\d+)")


class LastWords:
    """The answer of one process, kept ready while a case runs."""

    def __init__(self, trace: Path) -> None:
        """``trace``: the file that what is told is added to."""
        self._trace = trace
        self._process = 0
        self._budget = 0.0
        self._deadline: float | None = None
        self._case: CaseState | None = None

    def prepare(self, budget: float, case: CaseState | None) -> None:
        """A case begins: from ``budget`` seconds on, it may be asked."""
        self._process, self._budget, self._case = os.getpid(), budget, case
        self._deadline = monotonic() + budget
        if ASKED is not None:
            signal.signal(ASKED, self._answer)

    def forget(self) -> None:
        """The case is over."""
        self._deadline = self._case = None

    def _answer(self, _number: int, _frame: object) -> None:
        # A fork inherits the handler, and anybody may send the signal.
        if self._deadline is None or monotonic() < self._deadline or os.getpid() != self._process:
            return
        self._deadline = None
        try:
            # A descriptor of its own: the target may have closed, or written into, any that was open.
            trace = os.open(self._trace, os.O_WRONLY | os.O_APPEND)
            _write(trace, HANG.format(self._budget))
        except BaseException:
            return
        try:
            for text in pending(self._loops(), self._namespaces()):
                _write(trace, text)
        except BaseException:
            # Whatever the target's tasks do when they are looked at, the threads' stacks are still there.
            pass
        finally:
            try:
                faulthandler.dump_traceback(trace, all_threads=True)
            finally:
                os._exit(1)

    def _loops(self) -> Iterator[AbstractEventLoop]:
        # Imported where cases run, and by no other process that loads this module.
        import asyncio

        running = asyncio._get_running_loop()
        own = None if self._case is None else self._case.loop
        if running is not None:
            yield running
        if own is not None and own is not running:
            yield own

    def _namespaces(self) -> tuple[Any, ...]:
        import asyncio

        own = None if self._case is None else self._case.namespace
        return (asyncio,) if own is None or own is asyncio else (own, asyncio)


def _write(trace: int, text: str) -> None:
    os.write(trace, f"{text}\n".encode(errors="backslashreplace"))


def pending(loops: Iterator[AbstractEventLoop], namespaces: tuple[Any, ...]) -> Iterator[str]:
    """The await stack of each pending task of ``loops`` that any of the namespaces knows, as `faulthandler` writes."""
    tasks: dict[int, Any] = {}
    for loop in loops:
        for namespace in namespaces:
            try:
                tasks.update((id(task), task) for task in namespace.all_tasks(loop))
            except Exception:
                continue
    # One that is running is in its thread's stack.
    waiting = sorted((task for task in tasks.values() if not _is_running(task)), key=_by_age)
    for task in waiting[:MOST_TASKS]:
        yield "\n".join(["", f"Task {_name(task)} (most recent call first):", *await_stack(task)])
    if len(waiting) > MOST_TASKS:
        yield f"\n… and {len(waiting) - MOST_TASKS} more tasks"


def await_stack(task: Any) -> list[str]:
    """Where the task waits, innermost await first, and for what."""
    frames = []
    awaited = task.get_coro()
    while awaited is not None:
        frame = _first(awaited, "cr_frame", "gi_frame", "ag_frame")
        if frame is None:
            break
        frames.append(f'  File "{frame.f_code.co_filename}", line {frame.f_lineno} in {frame.f_code.co_name}')
        awaited = _first(awaited, "cr_await", "gi_yieldfrom", "ag_await")
    return [*_waits_for(task), *frames[::-1][:DEEPEST]]


def _waits_for(task: Any) -> list[str]:
    """What the task's repr says that it waits for: no documented attribute tells."""
    try:
        _, says_so, rest = repr(task).partition(" wait_for=")
    except Exception:
        return []
    return [f"  waits for {_bracketed(rest)}"] if says_so else []


def _bracketed(text: str) -> str:
    """``text`` up to where its first angle bracket is closed, on one line, bounded."""
    depth = 0
    for end, character in enumerate(text[:LONGEST_REPR], 1):
        depth += (character == "<") - (character == ">")
        if depth == 0:
            return " ".join(text[:end].split())
    return " ".join(text[:LONGEST_REPR].split()) + "…"


def _first(awaited: Any, *names: str) -> Any:
    return next((value for name in names if (value := getattr(awaited, name, None)) is not None), None)


def _is_running(task: Any) -> bool:
    coroutine = task.get_coro()
    return any(getattr(coroutine, name, False) for name in ("cr_running", "gi_running"))


def _name(task: Any) -> str:
    return " ".join(str(task.get_name()).split())[:LONGEST_REPR]


def _by_age(task: Any) -> list[Any]:
    """Task-9 before Task-10: tasks are numbered as they are made."""
    return [int(part) if part.isdecimal() else part for part in NUMBERS.split(_name(task))]
