"""A run: from the options to the sealed report.

First the target is checked and probed in a process of its own; then every selected case runs in a first pass; a crash
is tried again; failures are tried again as often as the user asks; and what still fails runs once more on the
interpreter's own asyncio, the control.
"""

from __future__ import annotations

import datetime as dt
import os
import shlex
import tempfile
import time
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import conformance
from conformance.catalogue import load, profile_version
from conformance.harness.containment import BUDGET
from conformance.harness.environment import platform_info, python_info
from conformance.harness.interruption import Interrupted, Interrupts
from conformance.harness.judgement import CONTROL, Judge
from conformance.harness.orphans import adopt, children, end_all_but
from conformance.harness.passes import INTERRUPTED, Execution, PassPlan, PassResult, run_pass
from conformance.harness.probing import Asked, Found, answers
from conformance.harness.selection import Rules
from conformance.harness.unfinished import Record, identity_of
from conformance.harness.warm import CAN_FORK, WarmProcess
from conformance.target import TargetError, announced, resolve
from reports.model import CaseResult, Report, Suite, TargetInfo, Verdict
from reports.text import count, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conformance.catalogue import Catalogue, Version
    from conformance.harness.options import RunOptions
    from conformance.harness.passes import Collected
    from conformance.target import Target

FEW = 5
"""Cases that one worker takes."""

CONFIRMATIONS = 1
"""How often a crash is tried again: a process that was corrupted earlier may die in an innocent case."""


CASES = "cases"
CONTROL_PHASE = "control"
"""The phases of a run, and the folders of their passes; between them, ``retry-0`` and so on."""

LONGEST_TEMPORARY = 40
"""Characters of the folder for temporary files in which Unix sockets can stand, in a folder of the run's and in it one
of the case's: a socket's path has 104 bytes on some systems."""

SHORT_TEMPORARY = Path("/tmp")
"""Where the run's folder is made if the user's folder for temporary files has a longer name."""


class NothingSelected(Exception):
    """The selection matches no case; the message is one sentence."""


