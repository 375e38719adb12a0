"""gather(): results in order, failures, cancellation."""

from __future__ import annotations

from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement


async def give(aio: Any, value: object, turns: int = 1) -> object:
    for _ in range(turns):
        await aio.sleep(0)
    if isinstance(value, BaseException):
        raise value
    return value


@requirement("gather/returns-results-in-argument-order", "gather/runs-awaitables-concurrently")
@requirement("gather/accepts-documented-arguments", "gather/wraps-coroutines-in-tasks")
async def test_results_come_in_the_order_of_the_arguments(aio: Any, loop: Any) -> None:
    future = loop.create_future()
    loop.call_soon(future.set_result, "future")
    task = loop.create_task(give(aio, "task"))
    assert await aio.gather(give(aio, "slow", 5), future, task, give(aio, "quick")) == [
        "slow",
        "future",
        "task",
        "quick",
    ]


@requirement("gather/runs-awaitables-concurrently")
async def test_thousands_run_at_once(aio: Any) -> None:
    assert await aio.gather(*(give(aio, n) for n in range(2000))) == list(range(2000))


@requirement("gather/returns-empty-list-without-arguments")
async def test_without_arguments_it_gives_an_empty_list(aio: Any) -> None:
    assert await aio.gather() == []
    assert await aio.gather(return_exceptions=True) == []


async def test_an_argument_given_twice_is_run_once(aio: Any) -> None:
    coro = give(aio, 1)
    assert await aio.gather(coro, give(aio, 2), coro) == [1, 2, 1]


@requirement("gather/returns-future-like-awaitable")
async def test_it_is_a_future_and_runs_without_being_awaited(aio: Any) -> None:
    ran: list[int] = []

    async def run() -> None:
        ran.append(1)

    gathering = aio.gather(run())
    assert aio.isfuture(gathering)
    assert not gathering.done()
    await settle()
    assert ran
    assert gathering.result() == [None]


@requirement("gather/raises-first-exception-at-once", "gather/keeps-others-running-after-exception")
async def test_the_first_exception_is_raised_at_once_and_the_others_run_on(aio: Any, loop: Any) -> None:
    slow = loop.create_task(give(aio, "slow", 30))
    with pytest.raises(ZeroDivisionError):
        await aio.gather(slow, give(aio, ZeroDivisionError()), give(aio, KeyError(), 3))
    assert not slow.done()
    assert await slow == "slow"


@requirement("gather/returns-exceptions-as-results")
async def test_exceptions_may_stand_among_the_results(aio: Any) -> None:
    error = ZeroDivisionError()
    assert await aio.gather(give(aio, 1), give(aio, error), give(aio, 3), return_exceptions=True) == [1, error, 3]


@requirement("gather/treats-cancelled-child-as-exception")
async def test_a_cancelled_child_counts_as_one_that_raised(aio: Any, loop: Any) -> None:
    children = [loop.create_task(give(aio, 1, 30)) for _ in range(2)]
    gathering = aio.gather(*children)
    children[0].cancel()
    assert isinstance(await outcome(gathering), aio.CancelledError)
    assert not gathering.cancelled()
    assert not children[1].done()
    first, second = await aio.gather(*children, return_exceptions=True)
    assert isinstance(first, aio.CancelledError)
    assert second == 1


@requirement("gather/cancels-children-when-cancelled", "gather/cancel-overrides-return-exceptions")
@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_cancelling_it_cancels_the_children_and_raises_cancellederror(
    aio: Any, loop: Any, return_exceptions: bool
) -> None:
    done = loop.create_task(give(aio, 1))
    children = [loop.create_task(give(aio, 1, 30)) for _ in range(2)]
    gathering = aio.gather(done, *children, return_exceptions=return_exceptions)
    await done
    assert gathering.cancel() is True
    assert isinstance(await outcome(gathering), aio.CancelledError)
    assert not done.cancelled()
    await settle()
    assert all(child.cancelled() for child in children)


@requirement("gather/cancels-children-when-cancelled")
async def test_cancelling_the_task_that_awaits_it_cancels_the_children(aio: Any, loop: Any) -> None:
    children = [loop.create_task(give(aio, 1, 30)) for _ in range(2)]

    async def wait() -> None:
        await aio.gather(*children)

    waiter = loop.create_task(wait())
    await settle(3)
    waiter.cancel()
    assert isinstance(await outcome(waiter), aio.CancelledError)
    await settle()
    assert all(child.cancelled() for child in children)


@requirement("gather/cancel-overrides-return-exceptions")
async def test_a_cancelled_gathering_waits_for_its_children_to_end_when_exceptions_are_returned(
    aio: Any, loop: Any
) -> None:
    ended: list[str] = []

    async def clean_up() -> None:
        try:
            await loop.create_future()
        finally:
            await settle(5)
            ended.append("cleaned up")

    gathering = aio.gather(loop.create_task(clean_up()), return_exceptions=True)
    await settle()
    gathering.cancel()
    assert isinstance(await outcome(gathering), aio.CancelledError)
    assert ended


@requirement("gather/ignores-cancel-after-done")
async def test_cancelling_it_when_it_is_done_cancels_nothing(aio: Any, loop: Any) -> None:
    slow = loop.create_task(give(aio, "slow", 20))
    gathering = aio.gather(slow, give(aio, ZeroDivisionError()))
    assert isinstance(await outcome(gathering), ZeroDivisionError)
    assert gathering.cancel() is False
    assert await slow == "slow"


@requirement("gather/rejects-mixed-loops")
def test_futures_of_two_loops_are_refused_with_valueerror(aio: Any, loop: Any) -> None:
    other = aio.new_event_loop()
    try:
        futures = [loop.create_future(), other.create_future()]
        with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
            aio.gather(*futures)
    finally:
        other.close()


@requirement("gather/deprecates-call-without-loop")
@pytest.mark.since((3, 14))
def test_without_a_loop_to_run_in_coroutines_raise_runtimeerror(aio: Any) -> None:
    coro = give(aio, 1)
    with pytest.raises(RuntimeError):
        aio.gather(coro)
    coro.close()


@requirement("explicit-loop-argument/rejects-loop-keyword")
async def test_no_waiting_function_takes_a_loop_argument(aio: Any, loop: Any) -> None:
    future = loop.create_future()
    for function in (aio.gather, aio.shield):
        with pytest.raises(TypeError):
            function(future, loop=loop)
    for function in (aio.wait, aio.as_completed):
        with pytest.raises(TypeError):
            function([future], loop=loop)
    with pytest.raises(TypeError):
        aio.wait_for(future, 1, loop=loop)
