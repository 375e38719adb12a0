"""``Queue.join()`` and ``task_done()``: following the work on what was put."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.turns import states, without_waiting

if TYPE_CHECKING:
    from conformance.support.turns import Start

EVERY_LOOP = on_loops(PLAIN, DEBUG, EAGER)
EVERY_KIND = pytest.mark.parametrize("kind", ["Queue", "PriorityQueue", "LifoQueue"])


def with_items(queue: Any, number: int) -> Any:
    for item in range(number):
        queue.put_nowait(item)
    return queue


@EVERY_KIND
@requirement("Queue.join/returns-immediately-when-finished")
async def test_join_returns_at_once_when_nothing_is_unfinished(aio: Any, start: Start, kind: str) -> None:
    queue = getattr(aio, kind)()
    assert await without_waiting(aio, start, queue.join()) is None
    with_items(queue, 2)
    queue.task_done()
    queue.task_done()
    assert await without_waiting(aio, start, queue.join()) is None


@EVERY_KIND
@EVERY_LOOP
@requirement("Queue.join/waits-until-nothing-unfinished", "Queue.task_done/releases-join-when-all-done")
@requirement("Queue.task_done/counts-one-item-per-call")
async def test_join_waits_until_task_done_was_called_for_every_item(aio: Any, start: Start, kind: str) -> None:
    queue = with_items(getattr(aio, kind)(), 3)
    joiners = await start(queue.join(), queue.join())
    for _ in range(3):
        assert await states(aio, *joiners) == ["waiting", "waiting"]
        await queue.get()
        assert await states(aio, *joiners) == ["waiting", "waiting"]
        assert queue.task_done() is None
    assert await states(aio, *joiners) == [None, None]


@EVERY_LOOP
@requirement("Queue.join/waits-until-nothing-unfinished", "Queue.task_done/releases-join-when-all-done")
async def test_join_waits_for_what_is_put_meanwhile(aio: Any, start: Start) -> None:
    queue = with_items(aio.Queue(), 1)
    (joiner,) = await start(queue.join())
    queue.put_nowait("later")
    queue.task_done()
    assert await states(aio, joiner) == ["waiting"]
    queue.task_done()
    assert await states(aio, joiner) == [None]


@requirement("Queue.join/counts-puts-minus-done-calls")
async def test_each_item_counts_once_however_it_was_put(aio: Any, start: Start) -> None:
    queue = with_items(aio.Queue(2), 1)
    await queue.put("second")
    (putter,) = await start(queue.put("waits for a slot"))
    with pytest.raises(aio.QueueFull):
        queue.put_nowait("not added")
    (joiner,) = await start(queue.join())
    for _ in range(3):
        assert await states(aio, joiner) == ["waiting"]
        queue.get_nowait()
        await states(aio, putter)
        queue.task_done()
    assert await states(aio, joiner) == [None]
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        queue.task_done()


@EVERY_LOOP
@requirement("Queue.join/waits-until-nothing-unfinished")
async def test_a_joiner_that_is_cancelled_does_not_disturb_the_others(aio: Any, start: Start) -> None:
    queue = with_items(aio.Queue(), 1)
    before, other, after = await start(*(queue.join() for _ in range(3)))
    before.cancel()
    assert await states(aio, before, other, after) == ["cancelled", "waiting", "waiting"]
    queue.task_done()
    after.cancel()
    assert await states(aio, before, other, after) == ["cancelled", None, "cancelled"]


@requirement("Queue.join/waits-until-nothing-unfinished")
async def test_after_a_join_new_items_are_waited_for_again(aio: Any, start: Start) -> None:
    queue = aio.Queue()
    for _ in range(3):
        with_items(queue, 2)
        (joiner,) = await start(queue.join())
        queue.task_done()
        assert await states(aio, joiner) == ["waiting"]
        queue.task_done()
        assert await states(aio, joiner) == [None]


@EVERY_KIND
@pytest.mark.parametrize("items", [0, 1, 3])
@requirement("Queue.task_done/raises-valueerror-beyond-items")
async def test_task_done_raises_valueerror_beyond_the_items_put(aio: Any, kind: str, items: int) -> None:
    queue = with_items(getattr(aio, kind)(), items)
    for _ in range(items):
        queue.task_done()
    for _ in range(2):
        with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
            queue.task_done()
