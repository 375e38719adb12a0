"""``Lock``: one holder at a time, in the order of arrival, and no wake-up lost to a cancellation."""

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


@requirement("Lock/accepts-no-arguments")
async def test_a_lock_is_made_without_arguments(aio: Any) -> None:
    assert aio.Lock() is not aio.Lock()
    for arguments, keywords in (((None,), {}), ((1,), {}), ((), {"lock": None})):
        with pytest.raises(TypeError):
            aio.Lock(*arguments, **keywords)


@requirement("Lock/starts-unlocked-unowned", "Lock.locked/returns-lock-state")
async def test_a_lock_is_unlocked_at_first_and_locked_while_somebody_holds_it(aio: Any) -> None:
    lock = aio.Lock()
    seen = [lock.locked()]
    await lock.acquire()
    seen.append(lock.locked())
    lock.release()
    seen.append(lock.locked())
    assert [state is True for state in seen] == [False, True, False]
    assert [state is False for state in seen] == [True, False, True]


@requirement("Lock/starts-unlocked-unowned")
async def test_another_task_than_the_one_that_acquired_it_may_release_a_lock(aio: Any, start: Start) -> None:
    lock = aio.Lock()
    await lock.acquire()

    async def release() -> None:
        lock.release()

    (other,) = await start(release())
    assert await states(aio, other) == [None]
    assert lock.locked() is False


@requirement("Lock.acquire/is-coroutine-method")
async def test_calling_acquire_locks_nothing_until_it_is_awaited(aio: Any) -> None:
    lock = aio.Lock()
    acquiring = lock.acquire()
    await settle(aio)
    assert lock.locked() is False
    assert await acquiring is True
    assert lock.locked() is True


@EVERY_LOOP
@requirement("Lock.acquire/returns-immediately-when-unlocked")
async def test_an_unlocked_lock_is_acquired_without_giving_way_to_the_loop(loop: AbstractEventLoop, aio: Any) -> None:
    lock = aio.Lock()
    for _ in range(3):
        assert await without_suspending(loop, lock.acquire()) is True
        assert lock.locked() is True
        lock.release()


@EVERY_LOOP
@requirement("Lock.acquire/waits-while-locked")
async def test_acquire_waits_for_the_release_and_returns_true(aio: Any, start: Start) -> None:
    lock = aio.Lock()
    await lock.acquire()
    (waiter,) = await start(lock.acquire())
    assert await states(aio, waiter) == ["waiting"]
    lock.release()
    assert await states(aio, waiter) == [True]
    assert lock.locked() is True


@EVERY_LOOP
@requirement("Lock.acquire/release-admits-one-waiter", "Lock.acquire/waiters-fifo-order")
async def test_each_release_admits_the_one_that_has_waited_longest(aio: Any, start: Start) -> None:
    lock = aio.Lock()
    await lock.acquire()
    waiters = await start(*(lock.acquire() for _ in range(4)))
    for admitted in range(1, 5):
        lock.release()
        assert await states(aio, *waiters) == [True] * admitted + ["waiting"] * (4 - admitted)
        assert lock.locked() is True


@EVERY_LOOP
@requirement("Lock.acquire/waiters-fifo-order")
async def test_tasks_hold_the_lock_in_the_order_in_which_they_came(aio: Any, start: Start) -> None:
    lock = aio.Lock()
    order: list[int] = []

    async def hold(number: int) -> None:
        async with lock:
            await aio.sleep(0)
            order.append(number)

    async with lock:
        tasks = await start(*map(hold, range(20)))
    await aio.wait(tasks, timeout=GENEROUS)
    assert order == list(range(20))


@EVERY_LOOP
@requirement("Lock.acquire/waiters-fifo-order")
async def test_a_latecomer_does_not_overtake_the_waiter_that_a_release_woke(aio: Any, start: Start) -> None:
    assert await order_with_latecomer(aio, start, aio.Lock()) == ["first", "late"]


@EVERY_LOOP
@pytest.mark.parametrize("cancelled", [0, 1, 2])
@requirement("Lock.acquire/cancelled-waiter-is-skipped")
async def test_a_waiter_that_is_cancelled_is_skipped(aio: Any, start: Start, cancelled: int) -> None:
    lock = aio.Lock()
    await lock.acquire()
    waiters = await start(*(lock.acquire() for _ in range(3)))
    waiters[cancelled].cancel()
    assert await states(aio, waiters[cancelled]) == ["cancelled"]
    del waiters[cancelled]
    lock.release()
    assert await states(aio, *waiters) == [True, "waiting"]
    lock.release()
    assert await states(aio, *waiters) == [True, True]


@EVERY_LOOP
@pytest.mark.parametrize("first_step", ["release", "cancel"])
@requirement("Lock.acquire/cancelled-waiter-is-skipped")
async def test_a_release_that_meets_a_cancellation_admits_the_next_waiter(
    aio: Any, start: Start, first_step: str
) -> None:
    lock = aio.Lock()
    await lock.acquire()
    first, second, third = await start(*(lock.acquire() for _ in range(3)))
    steps = [lock.release, first.cancel]
    for step in steps if first_step == "release" else reversed(steps):
        step()
    assert await states(aio, first, second, third) == ["cancelled", True, "waiting"]
    assert lock.locked() is True


