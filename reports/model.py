"""The result of a run, as a value with invariants. Every renderer is a pure function of a :class:`Report`.

The model knows results, not pytest: the harness fills it, `reports.store` writes and reads it, the renderers show it.
"""

from __future__ import annotations

import enum
import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEMA_VERSION = 1

DOCUMENTATION = "https://docs.python.org/3/library/"


class Verdict(enum.Enum):
    """What came of one case."""

    PASS = "pass"
    """the promise was kept"""
    FAIL = "fail"
    """the promise was broken, and the details say how"""
    UNSUPPORTED = "unsupported"
    """the loop itself says that it has no such feature"""
    TIMEOUT = "timeout"
    """the case did not end within its budget; the details hold the stacks"""
    CRASH = "crash"
    """the process died during the case"""
    FLAKY = "flaky"
    """some attempts passed and some did not"""
    ERROR = "error"
    """the suite is at fault: a fixture broke, or the control fails too"""
    SKIPPED = "skipped"
    """not applicable to this profile, platform or target; never a pass"""


class Status(enum.Enum):
    """What is known of one requirement after the run."""

    VERIFIED = "verified"
    """it has cases that ran, and all of those passed"""
    FAILED = "failed"
    """at least one of its cases failed, timed out, crashed or was flaky"""
    UNSUPPORTED = "unsupported"
    """none failed, and the loop lacks the feature that at least one needs"""
    UNVERIFIED = "unverified"
    """none of its cases ran to a verdict, or it has none yet"""


DEVIATIONS = frozenset({Verdict.FAIL, Verdict.TIMEOUT, Verdict.CRASH, Verdict.FLAKY})
"""The verdicts that speak against the target."""


@frozen
class KnownBug:
    """CPython's own, recorded deviation from a requirement on the interpreter of this run."""

    issue: str
    """where it is reported upstream (URL)"""
    instead: str
    """what the interpreter does instead of what the documentation says"""
    versions: str
    """the interpreter versions that have it, such as ``3.12.0-3.12.3``"""


@frozen
class Attempt:
    """One execution of a case."""

    verdict: Verdict
    seconds: float
    message: str = ""


@frozen
class Source:
    """Where a case is written, and its text."""

    file: str
    """path inside the distribution, such as ``conformance/cases/eventloop/test_timers.py``"""
    line: int
    code: str


@frozen
class CaseResult:
    """What came of one case against the target."""

    id: str
    """``page/module::function[variant]``, permanent"""
    requirements: tuple[str, ...]
    area: str
    verdict: Verdict
    seconds: float
    message: str = ""
    """one line: what was expected and what was seen, the reason of a skip, the probe that failed, a crash's signal"""
    details: str = ""
    """the whole story: assertion, traceback, dumped stacks, captured output"""
    expected: str | None = None
    """the value the promise asks for, where the case compares values"""
    seen: str | None = None
    """the value the target gave"""
    control: Verdict | None = None
    """the verdict of the same case on the interpreter's own asyncio, where it was run again there"""
    attempts: tuple[Attempt, ...] = ()
    """every execution, first to last"""
    known_bug: KnownBug | None = None
    """set where the deviation is CPython's own recorded bug; such a case is not held against the target"""
    source: Source | None = None
    """the case's text, for cases that did not pass"""
    repeat: str = ""
    """the command that runs this case alone"""

    @property
    def deviates(self) -> bool:
        """Whether this result is held against the target."""
        return self.verdict in DEVIATIONS and self.known_bug is None

    @property
    def faults_suite(self) -> bool:
        """Whether this result is the suite's own fault."""
        return self.verdict is Verdict.ERROR and self.known_bug is None


@frozen
class RequirementResult:
    """What is known of one requirement that is in force for this run."""

    id: str
    status: Status
    text: str
    """the promise, one sentence"""
    page: str
    """documentation page: ``eventloop``, ``task`` …"""
    area: str
    level: str
    """``stated``, ``implied`` or ``customary``"""
    cases: tuple[str, ...] = ()
    """ids of the cases that check it"""
    known_bug: KnownBug | None = None
    """set where every case that failed shows CPython's own recorded bug"""

    @property
    def url(self) -> str:
        """The documentation page that makes the promise."""
        return f"{DOCUMENTATION}asyncio.html" if self.page == "asyncio" else f"{DOCUMENTATION}asyncio-{self.page}.html"


@frozen
class Suite:
    """The suite that judged."""

    version: str
    profile: str
    """the documentation version judged by, such as ``3.13``"""


@frozen
class TargetInfo:
    """What was judged."""

    name: str
    factory: str
    """``module:callable``"""
    namespace: str
    """the module whose tasks, locks and streams were used"""
    distribution: str | None = None
    version: str | None = None


