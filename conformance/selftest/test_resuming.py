"""A run that was cut goes on: what has a verdict is not run again, and nothing but the same run takes it over."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conformance.harness.containment import Death
from conformance.harness.naming import ROOT
from conformance.harness.passes import Collected, Execution
from conformance.harness.unfinished import LARGEST, UNFINISHED_JSON, Record, dumps, read
from conformance.selftest.running import verdicts
from conformance.selftest.test_endings import BROKEN, ENDINGS, FIRST, GENEROUS, command, workers
from fixtures.faulty.endings import SIGNALS
from reports import store
from reports.model import EXIT_CONFORMS, EXIT_INCOMPLETE, EXIT_USAGE, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["workers"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, links and processes as Linux has them")

TARGET = f"{ENDINGS}:signals_the_run"


def run(output: Path, workers: str, *arguments: str, signals: str = "", target: str = TARGET) -> tuple[int, str, str]:
    """Run the small suite; the exit code and what was said on standard output and standard error."""
    done = subprocess.run(
        command(target, output, workers, *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=GENEROUS,
        check=False,
        env={**os.environ, SIGNALS: signals},
    )
    return done.returncode, done.stdout, done.stderr


def test_a_run_that_was_cut_goes_on_with_what_is_left(tmp_path: Path, workers: str) -> None:
    status, _, said = run(tmp_path, workers, signals="SIGTERM")
    assert status == EXIT_INCOMPLETE
    assert said.endswith("; the same command with --resume runs the others.\n")
    cut = store.read(tmp_path)
    assert (tmp_path / UNFINISHED_JSON).exists()

    status, shown, said = run(tmp_path, workers, "--resume")
    assert (status, said) == (EXIT_CONFORMS, "")
    assert f"running {4 - len(cut.cases)} case" in shown
    whole = store.read(tmp_path)
    assert whole.complete
    assert set(verdicts(whole).values()) == {"pass"}
    assert len(verdicts(whole)) == 4
    assert whole.started == cut.started
    assert whole.seconds > cut.seconds
    earlier = {case.id: case.seconds for case in cut.cases}
    assert earlier.items() <= {case.id: case.seconds for case in whole.cases}.items()
    assert not (tmp_path / UNFINISHED_JSON).exists()
    assert run(tmp_path, workers, "--resume")[0] == EXIT_USAGE


def test_a_run_may_be_cut_again_and_again(tmp_path: Path) -> None:
    for _ in range(3):
        assert run(tmp_path, "0", *() if not list(tmp_path.iterdir()) else ("--resume",), signals="SIGINT")[0] == 4
        assert verdicts(store.read(tmp_path)) == {FIRST: "pass"}
    assert run(tmp_path, "0", "--resume")[0] == EXIT_CONFORMS


def test_what_was_cut_earlier_is_put_aside_by_a_run_that_begins_anew(tmp_path: Path) -> None:
    run(tmp_path, "0", signals="SIGINT")
    first = (tmp_path / UNFINISHED_JSON).read_text(encoding="ascii")
    run(tmp_path, "0", signals="SIGINT")
    assert (tmp_path / "previous" / UNFINISHED_JSON).read_text(encoding="ascii") == first
    assert (tmp_path / UNFINISHED_JSON).read_text(encoding="ascii") != first
    assert run(tmp_path, "0")[0] == EXIT_CONFORMS
    assert not (tmp_path / UNFINISHED_JSON).exists()


def sign(body: str) -> str:
    """The text of an unfinished.json with this run."""
    return json.dumps({"unfinished": 1, "sha256": hashlib.sha256(body.encode()).hexdigest()}) + f"\n{body}\n"


def replace_by_link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


SPOILED: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_text(""),
    "cut": lambda path: path.write_text(path.read_text()[:-100]),
    "edited": lambda path: path.write_text(path.read_text().replace('"pass"', '"fail"')),
    "of another program": lambda path: path.write_text('{"name": "package", "version": 1}\n'),
    "of another version": lambda path: path.write_text(path.read_text().replace('"unfinished": 1', '"unfinished": 2')),
    "no object": lambda path: path.write_text("[[]]\n"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "signed and wrong": lambda path: path.write_text(sign('{"collected": 1, "executions": 3}')),
    "no text": lambda path: path.write_bytes(b"\xff\x00" * 1000),
    "huge": lambda path: os.truncate(path, LARGEST + 1),
    "a link": replace_by_link,
    "a pipe": replace_by_pipe,
}


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a run that was cut keeps."""
    folder = tmp_path_factory.mktemp("unfinished")
    assert run(folder, "0", signals="SIGINT")[0] == EXIT_INCOMPLETE
    return (folder / UNFINISHED_JSON).read_bytes()


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_what_no_run_left_is_refused(tmp_path: Path, unfinished: bytes, spoil: Callable[[Path], object]) -> None:
    (tmp_path / UNFINISHED_JSON).write_bytes(unfinished)
    spoil(tmp_path / UNFINISHED_JSON)
    (tmp_path / "report.json").write_text("older", encoding="ascii")
    before = sorted(tmp_path.iterdir())
    status, shown, said = run(tmp_path, "0", "--resume")
    assert (status, shown, said.count("\n")) == (EXIT_USAGE, "", 1), said
    assert said.startswith("Error: ")
    assert "leave --resume away" in said
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "report.json").read_text(encoding="ascii") == "older"