@EVERY_LOOP
@requirement("Lock.acquire/cancelled-waiter-is-skipped")
async def test_a_release_that_meets_the_cancellation_of_each_waiter_leaves_the_lock_free(
    loop: AbstractEventLoop, aio: Any, start: Start
) -> None:
    lock = aio.Lock()
    await lock.acquire()
    waiters = await start(*(lock.acquire() for _ in range(3)))
    lock.release()
    for waiter in waiters:
        waiter.cancel()
    assert await states(aio, *waiters) == ["cancelled"] * 3
    assert lock.locked() is False
    assert await without_suspending(loop, lock.acquire()) is True


@requirement("Lock.acquire/cancelled-waiter-is-skipped")
async def test_the_lock_admits_one_at_a_time_and_forgets_nobody_while_tasks_are_cancelled(aio: Any, loop: Any) -> None:
    lock = aio.Lock()
    inside: list[int] = []
    crowds: list[list[int]] = []
    dice = random.Random(1)

    async def hold(number: int) -> int:
        async with lock:
            inside.append(number)
            try:
                await settle(aio, dice.randrange(3))
                crowds.append(list(inside))
            finally:
                inside.remove(number)
        return number

    tasks = [loop.create_task(hold(number)) for number in range(60)]
    for victim in dice.sample(tasks, 25):
        await settle(aio, dice.randrange(3))
        victim.cancel()
    await aio.wait(tasks, timeout=GENEROUS)
    found = await states(aio, *tasks)
    assert [state for number, state in enumerate(found) if state not in (number, "cancelled")] == []
    assert [crowd for crowd in crowds if len(crowd) > 1] == []
    assert lock.locked() is False


@requirement("Lock.release/unlocks-and-returns-none")
async def test_release_unlocks_at_once_and_returns_none(loop: AbstractEventLoop, aio: Any) -> None:
    lock = aio.Lock()
    await lock.acquire()
    assert lock.release() is None
    assert lock.locked() is False
    assert await without_suspending(loop, lock.acquire()) is True


@requirement("Lock.release/raises-when-unlocked")
async def test_releasing_an_unlocked_lock_raises_runtimeerror(aio: Any) -> None:
    lock = aio.Lock()
    with pytest.raises(RuntimeError):
        lock.release()
    async with lock:
        pass
    with pytest.raises(RuntimeError):
        lock.release()
    assert await lock.acquire() is True


@EVERY_LOOP
@requirement("Lock/async-with-acquires-and-releases")
async def test_async_with_holds_the_lock_until_the_block_is_left(aio: Any, start: Start) -> None:
    lock = aio.Lock()
    async with lock:
        assert lock.locked() is True
        (waiter,) = await start(lock.acquire())
        assert await states(aio, waiter) == ["waiting"]
    assert await states(aio, waiter) == [True]


@requirement("Lock/async-with-acquires-and-releases")
async def test_async_with_waits_for_a_lock_that_is_held(aio: Any, start: Start) -> None:
    lock = aio.Lock()
    entered: list[bool] = []

    async def enter() -> None:
        async with lock:
            entered.append(lock.locked())

    await lock.acquire()
    (task,) = await start(enter())
    assert entered == []
    lock.release()
    assert await states(aio, task) == [None]
    assert entered == [True]
    assert lock.locked() is False


@EVERY_WAY_OUT
@requirement("Lock/async-with-acquires-and-releases")
async def test_async_with_releases_the_lock_however_the_block_is_left(
    loop: AbstractEventLoop, aio: Any, start: Start, way_out: str
) -> None:
    lock = aio.Lock()
    await leave_block(loop, aio, start, lock, way_out)
    assert lock.locked() is False


@requirement("Lock/async-with-acquires-and-releases", "Lock.acquire/cancelled-waiter-is-skipped")
async def test_async_with_that_is_cancelled_while_it_waits_leaves_the_lock_to_its_holder(
    aio: Any, start: Start
) -> None:
    lock = aio.Lock()

    async def enter() -> None:
        async with lock:
            pass

    await lock.acquire()
    (task,) = await start(enter())
    task.cancel()
    assert await states(aio, task) == ["cancelled"]
    assert lock.locked() is True


@requirement("Lock/rejects-legacy-forms")
async def test_awaiting_a_lock_raises_typeerror(aio: Any) -> None:
    lock = aio.Lock()
    with pytest.raises(TypeError):
        await lock
    with pytest.raises(TypeError):
        with await lock:
            pass
    assert lock.locked() is False


@requirement("Lock/rejects-legacy-forms")
async def test_yielding_from_a_lock_raises_typeerror(aio: Any) -> None:
    lock = aio.Lock()

    def old() -> Any:
        with (yield from lock):
            pass

    with pytest.raises(TypeError):
        next(old())
    assert lock.locked() is False
