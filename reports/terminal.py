"""The report on a terminal: progress while the run goes on, then the verdict, the areas, the findings, what to do."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, TextIO

from attrs import frozen
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reports.grouping import grouped
from reports.model import Verdict
from reports.summary import (
    COLUMNS,
    KNOWN_BUG,
    Outcome,
    areas_by_activity,
    column,
    deviations,
    headline,
    known_bugs,
    outcome,
    selection_in_words,
    suite_errors,
    tally,
)
from reports.text import clip, count, one_line, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from rich.console import RenderableType

    from reports.grouping import Cause, Finding, Fold, Grouped
    from reports.model import CaseResult, Report

FINDINGS_SHOWN = 10
"""Findings shown on a screen: more is not read; the HTML page has the rest, and so has a log."""

VARIANTS_WIDTH = 60
"""Characters for the names of the variants of a case."""

REFRESH_INTERVAL = 0.1
"""Seconds between two drawings of the progress: ten a second look alive and cost nothing."""

UNKNOWN_WIDTH = 80
"""Columns where nobody knows how many there are."""

STYLES = {
    "pass": "green",
    "fail": "bold red",
    "unsupported": "cyan",
    "timeout": "bold red",
    "crash": "bold red",
    "flaky": "bold yellow",
    "error": "bold magenta",
    "skipped": "dim",
    KNOWN_BUG: "yellow",
}
_HEADINGS = {"unsupported": "unsup.", "skipped": "skip", KNOWN_BUG: "bug"}
_OUTCOMES = {
    Outcome.CONFORMS: "bold green",
    Outcome.PARTIAL: "bold cyan",
    Outcome.DEVIATES: "bold red",
    Outcome.SUITE_AT_FAULT: "bold magenta",
    Outcome.INCOMPLETE: "bold yellow",
    Outcome.NOTHING_CHECKED: "bold yellow",
}


def make_console(file: TextIO | None = None) -> Console:
    """A console on ``file`` (standard output when None) for the views of this module.

    ``NO_COLOR`` is respected; what the stream's encoding cannot say becomes a question mark.
    """
    console = Console(file=file, highlight=False, markup=False, emoji=False)
    if console.width < 1:
        # COLUMNS=0 is what some programs set where they do not know; rich would show nothing.
        console.width = UNKNOWN_WIDTH
    reconfigure = getattr(console.file, "reconfigure", None)
    if reconfigure is not None and not console.encoding.startswith("utf"):
        reconfigure(errors="replace")
    return console


class Progress:
    """What a run tells while it goes on. The base class counts and shows nothing."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.total = 0
        self.done = 0
        self.counts = dict.fromkeys(COLUMNS, 0)
        self.running: dict[str, None] = {}
        self.phase = ""
        """what runs again, such as ``control run``; empty during the first pass"""
        self.to_repeat = 0
        self.repeated = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def collected(self, number: int) -> None:
        """``number`` cases will run."""
        self.total = number

    def started(self, case_id: str) -> None:
        """The case ``case_id`` runs; with several workers several do at once."""
        self.running[case_id] = None

    def finished(self, result: CaseResult) -> None:
        """The case of ``result`` has its verdict."""
        self.running.pop(result.id, None)
        self.done += 1
        self.counts[column(result)] += 1

    def again(self, phase: str, number: int) -> None:
        """``number`` cases, which have their verdicts, will run again, for what ``phase`` says."""
        self.running.clear()
        self.phase, self.to_repeat, self.repeated = phase, number, 0

    def finished_again(self, case_id: str) -> None:
        """The case ``case_id`` ran again."""
        self.running.pop(case_id, None)
        self.repeated += 1


