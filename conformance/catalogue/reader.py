"""Reads the catalogue's TOML files strictly: what is not understood is an error, never ignored.

[[requirement]]
id = "loop.call_soon/fifo-order"       # API/promise
api = "loop.call_soon"
area = "callbacks"
text = "callbacks run in the order in which they were registered"
level = "stated"
kind = "ordering"
since = "3.6"
# optional: until, platform, namespace_only, advice, excluded = "reason", note

[[requirement.cpython_bug]]            # optional, repeatable
versions = "3.12.0-3.12.3"             # comma separated ranges; "3.14.0-" is open
instead = "runs them in reverse order"
issue = "https://github.com/python/cpython/issues/1"
# optional: implementation = "pypy"
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import pickle
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from attrs import frozen

from conformance.caching import cache_folder
from conformance.catalogue import model, versions
from conformance.catalogue.model import Area, Catalogue, CPythonBug, Kind, Level, Platform, Requirement
from conformance.catalogue.versions import Version, VersionError, parse_ranges

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from enum import StrEnum
    from typing import TypeVar

    E = TypeVar("E", bound=StrEnum)

FOLDER = Path(__file__).parent

_ID = re.compile(r"[\w.-]+/[a-z0-9]+(-[a-z0-9]+)*")
_REQUIRED = frozenset({"id", "api", "area", "text", "level", "kind", "since"})
_OPTIONAL = frozenset({"until", "platform", "namespace_only", "advice", "excluded", "note", "cpython_bug"})
_BUG_REQUIRED = frozenset({"versions", "instead", "issue"})
_BUG_OPTIONAL = frozenset({"implementation"})


class CatalogueError(Exception):
    """A catalogue file that is wrong. The message is one sentence that names the file, the entry and the field."""


@frozen
class _Table:
    """One TOML table, with where it stands: every complaint about it can say so."""

    file: str
    entry: str
    values: Mapping[str, object]

    def fail(self, field: str, problem: str) -> NoReturn:
        raise CatalogueError(f'{self.file}: {self.entry}: field "{field}" {problem}')

    def check_keys(self, required: frozenset[str], optional: frozenset[str]) -> None:
        keys = self.values.keys()
        for unknown in sorted(keys - required - optional):
            self.fail(unknown, f"is unknown; the fields are {', '.join(sorted(required | optional))}")
        for missing in sorted(required - keys):
            self.fail(missing, "is missing")

    def text(self, field: str) -> str:
        value = self.values[field]
        if not isinstance(value, str):
            self.fail(field, f"is {value!r}; it must be a string")
        if not value.strip():
            self.fail(field, "is empty; " + ("say why" if field == "excluded" else "leave it out or fill it in"))
        return value

    def optional_text(self, field: str) -> str | None:
        return self.text(field) if field in self.values else None

    def flag(self, field: str) -> bool:
        value = self.values.get(field, False)
        if not isinstance(value, bool):
            self.fail(field, f"is {value!r}; it must be true or false")
        return value

    def member(self, field: str, options: type[E]) -> E:
        value = self.text(field)
        try:
            return options(value)
        except ValueError:
            self.fail(field, f'is "{value}"; use one of {", ".join(options)}')

    def version(self, field: str) -> Version:
        try:
            return Version.parse(self.text(field))
        except VersionError as problem:
            self.fail(field, f"is wrong: {problem}")


def page_names(folder: Path = FOLDER) -> tuple[str, ...]:
    """The documentation pages that the catalogue has a file for, sorted."""
    return tuple(sorted(path.stem for path in folder.glob("*.toml")))


def load(pages: Iterable[str] | None = None, folder: Path = FOLDER) -> Catalogue:
    """The requirements of ``pages`` (all of them by default), in the order of the files.

    Each file is read once per process. Raises CatalogueError for a page without a file, for anything wrong inside
    one, and for an id that stands in two of the files that are loaded.
    """
    if pages is None and folder == FOLDER:
        return _all_pages()
    return _loaded(page_names(folder) if pages is None else tuple(dict.fromkeys(pages)), folder)


@cache
def _all_pages() -> Catalogue:
    """The whole catalogue, from the user's cache where it was read before: to parse it takes ten times as long."""
    names = page_names()
    cached = _cached_as(names)
    if cached is not None and cached.exists():
        with contextlib.suppress(Exception):
            found = pickle.loads(cached.read_bytes())
            if isinstance(found, Catalogue):
                return found
    catalogue = _loaded(names, FOLDER)
    if cached is not None:
        with contextlib.suppress(OSError):
            for old in cached.parent.glob("catalogue-*"):
                old.unlink()
            unfinished = cached.with_suffix(f".{os.getpid()}")
            unfinished.write_bytes(pickle.dumps(catalogue))
            unfinished.replace(cached)
    return catalogue


