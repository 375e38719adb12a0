"""Only the files that can hold what was asked for are imported, and none too few."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conformance.caching import cache_folder
from conformance.catalogue import Area
from conformance.harness.bytecode import folder_for
from conformance.harness.children import environment
from conformance.harness.naming import CASES
from conformance.harness.narrowing import files_of_areas, files_that_may_match, places_of

if TYPE_CHECKING:
    from pathlib import Path

EXPRESSIONS = (
    "call_soon",
    "TIMER and not debug",
    "tls-client",
    "not call",
    "eager or barrier",
    "test_timers.py",
    "(wait_closed or handshake) and unix",
    "no_such_case",
    "1",
    "sync and not (lock or queue)",
)

ASK_PYTEST = """
import json, os, sys
import pytest
from _pytest.mark import KeywordMatcher
from _pytest.mark.expression import Expression
from conformance.harness.naming import CASES, ROOT

class Asks:
    def pytest_collection_finish(self, session):
        found = {}
        for text in sys.argv[1:]:
            wanted = Expression.compile(text)
            items = [item for item in session.items if wanted.evaluate(KeywordMatcher.from_item(item))]
            found[text] = sorted({str(item.path) for item in items})
        print("FOUND" + json.dumps(found))

line = [str(CASES), "-c", os.devnull, f"--rootdir={ROOT}", "--collect-only", "-qq", "-s"]
pytest.main([*line, "-p", "conformance.harness.plugin", "-p", "no:cacheprovider"], plugins=[Asks()])
"""


def test_no_file_with_a_case_that_matches_is_left_out() -> None:
    line = [sys.executable, "-P", "-c", ASK_PYTEST, *EXPRESSIONS]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, check=True)
    (told,) = (text.removeprefix("FOUND") for text in done.stdout.splitlines() if text.startswith("FOUND"))
    found = json.loads(told)
    files = set(CASES.glob("*/test_*.py"))
    assert sum(map(bool, found.values())) == len(EXPRESSIONS) - 1
    for expression in EXPRESSIONS:
        narrowed = set(map(str, files_that_may_match(expression, files)))
        assert narrowed.issuperset(found[expression]), expression


def test_a_word_that_stands_in_few_files_leads_to_few() -> None:
    files = set(CASES.glob("*/test_*.py"))
    assert 0 < len(files_that_may_match("barrier and not call_soon", files)) < len(files) / 2
    assert files_that_may_match("no_such_word", files) == set()


@pytest.mark.parametrize("expression", ["and", "call_soon and (", "a b", " or ".join("abcdefgh")])
def test_what_pytest_has_to_refuse_narrows_nothing(expression: str) -> None:
    files = set(CASES.glob("*/test_call*.py"))
    assert files_that_may_match(expression, files) == files


def test_areas_pages_and_cases_narrow_each_other() -> None:
    def places(**asked: object) -> list[str]:
        nothing: dict[str, object] = {"only": None, "pages": (), "areas": (), "keyword": None}
        return places_of(CASES, **{**nothing, **asked})  # type: ignore[arg-type]

    assert places() == [str(CASES)]
    timers = str(CASES / "eventloop" / "test_timers.py")
    assert timers in places(areas=(Area.TIMERS,))
    assert places(areas=(Area.TIMERS,), pages=("sync",)) == [str(CASES)]
    assert places(only=("eventloop/timers::a[x]", "eventloop/timers::b")) == [timers]
    assert timers in places(pages=("eventloop",), keyword="timer")


def test_an_area_is_looked_for_in_the_files_that_name_its_requirements() -> None:
    assert {file.name for file in files_of_areas(CASES, [Area.BARRIERS])} == {"test_barriers.py"}


def test_the_compiled_suite_stands_beside_its_source_where_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert folder_for(tmp_path, tmp_path / "run") is None
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    cache = tmp_path / "cache"
    assert folder_for(tmp_path, tmp_path / "run", {"XDG_CACHE_HOME": str(cache)}) == cache / (
        "asyncio-conformance/bytecode"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_a_cache_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    # What is found there is executed.
    (tmp_path / "asyncio-conformance").mkdir()
    (tmp_path / "asyncio-conformance").chmod(0o777)
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) is None
    (tmp_path / "asyncio-conformance").chmod(0o755)
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "asyncio-conformance"


@pytest.mark.skipif(sys.platform == "win32", reason="making links takes a privilege on Windows")
def test_a_link_is_not_followed_to_a_cache(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "asyncio-conformance").symlink_to(tmp_path / "elsewhere")
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) is None


def test_where_no_cache_can_be_made_the_run_keeps_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "file").touch()
    run = tmp_path / "run"
    assert folder_for(tmp_path, run, {"XDG_CACHE_HOME": str(tmp_path / "file")}) == run
