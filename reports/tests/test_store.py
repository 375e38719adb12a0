"""``report.json``: what is written is read back, and what is no report is refused in one sentence."""

from __future__ import annotations

import errno
import json
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from fixtures.reports import golden as golden_module
from fixtures.reports.golden import GOLDEN, deviating
from reports import store
from reports.tests.samples import PATIENT, any_report, hostile
from reports.text import one_line

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


def test_a_report_that_does_not_say_what_was_selected_is_one_of_everything() -> None:
    text = store.dumps(GOLDEN["clean"]())
    older = text[: text.index(',\n"selection"')] + "\n}\n"
    assert store.loads(older, "older") == GOLDEN["clean"]()


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


@pytest.mark.skipif(sys.platform == "win32", reason="limits what a process may write")
def test_a_write_that_really_fails_is_one_sentence(tmp_path: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(store.NotWritten, match="file too large"):
            store.write(deviating(), tmp_path / "report.json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="makes links")
def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    (tmp_path / "somebody's").write_text("theirs")
    path.symlink_to(tmp_path / "somebody's")
    store.write(deviating(), path)
    assert (tmp_path / "somebody's").read_text() == "theirs"
    assert not path.is_symlink()
    assert store.read(path) == deviating()


@pytest.mark.skipif(sys.platform == "win32", reason="makes links")
def test_the_temporary_file_is_made_anew_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda _: "guessed")
    (tmp_path / "somebody's").write_text("theirs")
    link = tmp_path / ".report.json.guessed.tmp"
    link.symlink_to(tmp_path / "somebody's")
    with pytest.raises(store.NotWritten, match="file exists"):
        store.write(deviating(), tmp_path / "report.json")
    assert (tmp_path / "somebody's").read_text() == "theirs"
    assert link.is_symlink()


@pytest.mark.skipif(sys.platform == "win32", reason="reads the mask of this process")
def test_a_report_may_be_read_by_whom_the_user_lets(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        store.write(deviating(), tmp_path / "report.json")
    finally:
        os.umask(before)
    assert (tmp_path / "report.json").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("name", ["nul\0.json", "n" * 5_000, "nul\0/report.json", "\ud800.json"])
def test_a_name_that_no_file_can_have_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(store.ReportError) as read:
        store.read(tmp_path / name)
    with pytest.raises(store.NotWritten) as written:
        store.write_text("", tmp_path / name)
    for caught in (read, written):
        message = str(caught.value)
        assert len(message) <= store.LONGEST_MESSAGE
        assert message == one_line(message, store.LONGEST_MESSAGE)


def test_what_a_report_says_in_an_error_is_fit_to_be_shown() -> None:
    for value in ("\x1b]0;title\x07" * 100_000, "a" * 5_000_000, "\u202e\u2028"):
        with pytest.raises(store.WrongSchema) as caught:
            store.loads(json.dumps({"schema": value}), f"\x1b[31m{value}")
        message = str(caught.value)
        assert message == one_line(message, store.LONGEST_MESSAGE)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="/dev/zero is Unix's")
def test_a_file_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LARGEST", 1_000_000)
    with pytest.raises(store.Unreadable, match="larger than any report"):
        store.read(Path("/dev/zero"))


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(store.NotWritten, match=r"nowhere.*--output"):
        store.write(deviating(), tmp_path / "nowhere" / "report.json")


def test_a_target_that_cannot_be_replaced_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()
    with pytest.raises(store.NotWritten, match="--output"):
        store.write(deviating(), tmp_path / "report.json")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
