"""From executions to results: verdicts over all attempts, the control, CPython's known bugs, hygiene, requirements."""

from __future__ import annotations

import inspect
import shlex
from functools import cached_property
from typing import TYPE_CHECKING

from conformance.catalogue import Area, Version
from conformance.harness.naming import ROOT
from conformance.harness.selection import why_skipped
from conformance.target import resolve
from reports.model import (
    DEVIATIONS,
    Attempt,
    CaseResult,
    KnownBug,
    PlatformInfo,
    Probe,
    PythonInfo,
    Report,
    RequirementResult,
    Selection,
    Source,
    Status,
    Suite,
    TargetInfo,
    Totals,
    Verdict,
    seal,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from conformance.catalogue import Catalogue, Requirement
    from conformance.harness.options import RunOptions
    from conformance.harness.passes import Collected, Execution
    from conformance.target import Target

CONTROL = "asyncio"
"""The target of the control: the interpreter's own loop."""

HYGIENE = "hygiene"
DOUBTFUL = DEVIATIONS | {Verdict.ERROR}
"""The verdicts that the control has a say in."""

MOST_LEAKS_NAMED = 20
"""How many cases a hygiene result names; the rest is counted."""


class Judge:
    """Collects executions and gives results. Asked at any time, it answers with what is known."""

    def __init__(self, catalogue: Catalogue, profile: Version, target: Target, options: RunOptions) -> None:
        self._catalogue = catalogue
        self._profile = profile
        self._target = target
        self._options = options
        self._expected: dict[str, Collected] = {}
        self._executions: dict[str, list[Execution]] = {}
        self._control: dict[str, Execution] = {}
        self._results: dict[str, CaseResult] = {}
        """what `_result` gave since the last execution"""

    def expect(self, collected: Mapping[str, Collected]) -> None:
        """These cases were collected: a complete report accounts for each."""
        self._expected = {**collected, **self._expected}

    def add(self, execution: Execution, case: Collected) -> CaseResult:
        """A case was executed on the target; its result so far."""
        self._expected.setdefault(case.id, case)
        self._executions.setdefault(case.id, []).append(execution)
        self._results.pop(case.id, None)
        return self._result(case)

    def add_control(self, execution: Execution, case: Collected) -> CaseResult:
        """A case was executed on the interpreter's own asyncio; its result so far."""
        self._control[execution.case] = execution
        self._results.pop(execution.case, None)
        return self._result(case)

    def cases(self) -> list[CaseResult]:
        """The results of the cases proper, in the order of collection."""
        return [self._result(case) for case in self._expected.values() if case.id in self._executions]

    def doubtful(self) -> list[str]:
        """The ids of the cases whose deviation or leak may be the suite's or CPython's fault."""
        return [
            identifier
            for identifier, executions in self._executions.items()
            if verdict_of(executions) in DOUBTFUL or any(_findings(execution) for execution in executions)
        ]

    def report(
        self,
        *,
        started: str,
        seconds: float,
        suite: Suite,
        target: TargetInfo,
        python: PythonInfo,
        platform: PlatformInfo,
        probes: tuple[Probe, ...],
        cut: str,
    ) -> Report:
        """The sealed report of everything that is known now."""
        cases = self.cases()
        hygiene_ids = self._hygiene_ids()
        if not cut:
            cases += self._hygiene(hygiene_ids, cases)
        requirements = self._requirements(cases)
        collected = [*self._expected, *hygiene_ids]
        complete = not cut and {case.id for case in cases} == set(collected)
        return Report(
            complete=complete,
            collected_sha256=seal(collected),
            collected=len(collected),
            suite=suite,
            target=target,
            python=python,
            platform=platform,
            started=started,
            seconds=seconds,
            totals=Totals.of(cases, requirements),
            cases=tuple(cases),
            requirements=tuple(requirements),
            probes=probes,
            cut=cut if not complete else "",
            selection=Selection(self._options.cases, self._options.areas, self._options.pages, self._options.keyword),
        )

    def _result(self, case: Collected) -> CaseResult:
        found = self._results.get(case.id)
        if found is None:
            found = self._results[case.id] = self._judge(case)
        return found

    def _judge(self, case: Collected) -> CaseResult:
        executions = self._executions[case.id]
        verdict = verdict_of(executions)
        deviating = [one for one in executions if attempt_of(one).verdict in DEVIATIONS]
        decisive = next((one for one in deviating if one.decides), deviating[0] if deviating else executions[-1])
        attempt = attempt_of(decisive)
        outcome, death = decisive.outcome or {}, decisive.death
        control = self._control.get(case.id)
        control_verdict = None if control is None else attempt_of(control).verdict
        message = attempt.message
        bug = None
        if control_verdict is Verdict.PASS and verdict in DOUBTFUL:
            if self._target == resolve(CONTROL):
                # The control is then nothing but a second attempt.
                verdict = Verdict.FLAKY
            elif verdict is Verdict.ERROR:
                # What broke while the case was set up or cleared away works on the control: the target broke it.
                verdict = Verdict.FAIL
        if verdict in DEVIATIONS and control_verdict is not None and control_verdict in DEVIATIONS:
            bug = self._known_bug(case.requirements)
            if bug is None and self._target.namespace_name == "asyncio":
                verdict = Verdict.ERROR
                message = f"fails on the interpreter's own asyncio too, so the suite is at fault: {message}"
        return CaseResult(
            id=case.id,
            requirements=case.requirements,
            area=self._area(case),
            verdict=verdict,
            seconds=decisive.seconds,
            message=message,
            details=str(outcome.get("details", "")) if death is None else death.details,
            expected=outcome.get("expected"),
            seen=outcome.get("seen"),
            control=control_verdict,
            attempts=tuple(attempt_of(one) for one in executions),
            known_bug=bug,
            source=source_of(case, self._options.suite) if verdict in DEVIATIONS or verdict is Verdict.ERROR else None,
            repeat=self._repeat(case.id),
        )

    def _repeat(self, identifier: str) -> str:
        return f"{self._command} --case {shlex.quote(identifier)}"

    @cached_property
    def _command(self) -> str:
        words = ["asyncio-conformance", "run", self._options.target]
        words += ["--api", self._options.api] if self._options.api else []
        words += ["--profile", self._options.profile] if self._options.profile else []
        return shlex.join(words)

    def _area(self, case: Collected) -> str:
        for identifier in case.requirements:
            if (requirement := self._catalogue.get(identifier)) is not None:
                return str(requirement.area)
        return ""

    def _known_bug(self, requirements: Iterable[str]) -> KnownBug | None:
        if self._target.namespace_name != "asyncio":
            # The target brings its own futures, tasks and locks; CPython's bugs excuse nothing there.
            return None
        for identifier in requirements:
            requirement = self._catalogue.get(identifier)
            bug = None if requirement is None else requirement.known_bug(Version.running())
            if bug is not None:
                return KnownBug(issue=bug.issue, instead=bug.instead, versions=bug.versions_text)
        return None

    def _hygiene_kinds(self) -> list[Requirement]:
        return [one for one in self._catalogue if one.page == HYGIENE and one.in_force(self._profile)]

    def _hygiene_ids(self) -> list[str]:
        areas = dict.fromkeys(self._area(case) for case in self._expected.values())
        kinds = [kind.id.removeprefix(f"{HYGIENE}/") for kind in self._hygiene_kinds()]
        return [f"{HYGIENE}/{area}::{kind}" for area in areas for kind in kinds]

    def _hygiene(self, identifiers: Iterable[str], cases: Iterable[CaseResult]) -> list[CaseResult]:
        leaks: dict[str, list[tuple[str, str]]] = {}
        suspects: dict[str, list[tuple[str, str]]] = {}
        judged: set[str] = set()
        for case in cases:
            if case.verdict is not Verdict.PASS:
                continue
            judged.add(case.area)
            on_control = {kind for kind, _ in _findings(self._control.get(case.id))}
            for kind, message in _findings(self._executions[case.id][-1]):
                where = suspects if kind in on_control and self._target.namespace_name == "asyncio" else leaks
                where.setdefault(f"{HYGIENE}/{case.area}::{kind}", []).append((case.id, message))
        return [self._hygiene_result(one, leaks.get(one, []), suspects.get(one, []), judged) for one in identifiers]

    def _hygiene_result(
        self, identifier: str, leaks: list[tuple[str, str]], suspects: list[tuple[str, str]], judged: set[str]
    ) -> CaseResult:
        area, _, kind = identifier.removeprefix(f"{HYGIENE}/").partition("::")
        verdict, message, told = Verdict.PASS, "", leaks or suspects
        if leaks:
            verdict, message = Verdict.FAIL, f"{leaks[0][1]} (in {leaks[0][0]}{and_others(len(leaks) - 1)})"
        elif suspects:
            verdict, message = Verdict.ERROR, f"on the interpreter's own asyncio too: {suspects[0][1]}"
        elif area not in judged:
            verdict, message = Verdict.SKIPPED, f"no case of area {area} passed, so there was nothing to judge"
        lines = [f"{case}: {text}" for case, text in told[:MOST_LEAKS_NAMED]]
        if len(told) > MOST_LEAKS_NAMED:
            lines.append(f"… and {len(told) - MOST_LEAKS_NAMED} more cases")
        return CaseResult(
            id=identifier,
            requirements=(f"{HYGIENE}/{kind}",),
            area=HYGIENE,
            verdict=verdict,
            seconds=0.0,
            message=message,
            details="\n".join(lines),
            repeat=self._repeat(told[0][0])
            if told
            else f"asyncio-conformance run {self._options.target} --area {area}",
        )

    def _requirements(self, cases: Iterable[CaseResult]) -> list[RequirementResult]:
        checked: dict[str, list[CaseResult]] = {}
        for case in cases:
            for identifier in case.requirements:
                checked.setdefault(identifier, []).append(case)
        results = []
        order = {area: number for number, area in enumerate(Area)}
        for requirement in sorted(self._catalogue, key=lambda one: order[one.area]):
            if requirement.excluded is not None or why_skipped(requirement, self._profile, self._target) is not None:
                continue
            own = checked.get(requirement.id, [])
            status = status_of(own)
            failing = [case for case in own if case.verdict in DEVIATIONS]
            excused = status is Status.FAILED and all(case.known_bug is not None for case in failing)
            results.append(
                RequirementResult(
                    id=requirement.id,
                    status=status,
                    text=requirement.text,
                    page=requirement.page,
                    area=str(requirement.area),
                    level=str(requirement.level),
                    cases=tuple(case.id for case in own),
                    known_bug=failing[0].known_bug if excused else None,
                )
            )
        return results


def and_others(number: int) -> str:
    """The tail of a sentence that names the first of several."""
    return "" if number == 0 else f" and {number} more"


def attempt_of(execution: Execution) -> Attempt:
    """One execution's own verdict."""
    if execution.death is not None:
        return Attempt(execution.death.verdict, execution.seconds, execution.death.message)
    outcome = execution.outcome or {}
    return Attempt(Verdict(outcome["verdict"]), execution.seconds, str(outcome["message"]))


def verdict_of(executions: Iterable[Execution]) -> Verdict:
    """The verdict over all attempts: passing some of the time is ``flaky``, never ``pass``."""
    attempts = list(executions)
    for one in attempts:
        if one.decides:
            return attempt_of(one).verdict
    verdicts = [attempt_of(one).verdict for one in attempts]
    deviating = [verdict for verdict in verdicts if verdict in DEVIATIONS]
    if not deviating:
        return verdicts[-1]
    return Verdict.FLAKY if Verdict.PASS in verdicts else deviating[0]


def status_of(cases: Iterable[CaseResult]) -> Status:
    """What its cases tell of a requirement."""
    verdicts = {case.verdict for case in cases}
    if verdicts & DEVIATIONS:
        return Status.FAILED
    if Verdict.UNSUPPORTED in verdicts:
        return Status.UNSUPPORTED
    if Verdict.PASS in verdicts and Verdict.ERROR not in verdicts:
        return Status.VERIFIED
    return Status.UNVERIFIED


def source_of(case: Collected, suite: Path) -> Source:
    """The text of the case's function, decorators included."""
    path = suite / case.file
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        code = "".join(inspect.getblock(lines[case.line - 1 :]))
    except (OSError, SyntaxError):
        code = ""
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return Source(file=shown.as_posix(), line=case.line, code=code)


def _findings(execution: Execution | None) -> list[tuple[str, str]]:
    if execution is None or execution.outcome is None:
        return []
    return [(kind, message) for kind, message in execution.outcome["findings"]]
