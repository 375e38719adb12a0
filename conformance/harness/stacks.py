"""The stacks of a hang or a crash, told for whoever wrote the loop: the case first, what carries it folded away.

What is told here is the text that `faulthandler` and `conformance.harness.lastwords` left in a worker's trace. Text
that is neither stays as it is: what a dying process wrote may end anywhere.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

TITLE = re.compile(r"^\S.*\(most recent call first\):$")
THREAD = re.compile(r"^(?:Current thread|Thread) (?=0x)")
TASK = re.compile(r"^Task ")
FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)$')
C_STACK = "Current thread's C stack trace"
CURRENT = "Current thread 0x"
FATAL = "Fatal Python error"

HARNESS = re.compile(
    r"(?:^|/)(?:_pytest|pluggy|xdist|execnet|conformance/harness)/"
    r"|(?:^|/)(?:runpy|pytest/__main__|conformance/__main__)\.py$"
    r"|(?:^|/)importlib/[^/]*\.py$"
    r"|^<frozen (?:runpy|importlib)"
    r"|/bin/(?:pytest|py\.test)$"
)
"""The files whose frames carry a case and tell nothing of it."""

ANSWERING = re.compile(r"(?:^|/)conformance/harness/lastwords\.py$")
"""The file whose frames stand on top of the stack that they dump."""

SUPPORT = re.compile(r"(?:^|/)conformance/support/")
"""The files with what cases borrow: a wait there says less than who waits."""

INTERPRETER = re.compile(r'^  Binary file "(?:[^"]*/)?(?:python[\d.t]*|libpython[^"/]*)"')
"""The frames of a stack in C that are the interpreter's, not an extension's."""

NATIVE = re.compile(r'^  File ".*[/\\]conformance[/\\]harness[/\\]plugin\.py", line \d+ in pytest_pyfunc_call$')
"""The innermost frame where a loop that is not written in Python runs an ``async def`` case."""

AWAIT = ("__await__", "__iter__")
"""Calls that every wait for a future ends in, where futures are written in Python."""

BARE_STACK = 2
"""Frames shown of a stack that has none but the harness's, which then got stuck itself."""


@frozen
class Stack:
    """One thread's or task's stack."""

    title: str
    frames: tuple[str, ...]
    """the lines below the title, innermost call first"""

    @property
    def is_the_cases(self) -> bool:
        """Whether pytest runs the case here."""
        return self.is_a_thread and any(is_harness(line) for line in self.frames)

    @property
    def is_a_thread(self) -> bool:
        """Whether it is a thread's, in Python."""
        return THREAD.match(self.title) is not None

    @property
    def is_a_task(self) -> bool:
        """Whether it is what a task waits in."""
        return TASK.match(self.title) is not None


@frozen
class Dump:
    """A trace, taken apart."""

    before: tuple[str, ...]
    """what stands above the stacks: the reason"""
    stacks: tuple[Stack, ...]
    after: tuple[str, ...]
    """what stands between and below them: the extension modules, a torn line"""

    @classmethod
    def of(cls, text: str) -> Dump:
        """Take ``text`` apart. Every line that is not blank comes to stand somewhere."""
        before: list[str] = []
        after: list[str] = []
        stacks: list[tuple[str, list[str]]] = []
        for line in filter(str.strip, text.splitlines()):
            if TITLE.match(line):
                stacks.append((line, []))
            elif not stacks:
                before.append(line)
            elif line.startswith("  "):
                stacks[-1][1].append(line)
            else:
                after.append(line)
        return cls(tuple(before), tuple(Stack(title, tuple(frames)) for title, frames in stacks), tuple(after))

    @property
    def the_cases(self) -> Stack | None:
        """The stack of the thread that runs the case: the main thread, which `faulthandler` dumps last."""
        return next((stack for stack in reversed(self.stacks) if stack.is_the_cases), None)


