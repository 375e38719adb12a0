"""Barrier: rounds of tasks that pass together."""

from __future__ import annotations

from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement


@requirement("Barrier/accepts-documented-arguments", "Barrier.parties/holds-required-count")
@requirement("Barrier/rejects-parties-below-one", "Barrier.broken/holds-broken-state")
def test_a_barrier_is_for_a_positive_number_of_parties(aio: Any) -> None:
    barrier = aio.Barrier(parties=3)
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)
    for parties in (0, -1):
        with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
            aio.Barrier(parties)


@requirement("Barrier.wait/waits-for-all-parties", "Barrier.wait/returns-distinct-index")
@requirement("Barrier/reusable-any-number", "Barrier.n_waiting/holds-waiting-count")
async def test_all_pass_together_each_with_a_place_of_its_own_round_after_round(aio: Any, loop: Any) -> None:
    barrier = aio.Barrier(3)
    for _ in range(4):
        tasks = [loop.create_task(barrier.wait()) for _ in range(2)]
        await settle()
        assert barrier.n_waiting == 2
        assert not any(task.done() for task in tasks)
        places = {await barrier.wait()}
        assert places | set(await aio.gather(*tasks)) == {0, 1, 2}
        assert barrier.n_waiting == 0


@requirement("Barrier/reusable-any-number")
async def test_tasks_that_pass_again_and_again_stay_in_step(aio: Any, loop: Any) -> None:
    barrier = aio.Barrier(4)
    steps: list[int] = []

    async def walk() -> None:
        for step in range(10):
            steps.append(step)
            await barrier.wait()

    await aio.gather(*(loop.create_task(walk()) for _ in range(4)))
    assert steps == sorted(steps)


@requirement("Barrier.wait/waits-for-all-parties")
async def test_more_tasks_than_parties_pass_in_rounds(aio: Any, loop: Any) -> None:
    barrier = aio.Barrier(2)
    tasks = [loop.create_task(barrier.wait()) for _ in range(7)]
    await settle(30)
    assert sum(task.done() for task in tasks) == 6
    assert sorted(task.result() for task in tasks if task.done()) == [0, 0, 0, 1, 1, 1]
    assert barrier.n_waiting == 1


@requirement(
    "Barrier.wait/is-coroutine-method", "Barrier.reset/is-coroutine-method", "Barrier.abort/is-coroutine-method"
)
async def test_calling_its_coroutines_does_nothing_until_awaited(aio: Any) -> None:
    barrier = aio.Barrier(2)
    for name in ("wait", "reset", "abort"):
        coroutine = getattr(barrier, name)()
        await settle()
        assert (barrier.n_waiting, barrier.broken) == (0, False)
        coroutine.close()


@requirement("Barrier/async-with-waits-for-index")
async def test_async_with_waits_and_gives_the_place(aio: Any) -> None:
    barrier = aio.Barrier(2)

    async def enter() -> int:
        async with barrier as place:
            assert isinstance(place, int)
            return place

    assert sorted(await aio.gather(enter(), enter())) == [0, 1]


@requirement("Barrier/repr-shows-state-and-waiters")
async def test_repr_shows_the_state_and_the_number_of_waiters(aio: Any, loop: Any) -> None:
    barrier = aio.Barrier(3)
    tasks = [loop.create_task(barrier.wait()) for _ in range(2)]
    await settle()
    assert "filling, waiters:2/3" in repr(barrier)
    await barrier.wait()
    assert "draining, waiters:0/3" in repr(barrier)
    await aio.gather(*tasks)
    assert "filling, waiters:0/3" in repr(barrier)


@requirement("Barrier.wait/cancelled-waiter-leaves-barrier", "Barrier.wait/raises-cancellederror-when-cancelled")
async def test_who_is_cancelled_while_it_fills_leaves(aio: Any, loop: Any) -> None:
    barrier = aio.Barrier(3)
    tasks = [loop.create_task(barrier.wait()) for _ in range(2)]
    await settle()
    tasks[0].cancel()
    assert isinstance(await outcome(tasks[0]), aio.CancelledError)
    assert (barrier.n_waiting, barrier.broken) == (1, False)
    late = loop.create_task(barrier.wait())
    await settle()
    assert not tasks[1].done()
    await barrier.wait()
    await aio.gather(tasks[1], late)


@requirement("Barrier.wait/returns-distinct-index", "Barrier.wait/cancelled-waiter-leaves-barrier")
@pytest.mark.asyncio_differs("it gives the place by arrival, and so twice after a cancellation")
async def test_places_stay_distinct_after_a_cancellation(aio: Any, loop: Any) -> None:
    barrier = aio.Barrier(3)
    tasks = [loop.create_task(barrier.wait()) for _ in range(2)]
    await settle()
    tasks[0].cancel()
    late = loop.create_task(barrier.wait())
    await settle()
    last = await barrier.wait()
    assert sorted([last, await tasks[1], await late]) == [0, 1, 2]


@requirement("Barrier.wait/cancelled-waiter-leaves-barrier")
async def test_who_is_cancelled_while_it_drains_holds_nobody_back(aio: Any, loop: Any) -> None:
    barrier = aio.Barrier(3)
    tasks = [loop.create_task(barrier.wait()) for _ in range(2)]
    await settle()
    await barrier.wait()
    tasks[0].cancel()
    await settle()
    assert tasks[0].cancelled()
    assert tasks[1].done()
    assert not barrier.broken
    assert sorted(await aio.gather(barrier.wait(), barrier.wait(), barrier.wait())) == [0, 1, 2]


@requirement("Barrier.reset/restores-empty-state", "Barrier.reset/raises-brokenbarriererror-in-waiters")
async def test_reset_fails_the_waiters_and_makes_it_usable_again(aio: Any, loop: Any) -> None:
    barrier = aio.Barrier(3)
    tasks = [loop.create_task(barrier.wait()) for _ in range(2)]
    await settle()
    await barrier.reset()
    for task in tasks:
        assert isinstance(await outcome(task), aio.BrokenBarrierError)
    assert (barrier.n_waiting, barrier.broken) == (0, False)
    assert sorted(await aio.gather(barrier.wait(), barrier.wait(), barrier.wait())) == [0, 1, 2]


@requirement("Barrier.abort/breaks-all-waits", "BrokenBarrierError/is-runtimeerror-subclass")
@requirement("Barrier.broken/holds-broken-state")
async def test_abort_fails_waits_until_the_reset(aio: Any, loop: Any) -> None:
    barrier = aio.Barrier(2)
    waiting = loop.create_task(barrier.wait())
    await settle()
    await barrier.abort()
    assert barrier.broken
    assert isinstance(await outcome(waiting), aio.BrokenBarrierError)
    assert isinstance(await outcome(barrier.wait()), aio.BrokenBarrierError)
    await barrier.reset()
    assert (barrier.n_waiting, barrier.broken) == (0, False)
    assert sorted(await aio.gather(barrier.wait(), barrier.wait())) == [0, 1]
    assert issubclass(aio.BrokenBarrierError, RuntimeError)


@requirement("Barrier.abort/breaks-all-waits")
async def test_abort_reaches_waits_that_were_let_go_and_have_not_returned(aio: Any, loop: Any) -> None:
    barrier = aio.Barrier(2)
    waiting = loop.create_task(barrier.wait())
    await settle()
    await barrier.wait()
    await barrier.abort()
    assert isinstance(await outcome(waiting), aio.BrokenBarrierError)
