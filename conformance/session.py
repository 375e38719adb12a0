"""A run at the command line: progress while it goes on, then every file of the report, then what is shown of it."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from conformance.catalogue import profile_version
from conformance.harness.interruption import Interrupts
from conformance.harness.run import NothingSelected, SuiteBroken, run
from conformance.harness.unfinished import UNFINISHED_JSON, Record, UnfinishedError, dumps, identity_of, read
from conformance.report_folder import FolderError, put_aside
from conformance.standard_streams import LONGEST_LOG, Output, say, say_lines
from conformance.target import announced
from reports import terminal
from reports.model import EXIT_INCOMPLETE, EXIT_SUITE_AT_FAULT, exit_code
from reports.text import clip, count, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.harness.options import RunOptions
    from reports.model import CaseResult, Report
    from reports.terminal import Progress


class Refused(Exception):
    """What the user can change, apart from target and profile; the message is one sentence that says how."""


LATER_PHASES = {"retries": "repeating", "control": "control run"}
"""How the phases are called that run again what was counted already."""


class Narrator:
    """Tells the display of a run's progress what goes on: the first pass counts, what comes later is counted apart."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._later = ""

    def phase(self, text: str) -> None:
        """Something else begins."""
        self._later = LATER_PHASES.get(text, "")

    def collected(self, count: int) -> None:
        """So many cases will run."""
        if self._later:
            self._progress.again(self._later, count)
        else:
            self._progress.collected(count)

    def started(self, case: str) -> None:
        """A case began."""
        self._progress.started(case)

    def finished(self, result: CaseResult) -> None:
        """A case came to a verdict."""
        if self._later:
            self._progress.finished_again(result.id)
        else:
            self._progress.finished(result)


def run_and_report(options: RunOptions, interrupts: Interrupts | None = None) -> int:
    """Run the suite as ``options`` ask, write the report if they say where, and show it; the documented exit code.

    Raises Refused where no case is selected, and what ``conformance.harness.run.run()`` raises for targets, profiles
    and catalogues. Whatever ends the run or cannot be written, what was measured is reported and shown.
    ``interrupts``: those that are in force already.
    """
    with nullcontext(interrupts) if interrupts is not None else Interrupts() as interrupts:
        output = Output(interrupts)
        console = terminal.make_console(cast("TextIO", output))
        record = take_up(options) if options.resume and options.output is not None else Record()
        try:
            with terminal.progress(console) as progress:
                report = run(options, Narrator(progress), interrupts, record)
        except NothingSelected as problem:
            raise Refused(str(problem)) from None
        except SuiteBroken as problem:
            say(f"{problem}; pytest's last words:")
            say_lines(clip(problem.log, LONGEST_LOG))
            return EXIT_SUITE_AT_FAULT
        folder, kept, problems = None, False, []
        if options.output is not None:
            folder, unwritten = write_files(report, options.output)
            kept, unkept = keep(record, report, folder, resumed=options.resume)
            problems += [*unwritten, *unkept]
        problems = [*missing(report, kept=kept), *problems]
        terminal.show(report, console, folder, stories=folder is None)
        if output.failure:
            problems.append(lost(output.failure, folder))
        for sentence in problems:
            say(sentence)
        return EXIT_INCOMPLETE if problems else exit_code(report)


def take_up(options: RunOptions) -> Record:
    """The unfinished run in the folder of the report; Refused where there is none, or another."""
    assert options.output is not None
    target = announced(options.target, options.api)
    profile = profile_version(options.profile or target.profile)
    try:
        return read(options.output, identity_of(options, target, profile))
    except UnfinishedError as problem:
        raise Refused(str(problem)) from None


def keep(record: Record, report: Report, folder: Path, *, resumed: bool) -> tuple[bool, list[str]]:
    """Leave what another run can go on from beside a report that is not complete; beside a complete one, nothing.

    ``resumed``: what is kept there is of this run. Returns whether there is something, and what went wrong.
    """
    from reports.store import NotWritten, write_text

    path = folder / UNFINISHED_JSON
    try:
        if report.complete or not record.collected:
            if report.complete:
                path.unlink(missing_ok=True)
            return False, []
        if not resumed:
            put_aside(folder, [UNFINISHED_JSON])
        write_text(dumps(record), path)
    except (FolderError, NotWritten) as problem:
        return False, [str(problem)]
    except OSError as problem:
        return False, [f"{path} cannot be removed ({reason(problem)}); it is of no use any longer."]
    return True, []


def missing(report: Report, *, kept: bool) -> Iterator[str]:
    """What the report of a run that was cut lacks, in a sentence. ``kept``: another run can go on."""
    if report.cut and not report.collected:
        yield f"The run was cut, {report.cut}, before it had collected a case."
    elif report.cut:
        # What cases left behind is told where all of them ran.
        rest = "; the same command with --resume runs the others" if kept else ""
        judged = f"{len(report.cases):,} of {count(report.collected, 'case')}"
        yield f"The run was cut, {report.cut}: {judged} have a verdict{rest}."


def lost(failure: str, folder: Path | None) -> str:
    """What became of the result, now that standard output failed, in a sentence."""
    where = "which shows nothing of this run" if folder is None else f"the report is in {folder}"
    return f"Standard output failed ({failure}): {where}."


def write_files(report: Report, folder: Path) -> tuple[Path, tuple[str, ...]]:
    """Write every format into ``folder``, or into a temporary one where the system does not let it.

    Returns where the report is and what went wrong, in a sentence for each file, or in one for the folder.
    """
    # The renderers take a quarter of the time that a run needs to its first case: they are loaded after the last.
    from reports.render import write_all
    from reports.store import REPORT_JSON

    written = write_all(report, folder)
    if REPORT_JSON in written.paths:
        return folder, written.problems
    try:
        refuge = Path(tempfile.mkdtemp(prefix="conformance-report-"))
    except OSError:
        return folder, written.problems
    rescued = write_all(report, refuge)
    if REPORT_JSON not in rescued.paths:
        return folder, written.problems
    return refuge, (f"{written.problems[0].removesuffix('.')}; what was measured is in {refuge} instead.",)
