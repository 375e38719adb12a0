"""Condition: waiting under a lock, notifications, cancellation at each point."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import refloop
from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement


@requirement(
    "Condition/accepts-documented-arguments", "Condition/own-or-shared-lock", "Condition.locked/returns-lock-state"
)
async def test_a_condition_has_a_lock_of_its_own_or_shares_one(aio: Any) -> None:
    lock = aio.Lock()
    first, second, own = aio.Condition(lock), aio.Condition(lock=lock), aio.Condition()
    assert await first.acquire() is True
    assert first.locked() is True
    assert second.locked() is True
    assert own.locked() is False
    second.release()
    assert not lock.locked()


@requirement("Condition.release/raises-when-unlocked", "Condition.notify/raises-when-unlocked")
@requirement("Condition.notify_all/raises-when-unlocked")
@pytest.mark.parametrize("method", ["release", "notify", "notify_all"])
def test_without_the_lock_these_raise_runtimeerror(aio: Any, method: str) -> None:
    with pytest.raises(RuntimeError):
        getattr(aio.Condition(), method)()


@requirement("Condition.wait/raises-when-unlocked", "Condition.wait/is-coroutine-method")
async def test_waiting_without_the_lock_raises_runtimeerror(aio: Any) -> None:
    condition = aio.Condition()
    with pytest.raises(RuntimeError):
        await condition.wait()


@requirement("Condition.acquire/waits-for-lock", "Condition.release/release-admits-one-waiter")
async def test_a_release_admits_one_acquirer(aio: Any, loop: Any) -> None:
    condition = aio.Condition()
    await condition.acquire()
    waiters = [loop.create_task(condition.acquire()) for _ in range(2)]
    await settle()
    condition.release()
    await settle()
    assert [waiter.done() for waiter in waiters] == [True, False]


@requirement("Condition/async-with-acquires-and-releases")
async def test_async_with_holds_the_lock_and_releases_it_after_an_exception(aio: Any) -> None:
    condition = aio.Condition()

    async def fail() -> None:
        async with condition:
            assert condition.locked()
            raise ZeroDivisionError

    assert isinstance(await outcome(fail()), ZeroDivisionError)
    assert not condition.locked()


def start_waiters(loop: Any, condition: Any, number: int) -> tuple[list[Any], list[int]]:
    woken: list[int] = []

    async def wait(me: int) -> None:
        async with condition:
            assert await condition.wait() is True
            assert condition.locked()
            woken.append(me)

    return [loop.create_task(wait(n)) for n in range(number)], woken


@requirement("Condition.notify/wakes-at-most-n", "Condition.notify/tolerates-fewer-waiters")
@requirement("Condition.notify_all/wakes-all-waiters", "Condition/wait-inside-async-with")
@requirement("Condition.wait/releases-waits-reacquires")
async def test_notify_wakes_at_most_n_and_notify_all_the_rest(aio: Any, loop: Any) -> None:
    condition = aio.Condition()
    tasks, woken = start_waiters(loop, condition, 6)
    await settle()
    expected = 0
    for arguments, more in (((), 1), ((2,), 2)):
        async with condition:
            condition.notify(*arguments)
        await settle()
        expected += more
        assert woken == list(range(expected))
    async with condition:
        condition.notify_all()
    await aio.gather(*tasks)
    assert woken == list(range(6))
    async with condition:
        condition.notify(5)


@requirement("Condition.notify/keeps-lock-held")
async def test_a_notified_task_goes_on_only_once_it_has_the_lock(aio: Any, loop: Any) -> None:
    condition = aio.Condition()
    (task,), woken = start_waiters(loop, condition, 1)
    await settle()
    async with condition:
        condition.notify()
        await settle()
        assert condition.locked()
        assert not woken
    await task
    assert woken


@requirement("Condition.wait_for/returns-true-predicate-value", "Condition.wait_for/interprets-predicate-as-bool")
@requirement("Condition.wait_for/rechecks-after-each-notification")
async def test_wait_for_waits_until_the_predicate_gives_something_true_and_returns_it(aio: Any, loop: Any) -> None:
    condition = aio.Condition()
    values: list[str] = []

    async def wait() -> object:
        async with condition:
            return await condition.wait_for(lambda: values)

    task = loop.create_task(wait())
    for value in (None, "a"):
        await settle()
        assert not task.done()
        async with condition:
            values.extend(value or "")
            condition.notify_all()
    assert await task == ["a"]


@requirement("Condition.wait/reacquires-lock-when-cancelled")
async def test_a_cancelled_wait_has_the_lock_again_when_it_raises(aio: Any, loop: Any) -> None:
    condition = aio.Condition()
    seen: list[bool] = []

    async def wait() -> None:
        async with condition:
            try:
                await condition.wait()
            finally:
                seen.append(condition.locked())

    task = loop.create_task(wait())
    await settle()
    await condition.acquire()
    task.cancel()
    await settle()
    assert not seen
    condition.release()
    assert isinstance(await outcome(task), aio.CancelledError)
    assert seen == [True]
    assert not condition.locked()


@requirement("Condition.wait/reacquires-lock-when-cancelled")
async def test_cancelled_twice_while_it_reacquires_it_still_takes_the_lock(aio: Any, loop: Any) -> None:
    condition = aio.Condition()
    (task,), _ = start_waiters(loop, condition, 1)
    await settle()
    await condition.acquire()
    condition.notify()
    await settle()
    task.cancel()
    await settle()
    task.cancel()
    await settle()
    assert not task.done()
    condition.release()
    assert isinstance(await outcome(task), aio.CancelledError)
    assert not condition.locked()


@requirement("Condition.notify/wakes-at-most-n", "synchronization-general/timeout-leaves-primitive-usable")
@pytest.mark.since((3, 13))
async def test_a_notification_that_meets_a_cancellation_goes_to_the_next_waiter(aio: Any, loop: Any) -> None:
    condition = aio.Condition()
    (first, second), woken = start_waiters(loop, condition, 2)
    await settle()
    async with condition:
        condition.notify()
        first.cancel()
    await settle()
    assert first.cancelled()
    assert woken == [1]
    assert second.done()


@requirement("Condition.notify/wakes-at-most-n")
async def test_a_waiter_cancelled_before_the_notification_does_not_use_it_up(aio: Any, loop: Any) -> None:
    condition = aio.Condition()
    (first, second), woken = start_waiters(loop, condition, 2)
    await settle()
    async with condition:
        first.cancel()
        condition.notify()
    await settle()
    assert first.cancelled()
    assert woken == [1]
    assert second.done()


@requirement("Condition/expects-lock-or-none")
async def test_a_lock_of_the_other_make_serves(aio: Any, loop: Any) -> None:
    for lock in (asyncio.Lock(), refloop.Lock()):
        condition = aio.Condition(lock)
        (task,), woken = start_waiters(loop, condition, 1)
        await settle()
        async with condition:
            condition.notify()
        await task
        assert woken == [0]
