"""Ways to let other tasks go on without a look at the clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# No test needs more turns of the loop than this for tasks to come to rest.
TURNS = 12


async def settle(turns: int = TURNS) -> None:
    """Let every task that is ready go on until it waits or ends."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition()`; the test's time bounds it."""
    while not condition():  # noqa: ASYNC110 - the condition is any
        await asyncio.sleep(0.001)


async def outcome(awaitable: Any) -> object:
    """Return the result or the exception of `awaitable`."""
    try:
        result: object = await awaitable
    except BaseException as error:
        return error
    return result
