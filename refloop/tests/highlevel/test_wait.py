"""wait(): until the first, the first failure, or all; never cancelling anything."""

from __future__ import annotations

from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement


@requirement("wait/returns-done-and-pending-sets", "wait/all-completed-returns-on-all")
@requirement("ALL_COMPLETED/accepted-as-return-when", "wait/accepts-documented-arguments")
async def test_it_waits_for_all_by_default(aio: Any, loop: Any) -> None:
    futures = [loop.create_future() for _ in range(3)]
    loop.call_soon(futures[0].set_result, 1)
    loop.call_soon(futures[1].cancel)
    loop.call_later(0.001, futures[2].set_exception, ZeroDivisionError())
    done, pending = await aio.wait(futures, return_when=aio.ALL_COMPLETED)
    assert done == set(futures)
    assert pending == set()
    assert futures[2].exception()


@requirement("wait/first-completed-returns-on-any", "FIRST_COMPLETED/accepted-as-return-when")
@pytest.mark.parametrize("how", ["set_result", "cancel"])
async def test_first_completed_ends_with_any(aio: Any, loop: Any, how: str) -> None:
    futures = [loop.create_future() for _ in range(3)]
    loop.call_soon(getattr(futures[1], how), *((1,) if how == "set_result" else ()))
    done, pending = await aio.wait(futures, return_when=aio.FIRST_COMPLETED)
    assert done == {futures[1]}
    assert pending == {futures[0], futures[2]}


@requirement("wait/first-exception-returns-on-failure", "FIRST_EXCEPTION/accepted-as-return-when")
async def test_first_exception_ends_with_a_failure_and_not_with_results_or_cancellations(aio: Any, loop: Any) -> None:
    futures = [loop.create_future() for _ in range(4)]
    waiting = loop.create_task(aio.wait(futures, return_when=aio.FIRST_EXCEPTION))
    await settle()
    futures[0].set_result(1)
    futures[1].cancel()
    await settle()
    assert not waiting.done()
    futures[2].set_exception(ZeroDivisionError())
    done, pending = await waiting
    assert done == set(futures[:3])
    assert pending == {futures[3]}


@requirement("wait/first-exception-returns-on-failure")
async def test_first_exception_ends_when_all_are_done(aio: Any, loop: Any) -> None:
    futures = [loop.create_future() for _ in range(2)]
    waiting = loop.create_task(aio.wait(futures, return_when=aio.FIRST_EXCEPTION))
    await settle()
    for future in futures:
        future.set_result(1)
    assert await waiting == (set(futures), set())


@requirement("wait/first-exception-returns-on-failure")
async def test_what_is_done_beforehand_counts(aio: Any, loop: Any) -> None:
    failed, pending = loop.create_future(), loop.create_future()
    failed.set_exception(ZeroDivisionError())
    for return_when in (aio.FIRST_EXCEPTION, aio.FIRST_COMPLETED):
        assert await aio.wait([failed, pending], return_when=return_when) == ({failed}, {pending})


@requirement("wait/timeout-ends-wait-quietly", "wait/keeps-pending-uncancelled")
@pytest.mark.parametrize("timeout", [0, 0.001])
async def test_a_timeout_ends_it_quietly(aio: Any, loop: Any, timeout: float) -> None:
    task = loop.create_task(aio.sleep(60))
    assert await aio.wait([task], timeout=timeout) == (set(), {task})
    assert not task.cancelling()


@requirement("wait/raises-valueerror-when-empty", "wait/rejects-unknown-return-when")
async def test_no_futures_and_unknown_conditions_are_refused(aio: Any, loop: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        await aio.wait([])
    with pytest.raises(ValueError):  # noqa: PT011
        await aio.wait([loop.create_future()], return_when="SOON")


@requirement("wait/rejects-coroutine-arguments")
async def test_coroutines_are_refused(aio: Any) -> None:
    coro = aio.sleep(0)
    with pytest.raises(TypeError):
        await aio.wait([coro])
    with pytest.raises(TypeError):
        await aio.wait(coro)
    coro.close()


@requirement("wait/accepts-task-generators")
@pytest.mark.since((3, 12))
async def test_a_generator_of_tasks_will_do(aio: Any, loop: Any) -> None:
    done, _ = await aio.wait(loop.create_task(aio.sleep(0, n)) for n in range(3))
    assert sorted(task.result() for task in done) == [0, 1, 2]


@requirement("wait/cancel-keeps-futures-running")
async def test_cancelling_the_wait_cancels_nothing_else(aio: Any, loop: Any) -> None:
    future = loop.create_future()
    waiting = loop.create_task(aio.wait([future]))
    await settle()
    waiting.cancel()
    assert isinstance(await outcome(waiting), aio.CancelledError)
    assert not future.done()
