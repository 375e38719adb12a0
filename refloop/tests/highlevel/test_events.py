"""Event: a flag that tasks wait for."""

from __future__ import annotations

from typing import Any

import pytest

from refloop.tests.highlevel.steps import settle

requirement = pytest.mark.requirement


@requirement("Event/accepts-no-arguments", "Event/starts-unset", "Event.is_set/returns-flag-state")
@requirement("Event.clear/is-set-false-afterwards")
def test_the_flag_is_false_at_first_and_follows_set_and_clear(aio: Any) -> None:
    event = aio.Event()
    assert event.is_set() is False
    event.set()
    assert event.is_set() is True
    event.clear()
    assert event.is_set() is False


@requirement("Event.wait/returns-immediately-when-set", "Event.wait/is-coroutine-method")
async def test_waiting_for_a_set_event_does_not_suspend(aio: Any) -> None:
    event = aio.Event()
    waiting = event.wait()
    event.set()
    with pytest.raises(StopIteration) as stop:
        waiting.send(None)
    assert stop.value.value is True


@requirement("Event.wait/waits-until-set", "Event.set/wakes-all-waiters")
async def test_set_wakes_everybody(aio: Any, loop: Any) -> None:
    event = aio.Event()
    waiters = [loop.create_task(event.wait()) for _ in range(5)]
    await settle()
    assert not any(waiter.done() for waiter in waiters)
    event.set()
    assert await aio.gather(*waiters) == [True] * 5


@requirement("Event.set/wakes-all-waiters")
async def test_who_was_woken_returns_even_if_the_flag_is_cleared_at_once(aio: Any, loop: Any) -> None:
    event = aio.Event()
    waiter = loop.create_task(event.wait())
    await settle()
    event.set()
    event.clear()
    await settle()
    assert waiter.done()


@requirement("Event.clear/makes-later-waits-block")
async def test_after_clear_a_wait_blocks_until_the_next_set(aio: Any, loop: Any) -> None:
    event = aio.Event()
    event.set()
    event.clear()
    waiter = loop.create_task(event.wait())
    await settle()
    assert not waiter.done()
    event.set()
    assert await waiter is True


@requirement("synchronization-general/timeout-leaves-primitive-usable")
async def test_a_cancelled_wait_leaves_the_event_usable(aio: Any, loop: Any) -> None:
    event = aio.Event()
    with pytest.raises(TimeoutError):
        await aio.wait_for(event.wait(), 0.001)
    waiter = loop.create_task(event.wait())
    await settle()
    event.set()
    assert await waiter is True
