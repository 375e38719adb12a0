"""The terminal: fits its width, speaks plainly in a log, and says what to do next."""

from __future__ import annotations

import re
import threading
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from rich.console import Console

from reports.model import CaseResult, Report, Verdict
from reports.terminal import LiveProgress, PlainProgress, make_console, progress, show
from reports.tests.samples import PATIENT, all_different, any_report, hostile, many, report_of

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path("conformance-report")


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "CI", "LINES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def different() -> Report:
    """A report of five hundred cases, each of a function and with a message of its own."""
    return all_different(many(500))


class Terminal(StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def logged(report: Report) -> str:
    """What a file or a pipe gets."""
    file = StringIO()
    show(report, make_console(file), FOLDER)
    return file.getvalue()


def shown(report: Report, *, stories: bool = False) -> str:
    """What a screen gets, without its colours."""
    file = Terminal()
    show(report, make_console(file), FOLDER, stories=stories)
    return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())


def test_the_verdict_comes_first(golden: Report) -> None:
    words = " ".join(shown(golden).split()[:9])
    assert "conform" in words or "measured" in words or "at fault" in words


def test_it_fits_into_eighty_columns_except_what_is_to_be_copied(golden: Report) -> None:
    for line in shown(golden).splitlines():
        assert len(line) <= 80 or "::test_" in line


def test_a_wide_count_does_not_break_the_table() -> None:
    assert max(len(line) for line in shown(many(20_000)).splitlines() if "::" not in line) <= 110


@pytest.mark.parametrize("show", [shown, logged])
def test_it_names_the_findings_the_report_and_the_command_that_repeats_the_first(
    deviating: Report, show: Callable[[Report], str]
) -> None:
    text = show(deviating)
    flat = "".join(text.split())
    for case in deviating.cases:
        if case.deviates:
            assert case.id in flat
            assert "".join(case.message.split()) in flat
    first = next(case for case in deviating.cases if case.verdict is Verdict.CRASH)
    assert f"\n  {first.repeat}\n" in text
    assert f"Report: {FOLDER / 'index.html'}\n" in text
    assert "sendfile: loop.sendfile() raised NotImplementedError" in text
    assert "12 of 23" in text


def test_of_many_findings_a_screen_shows_ten_and_a_log_all(different: Report) -> None:
    text = shown(different)
    assert "What fails (500 of 500 cases, the first 10 of 500 findings)" in text
    assert text.count("FAIL") == 10
    text = logged(different)
    assert "What fails (500 of 500 cases)" in text
    assert text.count("\n  FAIL ") == 500


