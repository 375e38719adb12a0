"""A run at the command line: progress while it goes on, then every file of the report, then what is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.harness.run import NothingSelected, run
from reports import terminal
from reports.model import exit_code

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.harness.options import RunOptions
    from reports.model import CaseResult, Report
    from reports.terminal import Progress


class Refused(Exception):
    """What the user can change, apart from target and profile; the message is one sentence that says how."""


class FirstPass:
    """Shows the first pass of a run; retries and the control run again what was counted already."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._counts = True

    def phase(self, text: str) -> None:
        """Something else begins."""
        self._counts = text == "cases"

    def collected(self, count: int) -> None:
        """So many cases will run."""
        if self._counts:
            self._progress.collected(count)

    def started(self, case: str) -> None:
        """A case began."""
        if self._counts:
            self._progress.started(case)

    def finished(self, result: CaseResult) -> None:
        """A case came to a verdict."""
        if self._counts:
            self._progress.finished(result)


def run_and_report(options: RunOptions) -> int:
    """Run the suite as ``options`` ask, write and show the report; the exit code that the design documents.

    Raises Refused where no case is selected or the report cannot be written, and what
    ``conformance.harness.run.run()`` raises for targets, profiles and catalogues.
    """
    console = terminal.make_console()
    try:
        with terminal.progress(console) as progress:
            report = run(options, FirstPass(progress))
    except NothingSelected as problem:
        raise Refused(str(problem)) from None
    write_files(report, options.output)
    terminal.show(report, console, options.output)
    return exit_code(report)


def write_files(report: Report, folder: Path) -> None:
    """Render ``report`` into ``folder``, which exists. Raises Refused where the system does not let it."""
    # The renderers take a quarter of the time that a run needs to its first case: they are loaded after the last.
    from reports import html, junit, markdown, store

    files = {
        "index.html": html.render(report),
        "summary.md": markdown.render(report),
        "junit.xml": junit.render(report),
        # The last: where it stands, the others belong to it.
        store.REPORT_JSON: store.dumps(report),
    }
    try:
        for name, text in files.items():
            store.write_text(text, folder / name)
    except store.ReportError as problem:
        raise Refused(str(problem)) from None
