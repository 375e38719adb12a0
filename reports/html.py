"""The report as one HTML page: self-contained, readable without JavaScript and without a network."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from attrs import frozen
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports.grouping import grouped, variant_of
from reports.model import Status, Verdict
from reports.summary import (
    COLUMNS,
    Outcome,
    areas,
    column,
    deviations,
    headline,
    known_bugs,
    label,
    outcome,
    selection_in_words,
    suite_errors,
    tally,
)
from reports.text import clip, count, one_line, plain, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reports.grouping import Cause, Finding, Fold
    from reports.model import CaseResult, Report, RequirementResult

INDEX_HTML = "index.html"

CARDS_LIMIT = 1_000
"""Cases shown with their whole story: a browser opens a page of some ten megabytes at once, and nobody reads more."""

STORIES_LIMIT = 8_000_000
"""Characters of details, sources and values on the page, for the same reason; later cases point to report.json."""

VALUE_LIMIT = 4_000
"""Characters of an expected or seen value, or of a source."""

OPEN_AT_MOST = 3
"""With so few findings they are shown open: there is nothing to choose from."""

_CONTROL = {
    None: "not run on asyncio itself",
    Verdict.PASS: "passes on asyncio itself: the loop differs from it",
    Verdict.UNSUPPORTED: "unsupported on asyncio itself too",
    Verdict.SKIPPED: "skipped on asyncio itself",
}


@frozen
class Card:
    """A case with its whole story."""

    case: CaseResult
    column: str
    details: str
    expected: str
    seen: str
    source: tuple[tuple[int, str], ...]
    control: str
    requirements: tuple[tuple[str, RequirementResult | None], ...]


@frozen
class FoldedCards:
    """Cases of one function that went the same way, with their stories."""

    fold: Fold
    cards: tuple[Card, ...]


@frozen
class Group:
    """Cases under one heading: a cause that they share, or a requirement."""

    cause: Cause | None
    finding: Finding | None
    folds: tuple[FoldedCards, ...]

    @property
    def cards(self) -> tuple[Card, ...]:
        """Its cards, whatever they are folded into."""
        return tuple(card for fold in self.folds for card in fold.cards)


@frozen
class Section:
    """Cases that somebody has to look at, by cause and requirement."""

    anchor: str
    title: str
    note: str
    cases: tuple[CaseResult, ...]
    groups: tuple[Group, ...]
    opened: bool
    """whether the stories are open from the start"""

    @property
    def left_out(self) -> int:
        """How many of its cases have no card because the page is full."""
        return len(self.cases) - sum(len(group.cards) for group in self.groups)


def render(report: Report) -> str:
    """``report`` as an HTML page."""
    cards = _Cards(report)
    sections = _sections(report, cards)
    counts = tally(report.cases)
    return (
        _environment()
        .get_template("index.html.j2")
        .render(
            report=report,
            label=label(report),
            headline=headline(report),
            outcome=outcome(report),
            conforms=outcome(report) is Outcome.CONFORMS,
            selection=selection_in_words(report),
            counts=counts,
            shown=[name for name in COLUMNS if counts[name]],
            statuses=_statuses(report),
            areas=areas(report),
            sections=sections,
            others=_by_area(case for case in report.cases if case.id not in cards.shown),
            requirements=_by_area(report.requirements),
            on_page={case.id for case in report.cases},
            facts=_facts(report),
        )
    )


def _sections(report: Report, cards: _Cards) -> list[Section]:
    failing, faulting, bugs = deviations(report), suite_errors(report), known_bugs(report)
    few = len(failing) + len(faulting) <= OPEN_AT_MOST
    described = (
        ("fails", "What fails", "", failing, few),
        (
            "faults",
            "Where the suite is at fault",
            "These say nothing about the loop: a fixture broke, or the case does not hold on asyncio itself either.",
            faulting,
            few,
        ),
        (
            "known",
            "CPython's known bugs",
            "The interpreter itself breaks these promises; they are not held against the loop.",
            bugs,
            False,
        ),
    )
    return [
        Section(
            anchor,
            title,
            note,
            cases,
            tuple(_groups(report, cards, cases)),
            opened,
        )
        for anchor, title, note, cases, opened in described
        if cases
    ]


def _groups(report: Report, cards: _Cards, cases: tuple[CaseResult, ...]) -> Iterator[Group]:
    told = grouped(report, cases)
    for cause in told.causes:
        yield Group(cause, None, cards.of(cause.folds))
    for finding in told.findings:
        yield Group(None, finding, cards.of(finding.folds))


class _Cards:
    """Makes cards until the page is full."""

    def __init__(self, report: Report) -> None:
        self.shown: set[str] = set()
        self._room = STORIES_LIMIT
        self._known = {requirement.id: requirement for requirement in report.requirements}

    def of(self, folds: Iterable[Fold]) -> tuple[FoldedCards, ...]:
        made = (FoldedCards(fold, self._some_of(fold)) for fold in folds)
        return tuple(cards for cards in made if cards.cards)

    def _some_of(self, fold: Fold) -> tuple[Card, ...]:
        return tuple(self._card(case) for case in fold.cases if len(self.shown) < CARDS_LIMIT)

    def _card(self, case: CaseResult) -> Card:
        self.shown.add(case.id)
        code = self._take(case.source.code, VALUE_LIMIT) if case.source else ""
        first = case.source.line if case.source else 1
        return Card(
            case=case,
            column=column(case),
            details=self._take(case.details),
            expected=self._take(case.expected or "", VALUE_LIMIT),
            seen=self._take(case.seen or "", VALUE_LIMIT),
            source=tuple(enumerate(code.splitlines(), first)),
            control=_CONTROL.get(case.control, f"does not pass on asyncio itself either ({_value(case.control)})"),
            requirements=tuple((name, self._known.get(name)) for name in case.requirements),
        )

    def _take(self, text: str, limit: int | None = None) -> str:
        shown = clip(text) if limit is None else clip(text, limit)
        if len(shown) > self._room:
            return "This page is full; report.json has the rest."
        self._room -= len(shown)
        return shown


def _value(verdict: Verdict | None) -> str:
    return verdict.value if verdict else ""


def _statuses(report: Report) -> dict[str, int]:
    """Requirement status → number, in the order of the bar; CPython's known bugs apart from what failed."""
    totals = report.totals.requirements
    return {
        Status.VERIFIED.value: totals.verified,
        Status.FAILED.value: totals.failed - totals.known_bugs,
        "known bug": totals.known_bugs,
        Status.UNSUPPORTED.value: totals.unsupported,
        Status.UNVERIFIED.value: totals.unverified,
    }


