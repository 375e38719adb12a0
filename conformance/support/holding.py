"""What a case does alike with everything that ``async with`` holds: a lock, a condition, a semaphore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.turns import kinds, states

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.turns import Start

WAYS_OUT = {"exception": ZeroDivisionError, "cancellation": "cancelled", "return": "returned"}
"""How a block can be left, and how the task ends that leaves it so."""

EVERY_WAY_OUT = pytest.mark.parametrize("way_out", list(WAYS_OUT))


async def leave_block(loop: AbstractEventLoop, aio: Any, start: Start, lock: Any, way_out: str) -> None:
    """Let a task enter ``async with lock`` and leave the block in one of the ways of ``WAYS_OUT``."""

    async def enter() -> str:
        async with lock:
            if way_out == "exception":
                raise ZeroDivisionError
            if way_out == "cancellation":
                await loop.create_future()
            return "returned"

    (task,) = await start(enter())
    task.cancel()
    assert await kinds(aio, task) == [WAYS_OUT[way_out]]


async def order_with_latecomer(aio: Any, start: Start, lock: Any) -> list[str]:
    """Who holds ``lock`` first: the task that waits for it, or one that comes in the turn of the release?"""
    order: list[str] = []

    async def hold(name: str) -> None:
        async with lock:
            order.append(name)

    await lock.acquire()
    (first,) = await start(hold("first"))
    lock.release()
    await hold("late")
    assert await states(aio, first) == [None]
    return order
