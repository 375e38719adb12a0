"""A loop with nothing to do: no callback is ready, no timer is set, and one event of the system has to wake it.

Wherever else a case waits, a timer or a call from a thread keeps its loop awake, and a loop that sleeps through what it
is to tell of would not be found out.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from conformance.support.threads import result_of
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


async def woken_by(loop: AbstractEventLoop, act: Callable[[], object], waiting: Awaitable[T]) -> T:
    """Await ``waiting``, with nothing else for ``loop`` to do, until ``act()`` in a thread has brought it about.

    Where the loop sleeps on, it is woken after ``GENEROUS`` seconds, and the case fails.
    """
    awoke = threading.Event()

    async def wait() -> T:
        return await waiting

    task = loop.create_task(wait())

    def act_and_watch() -> bool:
        try:
            act()
        finally:
            slept = not awoke.wait(GENEROUS)
            if slept:
                loop.call_soon_threadsafe(task.cancel)
        return slept

    with ThreadPoolExecutor(1) as pool:
        jobs: list[Any] = []
        # By then the task has begun to wait.
        loop.call_soon(lambda: jobs.append(pool.submit(act_and_watch)))
        try:
            return await task
        finally:
            awoke.set()
            if await result_of(loop, jobs[0]):
                pytest.fail(f"with nothing else to do, the loop slept for {GENEROUS:g} s over what it waited for")


def hears(loop: AbstractEventLoop, protocol: Any, event: str) -> Future[None]:
    """A future that is done when the protocol next writes down ``event``, as recorders do in their ``events``."""
    heard: Future[None] = loop.create_future()

    class Events(list[str]):
        def append(self, said: str) -> None:
            super().append(said)
            if said == event and not heard.done():
                heard.set_result(None)

    protocol.events = Events(protocol.events)
    return heard
