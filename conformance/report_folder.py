"""The folder of a run's report, before the run: made, found writable, and cleared of what an older run left in it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from reports.text import reason

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

REPORT_FILES = ("report.json", "index.html", "summary.md", "junit.xml")
"""What a run leaves in its folder. (Named here as well as where each is made: the renderers take long to import.)"""

PREVIOUS = "previous"
"""The folder inside it to which the files of an older run go."""


class FolderError(Exception):
    """The folder cannot be used; the message is one sentence that says what to do."""


def make(folder: Path) -> None:
    """Make the folder before the run, not to find out after it that there cannot be one.

    Raises FolderError where it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as problem:
        raise FolderError(f"{folder} cannot be made ({reason(problem)}); choose another --output") from None
    if not os.access(folder, os.W_OK):
        raise FolderError(f"{folder} cannot be written to; choose another --output")


def put_aside(folder: Path, names: Iterable[str] = REPORT_FILES) -> None:
    """Move the files of that name into ``folder/previous``, instead of what is there: none is to pass for this run's.

    Raises FolderError where that is not possible.
    """
    previous = folder / PREVIOUS
    try:
        standing = [name for name in names if os.path.lexists(folder / name)]
        if not standing:
            return
        previous.mkdir(exist_ok=True)
        if not stat.S_ISDIR(previous.lstat().st_mode):
            raise FileExistsError(0, "it is a link")
        for name in names:
            (previous / name).unlink(missing_ok=True)
        for name in standing:
            (folder / name).replace(previous / name)
    except (OSError, ValueError) as problem:
        raise FolderError(
            f"the older report in {folder} cannot be moved to {previous} ({reason(problem)}); choose another --output"
        ) from None
