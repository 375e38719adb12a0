"""``report.json``: written atomically, read with suspicion.

The file is JSON in the key order of the model, one case and one requirement a line, so that two reports can be compared
with ``diff`` and a case be found with ``grep``.
"""

from __future__ import annotations

import json
import math
import os
import secrets
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.errors import ClassValidationError
from cattrs.gen import make_dict_structure_fn
from cattrs.v import transform_error

from reports.model import SCHEMA_VERSION, Report, Totals, seal
from reports.text import one_line, reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REPORT_JSON = "report.json"

LARGEST = 1024**3
"""Bytes: beyond what a run can write in which every case fails with the longest story."""

LONGEST_MESSAGE = 1_000
"""Characters of an error's sentence, which may quote what it found: more hides what is said."""

CREATE_ANEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
"""How a file is opened that must not exist yet, not even as a link."""

LONGEST_PREFIX = 32
"""Characters of a file's name in that of its temporary file: the whole of both would be too long sooner."""


class ReportError(Exception):
    """A report cannot be read or written. The message is one sentence that says what to do, fit to be shown."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message, LONGEST_MESSAGE))


class NoReport(ReportError):
    """There is no such file."""


class Unreadable(ReportError):
    """The system refuses to read the file."""


class NotJSON(ReportError):
    """The file is not JSON."""


class WrongSchema(ReportError):
    """The file is JSON, but not a report of this schema version."""


class WrongField(ReportError):
    """A field is missing or of the wrong type."""


class WrongTotals(ReportError):
    """The totals do not follow from the cases and requirements."""


class BrokenSeal(ReportError):
    """The report says that it is complete, and its cases are not the collected ones."""


class NotWritten(ReportError):
    """The system refuses to write the file; what stood there before still does."""


def write(report: Report, path: Path) -> None:
    """Write ``report`` to ``path`` atomically.

    Raises:
        NotWritten: the disk is full, the folder is missing or not writable …
    """
    write_text(dumps(report), path)


def read(path: Path) -> Report:
    """The report in the file ``path``, or in ``report.json`` of the folder ``path``.

    Raises:
        NoReport, Unreadable, NotJSON, WrongSchema, WrongField, WrongTotals, BrokenSeal: it is none, and why.
    """
    try:
        if path.is_dir():
            path /= REPORT_JSON
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise NoReport(f"There is no report at {path}: name a {REPORT_JSON} or the folder of one.") from None
    except (OSError, ValueError) as error:
        raise Unreadable(
            f"{path} cannot be read ({reason(error)}): make it readable, or name another report."
        ) from None
    if len(data) > LARGEST:
        raise Unreadable(f"{path} is larger than any report: name another.")
    return loads(data, str(path))


def dumps(report: Report) -> str:
    """``report`` as the text of a ``report.json``: ASCII, so that no surrogate or odd locale can spoil it."""
    lines = []
    for key, value in _converter().unstructure(report).items():
        if isinstance(value, list) and value:
            text = "[\n" + ",\n".join(_json(item) for item in value) + "\n]"
        else:
            text = _json(value)
        lines.append(f"{_json(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def loads(data: str | bytes, name: str) -> Report:
    """The report in ``data``; ``name`` is what the messages call it.

    Raises:
        NotJSON, WrongSchema, WrongField, WrongTotals, BrokenSeal: it is none, and why.
    """
    try:
        document = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NotJSON(f"{name} is not JSON ({error}): it is cut or was edited; run the suite again.") from None
    version = document.get("schema") if isinstance(document, dict) else None
    if version is None:
        raise WrongSchema(f'{name} is JSON but no report (it has no "schema"): name the {REPORT_JSON} of a run.')
    if version is True or version != SCHEMA_VERSION:
        raise WrongSchema(
            f"{name} has schema {version!r} and this program reads {SCHEMA_VERSION}: "
            "use the version of asyncio-conformance that wrote it, or run the suite again."
        )
    try:
        report = _converter().structure(document, Report)
    except ClassValidationError as error:
        first, *others = transform_error(error, format_exception=_what)
        more = f" (and {len(others)} more)" if others else ""
        raise WrongField(f"{name} is not a report: {first}{more}; it was edited, run the suite again.") from None
    _check(report, name)
    return report


def write_text(text: str, path: Path) -> None:
    """Write ``text`` to ``path`` in UTF-8 so that a reader finds the old file or the whole new one, never a part.

    In a folder that others may write to, too, no link that they put there is followed: a link called ``path`` is
    replaced, and the name of the temporary file cannot be foreseen.

    Raises:
        NotWritten: the system refused.
    """
    temporary = path.with_name(f".{path.name[:LONGEST_PREFIX]}.{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, CREATE_ANEW, 0o666)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise NotWritten(
            f"{path} cannot be written ({reason(error)}): make room or choose another folder with --output."
        ) from None


def _check(report: Report, name: str) -> None:
    expected = Totals.of(report.cases, report.requirements)
    if report.totals != expected:
        raise WrongTotals(f"{name} has wrong totals: {_difference(report.totals, expected)}; run the suite again.")
    if report.complete:
        problem = _broken_seal(report)
        if problem:
            raise BrokenSeal(f"{name} says that it is complete, but {problem}: it was edited, run the suite again.")


def _difference(found: Totals, expected: Totals) -> str:
    was, should = _flat(attrs.asdict(found)), _flat(attrs.asdict(expected))
    key = next(key for key in {**should, **was} if was.get(key) != should.get(key))
    subject = "requirements" if key.startswith("requirements.") else "cases"
    return f"totals.{key} is {was.get(key, 'missing')}, and its {subject} add up to {should.get(key, 'no such count')}"


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def _broken_seal(report: Report) -> str:
    if len(report.cases) != report.collected:
        return f"{report.collected} cases were collected and {len(report.cases)} are in it"
    twice = [case_id for case_id, times in Counter(case.id for case in report.cases).items() if times > 1]
    if twice:
        return f"the case {twice[0]} is in it more than once"
    if seal(case.id for case in report.cases) != report.collected_sha256:
        return "its cases are not the ones that its seal was made for"
    if report.cut:
        return f"it also says that it was cut ({report.cut})"
    return ""


def _json(value: object) -> str:
    return json.dumps(value, allow_nan=False)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


class _WrongType(Exception):
    """The message says what is wanted and what was found."""


def _what(error: BaseException, _type: type | None) -> str:
    if isinstance(error, KeyError):
        return f"the field {error.args[0]!r} is missing"
    return str(error)


@cache
def _converter() -> Converter:
    converter = Converter()
    # cattrs would make "3" an int, 3 a str and "abc" a tuple; what is not of its type was not written by us.
    for wanted, words in ((str, "text"), (int, "a whole number"), (bool, "true or false")):
        converter.register_structure_hook(wanted, _of_type(wanted, words, lambda value, _type: value))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_factory(
        attrs.has,
        lambda cls: _of_type(dict, "an object", make_dict_structure_fn(cls, converter)),
    )
    converter.register_structure_hook_factory(
        _generic(tuple), lambda hint: _of_type(list, "a list", _tuple_of(get_args(hint)[0], converter))
    )
    converter.register_structure_hook_func(_generic(dict), _of_type(dict, "an object", _counts(converter)))
    return converter


def _generic(origin: object) -> Callable[[Any], bool]:
    return lambda hint: get_origin(hint) is origin


def _tuple_of(item: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    as_list: Any = list[item]
    return lambda value, _type: tuple(converter.structure(value, as_list))


def _counts(converter: Converter) -> Callable[[Any, Any], Any]:
    return lambda value, _type: {key: converter.structure(number, int) for key, number in value.items()}


def _of_type(wanted: type, words: str, structure: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def checked(value: object, hint: object) -> object:
        if type(value) is not wanted:
            raise _WrongType(f"{words} is wanted, not {json.dumps(value)[:40]}")
        return structure(value, hint)

    return checked


def _number(value: object, _type: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        raise _WrongType(f"a number is wanted, not {json.dumps(value)[:40]}")
    return float(value)
