"""Waiting without taking what is waited for along when the waiting is cancelled: ``shield()``."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.members import wait_for
from conformance.support.threads import in_thread
from conformance.support.turns import settle

if TYPE_CHECKING:
    import logging
    from asyncio import AbstractEventLoop
    from collections.abc import Generator


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("shield/accepts-documented-arguments", "shield/returns-inner-result")
async def test_shield_takes_an_awaitable_of_any_kind(loop: AbstractEventLoop, aio: Any) -> None:
    class Awaitable:
        def __await__(self) -> Generator[Any, Any, str]:
            yield from aio.sleep(0).__await__()
            return "object"

    future = loop.create_future()
    loop.call_soon(future.set_result, "future")
    kinds = [aio.sleep(0, "coroutine"), loop.create_task(aio.sleep(0, "task")), future, Awaitable()]
    assert [await aio.shield(kind) for kind in kinds] == ["coroutine", "task", "future", "object"]


@requirement("shield/accepts-documented-arguments")
async def test_shield_takes_one_awaitable_and_nothing_else(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    for arguments in ((), (future, future), (1,), (None,)):
        with pytest.raises(TypeError):
            aio.shield(*arguments)
    with pytest.raises(TypeError):
        aio.shield(future, timeout=1)


@on_loops(PLAIN, DEBUG)
@requirement("shield/wraps-coroutine-in-task")
async def test_a_shielded_coroutine_runs_in_a_task_although_nobody_awaits_it(loop: AbstractEventLoop, aio: Any) -> None:
    ran: list[Any] = []

    async def run() -> str:
        ran.append(aio.current_task())
        await aio.sleep(0)
        return "ran"

    shielded = aio.shield(run())
    assert ran == []
    await settle(aio)
    assert isinstance(ran[0], aio.Task)
    assert ran[0] is not aio.current_task(loop)
    assert shielded.result() == "ran"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("shield/returns-inner-result")
async def test_shielding_what_is_done_already_gives_its_result(loop: AbstractEventLoop, aio: Any) -> None:
    result = object()
    future = loop.create_future()
    future.set_result(result)
    assert await aio.shield(future) is result


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("shield/raises-inner-exception")
async def test_the_exception_comes_through(loop: AbstractEventLoop, aio: Any) -> None:
    early, late, error = loop.create_future(), loop.create_future(), ValueError()
    early.set_exception(error)
    loop.call_soon(late.set_exception, error)
    assert [await ending(aio.shield(early)), await ending(aio.shield(late))] == [error, error]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("shield/keeps-inner-uncancelled", "shield/raises-cancellederror-to-waiter")
async def test_cancelling_the_waiter_leaves_the_inner_task_running(loop: AbstractEventLoop, aio: Any) -> None:
    gate = loop.create_future()
    inner = loop.create_task(wait_for(gate))
    waiter = loop.create_task(wait_for(aio.shield(inner)))
    await settle(aio)
    waiter.cancel()
    await settle(aio)
    assert waiter.cancelled()
    assert (inner.done(), inner.cancelling(), gate.done()) == (False, 0, False)
    gate.set_result("completed")
    assert await inner == "completed"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("shield/keeps-inner-uncancelled")
async def test_cancelling_the_shield_itself_leaves_the_inner_future_pending(loop: AbstractEventLoop, aio: Any) -> None:
    inner = loop.create_future()
    shielded = aio.shield(inner)
    assert shielded.cancel() is True
    await settle(aio)
    assert (shielded.cancelled(), inner.done()) == (True, False)
    inner.set_result("late")
    await settle(aio)
    assert (shielded.cancelled(), inner.result()) == (True, "late")


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("shield/keeps-inner-uncancelled")
async def test_a_cancelled_waiter_leaves_the_others_who_shield_the_same_task(loop: AbstractEventLoop, aio: Any) -> None:
    gate = loop.create_future()
    inner = loop.create_task(wait_for(gate))
    waiters = [loop.create_task(wait_for(aio.shield(inner))) for _ in range(3)]
    await settle(aio)
    waiters[1].cancel()
    await settle(aio)
    assert [waiter.done() for waiter in waiters] == [False, True, False]
    gate.set_result("result")
    assert [await waiters[0], await waiters[2]] == ["result", "result"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("shield/keeps-inner-uncancelled", "gather/cancels-children-when-cancelled")
async def test_a_cancelled_gathering_does_not_reach_what_is_shielded(loop: AbstractEventLoop, aio: Any) -> None:
    shielded, bare = loop.create_future(), loop.create_future()
    gathering = aio.gather(aio.shield(shielded), bare)
    await settle(aio)
    gathering.cancel()
    assert isinstance(await ending(gathering), aio.CancelledError)
    assert (shielded.done(), bare.cancelled()) == (False, True)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("shield/raises-cancellederror-to-waiter")
async def test_a_waiter_cancelled_as_the_inner_future_finishes_is_cancelled(loop: AbstractEventLoop, aio: Any) -> None:
    inner = loop.create_future()
    waiter = loop.create_task(wait_for(aio.shield(inner)))
    await settle(aio)
    # Called after the shield was told, and before the waiter is.
    inner.add_done_callback(lambda _: waiter.cancel())
    inner.set_result("finished")
    await settle(aio)
    assert waiter.cancelled()
    assert inner.result() == "finished"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("shield/cancelled-with-inner")
async def test_cancelling_the_inner_task_cancels_the_shield(loop: AbstractEventLoop, aio: Any) -> None:
    inner = loop.create_task(wait_for(loop.create_future()))
    shielded = aio.shield(inner)
    await settle(aio)
    inner.cancel()
    assert isinstance(await ending(shielded), aio.CancelledError)
    assert shielded.cancelled() is True


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("shield/catching-cancellederror-ignores-cancellation")
async def test_a_waiter_that_catches_cancellederror_carries_on_and_may_wait_again(
    loop: AbstractEventLoop, aio: Any
) -> None:
    gate, seen = loop.create_future(), list[str]()
    inner = loop.create_task(wait_for(gate))

    async def insist() -> Any:
        for _ in range(3):
            try:
                return await aio.shield(inner)
            except aio.CancelledError:
                seen.append("cancelled")
        return "gave up"

    waiter = loop.create_task(insist())
    for _ in range(2):
        await settle(aio)
        waiter.cancel()
    await settle(aio)
    assert (seen, inner.done()) == (["cancelled"] * 2, False)
    gate.set_result("result")
    assert await waiter == "result"


@requirement("shield/deprecates-call-without-loop")
def test_without_any_loop_there_is_nothing_to_run_a_coroutine_in(aio: Any) -> None:
    coroutine = aio.sleep(0)

    def shield() -> None:
        with pytest.raises(RuntimeError):
            aio.shield(coroutine)

    # A thread of its own never has a loop set.
    in_thread(shield)
    coroutine.close()


@requirement("shield/leaves-reference-to-caller")
async def test_a_task_to_which_nobody_keeps_a_reference_is_collected_shielded_or_not(
    loop: AbstractEventLoop, aio: Any, asyncio_log: list[logging.LogRecord]
) -> None:
    seen: list[weakref.ref[Any]] = []

    async def work() -> None:
        seen.append(weakref.ref(aio.current_task(loop)))
        await loop.create_future()

    aio.shield(work())
    await settle(aio)
    gc.collect()
    assert [task() for task in seen] == [None]
    assert [record.levelname for record in asyncio_log if record.levelname == "ERROR"] == ["ERROR"]
