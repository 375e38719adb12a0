"""Waiting for several futures: ``wait()``."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending
from conformance.support.futures import FINISHES, finish_with
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.turns import settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Iterator

# Never reached: what waits this long waits for a promise that is broken.
LONG = 3600


def futures(loop: AbstractEventLoop, count: int = 3) -> list[Future[Any]]:
    return [loop.create_future() for _ in range(count)]


@requirement("wait/accepts-documented-arguments", "wait/returns-done-and-pending-sets")
async def test_wait_takes_futures_and_by_name_a_timeout_and_when_to_return(loop: AbstractEventLoop, aio: Any) -> None:
    done, pending = futures(loop, 2)
    done.set_result(None)
    assert inspect.iscoroutinefunction(aio.wait)
    assert await aio.wait([done]) == ({done}, set())
    assert await aio.wait([done], timeout=None, return_when=aio.ALL_COMPLETED) == ({done}, set())
    assert await aio.wait([done, pending], timeout=LONG, return_when=aio.FIRST_COMPLETED) == ({done}, {pending})
    for arguments, keywords in (((), {}), (([done], 1), {}), (([done],), {"when": 1})):
        with pytest.raises(TypeError):
            await aio.wait(*arguments, **keywords)


@pytest.mark.parametrize("make", [list, tuple, set, frozenset, dict.fromkeys])
@requirement("wait/accepts-documented-arguments")
async def test_wait_takes_any_collection(loop: AbstractEventLoop, aio: Any, make: Any) -> None:
    given = futures(loop)
    for future in given:
        future.set_result(None)
    assert await aio.wait(make(given)) == (set(given), set())


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("wait/returns-done-and-pending-sets")
async def test_each_future_is_in_one_of_two_sets_once(loop: AbstractEventLoop, aio: Any) -> None:
    first, second, task = *futures(loop, 2), loop.create_task(aio.sleep(0))
    first.set_result(None)
    await settle(aio)
    done, pending = await aio.wait([first, second, first, task, second], timeout=0.01)
    assert (type(done), type(pending)) == (set, set)
    assert (done, pending) == ({first, task}, {second})


@pytest.mark.parametrize("empty", [(), [], set()], ids=["tuple", "list", "set"])
@requirement("wait/raises-valueerror-when-empty")
async def test_waiting_for_nothing_is_refused(aio: Any, empty: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        await aio.wait(empty)


@pytest.mark.parametrize("when", [None, "", "SOON", "first_completed", 1], ids=repr)
@requirement("wait/rejects-unknown-return-when")
async def test_another_condition_is_refused(loop: AbstractEventLoop, aio: Any, when: Any) -> None:
    future = loop.create_future()
    future.set_result(None)
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        await aio.wait([future], return_when=when)


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("timeout", [0.01, 0, -1, 0.0])
@requirement("wait/timeout-ends-wait-quietly", "wait/keeps-pending-uncancelled")
async def test_a_timeout_ends_the_wait_and_nothing_else(loop: AbstractEventLoop, aio: Any, timeout: float) -> None:
    gate, done = futures(loop, 2)
    done.set_result(None)

    async def work() -> Any:
        return await gate

    task = loop.create_task(work())
    assert await aio.wait([gate, task, done], timeout=timeout) == ({done}, {gate, task})
    await settle(aio)
    assert (gate.done(), task.cancelling()) == (False, 0)
    gate.set_result("went on")
    assert await task == "went on"


@requirement("wait/timeout-ends-wait-quietly")
async def test_a_timeout_is_in_seconds_and_not_over_before_they_are(loop: AbstractEventLoop, aio: Any) -> None:
    # Half of the timeout: what a unit mistaken for another misses by far, and a clock's coarseness does not reach.
    began = loop.time()
    await aio.wait(futures(loop), timeout=0.02)
    assert loop.time() - began >= 0.01


@requirement("wait/timeout-ends-wait-quietly")
async def test_a_timeout_may_be_whole_seconds_and_is_not_waited_for_when_all_are_done(
    loop: AbstractEventLoop, aio: Any
) -> None:
    given = futures(loop)
    for future in given:
        loop.call_soon(future.set_result, None)
    began = loop.time()
    assert await aio.wait(given, timeout=LONG) == (set(given), set())
    assert loop.time() - began < LONG / 2


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("finish", FINISHES)
@requirement("wait/first-completed-returns-on-any")
async def test_first_completed_returns_when_any_is_done(loop: AbstractEventLoop, aio: Any, finish: str) -> None:
    first, second, third = futures(loop)
    loop.call_soon(finish_with, second, finish)
    done, pending = await aio.wait([first, second, third], return_when=aio.FIRST_COMPLETED)
    assert (done, pending) == ({second}, {first, third})


@pytest.mark.parametrize("finish", FINISHES)
@requirement("wait/first-completed-returns-on-any")
async def test_first_completed_returns_what_was_done_before(loop: AbstractEventLoop, aio: Any, finish: str) -> None:
    first, second = futures(loop, 2)
    finish_with(first, finish)
    assert await aio.wait([first, second], return_when=aio.FIRST_COMPLETED) == ({first}, {second})


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("wait/first-exception-returns-on-failure")
async def test_first_exception_returns_when_one_raises_and_not_before(loop: AbstractEventLoop, aio: Any) -> None:
    given = futures(loop, 4)
    waiting = loop.create_task(aio.wait(given, return_when=aio.FIRST_EXCEPTION))
    await settle(aio)
    given[0].set_result(None)
    given[1].cancel()
    await settle(aio)
    assert waiting.done() is False
    given[2].set_exception(ValueError())
    assert await waiting == (set(given[:3]), {given[3]})
    given[2].exception()


@requirement("wait/first-exception-returns-on-failure")
async def test_first_exception_returns_at_once_when_one_has_raised_before(loop: AbstractEventLoop, aio: Any) -> None:
    failed, pending = futures(loop, 2)
    failed.set_exception(ValueError())
    assert await aio.wait([pending, failed], return_when=aio.FIRST_EXCEPTION) == ({failed}, {pending})
    failed.exception()


@requirement("wait/first-exception-returns-on-failure")
async def test_first_exception_waits_for_all_when_none_raises(loop: AbstractEventLoop, aio: Any) -> None:
    given = futures(loop)
    waiting = loop.create_task(aio.wait(given, return_when=aio.FIRST_EXCEPTION))
    for future, finish in zip(given, ("set_result", "cancel", "set_result"), strict=True):
        await settle(aio)
        assert waiting.done() is False
        finish_with(future, finish)
    assert await waiting == (set(given), set())


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("chosen", [True, False], ids=["ALL_COMPLETED", "default"])
@requirement("wait/all-completed-returns-on-all")
async def test_all_completed_returns_when_the_last_is_done(loop: AbstractEventLoop, aio: Any, chosen: bool) -> None:
    given = futures(loop)
    keywords = {"return_when": aio.ALL_COMPLETED} if chosen else {}
    waiting = loop.create_task(aio.wait(given, **keywords))
    for future, finish in zip(given, FINISHES, strict=True):
        await settle(aio)
        assert waiting.done() is False
        finish_with(future, finish)
    assert await waiting == (set(given), set())


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("wait/all-completed-returns-on-all")
async def test_two_may_wait_for_the_same_futures(loop: AbstractEventLoop, aio: Any) -> None:
    first, second = futures(loop, 2)
    for_any = loop.create_task(aio.wait([first, second], return_when=aio.FIRST_COMPLETED))
    for_all = loop.create_task(aio.wait([second, first]))
    await settle(aio)
    first.set_result(None)
    await settle(aio)
    assert (for_any.done(), for_all.done()) == (True, False)
    second.set_result(None)
    assert (await for_any, await for_all) == (({first}, {second}), ({first, second}, set()))


@requirement(
    "FIRST_COMPLETED/accepted-as-return-when",
    "FIRST_EXCEPTION/accepted-as-return-when",
    "ALL_COMPLETED/accepted-as-return-when",
)
async def test_the_constants_are_what_return_when_takes(loop: AbstractEventLoop, aio: Any) -> None:
    done, failed, pending = futures(loop)
    done.set_result(None)
    failed.set_exception(ValueError())
    failed.exception()
    waits = {
        name: loop.create_task(aio.wait([*given, pending], return_when=getattr(aio, name)))
        for name, given in {"FIRST_COMPLETED": [done], "FIRST_EXCEPTION": [failed], "ALL_COMPLETED": [failed]}.items()
    }
    await settle(aio)
    ended = {name for name, wait in waits.items() if wait.done()}
    pending.set_result(None)
    await aio.wait(waits.values(), return_when=aio.ALL_COMPLETED)
    assert ended == {"FIRST_COMPLETED", "FIRST_EXCEPTION"}


@requirement("wait/wraps-coroutines-in-tasks")
async def test_coroutines_come_back_as_tasks(aio: Any) -> None:
    coroutines = [aio.sleep(0, 1), aio.sleep(0, 2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        done, pending = await aio.wait(coroutines)
    assert [isinstance(one, aio.Task) for one in done] == [True, True]
    assert (sorted(one.result() for one in done), pending) == ([1, 2], set())


@requirement("wait/warns-on-coroutine-arguments")
async def test_coroutines_are_deprecated(aio: Any) -> None:
    with pytest.warns(DeprecationWarning):  # noqa: PT030 - no text is promised
        await aio.wait([aio.sleep(0)])


@requirement("wait/rejects-coroutine-arguments")
async def test_coroutines_are_refused(loop: AbstractEventLoop, aio: Any) -> None:
    coroutine, future = aio.sleep(0), loop.create_future()
    for given in ([coroutine], [future, coroutine], coroutine):
        with pytest.raises(TypeError):
            await aio.wait(given)
    coroutine.close()
    assert future.done() is False


def generated(tasks: list[Any]) -> Iterator[Any]:
    yield from tasks


@requirement("wait/accepts-task-generators")
async def test_a_generator_of_tasks_will_do(loop: AbstractEventLoop, aio: Any) -> None:
    tasks = [loop.create_task(aio.sleep(0, n)) for n in range(3)]
    assert await aio.wait(generated(tasks)) == (set(tasks), set())


@requirement("wait/rejects-task-generators")
async def test_a_generator_of_tasks_is_refused(loop: AbstractEventLoop, aio: Any) -> None:
    tasks = [loop.create_task(aio.sleep(0, n)) for n in range(3)]
    with pytest.raises(TypeError):
        await aio.wait(generated(tasks))
    await aio.gather(*tasks)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("wait/cancel-keeps-futures-running")
async def test_cancelling_the_wait_cancels_nothing_else(loop: AbstractEventLoop, aio: Any) -> None:
    gate = loop.create_future()

    async def work() -> Any:
        return await gate

    task = loop.create_task(work())
    waiting = loop.create_task(aio.wait([gate, task], timeout=LONG))
    await settle(aio)
    waiting.cancel()
    assert isinstance(await ending(waiting), aio.CancelledError)
    assert (gate.done(), task.done(), task.cancelling()) == (False, False, 0)
    gate.set_result("went on")
    assert await task == "went on"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("wait/cancel-keeps-futures-running")
async def test_a_wait_cancelled_as_its_last_future_finishes_is_cancelled(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    waiting = loop.create_task(aio.wait([future]))
    await settle(aio)
    # Called after the wait was told, and before it goes on.
    future.add_done_callback(lambda _: waiting.cancel())
    future.set_result("finished")
    assert isinstance(await ending(waiting), aio.CancelledError)
    assert future.result() == "finished"
