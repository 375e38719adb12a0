"""Time limits: for a block (`timeout()`, `timeout_at()`) and for one awaitable (`wait_for()`).

A time limit is kept by cancelling the task from outside, and by taking that cancellation back when the block is left:
`Task.uncancel()`. Whether somebody else wanted the task cancelled as well shows in the count that is left.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, TypeVar, final

from refloop.identity import (
    CancelledError,
    TimeoutError,  # noqa: A004 - the documented name; it is the builtin
    get_running_loop,
)
from refloop.introspection import current_task
from refloop.spawning import ensure_future
from refloop.waiting import wait

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import TracebackType

    from refloop.futures import Future
    from refloop.identity import StandardHandle

T = TypeVar("T")


class _Phase(enum.Enum):
    CREATED = "created"
    ENTERED = "active"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    EXITED = "finished"


@final
class Timeout:
    """An asynchronous context manager that limits the time of its block.

    `when` is the deadline on the loop's clock in seconds, None for none. `timeout()` and `timeout_at()` make these.

    Keeps: Timeout/accepts-documented-arguments, Timeout/none-never-expires, timeout/none-means-no-limit.
    """

    def __init__(self, when: float | None) -> None:
        self._when = when
        self._phase = _Phase.CREATED
        self._task: Any = None
        self._timer: StandardHandle | None = None
        self._cancelling_before = 0

    def when(self) -> float | None:
        """Return the deadline in seconds on the loop's clock, or None.

        Keeps: Timeout.when/returns-current-deadline.
        """
        return self._when

    def reschedule(self, when: float | None) -> None:
        """Make `when` the deadline. `RuntimeError` outside the block, and once the deadline has passed.

        Keeps: Timeout.reschedule/replaces-deadline, Timeout.reschedule/raises-when-inactive,
        timeout/reschedulable-after-creation, Timeout/past-deadline-expires-next-iteration.
        """
        if self._phase is _Phase.CREATED:
            raise RuntimeError("Timeout has not been entered")
        if self._phase is not _Phase.ENTERED:
            raise RuntimeError(f"Cannot change state of {self._phase.value} Timeout")
        self._when = when
        self._stop_timer()
        if when is None:
            return
        loop = get_running_loop()
        if when <= loop.time():
            self._timer = loop.call_soon(self._expire)
        else:
            self._timer = loop.call_at(when, self._expire)

    def expired(self) -> bool:
        """Return whether the block has exceeded its deadline.

        Keeps: Timeout.expired/returns-whether-deadline-passed.
        """
        return self._phase in (_Phase.EXPIRING, _Phase.EXPIRED)

    async def __aenter__(self) -> Timeout:
        """Begin to count. `RuntimeError` for a second time, and outside a task.

        Keeps: Timeout/enters-as-itself.
        """
        if self._phase is not _Phase.CREATED:
            raise RuntimeError("Timeout has already been entered")
        task = current_task()
        if task is None:
            raise RuntimeError("Timeout should be used inside a task")
        self._task = task
        self._cancelling_before = task.cancelling()
        self._phase = _Phase.ENTERED
        self.reschedule(self._when)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop counting; turn the cancellation that the deadline caused, and no other, into `TimeoutError`.

        Keeps: timeout/raises-timeouterror-on-exit, timeout/timeouterror-only-outside-block, timeout/nests-safely,
        timeout/silent-when-in-time, Timeout/passes-external-cancellation.
        """
        self._stop_timer()
        if self._phase is not _Phase.EXPIRING:
            self._phase = _Phase.EXITED
            return
        self._phase = _Phase.EXPIRED
        if self._task.uncancel() <= self._cancelling_before and isinstance(error, CancelledError):
            raise TimeoutError from error

    def _expire(self) -> None:
        """Cancel the task that is in the block.

        Keeps: timeout/cancels-current-task-on-expiry, timeout/leaves-other-tasks-alone.
        """
        self._timer = None
        self._phase = _Phase.EXPIRING
        self._task.cancel()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __repr__(self) -> str:
        words = [self._phase.value]
        if self._phase is _Phase.ENTERED:
            words.append(f"when={None if self._when is None else round(self._when, 3)}")
        return f"<Timeout [{' '.join(words)}]>"


def timeout(delay: float | None) -> Timeout:
    """Limit a block to `delay` seconds from now, None for no limit: `async with timeout(10): ...`.

    The task in the block is cancelled when the time is over, and the block raises `TimeoutError`.

    Keeps: timeout/accepts-documented-arguments, timeout/returns-timeout-context-manager.
    """
    return Timeout(None if delay is None else get_running_loop().time() + delay)


def timeout_at(when: float | None) -> Timeout:
    """Like `timeout()`, with the deadline `when` in seconds on the loop's clock.

    Keeps: timeout_at/accepts-documented-arguments, timeout_at/expires-at-absolute-deadline.
    """
    return Timeout(when)


async def wait_for(aw: Awaitable[T], timeout: float | None) -> T:
    """Await `aw` for at most `timeout` seconds, None for no limit, and return its result.

    When the time is over, `aw` is cancelled and, once that has been carried out, `TimeoutError` raised, or whatever
    else `aw` raises meanwhile. A time of 0 or less is over at once, unless `aw` is done. A coroutine runs in the
    caller's task. Cancelling the caller cancels `aw`.

    Keeps: wait_for/accepts-documented-arguments, wait_for/returns-inner-result, wait_for/none-means-no-limit,
    wait_for/accepts-int-or-float-timeout, wait_for/raises-timeouterror-and-cancels,
    wait_for/shield-prevents-inner-cancellation, wait_for/waits-for-cancellation-to-finish,
    wait_for/raises-exception-from-cancellation, wait_for/cancels-inner-when-cancelled,
    wait_for/keeps-coroutine-in-current-task, TimeoutError/raised-when-deadline-passes.
    """
    if timeout is not None and timeout <= 0:
        return await _now_or_never(ensure_future(aw))
    async with Timeout(None if timeout is None else get_running_loop().time() + timeout):
        return await aw


async def _now_or_never(future: Future[T]) -> T:
    """Return the result of a finished future; cancel any other, see it end, and raise `TimeoutError`.

    Keeps: wait_for/nonpositive-timeout-never-waits.
    """
    if future.done():
        return future.result()
    future.cancel()
    await wait([future])
    try:
        return future.result()
    except CancelledError as error:
        raise TimeoutError from error
