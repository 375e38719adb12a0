"""Which files hold the cases that are asked for: pytest imports no other.

What a file may hold is read from its text, so a file too many may be named, never one too few.
"""

from __future__ import annotations

import ast
import itertools
import re
from typing import TYPE_CHECKING

from conformance.catalogue import load
from conformance.harness.index import indexed_cases
from conformance.harness.naming import CASES, PREFIX, file_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

WORD = re.compile(r"(?::?\w|:|\+|-|\.|\[|\]|\\|/)+")
"""A word in pytest's ``-k`` expressions."""

CONNECTIVES = ("and", "or", "not")

PLAIN_WORD = re.compile(r"[a-z_]+")
"""What stands in some text if it stands in a case's id; the rest may be computed, as ``16-0.5`` may."""
VALUES = ("true", "false", "none")
"""Plain words that may be computed all the same."""

DOCSTRING = re.compile(r'""".*?"""', re.DOTALL)
NAMING = re.compile(r'"[^"\n]+"|^(?:class|(?:async )?def) \w+', re.MULTILINE)
"""In shared code, what names of variants are made of: short texts, functions and classes."""

MOST_WORDS = 6
"""Words of an expression up to which every combination is tried."""


def places_of(
    suite: Path, *, only: Iterable[str] | None, pages: Sequence[str], areas: Sequence[str], keyword: str | None
) -> list[str]:
    """The files to collect, sorted; the suite's folder alone where nothing narrows it.

    ``only``: ids of cases, with or without variant. ``keyword``: pytest's ``-k`` expression.
    """
    if only is None and not pages and not areas and keyword is None:
        return [str(suite)]
    files = set(suite.glob(f"*/{PREFIX}*.py"))
    if only is not None:
        files &= {suite / file_of(identifier) for identifier in only}
    if pages:
        files = {file for file in files if file.parent.name in pages}
    if areas:
        files &= files_of_areas(suite, areas)
    if keyword is not None:
        files = files_that_may_match(keyword, files, suite)
    # Where no file is left, pytest is to say so of the whole.
    return sorted(map(str, files)) or [str(suite)]


def files_of_areas(suite: Path, areas: Iterable[str]) -> set[Path]:
    """The files with a case of one of the areas."""
    wanted = frozenset(areas)
    area_of = {requirement.id: str(requirement.area) for requirement in load()}
    return {case.file for case in indexed_cases(suite) if any(area_of.get(one) in wanted for one in case.requirements)}


def files_that_may_match(keyword: str, files: Iterable[Path], suite: Path = CASES) -> set[Path]:
    """The files in which something may match pytest's ``-k`` expression; all of them if it is no expression."""
    words = sorted({word.lower() for word in WORD.findall(keyword)} - set(CONNECTIVES))
    everywhere = _shared_text(suite)
    always = [word for word in words if not PLAIN_WORD.fullmatch(word) or word in VALUES or word in everywhere]
    if len(words) > MOST_WORDS:
        return set(files)
    return {file for file in files if _may_hold(keyword, words, always, file)}


def _may_hold(keyword: str, words: Sequence[str], always: Sequence[str], file: Path) -> bool:
    text = f"{file.parent.name} {file.name} {file.read_text(encoding='utf-8')}".lower()
    choices = [(False, True) if word in always or word in text else (False,) for word in words]
    return any(
        _is_true(keyword, dict(zip(words, values, strict=True))) is not False for values in itertools.product(*choices)
    )


def _is_true(keyword: str, values: Mapping[str, bool]) -> bool | None:
    """The expression's value when its words have these; None where it is no expression, of which pytest will tell."""

    def value_of(word: re.Match[str]) -> str:
        return word[0].lower() if word[0].lower() in CONNECTIVES else str(values[word[0].lower()])

    try:
        return _evaluate(ast.parse(WORD.sub(value_of, keyword), mode="eval").body)
    except (SyntaxError, ValueError):
        return None


def _evaluate(expression: ast.expr) -> bool:
    match expression:
        case ast.Constant(value=bool() as value):
            return value
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _evaluate(operand)
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_evaluate(value) for value in values)
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(_evaluate(value) for value in values)
    raise ValueError(expression)


def _shared_text(suite: Path) -> str:
    """What the cases of any file may be called after: the names around it, and what the names of variants come from."""
    shared = [*suite.glob("**/conftest.py"), *(CASES.parent / "support").glob("*.py")]
    sources = [DOCSTRING.sub("", file.read_text(encoding="utf-8")) for file in shared]
    texts = [found for source in sources for found in NAMING.findall(source)]
    return " ".join([*suite.parts, *texts]).lower()
