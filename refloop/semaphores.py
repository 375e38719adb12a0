"""A number of permits that tasks take and give back: `Semaphore`, `BoundedSemaphore`.

A permit that is given back goes straight to the task that has waited longest; only if nobody waits does the counter
rise. So the counter is above zero only while nobody waits, and who comes later never overtakes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from refloop.binding import LoopBound, describe_waiters

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

    from refloop.futures import Future


class Semaphore(LoopBound):
    """A counter of permits, at first `value`; `ValueError` when that is negative. Not thread-safe.

    Keeps: Semaphore/accepts-documented-arguments, Semaphore/rejects-negative-value, Semaphore/at-most-value-holders.
    """

    def __init__(self, value: int = 1) -> None:
        if value < 0:
            raise ValueError("Semaphore initial value must be >= 0")
        self._value = value
        self._waiters: deque[Future[Any]] = deque()

    def locked(self) -> bool:
        """Return whether `acquire()` would have to wait.

        Keeps: Semaphore.locked/returns-whether-acquire-waits.
        """
        return self._value == 0

    async def acquire(self) -> Literal[True]:
        """Take a permit, waiting until there is one, and return True.

        Keeps: Semaphore.acquire/is-coroutine-method, Semaphore.acquire/decrements-immediately-when-positive,
        Semaphore.acquire/waits-while-zero, Semaphore.acquire/waiters-fifo-order.
        """
        if self._value > 0:
            self._value -= 1
        else:
            await self._wait_for_permit()
        return True

    def release(self) -> None:
        """Give a permit back: to whoever waits longest, else to the counter, which may exceed its first value.

        Keeps: Semaphore.release/increments-counter, Semaphore.release/wakes-one-waiter,
        Semaphore.release/allowed-above-initial-value.
        """
        while self._waiters:
            permit = self._waiters.popleft()
            if not permit.done():
                permit.set_result(None)
                return
        self._value += 1

    def __aenter__(self) -> Coroutine[Any, Any, Literal[True]]:
        """Take a permit: what `acquire()`, or a subclass's, does.

        Keeps: Semaphore/async-with-acquires-and-releases.
        """
        return self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the permit back."""
        self.release()

    async def _wait_for_permit(self) -> None:
        """Wait until a permit is handed over.

        Keeps: Semaphore.acquire/cancelled-waiter-is-skipped.
        """
        permit = self._new_waiter()
        self._waiters.append(permit)
        try:
            await permit
        except BaseException:
            if permit in self._waiters:
                self._waiters.remove(permit)
            elif not permit.cancelled():
                # It came together with the cancellation: pass it on. Never through a subclass's checks.
                Semaphore.release(self)
            raise

    def _describe(self) -> str:
        return describe_waiters("locked" if self.locked() else f"unlocked, value:{self._value}", len(self._waiters))


class BoundedSemaphore(Semaphore):
    """A semaphore whose counter cannot rise above its first value.

    Keeps: BoundedSemaphore/is-semaphore-subclass.
    """

    def __init__(self, value: int = 1) -> None:
        super().__init__(value)
        self._bound = value

    def release(self) -> None:
        """Give a permit back; `ValueError` when none is out.

        Keeps: BoundedSemaphore/rejects-release-above-initial.
        """
        if self._value >= self._bound:
            raise ValueError("BoundedSemaphore released too many times")
        super().release()
