"""The catalogue: read strictly, judged by version and platform, and tied to the cases in both directions."""

from __future__ import annotations

import importlib
import inspect
import pickle
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import conformance.harness
from conformance.catalogue import (
    Area,
    CatalogueError,
    CPythonBug,
    Platform,
    Requirement,
    Version,
    VersionError,
    VersionRange,
    load,
    page_names,
    profile_version,
    reader,
)
from conformance.catalogue.reader import api_slug
from conformance.catalogue.versions import parse_ranges
from conformance.harness.index import Checked, checks_by_requirement, how_checked, indexed_cases
from conformance.harness.naming import CASES, PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The pages and areas whose cases are not all written. This list only shrinks: a test refuses an entry that is finished.
NOT_WRITTEN: tuple[tuple[str, str], ...] = ()

SMALL = """
[[requirement]]
id = "loop.call_soon/fifo-order"
api = "loop.call_soon"
area = "callbacks"
text = "callbacks run in the order in which they were registered"
level = "stated"
kind = "ordering"
since = "3.6"
"""

BUG = """
[[requirement.cpython_bug]]
versions = "3.12.0-3.12.3, 3.14.0-"
instead = "runs them backwards"
issue = "https://github.com/python/cpython/issues/1"
"""


def read(folder: Path, text: str, page: str = "page") -> tuple[Requirement, ...]:
    """The requirements of a page that holds ``text``."""
    (folder / f"{page}.toml").write_text(text, encoding="utf-8")
    return load(folder=folder).requirements


def requirement(folder: Path, *lines: str) -> Requirement:
    """The small requirement, with ``lines`` instead of its own of the same field."""
    fields = {line.partition(" = ")[0] for line in lines}
    kept = [line for line in SMALL.splitlines() if line.partition(" = ")[0] not in fields]
    return read(folder, "\n".join([*kept, *lines]))[0]


def test_a_page_becomes_typed_values(tmp_path: Path) -> None:
    (found,) = read(tmp_path, SMALL + 'platform = "unix"\nuntil = "3.13.2"\nadvice = true\n' + BUG)
    assert found.page == "page"
    assert found.area is Area.CALLBACKS
    assert found.platform is Platform.UNIX
    assert (found.since, found.until) == (Version(6), Version(13, 2))
    assert (found.advice, found.namespace_only, found.excluded) == (True, False, None)
    assert found.known_bugs == (
        CPythonBug(
            (VersionRange(Version(12, 0), Version(12, 3)), VersionRange(Version(14, 0), None)),
            "runs them backwards",
            "https://github.com/python/cpython/issues/1",
        ),
    )


@pytest.mark.parametrize(
    ("lines", "field", "complaint"),
    [
        (['colour = "red"'], "colour", "is unknown"),
        (["text = 3"], "text", "must be a string"),
        (['text = " "'], "text", "is empty"),
        (['level = "stted"'], "level", "use one of stated, implied, customary"),
        (['kind = "behavior"'], "kind", "use one of behaviour"),
        (['area = "timer"'], "area", "use one of lifecycle"),
        (['platform = "beos"'], "platform", "use one of all, unix"),
        (['since = "2.7"'], "since", "write it as 3.13 or 3.13.3"),
        (["since = 3.6"], "since", "must be a string"),
        (['until = "later"'], "until", "write it as 3.13 or 3.13.3"),
        (['since = "3.9"', 'until = "3.8"'], "until", "comes before since"),
        (['since = "3.9.2"', 'until = "3.9.1"'], "until", "comes before since"),
        (['api = "loop.call_later"'], "id", "does not begin with its api"),
        (['id = "loop.call_soon"'], "id", "write it as API/promise"),
        (['id = "loop.call_soon/FIFO"'], "id", "write it as API/promise"),
        (["excluded = true"], "excluded", "must be a string"),
        (['excluded = ""'], "excluded", "say why"),
        (['advice = "yes"'], "advice", "must be true or false"),
        (["namespace_only = 1"], "namespace_only", "must be true or false"),
        (['cpython_bug = "yes"'], "cpython_bug", "[[requirement.cpython_bug]]"),
        ([BUG.replace("3.12.0-3.12.3", "3.12.3-3.12.0")], "versions", "ends before it starts"),
        ([BUG.replace('"3.12.0-3.12.3, 3.14.0-"', '"all"')], "versions", "write it as"),
        ([BUG.replace("https://", "gh ")], "issue", "https://"),
        ([BUG.replace("instead", "insted")], "insted", "is unknown"),
        ([BUG.replace('instead = "runs them backwards"', "")], "instead", "is missing"),
    ],
)
def test_a_wrong_entry_is_named_with_its_file_and_field(
    tmp_path: Path, lines: list[str], field: str, complaint: str
) -> None:
    with pytest.raises(CatalogueError) as caught:
        requirement(tmp_path, *lines)
    message = str(caught.value)
    assert message.startswith('page.toml: requirement "loop.call_soon')
    assert f'field "{field}"' in message
    assert complaint in message
    assert "\n" not in message


