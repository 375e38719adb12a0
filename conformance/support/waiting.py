"""Ways to wait for a condition, never for a time.

Every bound here is generous: it is reached only when the promise is broken, and then it ends the case.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

# A loaded two-core machine has been seen to delay a thread by two seconds; the case's budget is ten.
GENEROUS = 5.0
# How long a poll for a condition outside the loop's knowledge (a thread, a child, the kernel) rests between two looks.
POLL = 0.001


def run_one_pass(loop: AbstractEventLoop) -> None:
    """Run what is ready now, I/O included, and nothing that it schedules: ``stop()`` ends the current batch.

    A loop that mistakes ``stop()`` before ``run_forever()`` would fail every case that passed through here, so the call
    comes from a callback; the cases of ``run_forever()`` itself check the other way.
    """
    loop.call_soon(loop.stop)
    loop.run_forever()


def run_until(loop: AbstractEventLoop, condition: Callable[[], bool], *, bound: float = GENEROUS) -> None:
    """Run the loop until ``condition()`` is true; fail after ``bound`` seconds.

    The loop keeps running between looks (it rests in its own poll), so timers, I/O and wake-ups happen as in a program.
    """
    deadline = time.monotonic() + bound

    def look() -> None:
        if condition() or time.monotonic() > deadline:
            loop.stop()
        else:
            loop.call_later(POLL, look)

    loop.call_soon(look)
    loop.run_forever()
    assert condition(), f"waited {bound} s for a condition that never came true"


def wait_until(condition: Callable[[], bool], *, bound: float = GENEROUS) -> None:
    """Block the calling thread until ``condition()`` is true; fail after ``bound`` seconds."""
    deadline = time.monotonic() + bound
    while not condition():
        assert time.monotonic() < deadline, f"waited {bound} s for a condition that never came true"
        time.sleep(POLL)


async def until(loop: AbstractEventLoop, condition: Callable[[], object], *, bound: float = GENEROUS) -> None:
    """Give way to ``loop`` until ``condition()`` is true; fail after ``bound`` seconds. For ``async def`` cases."""
    deadline = time.monotonic() + bound
    while not condition():
        assert time.monotonic() < deadline, f"waited {bound} s for a condition that never came true"
        looked = loop.create_future()
        loop.call_later(POLL, looked.set_result, None)
        await looked


async def turns(loop: AbstractEventLoop, number: int = 10) -> None:
    """Let ``loop`` turn ``number`` times, so that what is ready to happen has happened."""
    for _ in range(number):
        turned = loop.create_future()
        loop.call_soon(turned.set_result, None)
        await turned


async def bounded(loop: AbstractEventLoop, work: Coroutine[Any, Any, T], *, bound: float = GENEROUS) -> T:
    """Give what ``work`` gives, or raises; fail after ``bound`` seconds. Only for what may well hang."""
    task = loop.create_task(work)
    try:
        await until(loop, task.done, bound=bound)
    finally:
        task.cancel()
        await turns(loop, 3)
    return task.result()
