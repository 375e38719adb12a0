"""How many workers keep the machine busy.

Most cases compute; some wait, for a child program or for the other end of a connection. As many workers as CPUs leave
CPUs idle then, and twice as many make everybody slow. So a pass that is not told a number begins with one worker a CPU
and adds another whenever it sees the machine at rest.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from conformance.harness.options import usable_cpus

CPU_TIMES = Path("/proc/stat")
IDLE = (3, 4)
"""Where the first line of `CPU_TIMES` has the ticks of CPUs at rest, and of those that wait for a disk."""

LOOK = 0.25
"""Seconds between two looks at the machine's rest: the kernel counts in hundredths."""

REST = 0.12
"""The share of all CPUs that has to be at rest for another worker: with two CPUs, a quarter of one."""

MOST = 3
"""Workers a CPU beyond which more would only stand in each other's way."""

WORTH = 40
"""Cases that have to be left for another worker to be worth its start."""


class Crew:
    """Says how many workers a pass should have."""

    def __init__(self, asked: int | None, cpus: int | None = None) -> None:
        """``asked``: a fixed number; None lets the machine's rest decide."""
        self._cpus = usable_cpus() if cpus is None else cpus
        self._wanted = self._cpus if asked is None else asked
        self._grows = asked is None
        self._looked = time.monotonic()
        self._ticks = cpu_ticks()

    def wanted(self, left: int) -> int:
        """The number of workers, now that ``left`` cases wait for one."""
        now = time.monotonic()
        if self._grows and now - self._looked >= LOOK:
            self._looked = now
            before, self._ticks = self._ticks, cpu_ticks()
            if left > WORTH and self._wanted < MOST * self._cpus and at_rest(before, self._ticks) > REST:
                self._wanted += 1
        return self._wanted


def cpu_ticks() -> tuple[int, ...]:
    """The ticks that all CPUs together have spent so far, by kind; empty where the system does not tell."""
    try:
        line = CPU_TIMES.read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return ()
    # The last two, of guests, are counted among the first two already.
    return tuple(int(word) for word in line.split()[1:9]) if usable_cpus() == os.cpu_count() else ()


def at_rest(before: tuple[int, ...], after: tuple[int, ...]) -> float:
    """The share of CPU time between two looks in which nothing ran; 0 where nobody can tell."""
    spent = [late - early for early, late in zip(before, after, strict=False)]
    return sum(spent[kind] for kind in IDLE) / sum(spent) if sum(spent) > 0 else 0.0
