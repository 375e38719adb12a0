"""Queues between tasks: first in, first out; by priority; last in, first out.

Who has to wait is woken when there is something for it: a getter for an item, a putter for a slot. Until its turn
comes, the item or slot counts as called for - `get()` and `put()` of later comers leave it alone - so waiters are
served in the order of arrival. Nothing is handed over before the turn: a getter that is cancelled on the way has taken
no item, and its call goes to the next one. (`get_nowait()` and `put_nowait()` do not wait, and so take what is there;
a waiter that finds nothing waits again, where it stood in the line.)
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from refloop.binding import LoopBound
from refloop.identity import QueueEmpty, QueueFull, QueueShutDown

if TYPE_CHECKING:
    from refloop.futures import Future

T = TypeVar("T")


class Queue(LoopBound, Generic[T]):
    """A queue of at most `maxsize` items, without limit if that is 0 or less. Not thread-safe.

    Subclasses may keep the items their own way: `_init()` makes `self._queue`, anything with a length, `_put()` adds to
    it and `_get()` takes from it.

    Keeps: Queue/accepts-documented-arguments, Queue/fifo-order, Queue/unbounded-without-positive-maxsize,
    Queue/rejects-timeout-argument.
    """

    _queue: Any

    def __init__(self, maxsize: int = 0) -> None:
        self._maxsize = maxsize
        self._unfinished = 0
        self._shut_down = False
        # Who waits, each with its number, in the order of arrival.
        self._arrivals = count()
        self._getters: deque[tuple[int, Future[Any]]] = deque()
        self._putters: deque[tuple[int, Future[Any]]] = deque()
        # How many getters and putters have been woken and have not run since.
        self._called_getters = 0
        self._called_putters = 0
        self._joiners: list[Future[Any]] = []
        self._init(maxsize)

    def _init(self, maxsize: int) -> None:  # noqa: ARG002 - for subclasses
        self._queue = deque()

    def _get(self) -> T:
        item: T = self._queue.popleft()
        return item

    def _put(self, item: T) -> None:
        self._queue.append(item)

    # State

    @property
    def maxsize(self) -> int:
        """The number of items that the queue may hold, as given to the constructor.

        Keeps: Queue.maxsize/holds-given-maxsize.
        """
        return self._maxsize

    def qsize(self) -> int:
        """Return the number of items in the queue.

        Keeps: Queue.qsize/returns-item-count.
        """
        return len(self._queue)

    def empty(self) -> bool:
        """Return whether there is no item in the queue.

        Keeps: Queue.empty/returns-true-when-empty.
        """
        return not self._queue

    def full(self) -> bool:
        """Return whether the queue holds `maxsize` items; one without limit is never full.

        Keeps: Queue.full/returns-true-at-maxsize, Queue.full/unbounded-never-full.
        """
        return 0 < self._maxsize <= len(self._queue)

    # Putting

    async def put(self, item: T) -> None:
        """Add `item`, waiting for a free slot; `QueueShutDown` once the queue is shut down.

        Keeps: Queue.put/is-coroutine-method, Queue.put/waits-while-full, Queue/put-waits-at-maxsize,
        Queue.put/raises-queueshutdown-after-shutdown.
        """
        if 0 < self._maxsize <= len(self._queue) + self._called_putters and not self._shut_down:
            await self._wait_for_slot()
        self.put_nowait(item)

    def put_nowait(self, item: T) -> None:
        """Add `item` now; `QueueFull` without a free slot, `QueueShutDown` once the queue is shut down.

        Keeps: Queue.put_nowait/adds-without-waiting, Queue.put_nowait/raises-queuefull-when-full,
        Queue.put_nowait/raises-queueshutdown-after-shutdown, Queue.join/counts-puts-minus-done-calls.
        """
        if self._shut_down:
            raise QueueShutDown
        if 0 < self._maxsize <= len(self._queue):
            raise QueueFull
        self._put(item)
        self._unfinished += 1
        if self._getters:
            self._call_getters()

    async def _wait_for_slot(self) -> None:
        """Wait until called to a free slot.

        Keeps: Queue.put/waiters-fifo-order, Queue.put/cancelled-put-frees-its-turn.
        """
        slot = self._new_waiter()
        place = (next(self._arrivals), slot)
        self._putters.append(place)
        while True:
            try:
                await slot
            except BaseException:
                if place in self._putters:
                    self._putters.remove(place)
                elif not slot.cancelled():
                    self._called_putters -= 1
                    self._call_putters()
                raise
            self._called_putters -= 1
            if self._shut_down or not self.full():
                return
            slot = self._new_waiter()
            place = (place[0], slot)
            insort(self._putters, place)

    def _call_putters(self) -> None:
        """Wake as many putters as there are slots that nobody was called for."""
        while self._putters and (
            self._shut_down or self._maxsize <= 0 or len(self._queue) + self._called_putters < self._maxsize
        ):
            _, slot = self._putters.popleft()
            if not slot.done():
                slot.set_result(None)
                self._called_putters += 1

    # Getting

    async def get(self) -> T:
        """Take the next item, waiting until there is one.

        `QueueShutDown` once the queue is shut down and empty, also for who is waiting then.

        Keeps: Queue.get/is-coroutine-method, Queue.get/waits-while-empty,
        Queue.get/raises-queueshutdown-after-shutdown.
        """
        if len(self._queue) <= self._called_getters and not self._shut_down:
            await self._wait_for_item()
        return self.get_nowait()

    def get_nowait(self) -> T:
        """Take the next item now; `QueueEmpty` without one, `QueueShutDown` without one in a queue that is shut down.

        Keeps: Queue.get_nowait/returns-available-item, Queue.get_nowait/raises-queueempty-when-empty,
        Queue.get_nowait/raises-queueshutdown-after-shutdown.
        """
        if not self._queue:
            raise QueueShutDown if self._shut_down else QueueEmpty
        item = self._get()
        if self._putters:
            self._call_putters()
        return item

    async def _wait_for_item(self) -> None:
        """Wait until called to an item.

        Keeps: Queue.get/waiters-fifo-order, Queue.get/cancelled-get-loses-nothing.
        """
        item = self._new_waiter()
        place = (next(self._arrivals), item)
        self._getters.append(place)
        while True:
            try:
                await item
            except BaseException:
                if place in self._getters:
                    self._getters.remove(place)
                elif not item.cancelled():
                    self._called_getters -= 1
                    self._call_getters()
                raise
            self._called_getters -= 1
            if self._shut_down or self._queue:
                return
            item = self._new_waiter()
            place = (place[0], item)
            insort(self._getters, place)

    def _call_getters(self) -> None:
        """Wake as many getters as there are items that nobody was called for."""
        while self._getters and (self._shut_down or self._called_getters < len(self._queue)):
            _, item = self._getters.popleft()
            if not item.done():
                item.set_result(None)
                self._called_getters += 1

    # Following the work

    def task_done(self) -> None:
        """Say that one item taken earlier has been worked on; `ValueError` when said more often than items were put.

        Keeps: Queue.task_done/counts-one-item-per-call, Queue.task_done/releases-join-when-all-done,
        Queue.task_done/raises-valueerror-beyond-items.
        """
        if self._unfinished <= 0:
            raise ValueError("task_done() called too many times")
        self._unfinished -= 1
        if self._unfinished == 0:
            self._release_joiners()

    async def join(self) -> None:
        """Wait until `task_done()` has been called for every item that was put.

        Keeps: Queue.join/is-coroutine-method, Queue.join/waits-until-nothing-unfinished,
        Queue.join/returns-immediately-when-finished.
        """
        if self._unfinished > 0:
            finished = self._new_waiter()
            self._joiners.append(finished)
            try:
                await finished
            except BaseException:
                if finished in self._joiners:
                    self._joiners.remove(finished)
                raise

    def _release_joiners(self) -> None:
        joiners, self._joiners = self._joiners, []
        for finished in joiners:
            if not finished.done():
                finished.set_result(None)

    # Ending

    def shutdown(self, immediate: bool = False) -> None:
        """Let nothing more be put, and wake everybody who waits to put or get.

        What is in the queue can still be taken out; with `immediate` it is dropped instead and counts as done.

        Keeps: Queue.shutdown/accepts-documented-arguments, Queue.shutdown/wakes-blocked-putters,
        Queue.shutdown/default-keeps-remaining-items, Queue.shutdown/default-join-needs-task-done,
        Queue.shutdown/immediate-empties-queue, Queue.shutdown/immediate-releases-join-at-zero,
        Queue.shutdown/immediate-wakes-blocked-getters, Queue.shutdown/immediate-join-skips-processing.
        """
        self._shut_down = True
        if immediate:
            while self._queue:
                self._get()
                # Not below zero: an item may have been declared done before it was taken.
                self._unfinished = max(0, self._unfinished - 1)
            if self._unfinished == 0:
                self._release_joiners()
        self._call_getters()
        self._call_putters()

    def _describe(self) -> str:
        words = [f"maxsize={self._maxsize}"]
        if self._queue:
            words.append(f"_queue={list(self._queue)!r}")
        for name, waiters in (("_getters", self._getters), ("_putters", self._putters)):
            if waiters:
                words.append(f"{name}[{len(waiters)}]")
        if self._unfinished:
            words.append(f"tasks={self._unfinished}")
        if self._shut_down:
            words.append("shutdown")
        return " ".join(words)


class PriorityQueue(Queue[T]):
    """A queue that gives the lowest entry first; entries are typically tuples `(priority, data)`.

    Keeps: PriorityQueue/lowest-entry-first, PriorityQueue/accepts-priority-data-tuples,
    PriorityQueue/is-queue-subclass.
    """

    def _init(self, maxsize: int) -> None:  # noqa: ARG002
        self._queue = []

    def _put(self, item: T) -> None:
        heapq.heappush(self._queue, item)

    def _get(self) -> T:
        item: T = heapq.heappop(self._queue)
        return item


class LifoQueue(Queue[T]):
    """A queue that gives the latest entry first.

    Keeps: LifoQueue/lifo-order, LifoQueue/is-queue-subclass.
    """

    def _init(self, maxsize: int) -> None:  # noqa: ARG002
        self._queue = []

    def _get(self) -> T:
        item: T = self._queue.pop()
        return item
