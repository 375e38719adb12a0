"""Queues: order, bounds, waiting, cancellation, joining."""

from __future__ import annotations

from typing import Any

import pytest

from refloop.tests.highlevel.steps import settle

requirement = pytest.mark.requirement

KINDS = ["Queue", "PriorityQueue", "LifoQueue"]


@requirement(
    "Queue/accepts-documented-arguments", "Queue.maxsize/holds-given-maxsize", "Queue.qsize/returns-item-count"
)
@requirement("Queue.empty/returns-true-when-empty", "Queue.full/returns-true-at-maxsize")
@requirement("PriorityQueue/is-queue-subclass", "LifoQueue/is-queue-subclass")
@pytest.mark.parametrize("kind", KINDS)
def test_a_queue_counts_its_items_up_to_maxsize(aio: Any, kind: str) -> None:
    queue = getattr(aio, kind)(maxsize=2)
    assert isinstance(queue, aio.Queue)
    assert queue.maxsize == 2
    for size in range(3):
        assert queue.qsize() == size
        assert queue.empty() is (size == 0)
        assert queue.full() is (size == 2)
        if size < 2:
            assert queue.put_nowait(size) is None
    with pytest.raises(aio.QueueFull):
        queue.put_nowait(2)
    assert queue.qsize() == 2


@requirement("Queue/unbounded-without-positive-maxsize", "Queue.full/unbounded-never-full")
@pytest.mark.parametrize("maxsize", [0, -1])
def test_without_a_positive_maxsize_a_queue_is_never_full(aio: Any, maxsize: int) -> None:
    queue = aio.Queue(maxsize)
    for n in range(1000):
        queue.put_nowait(n)
    assert queue.full() is False


@requirement("Queue/fifo-order", "LifoQueue/lifo-order", "PriorityQueue/lowest-entry-first")
@requirement("PriorityQueue/accepts-priority-data-tuples", "Queue.get_nowait/returns-available-item")
@pytest.mark.parametrize(
    ("kind", "expected"), [("Queue", [3, 1, 2]), ("LifoQueue", [2, 1, 3]), ("PriorityQueue", [1, 2, 3])]
)
def test_each_kind_gives_its_items_in_its_own_order(aio: Any, kind: str, expected: list[int]) -> None:
    queue = getattr(aio, kind)()
    for n in (3, 1, 2):
        queue.put_nowait((n, "data"))
    assert [queue.get_nowait() for _ in range(3)] == [(n, "data") for n in expected]


@requirement("Queue.get_nowait/raises-queueempty-when-empty", "Queue.put_nowait/raises-queuefull-when-full")
@requirement("QueueEmpty/is-exception-class", "QueueFull/is-exception-class")
def test_nowait_methods_raise_where_the_others_would_wait(aio: Any) -> None:
    queue = aio.Queue(1)
    with pytest.raises(aio.QueueEmpty):
        queue.get_nowait()
    queue.put_nowait(1)
    with pytest.raises(aio.QueueFull):
        queue.put_nowait(2)
    assert issubclass(aio.QueueEmpty, Exception)
    assert issubclass(aio.QueueFull, Exception)


@requirement("Queue.get/is-coroutine-method", "Queue.put/is-coroutine-method", "Queue.join/is-coroutine-method")
@requirement("Queue/rejects-timeout-argument")
async def test_calling_a_coroutine_of_a_queue_does_nothing_until_awaited(aio: Any) -> None:
    queue = aio.Queue()
    putting = queue.put(1)
    assert queue.empty()
    await putting
    getting = queue.get()
    assert queue.qsize() == 1
    assert await getting == 1
    joining = queue.join()
    joining.close()
    with pytest.raises(TypeError):
        queue.get(timeout=1)


@requirement("Queue.get/waits-while-empty", "Queue.get/waiters-fifo-order")
@pytest.mark.parametrize("kind", KINDS)
async def test_getters_wait_and_are_served_in_the_order_in_which_they_came(aio: Any, loop: Any, kind: str) -> None:
    queue = getattr(aio, kind)()
    getters = [loop.create_task(queue.get()) for _ in range(3)]
    for served in range(3):
        await settle()
        assert [getter.done() for getter in getters] == [n < served for n in range(3)]
        queue.put_nowait(served)
    assert await aio.gather(*getters) == [0, 1, 2]


