"""wait_for(): a time limit for one awaitable."""

from __future__ import annotations

from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement

LONG = 60


@requirement("wait_for/returns-inner-result", "wait_for/none-means-no-limit", "wait_for/accepts-documented-arguments")
@requirement("wait_for/accepts-int-or-float-timeout")
@pytest.mark.parametrize("timeout", [None, LONG, LONG + 0.5])
async def test_the_result_comes_through_in_time(aio: Any, loop: Any, timeout: float | None) -> None:
    assert await aio.wait_for(aio.sleep(0, "coroutine"), timeout) == "coroutine"
    assert await aio.wait_for(loop.create_task(aio.sleep(0, "task")), timeout=timeout) == "task"
    future = loop.create_future()
    loop.call_soon(future.set_result, "future")
    assert await aio.wait_for(future, timeout) == "future"


@requirement("wait_for/raises-timeouterror-and-cancels", "TimeoutError/raised-when-deadline-passes")
@pytest.mark.parametrize("timeout", [0.001, 0, -1])
async def test_on_timeout_the_awaitable_is_cancelled_and_timeouterror_raised(
    aio: Any, loop: Any, timeout: float
) -> None:
    task, future = loop.create_task(aio.sleep(LONG)), loop.create_future()
    await settle(2)
    for awaitable in (task, future):
        error = await outcome(aio.wait_for(awaitable, timeout))
        assert type(error) is TimeoutError
        assert awaitable.cancelled()
    assert aio.current_task().cancelling() == 0


@requirement("wait_for/shield-prevents-inner-cancellation")
@pytest.mark.parametrize("timeout", [0.001, 0])
async def test_a_shielded_task_is_not_cancelled(aio: Any, loop: Any, timeout: float) -> None:
    task = loop.create_task(aio.sleep(LONG))
    await settle(2)
    assert isinstance(await outcome(aio.wait_for(aio.shield(task), timeout)), TimeoutError)
    await settle()
    assert not task.done()


@requirement("wait_for/waits-for-cancellation-to-finish")
@pytest.mark.parametrize("timeout", [0.001, 0])
async def test_it_returns_only_when_the_cancellation_has_been_carried_out(aio: Any, loop: Any, timeout: float) -> None:
    ended: list[str] = []

    async def clean_up() -> None:
        try:
            await aio.sleep(LONG)
        finally:
            await aio.sleep(0.005)
            ended.append("cleaned up")

    task = loop.create_task(clean_up())
    await settle(2)
    assert isinstance(await outcome(aio.wait_for(task, timeout)), TimeoutError)
    assert ended


@requirement("wait_for/raises-exception-from-cancellation")
@pytest.mark.parametrize("timeout", [0.001, 0])
async def test_an_exception_raised_while_it_is_cancelled_is_raised(aio: Any, loop: Any, timeout: float) -> None:
    async def fail() -> None:
        try:
            await aio.sleep(LONG)
        finally:
            raise ZeroDivisionError

    task = loop.create_task(fail())
    await settle(2)
    assert isinstance(await outcome(aio.wait_for(task, timeout)), ZeroDivisionError)


@requirement("wait_for/cancels-inner-when-cancelled")
async def test_cancelling_the_waiter_cancels_the_awaitable(aio: Any, loop: Any) -> None:
    inner = loop.create_task(aio.sleep(LONG))

    async def wait() -> None:
        await aio.wait_for(inner, LONG)

    waiter = loop.create_task(wait())
    await settle()
    waiter.cancel()
    assert isinstance(await outcome(waiter), aio.CancelledError)
    assert inner.cancelled()


@requirement("wait_for/keeps-coroutine-in-current-task")
@pytest.mark.since((3, 12))
async def test_a_coroutine_runs_in_the_callers_task(aio: Any) -> None:
    async def who() -> object:
        await aio.sleep(0)
        return aio.current_task()

    assert await aio.wait_for(who(), LONG) is aio.current_task()


@requirement("wait_for/nonpositive-timeout-never-waits")
@pytest.mark.parametrize("timeout", [0, -1])
async def test_without_time_only_what_is_done_has_a_result(aio: Any, loop: Any, timeout: float) -> None:
    done = loop.create_future()
    done.set_result("done")
    assert await aio.wait_for(done, timeout) == "done"
    ran: list[int] = []

    async def run() -> None:
        ran.append(1)

    assert isinstance(await outcome(aio.wait_for(run(), timeout)), TimeoutError)
    assert not ran


@requirement("wait_for/raises-exception-from-cancellation", "wait_for/returns-inner-result")
async def test_an_exception_comes_through(aio: Any) -> None:
    async def fail() -> None:
        await aio.sleep(0)
        raise ZeroDivisionError

    assert isinstance(await outcome(aio.wait_for(fail(), LONG)), ZeroDivisionError)
    assert isinstance(await outcome(aio.wait_for(fail(), None)), ZeroDivisionError)