@pytest.mark.parametrize(
    ("arguments", "target", "name"),
    [
        ((), "asyncio", "target"),
        (("--api", "refloop"), TARGET, "namespace"),
        (("--profile", "3.9"), TARGET, "profile"),
        (("--area", "timers"), TARGET, "--area"),
        (("--page", "eventloop"), TARGET, "--page"),
        (("-k", "order"), TARGET, "-k"),
    ],
)
def test_another_run_does_not_go_on_with_it(
    tmp_path: Path, unfinished: bytes, arguments: tuple[str, ...], target: str, name: str
) -> None:
    (tmp_path / UNFINISHED_JSON).write_bytes(unfinished)
    status, shown, said = run(tmp_path, "0", "--resume", *arguments, target=target)
    assert (status, shown, said.count("\n")) == (EXIT_USAGE, "", 1)
    assert f"is another: its {name} was " in said
    assert (tmp_path / UNFINISHED_JSON).read_bytes() == unfinished


@pytest.mark.parametrize(
    "name", ["Python", "version of the suite", "state of the suite's files", "version of the target"]
)
def test_neither_does_a_run_by_another_suite_or_python(tmp_path: Path, unfinished: bytes, name: str) -> None:
    document = json.loads(unfinished.splitlines()[1])
    document["identity"][name] = "another"
    (tmp_path / UNFINISHED_JSON).write_text(sign(json.dumps(document)), encoding="ascii")
    status, _, said = run(tmp_path, "0", "--resume")
    assert (status, said.count("\n")) == (EXIT_USAGE, 1)
    assert f"is another: its {name} was another, and is " in said


def test_everything_of_an_execution_is_kept(tmp_path: Path) -> None:
    case = Collected(
        "page/module::case", "page/test_module.py::test_case", ("a/b", "c/d"), "page/test_module.py", 3, 2.5
    )
    outcome = {"verdict": "pass", "message": "\u2028", "findings": [["task", "is pending"]], "seconds": 0.5}
    record = Record(
        identity={"target": "mine"},
        collected={case.id: case},
        executions=[
            ("cases", Execution(case.id, outcome, None, 0.5)),
            ("retry-0", Execution(case.id, None, Death(Verdict.CRASH, "died", "stacks", case.node), 1.5)),
            ("control", Execution(case.id, outcome, None, 0.25, decides=True)),
        ],
        started="2026-01-01T00:00:00+00:00",
        seconds=12.5,
    )
    (tmp_path / UNFINISHED_JSON).write_text(dumps(record), encoding="ascii")
    assert read(tmp_path, record.identity) == record
    assert BROKEN not in record.done("cases")
