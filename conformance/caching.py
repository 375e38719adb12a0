"""The user's cache folder, for what takes time to make again and is trusted as the code is that made it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "asyncio-conformance"


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
