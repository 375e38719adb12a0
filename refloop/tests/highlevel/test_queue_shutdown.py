"""Queue.shutdown(): who is woken, what is kept, what is dropped."""

from __future__ import annotations

from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement

pytestmark = pytest.mark.since((3, 13))


@requirement("Queue.shutdown/accepts-documented-arguments", "QueueShutDown/is-exception-class")
@requirement("Queue.put/raises-queueshutdown-after-shutdown", "Queue.put_nowait/raises-queueshutdown-after-shutdown")
@pytest.mark.parametrize("immediate", [False, True])
async def test_nothing_can_be_put_after_a_shutdown(aio: Any, immediate: bool) -> None:
    queue = aio.Queue()
    assert queue.shutdown(immediate=immediate) is None
    with pytest.raises(aio.QueueShutDown):
        queue.put_nowait(1)
    with pytest.raises(aio.QueueShutDown):
        await queue.put(1)
    assert queue.empty()
    assert issubclass(aio.QueueShutDown, Exception)


@requirement("Queue.shutdown/default-keeps-remaining-items", "Queue.get/raises-queueshutdown-after-shutdown")
@requirement("Queue.get_nowait/raises-queueshutdown-after-shutdown")
async def test_what_is_left_can_be_taken_out_and_then_shutdown_is_raised(aio: Any) -> None:
    queue = aio.Queue()
    for n in range(2):
        queue.put_nowait(n)
    queue.shutdown()
    assert await queue.get() == 0
    assert queue.get_nowait() == 1
    with pytest.raises(aio.QueueShutDown):
        await queue.get()
    with pytest.raises(aio.QueueShutDown):
        queue.get_nowait()


@requirement("Queue.shutdown/wakes-blocked-putters")
@pytest.mark.parametrize("immediate", [False, True])
async def test_blocked_putters_raise_shutdown_and_add_nothing(aio: Any, loop: Any, immediate: bool) -> None:
    queue = aio.Queue(1)
    queue.put_nowait("old")
    putters = [loop.create_task(queue.put("new")) for _ in range(3)]
    await settle()
    queue.shutdown(immediate)
    for putter in putters:
        assert isinstance(await outcome(putter), aio.QueueShutDown)
    assert queue.qsize() == (0 if immediate else 1)


@requirement("Queue.shutdown/immediate-wakes-blocked-getters", "Queue.get/raises-queueshutdown-after-shutdown")
@pytest.mark.parametrize("immediate", [False, True])
async def test_getters_blocked_on_an_empty_queue_raise_shutdown(aio: Any, loop: Any, immediate: bool) -> None:
    queue = aio.Queue()
    getters = [loop.create_task(queue.get()) for _ in range(3)]
    await settle()
    queue.shutdown(immediate)
    for getter in getters:
        assert isinstance(await outcome(getter), aio.QueueShutDown)


@requirement("Queue.shutdown/default-keeps-remaining-items")
async def test_a_getter_woken_for_an_item_still_gets_it_after_a_shutdown(aio: Any, loop: Any) -> None:
    queue = aio.Queue()
    getters = [loop.create_task(queue.get()) for _ in range(2)]
    await settle()
    queue.put_nowait("item")
    queue.shutdown()
    assert await getters[0] == "item"
    assert isinstance(await outcome(getters[1]), aio.QueueShutDown)


@requirement("Queue.shutdown/default-join-needs-task-done")
async def test_join_still_waits_for_what_is_left(aio: Any, loop: Any) -> None:
    queue = aio.Queue()
    queue.put_nowait(1)
    join = loop.create_task(queue.join())
    await settle()
    queue.shutdown()
    await settle()
    assert not join.done()
    queue.get_nowait()
    queue.task_done()
    await join


@requirement("Queue.shutdown/immediate-empties-queue", "Queue.shutdown/immediate-releases-join-at-zero")
@requirement("Queue.shutdown/immediate-join-skips-processing", "Queue.get/raises-queueshutdown-after-shutdown")
async def test_an_immediate_shutdown_drops_what_is_left_and_releases_join(aio: Any, loop: Any) -> None:
    queue = aio.Queue()
    for n in range(3):
        queue.put_nowait(n)
    join = loop.create_task(queue.join())
    await settle()
    queue.shutdown(immediate=True)
    assert queue.empty()
    await join
    with pytest.raises(aio.QueueShutDown):
        await queue.get()


@requirement("Queue.shutdown/immediate-empties-queue", "Queue.shutdown/immediate-releases-join-at-zero")
async def test_after_an_immediate_shutdown_join_waits_for_items_in_work(aio: Any, loop: Any) -> None:
    queue = aio.Queue()
    for n in range(3):
        queue.put_nowait(n)
    queue.get_nowait()
    join = loop.create_task(queue.join())
    await settle()
    queue.shutdown(immediate=True)
    await settle()
    assert not join.done()
    queue.task_done()
    await join
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        queue.task_done()
