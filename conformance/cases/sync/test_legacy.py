"""What only older documentation has: locks that are awaited or yielded from, and the ``loop`` keyword.

In force for profiles up to 3.9 alone.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.turns import kinds, settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Generator, Iterator

    from conformance.target import Target

LOCKS = ["Lock", "Condition", "Semaphore", "BoundedSemaphore"]
QUEUES = ["Queue", "PriorityQueue", "LifoQueue"]


@contextmanager
def deprecated() -> Iterator[list[type[Warning]]]:
    """The categories of the warnings that the block emits, none of which is an error."""
    categories: list[type[Warning]] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield categories
    categories.extend(warning.category for warning in caught)


@pytest.mark.parametrize("name", LOCKS)
@requirement("Lock/supports-legacy-await-and-with")
async def test_awaiting_a_lock_acquires_it(aio: Any, name: str) -> None:
    lock = getattr(aio, name)()
    with deprecated():
        await lock
    assert lock.locked() is True


@pytest.mark.parametrize("name", LOCKS)
@requirement("Lock/supports-legacy-await-and-with")
async def test_a_plain_with_over_an_awaited_lock_holds_it(aio: Any, name: str) -> None:
    lock = getattr(aio, name)()

    async def fail() -> None:
        with await lock:
            assert lock.locked() is True
            raise ZeroDivisionError

    with deprecated(), pytest.raises(ZeroDivisionError):
        await fail()
    assert lock.locked() is False


@pytest.mark.parametrize("name", LOCKS)
@requirement("Lock/supports-legacy-await-and-with")
def test_a_generator_acquires_a_lock_that_it_yields_from(loop: AbstractEventLoop, aio: Any, name: str) -> None:
    lock = getattr(aio, name)()
    held: list[bool] = []

    def old() -> Generator[Any, Any, None]:
        with (yield from lock):
            held.append(lock.locked())
        yield from lock
        held.append(lock.locked())

    with deprecated():
        loop.run_until_complete(aio.coroutine(old)())
    assert held == [True, True]


@requirement("Lock/supports-legacy-await-and-with")
async def test_awaiting_a_lock_that_is_held_waits_for_its_release(loop: AbstractEventLoop, aio: Any) -> None:
    lock = aio.Lock()
    order: list[str] = []

    async def hold() -> None:
        with await lock:
            order.append("acquired")

    with deprecated():
        await lock.acquire()
        task = loop.create_task(hold())
        await settle(aio)
        order.append("released")
        lock.release()
        await task
    assert order == ["released", "acquired"]


@pytest.mark.parametrize("name", LOCKS)
@requirement("Lock/legacy-forms-warn")
async def test_awaiting_a_lock_warns_that_it_is_deprecated(aio: Any, name: str) -> None:
    lock = getattr(aio, name)()
    with deprecated() as categories:
        with await lock:
            pass
    assert categories == [DeprecationWarning]


@requirement("Lock/legacy-forms-warn")
def test_yielding_from_a_lock_warns_that_it_is_deprecated(loop: AbstractEventLoop, aio: Any) -> None:
    lock = aio.Lock()
    seen: list[list[type[Warning]]] = []

    def old() -> Generator[Any, Any, None]:
        with deprecated() as categories:
            with (yield from lock):
                pass
        seen.append(categories)

    with deprecated():
        loop.run_until_complete(aio.coroutine(old)())
    assert seen == [[DeprecationWarning]]


@pytest.mark.parametrize("name", [*LOCKS, "Event", *QUEUES])
@requirement("explicit-loop-argument-sync-queue/loop-keyword-selects-loop")
def test_an_object_that_was_given_another_loop_cannot_be_waited_for_here(
    loop: AbstractEventLoop, aio: Any, target: Target, name: str
) -> None:
    async def wait_for(primitive: Any) -> None:
        if name in LOCKS:
            await primitive.acquire()
            await primitive.acquire()
        await (primitive.wait() if name == "Event" else primitive.get())

    def wait_for_one_of(chosen: AbstractEventLoop) -> object:
        with deprecated():
            task = loop.create_task(wait_for(getattr(aio, name)(loop=chosen)))
        return loop.run_until_complete(wait_briefly(task))

    async def wait_briefly(task: Any) -> object:
        await settle(aio)
        task.cancel()
        return (await kinds(aio, task))[0]

    other = target.make_loop()
    found = [wait_for_one_of(loop), wait_for_one_of(other)]
    other.close()
    assert found == ["cancelled", RuntimeError]


@pytest.mark.parametrize("name", [*LOCKS, "Event", *QUEUES])
@requirement("explicit-loop-argument-sync-queue/loop-keyword-warns")
def test_the_loop_keyword_warns_that_it_is_deprecated(loop: AbstractEventLoop, aio: Any, name: str) -> None:
    with deprecated() as categories:
        getattr(aio, name)(loop=loop)
    assert set(categories) == {DeprecationWarning}
