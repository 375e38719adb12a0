"""What every view of a report says in the same words: the headline, the tallies, the areas."""

from __future__ import annotations

import enum
import shlex
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from attrs import frozen

from reports.model import DEVIATIONS, CaseResult, Report, RequirementResult, Status, Verdict
from reports.text import count, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

KNOWN_BUG = "known bug"
"""The column of the cases that deviate only by CPython's own recorded bugs; they are in no verdict's column."""

HYGIENE = "hygiene"
"""The area of the leak checks."""

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
    PARTIAL = "partial"
    """no selected case deviates, and only a selection ran: never a verdict on the loop"""
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
    return Outcome.PARTIAL if report.selection.is_partial else Outcome.CONFORMS


def leak_checks(report: Report) -> tuple[CaseResult, ...]:
    """The results for what cases left behind, which are no cases of their own: one for each area and kind of leak."""
    return tuple(case for case in report.cases if case.area == HYGIENE)


def not_looked_at(report: Report) -> int:
    """How many requirements no case of the run checks."""
    return sum(1 for requirement in report.requirements if not requirement.cases)


def headline(report: Report) -> str:
    """One sentence: what the run found, every number with its denominator. Leak checks are counted apart from cases."""
    name, total = label(report), report.totals.requirements.total
    checks = leak_checks(report)
    cases = tuple(case for case in report.cases if case.area != HYGIENE)
    chosen = "selected case" if report.selection.is_partial else "case"
    verified = f"{report.totals.requirements.verified:,} of {count(total, 'requirement')} verified"
    broken = _broken(cases, checks, chosen)
    match outcome(report):
        case Outcome.INCOMPLETE:
            why = f" ({one_line(report.cut, 80)})" if report.cut else ""
            collected = max(report.collected - len(checks), len(cases))
            return (
                f"{name} was not measured to the end{why}: {len(cases):,} of {count(collected, 'case')} "
                f"have a verdict, {_broken(cases, checks, 'measured case')}."
            )
        case Outcome.SUITE_AT_FAULT:
            errors = sum(1 for case in report.cases if case.faults_suite)
            of = f"{count(len(cases), 'case')}{_and_checks(checks)}"
            return f"The suite is at fault in {errors:,} of {of}; on {name}, {broken}."
        case Outcome.DEVIATES:
            return f"{name} does not conform: {broken} ({in_words(tally(deviations(report)))}), {verified}."
        case Outcome.NOTHING_CHECKED:
            return f"Nothing was checked on {name}: none of {count(len(cases), chosen)} ran to a pass, {verified}."
        case Outcome.PARTIAL:
            unseen = not_looked_at(report)
            rest = f"{count(unseen, 'requirement')} of {total:,} {'was' if unseen == 1 else 'were'} not looked at"
            return f"On {name}, {_passing(cases, chosen)}; {rest}."
        case Outcome.CONFORMS:
            clean = sum(1 for check in checks if check.verdict is Verdict.PASS)
            leaks = f"{clean:,} of {count(len(checks), 'leak check')} pass, " if checks else ""
            return f"{name} conforms: {_passing(cases, chosen)}, {leaks}{verified}."


def _passing(cases: Sequence[CaseResult], chosen: str) -> str:
    counts = tally(cases)
    passed = counts.pop(Verdict.PASS.value)
    others = in_words(counts)
    return f"{passed:,} of {count(len(cases), chosen)} pass{f' ({others})' if others else ''}"


def _broken(cases: Sequence[CaseResult], checks: Sequence[CaseResult], chosen: str) -> str:
    deviating, leaking = (sum(1 for case in some if case.deviates) for some in (cases, checks))
    words = f"{deviating:,} of {count(len(cases), chosen)} {'deviates' if deviating == 1 else 'deviate'}"
    return f"{words}, {leaking:,} of {count(len(checks), 'leak check')} {_fail(leaking)}" if leaking else words


def _fail(number: int) -> str:
    return "fails" if number == 1 else "fail"


def _and_checks(checks: Sequence[CaseResult]) -> str:
    return f" and {count(len(checks), 'leak check')}" if checks else ""


def selection_in_words(report: Report) -> str:
    """What was asked for, as it is written at the command line; empty where that was everything."""
    chosen = report.selection
    words = [f"--{name} {word}" for name in ("case", "area", "page") for word in getattr(chosen, f"{name}s")]
    words += [f"-k {shlex.quote(chosen.keyword)}"] if chosen.keyword else []
    return one_line(" ".join(words))


def label(report: Report) -> str:
    """The target's name with its version, where it is a distribution's."""
    version = report.target.version
    return one_line(f"{report.target.name} {version}" if version else report.target.name, 80)


def in_words(counts: Mapping[str, int]) -> str:
    """``9 fail, 2 timeout``: the columns that are not zero."""
    return ", ".join(f"{number:,} {name}" for name, number in counts.items() if number)
