"""The user's folders, limits and terminal change no verdict; what cannot be done with them is said in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.harness import run as run_module
from conformance.harness.naming import ROOT
from conformance.harness.run import LONGEST_TEMPORARY, run_folder
from conformance.selftest.test_endings import GENEROUS, PROGRAM, command, workers
from reports import store
from reports.model import EXIT_CONFORMS, EXIT_DEVIATES, EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["workers"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and processes as Linux has them")

WITHOUT_FORKS = """
import conformance.harness.passes, conformance.harness.run
conformance.harness.passes.CAN_FORK = conformance.harness.run.CAN_FORK = False
"""
"""Has the command start its workers as it does where no process can be forked."""

TEMPTING = ("setproctitle", "pygments", "IPython", "argcomplete", "exceptiongroup", "numpy", "pluggy", "attr", "signal")
"""Names of modules that Python, pytest or one of its plugins imports, whether they are there or not."""


def run(line: list[str], folder: Path = ROOT, **environment: str) -> tuple[int, str, str]:
    """Run the command; the exit code and what was said on standard output and standard error."""
    env: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=GENEROUS, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("program", [PROGRAM, WITHOUT_FORKS + PROGRAM], ids=["forks", "no forks"])
def test_modules_of_the_current_folder_are_the_targets_only(tmp_path: Path, workers: str, program: str) -> None:
    for name in TEMPTING:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write({name!r})\n")
    (tmp_path / "mine.py").write_text("import asyncio\nnew_loop = asyncio.SelectorEventLoop\n")
    line = command("mine:new_loop", tmp_path / "out", workers)
    # The command itself is installed, and its own first folder is that of its script.
    line[1:3] = ["-P", "-c", program]
    status, _, said = run(line, tmp_path)
    assert (status, said) == (EXIT_CONFORMS, "")
    assert store.read(tmp_path / "out").complete
    assert not (tmp_path / "executed").exists()


def test_columns_that_nobody_knows_are_no_reason_to_show_nothing(tmp_path: Path, workers: str) -> None:
    status, shown, _ = run(command("asyncio", tmp_path, workers), COLUMNS="0")
    assert status == EXIT_CONFORMS
    assert "asyncio conforms" in shown


@pytest.mark.parametrize("limit", ["-v", "-d"])
def test_too_little_memory_is_one_sentence(tmp_path: Path, workers: str, limit: str) -> None:
    line = ["sh", "-c", f'ulimit {limit} 60000 && exec "$@"', "sh", *command("asyncio", tmp_path / "out", workers)]
    status, shown, said = run(line)
    assert (status, shown) == (EXIT_USAGE, "")
    assert said.startswith("Error: 60000 kB are too little memory for the suite: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_run_leaves_nothing_where_temporary_files_are(tmp_path: Path, workers: str) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        assert run(command("asyncio", tmp_path, workers), TMPDIR=folder)[0] == EXIT_CONFORMS
        assert list(Path(folder).iterdir()) == []


def test_a_folder_for_temporary_files_with_a_long_name_is_not_used_for_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("long" * 30)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with run_folder() as folder:
        assert folder.parent == run_module.SHORT_TEMPORARY
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    monkeypatch.setattr(run_module, "SHORT_TEMPORARY", tmp_path / "missing")
    with run_folder() as folder:
        assert folder.parent == deep


def test_a_folder_for_temporary_files_with_a_short_name_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        assert len(short) < LONGEST_TEMPORARY
        monkeypatch.setattr(tempfile, "tempdir", short)
        with run_folder() as folder:
            assert folder.parent == Path(short)


def test_unix_sockets_work_whatever_the_folder_for_temporary_files_is_called(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 30)
    deep.mkdir()
    line = [sys.executable, "-m", "conformance", "run", "asyncio", "--output", str(tmp_path / "out"), "-n", "2"]
    line += ["--page", "stream", "-k", "unix", "--profile", "3.11"]
    status, _, said = run(line, TMPDIR=str(deep))
    assert (status, said) == (EXIT_CONFORMS, "")
    assert list(deep.iterdir()) == []


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_careless_lock_is_caught_where_python_leaves_out_asserts(tmp_path: Path, workers: str) -> None:
    # What notices it is an assert of `conformance.support`, not of the case.
    careless = "fixtures.faulty.locks.LocksAlwaysSuspend"
    line = [sys.executable, "-m", "conformance", "run", f"{careless}:new_event_loop", "--api", careless]
    line += ["--area", "locks", "-k", "unlocked", "--output", str(tmp_path), "-n", workers]
    status, _, said = run(line, PYTHONOPTIMIZE="1")
    assert (status, said) == (EXIT_DEVIATES, "")
