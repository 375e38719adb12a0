"""What a process of the run's own is started with: an interpreter that finds the suite, and a clean environment."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from conformance.harness.naming import ROOT

UNWANTED_VARIABLES = (
    "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_XDIST_WORKER", "PYTHONASYNCIODEBUG", "PYTHONOPTIMIZE",
)  # fmt: skip


TEMPORARY_VARIABLES = ("TMPDIR", "TEMP", "TMP")


def environment(temporary: Path | None = None) -> dict[str, str]:
    """The user's environment without what would change a pytest run, and with this interpreter's own switches.

    ``temporary``: the folder for temporary files, which is made; None leaves the user's.
    """
    clean = {name: value for name, value in os.environ.items() if name not in UNWANTED_VARIABLES}
    clean["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    if str(ROOT) not in site_folders():
        # A checkout that is not installed. An installed suite is found without, whatever the current folder holds.
        clean["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), clean.get("PYTHONPATH"))))
    if temporary is not None:
        temporary.mkdir(mode=0o700, exist_ok=True)
        clean.update(dict.fromkeys(TEMPORARY_VARIABLES, str(temporary)))
    if sys.flags.dev_mode:
        clean["PYTHONDEVMODE"] = "1"
    if sys.warnoptions:
        clean["PYTHONWARNINGS"] = ",".join(sys.warnoptions)
    return clean


def site_folders() -> set[str]:
    """Where this interpreter keeps installed packages."""
    return {str(Path(sysconfig.get_path(name)).resolve()) for name in ("purelib", "platlib")}
