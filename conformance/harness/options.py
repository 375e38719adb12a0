"""What a run was asked to do: the one value that passes from the command line to the harness."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import frozen

from conformance.harness.naming import CASES

START_TIMEOUT = 30.0
"""Seconds until the first loop of a target: one that compiles itself on import has been seen to take twenty."""

DEFAULT_OUTPUT = Path("conformance-report")


def usable_cpus() -> int:
    """How many CPUs this process may use: the number of workers unless the user says otherwise."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


@frozen
class RunOptions:
    """A run, as asked for. Several areas widen the selection, an area and a page narrow it."""

    target: str = "refloop"
    """known name, entry point, or ``module:callable``"""
    api: str | None = None
    """the module whose namespace is used instead of the target's own"""
    profile: str | None = None
    """documentation version such as ``3.12`` or ``3.13.3``; None stands for the running interpreter's"""
    output: Path | None = None
    """folder that receives report.json and what is rendered from it; None writes nothing"""
    resume: bool = False
    """go on with the unfinished run that is kept in ``output``"""
    workers: int | None = None
    """worker processes; 0 runs the cases without any, None with as many as keep the machine busy"""
    retries: int = 0
    """how often a case that did not pass is run again; one that then passes is flaky, never pass"""
    keyword: str | None = None
    """pytest's ``-k`` expression"""
    areas: tuple[str, ...] = ()
    """only cases of these areas; empty stands for all"""
    pages: tuple[str, ...] = ()
    """only cases of these documentation pages; empty stands for all"""
    cases: tuple[str, ...] = ()
    """only these cases, as ``page/module::function`` or with a ``[variant]``; empty stands for all"""
    budget: float | None = None
    """seconds for a case that claims none of its own; None stands for ten. The project's own tests shorten it"""
    start_timeout: float = START_TIMEOUT
    """seconds for the target to be imported and to give its first loop"""
    suite: Path = CASES
    """the folder of the cases; the project's own tests of the harness bring small suites"""