def test_a_job_in_ci_writes_a_log_also_on_a_terminal(different: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    assert shown(different).count("\n  FAIL ") == 500


def test_in_a_log_each_finding_is_one_line_that_is_not_too_long(different: Report) -> None:
    lines = logged(different).splitlines()
    for case in different.cases:
        (line,) = (line for line in lines if case.id in line and line.startswith("  FAIL "))
        assert case.message[:100] in line
    assert max(map(len, lines)) < 600


def test_a_cause_of_many_is_named_once() -> None:
    report = many(500)
    for text in (shown(report), logged(report)):
        assert text.count("expected one thing, seen another") == 1
        assert "500 cases in 50 requirements: expected one thing, seen another" in text
    assert shown(report).count("FAIL") == 1
    assert "and 96 more functions of this cause" in shown(report)
    assert logged(report).count("\n  FAIL ") == 97


def test_crashes_and_timeouts_come_first(deviating: Report) -> None:
    text = shown(deviating)
    places = [text.index(f"\n  {verdict.value.upper()} ") for verdict in (Verdict.CRASH, Verdict.TIMEOUT, Verdict.FAIL)]
    assert places == sorted(places)


def test_variants_are_folded_and_a_story_is_told_of_each() -> None:
    cases = [
        CaseResult(f"a/b::c[{name}]", ("r",), "x", Verdict.FAIL, 0.1, f"{n} ms early", details=f"details of {name}")
        for n, name in enumerate(("plain", "debug", "eager"))
    ]
    text = shown(report_of(cases))
    assert "\n  FAIL a/b::c (3 variants: plain, debug, eager)\n    … ms early\n" in text
    text = shown(report_of(cases), stories=True)
    assert text.index("details of plain") < text.index("details of debug") < text.index("details of eager")


def test_a_clean_run_has_no_next_command() -> None:
    text = shown(report_of([CaseResult("a/b::c", (), "x", Verdict.PASS, 0.1, repeat="again")]))
    assert "again" not in text


def test_without_a_terminal_there_is_no_colour(deviating: Report) -> None:
    assert "\x1b" not in logged(deviating)


def test_no_color_is_respected_on_a_terminal(deviating: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Terminal()
    show(deviating, make_console(file))
    assert "\x1b[1;31m" in file.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    file = Terminal()
    show(deviating, make_console(file))
    assert "31m" not in file.getvalue()


@given(any_report())
@PATIENT
def test_any_report_can_be_shown(report: Report) -> None:
    for text in (shown(report), logged(report)):
        text.encode()
        assert not set(text) & {"\x00", "\x07", "\x1b", "\x9b"}


def test_hostile_text_can_be_shown() -> None:
    for text in (shown(hostile()), logged(hostile())):
        assert "\x1b" not in text


def test_an_encoding_that_lacks_a_character_is_no_error(tmp_path: Path, deviating: Report) -> None:
    with (tmp_path / "log").open("w", encoding="ascii") as file:
        show(deviating, make_console(file))
    assert "deviate" in (tmp_path / "log").read_text(encoding="ascii")


@pytest.mark.parametrize(
    ("stream", "environ", "kind"),
    [
        (Terminal(), {}, LiveProgress),
        (Terminal(), {"CI": "true"}, PlainProgress),
        (StringIO(), {}, PlainProgress),
    ],
)
def test_progress_suits_the_stream(stream: StringIO, environ: dict[str, str], kind: type) -> None:
    assert type(progress(make_console(stream), environ)) is kind


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert type(progress(make_console(Terminal()), {})) is PlainProgress


def test_a_log_gets_a_line_for_each_tenth_and_for_what_deviates() -> None:
    file = StringIO()
    report = many(100, verdict=Verdict.PASS)
    bad = CaseResult("a/b::bad", (), "x", Verdict.CRASH, 0.1, message="SIGSEGV (11)")
    with PlainProgress(make_console(file)) as told:
        told.collected(101)
        for case in (bad, *report.cases):
            told.started(case.id)
            told.finished(case)
    lines = file.getvalue().splitlines()
    assert lines[0] == "running 101 cases"
    assert lines[1] == "CRASH a/b::bad  SIGSEGV (11)"
    assert lines[-1] == "101 of 101 cases: 100 pass, 1 crash"
    assert len(lines) == 12


def test_a_log_is_not_flooded() -> None:
    file = StringIO()
    with PlainProgress(make_console(file)) as told:
        told.collected(1000)
        for case in many(1000).cases:
            told.finished(case)
    assert len(file.getvalue().splitlines()) == 22


def test_more_verdicts_than_collected_cases_are_no_error() -> None:
    told = PlainProgress(make_console(StringIO()))
    for case in many(3).cases:
        told.finished(case)
    assert told.done == 3


def test_a_terminal_shows_how_far_the_run_is_and_cleans_up(deviating: Report) -> None:
    file, times = Terminal(), iter(range(1000))
    console = Console(file=file, width=80, force_terminal=True)
    threads = threading.active_count()
    with LiveProgress(console, clock=lambda: float(next(times))) as told:
        assert "collecting" in file.getvalue()
        told.collected(len(deviating.cases))
        for case in deviating.cases:
            told.started(case.id)
            assert threading.active_count() == threads
            told.finished(case)
    text = file.getvalue()
    assert "29 of 29 cases" in text
    assert "CRASH" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_after_the_last_case_a_terminal_shows_what_goes_on(deviating: Report) -> None:
    file, times = Terminal(), iter(range(1000))
    with LiveProgress(Console(file=file, width=80, force_terminal=True), clock=lambda: float(next(times))) as told:
        told.collected(1)
        told.finished(deviating.cases[0])
        told.again("control run", 40)
        for case in deviating.cases[:12]:
            told.started(case.id)
            told.finished_again(case.id)
    assert "control run 12 of 40" in file.getvalue()


def test_a_log_says_that_something_runs_again() -> None:
    file = StringIO()
    told = PlainProgress(make_console(file))
    told.again("control run", 40)
    for _ in range(40):
        told.finished_again("a/b::c")
    assert file.getvalue() == "control run: 40 cases\n"


def test_drawing_is_throttled() -> None:
    file = Terminal()
    console = Console(file=file, width=80, force_terminal=True)
    with LiveProgress(console, clock=lambda: 0.0) as told:
        told.collected(20_000)
        before = len(file.getvalue())
        for case in many(20_000, verdict=Verdict.PASS).cases:
            told.started(case.id)
            told.finished(case)
        assert len(file.getvalue()) == before
