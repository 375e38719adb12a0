"""Cancelling what ``gather()`` returned, who awaits it, or one of its awaitables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending
from conformance.support.futures import outcome
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.members import wait_for
from conformance.support.turns import settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

BOTH = pytest.mark.parametrize("return_exceptions", [False, True])


@on_loops(PLAIN, DEBUG, EAGER)
@BOTH
@requirement("gather/cancels-children-when-cancelled")
async def test_cancelling_the_gathering_cancels_everything_that_is_not_done(
    loop: AbstractEventLoop, aio: Any, return_exceptions: bool
) -> None:
    done, future, task = loop.create_future(), loop.create_future(), loop.create_task(wait_for(loop.create_future()))
    done.set_result("done")
    gathering = aio.gather(done, future, task, return_exceptions=return_exceptions)
    await settle(aio)
    assert gathering.cancel() is True
    await settle(aio)
    assert [done.cancelled(), future.cancelled(), task.cancelled()] == [False, True, True]
    assert isinstance(await ending(gathering), aio.CancelledError)


@on_loops(PLAIN, DEBUG, EAGER)
@BOTH
@requirement("gather/cancels-children-when-cancelled", "gather/cancel-overrides-return-exceptions")
async def test_cancelling_who_awaits_the_gathering_cancels_the_awaitables(
    loop: AbstractEventLoop, aio: Any, return_exceptions: bool
) -> None:
    children = [loop.create_task(wait_for(loop.create_future())) for _ in range(3)]

    async def gather() -> None:
        await aio.gather(*children, return_exceptions=return_exceptions)

    waiter = loop.create_task(gather())
    await settle(aio)
    waiter.cancel()
    await settle(aio)
    assert waiter.cancelled()
    assert [child.cancelled() for child in children] == [True] * 3


@on_loops(PLAIN, DEBUG, EAGER)
@BOTH
@requirement("gather/cancels-children-when-cancelled")
async def test_each_awaitable_is_asked_once(loop: AbstractEventLoop, aio: Any, return_exceptions: bool) -> None:
    asked: list[int] = []

    async def count() -> None:
        try:
            await loop.create_future()
        finally:
            asked.append(aio.current_task().cancelling())

    gathering = aio.gather(count(), count(), return_exceptions=return_exceptions)
    await settle(aio)
    gathering.cancel()
    await ending(gathering)
    await settle(aio)
    assert asked == [1, 1]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/cancels-children-when-cancelled")
async def test_a_gathering_within_a_gathering_is_cancelled_with_it(loop: AbstractEventLoop, aio: Any) -> None:
    innermost = [loop.create_future() for _ in range(4)]
    gathering = aio.gather(aio.gather(*innermost[:2]), innermost[2], aio.gather(innermost[3]))
    await settle(aio)
    gathering.cancel()
    assert isinstance(await ending(gathering), aio.CancelledError)
    assert [future.cancelled() for future in innermost] == [True] * 4


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/cancel-overrides-return-exceptions")
async def test_a_cancelled_gathering_raises_although_exceptions_are_returned(loop: AbstractEventLoop, aio: Any) -> None:
    failed, pending = loop.create_future(), loop.create_future()
    failed.set_exception(ValueError())
    gathering = aio.gather(failed, pending, return_exceptions=True)
    await settle(aio)
    gathering.cancel()
    assert isinstance(await ending(gathering), aio.CancelledError)


@on_loops(PLAIN, DEBUG, EAGER)
@BOTH
@requirement("gather/cancel-overrides-return-exceptions")
async def test_a_cancelled_gathering_raises_also_when_the_awaitable_refuses(
    loop: AbstractEventLoop, aio: Any, return_exceptions: bool
) -> None:
    async def refuse() -> str:
        try:
            await loop.create_future()
        except aio.CancelledError:
            return "refused"
        return "not cancelled"

    stubborn = loop.create_task(refuse())
    gathering = aio.gather(stubborn, return_exceptions=return_exceptions)
    await settle(aio)
    gathering.cancel()
    assert isinstance(await ending(gathering), aio.CancelledError)
    assert stubborn.result() == "refused"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/cancel-overrides-return-exceptions")
async def test_with_exceptions_returned_a_cancelled_gathering_ends_after_its_last_awaitable(
    loop: AbstractEventLoop, aio: Any
) -> None:
    cleaning = loop.create_future()

    async def clean_up() -> None:
        try:
            await loop.create_future()
        finally:
            await cleaning

    child = loop.create_task(clean_up())
    gathering = aio.gather(child, loop.create_future(), return_exceptions=True)
    await settle(aio)
    gathering.cancel()
    await settle(aio)
    assert gathering.done() is False
    cleaning.set_result(None)
    assert isinstance(await ending(gathering), aio.CancelledError)
    assert child.cancelled()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/treats-cancelled-child-as-exception")
async def test_a_cancelled_awaitable_counts_as_one_that_raised(loop: AbstractEventLoop, aio: Any) -> None:
    cancelled, other = loop.create_future(), loop.create_task(wait_for(gate := loop.create_future()))
    gathering = aio.gather(cancelled, other)
    await settle(aio)
    cancelled.cancel()
    assert isinstance(await ending(gathering), aio.CancelledError)
    assert gathering.cancelled() is False
    assert (other.done(), other.cancelling()) == (False, 0)
    gate.set_result("went on")
    assert await other == "went on"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/treats-cancelled-child-as-exception")
async def test_the_task_that_awaits_is_not_asked_to_cancel_by_a_cancelled_awaitable(
    loop: AbstractEventLoop, aio: Any
) -> None:
    cancelled = loop.create_future()

    async def gather() -> int:
        try:
            await aio.gather(cancelled, loop.create_future())
        except aio.CancelledError:
            await aio.sleep(0)
        return int(aio.current_task().cancelling())

    task = loop.create_task(gather())
    await settle(aio)
    cancelled.cancel()
    assert await task == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/ignores-cancel-after-done")
async def test_cancelling_a_failed_gathering_cancels_nothing(loop: AbstractEventLoop, aio: Any) -> None:
    failed, gate = loop.create_future(), loop.create_future()
    slow = loop.create_task(wait_for(gate))
    gathering = aio.gather(failed, slow, gate)
    failed.set_exception(ValueError())
    assert isinstance(await ending(gathering), ValueError)
    assert gathering.cancel() is False
    await settle(aio)
    assert [slow.done(), gate.done()] == [False, False]
    gate.set_result("went on")
    assert await slow == "went on"
    assert outcome(gathering, aio)[0] == "raised"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/ignores-cancel-after-done")
async def test_a_finished_gathering_cannot_be_cancelled(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    gathering = aio.gather(future)
    future.set_result("result")
    assert await gathering == ["result"]
    assert gathering.cancel() is False
    assert gathering.result() == ["result"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/keeps-others-running-after-exception")
async def test_cancelling_who_saw_the_exception_leaves_the_others_running(loop: AbstractEventLoop, aio: Any) -> None:
    failed, gate = loop.create_future(), loop.create_future()
    slow = loop.create_task(wait_for(gate))

    async def gather() -> None:
        try:
            await aio.gather(failed, slow)
        except ValueError:
            await loop.create_future()

    waiter = loop.create_task(gather())
    await settle(aio)
    failed.set_exception(ValueError())
    await settle(aio)
    waiter.cancel()
    await settle(aio)
    assert (waiter.cancelled(), slow.done()) == (True, False)
    gate.set_result("went on")
    assert await slow == "went on"
