"""What failed for one reason is told once: by message, by requirement, by function with its variants folded."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from attrs import field, frozen

from reports.model import CaseResult, Verdict
from reports.text import count, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reports.model import Report, RequirementResult

MANY = 10
"""Cases that make a shared message worth a heading of its own: fewer are seen at a glance where they are."""

URGENCY = (Verdict.CRASH, Verdict.TIMEOUT, Verdict.FAIL, Verdict.FLAKY, Verdict.ERROR)
"""What a reader looks at first: what took the process or the time away may be the cause of what follows."""

VARIABLE = re.compile(
    r"0x[0-9a-fA-F]+"
    r"|\btest_\w+(?:\.<locals>)?"  # the case's own functions, in the reprs of handles and tasks
    r"|(?:/tmp|/var/tmp|/var/folders|/dev/shm)/[^\s'\"),:;\]]*"
    r"|\b[A-Za-z]:\\[^\s'\"]*\\Temp\\[^\s'\"]*"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\b(?=[a-f]*\d)[0-9a-f]{8,}\b"
    r"|\d+(?:[.,_]\d+)*(?:e[+-]?\d+)?"
)
"""What differs between two messages of one cause: addresses, temporary paths, hashes, ports, times, other numbers."""

LEFT_OUT = "…"
WORD = re.compile(r"[^\W\d_]{3,}")


def normalised(message: str) -> str:
    """``message`` without what differs from case to case."""
    return VARIABLE.sub(LEFT_OUT, one_line(message))


def common(messages: Sequence[str]) -> str:
    """The message of all of ``messages``, which are the same once normalised; an ellipsis where they differ."""
    lines = [one_line(message) for message in messages]
    parts = list(zip(*(VARIABLE.findall(line) for line in lines), strict=True))
    variables = iter([values[0] if len(set(values)) == 1 else LEFT_OUT for values in parts])
    return VARIABLE.sub(lambda _: next(variables), lines[0])


@frozen
class Fold:
    """Cases of one function that went the same way."""

    cases: tuple[CaseResult, ...]

    @property
    def title(self) -> str:
        """The id, where there is one case; else that of the function."""
        return self.cases[0].id if len(self.cases) == 1 else function_of(self.cases[0])

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of the variants, where there are several."""
        return () if len(self.cases) == 1 else tuple(variant_of(case) for case in self.cases)

    @property
    def message(self) -> str:
        """What is told of all of them."""
        return common([case.message for case in self.cases])

    def told_variants(self, limit: int = 80) -> str:
        """``8 variants: plain, debug, …``, with as many names as fit into ``limit`` characters; empty for one case."""
        if not self.variants:
            return ""
        names = [one_line(name, limit) for name in self.variants]
        ends = itertools.accumulate(len(name) + len(", ") for name in names)
        shown = max(1, sum(1 for end in ends if end <= limit))
        more = [LEFT_OUT] if shown < len(names) else []
        return f"{len(names):,} variants: {', '.join(names[:shown] + more)}"


@frozen
class Finding:
    """The cases that did not pass on one requirement."""

    id: str
    requirement: RequirementResult | None
    """None for what the catalogue does not list, such as a group of leak checks"""
    cases: tuple[CaseResult, ...] = field(repr=False)

    @property
    def folds(self) -> tuple[Fold, ...]:
        """The cases by function."""
        return folded(self.cases)


@frozen
class Cause:
    """Many cases of several functions that fail with one message."""

    message: str
    cases: tuple[CaseResult, ...] = field(repr=False)
    requirements: int
    """how many requirements the cases check"""

    @property
    def folds(self) -> tuple[Fold, ...]:
        """The cases by function."""
        return folded(self.cases)

    @property
    def extent(self) -> str:
        """``119 cases in 14 requirements``."""
        return f"{count(len(self.cases), 'case')} in {count(self.requirements, 'requirement')}"


@frozen
class Grouped:
    """What failed, each case once: the causes that many share, largest first, then the rest by requirement."""

    causes: tuple[Cause, ...]
    findings: tuple[Finding, ...]


def grouped(report: Report, cases: Iterable[CaseResult]) -> Grouped:
    """``cases`` of ``report`` by what is the matter with them."""
    cases = tuple(cases)
    by_message: dict[tuple[Verdict, str], list[CaseResult]] = defaultdict(list)
    for case in cases:
        by_message[case.verdict, normalised(case.message)].append(case)
    causes = [
        Cause(common([case.message for case in alike]), tuple(alike), len({_requirement(case) for case in alike}))
        for (_, message), alike in by_message.items()
        if len(alike) >= MANY and len(set(map(function_of, alike))) > 1 and WORD.search(message)
    ]
    causes.sort(key=lambda cause: -len(cause.cases))
    told = {id(case) for cause in causes for case in cause.cases}
    return Grouped(tuple(causes), findings(report, (case for case in cases if id(case) not in told)))


def findings(report: Report, cases: Iterable[CaseResult]) -> tuple[Finding, ...]:
    """``cases`` by the first requirement that each checks; those with crashes and timeouts come first."""
    known = {requirement.id: requirement for requirement in report.requirements}
    groups: dict[str, list[CaseResult]] = defaultdict(list)
    for case in cases:
        groups[_requirement(case)].append(case)
    found = [Finding(name, known.get(name), tuple(group)) for name, group in groups.items()]
    return tuple(sorted(found, key=lambda finding: min(map(urgency, finding.cases))))


def folded(cases: Iterable[CaseResult]) -> tuple[Fold, ...]:
    """``cases`` by function, verdict and message; crashes and timeouts come first."""
    groups: dict[tuple[str, Verdict, str], list[CaseResult]] = defaultdict(list)
    for case in cases:
        groups[function_of(case), case.verdict, normalised(case.message)].append(case)
    return tuple(sorted((Fold(tuple(group)) for group in groups.values()), key=lambda fold: urgency(fold.cases[0])))


def urgency(case: CaseResult) -> int:
    """Where the case stands in the order of reading; 0 is first."""
    return URGENCY.index(case.verdict) if case.verdict in URGENCY else len(URGENCY)


def function_of(case: CaseResult) -> str:
    """The id without the variant."""
    return case.id.partition("[")[0] if case.id.endswith("]") else case.id


def variant_of(case: CaseResult) -> str:
    """The name of the variant; empty where the function has one case only."""
    return case.id[len(function_of(case)) :].removeprefix("[").removesuffix("]")


def _requirement(case: CaseResult) -> str:
    return case.requirements[0] if case.requirements else ""
