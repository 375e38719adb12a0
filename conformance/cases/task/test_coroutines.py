"""Coroutines and awaitables: what starts a coroutine, what an await gives, and when coroutines make progress."""

from __future__ import annotations

import gc
import inspect
import time
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.tasks import EVERY_TASK

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable

    NewTask = Callable[..., Task[Any]]

# Two sleeps in a row: long enough to tell their sum from the longer one, short enough for a suite.
SHORT, LONG = 0.010, 0.020
# "About" the sum: a loop whose clock counts milliseconds may be early by one for each of the two sleeps.
TOLERANCE = 0.002


async def fail(error: Exception) -> None:
    raise error


@requirement("coroutines-language-section/call-runs-nothing", "coroutines-language-section/accepts-async-def-functions")
def test_calling_a_coroutine_function_runs_nothing(aio: Any) -> None:
    ran: list[str] = []

    async def run() -> None:
        ran.append("ran")

    coroutine = run()
    assert inspect.iscoroutinefunction(run)
    assert aio.iscoroutine(coroutine)
    coroutine.close()
    assert ran == []


@requirement("coroutines-language-section/call-runs-nothing")
def test_calling_sleep_makes_a_coroutine_and_starts_no_timer(loop: AbstractEventLoop, aio: Any) -> None:
    coroutine = aio.sleep(3600)
    assert aio.iscoroutine(coroutine)
    coroutine.close()
    assert not loop.is_running()


@requirement("coroutines-language-section/runs-under-three-drivers")
@pytest.mark.parametrize("driver", ["run_until_complete", "await", "task"])
def test_each_driver_runs_the_coroutine_to_its_value(loop: AbstractEventLoop, aio: Any, driver: str) -> None:
    async def value() -> str:
        await aio.sleep(0)
        return "value"

    async def drive() -> object:
        return await (loop.create_task(value()) if driver == "task" else value())

    assert loop.run_until_complete(value() if driver == "run_until_complete" else drive()) == "value"


@on_loops(PLAIN, DEBUG)
@requirement("coroutines-language-section/progresses-only-while-loop-runs")
def test_a_task_makes_progress_only_while_the_loop_runs(loop: AbstractEventLoop, aio: Any) -> None:
    steps: list[int] = []

    async def step() -> None:
        for n in range(1000):
            steps.append(n)
            await aio.sleep(0)

    task = loop.create_task(step())
    assert steps == []
    loop.run_until_complete(aio.sleep(0))
    begun = len(steps)
    assert 0 < begun < 1000
    gc.collect()
    assert len(steps) == begun
    loop.run_until_complete(task)
    assert steps == list(range(1000))


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("coroutines-language-section/await-future-waits-for-result", "awaitables/await-accepts-three-kinds")
async def test_awaiting_a_future_suspends_until_its_result(loop: AbstractEventLoop) -> None:
    order: list[str] = []
    future = loop.create_future()

    def finish() -> None:
        order.append("set")
        future.set_result("result")

    loop.call_soon(finish)
    order.append("awaiting")
    order.append(await future)
    assert order == ["awaiting", "set", "result"]


@EVERY_TASK
@requirement("coroutines-language-section/await-raises-awaited-exception")
async def test_awaiting_a_coroutine_task_or_future_raises_its_very_exception(
    loop: AbstractEventLoop, new_task: NewTask
) -> None:
    errors = [ValueError(kind) for kind in ("coroutine", "task", "future")]
    future = loop.create_future()
    future.set_exception(errors[2])
    caught: list[Exception] = []
    for awaitable in (fail(errors[0]), new_task(fail(errors[1])), future):
        try:
            await awaitable
        except ValueError as error:
            caught.append(error)
    assert caught == errors


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("coroutines-language-section/await-cancelled-future-raises-cancellederror")
async def test_awaiting_a_cancelled_future_raises_cancellederror(loop: AbstractEventLoop, aio: Any) -> None:
    before, during = loop.create_future(), loop.create_future()
    before.cancel()
    loop.call_soon(during.cancel)
    for future in (before, during):
        with pytest.raises(aio.CancelledError):
            await future


@EVERY_TASK
@requirement("awaitables/await-accepts-three-kinds")
async def test_await_takes_coroutines_tasks_and_futures(loop: AbstractEventLoop, aio: Any, new_task: NewTask) -> None:
    future = loop.create_future()
    loop.call_soon(future.set_result, "future")
    assert await aio.sleep(0, "coroutine") == "coroutine"
    assert await new_task(aio.sleep(0, "task")) == "task"
    assert await future == "future"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("coroutines-language-section/await-coroutine-returns-its-value")
async def test_awaiting_a_coroutine_gives_the_very_value_it_returned(loop: AbstractEventLoop, aio: Any) -> None:
    value = object()

    async def give(depth: int) -> object:
        if depth:
            return await give(depth - 1)
        await aio.sleep(0)
        return value

    assert await give(5) is value
    assert loop.is_running()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("coroutines-language-section/awaits-sequential-tasks-concurrent")