@requirement("Queue.put/waits-while-full", "Queue/put-waits-at-maxsize")
async def test_putters_wait_and_are_served_in_the_order_in_which_they_came(aio: Any, loop: Any) -> None:
    queue = aio.Queue(1)
    putters = [loop.create_task(queue.put(n)) for n in range(4)]
    for taken in range(4):
        await settle()
        assert [putter.done() for putter in putters] == [n <= taken for n in range(4)]
        assert queue.get_nowait() == taken
    await aio.gather(*putters)


@requirement("Queue.get/waiters-fifo-order")
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


@requirement("Queue.get/waiters-fifo-order", "Queue.get_nowait/returns-available-item")
@pytest.mark.asyncio_differs("the getter that finds nothing waits again behind the others")
async def test_a_getter_whose_item_was_taken_by_get_nowait_stays_the_first(aio: Any, loop: Any) -> None:
    queue = aio.Queue()
    first, second = (loop.create_task(queue.get()) for _ in range(2))
    await settle()
    queue.put_nowait("taken away")
    assert queue.get_nowait() == "taken away"
    await settle()
    assert not first.done()
    queue.put_nowait("for the first")
    await settle()
    assert first.result() == "for the first"
    assert not second.done()


@requirement("Queue.get/cancelled-get-loses-nothing")
@pytest.mark.parametrize("others", [0, 1])
async def test_a_getter_cancelled_after_it_was_woken_loses_nothing(aio: Any, loop: Any, others: int) -> None:
    queue = aio.Queue()
    first, *rest = (loop.create_task(queue.get()) for _ in range(1 + others))
    await settle()
    queue.put_nowait("item")
    first.cancel()
    await settle()
    assert first.cancelled()
    assert [getter.result() for getter in rest] == ["item"] * others
    assert queue.qsize() == 1 - others


@requirement("Queue.get/cancelled-get-loses-nothing")
async def test_a_getter_that_times_out_loses_nothing(aio: Any) -> None:
    queue = aio.Queue()
    with pytest.raises(TimeoutError):
        await aio.wait_for(queue.get(), 0.001)
    queue.put_nowait(1)
    assert await aio.wait_for(queue.get(), 5) == 1


@requirement("Queue.put/waits-while-full")
async def test_a_putter_cancelled_after_it_was_woken_passes_the_slot_on(aio: Any, loop: Any) -> None:
    queue = aio.Queue(1)
    queue.put_nowait("old")
    first, second = (loop.create_task(queue.put(name)) for name in ("first", "second"))
    await settle()
    assert queue.get_nowait() == "old"
    first.cancel()
    await settle()
    assert first.cancelled()
    assert second.done()
    assert queue.get_nowait() == "second"
    assert queue.empty()


@requirement("Queue.get/cancelled-get-loses-nothing", "Queue/fifo-order")
async def test_nothing_is_lost_or_doubled_among_tasks_that_are_cancelled_all_the_time(aio: Any, loop: Any) -> None:
    queue = aio.Queue(3)
    got: list[int] = []

    async def put_all() -> None:
        for n in range(200):
            await queue.put(n)

    async def get_some() -> None:
        while True:
            got.append(await queue.get())
            await aio.sleep(0)

    producer = loop.create_task(put_all())
    while not (producer.done() and queue.empty()):
        getters = [loop.create_task(get_some()) for _ in range(3)]
        await settle(5)
        for getter in getters:
            getter.cancel()
        await aio.wait(getters)
    assert sorted(got) == list(range(200))


@requirement("Queue.join/waits-until-nothing-unfinished", "Queue.join/counts-puts-minus-done-calls")
@requirement("Queue.task_done/releases-join-when-all-done", "Queue.task_done/counts-one-item-per-call")
@requirement("Queue.join/returns-immediately-when-finished")
async def test_join_waits_until_every_item_was_declared_done(aio: Any, loop: Any) -> None:
    queue = aio.Queue()
    await queue.join()
    for n in range(3):
        await queue.put(n)
    joins = [loop.create_task(queue.join()) for _ in range(2)]
    for _ in range(3):
        await settle()
        assert not any(join.done() for join in joins)
        queue.get_nowait()
        queue.task_done()
    await aio.gather(*joins)
    await queue.join()


@requirement("Queue.task_done/raises-valueerror-beyond-items")
def test_task_done_beyond_the_items_put_raises_valueerror(aio: Any) -> None:
    queue = aio.Queue()
    queue.put_nowait(1)
    queue.task_done()
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        queue.task_done()


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
