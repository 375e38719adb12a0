"""Locks, barriers and queues beyond what the documentation promises: across worlds, with subclasses, and in fairness.

The promises themselves are checked by the cases of the suite, in ``conformance/cases/sync`` and ``…/queue``.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import refloop
from refloop.tests.highlevel.steps import outcome, settle

TASKS = 12


@pytest.mark.parametrize("name", ["Lock", "Semaphore", "BoundedSemaphore", "Condition"])
async def test_tasks_of_every_world_take_turns(aio: Any, loop: Any, name: str) -> None:
    lock = getattr(aio, name)()
    inside: list[int] = []
    order: list[int] = []

    async def hold(number: int) -> None:
        async with lock:
            inside.append(number)
            await aio.sleep(0)
            assert inside == [number]
            order.append(inside.pop())

    tasks = [loop.create_task(hold(number)) for number in range(TASKS)]
    await settle(2)
    tasks[5].cancel()
    assert isinstance(await outcome(tasks.pop(5)), aio.CancelledError)
    await aio.gather(*tasks)
    assert order == [number for number in range(TASKS) if number != 5]


async def test_tasks_of_every_world_wait_for_one_another(aio: Any, loop: Any) -> None:
    event, condition, barrier, queue = aio.Event(), aio.Condition(), aio.Barrier(TASKS), aio.Queue(2)
    ready: list[int] = []

    async def walk(number: int) -> int:
        await event.wait()
        async with condition:
            ready.append(number)
            condition.notify_all()
            await condition.wait_for(lambda: len(ready) == TASKS)
        place: int = await barrier.wait()
        await queue.put(place)
        return place

    tasks = [loop.create_task(walk(number)) for number in range(TASKS)]
    await settle()
    event.set()
    got = [await queue.get() for _ in range(TASKS)]
    assert sorted(got) == sorted(await aio.gather(*tasks)) == list(range(TASKS))


async def test_a_condition_takes_a_lock_of_the_other_make(aio: Any, loop: Any) -> None:
    for lock in (asyncio.Lock(), refloop.Lock()):
        condition = aio.Condition(lock)

        async def wait(condition: Any = condition) -> object:
            async with condition:
                return await condition.wait()

        task = loop.create_task(wait())
        await settle()
        async with condition:
            condition.notify()
        assert await task is True


@pytest.mark.parametrize("name", ["Lock", "Semaphore", "Condition"])
async def test_async_with_goes_through_acquire_and_release_of_a_subclass(aio: Any, name: str) -> None:
    if aio is asyncio and name == "Condition":
        pytest.skip("there the lock's own methods are the condition's")
    calls: list[str] = []

    class Recording(getattr(aio, name)):  # type: ignore[misc]
        async def acquire(self) -> object:
            calls.append("acquire")
            return await super().acquire()

        def release(self) -> None:
            calls.append("release")
            super().release()

    async with Recording():
        pass
    assert calls == ["acquire", "release"]


async def test_abort_reaches_waits_that_were_let_go_and_have_not_returned(aio: Any, loop: Any) -> None:
    barrier = aio.Barrier(2)
    waiting = loop.create_task(barrier.wait())
    await settle()
    await barrier.wait()
    await barrier.abort()
    assert isinstance(await outcome(waiting), aio.BrokenBarrierError)


@pytest.mark.asyncio_differs("a latecomer takes the item, and the woken getter waits again behind the others")
async def test_a_latecomer_does_not_overtake_the_getter_that_was_woken(aio: Any, loop: Any) -> None:
    queue = aio.Queue()
    first = loop.create_task(queue.get())
    await settle()
    queue.put_nowait("for the first")
    late = loop.create_task(queue.get())
    getting = queue.get()
    # Runs before the woken task does: it must find nothing to take.
    getting.send(None)
    with pytest.raises(aio.CancelledError):
        getting.throw(aio.CancelledError())
    await settle()
    assert first.result() == "for the first"
    assert not late.done()
    late.cancel()


@pytest.mark.parametrize("taken", [1, 2, 3])
@pytest.mark.asyncio_differs("getters that find nothing wait again behind the others")
async def test_getters_whose_items_were_taken_by_get_nowait_keep_their_order(aio: Any, loop: Any, taken: int) -> None:
    queue = aio.Queue()
    getters = [loop.create_task(queue.get()) for _ in range(4)]
    await settle()
    for _ in range(taken):
        queue.put_nowait("taken away")
    for _ in range(taken):
        queue.get_nowait()
    for item in range(4):
        await settle()
        assert not getters[item].done()
        queue.put_nowait(item)
    assert await aio.gather(*getters) == [0, 1, 2, 3]


@pytest.mark.parametrize("taken", [1, 2, 3])
@pytest.mark.asyncio_differs("putters that find no slot wait again behind the others")
async def test_putters_whose_slots_were_taken_by_put_nowait_keep_their_order(aio: Any, loop: Any, taken: int) -> None:
    queue = aio.Queue(3)
    for _ in range(3):
        queue.put_nowait("old")
    putters = [loop.create_task(queue.put(number)) for number in range(4)]
    await settle()
    for _ in range(taken):
        queue.get_nowait()
    for _ in range(taken):
        queue.put_nowait("new")
    got = []
    for _ in range(7):
        await settle()
        got.append(queue.get_nowait())
    await aio.gather(*putters)
    assert got == ["old"] * (3 - taken) + ["new"] * taken + [0, 1, 2, 3]


async def test_a_subclass_may_keep_its_items_its_own_way(aio: Any) -> None:
    class UniqueQueue(aio.Queue):  # type: ignore[misc]
        def _init(self, _: int) -> None:
            self._queue: dict[Any, None] = {}

        def _put(self, item: object) -> None:
            self._queue[item] = None

        def _get(self) -> object:
            return self._queue.popitem()[0]

    queue = UniqueQueue()
    for _ in range(3):
        await queue.put("same")
    assert queue.qsize() == 1
    assert await queue.get() == "same"


def test_queues_can_be_subscripted_by_the_type_of_their_items(aio: Any) -> None:
    assert aio.Queue[int]
    assert aio.PriorityQueue[int]