async def test_coroutines_awaited_one_after_the_other_take_the_sum_of_their_times(
    loop: AbstractEventLoop, aio: Any
) -> None:
    order: list[str] = []

    async def work(name: str, delay: float) -> None:
        order.append(f"{name} begins")
        await aio.sleep(delay)
        order.append(f"{name} ends")

    began = time.monotonic()
    await work("short", SHORT)
    await work("long", LONG)
    passed = time.monotonic() - began
    assert order == ["short begins", "short ends", "long begins", "long ends"]
    assert passed >= SHORT + LONG - TOLERANCE
    assert loop.is_running()


@EVERY_TASK
@requirement("coroutines-language-section/awaits-sequential-tasks-concurrent")
async def test_tasks_wait_at_the_same_time(aio: Any, new_task: NewTask) -> None:
    order: list[str] = []

    async def work(name: str, delay: float) -> None:
        order.append(f"{name} begins")
        await aio.sleep(delay)
        order.append(f"{name} ends")

    tasks = [new_task(work("short", SHORT)), new_task(work("long", LONG))]
    for task in tasks:
        await task
    assert sorted(order[:2]) == ["long begins", "short begins"]
    assert sorted(order[2:]) == ["long ends", "short ends"]


@requirement("awaitables/warns-when-never-awaited")
def test_a_coroutine_never_awaited_warns(aio: Any) -> None:
    with pytest.warns(RuntimeWarning, match="sleep"):
        forget_one(lambda: aio.sleep(0))


@requirement("awaitables/warns-when-never-awaited")
async def test_a_coroutine_that_was_awaited_does_not_warn(
    loop: AbstractEventLoop, aio: Any, recwarn: pytest.WarningsRecorder
) -> None:
    await aio.sleep(0)
    await loop.create_task(aio.sleep(0))
    gc.collect()
    assert [warning for warning in recwarn if warning.category is RuntimeWarning] == []


@pytest.mark.parametrize("api", ["sleep", "wait_for", "getaddrinfo", "run_in_executor", "shutdown_asyncgens", "gather"])
@requirement("awaitables/coroutine-api-may-return-future")
async def test_what_a_coroutine_api_returns_can_be_awaited(loop: AbstractEventLoop, aio: Any, api: str) -> None:
    await call(api, loop, aio)


@pytest.mark.parametrize("api", ["sleep", "wait_for", "getaddrinfo", "run_in_executor", "shutdown_asyncgens", "gather"])
@requirement("awaitables/coroutine-api-may-return-future")
async def test_what_a_coroutine_api_returns_fits_ensure_future(loop: AbstractEventLoop, aio: Any, api: str) -> None:
    future = aio.ensure_future(call(api, loop, aio))
    assert aio.isfuture(future)
    await future
    assert future.done()


@requirement("coroutine/absent-since-removal")
def test_the_coroutine_decorator_is_gone(aio: Any) -> None:
    assert not hasattr(aio, "coroutine")


@requirement("examples/coroutines")
def test_a_program_awaits_coroutines_in_turn_and_starts_tasks_together(aio: Any, target: Any) -> None:
    said: list[str] = []

    async def say_after(delay: float, what: str) -> None:
        await aio.sleep(delay)
        said.append(what)

    async def main() -> None:
        await say_after(0.002, "in turn: slow")
        await say_after(0.001, "in turn: quick")
        slow = aio.create_task(say_after(SHORT, "together"))
        quick = aio.create_task(say_after(0, "together"))
        said.append("both started")
        await slow
        await quick

    run(aio, target, main())
    assert said == ["in turn: slow", "in turn: quick", "both started", "together", "together"]


@requirement("examples/awaitables-example")
def test_a_program_awaits_a_coroutine_a_task_and_a_future(aio: Any, target: Any) -> None:
    async def nested() -> int:
        return 42

    async def main() -> list[object]:
        loop = aio.get_running_loop()
        return [await nested(), await aio.create_task(nested()), await loop.run_in_executor(None, int, "42")]

    assert run(aio, target, main()) == [42, 42, 42]


def call(api: str, loop: AbstractEventLoop, aio: Any) -> Any:
    """Call the coroutine API that ``api`` names, with arguments that let it finish soon."""
    calls: dict[str, Callable[[], Any]] = {
        "sleep": lambda: aio.sleep(0),
        "wait_for": lambda: aio.wait_for(aio.sleep(0), None),
        "getaddrinfo": lambda: loop.getaddrinfo("127.0.0.1", 80),
        "run_in_executor": lambda: loop.run_in_executor(None, int),
        "shutdown_asyncgens": loop.shutdown_asyncgens,
        "gather": lambda: aio.gather(aio.sleep(0)),
    }
    return calls[api]()


def forget_one(make: Callable[[], object]) -> None:
    """Let go of the only reference to a coroutine."""
    make()
    gc.collect()


def run(aio: Any, target: Any, coroutine: Any) -> Any:
    """Run ``coroutine`` as a program would, on a loop of the target."""
    with aio.Runner(loop_factory=target.make_loop) as runner:
        return runner.run(coroutine)
