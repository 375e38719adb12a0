"""What holds for every primitive and queue: one loop, no ``loop`` argument, no ``timeout`` but by ``wait_for()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.turns import kinds, settle, states

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable, Coroutine
    from typing import TypeAlias

    from conformance.support.turns import Start
    from conformance.target import Target

    Use: TypeAlias = Callable[[Any], Coroutine[Any, Any, Any]]

# Long enough to begin to wait in, and nobody comes to end the wait.
SHORT = 0.001
NAMES = ["Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Queue", "PriorityQueue", "LifoQueue"]


async def wait_for_notification(condition: Any) -> object:
    async with condition:
        return await condition.wait()


async def wait_for_predicate(condition: Any) -> object:
    async with condition:
        return await condition.wait_for(lambda: False)


async def take_twice(lock: Any) -> None:
    """Acquire a lock with one permit; the second time has to wait, or there is a holder already."""
    if not lock.locked():
        await lock.acquire()
    await lock.acquire()


async def put_into_full(queue: Any) -> None:
    if not queue.full():
        queue.put_nowait(1)
    await queue.put(2)


async def join_unfinished(queue: Any) -> None:
    if queue.empty():
        queue.put_nowait(1)
    await queue.join()


async def hold(lock: Any) -> None:
    async with lock:
        pass


async def pass_by(event: Any) -> None:
    event.set()
    await event.wait()
    event.clear()


async def put_and_get(queue: Any) -> None:
    await queue.put(1)
    assert await queue.get() == 1
    queue.task_done()
    await queue.join()


# How to make a primitive, how to use it without a wait, and how to wait for it for ever.
WAITS: dict[str, tuple[str, tuple[int, ...], Use, Use]] = {
    "Lock.acquire": ("Lock", (), hold, take_twice),
    "Event.wait": ("Event", (), pass_by, lambda event: event.wait()),
    "Condition.acquire": ("Condition", (), hold, take_twice),
    "Condition.wait": ("Condition", (), hold, wait_for_notification),
    "Condition.wait_for": ("Condition", (), hold, wait_for_predicate),
    "Semaphore.acquire": ("Semaphore", (1,), hold, take_twice),
    "BoundedSemaphore.acquire": ("BoundedSemaphore", (1,), hold, take_twice),
    "Barrier.wait": ("Barrier", (2,), lambda barrier: barrier.reset(), lambda barrier: barrier.wait()),
    "Queue.get": ("Queue", (), put_and_get, lambda queue: queue.get()),
    "Queue.put": ("Queue", (1,), put_and_get, put_into_full),
    "Queue.join": ("Queue", (), put_and_get, join_unfinished),
    "PriorityQueue.get": ("PriorityQueue", (), put_and_get, lambda queue: queue.get()),
    "LifoQueue.put": ("LifoQueue", (1,), put_and_get, put_into_full),
}
EVERY_WAIT = pytest.mark.parametrize("wait", list(WAITS))


def make(aio: Any, wait: str) -> tuple[Any, Use, Use]:
    """A fresh primitive, what uses it without a wait, and what waits for it."""
    name, arguments, using, waiting = WAITS[wait]
    return getattr(aio, name)(*arguments), using, waiting


async def run_briefly(aio: Any, task: Task[Any]) -> object:
    """Let ``task`` begin to wait, and cancel it."""
    await settle(aio)
    task.cancel()
    return (await kinds(aio, task))[0]


@EVERY_WAIT
@on_loops(PLAIN, DEBUG)
@requirement("explicit-loop-argument-sync-queue/rejects-use-from-second-loop")
def test_what_somebody_waited_for_in_one_loop_cannot_be_waited_for_in_another(
    loop: AbstractEventLoop, aio: Any, target: Target, wait: str
) -> None:
    primitive, _, waiting = make(aio, wait)

    def wait_in(this_loop: AbstractEventLoop) -> object:
        task = this_loop.create_task(waiting(primitive))
        return this_loop.run_until_complete(run_briefly(aio, task))

    other = target.make_loop()
    try:
        found = [wait_in(loop), wait_in(other), wait_in(loop)]
    finally:
        other.close()
    assert found == ["cancelled", RuntimeError, "cancelled"]


@EVERY_WAIT
@requirement("explicit-loop-argument-sync-queue/rejects-use-from-second-loop")
def test_what_nobody_had_to_wait_for_yet_serves_in_another_loop(
    loop: AbstractEventLoop, aio: Any, target: Target, wait: str
) -> None:
    primitive, using, waiting = make(aio, wait)

    other = target.make_loop()
    other.run_until_complete(using(primitive))
    other.close()
    task = loop.create_task(waiting(primitive))
    assert loop.run_until_complete(run_briefly(aio, task)) == "cancelled"


@pytest.mark.parametrize("name", NAMES)
@requirement("explicit-loop-argument-sync-queue/rejects-loop-keyword")
async def test_the_loop_keyword_raises_typeerror(loop: AbstractEventLoop, aio: Any, name: str) -> None:
    with pytest.raises(TypeError):
        getattr(aio, name)(loop=loop)


@pytest.mark.parametrize(
    ("name", "arguments", "method"),
    [
        ("Lock", (), "acquire"),
        ("Event", (), "wait"),
        ("Condition", (), "acquire"),
        ("Condition", (), "wait"),
        ("Semaphore", (), "acquire"),
        ("BoundedSemaphore", (), "acquire"),
        ("Barrier", (1,), "wait"),
    ],
)
@requirement("synchronization-general/rejects-timeout-argument")
async def test_no_method_of_a_primitive_takes_a_timeout(
    aio: Any, name: str, arguments: tuple[int, ...], method: str
) -> None:
    call = getattr(getattr(aio, name)(*arguments), method)
    with pytest.raises(TypeError):
        await call(timeout=1)
    with pytest.raises(TypeError):
        await call(1)


@requirement("synchronization-general/rejects-timeout-argument")
async def test_wait_for_of_a_condition_takes_no_timeout(aio: Any) -> None:
    condition = aio.Condition()
    async with condition:
        with pytest.raises(TypeError):
            await condition.wait_for(lambda: True, timeout=1)
        with pytest.raises(TypeError):
            await condition.wait_for(lambda: True, 1)


@pytest.mark.parametrize("name", ["Lock", "Condition", "Semaphore", "BoundedSemaphore"])
@requirement("synchronization-general/timeout-leaves-primitive-usable")
async def test_after_an_acquire_that_timed_out_a_release_admits_the_next(aio: Any, start: Start, name: str) -> None:
    lock = getattr(aio, name)()
    await lock.acquire()
    with pytest.raises(TimeoutError):
        await aio.wait_for(lock.acquire(), SHORT)
    assert lock.locked() is True
    waiters = await start(lock.acquire(), lock.acquire())
    lock.release()
    assert await states(aio, *waiters) == [True, "waiting"]


@requirement("synchronization-general/timeout-leaves-primitive-usable")
async def test_after_a_wait_for_an_event_that_timed_out_set_wakes_the_next(aio: Any, start: Start) -> None:
    event = aio.Event()
    with pytest.raises(TimeoutError):
        await aio.wait_for(event.wait(), SHORT)
    (waiter,) = await start(event.wait())
    event.set()
    assert await states(aio, waiter) == [True]


@requirement("synchronization-general/timeout-leaves-primitive-usable")
async def test_after_a_wait_at_a_condition_that_timed_out_notify_wakes_the_next(aio: Any, start: Start) -> None:
    condition = aio.Condition()
    async with condition:
        with pytest.raises(TimeoutError):
            await aio.wait_for(condition.wait(), SHORT)
        assert condition.locked() is True
    waiters = await start(wait_for_notification(condition), wait_for_notification(condition))
    async with condition:
        condition.notify()
    assert await states(aio, *waiters) == [True, "waiting"]


@requirement("synchronization-general/timeout-leaves-primitive-usable")
async def test_after_a_wait_at_a_barrier_that_timed_out_all_parties_have_to_come(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(2)
    with pytest.raises(TimeoutError):
        await aio.wait_for(barrier.wait(), SHORT)
    (first,) = await start(barrier.wait())
    assert await states(aio, first) == ["waiting"]
    (second,) = await start(barrier.wait())
    assert sorted(map(str, await states(aio, first, second))) == ["0", "1"]
