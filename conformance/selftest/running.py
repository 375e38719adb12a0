"""Real runs of small suites, for the selftests of the harness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.harness.naming import ROOT
from conformance.harness.options import RunOptions
from conformance.harness.run import run
from reports.model import seal

if TYPE_CHECKING:
    from reports.model import CaseResult, Report

SUITES = ROOT / "fixtures" / "suites"

BUDGET = 2.0
"""Seconds for a case of a small suite: each takes a millisecond, so only a hang exceeds it, even on a busy machine; and
a hang costs a run no more."""


class Unwatched:
    """Lets a run go on without looking; a test overrides what it wants to see."""

    def phase(self, text: str) -> None:
        """Something else begins."""

    def collected(self, count: int) -> None:
        """So many cases will run."""

    def started(self, case: str) -> None:
        """A case began."""

    def finished(self, result: CaseResult) -> None:
        """A case came to a verdict."""


def run_suite(name: str, target: str, *, workers: int = 0, watcher: Unwatched | None = None, **options: Any) -> Report:
    """Run the suite ``fixtures/suites/<name>`` against ``target``; ``options`` are those of `RunOptions`."""
    asked = RunOptions(target=target, suite=SUITES / name, budget=BUDGET, workers=workers, **options)
    return run(asked, watcher or Unwatched())


def verdicts(report: Report) -> dict[str, str]:
    """Name of the function → verdict, of the cases proper."""
    return {
        case.id.partition("::")[2]: case.verdict.value for case in report.cases if not case.id.startswith("hygiene/")
    }


def leaks(report: Report) -> dict[str, str]:
    """Kind of leak → message of its first result, of what cases left behind."""
    found: dict[str, str] = {}
    for case in report.cases:
        if case.id.startswith("hygiene/") and case.deviates:
            found.setdefault(case.id.partition("::")[2], case.message)
    return found


def is_whole(report: Report) -> bool:
    """Whether the report accounts for every case that was collected."""
    return report.complete and report.cut == "" and report.collected_sha256 == seal(case.id for case in report.cases)


def case_of(report: Report, function: str) -> CaseResult:
    """The one result with that function name."""
    (found,) = (case for case in report.cases if case.id.partition("::")[2] == function)
    return found
