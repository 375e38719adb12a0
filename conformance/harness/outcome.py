"""From what pytest saw of a case to its verdict.

An outcome is a plain dictionary, because it travels: from a worker to the controller (with pytest's report), from there
to the journal, from the journal to the run, which makes a :class:`reports.model.CaseResult` of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import pytest

from conformance.harness.features import lacks_method
from conformance.harness.messages import one_line
from reports.model import Verdict

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.harness.hygiene import Finding

LONGEST_VALUE = 4_000
"""Characters kept of an expected or seen value."""
LONGEST_DETAILS = 60_000
"""Characters kept of a story: enough for any traceback, bounded for a target that prints without end."""


class Outcome(TypedDict):
    """What travels of one execution of one case."""

    verdict: str
    seconds: float
    message: str
    details: str
    expected: str | None
    seen: str | None
    findings: list[tuple[str, str]]


class TargetFault(Exception):
    """The target broke while the case was being set up: its factory raised."""


class Escaped(Exception):
    """A KeyboardInterrupt or SystemExit that a case let through; it must not end the run."""


class CaseState:
    """What is known of the case that is running."""

    def __init__(self) -> None:
        self.verdict = Verdict.PASS
        self.message = ""
        self.details: list[str] = []
        self.expected: str | None = None
        self.seen: str | None = None
        self.seconds = 0.0
        self.loop: AbstractEventLoop | None = None
        self.namespace: Any = None
        """the target's, once the loop is there"""
        self.findings: list[Finding] = []

    def see(self, report: pytest.TestReport, error: BaseException | None) -> None:
        """Take one phase's report into account; the first thing that goes wrong decides."""
        self.seconds += report.duration
        if report.passed or self.verdict is not Verdict.PASS:
            return
        if isinstance(error, pytest.skip.Exception):
            self.verdict = Verdict.SKIPPED
            self.message = error.msg or ""
            return
        self.verdict = self._judge(report.when, error)
        if isinstance(error, Escaped | TargetFault):
            self.message = str(error)
        else:
            self.message = one_line(report, error, self.seen, self.expected)
        self.details.append(report.longreprtext)
        self.details += [f"{title}\n{text}" for title, text in report.sections]

    def _judge(self, when: str | None, error: BaseException | None) -> Verdict:
        if when == "call" or isinstance(error, TargetFault):
            return Verdict.UNSUPPORTED if self._is_missing_feature(error) else Verdict.FAIL
        return Verdict.ERROR

    def _is_missing_feature(self, error: BaseException | None) -> bool:
        if isinstance(error, TargetFault):
            return False
        if isinstance(error, AttributeError):
            # Only the loop itself may say so; a missing attribute of anything else is a plain failure.
            return self.loop is not None and lacks_method(error, self.loop)
        return isinstance(error, NotImplementedError)

    def outcome(self) -> Outcome:
        """The finished outcome."""
        return Outcome(
            verdict=self.verdict.value,
            seconds=round(self.seconds, 6),
            message=self.message,
            details="\n".join(self.details)[:LONGEST_DETAILS],
            expected=self.expected,
            seen=self.seen,
            findings=[(finding.kind, finding.message) for finding in self.findings],
        )


def short(value: Any) -> str:
    """A value's repr, bounded."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<repr raised {type(error).__name__}>"
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… ({len(text)} characters)"