@pytest.mark.parametrize("field", ["api", "area", "text", "level", "kind", "since"])
def test_a_missing_field_is_named(tmp_path: Path, field: str) -> None:
    text = re.sub(rf"^{field} = .*$", "", SMALL, flags=re.MULTILINE)
    with pytest.raises(CatalogueError, match=f'page.toml: requirement "loop.*": field "{field}" is missing'):
        read(tmp_path, text)


def test_an_entry_without_an_id_is_named_by_its_number(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r'page.toml: requirement number 2: field "id" is missing'):
        read(tmp_path, SMALL + SMALL.replace("id = ", "#"))


def test_an_id_used_twice_is_refused_within_a_page_and_across_pages(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogueError, match=r'page.toml: requirement "loop.*": field "id" is used before, in page.toml'
    ):
        read(tmp_path, SMALL + SMALL)
    (tmp_path / "page.toml").unlink()
    (tmp_path / "first.toml").write_text(SMALL, encoding="utf-8")
    with pytest.raises(CatalogueError, match=r'second.toml: .* field "id" is used before, in first.toml'):
        read(tmp_path, SMALL, "second")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[requirement", "page.toml: not readable as TOML"),
        ("title = 'x'", 'page.toml: field "title" is unknown'),
        ("requirement = 1", r"page.toml: field .* must be written as \[\[requirement\]\]"),
    ],
)
def test_a_file_that_is_no_page_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(CatalogueError, match=complaint):
        read(tmp_path, text)


def test_only_the_pages_asked_for_are_read(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("[[", encoding="utf-8")
    (tmp_path / "good.toml").write_text(SMALL, encoding="utf-8")
    assert load(["good"], tmp_path).pages == ("good",)
    with pytest.raises(CatalogueError, match=r"absent.toml: no such page; there are broken, good"):
        load(["absent"], tmp_path)


@pytest.mark.parametrize(
    ("since", "until", "profile", "expected"),
    [
        ("3.6", None, "3.6", True),
        ("3.9", None, "3.8", False),
        ("3.9", "3.10", "3.10", True),
        ("3.9", "3.10", "3.10.4", True),
        ("3.9", "3.10", "3.11", False),
        ("3.10.3", None, "3.10.2", False),
        ("3.10.3", None, "3.10.3", True),
        ("3.10.3", None, "3.10", True),
        ("3.6", "3.10.8", "3.10.8", True),
        ("3.6", "3.10.8", "3.10.9", False),
        ("3.6", "3.10.8", "3.10", False),
    ],
)
def test_a_requirement_is_in_force_from_since_until_until(
    tmp_path: Path, since: str, until: str | None, profile: str, *, expected: bool
) -> None:
    found = requirement(tmp_path, f'since = "{since}"', *([] if until is None else [f'until = "{until}"']))
    assert found.in_force(Version.parse(profile)) is expected


@pytest.mark.parametrize(
    ("platform", "systems"),
    [
        ("all", {"linux", "darwin", "freebsd14", "win32", "wasi"}),
        ("unix", {"linux", "darwin", "freebsd14"}),
        ("linux", {"linux"}),
        ("macos", {"darwin"}),
        ("bsd", {"darwin", "freebsd14"}),
        ("windows", {"win32"}),
        ("wasi", {"wasi"}),
    ],
)
def test_a_platform_covers_its_systems(tmp_path: Path, platform: str, systems: set[str]) -> None:
    found = requirement(tmp_path, f'platform = "{platform}"')
    everywhere = ("linux", "darwin", "freebsd14", "win32", "wasi")
    assert {system for system in everywhere if found.in_force(Version(13), system)} == systems


def test_a_known_bug_is_found_by_interpreter_version_and_implementation(tmp_path: Path) -> None:
    (found,) = read(tmp_path, SMALL + BUG)
    affected = [text for text in ("3.11.9", "3.12.0", "3.12.3", "3.12.4", "3.13.0", "3.14.0", "3.15.2")
                if found.known_bug(Version.parse(text), "cpython")]  # fmt: skip
    assert affected == ["3.12.0", "3.12.3", "3.14.0", "3.15.2"]
    assert found.known_bug(Version(12, 0), "pypy") is found.known_bugs[0]
    assert found.known_bug(Version(12, 0), "graalpy") is None
    assert found.known_bugs[0].versions_text == "3.12.0-3.12.3, 3.14.0-"


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("3.12", ["3.12.0", "3.12.9"], ["3.11.9", "3.13.0"]),
        ("3.11.2-3.12", ["3.11.2", "3.12.9"], ["3.11.1", "3.13.0"]),
        ("3.13.1-", ["3.13.1", "3.15.0"], ["3.13.0"]),
    ],
)
def test_a_range_of_versions_includes_both_ends(text: str, inside: list[str], outside: list[str]) -> None:
    (span,) = parse_ranges(text)
    assert [version for version in inside + outside if Version.parse(version) in span] == inside
    assert str(span) == text


