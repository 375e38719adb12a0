"""``Semaphore`` and ``BoundedSemaphore``: permits that go round in the order of arrival, and of which none is lost."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.holding import EVERY_WAY_OUT, leave_block, order_with_latecomer
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.turns import settle, states, without_suspending
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.turns import Start

EVERY_LOOP = on_loops(PLAIN, DEBUG, EAGER)
BOTH = pytest.mark.parametrize("name", ["Semaphore", "BoundedSemaphore"])


async def permits(loop: AbstractEventLoop, semaphore: Any) -> int:
    """Take all that can be taken without waiting, and give it back."""
    taken = 0
    while not semaphore.locked():
        assert await without_suspending(loop, semaphore.acquire()) is True
        taken += 1
    for _ in range(taken):
        semaphore.release()
    return taken


@BOTH
@requirement("Semaphore/accepts-documented-arguments", "BoundedSemaphore/is-semaphore-subclass")
async def test_the_counter_starts_at_value_by_default_one(loop: AbstractEventLoop, aio: Any, name: str) -> None:
    make = getattr(aio, name)
    semaphores = [make(), make(0), make(3), make(value=2)]
    assert [await permits(loop, semaphore) for semaphore in semaphores] == [1, 0, 3, 2]
    with pytest.raises(TypeError):
        make(1, 1)
    with pytest.raises(TypeError):
        make(bound=1)


@requirement("BoundedSemaphore/is-semaphore-subclass")
async def test_a_bounded_semaphore_is_a_semaphore(aio: Any) -> None:
    assert issubclass(aio.BoundedSemaphore, aio.Semaphore)
    assert not isinstance(aio.Semaphore(), aio.BoundedSemaphore)


@BOTH
@pytest.mark.parametrize("value", [-1, -100])
@requirement("Semaphore/rejects-negative-value", "BoundedSemaphore/is-semaphore-subclass")
async def test_a_negative_value_raises_valueerror(aio: Any, name: str, value: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        getattr(aio, name)(value)


@BOTH
@requirement("Semaphore.acquire/is-coroutine-method")
async def test_calling_acquire_takes_nothing_until_it_is_awaited(aio: Any, name: str) -> None:
    semaphore = getattr(aio, name)(1)
    acquiring = semaphore.acquire()
    await settle(aio)
    assert semaphore.locked() is False
    assert await acquiring is True
    assert semaphore.locked() is True


@BOTH
@EVERY_LOOP
@requirement("Semaphore.acquire/decrements-immediately-when-positive")
async def test_acquire_takes_one_without_giving_way_to_the_loop(loop: AbstractEventLoop, aio: Any, name: str) -> None:
    semaphore = getattr(aio, name)(3)
    seen = []
    for _ in range(3):
        seen.append(semaphore.locked())
        assert await without_suspending(loop, semaphore.acquire()) is True
    assert [*seen, semaphore.locked()] == [False, False, False, True]


@BOTH
@EVERY_LOOP
@requirement("Semaphore.acquire/waits-while-zero")
async def test_acquire_waits_for_a_release_and_returns_true(aio: Any, start: Start, name: str) -> None:
    semaphore = getattr(aio, name)(1)
    await semaphore.acquire()
    (waiter,) = await start(semaphore.acquire())
    assert await states(aio, waiter) == ["waiting"]
    semaphore.release()
    assert await states(aio, waiter) == [True]
    assert semaphore.locked() is True


@BOTH
@EVERY_LOOP
@requirement("Semaphore.release/wakes-one-waiter", "Semaphore.acquire/waiters-fifo-order")
async def test_each_release_wakes_the_one_that_has_waited_longest(aio: Any, start: Start, name: str) -> None:
    semaphore = getattr(aio, name)(4)
    for _ in range(4):
        await semaphore.acquire()
    waiters = await start(*(semaphore.acquire() for _ in range(4)))
    for woken in range(1, 5):
        assert semaphore.release() is None
        assert await states(aio, *waiters) == [True] * woken + ["waiting"] * (4 - woken)


@EVERY_LOOP
@requirement("Semaphore.release/wakes-one-waiter")
async def test_releases_in_one_turn_wake_as_many_tasks(aio: Any, start: Start) -> None:
    semaphore = aio.Semaphore(0)
    waiters = await start(*(semaphore.acquire() for _ in range(4)))
    for _ in range(3):
        semaphore.release()
    assert await states(aio, *waiters) == [True, True, True, "waiting"]
    assert semaphore.locked() is True


@EVERY_LOOP
@requirement("Semaphore.acquire/waiters-fifo-order")
async def test_a_latecomer_does_not_overtake_the_waiter_that_a_release_woke(aio: Any, start: Start) -> None:
    assert await order_with_latecomer(aio, start, aio.Semaphore(1)) == ["first", "late"]


@BOTH
@EVERY_LOOP
@requirement("Semaphore/at-most-value-holders", "Semaphore.acquire/waiters-fifo-order")
async def test_at_most_value_tasks_hold_it_and_they_come_in_order(loop: AbstractEventLoop, aio: Any, name: str) -> None:
    semaphore = getattr(aio, name)(3)
    inside: set[int] = set()
    crowds: list[int] = []
    order: list[int] = []

    async def hold(number: int) -> None:
        async with semaphore:
            order.append(number)
            inside.add(number)
            crowds.append(len(inside))
            await settle(aio, number % 4)
            inside.discard(number)

    await aio.wait([loop.create_task(hold(number)) for number in range(30)], timeout=GENEROUS)
    assert order == list(range(30))
    assert max(crowds) == 3


@requirement("Semaphore.release/increments-counter", "Semaphore.release/allowed-above-initial-value")
async def test_each_release_adds_one_also_above_the_initial_value(loop: AbstractEventLoop, aio: Any) -> None:
    semaphore = aio.Semaphore(1)
    counts = [await permits(loop, semaphore)]
    for _ in range(3):
        semaphore.release()
        counts.append(await permits(loop, semaphore))
    assert counts == [1, 2, 3, 4]


@requirement("Semaphore.release/increments-counter")
async def test_a_permit_that_was_given_back_can_be_taken_again(loop: AbstractEventLoop, aio: Any) -> None:
    semaphore = aio.Semaphore(2)
    for _ in range(3):
        await semaphore.acquire()
        assert await permits(loop, semaphore) == 1
        semaphore.release()
        assert await permits(loop, semaphore) == 2


@BOTH
@requirement("Semaphore.locked/returns-whether-acquire-waits")
async def test_locked_tells_whether_acquire_would_have_to_wait(aio: Any, start: Start, name: str) -> None:
    semaphore = getattr(aio, name)(2)
    seen = [semaphore.locked()]
    for _ in range(2):
        await semaphore.acquire()
        seen.append(semaphore.locked())
    (waiter,) = await start(semaphore.acquire())
    semaphore.release()
    # The permit is the waiter's: whoever comes now has to wait.
    seen.append(semaphore.locked())
    await states(aio, waiter)
    semaphore.release()
    seen.append(semaphore.locked())
    assert seen == [False, False, True, True, False]
    assert {type(answer) for answer in seen} == {bool}


@BOTH
@EVERY_LOOP
@requirement("Semaphore/async-with-acquires-and-releases")
async def test_async_with_holds_a_permit_until_the_block_is_left(aio: Any, start: Start, name: str) -> None:
    semaphore = getattr(aio, name)(1)
    async with semaphore:
        assert semaphore.locked() is True
        (waiter,) = await start(semaphore.acquire())
        assert await states(aio, waiter) == ["waiting"]
    assert await states(aio, waiter) == [True]


@BOTH
@EVERY_WAY_OUT
@requirement("Semaphore/async-with-acquires-and-releases")
async def test_async_with_gives_the_permit_back_however_the_block_is_left(
    loop: AbstractEventLoop, aio: Any, start: Start, name: str, way_out: str
) -> None:
    semaphore = getattr(aio, name)(1)
    await leave_block(loop, aio, start, semaphore, way_out)
    assert await permits(loop, semaphore) == 1


@pytest.mark.parametrize("value", [0, 1, 3])
@requirement("BoundedSemaphore/rejects-release-above-initial")
async def test_a_release_above_the_initial_value_raises_valueerror(
    loop: AbstractEventLoop, aio: Any, value: int
) -> None:
    semaphore = aio.BoundedSemaphore(value)
    for _ in range(2):
        for _ in range(value):
            await semaphore.acquire()
        for _ in range(value):
            semaphore.release()
        with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
            semaphore.release()
        assert await permits(loop, semaphore) == value


@requirement("BoundedSemaphore/rejects-release-above-initial")
async def test_a_release_too_many_raises_valueerror_also_after_a_task_waited(aio: Any, start: Start) -> None:
    semaphore = aio.BoundedSemaphore(1)
    await semaphore.acquire()
    (waiter,) = await start(semaphore.acquire())
    semaphore.release()
    assert await states(aio, waiter) == [True]
    semaphore.release()
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        semaphore.release()


@BOTH
@EVERY_LOOP
@pytest.mark.parametrize("first_step", ["release", "cancel"])
@requirement("Semaphore.acquire/cancelled-waiter-is-skipped")
async def test_a_release_that_meets_a_cancellation_wakes_the_next_task(
    loop: AbstractEventLoop, aio: Any, start: Start, name: str, first_step: str
) -> None:
    semaphore = getattr(aio, name)(1)
    await semaphore.acquire()
    first, second, third = await start(*(semaphore.acquire() for _ in range(3)))
    steps = [semaphore.release, first.cancel]
    for step in steps if first_step == "release" else reversed(steps):
        step()
    assert await states(aio, first, second, third) == ["cancelled", True, "waiting"]
    semaphore.release()
    assert await states(aio, third) == [True]
    semaphore.release()
    assert await permits(loop, semaphore) == 1


@EVERY_LOOP
@requirement("Semaphore.acquire/cancelled-waiter-is-skipped")
async def test_two_releases_that_meet_a_cancellation_wake_the_two_others(aio: Any, start: Start) -> None:
    semaphore = aio.Semaphore(0)
    first, second, third, fourth = await start(*(semaphore.acquire() for _ in range(4)))
    semaphore.release()
    semaphore.release()
    first.cancel()
    assert await states(aio, first, second, third, fourth) == ["cancelled", True, True, "waiting"]


@BOTH
@EVERY_LOOP
@requirement("Semaphore.acquire/cancelled-waiter-is-skipped")
async def test_a_permit_for_which_nobody_is_left_returns_to_the_counter(
    loop: AbstractEventLoop, aio: Any, start: Start, name: str
) -> None:
    semaphore = getattr(aio, name)(1)
    await semaphore.acquire()
    waiters = await start(semaphore.acquire(), semaphore.acquire())
    semaphore.release()
    for waiter in waiters:
        waiter.cancel()
    assert await states(aio, *waiters) == ["cancelled", "cancelled"]
    assert await permits(loop, semaphore) == 1


@pytest.mark.parametrize("cancelled", [0, 1, 2])
@requirement("Semaphore.acquire/cancelled-waiter-is-skipped")
async def test_a_task_that_was_cancelled_while_it_waited_is_forgotten(
    loop: AbstractEventLoop, aio: Any, start: Start, cancelled: int
) -> None:
    semaphore = aio.Semaphore(0)
    waiters = await start(*(semaphore.acquire() for _ in range(3)))
    waiters[cancelled].cancel()
    assert await states(aio, waiters.pop(cancelled)) == ["cancelled"]
    semaphore.release()
    assert await states(aio, *waiters) == [True, "waiting"]
    semaphore.release()
    semaphore.release()
    assert await states(aio, *waiters) == [True, True]
    assert await permits(loop, semaphore) == 1


@requirement("Semaphore.acquire/cancelled-waiter-is-skipped", "Semaphore/at-most-value-holders")
async def test_no_permit_is_lost_or_doubled_among_tasks_that_are_cancelled(loop: AbstractEventLoop, aio: Any) -> None:
    semaphore = aio.BoundedSemaphore(3)
    inside: set[int] = set()
    crowds: list[int] = []
    dice = random.Random(1)

    async def hold(number: int) -> int:
        async with semaphore:
            inside.add(number)
            crowds.append(len(inside))
            try:
                await settle(aio, dice.randrange(4))
            finally:
                inside.discard(number)
        return number

    tasks = [loop.create_task(hold(number)) for number in range(60)]
    for victim in dice.sample(tasks, 25):
        await settle(aio, dice.randrange(3))
        victim.cancel()
    await aio.wait(tasks, timeout=GENEROUS)
    found = await states(aio, *tasks)
    assert [state for number, state in enumerate(found) if state not in (number, "cancelled")] == []
    assert max(crowds) == 3
    assert await permits(loop, semaphore) == 3
