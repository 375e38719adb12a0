"""as_completed(): results in the order in which they come."""

from __future__ import annotations

from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement


async def give(aio: Any, value: object, turns: int) -> object:
    for _ in range(turns):
        await aio.sleep(0)
    if isinstance(value, BaseException):
        raise value
    return value


@requirement("as_completed/yields-in-completion-order", "as_completed/yields-coroutines")
@requirement("as_completed/yields-new-objects", "as_completed/accepts-documented-arguments")
async def test_a_plain_loop_gives_coroutines_in_the_order_of_completion(aio: Any, loop: Any) -> None:
    awaitables = [loop.create_task(give(aio, "slow", 9)), give(aio, "middle", 6), give(aio, "quick", 3)]
    results = []
    for awaitable in aio.as_completed(awaitables):
        assert aio.iscoroutine(awaitable)
        assert awaitable not in awaitables
        results.append(await awaitable)
    assert results == ["quick", "middle", "slow"]


@requirement("as_completed/yields-coroutines")
async def test_a_coroutine_of_it_raises_what_the_awaitable_raised(aio: Any) -> None:
    first, second = aio.as_completed([give(aio, ZeroDivisionError(), 1), give(aio, 2, 5)])
    assert isinstance(await outcome(first), ZeroDivisionError)
    assert await second == 2


@requirement("as_completed/async-iteration-yields-originals")
@requirement("as_completed/async-iteration-yields-implicit-tasks")
@pytest.mark.since((3, 13))
async def test_an_async_loop_gives_the_tasks_themselves(aio: Any, loop: Any) -> None:
    slow = loop.create_task(give(aio, "slow", 9))
    results = []
    async for task in aio.as_completed([slow, give(aio, "quick", 3)]):
        assert aio.isfuture(task)
        assert task.done()
        results.append((task is slow, task.result()))
    assert results == [(False, "quick"), (True, "slow")]


@requirement("as_completed/raises-timeouterror-from-yielded", "as_completed/leaves-awaitables-uncancelled")
async def test_after_the_timeout_a_coroutine_of_it_raises_timeouterror(aio: Any, loop: Any) -> None:
    quick, slow = loop.create_future(), loop.create_task(aio.sleep(60))
    quick.set_result(1)
    first, second = aio.as_completed([quick, slow], timeout=0.01)
    assert await first == 1
    assert isinstance(await outcome(second), TimeoutError)
    await settle()
    assert not slow.done()


@requirement("as_completed/raises-timeouterror-from-async-iteration", "as_completed/leaves-awaitables-uncancelled")
@pytest.mark.since((3, 13))
async def test_after_the_timeout_an_async_loop_raises_timeouterror(aio: Any, loop: Any) -> None:
    quick, slow = loop.create_future(), loop.create_task(aio.sleep(60))
    quick.set_result(1)
    seen = []

    async def iterate() -> None:
        seen.extend([task async for task in aio.as_completed([quick, slow], timeout=0.01)])

    assert isinstance(await outcome(iterate()), TimeoutError)
    assert not slow.done()


@requirement("as_completed/leaves-awaitables-uncancelled")
async def test_a_cancelled_iteration_cancels_nothing_else(aio: Any, loop: Any) -> None:
    slow = loop.create_task(aio.sleep(60))

    async def iterate() -> None:
        for awaitable in aio.as_completed([slow]):
            await awaitable

    task = loop.create_task(iterate())
    await settle()
    task.cancel()
    assert isinstance(await outcome(task), aio.CancelledError)
    assert not slow.done()


@requirement("as_completed/yields-in-completion-order")
async def test_several_may_wait_for_the_next_at_once(aio: Any) -> None:
    waiters = [aio.create_task(coro) for coro in aio.as_completed([give(aio, n, n + 1) for n in range(5)])]
    assert sorted(await aio.gather(*waiters)) == [0, 1, 2, 3, 4]


@requirement("as_completed/accepts-task-generators")
@pytest.mark.since((3, 12))
async def test_a_generator_of_tasks_will_do(aio: Any, loop: Any) -> None:
    results = [await one for one in aio.as_completed(loop.create_task(aio.sleep(0, n)) for n in range(3))]
    assert sorted(results) == [0, 1, 2]


@pytest.mark.since((3, 13))
async def test_nothing_given_is_nothing_to_wait_for(aio: Any) -> None:
    assert list(aio.as_completed([])) == []
    with pytest.raises(TypeError):
        aio.as_completed(aio.get_running_loop().create_future())


@requirement("as_completed/deprecates-call-without-loop")
@pytest.mark.since((3, 14))
def test_without_a_loop_to_run_in_coroutines_raise_runtimeerror(aio: Any) -> None:
    coro = aio.sleep(0)
    with pytest.raises(RuntimeError):
        list(aio.as_completed([coro]))
    coro.close()
