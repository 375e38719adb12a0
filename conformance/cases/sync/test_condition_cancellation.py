"""``Condition.wait()`` under cancellation: the lock is taken again, and no notification is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.turns import settle, states

if TYPE_CHECKING:
    from conformance.support.turns import Start

EVERY_LOOP = on_loops(PLAIN, DEBUG, EAGER)


async def hold_and_wait(condition: Any, left: list[bool]) -> str:
    """Wait for a notification; note in ``left`` whether the lock was held when ``wait()`` ended."""
    async with condition:
        try:
            await condition.wait()
        finally:
            left.append(condition.locked())
    return "notified"


async def hold(condition: Any) -> str:
    async with condition:
        return "held"


@EVERY_LOOP
@requirement("Condition.wait/reacquires-lock-when-cancelled")
async def test_a_cancelled_wait_holds_the_lock_when_it_raises(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    left: list[bool] = []
    (waiter,) = await start(hold_and_wait(condition, left))
    waiter.cancel()
    assert await states(aio, waiter) == ["cancelled"]
    assert left == [True]
    assert condition.locked() is False


@EVERY_LOOP
@requirement("Condition.wait/reacquires-lock-when-cancelled")
async def test_a_cancelled_wait_waits_for_the_lock_before_it_raises(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    left: list[bool] = []
    (waiter,) = await start(hold_and_wait(condition, left))
    await condition.acquire()
    waiter.cancel()
    assert await states(aio, waiter) == ["waiting"]
    assert left == []
    condition.release()
    assert await states(aio, waiter) == ["cancelled"]
    assert left == [True]
    assert condition.locked() is False


@EVERY_LOOP
@pytest.mark.parametrize("times", [1, 2, 5])
@requirement("Condition.wait/reacquires-lock-when-cancelled")
async def test_cancelled_again_while_it_waits_for_the_lock_it_takes_it_nevertheless(
    aio: Any, start: Start, times: int
) -> None:
    condition = aio.Condition()
    left: list[bool] = []
    (waiter,) = await start(hold_and_wait(condition, left))
    await condition.acquire()
    condition.notify()
    for _ in range(times):
        await settle(aio)
        waiter.cancel()
    assert await states(aio, waiter) == ["waiting"]
    condition.release()
    assert await states(aio, waiter) == ["cancelled"]
    assert left == [True]
    assert condition.locked() is False


@EVERY_LOOP
@pytest.mark.parametrize("first_step", ["release", "cancel"])
@requirement("Condition.wait/reacquires-lock-when-cancelled")
async def test_cancelled_in_the_turn_in_which_the_lock_is_released_it_takes_it_and_raises(
    aio: Any, start: Start, first_step: str
) -> None:
    condition = aio.Condition()
    left: list[bool] = []
    (waiter,) = await start(hold_and_wait(condition, left))
    await condition.acquire()
    condition.notify()
    await settle(aio)
    (other,) = await start(hold(condition))
    steps = [condition.release, waiter.cancel]
    for step in steps if first_step == "release" else reversed(steps):
        step()
    assert await states(aio, waiter, other) == ["cancelled", "held"]
    assert left == [True]
    assert condition.locked() is False


@EVERY_LOOP
@requirement("Condition.wait/reacquires-lock-when-cancelled")
async def test_a_cancelled_wait_for_holds_the_lock_when_it_raises(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    left: list[bool] = []

    async def wait() -> None:
        async with condition:
            try:
                await condition.wait_for(lambda: False)
            finally:
                left.append(condition.locked())

    (waiter,) = await start(wait())
    waiter.cancel()
    assert await states(aio, waiter) == ["cancelled"]
    assert left == [True]
    assert condition.locked() is False


@requirement("Condition.wait/reacquires-lock-when-cancelled", "synchronization-general/timeout-leaves-primitive-usable")
async def test_a_wait_that_times_out_holds_the_lock_afterwards(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    async with condition:
        with pytest.raises(TimeoutError):
            async with aio.timeout(0):
                await condition.wait()
        assert condition.locked() is True
    left: list[bool] = []
    (waiter,) = await start(hold_and_wait(condition, left))
    async with condition:
        condition.notify()
    assert await states(aio, waiter) == ["notified"]


@EVERY_LOOP
@requirement("Condition.notify/wakes-at-most-n")
async def test_a_notification_passes_over_a_task_that_is_cancelled_already(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    left: list[bool] = []
    first, second = await start(hold_and_wait(condition, left), hold_and_wait(condition, left))
    async with condition:
        first.cancel()
        condition.notify()
    assert await states(aio, first, second) == ["cancelled", "notified"]


@EVERY_LOOP
@requirement("Condition.notify_all/wakes-all-waiters")
async def test_notify_all_wakes_the_others_when_some_are_cancelled_in_the_same_turn(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    left: list[bool] = []
    before, after, third, fourth = await start(*(hold_and_wait(condition, left) for _ in range(4)))
    async with condition:
        before.cancel()
        condition.notify_all()
        after.cancel()
    assert await states(aio, before, after, third, fourth) == ["cancelled", "cancelled", "notified", "notified"]
    assert left == [True] * 4


@EVERY_LOOP
@requirement("Condition.notify/survives-cancelled-waiter")
async def test_a_notification_to_a_task_that_is_cancelled_in_the_same_turn_wakes_another(
    aio: Any, start: Start
) -> None:
    condition = aio.Condition()
    left: list[bool] = []
    waiters = await start(hold_and_wait(condition, left), hold_and_wait(condition, left))
    async with condition:
        condition.notify()
        waiters[0].cancel()
    assert await states(aio, *waiters) == ["cancelled", "notified"]


@EVERY_LOOP
@requirement("Condition.notify/survives-cancelled-waiter")
async def test_a_notification_to_a_task_that_is_cancelled_while_it_waits_for_the_lock_wakes_another(
    aio: Any, start: Start
) -> None:
    condition = aio.Condition()
    left: list[bool] = []
    waiters = await start(hold_and_wait(condition, left), hold_and_wait(condition, left))
    await condition.acquire()
    condition.notify()
    await settle(aio)
    waiters[0].cancel()
    await settle(aio)
    condition.release()
    assert await states(aio, *waiters) == ["cancelled", "notified"]
