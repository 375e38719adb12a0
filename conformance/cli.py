"""The commands: ``run``, ``targets``, ``requirements``. They read what the user wrote and hand it on.

Whatever is heavy (pytest, rich, the renderers) is imported by the command that needs it: help and lists answer at once.
"""

from __future__ import annotations

import contextlib
import json
import sys
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

import conformance
from conformance.harness.interruption import Interrupted, Interrupts
from conformance.harness.options import DEFAULT_OUTPUT, START_TIMEOUT, RunOptions
from conformance.standard_streams import LONGEST_LOG, LONGEST_SENTENCE, fill_gaps, say, say_lines, silence
from reports.model import EXIT_INCOMPLETE, EXIT_SUITE_AT_FAULT
from reports.text import clip, one_line, reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from conformance.catalogue import Requirement

EXIT_USAGE = 2

LEAST_MEMORY = 512 * 1024**2
"""Bytes that each process has to be allowed. Pytest with the whole suite takes a quarter of it, and a thread 8 MB of
address space; with a tenth, cases fail that start a few threads."""

LONGEST_CELL = 80
"""Characters of what a distribution calls its loop: more is no name any longer."""

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class UserError(click.ClickException):
    """A mistake of the user's: one sentence on standard error, exit code 2."""

    exit_code = EXIT_USAGE

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message, LONGEST_SENTENCE))


@contextlib.contextmanager
def _user_errors() -> Iterator[None]:
    """Turn the errors that a user can cause into their sentence."""
    from conformance.catalogue import CatalogueError, VersionError
    from conformance.report_folder import FolderError
    from conformance.target import TargetError

    try:
        yield
    except (CatalogueError, FolderError, TargetError, VersionError) as problem:
        raise UserError(str(problem)) from None


