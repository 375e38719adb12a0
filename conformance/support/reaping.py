"""Waiting, in a program on the target, for a child that the target is to kill when its garbage is collected."""

from __future__ import annotations

import gc
import os
import signal
import time

from conformance.support.waiting import POLL, wait_until

# Seconds between two looks for a child that will probably never be killed: each collects all garbage.
LONGEST_REST = 0.05


def reaped_after_kill(pid: int) -> bool:
    """Wait until the child is gone, and whether SIGKILL has ended it, as far as that is known.

    A zombie is reaped here. Where somebody else has reaped the child, its end is all that is known.
    """
    ended: list[int] = []

    rest = 0.0

    def gone() -> bool:
        nonlocal rest
        # Who is not collected by now waits for a thread to let go of it: ever longer rests leave that the processor.
        time.sleep(rest)
        rest = min(2 * rest + POLL, LONGEST_REST)
        gc.collect()
        try:
            found, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return True
        ended.extend([os.waitstatus_to_exitcode(status)] if found else [])
        return bool(found)

    try:
        wait_until(gone)
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        raise
    return ended in ([], [-9])