class SuiteBroken(Exception):
    """The suite could not even be collected; the message is one sentence, ``log`` what pytest said last."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


class Watcher(Protocol):
    """Follows a run while it goes on."""

    def phase(self, text: str) -> None:
        """Something else begins: ``cases``, ``control`` …"""

    def collected(self, count: int) -> None:
        """So many cases will run in this phase."""

    def started(self, case: str) -> None:
        """A case began."""

    def finished(self, result: CaseResult) -> None:
        """A case came to a verdict (which a later phase may still change)."""


def run(
    options: RunOptions, watcher: Watcher, interrupts: Interrupts | None = None, record: Record | None = None
) -> Report:
    """Run the suite against a target and report what came of it.

    Raises TargetError when there is no such target or its factory does not work, NothingSelected when no case matches,
    SuiteBroken when pytest cannot collect the suite, CatalogueError or VersionError for a bad catalogue or profile.
    Signals that ask the process to end, a full disk and the like end the run, not the report: it then holds what is
    measured and is not complete. ``interrupts``: those that are in force already; None has them for this run.
    ``record``: what an earlier run knows already is taken over from it, and it receives what this run comes to know.
    """
    started, clock = dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), time.monotonic()
    record = record or Record()
    record.started = record.started or started
    with nullcontext(interrupts) if interrupts is not None else Interrupts() as interrupts:
        workshop = _Workshop(options, announced(options.target, options.api), watcher, interrupts, record)
        workshop.run()
        judge, target = workshop.judge, workshop.target
        record.seconds = round(record.seconds + time.monotonic() - clock, 3)
        return judge.report(
            started=record.started,
            seconds=record.seconds,
            suite=Suite(conformance.__version__, str(workshop.profile)),
            target=TargetInfo(target.name, target.factory, target.namespace_name, target.distribution, target.version),
            python=python_info(),
            platform=platform_info(),
            probes=workshop.found.probes,
            cut=workshop.cut,
        )


class _Workshop:
    """The phases of one run."""

    def __init__(
        self, options: RunOptions, target: Target, watcher: Watcher, interrupts: Interrupts, record: Record
    ) -> None:
        self._options = options
        self._announced = target
        self._folder = Path()
        self._watcher = watcher
        self._interrupts = interrupts
        self._record = record
        self._budget = BUDGET if options.budget is None else options.budget
        self.warm = WarmProcess()
        self.cut = ""

    # Pytest takes its time to start; the catalogue is loaded and the target probed meanwhile, by who asks first.

    @cached_property
    def catalogue(self) -> Catalogue:
        return load()

    @cached_property
    def judge(self) -> Judge:
        return Judge(self.catalogue, self.profile, self.target, self._options)

    @cached_property
    def found(self) -> Found:
        asked = Asked(self._options.target, self._options.api, self._options.start_timeout)
        with self._interrupts.raised():
            return answers(asked, self.warm.probed)

    @property
    def target(self) -> Target:
        return self.found.target

    @property
    def profile(self) -> Version:
        return profile_version(self._options.profile or self.target.profile)

    def _rules(self) -> Rules:
        if not self._record.identity and self._options.output is not None:
            # While pytest starts, there is time for it.
            profile = profile_version(self._options.profile or self._announced.profile)
            self._record.identity = identity_of(self._options, self._announced, profile)
        missing = {probe.feature: probe.reason for probe in self.found.probes if not probe.supported}
        return Rules.of(self.catalogue, self.profile, self.target, missing)

    def run(self) -> None:
        """All phases, or as many as there is room and leave for; then ``cut`` says why not all."""
        elders = children()
        adopt()
        try:
            with run_folder() as self._folder:
                try:
                    self._work()
                finally:
                    self.warm.end()
                    end_all_but(elders)
        except (KeyboardInterrupt, Interrupted):
            self.cut = INTERRUPTED
        except OSError as problem:
            self.cut = f"the system refused what the run needs: {reason(problem)}"
        finally:
            adopt(wanted=False)
            # What the probes did not say by now, the report does without.
            vars(self).setdefault("found", Found(self._announced, ()))

    def _work(self) -> None:
        options = self._options
        self._watcher.phase("cases")
        if self._record.collected:
            self._take_over()
        else:
            result = self._pass(CASES, options.cases or None, selecting=True)
            if not result.collected and not result.cut:
                raise _no_case(options, result)
            if result.cut and result.stillborn and not result.executions:
                raise TargetError(
                    f"{self.target.factory} works once in a process and then ends it ({result.stillborn}), "
                    "before a case can run; make it give a fresh loop each time that it is called"
                )
        if not self.cut:
            self._retry()
        if not self.cut:
            self._control()

    def _take_over(self) -> None:
        """Go on from where an earlier run was cut."""
        record = self._record
        self.judge.expect(record.collected)
        for phase, execution in record.executions:
            add = self.judge.add_control if phase == CONTROL_PHASE else self.judge.add
            add(execution, record.collected[execution.case])
        done = record.done(CASES)
        left = [identifier for identifier in record.collected if identifier not in done]
        if not left:
            return
        result = self._pass(CASES, left)
        lost = len(set(left) - result.collected.keys())
        if lost and not self.cut:
            self.cut = f"{count(lost, 'case')} that the earlier run collected cannot be found any longer"

    def _retry(self) -> None:
        for attempt in range(max(self._options.retries, CONFIRMATIONS)):
            again = [
                case.id
                for case in self.judge.cases()
                if case.deviates and (attempt < self._options.retries or case.verdict is Verdict.CRASH)
            ]
            if not again or self.cut:
                return
            phase = f"retry-{attempt}"
            done = self._record.done(phase)
            if left := [identifier for identifier in again if identifier not in done]:
                self._watcher.phase("retries")
                self._pass(phase, left)

    def _control(self) -> None:
        done = self._record.done(CONTROL_PHASE)
        doubtful = [identifier for identifier in self.judge.doubtful() if identifier not in done]
        if not doubtful:
            return
        self._watcher.phase("control")

        def finished(execution: Execution, case: Collected) -> None:
            self._record.executions.append((CONTROL_PHASE, execution))
            self._watcher.finished(self.judge.add_control(execution, case))

        control = resolve(CONTROL)
        plan = PassPlan(
            folder=self._folder / CONTROL_PHASE,
            target=control.name,
            api=None,
            # The interpreter's own documentation: a later profile would judge its asyncio by what it never promised.
            profile=None,
            rules=lambda: Rules.of(self.catalogue, profile_version(), control, {}),
            suite=self._options.suite,
            budget=self._budget,
            start_timeout=self._options.start_timeout,
            workers=self._workers(doubtful),
            only=tuple(doubtful),
            warm=self.warm,
            rest=self._interrupts.rest,
        )
        self.cut = run_pass(plan, self._watcher.started, finished, self._watcher.collected).cut

    def _pass(self, name: str, only: Sequence[str] | None, *, selecting: bool = False) -> PassResult:
        def finished(execution: Execution, case: Collected) -> None:
            self._record.executions.append((name, execution))
            self._watcher.finished(self.judge.add(execution, case))

        options = self._options
        plan = PassPlan(
            folder=self._folder / name,
            target=options.target,
            api=options.api,
            profile=options.profile,
            rules=self._rules,
            workers=self._workers(only),
            suite=options.suite,
            budget=self._budget,
            start_timeout=self._options.start_timeout,
            keyword=options.keyword if selecting else None,
            areas=options.areas if selecting else (),
            pages=options.pages if selecting else (),
            only=None if only is None else tuple(only),
            warm=self.warm,
            rest=self._interrupts.rest,
        )
        result = run_pass(plan, self._watcher.started, finished, self._watcher.collected)
        if selecting:
            self._record.collected = dict(result.collected)
            self.judge.expect(result.collected)
        self.cut = result.cut
        return result

    def _workers(self, only: Sequence[str] | None) -> int | None:
        # Where a worker is a Python of its own, a second one takes longer to start than a handful of cases to run.
        few = only is not None and len(only) <= FEW and not CAN_FORK
        return 1 if few and self._options.workers != 0 else self._options.workers


def _no_case(options: RunOptions, result: PassResult) -> Exception:
    asked = [
        *(f"--case {case}" for case in options.cases),
        *(f"--area {area}" for area in options.areas),
        *(f"--page {page}" for page in options.pages),
        *([f"-k {shlex.quote(options.keyword)}"] if options.keyword else []),
    ]
    if options.keyword and "Wrong expression" in result.log:
        return NothingSelected(f"-k takes words joined by and, or, not; this is none: {options.keyword}")
    if not asked or not result.reported_collection:
        sentence = "pytest could not collect the suite, which is a bug of asyncio-conformance: please report it"
        return SuiteBroken(sentence, result.log)
    return NothingSelected(f"no case matches {' '.join(asked)}; `asyncio-conformance requirements` lists the cases")


@contextmanager
def run_folder() -> Iterator[Path]:
    """A folder for everything that the run and its cases write meanwhile; it is removed with all that is left in it."""
    usual = tempfile.gettempdir()
    parent = usual
    if len(usual) > LONGEST_TEMPORARY and os.name == "posix" and os.access(SHORT_TEMPORARY, os.W_OK | os.X_OK):
        parent = str(SHORT_TEMPORARY)
    with tempfile.TemporaryDirectory(prefix="asyncio-conformance-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
