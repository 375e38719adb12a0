"""The timers of a loop: a heap of deadlines.

The heap holds tuples `(deadline, number, handle)`: Python compares them in C and, since numbers differ, never reaches
the handles. Timers with equal deadlines run in the order in which they were made, which is more than is promised.

A cancelled timer stays in the heap until it comes to the top, or until so many are dead that a sweep pays.
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

    __slots__ = ("_cancelled", "_number", "heap")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, TimerHandle]] = []
        self._number = count().__next__
        self._cancelled = 0

    def add(self, handle: TimerHandle) -> None:
        """Schedule `handle` for its deadline."""
        handle._scheduled = True
        heappush(self.heap, (handle._when, self._number(), handle))

    def count_cancelled(self) -> None:
        """Note that one more of the scheduled handles was cancelled; sweep when they are the majority."""
        self._cancelled += 1
        if self._cancelled > SWEEP_AT_LEAST and self._cancelled * 2 > len(self.heap):
            # In place: the loop's run holds on to the list.
            self.heap[:] = [timer for timer in self.heap if not timer[2]._cancelled]
            heapify(self.heap)
            self._cancelled = 0

    def next_deadline(self) -> float | None:
        """Return the soonest deadline, having dropped cancelled timers before it; None without timers."""
        heap = self.heap
        while heap:
            when, _, handle = heap[0]
            if not handle._cancelled:
                return when
            heappop(heap)
            self._cancelled -= 1
        return None

    def move_due(self, now: float, ready: deque[Entry]) -> None:
        """Append every timer whose deadline is at or before `now` to `ready`, soonest first.

        Keeps: loop.call_later/runs-in-deadline-order.
        """
        heap = self.heap
        while heap and heap[0][0] <= now:
            handle = heappop(heap)[2]
            if handle._cancelled:
                self._cancelled -= 1
            else:
                handle._scheduled = False
                ready.append(handle)

    def clear(self) -> None:
        """Forget all timers."""
        self.heap.clear()
        self._cancelled = 0
