"""shield(): a waiter that can be cancelled without what it waits for."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement


@requirement("shield/returns-inner-result", "shield/wraps-coroutine-in-task", "shield/accepts-documented-arguments")
async def test_the_result_comes_through(aio: Any) -> None:
    ran: list[int] = []

    async def run() -> str:
        ran.append(1)
        return "result"

    shielded = aio.shield(run())
    await settle()
    assert ran
    assert await shielded == "result"


@requirement("shield/raises-inner-exception")
async def test_the_exception_comes_through(aio: Any) -> None:
    async def fail() -> None:
        await aio.sleep(0)
        raise ZeroDivisionError

    assert isinstance(await outcome(aio.shield(fail())), ZeroDivisionError)


@requirement("shield/keeps-inner-uncancelled", "shield/raises-cancellederror-to-waiter")
@requirement("shield/catching-cancellederror-ignores-cancellation")
async def test_cancelling_the_waiter_leaves_the_inner_task_running(aio: Any, loop: Any) -> None:
    gate = loop.create_future()

    async def work() -> object:
        return await gate

    inner = loop.create_task(work())
    seen: list[str] = []

    async def wait() -> object:
        try:
            return await aio.shield(inner)
        except aio.CancelledError:
            seen.append("cancelled")
        return "carried on"

    waiter = loop.create_task(wait())
    await settle()
    waiter.cancel()
    assert await waiter == "carried on"
    assert seen
    assert not inner.done()
    gate.set_result("done")
    assert await inner == "done"


@requirement("shield/cancelled-with-inner")
async def test_cancelling_the_inner_task_cancels_the_shield(aio: Any, loop: Any) -> None:
    inner = loop.create_task(aio.sleep(60))
    shielded = aio.shield(inner)
    await settle()
    inner.cancel()
    assert isinstance(await outcome(shielded), aio.CancelledError)
    assert shielded.cancelled()


async def test_what_is_done_already_is_returned_as_it_is(aio: Any, loop: Any) -> None:
    future = loop.create_future()
    future.set_result(1)
    assert aio.shield(future) is future


@pytest.mark.since((3, 14))
async def test_an_exception_that_nobody_is_left_to_hear_is_reported(aio: Any, loop: Any, reported: list[Any]) -> None:
    gate = loop.create_future()

    async def fail() -> None:
        await gate
        raise ZeroDivisionError

    shielded = aio.shield(fail())
    await settle()
    shielded.cancel()
    gate.set_result(None)
    await settle()
    gc.collect()
    await settle()
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


@requirement("shield/deprecates-call-without-loop")
@pytest.mark.since((3, 14))
def test_without_a_loop_to_run_in_a_coroutine_raises_runtimeerror(aio: Any) -> None:
    async def work() -> None: ...

    coro = work()
    with pytest.raises(RuntimeError):
        aio.shield(coro)
    coro.close()
