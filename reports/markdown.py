"""The report as Markdown for a CI job's summary page: complete where it fits, and honest where it does not."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from reports.grouping import grouped
from reports.model import Verdict
from reports.summary import (
    COLUMNS,
    Outcome,
    areas_by_activity,
    column,
    deviations,
    headline,
    known_bugs,
    outcome,
    suite_errors,
    tally,
)
from reports.text import clip, count, one_line, plain, seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reports.grouping import Cause, Finding, Fold
    from reports.model import CaseResult, Report

SUMMARY_MD = "summary.md"

SIZE_LIMIT = 1_000_000
"""Bytes. GitHub drops a step's summary beyond 1,024 KiB; other steps of the action may add a little of their own."""

DETAILS_LIMIT = 4_000
"""Characters of one case's story: a summary is for finding what broke, the HTML page for reading why."""

_SIGNS = {
    Outcome.CONFORMS: "✅",
    Outcome.PARTIAL: "🔎",
    Outcome.DEVIATES: "❌",
    Outcome.SUITE_AT_FAULT: "⚠️",
    Outcome.INCOMPLETE: "⚠️",
    Outcome.NOTHING_CHECKED: "⚠️",
}
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~&@!]")


def render(report: Report) -> str:
    """``report`` as GitHub-flavoured Markdown, at most `SIZE_LIMIT` bytes in UTF-8."""
    text = f"## {_SIGNS[outcome(report)]} {_escape(headline(report))}\n\n{_environment(report)}\n"
    # Room is kept for the sentence that says what is missing.
    room = SIZE_LIMIT - len(text.encode()) - 500
    parts, left_out = [text], 0
    for block in _blocks(report):
        size = len(block.encode())
        if size > room:
            left_out += 1
            continue
        parts.append(block)
        room -= size
    if left_out:
        parts.append(
            f"\n> **This summary is cut**: {count(left_out, 'part')} did not fit into {SIZE_LIMIT // 1000:,} kB. "
            "index.html and report.json of the run have everything.\n"
        )
    return "".join(parts)


def _environment(report: Report) -> str:
    python, platform, target = report.python, report.platform, report.target
    threads = ", free-threaded" if python.free_threaded else ""
    facts = (
        f"loop {_code(target.factory)}, namespace {_code(target.namespace)}",
        _escape(f"{python.implementation} {python.version}{threads} on {platform.system} {platform.machine}"),
        _escape(f"documentation of {report.suite.profile}, suite {report.suite.version}"),
        seconds(report.seconds),
    )
    return " · ".join(facts) + "\n"


def _blocks(report: Report) -> Iterator[str]:
    yield from _area_table(report)
    yield from _section("What fails", report, deviations(report))
    yield from _section("Where the suite is at fault", report, suite_errors(report))
    bugs = known_bugs(report)
    if bugs:
        yield f"\n### CPython's known bugs ({len(bugs):,} of {count(len(report.cases), 'case')})\n\n"
        for case in bugs:
            assert case.known_bug is not None
            bug = case.known_bug
            yield f"- {_code(case.id)}: {_escape(bug.instead)} ({_escape(bug.versions)}, {_escape(bug.issue)})\n"
    lacking = [probe for probe in report.probes if not probe.supported]
    if lacking:
        yield f"\n### Features that the loop lacks ({len(lacking)} of {count(len(report.probes), 'probe')})\n\n"
        for probe in lacking:
            yield f"- **{_escape(probe.feature)}**: {_escape(probe.reason)}\n"


def _area_table(report: Report) -> Iterator[str]:
    counts = tally(report.cases)
    shown = [name for name in COLUMNS if counts[name] or name in (Verdict.PASS.value, Verdict.FAIL.value)]
    header = ["area", "cases", *shown, "requirements verified"]
    yield "\n" + _row(header) + _row([":--", *["--:"] * (len(header) - 1)])
    active, silent = areas_by_activity(report)
    for area in active:
        name = f"**{_escape(area.name)}**" if area.troubled else _escape(area.name)
        cells = [f"{area.tally[shown_name]:,}" if area.tally[shown_name] else "" for shown_name in shown]
        yield _row([name, f"{area.cases:,}", *cells, f"{area.verified:,} of {area.requirements:,}"])
    if silent:
        unverified = sum(area.requirements for area in silent)
        yield _row([f"{count(len(silent), 'area')} without cases", "0", *("" for _ in shown), f"0 of {unverified:,}"])
    totals = report.totals.requirements
    cells = [f"{counts[name]:,}" for name in shown]
    yield _row(["**all**", f"{len(report.cases):,}", *cells, f"{totals.verified:,} of {totals.total:,}"])


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |\n"


def _section(title: str, report: Report, cases: tuple[CaseResult, ...]) -> Iterator[str]:
    if not cases:
        return
    yield f"\n### {title} ({len(cases):,} of {count(len(report.cases), 'case')})\n\n"
    told = grouped(report, cases)
    for cause in told.causes:
        yield f"\n**{_escape(cause.extent)}**: {_escape(cause.message)}\n\n"
        yield _fold(cause.folds[0], message=False)
        yield _list_of(cause)
    for finding in told.findings:
        yield _heading(finding)
        for fold in finding.folds:
            yield _fold(fold)


def _list_of(cause: Cause) -> str:
    """All cases of a cause, whose story was told with the first."""
    ids = html.escape("\n".join(one_line(case.id) for case in cause.cases))
    return f"<details><summary>all {count(len(cause.cases), 'case')}</summary>\n\n<pre>{ids}</pre>\n\n</details>\n"


def _heading(finding: Finding) -> str:
    requirement = finding.requirement
    sentence = f": {_escape(requirement.text)}" if requirement else ""
    link = f" ([documentation]({quote(plain(requirement.url), safe=':/')}))" if requirement else ""
    return f"\n**{_code(finding.id or 'no requirement')}**{sentence}{link}\n\n"


def _fold(fold: Fold, *, message: bool = True) -> str:
    """The story of the first case, and the names of those that went the same way."""
    case = fold.cases[0]
    control = case.control.value if case.control else None
    facts = [("expected", case.expected), ("seen", case.seen), ("on asyncio itself", control)]
    lines = [f"{name}: {clip(value, DETAILS_LIMIT)}" for name, value in facts if value is not None]
    if case.repeat:
        lines.append(f"repeat: {one_line(case.repeat, 1000)}")
    if fold.variants:
        lines += [f"{len(fold.cases)} cases, of which the first is told:", *(f"  {one.id}" for one in fold.cases)]
    if case.details:
        lines += ["", clip(case.details, DETAILS_LIMIT)]
    variants = f" ({_escape(fold.told_variants())})" if fold.variants else ""
    told = f": {_escape(fold.message)}" if message and fold.message else ""
    # Raw HTML throughout: in it no character of the story can be taken for Markdown, and <pre> may hold blank lines.
    summary = f"<summary><b>{column(case)}</b> {_code(fold.title)}{variants}{told}</summary>"
    return f"<details>{summary}\n\n<pre>{html.escape(chr(10).join(map(plain, lines)))}</pre>\n\n</details>\n"


def _escape(text: str) -> str:
    return _SPECIAL.sub(lambda match: f"&#{ord(match[0])};", one_line(text))


def _code(text: str) -> str:
    return f"<code>{_escape(text)}</code>"
