"""Waiting, under a lock, for something that another task will change: `Condition`."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from refloop.binding import LoopBound, describe_waiters
from refloop.identity import CancelledError
from refloop.locks import Lock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from refloop.futures import Future

T = TypeVar("T")


class Condition(LoopBound):
    """A lock and a place to wait for a notification in. Not thread-safe.

    `lock` is a `Lock`, which several conditions may share, or None for one of its own.

    Keeps: Condition/accepts-documented-arguments, Condition/own-or-shared-lock, Condition/expects-lock-or-none.
    """

    def __init__(self, lock: Lock | None = None) -> None:
        self._lock = Lock() if lock is None else lock
        self._waiters: deque[Future[Any]] = deque()

    def locked(self) -> bool:
        """Return whether somebody holds the lock.

        Keeps: Condition.locked/returns-lock-state.
        """
        return self._lock.locked()

    async def acquire(self) -> Literal[True]:
        """Wait for the lock, lock it and return True; see `Lock.acquire()`.

        Keeps: Condition.acquire/waits-for-lock.
        """
        return await self._lock.acquire()

    def release(self) -> None:
        """Unlock the lock; `RuntimeError` when it is not locked. See `Lock.release()`.

        Keeps: Condition.release/raises-when-unlocked, Condition.release/release-admits-one-waiter.
        """
        self._lock.release()

    def __aenter__(self) -> Coroutine[Any, Any, Literal[True]]:
        """Acquire the lock: what `acquire()`, or a subclass's, does.

        Keeps: Condition/async-with-acquires-and-releases.
        """
        return self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release the lock."""
        self.release()

    async def wait(self) -> Literal[True]:
        """Release the lock, wait for a notification, take the lock again and return True.

        The lock is taken again in any case: a cancellation is raised only then. `RuntimeError` when it is not locked.

        Keeps: Condition.wait/is-coroutine-method, Condition.wait/raises-when-unlocked,
        Condition.wait/releases-waits-reacquires, Condition.wait/reacquires-lock-when-cancelled,
        Condition/wait-inside-async-with, Condition.notify/survives-cancelled-waiter.
        """
        if not self._lock.locked():
            raise RuntimeError("cannot wait on un-acquired lock")
        notification = self._new_waiter()
        self._waiters.append(notification)
        self._lock.release()
        try:
            try:
                await notification
            finally:
                await self._reacquire()
        except BaseException:
            if notification in self._waiters:
                self._waiters.remove(notification)
            elif not notification.cancelled():
                # Notified, yet about to fail: somebody else shall have the notification.
                self._notify(1)
            raise
        return True

    async def wait_for(self, predicate: Callable[[], T]) -> T:
        """Wait, by `wait()`, until `predicate()` gives something true, and return that.

        Keeps: Condition.wait_for/returns-true-predicate-value, Condition.wait_for/interprets-predicate-as-bool,
        Condition.wait_for/rechecks-after-each-notification.
        """
        value = predicate()
        while not value:
            await self.wait()
            value = predicate()
        return value

    def notify(self, n: int = 1) -> None:
        """Wake at most `n` of those who wait; each goes on once it has the lock, which the caller still holds.

        `RuntimeError` when the lock is not locked.

        Keeps: Condition.notify/wakes-at-most-n, Condition.notify/tolerates-fewer-waiters,
        Condition.notify/raises-when-unlocked, Condition.notify/keeps-lock-held.
        """
        if not self._lock.locked():
            raise RuntimeError("cannot notify on un-acquired lock")
        self._notify(n)

    def notify_all(self) -> None:
        """Wake everybody who waits, as `notify()` does.

        Keeps: Condition.notify_all/wakes-all-waiters, Condition.notify_all/raises-when-unlocked.
        """
        self.notify(len(self._waiters))

    def _notify(self, n: int) -> None:
        while n > 0 and self._waiters:
            notification = self._waiters.popleft()
            if not notification.done():
                notification.set_result(None)
                n -= 1

    async def _reacquire(self) -> None:
        """Take the lock whatever happens; what was requested meanwhile is raised afterwards."""
        cancelled = None
        while True:
            try:
                await self._lock.acquire()
                break
            except CancelledError as error:
                cancelled = error
        if cancelled is not None:
            try:
                raise cancelled
            finally:
                # The exception holds this frame: without the name it makes no reference cycle.
                cancelled = None

    def _describe(self) -> str:
        return describe_waiters("locked" if self._lock.locked() else "unlocked", len(self._waiters))
