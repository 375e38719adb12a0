"""``Condition``: its lock, waiting for a notification under it, and how many a notification wakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.holding import EVERY_WAY_OUT, leave_block
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.turns import kinds, settle, states, without_waiting

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.turns import Start

EVERY_LOOP = on_loops(PLAIN, DEBUG, EAGER)


async def hold_and_wait(condition: Any, name: object = True) -> object:
    """Wait for a notification and leave the lock at once."""
    async with condition:
        assert await condition.wait() is True
        assert condition.locked() is True
    return name


async def notify(condition: Any, *arguments: int) -> None:
    async with condition:
        assert condition.notify(*arguments) is None


async def notify_all(condition: Any) -> None:
    async with condition:
        assert condition.notify_all() is None


@requirement("Condition/accepts-documented-arguments", "Condition/expects-lock-or-none")
async def test_a_condition_takes_a_lock_by_position_or_name_or_none(aio: Any) -> None:
    lock = aio.Lock()
    await lock.acquire()
    conditions = [aio.Condition(lock), aio.Condition(lock=lock), aio.Condition(None), aio.Condition(lock=None)]
    assert [condition.locked() for condition in [*conditions, aio.Condition()]] == [True, True, False, False, False]
    with pytest.raises(TypeError):
        aio.Condition(lock, None)
    with pytest.raises(TypeError):
        aio.Condition(locks=lock)


@requirement("Condition/own-or-shared-lock")
async def test_without_a_lock_each_condition_has_one_of_its_own(aio: Any, start: Start) -> None:
    first, second = aio.Condition(), aio.Condition(None)
    await first.acquire()
    assert second.locked() is False
    assert await without_waiting(aio, start, second.acquire()) is True


@requirement("Condition/own-or-shared-lock")
async def test_conditions_that_share_a_lock_exclude_one_another(aio: Any, start: Start) -> None:
    lock = aio.Lock()
    first, second = aio.Condition(lock), aio.Condition(lock)
    await first.acquire()
    assert (lock.locked(), second.locked()) == (True, True)
    waiters = await start(second.acquire(), lock.acquire())
    assert await states(aio, *waiters) == ["waiting", "waiting"]
    second.release()
    assert await states(aio, *waiters) == [True, "waiting"]


@requirement("Condition/own-or-shared-lock")
async def test_a_notification_wakes_the_tasks_of_its_own_condition_only(aio: Any, start: Start) -> None:
    lock = aio.Lock()
    first, second = aio.Condition(lock), aio.Condition(lock)
    waiters = await start(hold_and_wait(first), hold_and_wait(second))
    await notify_all(second)
    assert await states(aio, *waiters) == ["waiting", True]


@EVERY_LOOP
@requirement("Condition/async-with-acquires-and-releases")
async def test_async_with_holds_the_lock_until_the_block_is_left(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    async with condition:
        assert condition.locked() is True
        (waiter,) = await start(condition.acquire())
        assert await states(aio, waiter) == ["waiting"]
    assert await states(aio, waiter) == [True]


@EVERY_WAY_OUT
@requirement("Condition/async-with-acquires-and-releases")
async def test_async_with_releases_the_lock_however_the_block_is_left(
    loop: AbstractEventLoop, aio: Any, start: Start, way_out: str
) -> None:
    condition = aio.Condition()
    await leave_block(loop, aio, start, condition, way_out)
    assert condition.locked() is False


@EVERY_LOOP
@requirement("Condition.acquire/waits-for-lock", "Condition.release/release-admits-one-waiter")
async def test_each_release_admits_one_of_those_that_acquire(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    assert await without_waiting(aio, start, condition.acquire()) is True
    waiters = await start(*(condition.acquire() for _ in range(3)))
    for admitted in range(3):
        assert await states(aio, *waiters) == [True] * admitted + ["waiting"] * (3 - admitted)
        assert condition.release() is None
    assert await states(aio, *waiters) == [True] * 3


@requirement("Condition.locked/returns-lock-state")
async def test_locked_tells_whether_the_lock_is_held(aio: Any) -> None:
    lock = aio.Lock()
    condition = aio.Condition(lock)
    seen = [condition.locked()]
    await condition.acquire()
    seen.append(condition.locked())
    lock.release()
    seen.append(condition.locked())
    await lock.acquire()
    seen.append(condition.locked())
    assert seen == [False, True, False, True]
    assert {type(answer) for answer in seen} == {bool}


@pytest.mark.parametrize("given", ["own", "given"])
@requirement("Condition.release/raises-when-unlocked")
async def test_releasing_without_the_lock_raises_runtimeerror(aio: Any, given: str) -> None:
    condition = aio.Condition(aio.Lock() if given == "given" else None)
    with pytest.raises(RuntimeError):
        condition.release()
    async with condition:
        pass
    with pytest.raises(RuntimeError):
        condition.release()


@requirement("Condition.notify/raises-when-unlocked")
async def test_notifying_without_the_lock_raises_runtimeerror_and_wakes_nobody(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    with pytest.raises(RuntimeError):
        condition.notify()
    (waiter,) = await start(hold_and_wait(condition))
    with pytest.raises(RuntimeError):
        condition.notify()
    assert await states(aio, waiter) == ["waiting"]


@requirement("Condition.notify_all/raises-when-unlocked")
async def test_notifying_all_without_the_lock_raises_runtimeerror_and_wakes_nobody(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    with pytest.raises(RuntimeError):
        condition.notify_all()
    (waiter,) = await start(hold_and_wait(condition))
    with pytest.raises(RuntimeError):
        condition.notify_all()
    assert await states(aio, waiter) == ["waiting"]


@requirement("Condition.wait/raises-when-unlocked")
async def test_waiting_without_the_lock_raises_runtimeerror(aio: Any) -> None:
    condition = aio.Condition()
    with pytest.raises(RuntimeError):
        await condition.wait()
    async with condition:
        pass
    with pytest.raises(RuntimeError):
        await condition.wait()
    assert condition.locked() is False


@EVERY_LOOP
@pytest.mark.parametrize(("arguments", "woken"), [((), 1), ((1,), 1), ((2,), 2), ((3,), 3), ((0,), 0)])
@requirement("Condition.notify/wakes-at-most-n")
async def test_notify_wakes_n_tasks_by_default_one(
    aio: Any, start: Start, arguments: tuple[int, ...], woken: int
) -> None:
    condition = aio.Condition()
    waiters = await start(*(hold_and_wait(condition) for _ in range(4)))
    await notify(condition, *arguments)
    found = await states(aio, *waiters)
    assert sorted(map(str, found)) == ["True"] * woken + ["waiting"] * (4 - woken)


@requirement("Condition.notify/wakes-at-most-n")
async def test_n_may_be_given_by_name(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    waiters = await start(*(hold_and_wait(condition) for _ in range(3)))
    async with condition:
        condition.notify(n=2)
    assert (await states(aio, *waiters)).count(True) == 2


@EVERY_LOOP
@requirement("Condition.notify/wakes-at-most-n")
async def test_notifications_add_up(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    waiters = await start(*(hold_and_wait(condition) for _ in range(5)))
    async with condition:
        condition.notify()
        condition.notify(2)
        condition.notify()
    assert (await states(aio, *waiters)).count(True) == 4


@EVERY_LOOP
@requirement("Condition.notify/tolerates-fewer-waiters")
async def test_notify_wakes_all_tasks_when_they_are_fewer_than_n(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    waiters = await start(*(hold_and_wait(condition) for _ in range(3)))
    await notify(condition, 10)
    assert await states(aio, *waiters) == [True] * 3


@EVERY_LOOP
@requirement("Condition.notify/tolerates-fewer-waiters")
async def test_a_notification_that_nobody_waits_for_is_forgotten(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    await notify(condition)
    await notify(condition, 5)
    await notify_all(condition)
    (waiter,) = await start(hold_and_wait(condition))
    assert await states(aio, waiter) == ["waiting"]
    await notify(condition)
    assert await states(aio, waiter) == [True]


@EVERY_LOOP
@requirement("Condition.notify/keeps-lock-held")
async def test_a_notified_task_goes_on_only_once_it_has_the_lock(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    waiters = await start(hold_and_wait(condition), hold_and_wait(condition))
    async with condition:
        condition.notify()
        condition.notify_all()
        assert condition.locked() is True
        assert await states(aio, *waiters) == ["waiting", "waiting"]
        assert condition.locked() is True
    assert await states(aio, *waiters) == [True, True]


@EVERY_LOOP
@requirement("Condition.notify_all/wakes-all-waiters")
async def test_notify_all_wakes_every_task_one_after_the_other(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    inside: list[int] = []
    crowds: list[int] = []

    async def wait(number: int) -> int:
        async with condition:
            await condition.wait()
            inside.append(number)
            await aio.sleep(0)
            crowds.append(len(inside))
            inside.remove(number)
        return number

    waiters = await start(*map(wait, range(4)))
    await notify_all(condition)
    assert await states(aio, *waiters) == [0, 1, 2, 3]
    assert crowds == [1] * 4


@requirement("Condition.wait/is-coroutine-method")
async def test_calling_wait_releases_nothing_until_it_is_awaited(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    await condition.acquire()
    waiting = condition.wait()
    await settle(aio)
    assert condition.locked() is True
    condition.notify()
    (waiter,) = await start(waiting)
    assert condition.locked() is False
    assert await states(aio, waiter) == ["waiting"]


@EVERY_LOOP
@requirement("Condition.wait/releases-waits-reacquires", "Condition/wait-inside-async-with")
async def test_wait_releases_the_lock_and_returns_true_when_it_has_it_again(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    seen: list[object] = []

    async def wait() -> None:
        async with condition:
            seen.append(await condition.wait())
            seen.append(condition.locked())

    (waiter,) = await start(wait())
    assert condition.locked() is False
    await notify(condition)
    assert await states(aio, waiter) == [None]
    assert seen == [True, True]
    assert condition.locked() is False


@requirement("Condition.wait/releases-waits-reacquires")
async def test_wait_admits_one_of_those_that_wait_for_the_lock(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    await condition.acquire()
    acquiring = await start(condition.acquire(), condition.acquire())
    (waiter,) = await start(condition.wait())
    assert await states(aio, *acquiring) == [True, "waiting"]
    condition.notify()
    condition.release()
    assert await states(aio, *acquiring, waiter) == [True, True, "waiting"]
    condition.release()
    assert await states(aio, waiter) == [True]


@EVERY_LOOP
@pytest.mark.parametrize("value", ["text", [0], 7, True], ids=repr)
@requirement("Condition.wait_for/returns-true-predicate-value", "Condition.wait_for/interprets-predicate-as-bool")
async def test_wait_for_returns_the_value_of_a_predicate_that_is_true_already(
    aio: Any, start: Start, value: object
) -> None:
    condition = aio.Condition()
    async with condition:
        assert await without_waiting(aio, start, condition.wait_for(lambda: value)) is value
        assert condition.locked() is True


@EVERY_LOOP
@requirement("Condition.wait_for/returns-true-predicate-value", "Condition.wait_for/rechecks-after-each-notification")
@requirement("Condition.wait_for/interprets-predicate-as-bool")
async def test_wait_for_waits_until_the_predicate_gives_something_true(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    values: list[object] = [False, None, 0, "", [], "true at last"]
    asked: list[bool] = []

    def predicate() -> object:
        asked.append(condition.locked())
        return values.pop(0)

    async def wait() -> object:
        async with condition:
            return await condition.wait_for(predicate)

    (waiter,) = await start(wait())
    for _ in range(5):
        assert await states(aio, waiter) == ["waiting"]
        await notify_all(condition)
    assert await states(aio, waiter) == ["true at last"]
    assert asked == [True] * 6


@requirement("Condition.wait_for/returns-true-predicate-value", "Condition/wait-inside-async-with")
async def test_a_predicate_that_raises_ends_wait_for_with_the_lock_held(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    answers: list[Any] = [False]
    held: list[bool] = []

    async def wait() -> None:
        async with condition:
            try:
                await condition.wait_for(lambda: answers.pop())
            finally:
                held.append(condition.locked())

    (waiter,) = await start(wait())
    await notify(condition)
    assert await kinds(aio, waiter) == [IndexError]
    assert held == [True]
    assert condition.locked() is False