def _cached_as(names: Iterable[str]) -> Path | None:
    """The file that holds the catalogue as it stands in these files now, for this interpreter; None without a cache."""
    folder = cache_folder()
    if folder is None:
        return None
    states = [(FOLDER / f"{name}.toml").stat() for name in names]
    modules = [Path(module).stat() for module in (__file__, model.__file__, versions.__file__)]
    state = [(one.st_mtime_ns, one.st_size) for one in (*states, *modules)]
    key = hashlib.sha256(repr((sys.implementation.cache_tag, str(FOLDER), state)).encode()).hexdigest()[:32]
    return folder / f"catalogue-{key}.pickle"


def _loaded(names: Sequence[str], folder: Path) -> Catalogue:
    with _collector_paused():
        read = {name: _read(folder / f"{name}.toml") for name in names}
    requirements: list[Requirement] = []
    origin: dict[str, str] = {}
    for name in names:
        for requirement in read[name]:
            if requirement.id in origin:
                raise CatalogueError(
                    f'{name}.toml: requirement "{requirement.id}": field "id" is used before, '
                    f"in {origin[requirement.id]}.toml; ids are unique across pages"
                )
            origin[requirement.id] = name
            requirements.append(requirement)
    return Catalogue(tuple(requirements))


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """What parsing makes either stays or falls with its last reference; looking for cycles in it costs 40 % more."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@cache
def _read(path: Path) -> tuple[Requirement, ...]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CatalogueError(f"{path.name}: no such page; there are {', '.join(page_names(path.parent))}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise CatalogueError(f"{path.name}: not readable as TOML: {problem}") from None
    for key in document:
        if key != "requirement":
            raise CatalogueError(f'{path.name}: field "{key}" is unknown; a page holds [[requirement]] tables only')
    entries = document.get("requirement", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CatalogueError(f'{path.name}: field "requirement" must be written as [[requirement]] tables')
    return tuple(_requirement(path, number, values) for number, values in enumerate(entries, 1))


def _requirement(path: Path, number: int, values: Mapping[str, object]) -> Requirement:
    id_ = values.get("id")
    entry = f'requirement "{id_}"' if isinstance(id_, str) and id_ else f"requirement number {number}"
    table = _Table(path.name, entry, values)
    table.check_keys(_REQUIRED, _OPTIONAL)
    since = table.version("since")
    until = table.version("until") if "until" in values else None
    if until is not None and until.last < since.first:
        table.fail("until", f"is {until}, which comes before since, {since}")
    return Requirement(
        id=_checked_id(table),
        api=table.text("api"),
        page=path.stem,
        area=table.member("area", Area),
        text=table.text("text"),
        level=table.member("level", Level),
        kind=table.member("kind", Kind),
        since=since,
        until=until,
        platform=table.member("platform", Platform) if "platform" in values else Platform.ALL,
        namespace_only=table.flag("namespace_only"),
        advice=table.flag("advice"),
        excluded=table.optional_text("excluded"),
        note=table.optional_text("note"),
        known_bugs=_bugs(table),
    )


def _checked_id(table: _Table) -> str:
    id_, api = table.text("id"), table.text("api")
    if not _ID.fullmatch(id_):
        table.fail("id", f'is "{id_}"; write it as API/promise, the promise in lower case with hyphens')
    if id_.partition("/")[0] not in (api, api_slug(api)):
        table.fail("id", f'does not begin with its api, "{api}"; expected "{api_slug(api)}/…"')
    return id_


def api_slug(api: str) -> str:
    """How an id writes ``api``: a name as it is, a topic in lower case with hyphens, an example as ``examples``."""
    if api.startswith("example: "):
        return "examples"
    return api if re.fullmatch(r"[\w.]+", api) else re.sub(r"[^a-z0-9]+", "-", api.lower()).strip("-")


def _bugs(table: _Table) -> tuple[CPythonBug, ...]:
    entries = table.values.get("cpython_bug", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        table.fail("cpython_bug", "must be written as [[requirement.cpython_bug]] tables")
    return tuple(_bug(table, number, values) for number, values in enumerate(entries, 1))


def _bug(owner: _Table, number: int, values: Mapping[str, object]) -> CPythonBug:
    table = _Table(owner.file, f"{owner.entry}, cpython_bug number {number}", values)
    table.check_keys(_BUG_REQUIRED, _BUG_OPTIONAL)
    try:
        versions = parse_ranges(table.text("versions"))
    except VersionError as problem:
        table.fail("versions", f"is wrong: {problem}")
    issue = table.text("issue")
    if not issue.startswith("https://"):
        table.fail("issue", f'is "{issue}"; it must be the https:// address of the upstream report')
    return CPythonBug(versions, table.text("instead"), issue, table.optional_text("implementation") or "cpython")
