"""From executions to verdicts: attempts, the control, CPython's known bugs, hygiene, and what a report holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from conformance.catalogue import Catalogue, Version, load
from conformance.catalogue.model import CPythonBug
from conformance.catalogue.versions import VersionRange
from conformance.harness.containment import Death
from conformance.harness.judgement import Judge, status_of, verdict_of
from conformance.harness.options import RunOptions
from conformance.harness.passes import Collected, Execution
from conformance.selftest.running import case_of, is_whole, run_suite, verdicts
from conformance.target import Target
from fixtures.faulty.flaky import STATE
from reports.model import CaseResult, PlatformInfo, PythonInfo, Report, Status, Suite, TargetInfo, Verdict, exit_code

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENT = "loop.call_soon/fifo-order"
CASE = Collected("eventloop/callbacks::in_order", "node", (REQUIREMENT,), "eventloop/test_callbacks.py", 1, None)

BORROWING = Target("mine", "mine:Loop")
OWN = Target("mine", "mine:Loop", "mine")

HERE = VersionRange.parse(f"{Version.running()}")
ELSEWHERE = VersionRange.parse("3.0")


def executed(verdict: str, findings: list[tuple[str, str]] | None = None) -> Execution:
    """One execution of the case that came to a verdict by itself."""
    outcome = {"verdict": verdict, "seconds": 0.1, "message": f"it was {verdict}", "findings": findings or []}
    return Execution(CASE.id, outcome, None, 0.1)


def died() -> Execution:
    """One execution of the case in which the process died."""
    return Execution(CASE.id, None, Death(Verdict.CRASH, "the process died: killed by SIGSEGV", "stacks", "node"), 0.1)


def judge(target: Target = BORROWING, bug: VersionRange | None = None) -> Judge:
    """A judge with a catalogue of one requirement, and of one kind of leak."""
    requirement = load()[REQUIREMENT]
    if bug is not None:
        issue = CPythonBug((bug,), "runs them backwards", "https://github.com/python/cpython/issues/1")
        requirement = attrs.evolve(requirement, known_bugs=(issue,))
    catalogue = Catalogue((requirement, load()["hygiene/threads"]))
    one = Judge(catalogue, Version.running(), target, RunOptions(target="mine"))
    one.expect({CASE.id: CASE})
    return one


def report_of(one: Judge, cut: str = "") -> Report:
    """The report of a judge, with a head that does not matter."""
    return one.report(
        started="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        suite=Suite("1", "3.13"),
        target=TargetInfo("mine", "mine:Loop", "asyncio"),
        python=PythonInfo("CPython", "3.13.0", "", free_threaded=False, openssl=None),
        platform=PlatformInfo("Linux", "6", "x86_64", "glibc 2", 2),
        probes=(),
        cut=cut,
    )


ATTEMPTS = [
    (["pass"], "pass"),
    (["fail"], "fail"),
    (["fail", "fail"], "fail"),
    (["fail", "pass"], "flaky"),
    (["pass", "fail"], "flaky"),
    (["fail", "fail", "pass"], "flaky"),
    (["timeout", "pass"], "flaky"),
    (["timeout", "fail"], "timeout"),
    (["skipped"], "skipped"),
    (["unsupported"], "unsupported"),
    (["error"], "error"),
    (["error", "pass"], "pass"),
]


@pytest.mark.parametrize(("attempts", "verdict"), ATTEMPTS, ids=["+".join(attempts) for attempts, _ in ATTEMPTS])
def test_a_case_that_passes_only_some_of_the_time_is_flaky(attempts: list[str], verdict: str) -> None:
    assert verdict_of(executed(attempt) for attempt in attempts).value == verdict


def test_a_crash_that_does_not_come_again_is_flaky() -> None:
    assert verdict_of([died(), died()]) is Verdict.CRASH
    assert verdict_of([died(), executed("pass")]) is Verdict.FLAKY


def test_every_attempt_is_told() -> None:
    one = judge()
    one.add(died(), CASE)
    one.add(executed("pass"), CASE)
    (result,) = one.cases()
    assert [attempt.verdict.value for attempt in result.attempts] == ["crash", "pass"]
    assert (result.message, result.details) == ("the process died: killed by SIGSEGV", "stacks")


CONTROLS = [
    (BORROWING, "pass", None, "fail", False),
    (BORROWING, "fail", None, "error", False),
    (BORROWING, "fail", HERE, "fail", True),
    (BORROWING, "fail", ELSEWHERE, "error", False),
    (BORROWING, "pass", HERE, "fail", False),
    (BORROWING, "skipped", HERE, "fail", False),
    (OWN, "fail", None, "fail", False),
    (OWN, "fail", HERE, "fail", False),
]


@pytest.mark.parametrize(("target", "control", "bug", "verdict", "excused"), CONTROLS)
def test_the_control_tells_the_loop_s_fault_from_the_suite_s_and_cpython_s(
    target: Target, control: str, bug: VersionRange | None, verdict: str, excused: bool
) -> None:
    one = judge(target, bug)
    one.add(executed("fail"), CASE)
    assert one.doubtful() == [CASE.id]
    one.add_control(executed(control), CASE)
    (result,) = one.cases()
    assert (result.verdict.value, result.known_bug is not None) == (verdict, excused)
    assert result.control is Verdict(control)
    assert exit_code(report_of(one)) == (0 if excused else 3 if verdict == "error" else 1)


def test_a_case_that_passed_needs_no_control_unless_it_left_something() -> None:
    one = judge()
    one.add(executed("pass"), CASE)
    assert one.doubtful() == []
    one = judge()
    one.add(executed("pass", [("threads", "live threads: t")]), CASE)
    assert one.doubtful() == [CASE.id]


LEAK = [("threads", "live threads: t")]


@pytest.mark.parametrize(
    ("target", "on_control", "verdict"),
    [(BORROWING, [], "fail"), (BORROWING, LEAK, "error"), (OWN, LEAK, "fail"), (BORROWING, [("children", "")], "fail")],
)
def test_a_leak_is_held_against_the_loop_unless_the_control_leaks_too(
    target: Target, on_control: list[tuple[str, str]], verdict: str
) -> None:
    one = judge(target)
    one.add(executed("pass", LEAK), CASE)
    one.add_control(executed("pass", on_control), CASE)
    report = report_of(one)
    (leak,) = (case for case in report.cases if case.id == "hygiene/callbacks::threads")
    assert leak.verdict.value == verdict
    assert CASE.id in leak.details


def test_where_no_case_passed_hygiene_is_not_judged() -> None:
    one = judge()
    one.add(executed("fail"), CASE)
    one.add_control(executed("pass"), CASE)
    report = report_of(one)
    assert [case.verdict.value for case in report.cases] == ["fail", "skipped"]
    assert report.complete


def test_a_report_is_complete_only_with_a_verdict_for_every_case() -> None:
    one = judge()
    assert not report_of(one).complete
    one.add(executed("pass"), CASE)
    assert is_whole(report_of(one))
    cut = report_of(one, cut="interrupted")
    assert (cut.complete, cut.cut, exit_code(cut)) == (False, "interrupted", 4)


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([], "unverified"),
        (["skipped"], "unverified"),
        (["error"], "unverified"),
        (["pass", "error"], "unverified"),
        (["pass"], "verified"),
        (["pass", "skipped"], "verified"),
        (["pass", "unsupported"], "unsupported"),
        (["pass", "flaky"], "failed"),
        (["unsupported", "timeout"], "failed"),
    ],
)
def test_a_requirement_is_verified_by_cases_that_ran_and_passed_alone(found: list[str], status: str) -> None:
    results = [
        CaseResult(str(number), (REQUIREMENT,), "callbacks", Verdict(verdict), 0.0)
        for number, verdict in enumerate(found)
    ]
    assert status_of(results) is Status(status)


def test_a_retry_that_passes_makes_the_case_flaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE, str(tmp_path / "state"))
    report = run_suite("small", "fixtures.faulty.flaky:at_first", retries=2)
    flaky = case_of(report, "the_exception_handler_can_be_set")
    assert flaky.verdict is Verdict.FLAKY
    # It is tried again as often as was asked: passing once more proves nothing new.
    assert [attempt.verdict.value for attempt in flaky.attempts][:2] == ["fail", "pass"]
    assert "LookupError: fails at first" in flaky.message
    assert exit_code(report) == 1


def test_without_retries_a_failure_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE, str(tmp_path / "state"))
    report = run_suite("small", "fixtures.faulty.flaky:at_first")
    assert verdicts(report)["the_exception_handler_can_be_set"] == "fail"


def test_a_crash_is_always_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STATE, str(tmp_path / "state"))
    report = run_suite("small", "fixtures.faulty.flaky:dies_at_first")
    flaky = case_of(report, "the_exception_handler_can_be_set")
    assert [attempt.verdict.value for attempt in flaky.attempts] == ["crash", "pass"]
    assert flaky.verdict is Verdict.FLAKY


def test_a_case_that_fails_on_asyncio_too_is_the_suite_s_fault() -> None:
    report = run_suite("misbehaving", "fixtures.faulty.hangs:at_interpreter_exit", keyword="too_much or before")
    assert verdicts(report) == {"healthy_before": "pass", "asks_for_too_much": "error"}
    wrong = case_of(report, "asks_for_too_much")
    assert wrong.message.startswith("fails on the interpreter's own asyncio too, so the suite is at fault: ")
    assert "running is False, expected 'always'" in wrong.message
    assert wrong.control is Verdict.FAIL
    assert (wrong.expected, wrong.seen) == ("'always'", "False")
    assert exit_code(report) == 3


@pytest.mark.parametrize("recorded", [HERE, ELSEWHERE], ids=["here", "elsewhere"])
def test_cpython_s_recorded_bug_is_excused_where_it_is_recorded_and_only_there(
    recorded: VersionRange, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug = CPythonBug((recorded,), "never says always", "https://github.com/python/cpython/issues/1")
    known = [
        attrs.evolve(one, known_bugs=(bug,)) if one.id == "loop.stop/callable-from-callback" else one for one in load()
    ]
    monkeypatch.setattr("conformance.harness.run.load", lambda: Catalogue(tuple(known)))
    report = run_suite("misbehaving", "asyncio", keyword="too_much or before")
    wrong = case_of(report, "asks_for_too_much")
    excused = recorded is HERE
    assert (wrong.verdict, wrong.known_bug is not None) == ((Verdict.FAIL if excused else Verdict.ERROR), excused)
    assert exit_code(report) == (0 if excused else 3)
