"""``report.json``: what is written is read back, and what is no report is refused in one sentence."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from fixtures.reports import golden as golden_module
from fixtures.reports.golden import GOLDEN, deviating
from reports import store
from reports.tests.samples import PATIENT, any_report, hostile

if TYPE_CHECKING:
    from collections.abc import Callable

    from reports.model import Report

FOLDER = Path(golden_module.__file__).parent


def edited(change: Callable[[dict[str, Any]], object]) -> str:
    document = json.loads(store.dumps(deviating()))
    change(document)
    return json.dumps(document)


@given(any_report())
@PATIENT
def test_what_is_written_is_read_back(report: Report) -> None:
    assert store.loads(store.dumps(report), "report.json") == report


def test_a_file_is_read_back_by_its_name_and_by_its_folders(tmp_path: Path) -> None:
    report = hostile()
    store.write(report, tmp_path / "report.json")
    assert store.read(tmp_path / "report.json") == report
    assert store.read(tmp_path) == report
    assert list(tmp_path.iterdir()) == [tmp_path / "report.json"]


@pytest.mark.parametrize("name", GOLDEN)
def test_the_golden_files_are_current(name: str) -> None:
    path = FOLDER / f"{name}.json"
    assert store.read(path) == GOLDEN[name]()
    assert path.read_text(encoding="utf-8") == store.dumps(GOLDEN[name]())


def test_the_schema_version_comes_first_and_the_rest_in_the_order_of_the_design() -> None:
    keys = list(json.loads(store.dumps(deviating())))
    designed = ["schema", "complete", "collected_sha256", "suite", "target", "python", "platform", "started", "seconds"]
    designed += ["totals", "cases", "requirements"]
    assert [key for key in keys if key in designed] == designed


def test_every_case_has_a_line_of_its_own() -> None:
    report = deviating()
    lines = store.dumps(report).splitlines()
    assert all(any(json.dumps(case.id) in line and "verdict" in line for line in lines) for case in report.cases)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda d: d.pop("suite"), store.WrongField, "'suite' is missing"),
        (lambda d: d["cases"][3].pop("area"), store.WrongField, "$.cases[3].area"),
        (lambda d: d["cases"][0].update(verdict="passed"), store.WrongField, "$.cases[0].verdict"),
        (lambda d: d["cases"][0].update(control="passed"), store.WrongField, "$.cases[0].control"),
        (lambda d: d["cases"][0].update(id=3), store.WrongField, "text is wanted, not 3"),
        (lambda d: d["cases"][0].update(seconds="1"), store.WrongField, "a number is wanted"),
        (lambda d: d["cases"][0].update(seconds=True), store.WrongField, "a number is wanted, not true"),
        (lambda d: d["cases"][0].update(requirements="abc"), store.WrongField, "$.cases[0].requirements"),
        (lambda d: d["cases"][0].update(known_bug=[]), store.WrongField, "$.cases[0].known_bug"),
        (lambda d: d.update(cases={}), store.WrongField, "a list is wanted, not {}"),
        (lambda d: d.update(cases=[3]), store.WrongField, "an object is wanted, not 3"),
        (lambda d: d.update(complete=1), store.WrongField, "$.complete"),
        (lambda d: d["totals"].update(cases=[]), store.WrongField, "$.totals.cases"),
        (lambda d: d.pop("schema"), store.WrongSchema, "no report"),
        (lambda d: d.update(schema=2), store.WrongSchema, "schema 2"),
        (lambda d: d.update(schema=True), store.WrongSchema, "schema True"),
        (lambda d: d["totals"]["cases"].update(fail=0), store.WrongTotals, "totals.cases.fail is 0"),
        (lambda d: d["totals"]["cases"].pop("fail"), store.WrongTotals, "totals.cases.fail is missing"),
        (lambda d: d["totals"]["requirements"].update(verified=99), store.WrongTotals, "requirements.verified is 99"),
        (lambda d: d["totals"].update(known_bugs=0), store.WrongTotals, "totals.known_bugs"),
        (lambda d: d["cases"][0].update(id="other"), store.BrokenSeal, "seal"),
        (lambda d: d["cases"][0].update(id=d["cases"][1]["id"]), store.BrokenSeal, "more than once"),
        (lambda d: d.update(collected=40), store.BrokenSeal, "40 cases were collected"),
        (lambda d: d.update(cut="killed"), store.BrokenSeal, "killed"),
    ],
)
def test_an_edited_report_is_refused(
    change: Callable[[dict[str, Any]], object], error: type[store.ReportError], words: str
) -> None:
    with pytest.raises(store.ReportError) as caught:
        store.loads(edited(change), "x.json")
    assert type(caught.value) is error
    message = str(caught.value)
    assert message.startswith("x.json")
    assert words in message
    assert message.endswith((".", "again."))
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1', '{"schema": NaN}', "[" * 100_000, b"\xff\xfe\x00"])
def test_what_is_not_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(store.NotJSON, match="run the suite again"):
        store.loads(text, "x.json")


@pytest.mark.parametrize("text", ["[]", "3", "null", '"schema"', "{}"])
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(store.WrongSchema, match="no report"):
        store.loads(text, "x.json")


def test_a_number_beyond_all_bounds_is_refused() -> None:
    with pytest.raises(store.WrongField, match="number"):
        store.loads(edited(lambda d: d.update(seconds=0)).replace('"seconds": 0,', '"seconds": 1e999,', 1), "x.json")


def test_a_cut_report_needs_no_seal() -> None:
    report = GOLDEN["cut"]()
    assert len(report.cases) < report.collected
    assert store.loads(store.dumps(report), "x.json") == report


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(store.NoReport, match=r"nothing\.json.*name a report\.json"):
        store.read(tmp_path / "nothing.json")
    with pytest.raises(store.NoReport, match=r"report\.json"):
        store.read(tmp_path)


def test_a_file_that_the_system_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(store.Unreadable, match="make it readable"):
        store.read(tmp_path)


def test_a_full_disk_leaves_the_old_report_and_no_half_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.json"
    store.write(GOLDEN["clean"](), path)
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(store.NotWritten) as caught:
        store.write(deviating(), path)
    assert "no space left on device" in str(caught.value)
    assert "--output" in str(caught.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_disk_that_is_really_full_is_one_sentence(tmp_path: Path) -> None:
    temporary = tmp_path / f".report.json.{os.getpid()}.tmp"
    temporary.symlink_to("/dev/full")
    with pytest.raises(store.NotWritten, match="no space left"):
        store.write(deviating(), tmp_path / "report.json")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(store.NotWritten, match=r"nowhere.*--output"):
        store.write(deviating(), tmp_path / "nowhere" / "report.json")


def test_a_target_that_cannot_be_replaced_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(store.NotWritten, match="--output"):
        store.write(deviating(), tmp_path / "report.json")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