def test_the_profile_is_the_running_interpreter_unless_another_documentation_is_asked_for() -> None:
    running = Version.running()
    other = 11 if running.minor != 11 else 12
    assert profile_version() == running
    assert profile_version(f"3.{running.minor}") == running
    assert profile_version(f"3.{running.minor}.99") == Version(running.minor, 99)
    assert profile_version(f"3.{other}") == Version(other)
    assert profile_version("3.6") == Version(6)


@pytest.mark.parametrize("text", ["3.5", "3.99", "2.7", "3", "newest", "3.12.x", ""])
def test_a_profile_that_no_documentation_has_is_refused(text: str) -> None:
    with pytest.raises(VersionError, match=r'no documentation profile ".*"; use 3.6 to 3.1'):
        profile_version(text)


@pytest.mark.parametrize(
    ("api", "slug"),
    [
        ("loop.call_soon", "loop.call_soon"),
        ("debug mode", "debug-mode"),
        ("python -m asyncio --retries N", "python-m-asyncio-retries-n"),
        ("example: task/sleep", "examples"),
    ],
)
def test_an_id_begins_with_its_api_or_topic(api: str, slug: str) -> None:
    assert api_slug(api) == slug


def test_the_catalogue_loads_and_every_page_and_area_of_it_is_reached() -> None:
    catalogue = load()
    assert catalogue.pages == page_names()
    assert catalogue.areas == tuple(Area)
    assert [catalogue[one.id] for one in catalogue] == list(catalogue)
    assert sum(len(catalogue.select(pages=[page])) for page in catalogue.pages) == len(catalogue)
    assert catalogue.select(["eventloop"], ["timers"]) == tuple(
        one for one in catalogue if one.page == "eventloop" and one.area == "timers"
    )


def test_every_finding_of_the_harness_has_a_requirement_and_the_other_way_round() -> None:
    sources = (path.read_text(encoding="utf-8") for path in Path(conformance.harness.__path__[0]).glob("*.py"))
    kinds = {kind for text in sources for kind in re.findall(r'Finding\(\s*"([a-z-]+)"', text)}
    assert {f"hygiene/{kind}" for kind in kinds} == {one.id for one in load(["hygiene"])}


def test_no_case_names_an_unknown_requirement() -> None:
    catalogue = load()
    unknown = {case.id: strange for case in indexed_cases() if (strange := set(case.requirements) - ids(catalogue))}
    assert unknown == {}


def test_every_case_names_a_requirement() -> None:
    assert [case.id for case in indexed_cases() if not case.requirements] == []


