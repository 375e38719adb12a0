"""Lock: one holder at a time, in the order of arrival, no wake-up lost."""

from __future__ import annotations

from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement


@requirement("Lock/accepts-no-arguments", "explicit-loop-argument-sync-queue/rejects-loop-keyword")
@pytest.mark.parametrize("name", ["Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Queue"])
def test_primitives_are_made_without_a_loop_and_take_no_loop_argument(aio: Any, loop: Any, name: str) -> None:
    make = getattr(aio, name)
    make()
    with pytest.raises(TypeError):
        make(loop=loop)


@requirement("Lock/starts-unlocked-unowned", "Lock.locked/returns-lock-state", "Lock.release/unlocks-and-returns-none")
async def test_a_lock_starts_unlocked_and_any_task_may_release_it(aio: Any, loop: Any) -> None:
    lock = aio.Lock()
    assert lock.locked() is False
    await lock.acquire()
    assert lock.locked() is True

    async def other() -> None:
        assert lock.release() is None

    await loop.create_task(other())
    assert lock.locked() is False


@requirement("Lock.release/raises-when-unlocked")
def test_releasing_an_unlocked_lock_raises_runtimeerror(aio: Any) -> None:
    with pytest.raises(RuntimeError):
        aio.Lock().release()


@requirement("Lock.acquire/is-coroutine-method")
async def test_calling_acquire_locks_nothing_until_awaited(aio: Any) -> None:
    lock = aio.Lock()
    acquiring = lock.acquire()
    assert not lock.locked()
    assert await acquiring is True
    assert lock.locked()


@requirement("Lock.acquire/returns-immediately-when-unlocked")
async def test_a_free_lock_is_taken_without_suspending(aio: Any) -> None:
    acquiring = aio.Lock().acquire()
    with pytest.raises(StopIteration) as stop:
        acquiring.send(None)
    assert stop.value.value is True


@requirement("Lock.acquire/waits-while-locked", "Lock.acquire/release-admits-one-waiter")
async def test_a_release_admits_exactly_one_waiter(aio: Any, loop: Any) -> None:
    lock = aio.Lock()
    await lock.acquire()
    waiters = [loop.create_task(lock.acquire()) for _ in range(3)]
    await settle()
    assert not any(waiter.done() for waiter in waiters)
    lock.release()
    await settle()
    assert [waiter.done() for waiter in waiters] == [True, False, False]
    assert lock.locked()


@requirement("Lock.acquire/waiters-fifo-order")
async def test_waiters_get_the_lock_in_the_order_in_which_they_came(aio: Any, loop: Any) -> None:
    lock = aio.Lock()
    order: list[int] = []

    async def hold(number: int) -> None:
        async with lock:
            order.append(number)
            await aio.sleep(0)

    tasks = [loop.create_task(hold(number)) for number in range(20)]
    await aio.gather(*tasks)
    assert order == list(range(20))


@requirement("Lock.acquire/waiters-fifo-order", "Lock.release/unlocks-and-returns-none")
async def test_a_latecomer_does_not_overtake_the_waiter_that_was_woken(aio: Any, loop: Any) -> None:
    lock = aio.Lock()
    await lock.acquire()
    order: list[str] = []

    async def hold(name: str) -> None:
        async with lock:
            order.append(name)

    first = loop.create_task(hold("first"))
    await settle()
    lock.release()
    assert not lock.locked()
    await hold("late")
    await first
    assert order == ["first", "late"]


@requirement("Lock.acquire/cancelled-waiter-is-skipped")
async def test_a_cancelled_waiter_is_skipped(aio: Any, loop: Any) -> None:
    lock = aio.Lock()
    await lock.acquire()
    first, second = (loop.create_task(lock.acquire()) for _ in range(2))
    await settle()
    first.cancel()
    lock.release()
    await settle()
    assert first.cancelled()
    assert second.done()
    assert lock.locked()


@requirement("Lock.acquire/cancelled-waiter-is-skipped")
async def test_a_waiter_cancelled_after_it_was_woken_passes_the_lock_on(aio: Any, loop: Any) -> None:
    lock = aio.Lock()
    await lock.acquire()
    first, second = (loop.create_task(lock.acquire()) for _ in range(2))
    await settle()
    lock.release()
    first.cancel()
    await settle()
    assert first.cancelled()
    assert second.done()
    assert await second is True


@requirement("Lock.acquire/cancelled-waiter-is-skipped")
async def test_the_last_waiter_cancelled_after_it_was_woken_leaves_the_lock_free(aio: Any, loop: Any) -> None:
    lock = aio.Lock()
    await lock.acquire()
    only = loop.create_task(lock.acquire())
    await settle()
    lock.release()
    only.cancel()
    await settle()
    assert only.cancelled()
    assert not lock.locked()
    assert await lock.acquire() is True


@requirement("Lock/async-with-acquires-and-releases")
async def test_async_with_holds_the_lock_and_releases_it_after_an_exception(aio: Any) -> None:
    lock = aio.Lock()

    async def fail() -> None:
        async with lock as target:
            assert target is None
            assert lock.locked()
            raise ZeroDivisionError

    assert isinstance(await outcome(fail()), ZeroDivisionError)
    assert not lock.locked()


@requirement("Lock/rejects-legacy-forms")
async def test_neither_await_nor_with_work_on_a_lock(aio: Any) -> None:
    lock = aio.Lock()
    with pytest.raises(TypeError):
        await lock
    assert not hasattr(lock, "__enter__")


@requirement("synchronization-general/timeout-leaves-primitive-usable")
@requirement("synchronization-general/rejects-timeout-argument")
async def test_a_timed_out_acquire_leaves_the_lock_usable(aio: Any) -> None:
    lock = aio.Lock()
    await lock.acquire()
    with pytest.raises(TypeError):
        await lock.acquire(timeout=1)
    with pytest.raises(TimeoutError):
        await aio.wait_for(lock.acquire(), 0.001)
    lock.release()
    assert not lock.locked()
    assert await lock.acquire() is True


@requirement("explicit-loop-argument-sync-queue/rejects-use-from-second-loop")
@pytest.mark.parametrize("kind", ["Lock", "Event", "Condition", "Semaphore", "Queue"])
def test_a_primitive_that_made_somebody_wait_serves_no_second_loop(aio: Any, loop: Any, kind: str) -> None:
    primitive = aio.Semaphore(0) if kind == "Semaphore" else getattr(aio, kind)()

    async def have_to_wait() -> None:
        if kind == "Lock":
            if not primitive.locked():
                await primitive.acquire()
            await primitive.acquire()
        elif kind == "Queue":
            await primitive.get()
        elif kind == "Semaphore":
            await primitive.acquire()
        elif kind == "Event":
            await primitive.wait()
        else:
            async with primitive:
                await primitive.wait()

    async def begin_to_wait() -> None:
        task = aio.create_task(have_to_wait())
        await settle()
        task.cancel()
        assert isinstance(await outcome(task), aio.CancelledError)

    loop.run_until_complete(begin_to_wait())
    with pytest.raises(RuntimeError):
        aio.run(have_to_wait())
