"""A pass goes on for as long as it makes progress, and says why it ended where it did not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conformance.harness import children, passes
from conformance.harness.journal import JournalReader, JournalWriter
from conformance.harness.passes import PassPlan, own_command
from conformance.harness.run import NothingSelected, SuiteBroken
from conformance.harness.selection import Rules
from conformance.selftest.running import Unwatched, run_suite
from reports.model import exit_code

if TYPE_CHECKING:
    from pathlib import Path

    from reports.model import CaseResult


@pytest.mark.parametrize("workers", [0, 2])
def test_a_process_that_never_gets_anywhere_ends_the_run(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "SILENCE", 2.0)
    report = run_suite("stillborn", "asyncio", workers=workers)
    assert (report.complete, report.cases) == (False, ())
    assert "pytest ended before 3 of 3 cases had a verdict" in report.cut
    assert exit_code(report) == 4


def test_a_suite_that_cannot_be_imported_is_told_with_pytest_s_last_words() -> None:
    with pytest.raises(SuiteBroken) as broken:
        run_suite("unreadable", "asyncio")
    assert "this suite cannot be imported" in f"{broken.value} {getattr(broken.value, 'log', '')}"


def test_a_selection_that_matches_nothing_is_told_with_what_was_asked() -> None:
    with pytest.raises(NothingSelected, match="-k no_such_case"):
        run_suite("small", "asyncio", keyword="no_such_case")


class Notes(Unwatched):
    """Writes down what a run tells."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def phase(self, text: str) -> None:
        self.told.append(f"phase {text}")

    def collected(self, count: int) -> None:
        self.told.append(f"collected {count}")

    def started(self, case: str) -> None:
        self.told.append(f"started {case}")

    def finished(self, result: CaseResult) -> None:
        self.told.append(f"finished {result.id} {result.verdict.value}")


def test_a_run_tells_every_start_and_every_end_as_it_happens() -> None:
    notes = Notes()
    run_suite("small", "asyncio", watcher=notes, keyword="timer or again")
    assert notes.told == [
        "phase cases",
        "collected 2",
        "started eventloop/small::a_timer_fires",
        "finished eventloop/small::a_timer_fires pass",
        "started eventloop/small::the_loop_runs_again",
        "finished eventloop/small::the_loop_runs_again pass",
    ]


def test_a_journal_is_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    reader, writer = JournalReader(path), JournalWriter(path)
    assert list(reader.read()) == []
    writer.write("started", node="a")
    with path.open("a", encoding="utf-8") as half:
        half.write('{"event": "fini')
    assert list(reader.read()) == [{"event": "started", "node": "a"}]
    with path.open("a", encoding="utf-8") as rest:
        rest.write('shed", "node": "a"}\n')
    assert list(reader.read()) == [{"event": "finished", "node": "a"}]
    assert list(reader.read()) == []
    reader.close()


@pytest.fixture
def plan(tmp_path: Path) -> PassPlan:
    return PassPlan(tmp_path, "asyncio", None, None, 0, rules=lambda: Rules({}, {}))


def test_xdist_replaces_workers_without_end_where_none_can_be_forked(plan: PassPlan, tmp_path: Path) -> None:
    words = own_command(_with(plan, workers=3), tmp_path)
    assert words[words.index("-n") + 1] == "3"
    assert "--max-worker-restart=1000000" in words
    assert "-n" not in own_command(plan, tmp_path)


def _with(plan: PassPlan, **changes: Any) -> PassPlan:
    import attrs

    return attrs.evolve(plan, **changes)


def test_a_run_inherits_nothing_that_changes_pytest_or_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in children.UNWANTED_VARIABLES:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HARMLESS", "kept")
    clean = children.environment()
    assert not set(children.UNWANTED_VARIABLES) & set(clean)
    assert clean["HARMLESS"] == "kept"
    assert clean["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] == "1"
    assert json.loads(json.dumps(clean)) == clean
