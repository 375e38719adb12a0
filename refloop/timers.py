"""The timers of a loop: a heap of deadlines.

The heap holds tuples `(deadline, number, handle)`: Python compares them in C and, since numbers differ, never reaches
the handles. Timers with equal deadlines run in the order in which they were made, which is more than is promised.

`call_at()` and `call_later()` append a new timer to `fresh`; the loop's next turn moves it into the heap, unless it is
cancelled by then, as most timeouts are whose operation need not wait. A timer that is cancelled later stays in the heap
until it comes to the top, or until so many are dead that a sweep pays.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import deque

    from refloop.handles import Entry, TimerHandle

# Below this many dead timers a sweep saves no memory worth its time.
SWEEP_AT_LEAST = 64


class Timers:
    """The scheduled timers of one loop, soonest first."""

    __slots__ = ("_before_sweep", "_next_number", "fresh", "heap")

    def __init__(self) -> None:
        self.fresh: list[TimerHandle] = []
        self.heap: list[tuple[float, int, TimerHandle]] = []
        # How many more cancelled timers to leave where they are.
        self._before_sweep = SWEEP_AT_LEAST
        self._next_number = count().__next__

    def take_fresh(self) -> None:
        """Move the timers made since the last turn into the heap, except for those that are cancelled already."""
        for timer in self.fresh:
            if not timer._cancelled:
                heappush(self.heap, (timer._when, self._next_number(), timer))
            else:
                self._before_sweep += 1
        self.fresh.clear()

    def count_cancelled(self) -> None:
        """Note that one more timer is cancelled."""
        self._before_sweep -= 1
        if self._before_sweep < 0:
            self.sweep()

    def sweep(self) -> None:
        """Drop the cancelled timers. The next sweep is due when as many are cancelled as are left."""
        self.take_fresh()
        # In place: the loop's run holds on to the list.
        self.heap[:] = [timer for timer in self.heap if not timer[2]._cancelled]
        heapify(self.heap)
        self._before_sweep = max(SWEEP_AT_LEAST, len(self.heap))

    def next_deadline(self) -> float | None:
        """Return the soonest deadline, having dropped cancelled timers before it; None without timers."""
        heap = self.heap
        while heap:
            when, _, handle = heap[0]
            if not handle._cancelled:
                return when
            heappop(heap)
        return None

    def move_due(self, now: float, ready: deque[Entry]) -> None:
        """Append every timer whose deadline is at or before `now` to `ready`, soonest first.

        Keeps: loop.call_later/runs-in-deadline-order.
        """
        heap = self.heap
        while heap and heap[0][0] <= now:
            handle = heappop(heap)[2]
            if not handle._cancelled:
                ready.append(handle)

    def clear(self) -> None:
        """Forget all timers."""
        self.fresh.clear()
        self.heap.clear()
