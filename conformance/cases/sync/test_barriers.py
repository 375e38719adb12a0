"""``Barrier``: rounds of tasks that pass together, reset, abort, and who is cancelled on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.turns import kinds, settle, states, without_waiting
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.turns import Start

EVERY_LOOP = on_loops(PLAIN, DEBUG, EAGER)


def places(found: list[object]) -> list[str]:
    """What tasks returned, without regard to who returned what."""
    return sorted(map(str, found))


@requirement("Barrier/accepts-documented-arguments", "Barrier.parties/holds-required-count")
async def test_a_barrier_takes_the_number_of_parties(aio: Any) -> None:
    assert [aio.Barrier(1).parties, aio.Barrier(7).parties, aio.Barrier(parties=3).parties] == [1, 7, 3]
    with pytest.raises(TypeError):
        aio.Barrier()
    with pytest.raises(TypeError):
        aio.Barrier(2, 2)


@pytest.mark.parametrize("parties", [0, -1])
@requirement("Barrier/rejects-parties-below-one")
async def test_parties_below_one_raise_valueerror(aio: Any, parties: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        aio.Barrier(parties)


@requirement("Barrier.wait/is-coroutine-method", "Barrier.reset/is-coroutine-method")
@requirement("Barrier.abort/is-coroutine-method")
async def test_calling_its_coroutines_does_nothing_until_they_are_awaited(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(2)
    coroutines = [barrier.wait(), barrier.reset(), barrier.abort()]
    (waiter,) = await start(barrier.wait())
    for coroutine in coroutines:
        coroutine.close()
    assert await states(aio, waiter) == ["waiting"]
    assert (barrier.n_waiting, barrier.broken) == (1, False)


@EVERY_LOOP
@pytest.mark.parametrize("parties", [2, 3, 5])
@requirement("Barrier.wait/waits-for-all-parties", "Barrier.wait/returns-distinct-index")
async def test_all_are_released_once_the_last_has_come_each_with_a_place_of_its_own(
    aio: Any, start: Start, parties: int
) -> None:
    barrier = aio.Barrier(parties)
    tasks = await start(*(barrier.wait() for _ in range(parties - 1)))
    assert await states(aio, *tasks) == ["waiting"] * (parties - 1)
    tasks += await start(barrier.wait())
    assert places(await states(aio, *tasks)) == [str(place) for place in range(parties)]


@requirement("Barrier.wait/waits-for-all-parties", "Barrier.wait/returns-distinct-index")
async def test_a_single_party_does_not_wait(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(1)
    for _ in range(3):
        (task,) = await start(barrier.wait())
        assert await states(aio, task) == [0]


@EVERY_LOOP
@requirement("Barrier/reusable-any-number")
async def test_a_barrier_can_be_passed_again_and_again(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(3)
    for _ in range(4):
        tasks = await start(barrier.wait(), barrier.wait())
        assert await states(aio, *tasks) == ["waiting", "waiting"]
        tasks += await start(barrier.wait())
        assert places(await states(aio, *tasks)) == ["0", "1", "2"]


@EVERY_LOOP
@requirement("Barrier/reusable-any-number", "Barrier.wait/returns-distinct-index")
async def test_tasks_that_pass_again_and_again_stay_in_step(loop: AbstractEventLoop, aio: Any) -> None:
    barrier = aio.Barrier(4)
    steps: list[int] = []
    found: list[list[int]] = [[] for _ in range(10)]

    async def walk() -> None:
        for step in range(10):
            steps.append(step)
            found[step].append(await barrier.wait())

    await aio.wait([loop.create_task(walk()) for _ in range(4)], timeout=GENEROUS)
    assert steps == sorted(steps)
    assert [sorted(round_) for round_ in found] == [[0, 1, 2, 3]] * 10


@EVERY_LOOP
@requirement("Barrier.wait/waits-for-all-parties", "Barrier/reusable-any-number")
async def test_more_tasks_than_parties_pass_in_rounds(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(2)
    tasks = await start(*(barrier.wait() for _ in range(7)))
    assert places(await states(aio, *tasks)) == ["0", "0", "0", "1", "1", "1", "waiting"]
    assert barrier.n_waiting == 1


@EVERY_LOOP
@requirement("Barrier/async-with-waits-for-index")
async def test_async_with_waits_at_the_barrier_and_gives_the_place(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(2)

    async def enter() -> object:
        async with barrier as place:
            return place

    (first,) = await start(enter())
    assert await states(aio, first) == ["waiting"]
    (second,) = await start(enter())
    assert places(await states(aio, first, second)) == ["0", "1"]


@requirement("Barrier/async-with-waits-for-index")
async def test_an_exception_in_the_block_passes_and_leaves_the_barrier_as_it_is(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(1)

    async def fail() -> None:
        async with barrier:
            raise ZeroDivisionError

    (task,) = await start(fail())
    assert await kinds(aio, task) == [ZeroDivisionError]
    assert (barrier.n_waiting, barrier.broken) == (0, False)


@requirement("Barrier.n_waiting/holds-waiting-count")
async def test_n_waiting_counts_who_waits_while_the_barrier_fills(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(3)
    seen = [barrier.n_waiting]
    for _ in range(3):
        await start(barrier.wait())
        seen.append(barrier.n_waiting)
    assert seen == [0, 1, 2, 0]


@requirement("Barrier.n_waiting/holds-waiting-count")
async def test_nobody_counts_while_the_barrier_drains(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(2)
    await start(barrier.wait())
    await barrier.wait()
    assert barrier.n_waiting == 0


@requirement("Barrier/repr-shows-state-and-waiters")
async def test_the_repr_shows_the_state_and_the_number_of_waiters(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(3)
    seen = [repr(barrier)]
    await start(barrier.wait(), barrier.wait())
    seen.append(repr(barrier))
    await barrier.wait()
    seen.append(repr(barrier))
    expected = ["filling, waiters:0/3", "filling, waiters:2/3", "draining, waiters:0/3"]
    assert [text in shown for text, shown in zip(expected, seen, strict=True)] == [True] * 3


@EVERY_LOOP
@requirement("Barrier.wait/cancelled-waiter-leaves-barrier", "Barrier.wait/raises-cancellederror-when-cancelled")
async def test_who_is_cancelled_while_the_barrier_fills_leaves_it(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(3)
    cancelled, other = await start(barrier.wait(), barrier.wait())
    cancelled.cancel()
    assert await states(aio, cancelled, other) == ["cancelled", "waiting"]
    assert (barrier.n_waiting, barrier.broken) == (1, False)
    (third,) = await start(barrier.wait())
    assert await states(aio, other, third) == ["waiting", "waiting"]
    (fourth,) = await start(barrier.wait())
    assert "waiting" not in await states(aio, other, third, fourth)


@EVERY_LOOP
@requirement("Barrier.wait/distinct-index-after-cancellation")
async def test_places_are_distinct_after_somebody_left(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(3)
    cancelled, *tasks = await start(barrier.wait(), barrier.wait())
    cancelled.cancel()
    await settle(aio)
    tasks += await start(barrier.wait(), barrier.wait())
    assert places(await states(aio, *tasks)) == ["0", "1", "2"]


@EVERY_LOOP
@requirement("Barrier.wait/cancelled-waiter-leaves-barrier", "Barrier.wait/raises-cancellederror-when-cancelled")
async def test_who_is_cancelled_while_the_barrier_drains_holds_nobody_back(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(3)
    cancelled, other = await start(barrier.wait(), barrier.wait())
    await barrier.wait()
    cancelled.cancel()
    found = await states(aio, cancelled, other)
    assert found[0] == "cancelled"
    assert isinstance(found[1], int)
    assert (barrier.n_waiting, barrier.broken) == (0, False)
    assert places(await states(aio, *await start(*(barrier.wait() for _ in range(3))))) == ["0", "1", "2"]


@requirement("Barrier.wait/raises-cancellederror-when-cancelled", "Barrier.wait/cancelled-waiter-leaves-barrier")
async def test_all_may_be_cancelled_and_the_barrier_serves_again(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(3)
    tasks = await start(barrier.wait(), barrier.wait())
    for task in tasks:
        task.cancel()
    assert await states(aio, *tasks) == ["cancelled", "cancelled"]
    assert (barrier.n_waiting, barrier.broken) == (0, False)
    assert places(await states(aio, *await start(*(barrier.wait() for _ in range(3))))) == ["0", "1", "2"]


@EVERY_LOOP
@requirement("Barrier.reset/raises-brokenbarriererror-in-waiters", "Barrier.reset/restores-empty-state")
async def test_reset_fails_who_waits_and_empties_the_barrier(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(3)
    tasks = await start(barrier.wait(), barrier.wait())
    assert await barrier.reset() is None
    assert await kinds(aio, *tasks) == [aio.BrokenBarrierError] * 2
    assert (barrier.n_waiting, barrier.broken) == (0, False)
    tasks = await start(barrier.wait(), barrier.wait())
    assert await states(aio, *tasks) == ["waiting", "waiting"]
    tasks += await start(barrier.wait())
    assert places(await states(aio, *tasks)) == ["0", "1", "2"]


@requirement("Barrier.reset/restores-empty-state")
async def test_reset_of_an_empty_barrier_changes_nothing(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(2)
    await without_waiting(aio, start, barrier.reset())
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (2, 0, False)
    assert places(await states(aio, *await start(barrier.wait(), barrier.wait()))) == ["0", "1"]


@EVERY_LOOP
@requirement("Barrier.abort/breaks-all-waits")
async def test_abort_fails_waits_that_are_going_on_and_those_that_come_later(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(3)
    tasks = await start(barrier.wait(), barrier.wait())
    assert await barrier.abort() is None
    assert await kinds(aio, *tasks) == [aio.BrokenBarrierError] * 2
    tasks = await start(*(barrier.wait() for _ in range(4)))
    assert await kinds(aio, *tasks) == [aio.BrokenBarrierError] * 4


@requirement("Barrier.abort/breaks-all-waits", "Barrier/async-with-waits-for-index")
async def test_async_with_raises_at_a_broken_barrier(aio: Any) -> None:
    barrier = aio.Barrier(1)
    await barrier.abort()
    with pytest.raises(aio.BrokenBarrierError):
        async with barrier:
            pytest.fail("the block ran")


@EVERY_LOOP
@requirement("Barrier.abort/breaks-all-waits", "Barrier.reset/raises-brokenbarriererror-in-waiters")
@pytest.mark.parametrize("method", ["abort", "reset"])
async def test_who_is_cancelled_in_the_turn_in_which_the_barrier_fails_does_not_disturb_the_others(
    aio: Any, start: Start, method: str
) -> None:
    barrier = aio.Barrier(4)
    first, second, third = await start(*(barrier.wait() for _ in range(3)))
    await getattr(barrier, method)()
    second.cancel()
    found = await kinds(aio, first, second, third)
    assert found == [aio.BrokenBarrierError, "cancelled", aio.BrokenBarrierError]
    assert barrier.n_waiting == 0


@requirement("Barrier.broken/holds-broken-state", "Barrier.reset/restores-empty-state")
async def test_broken_is_true_from_abort_to_reset(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(2)
    seen = [barrier.broken]
    for change in (barrier.abort, barrier.abort, barrier.reset):
        await change()
        seen.append(barrier.broken)
    assert [answer is True for answer in seen] == [False, True, True, False]
    assert [answer is False for answer in seen] == [True, False, False, True]
    assert places(await states(aio, *await start(barrier.wait(), barrier.wait()))) == ["0", "1"]


@requirement("BrokenBarrierError/is-runtimeerror-subclass")
async def test_brokenbarriererror_is_a_runtimeerror_of_its_own(aio: Any, start: Start) -> None:
    barrier = aio.Barrier(2)
    tasks = await start(barrier.wait())
    await barrier.reset()
    await settle(aio)
    await barrier.abort()
    tasks += await start(barrier.wait())
    found = await states(aio, *tasks)
    assert [isinstance(error, aio.BrokenBarrierError) for error in found] == [True, True]
    assert issubclass(aio.BrokenBarrierError, RuntimeError)
    assert aio.BrokenBarrierError is not RuntimeError
