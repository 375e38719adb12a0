"""Waiting for nothing but time."""

from __future__ import annotations

import math
from types import coroutine
from typing import TYPE_CHECKING, TypeVar, overload

from refloop.identity import get_running_loop

if TYPE_CHECKING:
    from collections.abc import Generator

    from refloop.futures import Future

T = TypeVar("T")


@overload
async def sleep(delay: float) -> None: ...
@overload
async def sleep(delay: float, result: T) -> T: ...
async def sleep(delay: float, result: T | None = None) -> T | None:
    """Suspend for `delay` seconds, then return `result`; other tasks run meanwhile, even for 0 seconds.

    `ValueError` for a delay that is not a number (NaN).

    Keeps: sleep/waits-at-least-delay, sleep/returns-given-result, sleep/always-yields-to-others,
    sleep/zero-delay-yields-once, sleep/raises-valueerror-for-nan, sleep/precision-follows-loop-clock.
    """
    if math.isnan(delay):
        raise ValueError("Invalid delay: NaN (not a number)")
    if delay <= 0:
        await _next_turn()
        return result
    loop = get_running_loop()
    future: Future[T | None] = loop.create_future()  # type: ignore[assignment]
    timer = loop.call_later(delay, _wake, future, result)
    try:
        return await future
    finally:
        timer.cancel()


@coroutine
def _next_turn() -> Generator[None, None, None]:
    yield


def _wake(future: Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)
