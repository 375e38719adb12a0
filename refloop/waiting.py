"""Waiting for several futures: all of them, any of them, or one after the other as they finish."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from refloop.coroutines import iscoroutine
from refloop.current import get_event_loop
from refloop.futures import isfuture
from refloop.identity import (
    CancelledError,
    TimeoutError,  # noqa: A004 - the documented name; it is the builtin
    get_running_loop,
)
from refloop.introspection import current_task
from refloop.spawning import ensure_future

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Iterable

    from refloop.futures import Future
    from refloop.identity import AbstractEventLoop

T = TypeVar("T")

FIRST_COMPLETED: Final = "FIRST_COMPLETED"
FIRST_EXCEPTION: Final = "FIRST_EXCEPTION"
ALL_COMPLETED: Final = "ALL_COMPLETED"


async def wait(
    aws: Iterable[Future[T]], *, timeout: float | None = None, return_when: str = ALL_COMPLETED
) -> tuple[set[Future[T]], set[Future[T]]]:
    """Wait for futures and tasks; return two sets, those done and those pending.

    Until when: until the first is done or cancelled (`FIRST_COMPLETED`), the first has raised or all are done
    (`FIRST_EXCEPTION`), all are done (`ALL_COMPLETED`) - or `timeout` seconds have passed, which raises nothing.
    Nothing is cancelled, not even when the wait is. `ValueError` for no futures or another `return_when`, `TypeError`
    for coroutines.

    Keeps: wait/accepts-documented-arguments, wait/returns-done-and-pending-sets, wait/raises-valueerror-when-empty,
    wait/timeout-ends-wait-quietly, wait/keeps-pending-uncancelled, wait/first-completed-returns-on-any,
    wait/first-exception-returns-on-failure, wait/all-completed-returns-on-all, wait/rejects-unknown-return-when,
    wait/rejects-coroutine-arguments, wait/accepts-task-generators, wait/cancel-keeps-futures-running.
    """
    if isfuture(aws) or iscoroutine(aws):
        raise TypeError(f"expect an iterable of futures, not {type(aws).__name__}")
    futures = set(aws)
    if not futures:
        raise ValueError("Set of Tasks/Futures is empty.")
    if return_when not in (FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED):
        raise ValueError(f"Invalid return_when value: {return_when}")
    if not all(isfuture(future) for future in futures):
        raise TypeError("wait() takes tasks and futures only; wrap coroutines by create_task()")
    waiting = _Waiting(futures, return_when)
    if not waiting.satisfied():
        await waiting.run(timeout)
    done = {future for future in futures if future.done()}
    return done, futures - done


class _Waiting:
    """One call of `wait()`."""

    def __init__(self, futures: set[Future[Any]], return_when: str) -> None:
        self._futures = futures
        self._return_when = return_when
        self._pending = sum(not future.done() for future in futures)
        self._task: Any = None
        self._end: Any = None

    def satisfied(self) -> bool:
        """Return whether there is nothing to wait for."""
        if self._pending == 0:
            return True
        return any(self._is_enough(future) for future in self._futures if future.done())

    async def run(self, timeout: float | None) -> None:
        """Wait until `return_when` is satisfied, or for `timeout` seconds."""
        loop = get_running_loop()
        self._task = current_task()
        self._end = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, self._finish)
        watched = [future for future in self._futures if not future.done()]
        for future in watched:
            future.add_done_callback(self._one_done)
        try:
            await self._end
        finally:
            if timer is not None:
                timer.cancel()
            for future in watched:
                future.remove_done_callback(self._one_done)

    def _is_enough(self, future: Future[Any]) -> bool:
        if self._return_when == FIRST_COMPLETED:
            return True
        return self._return_when == FIRST_EXCEPTION and not future.cancelled() and future.exception() is not None

    def _one_done(self, future: Future[Any]) -> None:
        self._pending -= 1
        if self._pending <= 0 or self._is_enough(future):
            self._finish()

    def _finish(self) -> None:
        if not self._end.done():
            self._end.set_result(None)

    def _on_behalf_of(self) -> list[Any]:
        """Tell the call graph who waits for the futures."""
        return [self._task]


def as_completed(aws: Iterable[Awaitable[T]], *, timeout: float | None = None) -> AsCompleted[T]:
    """Run `aws` at once, and give them in the order in which they finish.

    A plain loop gives coroutines: each waits for the next result, or raises the exception. `async for` gives the
    futures themselves, finished; for an awaitable that is none, the task made of it. When `timeout` seconds have passed
    before all are done, the coroutines left, or the `async for`, raise `TimeoutError`. Nothing is cancelled.

    Keeps: as_completed/accepts-documented-arguments, as_completed/accepts-task-generators,
    as_completed/deprecates-call-without-loop, as_completed/leaves-awaitables-uncancelled.
    """
    if isfuture(aws) or iscoroutine(aws):
        raise TypeError(f"expect an iterable of futures, not {type(aws).__name__}")
    return AsCompleted(aws, timeout)


class AsCompleted(Generic[T]):
    """What `as_completed()` returns: an iterator, and an asynchronous one."""

    def __init__(
        self, aws: Iterable[Awaitable[T]], timeout: float | None, loop: AbstractEventLoop | None = None
    ) -> None:
        awaitables = list(aws)
        self._loop = get_event_loop() if loop is None else loop
        self._running = {ensure_future(awaitable, loop=self._loop) for awaitable in dict.fromkeys(awaitables)}
        self._left_to_give = len(self._running)
        self._finished: deque[Future[T]] = deque()
        self._waiters: deque[Future[Any]] = deque()
        self._timed_out = False
        for future in self._running:
            future.add_done_callback(self._one_done)
        self._timer = None
        if timeout is not None and self._running:
            self._timer = self._loop.call_later(timeout, self._time_out)

    def __iter__(self) -> AsCompleted[T]:
        return self

    def __next__(self) -> Coroutine[Any, Any, T]:
        """Return a coroutine that waits for the next to finish.

        Keeps: as_completed/yields-in-completion-order, as_completed/yields-coroutines,
        as_completed/yields-new-objects, as_completed/raises-timeouterror-from-yielded.
        """
        if self._left_to_give == 0:
            raise StopIteration
        self._left_to_give -= 1
        return self._result_of_next()

    def __aiter__(self) -> AsCompleted[T]:
        return self

    async def __anext__(self) -> Future[T]:
        """Wait for the next to finish and return it.

        Keeps: as_completed/async-iteration-yields-originals, as_completed/async-iteration-yields-implicit-tasks,
        as_completed/raises-timeouterror-from-async-iteration.
        """
        if self._left_to_give == 0:
            raise StopAsyncIteration
        self._left_to_give -= 1
        try:
            return await self._next_finished()
        except CancelledError:
            self._left_to_give += 1
            raise

    async def _result_of_next(self) -> T:
        return (await self._next_finished()).result()

    async def _next_finished(self) -> Future[T]:
        while not self._finished:
            if self._timed_out:
                raise TimeoutError
            waiter = cast("Future[Any]", self._loop.create_future())
            self._waiters.append(waiter)
            try:
                await waiter
            except BaseException:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
                elif not waiter.cancelled():
                    self._wake_one()
                raise
        return self._finished.popleft()

    def _one_done(self, future: Future[T]) -> None:
        self._running.discard(future)
        self._finished.append(future)
        if not self._running and self._timer is not None:
            self._timer.cancel()
        self._wake_one()

    def _time_out(self) -> None:
        self._timed_out = True
        for future in self._running:
            future.remove_done_callback(self._one_done)
        self._running.clear()
        while self._waiters:
            self._wake_one()

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _on_behalf_of(self) -> list[Any]:
        """Tell the call graph who waits for the futures: who waits for the next to finish."""
        return list(self._waiters)