class LiveProgress(Progress):
    """A bar that redraws itself on a terminal; what deviates scrolls by above it.

    It draws when it is told something and needs no thread: the run's leak checks would find one.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console)
        self._clock = clock
        self._began = self._drawn = clock()
        self._shown = 0
        self._live = Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def collected(self, number: int) -> None:
        super().collected(number)
        self._draw()

    def started(self, case_id: str) -> None:
        super().started(case_id)
        self._draw_if_due()

    def finished(self, result: CaseResult) -> None:
        super().finished(result)
        if _speaks(result) and self._shown < FINDINGS_SHOWN:
            self._shown += 1
            self.console.print(_one_line_finding(result), no_wrap=True, overflow="ellipsis")
        self._draw_if_due()

    def again(self, phase: str, number: int) -> None:
        super().again(phase, number)
        self._draw()

    def finished_again(self, case_id: str) -> None:
        super().finished_again(case_id)
        self._draw_if_due()

    def _draw_if_due(self) -> None:
        if self._clock() - self._drawn >= REFRESH_INTERVAL:
            self._draw()

    def _draw(self) -> None:
        self._drawn = self._clock()
        self._live.update(self._view(), refresh=True)

    def _view(self) -> RenderableType:
        if not self.total:
            return Text("collecting cases …", style="dim")
        line = Table.grid(padding=(0, 1), expand=True)
        line.add_column(ratio=1)
        line.add_column(no_wrap=True)
        line.add_row(
            ProgressBar(total=self.total, completed=self.done),
            f"{self.done:,} of {count(self.total, 'case')}  {seconds(self._drawn - self._began)}",
        )
        current = next(iter(self.running), "")
        others = f" and {len(self.running) - 1} more" if len(self.running) > 1 else ""
        return Group(
            line,
            _counts(self.counts),
            Text(self._later() + one_line(current) + others, style="dim", no_wrap=True, overflow="ellipsis"),
        )

    def _later(self) -> str:
        return f"{self.phase} {self.repeated:,} of {self.to_repeat:,}  " if self.phase else ""


class PlainProgress(Progress):
    """Lines for a log: what deviates, and a line for every tenth of the run."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._shown = 0
        self._tenths = 0

    def collected(self, number: int) -> None:
        super().collected(number)
        self._say(Text(f"running {count(number, 'case')}"))

    def finished(self, result: CaseResult) -> None:
        super().finished(result)
        if _speaks(result):
            self._shown += 1
            if self._shown <= FINDINGS_SHOWN:
                self._say(_one_line_finding(result))
            elif self._shown == FINDINGS_SHOWN + 1:
                self._say(Text("further findings follow at the end"))
        tenths = 10 * self.done // max(self.total, self.done)
        if tenths > self._tenths:
            self._tenths = tenths
            self._say(Text(f"{self.done:,} of {count(self.total, 'case')}: ") + _counts(self.counts))

    def again(self, phase: str, number: int) -> None:
        super().again(phase, number)
        self._say(Text(f"{phase}: {count(number, 'case')}"))

    def _say(self, line: Text) -> None:
        self.console.print(line, soft_wrap=True)


def progress(console: Console, environ: Mapping[str, str] = os.environ) -> Progress:
    """The progress that suits where ``console`` writes: live on a terminal, plain lines in a log and in CI."""
    return PlainProgress(console) if is_log(console, environ) else LiveProgress(console)