def test_every_requirement_has_a_case_or_a_reason_where_the_area_is_written() -> None:
    checks = checks_by_requirement(indexed_cases())
    bare = [
        one.id
        for one in load()
        if (one.page, one.area) not in NOT_WRITTEN and how_checked(one, checks.get(one.id, ())) is Checked.UNCHECKED
    ]
    assert bare == []


def test_the_list_of_areas_that_are_not_written_only_shrinks() -> None:
    checks = checks_by_requirement(indexed_cases())
    unfinished = {
        (one.page, str(one.area)) for one in load() if how_checked(one, checks.get(one.id, ())) is Checked.UNCHECKED
    }
    assert [entry for entry in NOT_WRITTEN if entry not in unfinished] == []
    assert sorted(set(NOT_WRITTEN)) == list(NOT_WRITTEN)


def test_no_excluded_requirement_has_a_case() -> None:
    checks = checks_by_requirement(indexed_cases())
    assert {one.id: checks[one.id] for one in load() if one.excluded is not None and one.id in checks} == {}


def test_the_index_reads_what_the_imported_cases_wear() -> None:
    worn = {
        case: sorted(
            id_ for mark in getattr(function, "pytestmark", ()) if mark.name == "requirement" for id_ in mark.args
        )
        for path in sorted(CASES.glob(f"*/{PREFIX}*.py"))
        for case, function in cases_in(path)
    }
    assert {case.id: sorted(case.requirements) for case in indexed_cases()} == worn


def test_the_index_reads_a_module_whose_texts_look_like_decorators(tmp_path: Path) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "test_area.py").write_text(
        'SOURCE = """\n@not a decorator\n"""\n\n'
        '@requirement(\n    "a/b",\n    "c/d",\n)\n@on_loops(PLAIN)\nasync def test_it_works(loop): ...\n\n'
        '@pytest.mark.requirement("e/f")\ndef test_it_fails(): ...\n\ndef test_bare(): ...\n\ndef helper(): ...\n',
        encoding="utf-8",
    )
    assert [(case.id, case.requirements, case.line) for case in indexed_cases(tmp_path)] == [
        ("page/area::it_works", ("a/b", "c/d"), 10),
        ("page/area::it_fails", ("e/f",), 13),
        ("page/area::bare", (), 15),
    ]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an empty cache, and a process that has not read the catalogue yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    reader._all_pages.cache_clear()
    yield tmp_path / "asyncio-conformance"
    reader._all_pages.cache_clear()


def test_a_catalogue_from_the_cache_is_the_one_that_was_read(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = load()
    assert len(list(cache.glob("catalogue-*.pickle"))) == 1
    reader._all_pages.cache_clear()
    monkeypatch.setattr(reader, "_read", None)
    assert load() == parsed


@pytest.mark.parametrize("spoiled", [b"", b"no pickle", pickle.dumps("no catalogue")])
def test_a_spoiled_cache_is_made_anew(cache: Path, spoiled: bytes) -> None:
    parsed = load()
    (kept,) = cache.glob("catalogue-*.pickle")
    kept.write_bytes(spoiled)
    reader._all_pages.cache_clear()
    assert load() == parsed
    assert kept.read_bytes() != spoiled


def test_a_catalogue_that_changed_is_not_taken_from_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    (before,) = cache.glob("catalogue-*.pickle")
    monkeypatch.setattr(reader, "__file__", str(cache / "catalogue-changed"))
    (cache / "catalogue-changed").touch()
    assert reader._cached_as(page_names()) not in (None, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_a_cache_that_others_may_write_to_is_not_believed(cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0o777)
    load()
    assert list(cache.iterdir()) == []


def ids(catalogue: conformance.catalogue.Catalogue) -> set[str]:
    """The ids of a catalogue."""
    return {one.id for one in catalogue}


def cases_in(path: Path) -> list[tuple[str, Callable[..., object]]]:
    """The cases of a module, imported: id and function."""
    module = importlib.import_module(f"conformance.cases.{path.parent.name}.{path.stem}")
    return [
        (f"{path.parent.name}/{path.stem.removeprefix(PREFIX)}::{name.removeprefix(PREFIX)}", function)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith(PREFIX) and function.__module__ == module.__name__
    ]
