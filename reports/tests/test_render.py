"""Everything that a run leaves in its folder."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from reports import render, store

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from reports.model import Report

NAMES = ["index.html", "junit.xml", "report.json", "summary.md"]


def test_every_format_is_written_into_a_folder_that_is_made(tmp_path: Path, golden: Report) -> None:
    folder = tmp_path / "deep" / "conformance-report"
    written = render.write_all(golden, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(written.paths) == NAMES
    assert written.problems == ()
    assert store.read(folder) == golden
    assert all(path.stat().st_size > 500 for path in written.paths.values())


def test_a_format_that_breaks_costs_no_other(
    tmp_path: Path, deviating: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_report: Report) -> str:
        raise ZeroDivisionError("no cases")

    monkeypatch.setitem(render.FORMATS, "index.html", broken)
    written = render.write_all(deviating, tmp_path)
    assert sorted(written.paths) == [name for name in NAMES if name != "index.html"]
    assert len(written.problems) == 1
    assert written.problems[0].startswith("index.html was not written")
    assert "ZeroDivisionError('no cases')" in written.problems[0]


def test_a_full_disk_leaves_nothing_and_a_sentence_for_each_file(
    tmp_path: Path, deviating: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    written = render.write_all(deviating, tmp_path)
    assert written.paths == {}
    assert len(written.problems) == 4
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, deviating: Report) -> None:
    (tmp_path / "file").touch()
    written = render.write_all(deviating, tmp_path / "file" / "folder")
    assert written.paths == {}
    assert len(written.problems) == 1
    assert "--output" in written.problems[0]
