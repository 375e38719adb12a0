"""The timers of a loop: a heap of deadlines.

The heap holds tuples `(deadline, number, handle)`: Python compares them in C and, since numbers differ, never reaches
the handles. Timers with equal deadlines run in the order in which they were made, which is more than is promised.

`call_at()` and `call_later()` push onto the heap themselves; what else is done with it is done here.

A cancelled timer stays in the heap until it comes to the top, or until so many are dead that a sweep pays.
"""

from __future__ import annotations

from heapq import heapify, heappop
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import deque

    from refloop.handles import Entry, TimerHandle

# Below this many dead timers a sweep saves no memory worth its time.
SWEEP_AT_LEAST = 64


class Timers:
    """The scheduled timers of one loop, soonest first.

    `before_sweep`: how many more cancellations to leave in the heap. Handles count it down themselves.
    """

    __slots__ = ("before_sweep", "heap", "next_number")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, TimerHandle]] = []
        self.before_sweep = SWEEP_AT_LEAST
        self.next_number = count().__next__

    def sweep(self) -> None:
        """Take the cancelled timers out of the heap. The next sweep is due when as many are cancelled as are left."""
        # In place: the loop's run holds on to the list.
        self.heap[:] = [timer for timer in self.heap if not timer[2]._cancelled]
        heapify(self.heap)
        self.before_sweep = max(SWEEP_AT_LEAST, len(self.heap))

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
        self.heap.clear()
