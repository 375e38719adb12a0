"""Coroutines for tasks and members of groups: one that waits, one that fails, one that fails when it is cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future


async def wait_for(future: Future[Any]) -> Any:
    """Give what ``future`` ends with."""
    return await future


async def fail(error: BaseException) -> None:
    """Raise ``error`` at once."""
    raise error


async def fail_when_cancelled(loop: AbstractEventLoop, error: BaseException) -> None:
    """Wait for nothing, and raise ``error`` in place of the cancellation that ends it."""
    try:
        await loop.create_future()
    finally:
        raise error
