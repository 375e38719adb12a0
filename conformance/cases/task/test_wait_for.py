"""A time limit for one awaitable: ``wait_for()``."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.members import wait_for
from conformance.support.turns import settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Generator

# Never reached: what waits this long waits for a promise that is broken.
LONG = 3600
# Any delay does: the deadline is met because nothing else ever happens.
SHORT = 0.002

EXPIRES = pytest.mark.parametrize("timeout", [SHORT, 0, -1], ids=["later", "zero", "negative"])


@requirement("wait_for/accepts-documented-arguments")
async def test_wait_for_takes_an_awaitable_and_a_timeout_that_has_no_default(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    future.set_result("result")
    assert inspect.iscoroutinefunction(aio.wait_for)
    assert await aio.wait_for(future, LONG) == "result"
    assert await aio.wait_for(future, timeout=LONG) == "result"
    for arguments, keywords in (((future,), {}), ((future, 1, 2), {}), ((future, 1), {"delay": 1})):
        with pytest.raises(TypeError):
            await aio.wait_for(*arguments, **keywords)


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("timeout", [None, LONG, LONG + 0.5], ids=["none", "int", "float"])
@requirement("wait_for/returns-inner-result", "wait_for/none-means-no-limit", "wait_for/accepts-int-or-float-timeout")
async def test_the_result_comes_through_in_time(loop: AbstractEventLoop, aio: Any, timeout: float | None) -> None:
    class Awaitable:
        def __await__(self) -> Generator[Any, Any, str]:
            yield from aio.sleep(0).__await__()
            return "object"

    future = loop.create_future()
    loop.call_soon(future.set_result, "future")
    kinds = [aio.sleep(0, "coroutine"), loop.create_task(aio.sleep(0, "task")), future, Awaitable()]
    assert [await aio.wait_for(kind, timeout) for kind in kinds] == ["coroutine", "task", "future", "object"]


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("timeout", [None, LONG])
@requirement("wait_for/returns-inner-result")
async def test_the_exception_comes_through_in_time(loop: AbstractEventLoop, aio: Any, timeout: float | None) -> None:
    error = ValueError()
    future = loop.create_future()
    loop.call_soon(future.set_exception, error)
    assert await ending(aio.wait_for(future, timeout)) is error


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("timeout", [0.01, 0])
@requirement("wait_for/raises-timeouterror-and-cancels")
async def test_on_timeout_the_awaitable_is_cancelled_and_timeouterror_raised(
    loop: AbstractEventLoop, aio: Any, timeout: float
) -> None:
    task, future = loop.create_task(wait_for(loop.create_future())), loop.create_future()
    await settle(aio)
    for awaitable in (task, future):
        with pytest.raises(aio.TimeoutError):
            await aio.wait_for(awaitable, timeout)
        assert awaitable.cancelled() is True
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("wait_for/raises-timeouterror-and-cancels")
async def test_on_timeout_a_coroutine_is_cancelled(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[type] = []

    async def work() -> None:
        try:
            await loop.create_future()
        except BaseException as error:
            seen.append(type(error))
            raise

    with pytest.raises(aio.TimeoutError):
        await aio.wait_for(work(), SHORT)
    assert seen == [aio.CancelledError]
    await settle(aio)


@requirement("wait_for/accepts-int-or-float-timeout")
async def test_a_timeout_is_in_seconds_and_not_over_before_they_are(loop: AbstractEventLoop, aio: Any) -> None:
    # Half of the timeout: what a unit mistaken for another misses by far, and a clock's coarseness does not reach.
    began = loop.time()
    with pytest.raises(aio.TimeoutError):
        await aio.wait_for(loop.create_future(), 0.02)
    assert loop.time() - began >= 0.01


@on_loops(PLAIN, DEBUG, EAGER)
@EXPIRES
@requirement("wait_for/shield-prevents-inner-cancellation")
async def test_a_shielded_task_is_not_cancelled(loop: AbstractEventLoop, aio: Any, timeout: float) -> None:
    gate = loop.create_future()
    task = loop.create_task(wait_for(gate))
    await settle(aio)
    with pytest.raises(aio.TimeoutError):
        await aio.wait_for(aio.shield(task), timeout)
    await settle(aio)
    assert (task.done(), task.cancelling()) == (False, 0)
    gate.set_result("went on")
    assert await task == "went on"


@on_loops(PLAIN, DEBUG, EAGER)
@EXPIRES
@requirement("wait_for/waits-for-cancellation-to-finish")
async def test_it_returns_only_when_the_cancellation_has_finished(
    loop: AbstractEventLoop, aio: Any, timeout: float
) -> None:
    steps: list[str] = []
    cleaning = loop.create_future()

    async def clean_up() -> None:
        try:
            await loop.create_future()
        finally:
            steps.append("cleaning up")
            await cleaning
            steps.append("cleaned up")

    async def limited() -> None:
        try:
            await aio.wait_for(task, timeout)
        except aio.TimeoutError:
            steps.append("timed out")

    task = loop.create_task(clean_up())
    waiter = loop.create_task(limited())
    while not steps:
        await aio.sleep(SHORT)
    await settle(aio)
    assert (steps, waiter.done()) == (["cleaning up"], False)
    cleaning.set_result(None)
    await waiter
    assert steps == ["cleaning up", "cleaned up", "timed out"]
    assert task.cancelled()


@on_loops(PLAIN, DEBUG, EAGER)
@EXPIRES
@requirement("wait_for/raises-exception-from-cancellation")
async def test_an_exception_raised_while_it_is_cancelled_is_raised(
    loop: AbstractEventLoop, aio: Any, timeout: float
) -> None:
    error = ValueError()

    async def fail() -> None:
        try:
            await loop.create_future()
        finally:
            raise error

    task = loop.create_task(fail())
    await settle(aio)
    assert await ending(aio.wait_for(task, timeout)) is error
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("timeout", [None, LONG])
@pytest.mark.parametrize("kind", ["future", "task", "coroutine"])
@requirement("wait_for/cancels-inner-when-cancelled")
async def test_cancelling_the_waiter_cancels_the_awaitable(
    loop: AbstractEventLoop, aio: Any, timeout: float | None, kind: str
) -> None:
    innermost = loop.create_future()
    inner: Any = innermost
    if kind != "future":
        inner = wait_for(innermost) if kind == "coroutine" else loop.create_task(wait_for(innermost))
    waiter = loop.create_task(aio.wait_for(inner, timeout))
    await settle(aio)
    waiter.cancel()
    await settle(aio)
    assert (waiter.cancelled(), innermost.cancelled()) == (True, True)
    assert kind != "task" or inner.cancelled()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("wait_for/cancels-inner-when-cancelled")
async def test_a_waiter_cancelled_while_the_timed_out_task_cleans_up_is_cancelled(
    loop: AbstractEventLoop, aio: Any
) -> None:
    cleaning = loop.create_future()
    steps: list[str] = []

    async def clean_up() -> None:
        try:
            await loop.create_future()
        finally:
            steps.append("cleaning up")
            await cleaning

    task = loop.create_task(clean_up())
    waiter = loop.create_task(aio.wait_for(task, SHORT))
    while not steps:
        await aio.sleep(SHORT)
    waiter.cancel()
    assert isinstance(await ending(waiter), aio.CancelledError)
    # Whether the task is asked a second time is left open.
    if not cleaning.done():
        cleaning.set_result(None)
    await aio.wait([task])


@requirement("wait_for/wraps-coroutine-in-task")
async def test_a_coroutine_runs_in_a_task_of_its_own(aio: Any) -> None:
    async def who() -> Any:
        await aio.sleep(0)
        return aio.current_task()

    task = await aio.wait_for(who(), LONG)
    assert isinstance(task, aio.Task)
    assert task is not aio.current_task()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("wait_for/keeps-coroutine-in-current-task")
async def test_a_coroutine_runs_in_the_callers_task(loop: AbstractEventLoop, aio: Any) -> None:
    async def who() -> Any:
        await aio.sleep(0)
        return aio.current_task(loop)

    before = aio.all_tasks(loop)
    assert await aio.wait_for(who(), LONG) is aio.current_task(loop)
    assert aio.all_tasks(loop) == before


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("timeout", [0, 0.0, -1])
@requirement("wait_for/nonpositive-timeout-never-waits")
async def test_without_time_what_is_done_gives_its_result(loop: AbstractEventLoop, aio: Any, timeout: float) -> None:
    done, failed, error = loop.create_future(), loop.create_future(), ValueError()
    done.set_result("done")
    failed.set_exception(error)
    assert await aio.wait_for(done, timeout) == "done"
    assert await ending(aio.wait_for(failed, timeout)) is error


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("timeout", [0, 0.0, -1])
@requirement("wait_for/nonpositive-timeout-never-waits")
async def test_without_time_what_is_not_done_gets_none(loop: AbstractEventLoop, aio: Any, timeout: float) -> None:
    ran: list[str] = []

    async def run() -> None:
        ran.append("ran")

    with pytest.raises(aio.TimeoutError):
        await aio.wait_for(run(), timeout)
    task = loop.create_task(run())
    with pytest.raises(aio.TimeoutError):
        await aio.wait_for(task, timeout)
    assert (ran, task.cancelled()) == ([], True)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("wait_for/returns-inner-result")
async def test_a_wait_within_a_wait_times_out_alone(loop: AbstractEventLoop, aio: Any) -> None:
    async def inner() -> str:
        try:
            await aio.wait_for(loop.create_future(), SHORT)
        except aio.TimeoutError:
            await aio.sleep(0)
            return "inner timed out"
        return "no timeout"

    assert await aio.wait_for(inner(), LONG) == "inner timed out"
