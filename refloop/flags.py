"""A flag that tasks wait for: `Event`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from refloop.binding import LoopBound, describe_waiters

if TYPE_CHECKING:
    from refloop.futures import Future


class Event(LoopBound):
    """A flag, at first false. Not thread-safe.

    Keeps: Event/accepts-no-arguments, Event/starts-unset.
    """

    def __init__(self) -> None:
        self._set = False
        # A dict for its order, and because any waiter can leave it without a search.
        self._waiters: dict[Future[Any], None] = {}

    def is_set(self) -> bool:
        """Return whether the flag is true.

        Keeps: Event.is_set/returns-flag-state.
        """
        return self._set

    def set(self) -> None:
        """Make the flag true and wake everybody who waits for it.

        They have seen it true, even if it is false again by the time they run.

        Keeps: Event.set/wakes-all-waiters.
        """
        self._set = True
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """Make the flag false.

        Keeps: Event.clear/makes-later-waits-block, Event.clear/is-set-false-afterwards.
        """
        self._set = False

    async def wait(self) -> Literal[True]:
        """Wait until the flag is true, and return True.

        Keeps: Event.wait/is-coroutine-method, Event.wait/returns-immediately-when-set, Event.wait/waits-until-set.
        """
        if not self._set:
            waiter = self._new_waiter()
            self._waiters[waiter] = None
            try:
                await waiter
            except BaseException:
                self._waiters.pop(waiter, None)
                raise
        return True

    def _describe(self) -> str:
        return describe_waiters("set" if self._set else "unset", len(self._waiters))
