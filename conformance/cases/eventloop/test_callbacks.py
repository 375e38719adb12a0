"""Scheduling callbacks: ``loop.call_soon()`` and ``loop.call_soon_threadsafe()``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


@on_loops(PLAIN, DEBUG)
@requirement("loop.call_soon/fifo-order")
def test_callbacks_run_in_the_order_they_were_scheduled(loop: AbstractEventLoop) -> None:
    order: list[int] = []
    for n in range(100):
        loop.call_soon(order.append, n)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert order == list(range(100))