def tell(text: str) -> str:
    """The trace ``text`` with the case's own stack first, then its tasks, then other threads; the harness folded away.

    Of a crash the thread that crashed comes before everything else.
    """
    dump = Dump.of(text)
    the_cases = dump.the_cases
    crashed = bool(dump.before) and dump.before[0].startswith(FATAL)

    def rank(stack: Stack) -> int:
        if crashed and stack.title.startswith(CURRENT):
            return 0
        if stack is the_cases:
            return 1
        if stack.is_a_task:
            return 2
        return 4 if stack.title.startswith(C_STACK) else 3

    blocks = ["\n".join(dump.before)] if dump.before else []
    for stack in sorted(dump.stacks, key=rank):
        title = THREAD.sub("The case's thread ", stack.title) if stack is the_cases else stack.title
        fold = _fold_in_c if stack.title.startswith(C_STACK) else _fold
        blocks.append("\n".join([title, *fold(stack.frames)]))
    if dump.after:
        blocks.append("\n".join(dump.after))
    return "\n\n".join(blocks)


def place(text: str) -> str:
    """Where the case stood when the trace ``text`` was written, as the end of a sentence; empty if it does not say.

    ``in select (selectors.py:468), while a task waits in test_it_comes (test_events.py:12)``
    """
    dump = Dump.of(text)
    crashed = bool(dump.before) and dump.before[0].startswith(FATAL)
    current = next((stack for stack in dump.stacks if stack.title.startswith(CURRENT)), None)
    words = _innermost(current) if crashed and current is not None else _innermost(dump.the_cases)
    tasks = [stack for stack in dump.stacks if stack.is_a_task]
    waits = _innermost(next((stack for stack in tasks if _innermost(stack)), None))
    if tasks and waits:
        waiting = f"a task waits {waits}" if len(tasks) == 1 else f"{len(tasks)} tasks wait, the first {waits}"
        words = f"{words}, while {waiting}" if words else waiting
    return words


def is_harness(line: str) -> bool:
    """Whether the frame is pytest's, the harness's or the importer's."""
    return HARNESS.search(_file(line)) is not None


def _file(line: str) -> str:
    frame = FRAME.match(line)
    return "" if frame is None else frame["file"].replace("\\", "/")


def _innermost(stack: Stack | None) -> str:
    """The innermost call that is neither the harness's nor one that cases borrow to wait."""
    for line in () if stack is None else stack.frames:
        frame = FRAME.match(line)
        if frame is None or frame["name"] in AWAIT or is_harness(line):
            continue
        if SUPPORT.search(_file(line)) is None:
            return f"in {frame['name']} ({_file(line).rpartition('/')[2]}:{frame['line']})"
    return ""


def _fold(frames: Iterable[str]) -> Iterator[str]:
    lines = list(itertools.dropwhile(lambda line: ANSWERING.search(_file(line)) is not None, frames))
    if lines and NATIVE.match(lines[0]):
        yield "  the loop runs, but no Python of its own"
    elif lines and all(map(is_harness, lines)):
        yield from lines[:BARE_STACK]
        lines = lines[BARE_STACK:]
    yield from _folded(lines, is_harness, "of pytest and the harness")


def _fold_in_c(frames: Iterable[str]) -> Iterator[str]:
    yield from _folded(frames, lambda line: INTERPRETER.match(line) is not None, "of the interpreter")


def _folded(lines: Iterable[str], is_carrier: Callable[[str], bool], whose: str) -> Iterator[str]:
    """The lines, each run of carriers as one line, and a call that recurs as one line with a count."""
    for carried, run in itertools.groupby(lines, is_carrier):
        if carried:
            number = len(list(run))
            yield f"  … {number} {'frame' if number == 1 else 'frames'} {whose}"
            continue
        for line, same in itertools.groupby(run):
            again = len(list(same)) - 1
            yield line
            if again:
                yield f"  … and {again} more of this call"