def _known_words(_ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse, in one sentence, a page or area that the catalogue does not have."""
    from conformance.catalogue import Area, page_names

    kind, words = ("page", page_names()) if param.name == "pages" else ("area", tuple(Area))
    for value in values:
        if value not in words:
            _refuse(f'there is no {kind} "{value}"', value, words)
    return values


def _refuse(sentence: str, word: str, words: Sequence[str]) -> NoReturn:
    """Raise the error of a word that is not among ``words``: the nearest one first, then all."""
    import difflib

    close = difflib.get_close_matches(word, words, n=1)
    meant = f' (did you mean "{close[0]}"?)' if close else ""
    raise UserError(f"{sentence}{meant}; use one of {', '.join(words)}")


@contextlib.contextmanager
def _shown_fit() -> Iterator[None]:
    """Make what a wrong usage quotes fit to be shown."""
    try:
        yield
    except click.UsageError as problem:
        raise click.UsageError(one_line(problem.format_message(), LONGEST_SENTENCE), problem.ctx) from None


class Commands(click.Group):
    """The commands, ended by Ctrl-C or by a standard output that fails with the exit code of what is incomplete."""

    def main(self, *args: Any, **options: Any) -> Any:
        try:
            return super().main(*args, **options)
        except OSError as problem:
            say(f"Standard output failed: {reason(problem)}.")
            silence(sys.stdout)
            sys.exit(EXIT_INCOMPLETE)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _shown_fit():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _shown_fit():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            say("Interrupted.")
            ctx.exit(EXIT_INCOMPLETE)


@click.group(context_settings=SETTINGS, cls=Commands)
@click.version_option(conformance.__version__, "-V", "--version", prog_name="asyncio-conformance")
def main() -> None:
    """Does an event loop keep the promises that the asyncio documentation makes?

    \b
    asyncio-conformance run uvloop                     test a loop that is known by name
    asyncio-conformance run mypackage.loop:new_loop    test a loop of your own
    asyncio-conformance targets                        the loops that are known here
    asyncio-conformance requirements --area timers     what is promised, and what checks it
    """


@main.command(short_help="Test a loop and write a report.")
@click.argument("target", default="refloop", required=False)
@click.option("--api", metavar="MODULE", help="Namespace whose Lock, Queue, sleep … are used, instead of the target's.")
@click.option(
    "--profile",
    metavar="VERSION",
    help="Documentation to judge by, 3.6 to 3.15; if omitted, the target's own or the interpreter's.",
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    show_default=f"{DEFAULT_OUTPUT}; with --case the result is only shown",
    help="Folder for report.json, index.html, summary.md and junit.xml.",
)
@click.option("--resume", is_flag=True, help="Go on with the unfinished run of the same command: run what it left.")
@click.option(
    "-n",
    "--workers",
    type=click.IntRange(min=0),
    metavar="N",
    default=None,
    show_default="as many as keep the machine busy",
    help="Worker processes; 0 runs the cases without any.",
)
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    show_default=True,
    help="Run a case that did not pass again, N times; one that then passes is flaky.",
)
@click.option(
    "--start-timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    default=START_TIMEOUT,
    show_default=True,
    help="How long the target may take to be imported and to give its first loop.",
)
@click.option("-k", "keyword", metavar="EXPRESSION", help="Only cases whose name matches, as pytest's -k.")
@click.option(
    "--area",
    "areas",
    metavar="AREA",
    multiple=True,
    callback=_known_words,
    help="Only cases of this area; may be repeated.",
)
@click.option(
    "--page",
    "pages",
    metavar="PAGE",
    multiple=True,
    callback=_known_words,
    help="Only cases of this documentation page; may be repeated.",
)
@click.option(
    "--case", "cases", metavar="ID", multiple=True, help="Only this case, page/module::function; may be repeated."
)
def run(**asked: Any) -> None:
    """Test TARGET (default: refloop) and write a report.

    TARGET is a known name (see `asyncio-conformance targets`), an entry point of group asyncio_conformance.targets, or
    module:callable, which is looked for in the current folder, too. The callable takes no arguments and returns a loop.

    \b
    asyncio-conformance run
    asyncio-conformance run uvloop --area timers --area callbacks
    asyncio-conformance run mylib:new_event_loop --api mylib.aio --output out
    asyncio-conformance run mylib:new_event_loop --api mylib.aio --output out --resume
    asyncio-conformance run rloop --case eventloop/callbacks::callbacks_run_in_the_order_they_were_scheduled

    \b
    Exit codes:
      0  it conforms
      1  it does not
      2  usage, no such target
      3  the suite is at fault
      4  the run is incomplete
    """
    if asked["output"] is None and (asked["resume"] or not asked["cases"]):
        asked["output"] = DEFAULT_OUTPUT
    fill_gaps()
    with Interrupts() as interrupts:
        try:
            with _user_errors():
                status = _run(RunOptions(**asked), interrupts)
        except Interrupted:
            say(f"Interrupted by {interrupts.first} before the first case: nothing was measured.")
            status = EXIT_INCOMPLETE
        except click.ClickException:
            raise
        except MemoryError:
            say("There is too little memory for the suite: nothing more can be said about the loop.")
            status = EXIT_INCOMPLETE
        except Exception:
            say_lines(clip(traceback.format_exc(), LONGEST_LOG))
            say("This is a bug of asyncio-conformance: please report it.")
            status = EXIT_SUITE_AT_FAULT
        if interrupts.first:
            # The process only has to end: to end it by another signal would change its exit code.
            interrupts.ignore_all()
    sys.exit(status)


def _run(options: RunOptions, interrupts: Interrupts) -> int:
    """Check what was asked for, run it, and report; the exit code."""
    from conformance.catalogue import profile_version
    from conformance.report_folder import make, put_aside
    from conformance.target import announced, make_current_folder_importable

    _check_memory()
    if options.output is not None and not options.resume:
        put_aside(options.output)
    profile_version(options.profile)
    _check_cases(options.cases)
    make_current_folder_importable()
    announced(options.target, options.api)
    if options.output is not None and not options.resume:
        make(options.output)
    interrupts.check()
    from conformance.session import Refused, run_and_report

    interrupts.check()
    try:
        return run_and_report(options, interrupts)
    except Refused as problem:
        raise UserError(str(problem)) from None


def _check_memory() -> None:
    """Refuse to run with so little memory that the suite or its cases, not the loop, would break."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for option, limit in (("-v", resource.RLIMIT_AS), ("-d", resource.RLIMIT_DATA)):
        allowed, _ = resource.getrlimit(limit)
        if allowed != resource.RLIM_INFINITY and allowed < LEAST_MEMORY:
            raise UserError(
                f"{allowed // 1024} kB are too little memory for the suite: allow it {LEAST_MEMORY // 1024} or more "
                f"(ulimit {option})"
            )


def _check_cases(cases: Sequence[str]) -> None:
    if not cases:
        return
    from conformance.harness.index import is_indexed

    for case in cases:
        name = case.partition("[")[0]
        if not is_indexed(name):
            import difflib

            from conformance.harness.index import indexed_cases

            close = difflib.get_close_matches(name, [known.id for known in indexed_cases()], n=1)
            hint = f'did you mean "{close[0]}"?' if close else "asyncio-conformance requirements lists the cases"
            raise UserError(f'there is no case "{case}"; {hint}')


@main.command(short_help="List the loops that are known here.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with the interpreters that each has wheels for.")
def targets(*, as_json: bool) -> None:
    """List the loops that `run` knows by name: installed or not, how they are made, what to know of them.

    Other loops join by an entry point of group asyncio_conformance.targets, or are given as module:callable.

    \b
    asyncio-conformance targets
    asyncio-conformance targets --json
    """
    rows = list(_target_rows())
    if as_json:
        # Programs get every name whole, and a terminal nothing but ASCII of it.
        _echo_json(rows, ensure_ascii=True)
        return
    for row in rows:
        row.update({name: one_line(row[name], LONGEST_CELL) for name in ("name", "state", "factory", "note")})
    names = max(len(row["name"]) for row in rows)
    states = max(len(row["state"]) for row in rows)
    factories = max(len(row["factory"]) for row in rows)
    click.echo(
        "\n".join(
            f"{row['name']:{names}}  {row['state']:{states}}  {row['factory']:{factories}}  {row['note']}".rstrip()
            for row in rows
        )
    )


def _target_rows() -> Iterator[dict[str, Any]]:
    from conformance.target import KNOWN, entry_points

    for known in KNOWN.values():
        yield {
            "name": known.name,
            "factory": known.factory,
            "namespace": known.namespace,
            "distributions": known.distributions,
            "installed": not known.missing,
            "version": known.version,
            "interpreters": None if known.interpreters is None else str(known.interpreters),
            "state": known.state,
            "note": known.note,
            "source": "known",
        }
    for point in entry_points().values():
        distribution = point.dist
        version = None if distribution is None else distribution.version
        yield {
            "name": point.name,
            "factory": point.value,
            "namespace": None,
            "distributions": () if distribution is None else (distribution.name,),
            "installed": True,
            "version": version,
            "interpreters": None,
            "state": version or "installed",
            "note": "" if distribution is None else f"entry point of {distribution.name}",
            "source": "entry point",
        }


@main.command(short_help="List what is promised, and the cases that check it.")
@click.option(
    "--page",
    "pages",
    metavar="PAGE",
    multiple=True,
    callback=_known_words,
    help="Only this documentation page; may be repeated.",
)
@click.option(
    "--area", "areas", metavar="AREA", multiple=True, callback=_known_words, help="Only this area; may be repeated."
)
@click.option("--unchecked", is_flag=True, help="Only what no case checks and nothing excuses.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with all that the catalogue knows.")
def requirements(*, pages: tuple[str, ...], areas: tuple[str, ...], unchecked: bool, as_json: bool) -> None:
    """List the requirements, each with the cases that check it.

    \b
    asyncio-conformance requirements --page runner
    asyncio-conformance requirements --area timers --unchecked
    asyncio-conformance requirements --json > requirements.json
    """
    from conformance.catalogue import load
    from conformance.harness.index import Checked, checks_by_requirement, how_checked, indexed_cases

    with _user_errors():
        chosen = load(pages or None).select(areas=areas)
    checks = checks_by_requirement(indexed_cases())
    states = {one.id: how_checked(one, checks.get(one.id, ())) for one in chosen}
    listed = [one for one in chosen if not unchecked or states[one.id] is Checked.UNCHECKED]
    if as_json:
        _echo_json({**_as_json(one), "checked": states[one.id], "cases": checks.get(one.id, ())} for one in listed)
        return
    lines = [line for one in listed for line in _requirement_lines(one, states[one.id], checks.get(one.id, ()))]
    counts = Counter(states.values())
    by_cases, by_harness = counts[Checked.CASES], counts[Checked.HARNESS]
    lines.append(
        f"{len(chosen)} requirements: {by_cases} checked by cases, {by_harness} by the harness, "
        f"{counts[Checked.EXCLUDED]} excluded, {counts[Checked.UNCHECKED]} unchecked"
    )
    click.echo("\n".join(lines))


def _echo_json(rows: Iterable[dict[str, Any]], *, ensure_ascii: bool = False) -> None:
    """Print a JSON array, one row a line: for jq as well as for grep, and three times as quick as indenting."""
    click.echo("[\n" + ",\n".join(json.dumps(row, ensure_ascii=ensure_ascii) for row in rows) + "\n]")


def _as_json(requirement: Requirement) -> dict[str, Any]:
    import attrs

    from conformance.catalogue import CPythonBug, Version

    def plain(owner: type, field: Any, value: Any) -> Any:
        if isinstance(owner, CPythonBug) and field.name == "versions":
            return owner.versions_text
        return str(value) if isinstance(value, Version) else value

    return attrs.asdict(requirement, value_serializer=plain)


def _requirement_lines(requirement: Requirement, state: str, cases: Sequence[str]) -> Iterator[str]:
    until = f" to {requirement.until}" if requirement.until else ""
    where = "" if requirement.platform == "all" else f", {requirement.platform} only"
    yield (
        f"{requirement.id}  [{requirement.page}, {requirement.area}, {requirement.level} {requirement.kind}, "
        f"since {requirement.since}{until}{where}]"
    )
    yield f"    {requirement.text}"
    if requirement.note:
        yield f"    note: {requirement.note}"
    for bug in requirement.known_bugs:
        yield f"    known bug of {bug.implementation} {bug.versions_text}: {bug.instead} ({bug.issue})"
    yield from (f"    case {case}" for case in cases)
    if state == "excluded":
        yield f"    excluded: {requirement.excluded}"
    elif state == "unchecked":
        yield "    unchecked"
    yield ""
