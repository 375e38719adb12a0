"""What a target starts ends with the run, also what leaves its process group or session.

A process whose parent ends is handed on to the nearest ancestor that has asked for it. The warm process asks, and the
run itself for the case that something kills the warm process; so whatever a worker leaves behind comes up as a child of
theirs and is ended. (A process group is left by one call, and a control group is not everybody's to make.) Linux alone
knows how to ask; elsewhere the process groups of the workers are ended, and no more.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

PR_SET_CHILD_SUBREAPER = 36
"""From Linux' ``prctl.h``."""

PATIENCE = 2.0
"""Seconds for what was killed to be gone: a process that waits for a disk takes its time."""
REST = 0.002


def adopt(*, wanted: bool = True) -> bool:
    """Become the parent of what children leave behind, or stop to; whether the system can do that."""
    if sys.platform != "linux":
        return False
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False


def children(pid: int | str = "self") -> set[int]:
    """The process ids of a process's children, those that nobody has reaped included."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.update(map(int, task.read_text(encoding="ascii").split()))
    return found


def end_all_but(kept: Collection[int]) -> None:
    """Kill and reap all children but the ``kept`` ones, and what comes up in their place, until nothing does."""
    deadline = time.monotonic() + PATIENCE
    while (strays := children().difference(kept)) and time.monotonic() < deadline:
        for pid in strays:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if strays <= children():
            time.sleep(REST)
