"""Which cases check which requirements, read from the text of the cases without importing them.

``asyncio-conformance requirements`` answers at once, though importing pytest and the cases takes seconds. It sees what
stands literally in ``@requirement("…")``; a selftest compares it with the marks that the imported cases wear.
"""

from __future__ import annotations

import ast
import enum
from typing import TYPE_CHECKING

from attrs import frozen

from conformance.catalogue import Area
from conformance.harness.naming import CASES, PREFIX, case_id, file_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from conformance.catalogue import Requirement


class Checked(enum.StrEnum):
    """What checks a requirement."""

    CASES = "cases"
    """at least one case"""
    HARNESS = "harness"
    """the harness, after every case"""
    EXCLUDED = "excluded"
    """nothing, for the reason that the catalogue gives"""
    UNCHECKED = "unchecked"
    """nothing yet"""


def how_checked(requirement: Requirement, cases: Iterable[str]) -> Checked:
    """What checks ``requirement``, given the ids of its cases."""
    if any(True for _ in cases):
        return Checked.CASES
    if requirement.area is Area.HYGIENE:
        return Checked.HARNESS
    return Checked.UNCHECKED if requirement.excluded is None else Checked.EXCLUDED


@frozen
class IndexedCase:
    """A case as its source shows it."""

    id: str
    """``page/module::function``; variants are not known here"""
    requirements: tuple[str, ...]
    file: Path
    line: int


def indexed_cases(folder: Path = CASES) -> tuple[IndexedCase, ...]:
    """Every case below ``folder``, by file and line. SyntaxError where a file is no Python."""
    return tuple(case for file in sorted(folder.glob(f"*/{PREFIX}*.py")) for case in _cases_of(file))


def is_indexed(identifier: str, folder: Path = CASES) -> bool:
    """Whether there is a case with this id, without variant; reads the one file that would hold it."""
    file = folder / file_of(identifier)
    # An id is typed by hand: one that leads out of the folder leads to no case.
    return file.parent.parent == folder and file.is_file() and any(case.id == identifier for case in _cases_of(file))


def checks_by_requirement(cases: Iterable[IndexedCase]) -> dict[str, tuple[str, ...]]:
    """Requirement id → ids of the cases that check it, in order."""
    found: dict[str, list[str]] = {}
    for case in cases:
        for requirement in dict.fromkeys(case.requirements):
            found.setdefault(requirement, []).append(case.id)
    return {requirement: tuple(ids) for requirement, ids in found.items()}


def _cases_of(file: Path) -> Iterator[IndexedCase]:
    text = file.read_text(encoding="utf-8")
    reduced, lines = _only_decorators(text.splitlines())
    try:
        functions = ast.parse(reduced).body
    except SyntaxError:
        # A text inside the module that looks like a decorator misled the reduction: read all of it.
        functions, lines = ast.parse(text, str(file)).body, []
    numbers = iter(lines)
    module = case_id(f"{file.as_posix()}::")
    for function in functions:
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and function.name.startswith(PREFIX):
            requirements = tuple(one for decorator in function.decorator_list for one in _ids(decorator))
            id_ = module + function.name.removeprefix(PREFIX)
            yield IndexedCase(id_, requirements, file, next(numbers, function.lineno))


def _only_decorators(lines: list[str]) -> tuple[str, list[int]]:
    """The module reduced to its test functions, decorated but without bodies, and the line of each; parses quickly."""
    kept: list[str] = []
    numbers: list[int] = []
    start: int | None = None
    for number, line in enumerate(lines):
        if line.startswith("@"):
            start = number if start is None else start
        elif line.startswith(("def ", "async def ", "class ")):
            name = line.partition("def ")[2].partition("(")[0]
            if name.startswith(PREFIX):
                kept += [*lines[number if start is None else start : number], f"def {name}(): ..."]
                numbers.append(number + 1)
            start = None
    return "\n".join(kept), numbers


def _ids(decorator: ast.expr) -> Iterator[str]:
    match decorator:
        case ast.Call(func=ast.Name(id="requirement") | ast.Attribute(attr="requirement"), args=arguments):
            for argument in arguments:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value
