"""``Queue.shutdown()``: who is woken, what can still be taken out, what is dropped, and what ``join()`` makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.turns import kinds, states, without_waiting

if TYPE_CHECKING:
    from conformance.support.turns import Start

EVERY_LOOP = on_loops(PLAIN, DEBUG, EAGER)
EVERY_KIND = pytest.mark.parametrize("kind", ["Queue", "PriorityQueue", "LifoQueue"])
EITHER_WAY = pytest.mark.parametrize("immediate", [False, True])


def with_items(queue: Any, number: int) -> Any:
    for item in range(number):
        queue.put_nowait(item)
    return queue


@requirement("Queue.shutdown/accepts-documented-arguments")
async def test_shutdown_takes_immediate_by_default_false_and_is_no_coroutine(aio: Any) -> None:
    sizes = []
    for arguments, keywords in (
        ((), {}),
        ((False,), {}),
        ((), {"immediate": False}),
        ((True,), {}),
        ((), {"immediate": True}),
    ):
        queue = with_items(aio.Queue(), 1)
        assert queue.shutdown(*arguments, **keywords) is None
        sizes.append(queue.qsize())
    assert sizes == [1, 1, 1, 0, 0]
    with pytest.raises(TypeError):
        aio.Queue().shutdown(False, False)


@EVERY_KIND
@EITHER_WAY
@requirement("Queue.put/raises-queueshutdown-after-shutdown", "Queue.put_nowait/raises-queueshutdown-after-shutdown")
async def test_nothing_can_be_put_after_a_shutdown(aio: Any, kind: str, immediate: bool) -> None:
    queue = getattr(aio, kind)()
    queue.shutdown(immediate)
    with pytest.raises(aio.QueueShutDown):
        queue.put_nowait(1)
    with pytest.raises(aio.QueueShutDown):
        await queue.put(1)
    assert queue.qsize() == 0


@EITHER_WAY
@requirement("Queue.put_nowait/raises-queueshutdown-after-shutdown")
async def test_put_nowait_into_a_full_queue_raises_because_of_the_shutdown(aio: Any, immediate: bool) -> None:
    queue = with_items(aio.Queue(1), 1)
    queue.shutdown(immediate)
    with pytest.raises(aio.QueueShutDown):
        queue.put_nowait(1)
    assert queue.qsize() == (0 if immediate else 1)


@EITHER_WAY
@requirement("Queue.put/raises-queueshutdown-after-shutdown")
async def test_putting_into_a_full_queue_after_a_shutdown_raises_at_once(
    aio: Any, start: Start, immediate: bool
) -> None:
    queue = with_items(aio.Queue(1), 1)
    queue.shutdown(immediate)
    with pytest.raises(aio.QueueShutDown):
        await without_waiting(aio, start, queue.put(1))
    assert queue.qsize() == (0 if immediate else 1)


@EVERY_KIND
@EVERY_LOOP
@requirement("Queue.shutdown/default-keeps-remaining-items", "Queue.get/raises-queueshutdown-after-shutdown")
async def test_what_is_left_can_be_taken_out_before_get_raises(aio: Any, start: Start, kind: str) -> None:
    queue = with_items(getattr(aio, kind)(), 3)
    queue.shutdown()
    assert queue.qsize() == 3
    found = [await without_waiting(aio, start, queue.get()) for _ in range(3)]
    assert sorted(map(str, found)) == ["0", "1", "2"]
    for _ in range(2):
        with pytest.raises(aio.QueueShutDown):
            await without_waiting(aio, start, queue.get())


@EVERY_KIND
@requirement("Queue.get_nowait/raises-queueshutdown-after-shutdown")
async def test_what_is_left_can_be_taken_out_before_get_nowait_raises(aio: Any, kind: str) -> None:
    queue = with_items(getattr(aio, kind)(), 2)
    queue.shutdown()
    assert {queue.get_nowait(), queue.get_nowait()} == {0, 1}
    for _ in range(2):
        with pytest.raises(aio.QueueShutDown):
            queue.get_nowait()


@EVERY_KIND
@requirement("Queue.get/raises-queueshutdown-after-shutdown", "Queue.get_nowait/raises-queueshutdown-after-shutdown")
@requirement("Queue.shutdown/immediate-empties-queue")
async def test_after_an_immediate_shutdown_nothing_can_be_taken_out(aio: Any, start: Start, kind: str) -> None:
    queue = with_items(getattr(aio, kind)(), 3)
    queue.shutdown(immediate=True)
    assert (queue.qsize(), queue.empty()) == (0, True)
    with pytest.raises(aio.QueueShutDown):
        queue.get_nowait()
    with pytest.raises(aio.QueueShutDown):
        await without_waiting(aio, start, queue.get())


@requirement("QueueShutDown/is-exception-class")
async def test_queueshutdown_is_an_exception_apart_from_queueempty_and_queuefull(aio: Any) -> None:
    queue = aio.Queue(1)
    queue.shutdown()
    for call, other in ((queue.get_nowait, aio.QueueEmpty), (lambda: queue.put_nowait(1), aio.QueueFull)):
        with pytest.raises(aio.QueueShutDown) as raised:
            call()
        assert not isinstance(raised.value, other)
    assert issubclass(aio.QueueShutDown, Exception)


@EVERY_LOOP
@EITHER_WAY
@requirement("Queue.shutdown/wakes-blocked-putters")
async def test_tasks_that_wait_to_put_are_woken_and_add_nothing(aio: Any, start: Start, immediate: bool) -> None:
    queue = with_items(aio.Queue(2), 2)
    putters = await start(*(queue.put("new") for _ in range(4)))
    queue.shutdown(immediate)
    assert await kinds(aio, *putters) == [aio.QueueShutDown] * 4
    assert queue.qsize() == (0 if immediate else 2)


@EVERY_LOOP
@EITHER_WAY
@requirement("Queue.shutdown/wakes-blocked-putters")
async def test_a_putter_that_was_woken_for_a_slot_in_the_same_turn_adds_nothing(
    aio: Any, start: Start, immediate: bool
) -> None:
    queue = with_items(aio.Queue(1), 1)
    putters = await start(queue.put("first"), queue.put("second"))
    assert queue.get_nowait() == 0
    queue.shutdown(immediate)
    assert await kinds(aio, *putters) == [aio.QueueShutDown] * 2
    assert queue.qsize() == 0


@EVERY_LOOP
@EITHER_WAY
@requirement("Queue.shutdown/wakes-blocked-putters")
async def test_a_putter_that_is_cancelled_in_the_turn_of_the_shutdown_does_not_disturb_the_others(
    aio: Any, start: Start, immediate: bool
) -> None:
    queue = with_items(aio.Queue(1), 1)
    first, second, third = await start(*(queue.put("new") for _ in range(3)))
    first.cancel()
    queue.shutdown(immediate)
    second.cancel()
    assert await kinds(aio, first, second, third) == ["cancelled", "cancelled", aio.QueueShutDown]


@EVERY_LOOP
@requirement("Queue.shutdown/immediate-wakes-blocked-getters")
async def test_tasks_that_wait_to_get_are_woken_by_an_immediate_shutdown(aio: Any, start: Start) -> None:
    queue = aio.Queue()
    getters = await start(*(queue.get() for _ in range(4)))
    queue.shutdown(immediate=True)
    assert await kinds(aio, *getters) == [aio.QueueShutDown] * 4


@EVERY_LOOP
@requirement("Queue.get/raises-queueshutdown-after-shutdown")
async def test_tasks_that_wait_to_get_are_woken_by_any_shutdown(aio: Any, start: Start) -> None:
    queue = aio.Queue()
    getters = await start(*(queue.get() for _ in range(4)))
    queue.shutdown()
    assert await kinds(aio, *getters) == [aio.QueueShutDown] * 4


@EVERY_LOOP
@requirement("Queue.shutdown/default-keeps-remaining-items", "Queue.get/raises-queueshutdown-after-shutdown")
async def test_a_getter_that_was_woken_for_an_item_gets_it_in_spite_of_the_shutdown(aio: Any, start: Start) -> None:
    queue = aio.Queue()
    getters = await start(queue.get(), queue.get())
    queue.put_nowait("item")
    queue.shutdown()
    found = await kinds(aio, *getters)
    assert found == ["item", aio.QueueShutDown]


@EVERY_LOOP
@requirement("Queue.shutdown/default-keeps-remaining-items", "Queue.get/cancelled-get-loses-nothing")
async def test_an_item_whose_getter_is_cancelled_in_the_turn_of_the_shutdown_is_not_lost(
    aio: Any, start: Start
) -> None:
    queue = aio.Queue()
    first, second = await start(queue.get(), queue.get())
    queue.put_nowait("item")
    queue.shutdown()
    first.cancel()
    assert await states(aio, first, second) == ["cancelled", "item"]


@EVERY_LOOP
@requirement("Queue.shutdown/immediate-wakes-blocked-getters", "Queue.shutdown/immediate-empties-queue")
async def test_a_getter_that_was_woken_for_an_item_loses_it_to_an_immediate_shutdown(aio: Any, start: Start) -> None:
    queue = aio.Queue()
    getters = await start(queue.get(), queue.get())
    queue.put_nowait("item")
    queue.shutdown(immediate=True)
    assert await kinds(aio, *getters) == [aio.QueueShutDown] * 2
    assert queue.qsize() == 0


@EVERY_LOOP
@requirement("Queue.shutdown/default-join-needs-task-done")
async def test_after_a_shutdown_join_waits_for_task_done_of_what_is_left(aio: Any, start: Start) -> None:
    queue = with_items(aio.Queue(), 2)
    (early,) = await start(queue.join())
    queue.shutdown()
    (late,) = await start(queue.join())
    for _ in range(2):
        assert await states(aio, early, late) == ["waiting", "waiting"]
        queue.get_nowait()
        queue.task_done()
    assert await states(aio, early, late) == [None, None]


@EVERY_LOOP
@requirement("Queue.shutdown/immediate-releases-join-at-zero", "Queue.shutdown/immediate-join-skips-processing")
async def test_an_immediate_shutdown_that_drops_all_items_releases_join(aio: Any, start: Start) -> None:
    queue = with_items(aio.Queue(), 3)
    joiners = await start(queue.join(), queue.join())
    queue.shutdown(immediate=True)
    assert await states(aio, *joiners) == [None, None]
    assert await without_waiting(aio, start, queue.join()) is None


@EVERY_LOOP
@requirement("Queue.shutdown/immediate-empties-queue", "Queue.shutdown/immediate-releases-join-at-zero")
async def test_after_an_immediate_shutdown_join_waits_for_the_items_in_work(aio: Any, start: Start) -> None:
    queue = with_items(aio.Queue(), 4)
    queue.get_nowait()
    queue.get_nowait()
    (joiner,) = await start(queue.join())
    queue.shutdown(immediate=True)
    assert await states(aio, joiner) == ["waiting"]
    queue.task_done()
    assert await states(aio, joiner) == ["waiting"]
    queue.task_done()
    assert await states(aio, joiner) == [None]
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        queue.task_done()


@requirement("Queue.shutdown/immediate-empties-queue", "Queue.shutdown/immediate-releases-join-at-zero")
async def test_an_immediate_shutdown_after_another_drops_what_was_left(aio: Any, start: Start) -> None:
    queue = with_items(aio.Queue(), 2)
    (joiner,) = await start(queue.join())
    queue.shutdown()
    assert (queue.qsize(), await states(aio, joiner)) == (2, ["waiting"])
    queue.shutdown(immediate=True)
    assert (queue.qsize(), await states(aio, joiner)) == (0, [None])
    queue.shutdown()
    with pytest.raises(aio.QueueShutDown):
        await queue.get()
