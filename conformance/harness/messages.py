"""What went wrong with a case, in one line: what was seen, and what was expected in its place.

pytest explains an assertion with the values that took part in it, which a reader who does not have the case before
them cannot place: ``assert False is True``. The statement itself says what the values were of, so both are told.
"""

from __future__ import annotations

import ast
import functools
import linecache
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    import pytest

LONGEST_CODE = 90
"""Characters shown of the code of an assertion."""
LONGEST_VALUE = 110
"""Characters shown of a value; the result has it at full length."""

TRACEBACK = re.compile(r"^\s*(?:\+ )?(?:Exception Group )?Traceback \(most recent call last\):|^Exception ignored ")
"""How what a program said about an error begins, which an assertion may pass on as its message."""
EXPLANATION = "assert "
"""How pytest's explanation begins, below what the assertion says itself."""
FIRST_DIFFERENCE = re.compile(r"^\s*At index (\d+) diff: (.*) != (.*)$", re.MULTILINE)
DID_NOT_HAPPEN = re.compile(r"^(?:Failed: )?DID NOT (RAISE|WARN)\b(.*)")
CLASS_REPR = re.compile(r"<class '(?:[\w.]*\.)?(\w+)'>")
CLASS_ALONE = re.compile(r"^[\w.]+$")
ENDING = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:: .*)?$")
"""How a traceback ends: with a class, and mostly a message."""
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
LONG_FRACTION = re.compile(r"\d+\.\d{7,}(?:e-?\d+)?")
ORDERINGS: dict[type[ast.cmpop], str] = {
    ast.GtE: "at least ", ast.Gt: "more than ", ast.LtE: "at most ", ast.Lt: "less than ", ast.NotEq: "anything but ",
}  # fmt: skip
"""What such a comparison expects of its left side, as the words before its right side."""
WHERE = re.compile(r"^\s*\+\s+where (?:True|False) = isinstance\((.*)\)$", re.MULTILINE)


def one_line(
    report: pytest.TestReport, error: BaseException | None, seen: str | None = None, expected: str | None = None
) -> str:
    """What went wrong, in one line. ``seen`` and ``expected``: the sides of the comparison that failed last."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text: str = crash.message if crash is not None else f"{type(error).__name__}: {error}"
    try:
        message = _told_in_place(text.strip(), error, report.nodeid.partition("::")[0], seen, expected)
    except Exception:
        # Whatever a target made of the error, the files or the memory, the case has its verdict and a message.
        message = _first_line(text)
    return with_short_fractions(message)


def with_short_fractions(message: str) -> str:
    """``message`` with six digits of each fraction, unless numbers that differ would then look the same."""
    numbers = set(LONG_FRACTION.findall(message))
    short = {number: f"{float(number):.6f}".rstrip("0").rstrip(".") for number in numbers}
    if len(set(short.values())) < len(numbers) or "0" in short.values():
        return message
    return LONG_FRACTION.sub(lambda number: short[number[0]], message)


def _told_in_place(text: str, error: BaseException | None, file: str, seen: str | None, expected: str | None) -> str:
    """The message; with the case's own words where an assertion outside of its ``file`` speaks."""
    frames = list(_frames(error))
    called = next((frame for frame in reversed(frames) if frame[0].endswith(file)), None)
    if (missing := DID_NOT_HAPPEN.match(text)) is not None:
        what, classes = missing.groups()
        return _did_not(what.lower(), classes, None if called is None else _statement(*called))
    if not isinstance(error, AssertionError):
        if called is not None and (CLASS_ALONE.match(text) or isinstance(error, TimeoutError)):
            # A class tells nothing, and that something timed out hardly more.
            return f"{_first_line(text)}, in {_code(_awaited(_statement(*called)))}"
        return _last_of_traceback(text) if TRACEBACK.match(text) else _first_line(text)
    message = _told(text, frames, seen, expected) or _first_line(text)
    if called is not None and frames[-1] != called:
        return f"{message}, in {_code(_statement(*called))}"
    return message


def _told(text: str, frames: list[tuple[str, int]], seen: str | None, expected: str | None) -> str:
    """What an assertion told, where more is to be said than the first line of ``text``."""
    text = text.removeprefix("AssertionError: ")
    said, explained, explanation = f"\n{text}".rpartition(f"\n{EXPLANATION}")
    if not explained:
        # An assertion that pytest did not rewrite, which the loop's own code may have.
        said, explanation = ("" if text == "AssertionError" else text), ""
    said = said.strip()
    if said and not TRACEBACK.match(said):
        return _first_line(said)
    node = _statement(*frames[-1]) if frames else None
    found = ""
    if isinstance(node, ast.Assert):
        found = _asserted(node, explanation, seen, expected) if explanation else f"{_code(node.test)} does not hold"
    if said:
        last = _last_of_traceback(said)
        return f"{found}, and it said: {last}" if found else last
    return found


