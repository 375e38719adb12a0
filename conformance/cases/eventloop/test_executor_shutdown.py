"""How the default executor ends: ``loop.shutdown_default_executor()`` and ``loop.close()``."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.waiting import GENEROUS, run_until, wait_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

    from conformance.target import Target

# A timeout that a case waits for in full, and one that it never reaches.
SHORT = 0.01
LONG = 60.0


class Job:
    """A function that blocks its thread until it is released (or, at worst, for ``GENEROUS`` seconds)."""

    def __init__(self) -> None:
        self.begun, self.gate, self.finished = threading.Event(), threading.Event(), threading.Event()

    def __call__(self) -> threading.Thread:
        self.begun.set()
        self.gate.wait(GENEROUS)
        self.finished.set()
        return threading.current_thread()


@pytest.fixture
def job() -> Iterator[Job]:
    """A blocking job; released at the end, and then every thread that has begun since is waited for."""
    before = set(threading.enumerate())
    job = Job()
    yield job
    job.gate.set()
    wait_until(lambda: set(threading.enumerate()) <= before)


def is_shut_down(pool: ThreadPoolExecutor) -> bool:
    """Whether the pool refuses work."""
    try:
        pool.submit(int)
    except RuntimeError:
        return True
    return False


@on_loops(PLAIN, DEBUG)
@requirement("loop.shutdown_default_executor/is-coroutine-function")
def test_shutting_down_is_a_coroutine(loop: AbstractEventLoop) -> None:
    shutting = loop.shutdown_default_executor()
    assert isinstance(shutting, Coroutine)
    loop.run_until_complete(shutting)


@requirement("loop.shutdown_default_executor/is-coroutine-function")
def test_shutting_down_begins_only_when_it_is_awaited(loop: AbstractEventLoop) -> None:
    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        shutting = loop.shutdown_default_executor()
        assert not is_shut_down(pool)
        loop.run_until_complete(shutting)
        assert is_shut_down(pool)


@requirement("loop.shutdown_default_executor/waits-for-executor-threads")
async def test_after_shutting_down_the_threads_of_the_default_executor_have_ended(
    loop: AbstractEventLoop, aio: Any
) -> None:
    together = threading.Barrier(3)

    def meet() -> threading.Thread:
        together.wait(GENEROUS)
        return threading.current_thread()

    threads = await aio.gather(*(loop.run_in_executor(None, meet) for _ in range(3)))
    await loop.shutdown_default_executor()
    assert [thread.is_alive() for thread in threads] == [False, False, False]


@requirement("loop.shutdown_default_executor/waits-for-executor-threads")
async def test_shutting_down_waits_for_a_function_at_work(loop: AbstractEventLoop, job: Job) -> None:
    future = loop.run_in_executor(None, job)
    loop.call_later(SHORT, job.gate.set)
    await loop.shutdown_default_executor()
    assert job.finished.is_set()
    assert not (await future).is_alive()


@requirement("loop.shutdown_default_executor/waits-for-executor-threads")
async def test_shutting_down_waits_for_functions_that_have_not_begun(loop: AbstractEventLoop, aio: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        futures = [loop.run_in_executor(None, str, n) for n in range(50)]
        await loop.shutdown_default_executor()
        assert await aio.gather(*futures) == [str(n) for n in range(50)]


@on_loops(PLAIN, DEBUG)
@requirement("loop.shutdown_default_executor/waits-for-executor-threads")
async def test_the_loop_runs_while_the_default_executor_is_shut_down(loop: AbstractEventLoop, job: Job) -> None:
    opened = loop.run_in_executor(None, job.gate.wait, GENEROUS)
    loop.call_later(SHORT, job.gate.set)
    await loop.shutdown_default_executor()
    assert await opened, "the loop ran no timer while it waited for its executor"


@requirement("loop.shutdown_default_executor/waits-for-executor-threads")
async def test_an_executor_that_was_set_is_shut_down_like_the_loops_own(loop: AbstractEventLoop) -> None:
    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        worker = await loop.run_in_executor(None, threading.current_thread)
        await loop.shutdown_default_executor()
        assert is_shut_down(pool)
        assert not worker.is_alive()


@requirement("loop.shutdown_default_executor/waits-for-executor-threads")
async def test_shutting_down_leaves_every_other_executor_alone(loop: AbstractEventLoop) -> None:
    with ThreadPoolExecutor(1) as pool:
        await loop.run_in_executor(pool, int)
        await loop.shutdown_default_executor()
        assert await loop.run_in_executor(pool, divmod, 7, 2) == (3, 1)


@requirement("loop.shutdown_default_executor/waits-for-executor-threads")
async def test_a_default_executor_that_was_never_needed_is_shut_down_at_once(loop: AbstractEventLoop) -> None:
    await loop.shutdown_default_executor()


@requirement("loop.shutdown_default_executor/none-timeout-waits-forever")
async def test_without_a_timeout_shutting_down_waits_until_the_function_ends(loop: Any, job: Job) -> None:
    loop.run_in_executor(None, job)
    loop.call_later(SHORT, job.gate.set)
    with warnings.catch_warnings(action="error"):
        await loop.shutdown_default_executor(timeout=None)
    assert job.finished.is_set()


@requirement("loop.shutdown_default_executor/none-timeout-waits-forever")
async def test_the_timeout_may_be_given_by_position(loop: Any) -> None:
    await loop.run_in_executor(None, int)
    await loop.shutdown_default_executor(None)


@on_loops(PLAIN, DEBUG)
@requirement("loop.shutdown_default_executor/timeout-limits-join", "loop.shutdown_default_executor/warns-on-timeout")
def test_shutting_down_warns_and_ends_at_its_timeout(loop: Any, job: Job) -> None:
    loop.run_in_executor(None, job)
    with pytest.warns(RuntimeWarning):
        loop.run_until_complete(loop.shutdown_default_executor(timeout=SHORT))
    assert not job.finished.is_set(), "waited for the function beyond the timeout"


@requirement("loop.shutdown_default_executor/warns-on-timeout")
def test_an_executor_whose_threads_are_not_waited_for_is_shut_down_all_the_same(loop: Any, job: Job) -> None:
    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        loop.run_in_executor(None, job)
        with pytest.warns(RuntimeWarning):
            loop.run_until_complete(loop.shutdown_default_executor(SHORT))
        assert is_shut_down(pool)
        job.gate.set()


@requirement("loop.shutdown_default_executor/timeout-limits-join")
async def test_a_timeout_that_is_not_reached_changes_nothing(loop: Any, job: Job) -> None:
    future = loop.run_in_executor(None, job)
    loop.call_later(SHORT, job.gate.set)
    with warnings.catch_warnings(action="error"):
        await loop.shutdown_default_executor(timeout=LONG)
    assert not (await future).is_alive()


@requirement("loop.shutdown_default_executor/timeout-limits-join")
async def test_a_timeout_ends_nothing_when_no_thread_was_ever_needed(loop: Any) -> None:
    with warnings.catch_warnings(action="error"):
        await loop.shutdown_default_executor(timeout=0)


@requirement("loop.shutdown_default_executor/unneeded-under-run")
def test_a_runner_shuts_the_default_executor_down_itself(target: Target, aio: Any) -> None:
    async def main() -> threading.Thread:
        thread: threading.Thread = await aio.get_running_loop().run_in_executor(None, threading.current_thread)
        return thread

    with aio.Runner(loop_factory=target.make_loop) as runner:
        worker = runner.run(main())
        assert worker.is_alive()
    assert not worker.is_alive()


@requirement("loop.shutdown_default_executor/unneeded-under-run")
def test_a_runner_waits_for_functions_that_main_left_at_work(target: Target, aio: Any) -> None:
    job = Job()

    async def main() -> None:
        loop = aio.get_running_loop()
        loop.run_in_executor(None, job)
        loop.run_in_executor(None, job.gate.set)

    with aio.Runner(loop_factory=target.make_loop) as runner:
        runner.run(main())
    assert job.finished.is_set()


@on_loops(PLAIN, DEBUG)
@requirement("loop.close/shuts-executor-without-waiting")
def test_closing_does_not_wait_for_a_function_at_work(loop: AbstractEventLoop, job: Job) -> None:
    future = loop.run_in_executor(None, job)
    run_until(loop, job.begun.is_set)
    future.cancel()  # nobody is there to take the result later
    loop.close()
    assert not job.finished.is_set(), "close() waited for the function"


@requirement("loop.close/shuts-executor-without-waiting")
def test_the_threads_of_a_closed_loops_executor_end_by_themselves(loop: AbstractEventLoop) -> None:
    worker = loop.run_until_complete(loop.run_in_executor(None, threading.current_thread))
    assert worker.is_alive()
    loop.close()
    worker.join(GENEROUS)
    assert not worker.is_alive()


@requirement("loop.close/shuts-executor-without-waiting")
def test_closing_shuts_an_executor_down_that_was_set(loop: AbstractEventLoop, job: Job) -> None:
    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        pool.submit(job)
        loop.close()
        assert not job.finished.is_set(), "close() waited for the function"
        assert is_shut_down(pool)
        job.gate.set()


@requirement("loop.close/shuts-executor-without-waiting")
def test_closing_lets_functions_that_were_handed_over_run(loop: AbstractEventLoop, job: Job) -> None:
    with ThreadPoolExecutor(1) as pool:
        loop.set_default_executor(pool)
        pool.submit(job)
        waiting = pool.submit(divmod, 7, 2)
        loop.close()
        job.gate.set()
        assert waiting.result(GENEROUS) == (3, 1)


@requirement("loop.shutdown_default_executor/rejects-later-default-executor-use")
@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
async def test_after_shutting_down_the_default_executor_takes_no_function(loop: AbstractEventLoop, used: bool) -> None:
    calls: list[str] = []
    if used:
        await loop.run_in_executor(None, int)
    await loop.shutdown_default_executor()
    with pytest.raises(RuntimeError):
        await loop.run_in_executor(None, calls.append, "called")
    assert calls == []


@requirement(
    "loop.shutdown_default_executor/rejects-later-default-executor-use",
    "loop.shutdown_default_executor/warns-on-timeout",
)
def test_after_a_shutdown_that_timed_out_the_default_executor_takes_no_function(loop: Any, job: Job) -> None:
    loop.run_in_executor(None, job)
    with pytest.warns(RuntimeWarning):
        loop.run_until_complete(loop.shutdown_default_executor(timeout=SHORT))
    with pytest.raises(RuntimeError):
        loop.run_in_executor(None, int)


@pytest.mark.parametrize("default", [True, False], ids=["default", "given"])
@requirement("loop.run_in_executor/raises-on-closed-loop")
def test_a_closed_loop_takes_no_function(loop: AbstractEventLoop, default: bool) -> None:
    loop.close()
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError):
        loop.run_in_executor(None if default else pool, int)