@frozen
class PythonInfo:
    """The interpreter that ran it."""

    implementation: str
    version: str
    build: str
    free_threaded: bool
    openssl: str | None


@frozen
class PlatformInfo:
    """The machine that ran it."""

    system: str
    release: str
    machine: str
    libc: str
    cpus: int


@frozen
class Probe:
    """Whether the target has a feature at all, asked before the cases that need it."""

    feature: str
    """``tls``, ``udp``, ``unix``, ``pipes``, ``subprocess``, ``signals``, ``sendfile`` …"""
    supported: bool
    reason: str = ""
    """what the loop answered where it is not"""


@frozen
class RequirementTotals:
    """Requirements in force, by status. ``total`` is the denominator of the others."""

    total: int
    verified: int
    failed: int
    unsupported: int
    unverified: int
    known_bugs: int
    """how many of ``failed`` are CPython's own recorded bugs"""


@frozen
class Totals:
    """The counts of a report; they follow from its cases and requirements."""

    requirements: RequirementTotals
    cases: dict[str, int]
    """verdict → number of cases; every verdict is present"""
    known_bugs: int
    """how many cases deviate only by CPython's own recorded bugs"""

    @classmethod
    def of(cls, cases: Iterable[CaseResult], requirements: Iterable[RequirementResult]) -> Totals:
        """Count."""
        cases, requirements = tuple(cases), tuple(requirements)
        verdicts = Counter(case.verdict for case in cases)
        statuses = Counter(requirement.status for requirement in requirements)
        return cls(
            requirements=RequirementTotals(
                total=len(requirements),
                verified=statuses[Status.VERIFIED],
                failed=statuses[Status.FAILED],
                unsupported=statuses[Status.UNSUPPORTED],
                unverified=statuses[Status.UNVERIFIED],
                known_bugs=sum(1 for requirement in requirements if requirement.known_bug is not None),
            ),
            cases={verdict.value: verdicts[verdict] for verdict in Verdict},
            known_bugs=sum(1 for case in cases if case.known_bug is not None),
        )


def seal(case_ids: Iterable[str]) -> str:
    """The SHA-256 (hex) of the collected case ids, sorted, one a line: what a complete report must account for.

    A lone surrogate in an id counts as its backslash escape, so that every string has a seal.
    """
    return hashlib.sha256("\n".join(sorted(case_ids)).encode("utf-8", "backslashreplace")).hexdigest()


@frozen
class Selection:
    """What a run was asked for, where that was not everything."""

    cases: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    keyword: str | None = None
    """pytest's ``-k`` expression"""

    @property
    def is_partial(self) -> bool:
        """Whether anything was left out; such a run is never a verdict on the loop."""
        return bool(self.cases or self.areas or self.pages or self.keyword)


@frozen
class Report:
    """The sealed result of a run.

    ``complete`` is true exactly when every collected case has a verdict, which ``collected_sha256`` proves.
    """

    schema: int = field(default=SCHEMA_VERSION, kw_only=True)
    """the version of this model; a reader refuses every other"""
    complete: bool
    collected_sha256: str
    """`seal` of the collected case ids"""
    collected: int
    """how many cases were collected: the denominator of a cut run"""
    suite: Suite
    target: TargetInfo
    python: PythonInfo
    platform: PlatformInfo
    started: str
    """ISO 8601, UTC"""
    seconds: float
    totals: Totals
    cases: tuple[CaseResult, ...]
    requirements: tuple[RequirementResult, ...]
    probes: tuple[Probe, ...] = ()
    cut: str = ""
    """why the run is not complete: ``interrupted``, ``killed`` …; empty for a complete one"""
    selection: Selection = Selection()
    """what was asked for; empty where that was everything"""


EXIT_CONFORMS = 0
EXIT_DEVIATES = 1
EXIT_USAGE = 2
EXIT_SUITE_AT_FAULT = 3
EXIT_INCOMPLETE = 4


def exit_code(report: Report) -> int:
    """The exit code that design.md documents: incomplete before suite at fault before deviation.

    A run in which every case was skipped or unsupported has verified nothing: incomplete, too.
    """
    if not report.complete:
        return EXIT_INCOMPLETE
    if any(case.faults_suite for case in report.cases):
        return EXIT_SUITE_AT_FAULT
    if any(case.deviates for case in report.cases):
        return EXIT_DEVIATES
    if not any(case.verdict is Verdict.PASS or case.known_bug is not None for case in report.cases):
        return EXIT_INCOMPLETE
    return EXIT_CONFORMS
