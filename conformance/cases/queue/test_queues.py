"""``Queue``, ``PriorityQueue``, ``LifoQueue``: what they hold, in which order they give it, and their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.turns import settle, states, without_waiting

if TYPE_CHECKING:
    from conformance.support.turns import Start

EVERY_KIND = pytest.mark.parametrize("kind", ["Queue", "PriorityQueue", "LifoQueue"])
# More than any limit by accident, fewer than takes noticeable time.
MANY = 1000


def filled(queue: Any, *items: object) -> Any:
    for item in items:
        queue.put_nowait(item)
    return queue


def drained(queue: Any) -> list[Any]:
    """Everything in the queue, in the order in which it comes out."""
    return [queue.get_nowait() for _ in range(queue.qsize())]


@EVERY_KIND
@requirement("Queue/accepts-documented-arguments", "Queue.maxsize/holds-given-maxsize")
@requirement("PriorityQueue/is-queue-subclass", "LifoQueue/is-queue-subclass")
async def test_a_queue_takes_maxsize_by_default_zero(aio: Any, kind: str) -> None:
    make = getattr(aio, kind)
    queues = [make(), make(3), make(maxsize=2), make(0), make(-1)]
    assert [queue.maxsize for queue in queues] == [0, 3, 2, 0, -1]
    with pytest.raises(TypeError):
        make(1, 1)
    with pytest.raises(TypeError):
        make(size=1)


@requirement("PriorityQueue/is-queue-subclass", "LifoQueue/is-queue-subclass")
async def test_the_other_kinds_are_queues(aio: Any) -> None:
    assert issubclass(aio.PriorityQueue, aio.Queue)
    assert issubclass(aio.LifoQueue, aio.Queue)
    assert not issubclass(aio.Queue, (aio.PriorityQueue, aio.LifoQueue))


@EVERY_KIND
@requirement("Queue.qsize/returns-item-count", "Queue.empty/returns-true-when-empty")
@requirement("PriorityQueue/is-queue-subclass", "LifoQueue/is-queue-subclass")
async def test_a_queue_counts_its_items(aio: Any, kind: str) -> None:
    queue = getattr(aio, kind)()
    seen = [(queue.qsize(), queue.empty())]
    for item in (1, 1, 2):
        queue.put_nowait(item)
        seen.append((queue.qsize(), queue.empty()))
    for _ in range(3):
        queue.get_nowait()
        seen.append((queue.qsize(), queue.empty()))
    assert seen == [(0, True), (1, False), (2, False), (3, False), (2, False), (1, False), (0, True)]


@EVERY_KIND
@requirement("Queue.full/returns-true-at-maxsize")
async def test_a_queue_is_full_at_maxsize(aio: Any, kind: str) -> None:
    queue = getattr(aio, kind)(2)
    seen = [queue.full()]
    for item in (1, 2):
        queue.put_nowait(item)
        seen.append(queue.full())
    queue.get_nowait()
    seen.append(queue.full())
    assert seen == [False, False, True, False]


@EVERY_KIND
@pytest.mark.parametrize("maxsize", [0, -1])
@requirement("Queue/unbounded-without-positive-maxsize", "Queue.full/unbounded-never-full")
async def test_without_a_positive_maxsize_a_queue_takes_everything(
    aio: Any, start: Start, kind: str, maxsize: int
) -> None:
    queue = getattr(aio, kind)(maxsize)
    assert queue.full() is False
    for item in range(MANY):
        queue.put_nowait(item)
    await without_waiting(aio, start, queue.put(MANY))
    assert queue.full() is False
    assert sorted(drained(queue)) == list(range(MANY + 1))


@requirement("Queue/fifo-order")
async def test_items_come_out_in_the_order_in_which_they_were_put(aio: Any) -> None:
    queue = filled(aio.Queue(), 3, 1)
    await queue.put(2)
    first = await queue.get()
    queue.put_nowait(0)
    assert [first, *drained(queue)] == [3, 1, 2, 0]


@requirement("LifoQueue/lifo-order")
async def test_the_latest_item_comes_out_first(aio: Any) -> None:
    queue = filled(aio.LifoQueue(), 1, 3)
    await queue.put(2)
    first = await queue.get()
    queue.put_nowait(0)
    assert [first, *drained(queue)] == [2, 0, 3, 1]


@requirement("PriorityQueue/lowest-entry-first")
async def test_the_lowest_entry_comes_out_first(aio: Any) -> None:
    queue = filled(aio.PriorityQueue(), 7, 2, 9, 4)
    await queue.put(0)
    first = await queue.get()
    for entry in (5, 8, 1, 6, 3, 2):
        queue.put_nowait(entry)
    assert [first, *drained(queue)] == [0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9]


@requirement("PriorityQueue/accepts-priority-data-tuples")
async def test_pairs_of_priority_and_data_come_out_by_priority(aio: Any) -> None:
    pairs = [(2, "b"), (1, object()), (3, None), (0, print)]
    queue = filled(aio.PriorityQueue(), *pairs)
    assert drained(queue) == [pairs[3], pairs[1], pairs[0], pairs[2]]


@EVERY_KIND
@requirement("Queue.get_nowait/returns-available-item", "Queue.put_nowait/adds-without-waiting")
async def test_put_nowait_adds_at_once_and_get_nowait_takes_at_once(aio: Any, kind: str) -> None:
    queue = getattr(aio, kind)(1)
    for item in (object(), None, "text"):
        assert queue.put_nowait(item) is None
        assert queue.qsize() == 1
        assert queue.get_nowait() is item
        assert queue.qsize() == 0


@EVERY_KIND
@requirement("Queue.get_nowait/raises-queueempty-when-empty", "QueueEmpty/is-exception-class")
async def test_get_nowait_raises_queueempty_without_an_item(aio: Any, kind: str) -> None:
    queue = getattr(aio, kind)()
    with pytest.raises(aio.QueueEmpty):
        queue.get_nowait()
    filled(queue, "item")
    assert queue.get_nowait() == "item"
    with pytest.raises(aio.QueueEmpty):
        queue.get_nowait()
    assert queue.qsize() == 0


@EVERY_KIND
@requirement("Queue.put_nowait/raises-queuefull-when-full", "QueueFull/is-exception-class")
async def test_put_nowait_raises_queuefull_without_a_slot_and_adds_nothing(aio: Any, kind: str) -> None:
    queue = getattr(aio, kind)(2)
    filled(queue, 1, 2)
    with pytest.raises(aio.QueueFull):
        queue.put_nowait(3)
    assert queue.qsize() == 2
    assert sorted(drained(queue)) == [1, 2]
    assert filled(queue, 3).qsize() == 1


@requirement("QueueEmpty/is-exception-class", "QueueFull/is-exception-class")
async def test_queueempty_and_queuefull_are_exceptions_that_do_not_catch_one_another(aio: Any) -> None:
    assert issubclass(aio.QueueEmpty, Exception)
    assert issubclass(aio.QueueFull, Exception)
    assert not issubclass(aio.QueueEmpty, aio.QueueFull)
    assert not issubclass(aio.QueueFull, aio.QueueEmpty)


@EVERY_KIND
@requirement("Queue.get/is-coroutine-method", "Queue.put/is-coroutine-method")
async def test_calling_put_and_get_does_nothing_until_they_are_awaited(aio: Any, kind: str) -> None:
    queue = getattr(aio, kind)()
    putting = queue.put("item")
    await settle(aio)
    assert queue.qsize() == 0
    assert await putting is None
    getting = queue.get()
    await settle(aio)
    assert queue.qsize() == 1
    assert await getting == "item"


@requirement("Queue.join/is-coroutine-method")
async def test_calling_join_waits_for_nothing_until_it_is_awaited(aio: Any, start: Start) -> None:
    queue = filled(aio.Queue(), "first")
    joining = queue.join()
    queue.task_done()
    filled(queue, "second")
    (joiner,) = await start(joining)
    assert await states(aio, joiner) == ["waiting"]
    queue.task_done()
    assert await states(aio, joiner) == [None]


@EVERY_KIND
@requirement("Queue/rejects-timeout-argument")
async def test_no_method_of_a_queue_takes_a_timeout(aio: Any, kind: str) -> None:
    queue = getattr(aio, kind)()
    for method, arguments in (("get", ()), ("put", (1,)), ("join", ())):
        call = getattr(queue, method)
        with pytest.raises(TypeError):
            await call(*arguments, timeout=1)
        with pytest.raises(TypeError):
            await call(*arguments, 1)
    assert queue.qsize() == 0
