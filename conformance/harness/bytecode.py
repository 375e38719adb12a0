"""Where the compiled suite is kept when it cannot stand beside its source, or is not to.

pytest rewrites the asserts of every case, which takes seconds for the whole suite; the result is kept beside the source
as any compiled module is. Where that is not possible (an installation that belongs to somebody else,
``PYTHONDONTWRITEBYTECODE``), it is kept in the user's cache folder, which only the user may write to, because what is
found there is executed. Only what is imported while the suite is collected goes there.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from conformance.caching import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def folder_for(suite: Path, refuge: Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The folder that compiled modules go to; None where they may stand beside the source.

    ``refuge``: a folder of the run's own, which serves where the user's cache folder is no safe place.
    """
    if not sys.dont_write_bytecode and os.access(suite, os.W_OK):
        return None
    cache = cache_folder(environ)
    return refuge if cache is None else cache / "bytecode"


class Keeper:
    """Has what is imported compiled into a folder, from its making until `stop()`."""

    def __init__(self, folder: Path) -> None:
        self._before = sys.pycache_prefix, sys.dont_write_bytecode
        sys.pycache_prefix, sys.dont_write_bytecode = str(folder), False

    def stop(self) -> None:
        """Back to what was: children that the target starts inherit none of it."""
        sys.pycache_prefix, sys.dont_write_bytecode = self._before
