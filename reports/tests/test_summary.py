"""The words and counts that every view shares."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given

from fixtures.reports.golden import GOLDEN, deviating
from reports.model import CaseResult, Report, Verdict, exit_code
from reports.summary import Outcome, areas, column, headline, outcome, tally
from reports.tests.samples import PATIENT, any_report, report_of

EXIT_CODES = {
    Outcome.CONFORMS: 0,
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
