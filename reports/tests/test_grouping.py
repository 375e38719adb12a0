"""What failed for one reason is one group, whatever numbers, addresses and paths differ, and no case is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.grouping import MANY, common, findings, folded, function_of, grouped, normalised, urgency, variant_of
from reports.model import CaseResult, Report, Verdict
from reports.tests.samples import PATIENT, any_case, any_report, any_text, many, report_of
from reports.text import one_line


def case(number: int, message: str, verdict: Verdict = Verdict.FAIL) -> CaseResult:
    return CaseResult(f"page/module::function_{number}[plain]", (f"r/{number % 4}",), "x", verdict, 0.1, message)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<Handle at 0x7f1d8cf41cd0> is lost", "<Handle at 0x7f8bbc3e7920> is lost"),
        ("fired 0.25 ms early", "fired 12 ms early"),
        ("took 1.5e-05 s", "took 3 s"),
        ("('127.0.0.1', 43483) is in use", "('127.0.0.1', 45059) is in use"),
        ("no such file: '/tmp/pytest-of-kim/pytest-0/sock'", "no such file: '/tmp/tmpab_cd/other/sock2'"),
        ("in /var/folders/zz/T/x: gone", "in /var/folders/yy/T/y: gone"),
        ("key 8f14e45fceea167a5a36dedd4bea2543 lost", "key c9f0f895fb98ab9159f51fd0297e236d lost"),
        ("id 123e4567-e89b-12d3-a456-426614174000 lost", "id 00000000-0000-0000-0000-000000000000 lost"),
        ("<Handle test_one.<locals>.<lambda>>", "<Handle test_another.<locals>.<lambda>>"),
        ("Task-12 pending", "Task-7 pending"),
    ],
)
def test_what_differs_from_case_to_case_is_left_out(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("AttributeError: no _debug", "AttributeError: no _ready"),
        ("expected [], seen ['made']", "expected [], seen ['lost']"),
        ("killed by SIGSEGV", "killed by SIGABRT"),
        ("called with added", "called with faded"),
    ],
)
def test_what_tells_two_causes_apart_is_kept(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@given(any_text())
@PATIENT
def test_a_normalised_message_stays_as_it_is(message: str) -> None:
    assert normalised(normalised(message)) == normalised(message)
    assert common([message]) == common([message, message]) == one_line(message)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=5))
def test_a_common_message_keeps_what_all_have(numbers: list[int]) -> None:
    told = common([f"port {number} of 3 is in use" for number in numbers])
    shown = numbers[0] if len(set(numbers)) == 1 else "…"
    assert told == f"port {shown} of 3 is in use"


def test_a_cause_that_breaks_many_is_named_once_with_its_extent() -> None:
    missing = [case(n, f"AttributeError: <Loop at {n + 1:#x}> has no attribute '_debug'") for n in range(119)]
    others = [case(200, "lost"), case(201, "killed by SIGSEGV", Verdict.CRASH)]
    told = grouped(report_of([*missing, *others]), [*missing, *others])
    (cause,) = told.causes
    assert cause.message == "AttributeError: <Loop at …> has no attribute '_debug'"
    assert cause.extent == "119 cases in 4 requirements"
    assert [one.cases for one in told.findings] == [(others[1],), (others[0],)]


@pytest.mark.parametrize(
    "cases",
    [
        [case(n, "the same message") for n in range(MANY - 1)],
        [CaseResult(f"a/b::c[{n}]", ("r",), "x", Verdict.FAIL, 0.1, "the same message") for n in range(50)],
        [case(n, "") for n in range(50)],
        [case(n, f"{n}") for n in range(50)],
        [case(n, "the same message", list(Verdict)[n % 8]) for n in range(50)],
    ],
    ids=["too few", "one function", "no message", "numbers only", "different verdicts"],
)
def test_what_is_no_common_cause_is_told_by_requirement(cases: list[CaseResult]) -> None:
    assert grouped(report_of(cases), cases).causes == ()


def test_larger_causes_come_first() -> None:
    cases = [case(n, "the smaller one" if n % 3 else "the larger") for n in range(60)]
    cases = [*(case(n, "few") for n in range(100, 112)), *cases]
    assert [len(cause.cases) for cause in grouped(report_of(cases), cases).causes] == [40, 20, 12]


@given(any_report())
@PATIENT
def test_no_case_is_lost_or_told_twice(report: Report) -> None:
    told = grouped(report, report.cases)
    folds = [fold for cause in told.causes for fold in cause.folds]
    folds += [fold for finding in told.findings for fold in finding.folds]
    cases = [one for fold in folds for one in fold.cases]
    assert sorted(one.id for one in cases) == sorted(one.id for one in report.cases)


@given(st.lists(any_case(), max_size=30))
@PATIENT
def test_what_is_urgent_comes_first(cases: list[CaseResult]) -> None:
    ranks = [min(map(urgency, finding.cases)) for finding in findings(report_of(cases), cases)]
    assert ranks == sorted(ranks)
    ranks = [urgency(fold.cases[0]) for fold in folded(cases)]
    assert ranks == sorted(ranks)


@given(any_case())
@PATIENT
def test_function_and_variant_make_the_id(one: CaseResult) -> None:
    variant = variant_of(one)
    assert one.id == function_of(one) + (f"[{variant}]" if one.id.endswith("]") else "")


def test_variants_that_went_differently_are_told_apart() -> None:
    cases = [
        CaseResult(f"a/b::c[{name}]", ("r",), "x", verdict, 0.1, message)
        for name, verdict, message in (
            ("plain", Verdict.FAIL, "3 ms early"),
            ("debug", Verdict.TIMEOUT, "did not end"),
            ("eager", Verdict.FAIL, "17 ms early"),
            ("late", Verdict.FAIL, "late"),
        )
    ]
    told = [(fold.title, fold.told_variants(), fold.message) for fold in folded(cases)]
    assert told == [
        ("a/b::c[debug]", "", "did not end"),
        ("a/b::c", "2 variants: plain, eager", "… ms early"),
        ("a/b::c[late]", "", "late"),
    ]


def test_the_names_of_many_variants_are_bounded() -> None:
    (fold,) = folded([CaseResult(f"a/b::c[{n:04}]", ("r",), "x", Verdict.FAIL, 0.1) for n in range(1000)])
    assert fold.told_variants(40) == "1,000 variants: 0000, 0001, 0002, 0003, 0004, 0005, …"


def test_twenty_thousand_cases_are_grouped_at_once() -> None:
    report = many(20_000)
    (cause,) = grouped(report, report.cases).causes
    assert len(cause.cases) == 20_000
