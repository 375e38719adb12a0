"""Waiting for items and for free slots: in the order of arrival, and nothing lost to a cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.turns import settle, states, without_waiting
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.turns import Start

EVERY_LOOP = on_loops(PLAIN, DEBUG, EAGER)
EVERY_KIND = pytest.mark.parametrize("kind", ["Queue", "PriorityQueue", "LifoQueue"])
# Long enough to begin to wait in, and nobody comes to end the wait.
SHORT = 0.001


def full_queue(aio: Any, kind: str = "Queue", *items: object) -> Any:
    """A queue at its limit: with ``items``, or with one item."""
    items = items or ("old",)
    queue = getattr(aio, kind)(len(items))
    for item in items:
        queue.put_nowait(item)
    return queue


@EVERY_KIND
@EVERY_LOOP
@requirement("Queue.get/waits-while-empty")
async def test_get_takes_an_item_that_is_there_without_waiting(aio: Any, start: Start, kind: str) -> None:
    queue = getattr(aio, kind)()
    for item in ("text", None, object()):
        queue.put_nowait(item)
        assert await without_waiting(aio, start, queue.get()) is item
        assert queue.empty() is True


@EVERY_KIND
@EVERY_LOOP
@pytest.mark.parametrize("put", ["put", "put_nowait"])
@requirement("Queue.get/waits-while-empty")
async def test_get_waits_for_an_item(aio: Any, start: Start, kind: str, put: str) -> None:
    queue = getattr(aio, kind)()
    (getter,) = await start(queue.get())
    assert await states(aio, getter) == ["waiting"]
    if put == "put":
        await queue.put("item")
    else:
        queue.put_nowait("item")
    assert await states(aio, getter) == ["item"]
    assert queue.empty() is True


@EVERY_KIND
@EVERY_LOOP
@requirement("Queue.get/waiters-fifo-order")
async def test_getters_are_served_in_the_order_in_which_they_came(aio: Any, start: Start, kind: str) -> None:
    queue = getattr(aio, kind)()
    getters = await start(*(queue.get() for _ in range(4)))
    for served in range(1, 5):
        queue.put_nowait("item")
        assert await states(aio, *getters) == ["item"] * served + ["waiting"] * (4 - served)


@EVERY_LOOP
@requirement("Queue.get/waiters-fifo-order")
async def test_items_put_in_one_turn_go_to_the_getters_in_order(aio: Any, start: Start) -> None:
    queue = aio.Queue()
    getters = await start(*(queue.get() for _ in range(4)))
    for item in range(3):
        queue.put_nowait(item)
    assert await states(aio, *getters) == [0, 1, 2, "waiting"]


@EVERY_KIND
@EVERY_LOOP
@requirement("Queue.put/waits-while-full", "Queue/put-waits-at-maxsize")
async def test_put_adds_without_waiting_while_there_is_a_slot(aio: Any, start: Start, kind: str) -> None:
    queue = getattr(aio, kind)(2)
    assert await without_waiting(aio, start, queue.put(1)) is None
    assert await without_waiting(aio, start, queue.put(2)) is None
    assert queue.qsize() == 2


@EVERY_KIND
@EVERY_LOOP
@pytest.mark.parametrize("get", ["get", "get_nowait"])
@requirement("Queue.put/waits-while-full", "Queue/put-waits-at-maxsize")
async def test_put_waits_for_a_slot(aio: Any, start: Start, kind: str, get: str) -> None:
    queue = full_queue(aio, kind, "older", "old")
    (putter,) = await start(queue.put("one"))
    assert await states(aio, putter) == ["waiting"]
    assert queue.qsize() == 2
    if get == "get":
        await queue.get()
    else:
        queue.get_nowait()
    assert await states(aio, putter) == [None]
    assert queue.qsize() == 2
    assert "one" in {queue.get_nowait(), queue.get_nowait()}


@EVERY_LOOP
@requirement("Queue.put/waiters-fifo-order", "Queue/put-waits-at-maxsize")
async def test_putters_are_served_in_the_order_in_which_they_came(aio: Any, start: Start) -> None:
    queue = full_queue(aio)
    putters = await start(*(queue.put(n) for n in range(4)))
    found = []
    for served in range(5):
        assert await states(aio, *putters) == [None] * served + ["waiting"] * (4 - served)
        found.append(queue.get_nowait())
    assert found == ["old", 0, 1, 2, 3]


@EVERY_LOOP
@requirement("Queue.put/waiters-fifo-order")
async def test_slots_made_in_one_turn_go_to_the_putters_in_order(aio: Any, start: Start) -> None:
    queue = full_queue(aio, "Queue", "a", "b", "c")
    putters = await start(*(queue.put(n) for n in range(4)))
    assert [queue.get_nowait(), queue.get_nowait()] == ["a", "b"]
    assert await states(aio, *putters) == [None, None, "waiting", "waiting"]
    assert [queue.get_nowait() for _ in range(3)] == ["c", 0, 1]


@EVERY_KIND
@EVERY_LOOP
@pytest.mark.parametrize("maxsize", [0, 1, 3])
@requirement("Queue.get/waits-while-empty", "Queue.put/waits-while-full")
async def test_everything_that_many_tasks_put_is_got_once(
    loop: AbstractEventLoop, aio: Any, kind: str, maxsize: int
) -> None:
    queue = getattr(aio, kind)(maxsize)
    sizes: list[int] = []
    got: list[int] = []

    async def put_some(first: int) -> None:
        for item in range(first, first + 20):
            await queue.put(item)
            sizes.append(queue.qsize())

    async def get_some() -> None:
        got.extend([await queue.get() for _ in range(20)])

    tasks = [loop.create_task(put_some(first)) for first in (0, 20, 40)]
    tasks += [loop.create_task(get_some()) for _ in range(3)]
    await aio.wait(tasks, timeout=GENEROUS)
    assert sorted(got) == list(range(60))
    assert max(sizes) <= (maxsize or 60)


@EVERY_LOOP
@requirement("Queue.get/cancelled-get-loses-nothing")
@pytest.mark.parametrize("first_step", ["put", "cancel"])
async def test_an_item_that_meets_the_cancellation_of_its_getter_goes_to_the_next(
    aio: Any, start: Start, first_step: str
) -> None:
    queue = aio.Queue()
    first, second, third = await start(*(queue.get() for _ in range(3)))
    steps = [lambda: queue.put_nowait("item"), first.cancel]
    for step in steps if first_step == "put" else reversed(steps):
        step()
    assert await states(aio, first, second, third) == ["cancelled", "item", "waiting"]
    assert queue.empty() is True


@EVERY_LOOP
@requirement("Queue.get/cancelled-get-loses-nothing")
async def test_an_item_whose_getters_are_all_cancelled_stays_in_the_queue(aio: Any, start: Start) -> None:
    queue = aio.Queue()
    getters = await start(queue.get(), queue.get())
    queue.put_nowait("item")
    for getter in getters:
        getter.cancel()
    assert await states(aio, *getters) == ["cancelled", "cancelled"]
    assert queue.qsize() == 1
    assert await without_waiting(aio, start, queue.get()) == "item"


@EVERY_LOOP
@requirement("Queue.get/cancelled-get-loses-nothing")
async def test_two_items_that_meet_a_cancellation_go_to_the_two_other_getters(aio: Any, start: Start) -> None:
    queue = aio.Queue()
    first, second, third = await start(*(queue.get() for _ in range(3)))
    queue.put_nowait("one")
    queue.put_nowait("two")
    first.cancel()
    found = await states(aio, first, second, third)
    assert found[0] == "cancelled"
    assert {found[1], found[2]} == {"one", "two"}


@requirement("Queue.get/cancelled-get-loses-nothing")
async def test_a_getter_that_was_cancelled_while_it_waited_is_forgotten(aio: Any, start: Start) -> None:
    queue = aio.Queue()
    first, second = await start(queue.get(), queue.get())
    first.cancel()
    assert await states(aio, first, second) == ["cancelled", "waiting"]
    queue.put_nowait("item")
    assert await states(aio, second) == ["item"]


@EVERY_LOOP
@requirement("Queue.get/cancelled-get-loses-nothing")
async def test_a_cancelled_getter_makes_no_room_in_a_full_queue(aio: Any, start: Start) -> None:
    queue = aio.Queue(1)
    (getter,) = await start(queue.get())
    queue.put_nowait("item")
    getter.cancel()
    (putter,) = await start(queue.put("more"))
    assert await states(aio, getter, putter) == ["cancelled", "waiting"]
    assert queue.get_nowait() == "item"
    assert await states(aio, putter) == [None]
    assert queue.get_nowait() == "more"


@requirement("Queue.get/cancelled-get-loses-nothing", "Queue/rejects-timeout-argument")
async def test_a_get_that_timed_out_takes_nothing(aio: Any, start: Start) -> None:
    queue = aio.Queue()
    with pytest.raises(TimeoutError):
        await aio.wait_for(queue.get(), SHORT)
    queue.put_nowait("item")
    await settle(aio)
    assert queue.qsize() == 1
    (getter,) = await start(queue.get())
    assert await states(aio, getter) == ["item"]


@requirement("Queue/rejects-timeout-argument", "Queue.put/cancelled-put-frees-its-turn")
async def test_a_put_that_timed_out_adds_nothing(aio: Any) -> None:
    queue = full_queue(aio)
    with pytest.raises(TimeoutError):
        await aio.wait_for(queue.put("new"), SHORT)
    assert queue.get_nowait() == "old"
    await settle(aio)
    assert queue.empty() is True


@EVERY_LOOP
@pytest.mark.parametrize("first_step", ["get", "cancel"])
@requirement("Queue.put/cancelled-put-frees-its-turn")
async def test_a_slot_that_meets_the_cancellation_of_its_putter_goes_to_the_next(
    aio: Any, start: Start, first_step: str
) -> None:
    queue = full_queue(aio)
    first, second, third = await start(*(queue.put(n) for n in (1, 2, 3)))
    steps = [queue.get_nowait, first.cancel]
    for step in steps if first_step == "get" else reversed(steps):
        step()
    assert await states(aio, first, second, third) == ["cancelled", None, "waiting"]
    assert queue.get_nowait() == 2
    assert await states(aio, third) == [None]
    assert queue.get_nowait() == 3


@EVERY_LOOP
@requirement("Queue.put/cancelled-put-frees-its-turn")
async def test_a_slot_whose_putters_are_all_cancelled_stays_free(aio: Any, start: Start) -> None:
    queue = full_queue(aio)
    putters = await start(queue.put(1), queue.put(2))
    assert queue.get_nowait() == "old"
    for putter in putters:
        putter.cancel()
    assert await states(aio, *putters) == ["cancelled", "cancelled"]
    assert queue.empty() is True
    await without_waiting(aio, start, queue.put("new"))
    assert queue.get_nowait() == "new"


@requirement("Queue.put/cancelled-put-frees-its-turn")
async def test_a_cancelled_put_leaves_nothing_for_join_to_wait_for(aio: Any, start: Start) -> None:
    queue = full_queue(aio)
    (putter,) = await start(queue.put("new"))
    putter.cancel()
    assert await states(aio, putter) == ["cancelled"]
    queue.get_nowait()
    queue.task_done()
    (joiner,) = await start(queue.join())
    assert await states(aio, joiner) == [None]


@pytest.mark.parametrize("maxsize", [0, 1, 3])
@requirement("Queue.get/cancelled-get-loses-nothing", "Queue.put/cancelled-put-frees-its-turn")
async def test_nothing_is_lost_or_doubled_among_getters_that_are_cancelled_all_the_time(
    loop: AbstractEventLoop, aio: Any, maxsize: int
) -> None:
    queue = aio.Queue(maxsize)
    got: list[int] = []

    async def put_all() -> None:
        for item in range(100):
            await queue.put(item)
            if item % 3 == 0:
                await aio.sleep(0)

    async def get_some() -> None:
        while True:
            got.append(await queue.get())
            await aio.sleep(0)

    producer = loop.create_task(put_all())
    # Each generation of getters takes at least one item, so there are no more of them than items.
    for _ in range(100):
        getters = [loop.create_task(get_some()) for _ in range(3)]
        await settle(aio, 5)
        for getter in getters:
            getter.cancel()
        await aio.wait(getters, timeout=GENEROUS)
    assert producer.done()
    assert queue.empty() is True
    assert sorted(got) == list(range(100))