def _by_area(items: Iterable[Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for item in items:
        groups[item.area].append(item)
    return dict(groups)


def _facts(report: Report) -> dict[str, str]:
    target, python, platform = report.target, report.python, report.platform
    distribution = f"{target.distribution} {target.version or ''}".strip() if target.distribution else "none"
    threads = ", free-threaded" if python.free_threaded else ""
    measured = f"{len(report.cases):,} of {count(report.collected, 'case')}"
    return {
        "Loop factory": target.factory,
        "Namespace": target.namespace,
        "Distribution": distribution,
        "Judged by": f"documentation of Python {report.suite.profile}, suite {report.suite.version}",
        "Python": f"{python.implementation} {python.version}{threads}",
        "Build": python.build,
        "OpenSSL": python.openssl or "none",
        "Platform": f"{platform.system} {platform.release}, {platform.machine}, {platform.libc}, "
        f"{count(platform.cpus, 'CPU')}",
        "Started": report.started,
        "Duration": seconds(report.seconds),
        "Run": f"complete, {measured}" if report.complete else f"cut ({report.cut or 'unknown why'}), {measured}",
    }


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters.update(
        anchor=_anchor,
        line=one_line,
        duration=seconds,
        slug=lambda name: name.replace(" ", "-"),
        column=column,
        variant=variant_of,
    )
    environment.globals["count"] = count
    return environment


def _finalize(value: Any) -> Any:
    """Everything that reaches the page is fit to be shown, wherever the template puts it."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return plain(value)


def _anchor(name: str) -> Any:
    """A case's or requirement's id as the fragment of a link: deep links are ``index.html#ID``."""
    return Markup(quote(plain("_".join(name.split())), safe="/:.-_~()'*!$,;=@+").replace("'", "%27"))
