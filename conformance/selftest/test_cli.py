"""The command line: what it prints, what it refuses, what it passes on, and that lists and help stay light."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import conformance
import conformance.session
from conformance.catalogue import Area, load
from conformance.cli import main
from conformance.harness.options import DEFAULT_OUTPUT, RunOptions
from conformance.report_folder import REPORT_FILES
from conformance.selftest.running import SUITES
from conformance.target import KNOWN, TargetError
from reports import store
from reports.render import FORMATS
from reports.terminal import Progress, make_console

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., tuple[int, str, str]]

# Starting an interpreter takes a tenth of a second; a loaded machine has been seen to need seconds for it.
START = 30.0

REPORTS = Path(conformance.__path__[0]).parent / "fixtures" / "reports"

BROKEN = "eventloop/small::the_exception_handler_can_be_set"
"""The case of the small suite that sets off a faulty loop."""

CASE = "eventloop/callbacks::callbacks_run_in_the_order_they_were_scheduled"

HEAVY = ("pytest", "_pytest", "xdist", "rich", "jinja2", "cattrs", "asyncio", "ssl")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process; its exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments, prog_name="asyncio-conformance")
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out, captured.err

    return run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RunOptions]:
    """The options that runs were asked with; nothing is run."""
    options: list[RunOptions] = []

    def remember(asked: RunOptions, _interrupts: object) -> int:
        options.append(asked)
        return 1

    monkeypatch.setattr(conformance.session, "run_and_report", remember)
    return options


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run makes its folder in the current one: not in the checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])


def python_m(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m conformance`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "conformance", *arguments],
        cwd=Path(conformance.__path__[0]).parent,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=START,
        check=False,
    )


def test_help_names_the_commands_and_shows_how_to_start(command: Command) -> None:
    status, out, err = command("--help")
    assert (status, err) == (0, "")
    for text in ("run", "targets", "requirements", "asyncio-conformance run uvloop"):
        assert text in out


@pytest.mark.parametrize("name", ["run", "targets", "requirements"])
def test_every_command_has_help_with_an_example(command: Command, name: str) -> None:
    status, out, err = command(name, "-h")
    assert (status, err) == (0, "")
    assert f"asyncio-conformance {name} --" in out or f"asyncio-conformance {name}\n" in out


def test_the_version_is_told(command: Command) -> None:
    assert command("--version") == (0, f"asyncio-conformance, version {conformance.__version__}\n", "")


def test_python_m_does_the_same() -> None:
    done = python_m("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert conformance.__version__ in done.stdout
    assert "Usage: python -m conformance" in python_m("--help").stdout


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["targets"], ["requirements", "--json"], ["run", "uvlop"]],
)
def test_help_lists_and_mistakes_import_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom conformance.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(conformance.__path__[0]).parent,
        capture_output=True,
        timeout=START,
        check=True,
    )
    assert done.stderr.decode().splitlines()[-1] == "[]"


def test_targets_lists_every_known_loop(command: Command) -> None:
    status, out, err = command("targets")
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()][: len(KNOWN)] == list(KNOWN)
    assert next(line for line in out.splitlines() if line.startswith("asyncio ")).split()[1:4] == [
        "standard",
        "library",
        "asyncio:new_event_loop",
    ]


def test_targets_as_json_tells_what_is_installed(command: Command) -> None:
    rows = json.loads(command("targets", "--json")[1])
    asyncio = next(row for row in rows if row["name"] == "asyncio")
    assert (asyncio["installed"], asyncio["version"], asyncio["namespace"]) == (True, None, "asyncio")
    uvloop = next(row for row in rows if row["name"] == "uvloop")
    assert (uvloop["factory"], uvloop["interpreters"]) == ("uvloop:new_event_loop", "3.8-3.15")
    assert uvloop["installed"] is (uvloop["version"] is not None)


def test_requirements_lists_all_with_a_count_at_the_end(command: Command) -> None:
    status, out, err = command("requirements")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1].startswith(f"{len(load())} requirements: ")
    assert f"    case {CASE}\n" in out


def test_requirements_as_json_holds_what_the_catalogue_knows(command: Command) -> None:
    rows = json.loads(command("requirements", "--page", "eventloop", "--area", "callbacks", "--json")[1])
    found = next(row for row in rows if row["id"] == "loop.call_soon/fifo-order")
    expected = load()["loop.call_soon/fifo-order"]
    assert {row["area"] for row in rows} == {"callbacks"}
    assert found["text"] == expected.text
    assert (found["since"], found["until"], found["level"]) == ("3.6", None, "stated")
    assert (found["checked"], CASE in found["cases"]) == ("cases", True)


def test_a_known_bug_is_listed_in_both_forms(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from conformance.catalogue import reader

    (tmp_path / "runner.toml").write_text(
        '[[requirement]]\nid = "run/works"\napi = "run"\narea = "runner"\ntext = "works"\nlevel = "stated"\n'
        'kind = "behaviour"\nsince = "3.7"\n[[requirement.cpython_bug]]\nversions = "3.12.0-3.12.3, 3.14.0-"\n'
        'instead = "fails"\nissue = "https://github.com/python/cpython/issues/1"\n',
        encoding="utf-8",
    )
    catalogue = reader.load(["runner"], tmp_path)
    monkeypatch.setattr(conformance.catalogue, "load", lambda _pages: catalogue)
    (row,) = json.loads(command("requirements", "--json")[1])
    assert row["known_bugs"] == [
        {
            "versions": "3.12.0-3.12.3, 3.14.0-",
            "instead": "fails",
            "issue": "https://github.com/python/cpython/issues/1",
            "implementation": "cpython",
        }
    ]
    assert "known bug of cpython 3.12.0-3.12.3, 3.14.0-: fails (https://" in command("requirements")[1]


def test_unchecked_leaves_out_what_cases_harness_or_a_reason_cover(command: Command) -> None:
    unchecked = json.loads(command("requirements", "--unchecked", "--json")[1])
    assert all(row["checked"] == "unchecked" and row["cases"] == [] and row["excluded"] is None for row in unchecked)
    assert json.loads(command("requirements", "--page", "hygiene", "--unchecked", "--json")[1]) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["requirements", "--area", "timer"], 'Error: there is no area "timer" (did you mean "timers"?); use one of '),
        (["requirements", "--page", "xyz"], 'Error: there is no page "xyz"; use one of asyncio, dev, eventloop'),
        (["run", "--area", "timer"], 'Error: there is no area "timer" (did you mean "timers"?); use one of '),
        (["run", "--page", "eventlop"], 'Error: there is no page "eventlop" (did you mean "eventloop"?); use one of '),
        (["run", "--profile", "3.3"], 'Error: no documentation profile "3.3"; use 3.6 to 3.'),
        (["run", "--case", CASE[:-2]], f'Error: there is no case "{CASE[:-2]}"; did you mean "{CASE}"?'),
        (["run", "--case", "?"], 'Error: there is no case "?"; asyncio-conformance requirements lists the cases'),
        (["run", "--resume"], "Error: there is no unfinished run in conformance-report: leave --resume away"),
        (["run", "uvlop"], 'Error: there is no target "uvlop"; did you mean "uvloop"?'),
        (["run", "no_module:Loop"], 'Error: there is no module "no_module" for the factory "no_module:Loop"; install'),
    ],
)
def test_a_mistake_is_one_sentence_on_standard_error_and_exit_code_2(
    command: Command, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(sentence)
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [["nosuch"], ["run", "--nosuch"], ["run", "-n", "-1"], ["run", "--retries", "many"], ["run", "a:b", "c:d"]],
)
def test_wrong_usage_points_at_the_help(command: Command, arguments: list[str]) -> None:
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert "--help" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("problem", [TargetError("say this"), conformance.session.Refused("say this")])
def test_what_a_run_refuses_is_its_sentence(
    command: Command, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def refuse(_options: RunOptions, _interrupts: object) -> int:
        raise problem

    monkeypatch.setattr(conformance.session, "run_and_report", refuse)
    assert command("run") == (2, "", "Error: say this\n")


def test_a_run_without_arguments_tests_refloop(command: Command, asked: list[RunOptions], tmp_path: Path) -> None:
    assert command("run")[0] == 1
    assert asked == [RunOptions(output=DEFAULT_OUTPUT)]
    assert (tmp_path / "conformance-report").is_dir()


def test_repeating_a_case_leaves_the_report_of_the_whole_run_alone(
    command: Command, asked: list[RunOptions], tmp_path: Path
) -> None:
    command("run", "--case", CASE)
    assert asked == [RunOptions(cases=(CASE,))]
    assert list(tmp_path.iterdir()) == []


def test_a_case_that_is_repeated_is_shown_with_its_story(capsys: pytest.CaptureFixture[str]) -> None:
    asked = RunOptions(target="fixtures.faulty.exits:with_system_exit", cases=(BROKEN,), suite=SUITES / "small")
    assert conformance.session.run_and_report(asked) == 1
    shown = capsys.readouterr().out
    assert "SystemExit came out of the case" in shown
    assert "fixtures/faulty/exits.py" in shown
    assert "index.html" not in shown


def test_a_run_gets_every_option(command: Command, asked: list[RunOptions], tmp_path: Path) -> None:
    command(
        *("run", "asyncio", "--api", "mylib.aio", "--profile", "3.12", "--output", "deep/down", "-n", "3"),
        *("--retries", "2", "-k", "order and not eager", "--area", "timers", "--area", "callbacks"),
        *("--page", "eventloop", "--case", CASE, "--case", f"{CASE}[debug]"),
    )
    assert asked == [
        RunOptions(
            target="asyncio",
            api="mylib.aio",
            profile="3.12",
            output=Path("deep/down"),
            workers=3,
            retries=2,
            keyword="order and not eager",
            areas=(Area.TIMERS, Area.CALLBACKS),
            pages=("eventloop",),
            cases=(CASE, f"{CASE}[debug]"),
        )
    ]
    assert (tmp_path / "deep" / "down").is_dir()


def test_a_run_finds_modules_of_the_current_folder(
    command: Command, asked: list[RunOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    (tmp_path / "mine.py").write_text("", encoding="utf-8")
    command("run", "mine:Loop")
    assert str(tmp_path) in sys.path
    assert asked[0].target == "mine:Loop"


def test_a_run_that_is_refused_leaves_no_older_report_standing(command: Command, tmp_path: Path) -> None:
    older = tmp_path / "conformance-report"
    (older / "previous").mkdir(parents=True)
    for name in (*REPORT_FILES, "mine.txt"):
        (older / name).write_text("older", encoding="utf-8")
        (older / "previous" / name).write_text("oldest", encoding="utf-8")
    (older / "junit.xml").unlink()
    assert command("run", "uvlop")[0] == 2
    assert {path.name for path in older.iterdir()} == {"previous", "mine.txt"}
    aside = {path.name: path.read_text(encoding="utf-8") for path in (older / "previous").iterdir()}
    assert aside == {**dict.fromkeys(REPORT_FILES[:3], "older"), "mine.txt": "oldest"}
    assert command("run", "uvlop")[0] == 2
    assert len(list((older / "previous").iterdir())) == 4


@pytest.mark.skipif(sys.platform == "win32", reason="makes links")
def test_an_older_report_is_not_moved_through_a_link(command: Command, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "report.json").write_text("somebody's", encoding="utf-8")
    (tmp_path / "conformance-report").mkdir()
    (tmp_path / "conformance-report" / "report.json").write_text("older", encoding="utf-8")
    (tmp_path / "conformance-report" / "previous").symlink_to(tmp_path / "elsewhere")
    status, out, err = command("run", "uvlop")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(
        "Error: the older report in conformance-report cannot be moved to conformance-report/previous ("
    )
    assert (tmp_path / "elsewhere" / "report.json").read_text(encoding="utf-8") == "somebody's"


def test_the_files_of_a_report_are_those_that_are_rendered() -> None:
    assert set(REPORT_FILES) == set(FORMATS)


def test_an_output_folder_that_cannot_be_is_refused_before_the_run(
    command: Command, asked: list[RunOptions], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    status, out, err = command("run", "--output", "file/below")
    assert (status, out) == (2, "")
    assert err.startswith("Error: file/below cannot be made (")
    assert err.endswith("); choose another --output\n")
    assert asked == []


def test_a_report_becomes_its_four_files(tmp_path: Path) -> None:
    report = store.read(REPORTS / "deviating.json")
    conformance.session.write_files(report, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "index.html", "summary.md", "junit.xml"}
    assert store.read(tmp_path) == report


def test_a_report_that_cannot_be_written_is_saved_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = store.read(REPORTS / "deviating.json")
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    folder, problems = conformance.session.write_files(report, tmp_path / "file" / "below")
    assert folder.parent == tmp_path / "temporary"
    assert store.read(folder) == report
    assert [str(tmp_path / "file") in problems[0], str(folder) in problems[-1]] == [True, True]


def test_progress_counts_the_first_pass_and_apart_from_it_what_runs_again() -> None:
    progress = Progress(make_console(io.StringIO()))
    result = store.read(REPORTS / "deviating.json").cases[0]
    watcher = conformance.session.Narrator(progress)
    told = []
    for phase in ("cases", "retries", "control"):
        watcher.phase(phase)
        watcher.collected(2)
        watcher.started(result.id)
        assert list(progress.running) == [result.id]
        watcher.finished(result)
        told.append((progress.phase, progress.repeated, progress.to_repeat, progress.done, progress.total))
    assert told == [("", 0, 0, 1, 2), ("repeating", 1, 2, 1, 2), ("control run", 1, 2, 1, 2)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no broken pipe")
def test_a_reader_that_leaves_early_is_no_error() -> None:
    process: Any = subprocess.Popen(
        [sys.executable, "-m", "conformance", "requirements"],
        cwd=Path(conformance.__path__[0]).parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
