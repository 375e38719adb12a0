"""What every view of a report says in the same words: the headline, the tallies, the areas."""

from __future__ import annotations

import enum
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from attrs import frozen

from reports.model import DEVIATIONS, CaseResult, Report, RequirementResult, Status, Verdict
from reports.text import count, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KNOWN_BUG = "known bug"
"""The column of the cases that deviate only by CPython's own recorded bugs; they are in no verdict's column."""

COLUMNS = (*(verdict.value for verdict in Verdict), KNOWN_BUG)
"""What a table counts. Each case is in exactly one column."""


class Outcome(enum.Enum):
    """What the run comes to, in a word; follows the exit codes."""

    CONFORMS = "conforms"
    """no case deviates, and something was verified"""
    DEVIATES = "deviates"
    """at least one case is held against the target"""
    SUITE_AT_FAULT = "suite at fault"
    """at least one case broke for a reason that is not the target's"""
    INCOMPLETE = "incomplete"
    """not every collected case has a verdict"""
    NOTHING_CHECKED = "nothing checked"
    """no case ran to a pass or a deviation: the target may not be called conforming"""


@frozen
class Area:
    """One row of the table by area."""

    name: str
    tally: Mapping[str, int]
    """column → number of cases"""
    cases: int
    requirements: int
    verified: int

    @property
    def deviations(self) -> int:
        """How many cases are held against the target."""
        return sum(self.tally[verdict.value] for verdict in DEVIATIONS)

    @property
    def troubled(self) -> bool:
        """Whether somebody has to look at it."""
        return bool(self.deviations or self.tally[Verdict.ERROR.value])


def column(case: CaseResult) -> str:
    """The column that counts ``case``."""
    return KNOWN_BUG if case.known_bug is not None else case.verdict.value


def tally(cases: Iterable[CaseResult]) -> dict[str, int]:
    """Column → number of cases; every column is present."""
    counts = Counter(map(column, cases))
    return {name: counts[name] for name in COLUMNS}


def areas(report: Report) -> tuple[Area, ...]:
    """The areas in the order in which the report first names them."""
    cases: dict[str, list[CaseResult]] = defaultdict(list)
    requirements: dict[str, list[RequirementResult]] = defaultdict(list)
    for requirement in report.requirements:
        requirements[requirement.area].append(requirement)
    for case in report.cases:
        cases[case.area].append(case)
    return tuple(
        Area(
            name=name,
            tally=tally(cases[name]),
            cases=len(cases[name]),
            requirements=len(requirements[name]),
            verified=sum(1 for requirement in requirements[name] if requirement.status is Status.VERIFIED),
        )
        for name in dict.fromkeys([*requirements, *cases])
    )


def areas_by_activity(report: Report) -> tuple[tuple[Area, ...], tuple[Area, ...]]:
    """The areas in which cases ran, and those in which none did, for views that a person reads from top to bottom."""
    every = areas(report)
    return tuple(area for area in every if area.cases), tuple(area for area in every if not area.cases)


def deviations(report: Report) -> tuple[CaseResult, ...]:
    """The cases held against the target, in the order of the run."""
    return tuple(case for case in report.cases if case.deviates)


def suite_errors(report: Report) -> tuple[CaseResult, ...]:
    """The cases in which the suite is at fault."""
    return tuple(case for case in report.cases if case.faults_suite)


def known_bugs(report: Report) -> tuple[CaseResult, ...]:
    """The cases that deviate only by CPython's own recorded bugs."""
    return tuple(case for case in report.cases if case.known_bug is not None)


def outcome(report: Report) -> Outcome:
    """What the run comes to; the first that holds, most serious doubt first."""
    if not report.complete:
        return Outcome.INCOMPLETE
    if suite_errors(report):
        return Outcome.SUITE_AT_FAULT
    if deviations(report):
        return Outcome.DEVIATES
    if not any(case.verdict is Verdict.PASS or case.known_bug is not None for case in report.cases):
        return Outcome.NOTHING_CHECKED
    return Outcome.CONFORMS


def headline(report: Report) -> str:
    """One sentence: what the run found, every number with its denominator."""
    name, total, measured = label(report), report.totals.requirements.total, len(report.cases)
    deviating, errors = deviations(report), suite_errors(report)
    verified = f"{report.totals.requirements.verified:,} of {count(total, 'requirement')} verified"
    broken = f"{len(deviating):,} of {count(measured, 'case')} {'deviates' if len(deviating) == 1 else 'deviate'}"
    match outcome(report):
        case Outcome.INCOMPLETE:
            why = f" ({one_line(report.cut, 80)})" if report.cut else ""
            return (
                f"{name} was not measured to the end{why}: {measured:,} of {count(report.collected, 'case')} "
                f"have a verdict, {broken.replace(' case', ' measured case')}."
            )
        case Outcome.SUITE_AT_FAULT:
            return f"The suite is at fault in {len(errors):,} of {count(measured, 'case')}; on {name}, {broken}."
        case Outcome.DEVIATES:
            return f"{name} does not conform: {broken} ({in_words(tally(deviating))}), {verified}."
        case Outcome.NOTHING_CHECKED:
            return f"Nothing was checked on {name}: none of {count(measured, 'case')} ran to a pass, {verified}."
        case Outcome.CONFORMS:
            counts = tally(report.cases)
            passed = counts.pop(Verdict.PASS.value)
            others = in_words(counts)
            rest = f" ({others})" if others else ""
            return f"{name} conforms: {passed:,} of {count(measured, 'case')} pass{rest}, {verified}."


def label(report: Report) -> str:
    """The target's name with its version, where it is a distribution's."""
    version = report.target.version
    return one_line(f"{report.target.name} {version}" if version else report.target.name, 80)


def in_words(counts: Mapping[str, int]) -> str:
    """``9 fail, 2 timeout``: the columns that are not zero."""
    return ", ".join(f"{number:,} {name}" for name, number in counts.items() if number)
