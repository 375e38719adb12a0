"""Results in the order in which they come: ``as_completed()``, in a plain loop and in an ``async for``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending
from conformance.support.futures import outcome
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.members import wait_for
from conformance.support.threads import in_thread
from conformance.support.turns import settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Iterator

# Never reached: what waits this long waits for a promise that is broken.
LONG = 3600
# Any delay does: the deadline is met because nothing else ever happens.
SHORT = 0.002
# Long enough for what is done already to be seen, whatever a loop looks at first. A loaded machine may stand still for
# longer than the first of them, or the second: the case then tries again.
IN_TIME = (0.02, 0.1, 0.5)
# An order in which no two neighbours are sorted either way for long.
SHUFFLED = [7, 2, 9, 4, 0, 5, 8, 1, 6, 3]


def finish_one_by_one(loop: AbstractEventLoop, futures: list[Future[Any]], order: list[int]) -> None:
    """Give each future its number, in the order ``order``, one per pass of the loop."""
    if order:
        futures[order[0]].set_result(order[0])
        loop.call_soon(finish_one_by_one, loop, futures, order[1:])


@requirement("as_completed/accepts-documented-arguments")
async def test_as_completed_takes_awaitables_and_a_timeout_by_name(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    future.set_result("result")
    for keywords in ({}, {"timeout": None}, {"timeout": LONG}, {"timeout": LONG + 0.5}):
        assert [await one for one in aio.as_completed([future], **keywords)] == ["result"]
    for arguments, keywords in (((), {}), (([future], 1), {}), (([future],), {"delay": 1})):
        with pytest.raises(TypeError):
            aio.as_completed(*arguments, **keywords)


@pytest.mark.parametrize("make", [list, tuple, set, frozenset])
@requirement("as_completed/accepts-documented-arguments")
async def test_as_completed_takes_any_collection(loop: AbstractEventLoop, aio: Any, make: Any) -> None:
    kinds = make([aio.sleep(0, "coroutine"), loop.create_task(aio.sleep(0, "task")), aio.gather()])
    results = [await one for one in aio.as_completed(kinds)]
    assert sorted(map(str, results)) == ["[]", "coroutine", "task"]


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("timeout", [None, LONG])
@requirement("as_completed/yields-in-completion-order")
async def test_a_plain_loop_gives_the_results_in_the_order_of_completion(
    loop: AbstractEventLoop, aio: Any, timeout: float | None
) -> None:
    futures = [loop.create_future() for _ in SHUFFLED]
    loop.call_soon(finish_one_by_one, loop, futures, SHUFFLED)
    kinds = [wait_for(future) if n % 2 else loop.create_task(wait_for(future)) for n, future in enumerate(futures)]
    assert [await one for one in aio.as_completed(kinds, timeout=timeout)] == SHUFFLED


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("as_completed/yields-in-completion-order")
async def test_all_run_at_once(loop: AbstractEventLoop, aio: Any) -> None:
    everybody_here = loop.create_future()
    here: list[int] = []

    async def arrive(number: int) -> int:
        here.append(number)
        if len(here) == 10:
            everybody_here.set_result(None)
        await everybody_here
        return number

    results = [await one for one in aio.as_completed([arrive(number) for number in range(10)])]
    assert sorted(results) == list(range(10))


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("as_completed/yields-in-completion-order")
async def test_what_finishes_while_nobody_looks_is_given_in_its_order(loop: AbstractEventLoop, aio: Any) -> None:
    futures = [loop.create_future() for _ in SHUFFLED]
    in_order = list(aio.as_completed(futures))
    finish_one_by_one(loop, futures, SHUFFLED)
    await settle(aio)
    assert [await one for one in in_order] == SHUFFLED


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("as_completed/yields-in-completion-order")
async def test_several_may_wait_for_the_next_at_once(loop: AbstractEventLoop, aio: Any) -> None:
    futures = [loop.create_future() for _ in SHUFFLED]
    waiters = [loop.create_task(one) for one in aio.as_completed(futures)]
    await settle(aio)
    finish_one_by_one(loop, futures, SHUFFLED)
    assert await aio.gather(*waiters) == SHUFFLED


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("as_completed/yields-coroutines", "as_completed/yields-new-objects")
async def test_a_plain_loop_gives_a_coroutine_for_each_that_raises_what_it_raised(
    loop: AbstractEventLoop, aio: Any
) -> None:
    error, given = ValueError(), [loop.create_future() for _ in range(3)]
    given[0].set_exception(error)
    given[1].cancel()
    given[2].set_result("result")
    objects = list(aio.as_completed(given))
    assert [aio.iscoroutine(one) for one in objects] == [True] * 3
    assert [one in given for one in objects] == [False] * 3
    endings = [await ending(one) for one in objects]
    assert sorted(type(one).__name__ for one in endings) == ["CancelledError", "ValueError", "str"]
    assert error in endings
    assert "result" in endings


@requirement("as_completed/yields-coroutines")
async def test_the_same_awaitable_given_twice_does_no_harm_to_the_others(loop: AbstractEventLoop, aio: Any) -> None:
    first, second = loop.create_future(), loop.create_future()
    first.set_result("first")
    second.set_result("second")
    results = [await one for one in aio.as_completed([first, second, second])]
    assert set(results) == {"first", "second"}


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("as_completed/raises-timeouterror-from-yielded")
async def test_after_the_timeout_what_is_left_raises_timeouterror(loop: AbstractEventLoop, aio: Any) -> None:
    done, *pending = [loop.create_future() for _ in range(3)]
    done.set_result("in time")
    for timeout in IN_TIME:
        endings = [await ending(one) for one in aio.as_completed([*pending, done], timeout=timeout)]
        if endings[0] == "in time":
            break
    assert endings[0] == "in time"
    assert [type(one) for one in endings[1:]] == [aio.TimeoutError] * 2


@on_loops(PLAIN, DEBUG)
@requirement("as_completed/raises-timeouterror-from-yielded")
async def test_a_timeout_is_over_for_a_coroutine_that_waits_and_for_one_that_comes_late(
    loop: AbstractEventLoop, aio: Any
) -> None:
    futures = [loop.create_future() for _ in range(2)]
    waits, late = aio.as_completed(futures, timeout=SHORT)
    assert isinstance(await ending(loop.create_task(waits)), aio.TimeoutError)
    for future in futures:
        future.set_result("late")
    assert isinstance(await ending(late), aio.TimeoutError)


@requirement("as_completed/raises-timeouterror-from-yielded")
async def test_a_timeout_is_in_seconds_and_not_over_before_they_are(loop: AbstractEventLoop, aio: Any) -> None:
    # Half of the timeout: what a unit mistaken for another misses by far, and a clock's coarseness does not reach.
    began = loop.time()
    for one in aio.as_completed([loop.create_future()], timeout=0.02):
        assert isinstance(await ending(one), aio.TimeoutError)
    assert loop.time() - began >= 0.01


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("as_completed/async-iteration-yields-originals")
async def test_an_async_for_gives_the_futures_themselves_in_the_order_of_completion(
    loop: AbstractEventLoop, aio: Any
) -> None:
    futures = [loop.create_future() for _ in SHUFFLED]
    loop.call_soon(finish_one_by_one, loop, futures, SHUFFLED)
    given = [future if n % 2 else loop.create_task(wait_for(future)) for n, future in enumerate(futures)]
    seen = [(given.index(one), one.done(), one.result()) async for one in aio.as_completed(given)]
    # A task is done a pass after the future that it waits for.
    assert sorted(seen) == [(n, True, n) for n in range(10)]
    assert [n for n, _, _ in seen if n % 2] == [n for n in SHUFFLED if n % 2]
    assert [n for n, _, _ in seen if not n % 2] == [n for n in SHUFFLED if not n % 2]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("as_completed/async-iteration-yields-originals")
async def test_an_async_for_gives_failed_and_cancelled_futures_and_raises_nothing(
    loop: AbstractEventLoop, aio: Any
) -> None:
    failed, cancelled = loop.create_future(), loop.create_task(wait_for(loop.create_future()))
    await settle(aio)
    loop.call_soon(failed.set_exception, ValueError())
    loop.call_soon(cancelled.cancel)
    found = {one: outcome(one, aio)[0] async for one in aio.as_completed([cancelled, failed])}
    assert found == {failed: "raised", cancelled: "cancelled"}


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("as_completed/async-iteration-yields-implicit-tasks")
async def test_an_async_for_gives_the_tasks_made_of_coroutines(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    loop.call_soon(future.set_result, "later")
    found = [one async for one in aio.as_completed([wait_for(future), aio.sleep(0, "soon")])]
    assert [isinstance(one, aio.Task) for one in found] == [True, True]
    assert {one.result() for one in found} == {"soon", "later"}


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("as_completed/raises-timeouterror-from-async-iteration")
async def test_after_the_timeout_an_async_for_raises_timeouterror(loop: AbstractEventLoop, aio: Any) -> None:
    done, pending = loop.create_future(), loop.create_future()
    done.set_result("in time")
    for timeout in IN_TIME:
        seen = []
        with pytest.raises(aio.TimeoutError):  # noqa: PT012 - the block itself raises
            async for one in aio.as_completed([pending, done], timeout=timeout):
                seen.append(one)  # noqa: PERF401 - what came before the exception
        if seen:
            break
    assert seen == [done]


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["for", "async for"])
@requirement("as_completed/leaves-awaitables-uncancelled")
async def test_a_timeout_cancels_nothing(loop: AbstractEventLoop, aio: Any, asynchronous: bool) -> None:
    gate = loop.create_future()
    task = loop.create_task(wait_for(gate))
    given = aio.as_completed([gate, task], timeout=SHORT)
    if asynchronous:
        with pytest.raises(aio.TimeoutError):
            await anext(given)
    else:
        assert [type(await ending(one)) for one in given] == [aio.TimeoutError] * 2
    await settle(aio)
    assert (gate.done(), task.done(), task.cancelling()) == (False, False, 0)
    gate.set_result("went on")
    assert await task == "went on"


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["for", "async for"])
@requirement("as_completed/leaves-awaitables-uncancelled")
async def test_a_cancelled_iteration_cancels_nothing_else(
    loop: AbstractEventLoop, aio: Any, asynchronous: bool
) -> None:
    gate = loop.create_future()
    task = loop.create_task(wait_for(gate))

    async def iterate() -> None:
        if asynchronous:
            async for _ in aio.as_completed([task, gate], timeout=LONG):
                pass
        else:
            for one in aio.as_completed([task], timeout=LONG):
                await one

    waiter = loop.create_task(iterate())
    await settle(aio)
    waiter.cancel()
    assert isinstance(await ending(waiter), aio.CancelledError)
    await settle(aio)
    assert (gate.done(), task.done(), task.cancelling()) == (False, False, 0)
    gate.set_result("went on")
    assert await task == "went on"


def generated(tasks: list[Any]) -> Iterator[Any]:
    yield from tasks


@requirement("as_completed/accepts-task-generators")
async def test_a_generator_of_tasks_will_do(loop: AbstractEventLoop, aio: Any) -> None:
    tasks = [loop.create_task(aio.sleep(0, n)) for n in range(3)]
    assert sorted([await one for one in aio.as_completed(generated(tasks))]) == [0, 1, 2]


@requirement("as_completed/deprecates-call-without-loop")
def test_without_any_loop_there_is_nothing_to_run_coroutines_in(aio: Any) -> None:
    coroutine = aio.sleep(0)

    def iterate() -> None:
        with pytest.raises(RuntimeError):
            list(aio.as_completed([coroutine]))

    # A thread of its own never has a loop set.
    in_thread(iterate)
    coroutine.close()