def _asserted(node: ast.Assert, explanation: str, seen: str | None, expected: str | None) -> str:
    """What the assertion found."""
    values = explanation.partition("\n")[0]
    match node.test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[_]) if seen is not None and expected is not None:
            difference = FIRST_DIFFERENCE.search(explanation)
            if difference is not None and len(seen) + len(expected) > LONGEST_VALUE:
                number, one, other = difference.groups()
                return f"{_code(left)} has {_value(one)} at index {number}, expected {_value(other)}"
            return f"{_code(left)} is {_value(seen)}, expected {_value(expected)}"
        case ast.Compare(left=left, ops=[ast.Is()], comparators=[_]):
            one, _, other = values.rpartition(" is ")
            return f"{_code(left)} is {_value(one)}, expected {_value(other)}"
        case ast.Compare(left=ast.Constant(value=part), ops=[ast.In()], comparators=[right]):
            return f"{_code(right)} is {_value(values.removeprefix(f'{part!r} in '))}, without {part!r}"
        case ast.Call(func=ast.Name(id="isinstance"), args=[one, kind]):
            shown = WHERE.search(explanation)
            was = f"is {_value(shown[1].rpartition(', <class')[0])}, which " if shown is not None else ""
            return f"{_code(one)} {was}is no {_code(kind)}"
        case ast.Compare(left=left, ops=[order], comparators=[_]) if type(order) in ORDERINGS and _are_numbers(values):
            one, _, other = values.split()
            return f"{_code(left)} is {one}, expected {ORDERINGS[type(order)]}{other}"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            value = values.removeprefix("not ")
            return f"{_code(operand)} is {_value(value)}, expected {'False' if value == 'True' else 'none'}"
        case ast.Compare() | ast.BoolOp():
            return f"{_code(node.test)} does not hold: {_value(values)}"
        case _:
            return f"{_code(node.test)} is {_value(values)}"


def _are_numbers(values: str) -> bool:
    """Whether an explanation is like ``0.2 >= 0.25``."""
    words = values.split()
    return len(words) == 3 and all(NUMBER.fullmatch(word) for word in words[::2])


def _did_not(what: str, classes: str, statement: ast.AST | None) -> str:
    names = " or ".join(CLASS_REPR.findall(classes)) or classes.strip()
    told = f"did not {what} {names}" if what == "raise" else f"gave no {names}"
    body = statement.body if isinstance(statement, ast.With | ast.AsyncWith) else None
    return f"{_code(body[0])} {told}" if body else told


def _last_of_traceback(text: str) -> str:
    """The error that the last traceback in ``text`` ends with."""
    lines = [line.strip() for line in text.splitlines()]
    return next((line for line in reversed(lines) if ENDING.match(line)), "a traceback, which the details have")


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines()] or [""]
    return lines[0].removeprefix("AssertionError: ").removeprefix("Failed: ")


def _value(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_VALUE else line[: LONGEST_VALUE - 1].rstrip() + "…"


def _code(node: ast.AST | None) -> str:
    if node is None:
        return "the case"
    if isinstance(node, ast.With | ast.AsyncWith):
        node = node.body[0]
    line = " ".join(ast.unparse(node).split())
    return line if len(line) <= LONGEST_CODE else line[: LONGEST_CODE - 1].rstrip() + "…"


def _awaited(statement: ast.stmt | None) -> ast.AST | None:
    """What the statement waits for, or else what it works out, rather than what it does with it."""
    if statement is None:
        return None
    waits = next((node for node in ast.walk(statement) if isinstance(node, ast.Await)), None)
    return waits or getattr(statement, "value", None) or statement


def _frames(error: BaseException | None) -> Iterator[tuple[str, int]]:
    """File and line of each frame that the error came through, outermost first, without pytest's own."""
    trace: TracebackType | None = None if error is None else error.__traceback__
    while trace is not None:
        file: Any = trace.tb_frame.f_code.co_filename
        if "_pytest" not in file:
            yield file, trace.tb_lineno
        trace = trace.tb_next


@functools.cache
def _parsed(file: str) -> ast.Module:
    return ast.parse("".join(linecache.getlines(file)))


def _statement(file: str, line: int) -> ast.stmt | None:
    """The innermost simple statement, or ``with``, at that line."""
    found: ast.stmt | None = None
    for node in ast.walk(_parsed(file)):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            # Walked from the outside to the inside: the last one found is the innermost.
            found = node
    return found
