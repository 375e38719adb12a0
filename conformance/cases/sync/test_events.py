"""``Event``: a flag, and the tasks that wait for it to become true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.turns import settle, states, without_suspending

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.turns import Start

EVERY_LOOP = on_loops(PLAIN, DEBUG, EAGER)


@requirement("Event/accepts-no-arguments")
async def test_an_event_is_made_without_arguments(aio: Any) -> None:
    assert aio.Event() is not aio.Event()
    for arguments, keywords in (((None,), {}), ((True,), {}), ((), {"value": True})):
        with pytest.raises(TypeError):
            aio.Event(*arguments, **keywords)


@requirement("Event/starts-unset")
async def test_the_flag_is_false_at_first(aio: Any, start: Start) -> None:
    event = aio.Event()
    (waiter,) = await start(event.wait())
    assert event.is_set() is False
    assert await states(aio, waiter) == ["waiting"]


@requirement("Event.is_set/returns-flag-state", "Event.clear/is-set-false-afterwards")
async def test_is_set_follows_set_and_clear(aio: Any) -> None:
    event = aio.Event()
    seen = []
    for change in (event.set, event.set, event.clear, event.clear, event.set):
        change()
        seen.append(event.is_set())
        await settle(aio)
        seen.append(event.is_set())
    assert seen == [True] * 4 + [False] * 4 + [True] * 2
    assert {type(answer) for answer in seen} == {bool}


@requirement("Event.wait/is-coroutine-method")
async def test_calling_wait_waits_for_nothing_until_it_is_awaited(aio: Any, start: Start) -> None:
    event = aio.Event()
    waiting = event.wait()
    await settle(aio)
    event.set()
    await settle(aio)
    event.clear()
    (waiter,) = await start(waiting)
    assert await states(aio, waiter) == ["waiting"]


@EVERY_LOOP
@requirement("Event.wait/returns-immediately-when-set")
async def test_waiting_for_a_set_event_does_not_give_way_to_the_loop(loop: AbstractEventLoop, aio: Any) -> None:
    event = aio.Event()
    event.set()
    assert await without_suspending(loop, event.wait()) is True
    assert await without_suspending(loop, event.wait()) is True
    assert event.is_set() is True


@EVERY_LOOP
@requirement("Event.wait/waits-until-set")
async def test_wait_waits_for_set_and_returns_true(aio: Any, start: Start) -> None:
    event = aio.Event()
    (waiter,) = await start(event.wait())
    assert await states(aio, waiter) == ["waiting"]
    event.set()
    assert await states(aio, waiter) == [True]


@EVERY_LOOP
@requirement("Event.set/wakes-all-waiters")
async def test_set_wakes_every_task_and_keeps_later_ones_from_waiting(
    loop: AbstractEventLoop, aio: Any, start: Start
) -> None:
    event = aio.Event()
    waiters = await start(*(event.wait() for _ in range(5)))
    event.set()
    assert await states(aio, *waiters) == [True] * 5
    assert await without_suspending(loop, event.wait()) is True


@EVERY_LOOP
@requirement("Event.set/wakes-all-waiters")
async def test_set_wakes_every_task_although_the_flag_is_cleared_at_once(aio: Any, start: Start) -> None:
    event = aio.Event()
    waiters = await start(*(event.wait() for _ in range(5)))
    event.set()
    event.clear()
    assert await states(aio, *waiters) == [True] * 5
    assert event.is_set() is False


@EVERY_LOOP
@pytest.mark.parametrize("first_step", ["set", "cancel"])
@requirement("Event.set/wakes-all-waiters")
async def test_set_wakes_the_other_tasks_when_one_is_cancelled_in_the_same_turn(
    aio: Any, start: Start, first_step: str
) -> None:
    event = aio.Event()
    first, second, third = await start(*(event.wait() for _ in range(3)))
    steps = [event.set, second.cancel]
    for step in steps if first_step == "set" else reversed(steps):
        step()
    assert await states(aio, first, second, third) == [True, "cancelled", True]


@requirement("Event.set/wakes-all-waiters", "Event.wait/waits-until-set")
async def test_a_task_that_was_cancelled_while_it_waited_is_forgotten(aio: Any, start: Start) -> None:
    event = aio.Event()
    cancelled, other = await start(event.wait(), event.wait())
    cancelled.cancel()
    assert await states(aio, cancelled, other) == ["cancelled", "waiting"]
    event.set()
    assert await states(aio, cancelled, other) == ["cancelled", True]


@EVERY_LOOP
@requirement("Event.clear/makes-later-waits-block")
async def test_after_clear_wait_waits_for_the_next_set(aio: Any, start: Start) -> None:
    event = aio.Event()
    for _ in range(3):
        event.set()
        event.clear()
        waiters = await start(event.wait(), event.wait())
        assert await states(aio, *waiters) == ["waiting", "waiting"]
        event.set()
        assert await states(aio, *waiters) == [True, True]


@requirement("Event.clear/makes-later-waits-block")
async def test_clearing_does_not_wake_who_waits(aio: Any, start: Start) -> None:
    event = aio.Event()
    (waiter,) = await start(event.wait())
    event.clear()
    assert await states(aio, waiter) == ["waiting"]
    event.set()
    assert await states(aio, waiter) == [True]
