"""Semaphores: permits, in the order of arrival, none lost."""

from __future__ import annotations

from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement


@requirement("Semaphore/accepts-documented-arguments", "Semaphore/rejects-negative-value")
@requirement("BoundedSemaphore/is-semaphore-subclass")
@pytest.mark.parametrize("name", ["Semaphore", "BoundedSemaphore"])
def test_the_counter_starts_at_value_one_by_default_and_never_below_zero(aio: Any, name: str) -> None:
    make = getattr(aio, name)
    assert issubclass(make, aio.Semaphore)
    assert not make().locked()
    assert make(value=0).locked()
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        make(-1)


@requirement("Semaphore.acquire/is-coroutine-method", "Semaphore.acquire/decrements-immediately-when-positive")
async def test_a_permit_that_is_there_is_taken_without_suspending(aio: Any) -> None:
    semaphore = aio.Semaphore(2)
    for locked in (False, True):
        acquiring = semaphore.acquire()
        assert not semaphore.locked()
        with pytest.raises(StopIteration) as stop:
            acquiring.send(None)
        assert stop.value.value is True
        assert semaphore.locked() is locked


@requirement("Semaphore.acquire/waits-while-zero", "Semaphore.release/wakes-one-waiter")
@requirement("Semaphore.acquire/waiters-fifo-order")
async def test_each_release_lets_the_longest_waiting_task_go_on(aio: Any, loop: Any) -> None:
    semaphore = aio.Semaphore(0)
    waiters = [loop.create_task(semaphore.acquire()) for _ in range(3)]
    for released in range(3):
        await settle()
        assert [waiter.done() for waiter in waiters] == [n < released for n in range(3)]
        semaphore.release()
    assert await aio.gather(*waiters) == [True] * 3
    assert semaphore.locked()


@requirement("Semaphore.release/increments-counter", "Semaphore.release/allowed-above-initial-value")
@requirement("Semaphore.locked/returns-whether-acquire-waits")
async def test_a_semaphore_may_be_released_above_its_first_value(aio: Any) -> None:
    semaphore = aio.Semaphore(0)
    for _ in range(3):
        semaphore.release()
    for _ in range(3):
        assert not semaphore.locked()
        await semaphore.acquire()
    assert semaphore.locked()


@requirement("BoundedSemaphore/rejects-release-above-initial")
async def test_a_bounded_semaphore_may_not(aio: Any) -> None:
    semaphore = aio.BoundedSemaphore(1)
    await semaphore.acquire()
    semaphore.release()
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        semaphore.release()
    assert not semaphore.locked()


@requirement("Semaphore/async-with-acquires-and-releases")
@pytest.mark.parametrize("name", ["Semaphore", "BoundedSemaphore"])
async def test_async_with_holds_a_permit_and_gives_it_back_after_an_exception(aio: Any, name: str) -> None:
    semaphore = getattr(aio, name)()

    async def fail() -> None:
        async with semaphore:
            assert semaphore.locked()
            raise ZeroDivisionError

    assert isinstance(await outcome(fail()), ZeroDivisionError)
    assert not semaphore.locked()


@requirement("Semaphore/at-most-value-holders", "Semaphore.acquire/waiters-fifo-order")
async def test_at_most_value_tasks_hold_it_and_they_come_in_order(aio: Any, loop: Any) -> None:
    semaphore = aio.Semaphore(3)
    inside: set[int] = set()
    order: list[int] = []
    most = 0

    async def hold(number: int) -> None:
        nonlocal most
        async with semaphore:
            order.append(number)
            inside.add(number)
            most = max(most, len(inside))
            await settle(number % 4)
            inside.discard(number)

    await aio.gather(*(loop.create_task(hold(number)) for number in range(30)))
    assert most == 3
    assert order == list(range(30))


@requirement("Semaphore.acquire/waiters-fifo-order")
async def test_a_latecomer_does_not_overtake_the_waiter_that_was_woken(aio: Any, loop: Any) -> None:
    semaphore = aio.Semaphore(1)
    await semaphore.acquire()
    order: list[str] = []

    async def hold(name: str) -> None:
        async with semaphore:
            order.append(name)

    first = loop.create_task(hold("first"))
    await settle()
    semaphore.release()
    await hold("late")
    await first
    assert order == ["first", "late"]


@requirement("Semaphore.release/wakes-one-waiter", "synchronization-general/timeout-leaves-primitive-usable")
@pytest.mark.parametrize("first_released", [True, False])
async def test_a_permit_that_meets_a_cancellation_is_not_lost(aio: Any, loop: Any, first_released: bool) -> None:
    semaphore = aio.BoundedSemaphore(1)
    await semaphore.acquire()
    first, second = (loop.create_task(semaphore.acquire()) for _ in range(2))
    await settle()
    if first_released:
        semaphore.release()
        first.cancel()
    else:
        first.cancel()
        semaphore.release()
    await settle()
    assert first.cancelled()
    assert second.done()
    semaphore.release()
    assert not semaphore.locked()


@requirement("Semaphore.release/wakes-one-waiter")
async def test_a_permit_nobody_is_left_for_returns_to_the_counter(aio: Any, loop: Any) -> None:
    semaphore = aio.BoundedSemaphore(1)
    await semaphore.acquire()
    only = loop.create_task(semaphore.acquire())
    await settle()
    semaphore.release()
    only.cancel()
    await settle()
    assert only.cancelled()
    assert not semaphore.locked()
