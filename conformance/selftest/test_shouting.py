"""Nothing that a target, a distribution or a user's file says reaches the terminal raw, or without bounds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

import conformance.target
from conformance.cli import main
from conformance.harness.naming import ROOT
from conformance.harness.unfinished import UNFINISHED_JSON
from conformance.selftest.test_endings import GENEROUS, command, workers
from fixtures.faulty.shouting import SHOUT
from reports import store
from reports.model import EXIT_CONFORMS, EXIT_DEVIATES, EXIT_USAGE

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["workers"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes as Linux has them")

RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What no terminal may be told: everything that is no text, but for tabs and line ends."""

MOST = 30_000
"""Characters that a run may say: some screens."""


def run(target: str, output: Path, workers: str) -> tuple[int, str]:
    """Run the small suite; the exit code, and what was said anywhere, which is fit to be shown."""
    done = subprocess.run(
        command(target, output, workers),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=GENEROUS,
        check=False,
    )
    said = done.stdout.decode()
    assert not RAW.search(said)
    assert len(said) < MOST
    return done.returncode, said


def test_a_factory_that_gives_no_loop(tmp_path: Path, workers: str) -> None:
    status, said = run("fixtures.faulty.shouting:raises", tmp_path, workers)
    assert (status, said.count("\n")) == (EXIT_USAGE, 1)
    assert "fixtures.faulty.shouting:raises" in said


@pytest.mark.parametrize(
    ("factory", "status"), [("fails_a_case", EXIT_DEVIATES), ("lacks_a_feature", None), ("writes", EXIT_CONFORMS)]
)
def test_a_loop(tmp_path: Path, workers: str, factory: str, status: int | None) -> None:
    assert run(f"fixtures.faulty.shouting:{factory}", tmp_path, workers)[0] in (status, EXIT_CONFORMS)
    assert store.read(tmp_path).complete
    # A page that a browser shows is long, but bounded; what GitHub shows has no raw mark either.
    assert not RAW.search((tmp_path / "summary.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "arguments", [("no", "\x1b[31m" + "a" * 100_000), ("run", "--\x1b[31m"), ("run", "\x9b\u202e:f")]
)
def test_an_argument(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments, prog_name="asyncio-conformance")
    said = "".join(capsys.readouterr())
    assert ended.value.code == EXIT_USAGE
    assert not RAW.search(said)
    assert len(said) < MOST


def test_a_file_to_go_on_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "\x1b[31m\u202e"
    folder.mkdir()
    (folder / UNFINISHED_JSON).write_text(json.dumps({"unfinished": SHOUT, "sha256": SHOUT}), encoding="ascii")
    with pytest.raises(SystemExit):
        main(["run", "--output", str(folder), "--resume"])
    said = "".join(capsys.readouterr())
    assert not RAW.search(said)
    assert said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["targets"], ["targets", "--json"]])
def test_the_names_of_entry_points(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    point = metadata.EntryPoint(SHOUT[:100_000], SHOUT[:100_000], conformance.target.ENTRY_POINTS)
    monkeypatch.setattr(conformance.target, "entry_points", lambda: {point.name: point})
    with pytest.raises(SystemExit):
        main(arguments)
    shown = capsys.readouterr().out
    assert not RAW.search(shown)
    assert "--json" in arguments or max(map(len, shown.splitlines())) < 400
