"""Reports made for one purpose: of given cases, of hostile text, of many cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from hypothesis import settings
from hypothesis import strategies as st

from fixtures.reports.golden import clean
from reports.model import (
    Attempt,
    CaseResult,
    KnownBug,
    Probe,
    Report,
    RequirementResult,
    Source,
    Status,
    Totals,
    Verdict,
    seal,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENT = settings(deadline=None, max_examples=50)
"""For properties of whole reports: an example takes some milliseconds, on a busy machine much longer."""

HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 NUL:\x00 bell:\x07 surrogate:\udc80 non:\ufffe C1:\x9b31m bidi:\u202e "
    "</script></style></pre><script>alert(1)</script> <!-- ]]> &amp; \"'` | **bold** {{ 7*7 }} {% raw %} "
    "C:\\Users\\kim\\loop.py\r\nline two\rline three\n```\n</details>"
)
"""One text with everything that ever broke a report."""


def report_of(
    cases: Sequence[CaseResult], requirements: Sequence[RequirementResult] = (), probes: Sequence[Probe] = ()
) -> Report:
    """A complete report of ``cases``."""
    return attrs.evolve(
        clean(),
        collected=len(cases),
        collected_sha256=seal(case.id for case in cases),
        cases=tuple(cases),
        requirements=tuple(requirements),
        probes=tuple(probes),
        totals=Totals.of(cases, requirements),
    )


def hostile(text: str = HOSTILE, verdicts: Sequence[Verdict] = tuple(Verdict)) -> Report:
    """A report in which every text that a loop or a case may choose is ``text``."""
    cases = [
        CaseResult(
            id=f"{text}/{text}::{text}[{number}]",
            requirements=(text, "hygiene/threads"),
            area=text,
            verdict=verdict,
            seconds=0.5,
            message=text,
            details=text,
            expected=text,
            seen=text,
            control=Verdict.PASS,
            attempts=(Attempt(verdict, 0.25, text), Attempt(verdict, 0.25, text)),
            known_bug=KnownBug(text, text, text) if number % 2 and verdict is Verdict.FAIL else None,
            source=Source(text, 3, text),
            repeat=text,
        )
        for number, verdict in enumerate(v for v in verdicts for _ in range(2))
    ]
    requirement = RequirementResult(text, Status.FAILED, text, text, text, "stated", tuple(case.id for case in cases))
    report = report_of(cases, [requirement], [Probe(text, False, text)])
    return attrs.evolve(
        report,
        started=text,
        suite=attrs.evolve(report.suite, version=text, profile=text),
        target=attrs.evolve(report.target, name=text, factory=text, namespace=text, distribution=text, version=text),
        python=attrs.evolve(report.python, build=text),
    )


def many(number: int, details: str = "", verdict: Verdict = Verdict.FAIL) -> Report:
    """A report of ``number`` cases with the same verdict and details, on a tenth as many requirements."""
    requirements = [
        RequirementResult(f"loop.call_{n}/does-it", Status.FAILED, "does it", "eventloop", f"area-{n % 50}", "stated")
        for n in range(number // 10 or 1)
    ]
    cases = [
        CaseResult(
            id=f"eventloop/test_{n % 97}::test_that_something_with_a_name_of_usual_length_happens[{n}]",
            requirements=(requirements[n % len(requirements)].id,),
            area=requirements[n % len(requirements)].area,
            verdict=verdict,
            seconds=0.001,
            message="expected one thing, seen another",
            details=details,
            repeat=f"asyncio-conformance run gustloop --case eventloop/test_{n}",
        )
        for n in range(number)
    ]
    return report_of(cases, requirements)


def all_different(report: Report) -> Report:
    """The report with a function and a message of its own for each case."""
    cases = [
        attrs.evolve(
            case, id=f"a/module_{n}::{'that_something_happens_' * 4}{n}", message=f"seen {chr(0x4E00 + n)} " * 100
        )
        for n, case in enumerate(report.cases)
    ]
    return report_of(cases, report.requirements)


def any_text() -> st.SearchStrategy[str]:
    """Text of every kind, lone surrogates and control characters included."""
    characters = st.characters(codec=None, categories=["L", "N", "P", "S", "Z", "Cc", "Cf", "Cs", "Co", "Cn"])
    return st.text(characters, max_size=30) | st.just(HOSTILE)


def any_case() -> st.SearchStrategy[CaseResult]:
    """Cases with any text in any field."""
    text = any_text()
    number = st.floats(0, 1e6)
    verdict = st.sampled_from(Verdict)
    return st.builds(
        CaseResult,
        id=text,
        requirements=st.lists(text, max_size=3).map(tuple),
        area=text,
        verdict=verdict,
        seconds=number,
        message=text,
        details=text,
        expected=st.none() | text,
        seen=st.none() | text,
        control=st.none() | verdict,
        attempts=st.lists(st.builds(Attempt, verdict, number, text), max_size=2).map(tuple),
        known_bug=st.none() | st.builds(KnownBug, text, text, text),
        source=st.none() | st.builds(Source, text, st.integers(1, 10_000), text),
        repeat=text,
    )


def any_report() -> st.SearchStrategy[Report]:
    """Complete reports of any few cases and requirements."""
    text = any_text()
    requirement = st.builds(
        RequirementResult, text, st.sampled_from(Status), text, text, text, text, st.lists(text, max_size=2).map(tuple)
    )
    return st.builds(
        report_of,
        st.lists(any_case(), max_size=4, unique_by=lambda case: case.id),
        st.lists(requirement, max_size=3),
        st.lists(st.builds(Probe, text, st.booleans(), text), max_size=2),
    )
