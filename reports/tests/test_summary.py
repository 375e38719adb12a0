"""The words and counts that every view shares."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given

from fixtures.reports.golden import GOLDEN, deviating
from reports.model import CaseResult, Report, Selection, Verdict, exit_code
from reports.summary import Outcome, areas, column, headline, outcome, selection_in_words, tally
from reports.tests.samples import PATIENT, any_report, report_of

EXIT_CODES = {
    Outcome.CONFORMS: 0,
    Outcome.PARTIAL: 0,
    Outcome.NOTHING_CHECKED: 4,
    Outcome.DEVIATES: 1,
    Outcome.SUITE_AT_FAULT: 3,
    Outcome.INCOMPLETE: 4,
}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("clean", "refloop 0.1.0 conforms: 29 of 29 cases pass, 22 of 23 requirements verified."),
        ("known_bugs", "asyncio conforms: 28 of 29 cases pass (1 known bug), 21 of 23 requirements verified."),
        ("deviating", "The suite is at fault in 1 of 29 cases; on gustloop 0.9.2, 6 of 29 cases deviate."),
        (
            "cut",
            "gustloop 0.9.2 was not measured to the end (interrupted): 9 of 29 cases have a verdict, "
            "2 of 9 measured cases deviate.",
        ),
    ],
)
def test_the_headline_has_every_number_with_its_denominator(name: str, sentence: str) -> None:
    assert headline(GOLDEN[name]()) == sentence


def test_a_deviating_loop_is_told_how() -> None:
    report = deviating()
    report = report_of([case for case in report.cases if not case.faults_suite], report.requirements)
    sentence = headline(attrs.evolve(report, target=deviating().target))
    assert sentence == (
        "gustloop 0.9.2 does not conform: 6 of 28 cases deviate (3 fail, 1 timeout, 1 crash, 1 flaky), "
        "12 of 23 requirements verified."
    )


SELECTED = Selection(areas=("timers",), keyword="not debug")


def test_a_run_of_a_selection_is_never_a_verdict_on_the_loop() -> None:
    clean = GOLDEN["clean"]()
    looked_at = sum(1 for requirement in clean.requirements if requirement.cases)
    report = attrs.evolve(clean, selection=SELECTED)
    assert outcome(report) is Outcome.PARTIAL
    assert "conforms" not in headline(report)
    assert "selected cases pass" in headline(report)
    assert headline(report).endswith(
        f"; {len(clean.requirements) - looked_at} requirement{'s' * (len(clean.requirements) - looked_at != 1)} "
        f"of {len(clean.requirements)} {'was' if len(clean.requirements) - looked_at == 1 else 'were'} not looked at."
    )
    assert selection_in_words(report) == "--area timers -k 'not debug'"


def test_a_selection_with_a_broken_promise_does_not_conform() -> None:
    bad = CaseResult("a/b::c", (), "x", Verdict.FAIL, 0.1)
    report = attrs.evolve(report_of([bad]), selection=SELECTED)
    assert outcome(report) is Outcome.DEVIATES
    assert "1 of 1 selected case deviates" in headline(report)


def test_leak_checks_are_counted_apart_from_cases() -> None:
    cases = [CaseResult("a/b::c", (), "x", Verdict.PASS, 0.1)]
    checks = [CaseResult(f"hygiene/x::{kind}", (), "hygiene", Verdict.PASS, 0.0) for kind in ("threads", "timers")]
    assert "1 of 1 case pass, 2 of 2 leak checks pass" in headline(report_of([*cases, *checks]))
    broken = attrs.evolve(checks[0], verdict=Verdict.FAIL)
    assert "0 of 1 case deviate, 1 of 2 leak checks fails" in headline(report_of([*cases, broken, checks[1]]))


@pytest.mark.parametrize("verdicts", [[], [Verdict.SKIPPED], [Verdict.UNSUPPORTED, Verdict.SKIPPED]])
def test_a_run_that_checked_nothing_does_not_conform(verdicts: list[Verdict]) -> None:
    report = report_of([CaseResult(f"a/b::c[{n}]", (), "x", v, 0.0) for n, v in enumerate(verdicts)])
    assert outcome(report) is Outcome.NOTHING_CHECKED
    assert "conform" not in headline(report)


@given(any_report())
@PATIENT
def test_outcome_and_exit_code_agree(report: Report) -> None:
    assert EXIT_CODES[outcome(report)] == exit_code(report)


@given(any_report())
@PATIENT
def test_each_case_is_counted_once(report: Report) -> None:
    assert sum(tally(report.cases).values()) == len(report.cases)
    rows = areas(report)
    assert sum(area.cases for area in rows) == len(report.cases)
    assert sum(area.requirements for area in rows) == len(report.requirements)
    assert sum(area.deviations for area in rows) == sum(case.deviates for case in report.cases)
    for name, total in tally(report.cases).items():
        assert sum(area.tally[name] for area in rows) == total


def test_a_known_bug_is_in_no_verdicts_column() -> None:
    report = GOLDEN["known_bugs"]()
    case = next(case for case in report.cases if case.known_bug)
    assert case.verdict is Verdict.FAIL
    assert column(case) == "known bug"
    assert tally(report.cases)["fail"] == 0
