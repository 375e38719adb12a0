"""Mutual exclusion between tasks.

A lock that is released while others wait is unlocked at once and, from then on, promised to the one that has waited
longest: nobody else can take it before that task's turn comes. If that task is cancelled instead, the promise goes to
the next one. So the lock goes round in the order of arrival, and no wake-up is lost.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal

from refloop.binding import LoopBound, describe_waiters

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

    from refloop.futures import Future


class Lock(LoopBound):
    """A lock that one holder has at a time. It belongs to no task: any may release it. Not thread-safe.

    Keeps: Lock/accepts-no-arguments, Lock/starts-unlocked-unowned, Lock/rejects-legacy-forms,
    synchronization-general/rejects-timeout-argument, synchronization-general/timeout-leaves-primitive-usable.
    """

    def __init__(self) -> None:
        self._locked = False
        self._waiters: deque[Future[Any]] = deque()
        # Whose turn it is while the lock is free. Invariant: free and promised to nobody means that nobody waits.
        self._promised: Future[Any] | None = None

    def locked(self) -> bool:
        """Return whether somebody holds the lock.

        Keeps: Lock.locked/returns-lock-state.
        """
        return self._locked

    async def acquire(self) -> Literal[True]:
        """Wait until the lock is free and everybody who came before has had it, then lock it and return True.

        Keeps: Lock.acquire/is-coroutine-method, Lock.acquire/returns-immediately-when-unlocked,
        Lock.acquire/waits-while-locked, Lock.acquire/waiters-fifo-order.
        """
        if self._locked or self._promised is not None:
            await self._wait_for_turn()
        self._locked = True
        return True

    def release(self) -> None:
        """Unlock the lock and wake whoever waits longest. `RuntimeError` when it is not locked.

        Keeps: Lock.release/unlocks-and-returns-none, Lock.release/raises-when-unlocked,
        Lock.acquire/release-admits-one-waiter.
        """
        if not self._locked:
            raise RuntimeError("Lock is not acquired.")
        self._locked = False
        if self._waiters:
            self._promise()

    def __aenter__(self) -> Coroutine[Any, Any, Literal[True]]:
        """Acquire the lock: what `acquire()`, or a subclass's, does.

        Keeps: Lock/async-with-acquires-and-releases.
        """
        return self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Release the lock."""
        self.release()

    async def _wait_for_turn(self) -> None:
        """Wait until the lock is promised to the caller, who takes it before anything else happens.

        Keeps: Lock.acquire/cancelled-waiter-is-skipped.
        """
        turn = self._new_waiter()
        self._waiters.append(turn)
        try:
            await turn
        except BaseException:
            if self._promised is turn:
                self._promise()
            elif turn in self._waiters:
                self._waiters.remove(turn)
            raise
        self._promised = None

    def _promise(self) -> None:
        """Promise the free lock to the first who still waits, or to nobody."""
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():
                self._promised = turn
                turn.set_result(None)
                return
        self._promised = None

    def _describe(self) -> str:
        return describe_waiters("locked" if self._locked else "unlocked", len(self._waiters))