def is_log(console: Console, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether what is printed goes to a file, a pipe or a CI job's log, and not to somebody's screen."""
    return not console.is_terminal or console.is_dumb_terminal or bool(environ.get("CI"))


def show(report: Report, console: Console, folder: Path | None = None, *, stories: bool = False) -> None:
    """Print the final view of ``report``; ``folder`` is where its files are, when they were written.

    ``stories``: with the traceback or the stacks of what is shown as failed, which else the files have.
    """
    _print_line(console, Text(headline(report), style=_OUTCOMES[outcome(report)]))
    if report.selection.is_partial:
        _print_line(console, Text(f"selected by {selection_in_words(report)}", style="dim"))
    _print_line(console, Text(_environment(report), style="dim"))
    console.print()
    if report.cases or report.requirements:
        console.print(_area_table(report))
    _show_findings(console, report, "What fails", deviations(report), stories=stories)
    _show_findings(console, report, "Where the suite is at fault", suite_errors(report), stories=stories)
    _show_known_bugs(console, report)
    _show_probes(console, report)
    _show_next(console, report, folder)


def _environment(report: Report) -> str:
    python, platform = report.python, report.platform
    threads = " free-threaded" if python.free_threaded else ""
    return one_line(
        f"{python.implementation} {python.version}{threads} · {platform.system} {platform.machine} · "
        f"profile {report.suite.profile} · {seconds(report.seconds)}"
    )


def _area_table(report: Report) -> Table:
    counts = tally(report.cases)
    shown = [name for name in COLUMNS if counts[name] or name in (Verdict.PASS.value, Verdict.FAIL.value)]
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("area", overflow="ellipsis", no_wrap=True, min_width=8)
    for name in shown:
        table.add_column(_HEADINGS.get(name, name), justify="right", no_wrap=True)
    table.add_column("verified", justify="right", no_wrap=True)
    active, silent = areas_by_activity(report)
    for area in active:
        cells = [
            Text(f"{area.tally[name]:,}", style=STYLES[name]) if area.tally[name] else Text("·", style="dim")
            for name in shown
        ]
        title = Text(one_line(area.name), style="bold red" if area.troubled else "")
        table.add_row(title, *cells, f"{area.verified:,} of {area.requirements:,}")
    if silent:
        title = Text(f"{count(len(silent), 'area')} unrun", style="dim")
        unverified = sum(area.requirements for area in silent)
        table.add_row(title, *(Text("·", style="dim") for _ in shown), f"0 of {unverified:,}")
    totals = report.totals.requirements
    cells = [Text(f"{counts[name]:,}", style=STYLES[name] if counts[name] else "dim") for name in shown]
    table.add_row(Text("all", style="bold"), *cells, f"{totals.verified:,} of {totals.total:,}")
    return table


def _show_findings(
    console: Console, report: Report, title: str, cases: tuple[CaseResult, ...], *, stories: bool
) -> None:
    if not cases:
        return
    # A log is searched, not read: it has everything. On a screen, what scrolls away is not seen.
    everything = is_log(console)
    blocks = _blocks(grouped(report, cases))
    number = sum(block.size for block in blocks)
    room = number if everything else FINDINGS_SHOWN
    more = f", the first {room} of {number:,} findings" if number > room else ""
    console.print()
    console.print(Text(f"{title} ({len(cases):,} of {count(len(report.cases), 'case')}{more})", style="bold"))
    for block in blocks:
        if room <= 0:
            break
        most = len(block.folds) if everything else 1 if block.is_cause else room
        room -= block.size
        _print_line(console, block.heading)
        for fold in block.folds[:most]:
            _show_fold(console, fold, message=not block.is_cause)
            if stories:
                _show_stories(console, fold)
        if block.is_cause and block.folds[most:]:
            console.print(Text(f"  and {count(len(block.folds) - most, 'more function')} of this cause", style="dim"))


@frozen
class _Block:
    """What is told under one heading."""

    heading: Text
    folds: tuple[Fold, ...]
    is_cause: bool
    """whether the heading has the message of all; a screen then shows one of them"""

    @property
    def size(self) -> int:
        """As how many findings it counts."""
        return 1 if self.is_cause else len(self.folds)


def _blocks(told: Grouped) -> list[_Block]:
    return [*map(_cause_block, told.causes), *map(_finding_block, told.findings)]


def _cause_block(cause: Cause) -> _Block:
    heading = Text(f"{cause.extent}: ", style="bold red") + Text(one_line(cause.message, 300), style="bold")
    return _Block(heading, cause.folds, is_cause=True)


def _finding_block(finding: Finding) -> _Block:
    sentence = f": {finding.requirement.text}" if finding.requirement else ""
    heading = Text(one_line((finding.id or "no requirement") + sentence), style="underline")
    return _Block(heading, finding.folds, is_cause=False)


def _show_stories(console: Console, fold: Fold) -> None:
    for case in fold.cases:
        if case.details:
            console.print(Text(clip(case.details).rstrip() + "\n", style="dim"), soft_wrap=True)


def _show_fold(console: Console, fold: Fold, *, message: bool) -> None:
    case = fold.cases[0]
    text = Text("  ") + _verdict(case) + Text(" ") + Text(one_line(fold.title), style="bold")
    if fold.variants:
        text.append(f" ({fold.told_variants(VARIANTS_WIDTH)})")
    if is_log(console):
        if message and fold.message:
            text.append("  " + one_line(fold.message, 300))
        _print_line(console, text)
        return
    # Soft-wrapped: an id that is broken into lines cannot be copied.
    console.print(text, soft_wrap=True)
    if not message:
        return
    if fold.message:
        _print_indented(console, Text("  " + one_line(fold.message, 300)))
    for name, value in (("expected", case.expected), ("seen", case.seen)):
        if value is not None and one_line(value, 200) not in fold.message:
            _print_indented(console, Text(f"  {name}: ", style="dim").append(one_line(value, 200)))


def _print_line(console: Console, text: Text) -> None:
    """One line in a log, where a line that is broken is not found; as many as it takes on a screen."""
    console.print(text, soft_wrap=is_log(console))


def _show_known_bugs(console: Console, report: Report) -> None:
    bugs = known_bugs(report)
    if not bugs:
        return
    console.print()
    console.print(Text(f"CPython's known bugs, not held against the target ({count(len(bugs), 'case')})", style="bold"))
    by_issue: dict[str, list[CaseResult]] = {}
    for case in bugs:
        assert case.known_bug is not None
        by_issue.setdefault(case.known_bug.issue, []).append(case)
    most = len(by_issue) if is_log(console) else FINDINGS_SHOWN
    for issue, cases in list(by_issue.items())[:most]:
        bug = cases[0].known_bug
        assert bug is not None
        line = f"{one_line(bug.instead, 300)} ({count(len(cases), 'case')}, {one_line(bug.versions)}) {one_line(issue)}"
        _print_indented(console, Text(line))
    if len(by_issue) > most:
        console.print(f"  and {len(by_issue) - most:,} more in the report")


def _show_probes(console: Console, report: Report) -> None:
    lacking = [probe for probe in report.probes if not probe.supported]
    if not lacking:
        return
    console.print()
    title = f"Features that the loop lacks ({len(lacking)} of {count(len(report.probes), 'probe')})"
    console.print(Text(title, style="bold"))
    for probe in lacking:
        _print_indented(console, Text(f"{one_line(probe.feature)}: {one_line(probe.reason, 200)}"))


def _show_next(console: Console, report: Report, folder: Path | None) -> None:
    console.print()
    if folder is not None:
        # Soft-wrapped: a path or command that is broken into lines cannot be copied.
        console.print(Text("Report: ", style="dim") + Text(one_line(str(folder / "index.html"))), soft_wrap=True)
    first = _first_to_repeat(report)
    if first is not None:
        console.print(Text("Repeat the first finding:", style="dim"))
        console.print(Text("  " + one_line(first.repeat, 1000)), soft_wrap=True)
    elif not report.complete:
        console.print("Run it again to the end: what has no verdict is not verified.")


def _first_to_repeat(report: Report) -> CaseResult | None:
    """The case that is told of first."""
    for cases in (deviations(report), suite_errors(report)):
        told = grouped(report, cases)
        folds = (fold for block in _blocks(told) for fold in block.folds)
        first = next((fold.cases[0] for fold in folds if fold.cases[0].repeat), None)
        if first is not None:
            return first
    return None


def _print_indented(console: Console, text: Text) -> None:
    if is_log(console):
        console.print(Text("  ") + text, soft_wrap=True)
        return
    for line in text.wrap(console, console.width - 2):
        line.rstrip()
        console.print(Text("  ") + line)


def _one_line_finding(case: CaseResult) -> Text:
    message = f"  {one_line(case.message)}" if case.message else ""
    return _verdict(case) + Text(f" {one_line(case.id)}{message}")


def _verdict(case: CaseResult) -> Text:
    return Text(column(case).upper(), style=STYLES[column(case)])


def _speaks(case: CaseResult) -> bool:
    return case.deviates or case.faults_suite


def _counts(counts: Mapping[str, int]) -> Text:
    return Text(", ").join(Text(f"{number:,} {name}", style=STYLES[name]) for name, number in counts.items() if number)
