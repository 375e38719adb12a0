"""Case ids and pytest's node ids.

A case's id is ``page/module::function[variant]`` without pytest's ``test_`` prefixes: the permanent name that
baselines, reports and ``--case`` use.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

CASES = Path(__file__).resolve().parent.parent / "cases"
"""Where the suite proper stands."""

ROOT = CASES.parent.parent
"""The folder that the packages stand in."""

PREFIX = "test_"


@lru_cache(maxsize=16384)
def case_id(nodeid: str) -> str:
    """The id of the case with this pytest node id (``…/eventloop/test_timers.py::test_a_timer_runs_once[debug]``)."""
    path, _, function = nodeid.partition("::")
    return f"{_module_id(path)}::{function.removeprefix(PREFIX)}"


@lru_cache
def _module_id(path: str) -> str:
    parts = Path(path).with_suffix("").parts
    page, module = (parts[-2], parts[-1]) if len(parts) > 1 else ("", parts[-1])
    return f"{page}/{module.removeprefix(PREFIX)}"


def page_of(identifier: str) -> str:
    """The documentation page in a case's id."""
    return identifier.partition("/")[0]


def file_of(identifier: str) -> Path:
    """The file below the ``cases`` folder that holds the case with this id."""
    page, _, module = identifier.partition("::")[0].rpartition("/")
    return Path(page) / f"{PREFIX}{module}.py"
