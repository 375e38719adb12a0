"""A coroutine into the loop from another thread: ``run_coroutine_threadsafe()``."""

from __future__ import annotations

import concurrent.futures
import threading
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.members import fail
from conformance.support.threads import in_thread, run_beside
from conformance.support.waiting import GENEROUS, run_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Any time does: what is waited for never happens.
SHORT = 0.005


async def give(value: object) -> object:
    return value


@requirement("run_coroutine_threadsafe/accepts-documented-arguments")
def test_it_takes_a_coroutine_and_a_loop(loop: AbstractEventLoop, aio: Any) -> None:
    futures = [
        aio.run_coroutine_threadsafe(give("positional"), loop),
        aio.run_coroutine_threadsafe(coro=give("named"), loop=loop),
    ]
    coroutine = give("refused")
    for arguments in ((), (coroutine,), (coroutine, loop, None)):
        with pytest.raises(TypeError):
            aio.run_coroutine_threadsafe(*arguments)
    coroutine.close()
    run_until(loop, lambda: all(future.done() for future in futures))
    assert [future.result() for future in futures] == ["positional", "named"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement(
    "run_coroutine_threadsafe/returns-concurrent-future", "run_coroutine_threadsafe/callable-from-other-thread"
)
@requirement("run_coroutine_threadsafe/delivers-result")
def test_another_thread_gets_the_result_by_a_concurrent_future(loop: AbstractEventLoop, aio: Any) -> None:
    result = object()

    def work() -> list[object]:
        future = aio.run_coroutine_threadsafe(give(result), loop)
        assert isinstance(future, concurrent.futures.Future)
        return [future.result(GENEROUS), future.exception(GENEROUS), future.done()]

    assert run_beside(loop, work) == [result, None, True]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("run_coroutine_threadsafe/callable-from-other-thread")
def test_the_coroutine_runs_in_a_task_in_the_thread_of_the_loop(loop: AbstractEventLoop, aio: Any) -> None:
    async def where() -> tuple[bool, int]:
        await aio.sleep(0)
        return isinstance(aio.current_task(loop), aio.Task), threading.get_ident()

    def work() -> object:
        return aio.run_coroutine_threadsafe(where(), loop).result(GENEROUS)

    assert run_beside(loop, work) == (True, threading.get_ident())


@on_loops(PLAIN, DEBUG)
@requirement("run_coroutine_threadsafe/callable-from-other-thread")
def test_a_loop_that_rests_wakes_up_for_it(loop: AbstractEventLoop, aio: Any) -> None:
    def work() -> list[object]:
        # Each comes while the loop has nothing to do.
        return [aio.run_coroutine_threadsafe(give(number), loop).result(GENEROUS) for number in range(20)]

    assert run_beside(loop, work) == list(range(20))


@requirement("run_coroutine_threadsafe/callable-from-other-thread", "run_coroutine_threadsafe/delivers-result")
def test_many_threads_may_call_it_at_once(loop: AbstractEventLoop, aio: Any) -> None:
    def submit(number: int) -> object:
        return aio.run_coroutine_threadsafe(give(number), loop).result(GENEROUS)

    def work() -> list[object]:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return list(pool.map(submit, range(100)))

    assert run_beside(loop, work) == list(range(100))


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("run_coroutine_threadsafe/delivers-exception")
def test_another_thread_gets_the_exception(loop: AbstractEventLoop, aio: Any) -> None:
    error = ValueError()

    def work() -> list[object]:
        future = aio.run_coroutine_threadsafe(fail(error), loop)
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared below
            future.result(GENEROUS)
        return [caught.value, future.exception()]

    assert run_beside(loop, work) == [error, error]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("run_coroutine_threadsafe/delivers-exception")
def test_a_coroutine_that_is_cancelled_in_the_loop_is_cancelled_for_the_thread(
    loop: AbstractEventLoop, aio: Any
) -> None:
    async def cancel_itself() -> None:
        aio.current_task().cancel()
        await aio.sleep(0)

    def work() -> bool:
        future = aio.run_coroutine_threadsafe(cancel_itself(), loop)
        with pytest.raises(concurrent.futures.CancelledError):
            future.result(GENEROUS)
        return bool(future.cancelled())

    assert run_beside(loop, work) is True


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("run_coroutine_threadsafe/cancel-reaches-task")
def test_cancelling_the_future_cancels_the_task(loop: AbstractEventLoop, aio: Any) -> None:
    started, ended = threading.Event(), threading.Event()
    seen: list[type] = []

    async def wait() -> None:
        try:
            started.set()
            await loop.create_future()
        except BaseException as error:
            seen.append(type(error))
            raise
        finally:
            ended.set()

    def work() -> tuple[bool, bool]:
        future = aio.run_coroutine_threadsafe(wait(), loop)
        assert started.wait(GENEROUS)
        cancelled = future.cancel()
        assert ended.wait(GENEROUS)
        return cancelled, future.cancelled()

    assert run_beside(loop, work) == (True, True)
    assert seen == [aio.CancelledError]
    run_until(loop, lambda: not aio.all_tasks(loop))


@on_loops(PLAIN, DEBUG)
@requirement("run_coroutine_threadsafe/cancel-reaches-task")
def test_a_future_that_is_cancelled_before_the_loop_runs_leaves_no_task_running(
    loop: AbstractEventLoop, aio: Any
) -> None:
    reached: list[str] = []

    async def wait() -> None:
        await loop.create_future()
        reached.append("after the await")

    future = aio.run_coroutine_threadsafe(wait(), loop)
    assert future.cancel() is True
    seen: list[bool] = []
    loop.call_soon(seen.append, True)
    run_until(loop, lambda: bool(seen) and not aio.all_tasks(loop))
    assert (future.cancelled(), reached) == (True, [])


@pytest.mark.parametrize("kind", ["function", "future", "task", "generator", "number"])
@requirement("run_coroutine_threadsafe/rejects-non-coroutine")
async def test_what_is_no_coroutine_is_refused_at_once(loop: AbstractEventLoop, aio: Any, kind: str) -> None:
    task = loop.create_task(give(None))
    kinds = {"function": give, "future": loop.create_future(), "task": task, "generator": iter([]), "number": 1}
    with pytest.raises(TypeError):
        aio.run_coroutine_threadsafe(kinds[kind], loop)
    await task


@requirement("run_coroutine_threadsafe/result-timeout-limits-waiter")
def test_a_thread_that_gives_up_waiting_leaves_the_coroutine_running(loop: AbstractEventLoop, aio: Any) -> None:
    release = threading.Event()

    async def work_on() -> str:
        while not release.is_set():
            await aio.sleep(0.001)
        return "went on"

    def work() -> object:
        future = aio.run_coroutine_threadsafe(work_on(), loop)
        with pytest.raises(concurrent.futures.TimeoutError):
            future.result(SHORT)
        assert (future.done(), future.cancelled()) == (False, False)
        release.set()
        return future.result(GENEROUS)

    assert run_beside(loop, work) == "went on"


@requirement("run_coroutine_threadsafe/reaches-loop-in-helper-thread")
def test_the_main_thread_reaches_a_loop_in_a_helper_thread(loop: AbstractEventLoop, aio: Any) -> None:
    helper = threading.Thread(target=loop.run_forever)
    helper.start()
    try:

        async def where() -> int:
            await aio.sleep(0)
            return threading.get_ident()

        futures = [aio.run_coroutine_threadsafe(where(), loop) for _ in range(3)]
        assert [future.result(GENEROUS) for future in futures] == [helper.ident] * 3
    finally:
        loop.call_soon_threadsafe(loop.stop)
        helper.join(GENEROUS)
    assert helper.is_alive() is False


@requirement("run_coroutine_threadsafe/callable-from-other-thread")
def test_what_a_thread_submits_before_the_loop_runs_is_run_then(loop: AbstractEventLoop, aio: Any) -> None:
    future = in_thread(lambda: aio.run_coroutine_threadsafe(give("later"), loop))
    assert future.done() is False
    run_until(loop, future.done)
    assert future.result() == "later"
