"""Where the compiled suite is kept when it cannot stand beside its source, or is not to.

pytest rewrites the asserts of every case, which takes seconds for the whole suite; the result is kept beside the source
as any compiled module is. Where that is not possible (an installation that belongs to somebody else,
``PYTHONDONTWRITEBYTECODE``), it is kept in the user's cache folder, which only the user may write to, because what is
found there is executed. Only what is imported while the suite is collected goes there.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "asyncio-conformance"


def folder_for(suite: Path, refuge: Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder that compiled modules go to; None where they may stand beside the source.

    ``refuge``: a folder of the run's own, which serves where the user's cache folder is no safe place.
    """
    if not sys.dont_write_bytecode and os.access(suite, os.W_OK):
        return None
    cache = cache_folder(environ)
    return refuge if cache is None else cache / "bytecode"


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path | None:
    """This project's folder among the user's caches, made if need be; None where none is the user's own."""
    base = environ.get("XDG_CACHE_HOME") or environ.get("LOCALAPPDATA")
    try:
        folder = (Path(base) if base else Path.home() / ".cache") / NAME
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder if is_private(folder) else None
    except (OSError, RuntimeError, ValueError):
        return None


def is_private(folder: Path) -> bool:
    """Whether nobody but the user can put something into the folder."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or not os.access(folder, os.W_OK):
        return False
    return not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)


class Keeper:
    """Has what is imported compiled into a folder, from its making until `stop()`."""

    def __init__(self, folder: Path) -> None:
        self._before = sys.pycache_prefix, sys.dont_write_bytecode
        sys.pycache_prefix, sys.dont_write_bytecode = str(folder), False

    def stop(self) -> None:
        """Back to what was: children that the target starts inherit none of it."""
        sys.pycache_prefix, sys.dont_write_bytecode = self._before
