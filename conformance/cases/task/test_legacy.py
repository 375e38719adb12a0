"""What only older documentation has: decorated generators, and introspection by class methods of ``Task``.

In force for profiles up to 3.10 alone; the programs are those that the 3.6 documentation shows, in other words.
"""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Generator


def decorated(aio: Any, function: Any) -> Any:
    """``aio.coroutine(function)``, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return aio.coroutine(function)


async def native(value: object) -> object:
    return value


@requirement("coroutine/bridges-generators-and-async-def")
def test_a_decorated_generator_awaits_a_native_coroutine(loop: AbstractEventLoop, aio: Any) -> None:
    awaitable: Any = native("from native")

    def old() -> Generator[Any, Any, object]:
        value = yield from awaitable
        return value

    assert loop.run_until_complete(decorated(aio, old)()) == "from native"


@requirement("coroutine/bridges-generators-and-async-def")
async def test_a_native_coroutine_awaits_a_decorated_generator(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()

    def old() -> Generator[Any, Any, object]:
        value = yield from future
        return value

    loop.call_soon(future.set_result, "from old")
    assert await decorated(aio, old)() == "from old"


@requirement("coroutine/generator-runs-as-task")
async def test_a_decorated_generator_runs_as_a_task(loop: AbstractEventLoop, aio: Any) -> None:
    def old() -> Generator[Any, Any, object]:
        yield from aio.sleep(0)
        return "ran as a task"

    task = loop.create_task(decorated(aio, old)())
    assert isinstance(task, aio.Task)
    assert await task == "ran as a task"


@requirement("coroutine/optional-on-async-def", "iscoroutinefunction/returns-true-for-coroutine-functions")
def test_a_native_coroutine_function_needs_no_decorator(loop: AbstractEventLoop, aio: Any) -> None:
    assert is_coroutine_function(aio, native) is True
    assert loop.run_until_complete(native("ran")) == "ran"
    assert loop.run_until_complete(decorated(aio, native)("decorated")) == "decorated"


@requirement("iscoroutinefunction/returns-true-for-coroutine-functions")
def test_a_decorated_generator_function_is_a_coroutine_function(aio: Any) -> None:
    def old() -> Generator[Any, Any, None]:
        yield None

    def plain() -> Generator[Any, Any, None]:
        yield None

    answers = [is_coroutine_function(aio, each) for each in (decorated(aio, old), native, print, plain, None)]
    assert answers == [True, True, False, False, False]


@requirement("iscoroutine/returns-true-for-generator-coroutines")
def test_calling_a_decorated_generator_function_makes_a_coroutine(aio: Any) -> None:
    def old() -> Generator[Any, Any, None]:
        yield None

    assert aio.iscoroutine(decorated(aio, old)()) is True


@requirement("coroutine/warns-deprecated")
def test_the_decorator_warns_that_it_is_deprecated(aio: Any) -> None:
    def old() -> Generator[Any, Any, None]:
        yield None

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        aio.coroutine(old)
    assert [warning.category for warning in caught] == [DeprecationWarning]


@requirement("coroutine/logs-never-run-coroutine")
def test_a_decorated_generator_never_run_is_logged_in_debug_mode(run_program: Any) -> None:
    program = """
import gc, logging, sys
logging.basicConfig(stream=sys.stdout, format="%(name)s %(levelname)s")
def old():
    yield None
aio.coroutine(old)()
gc.collect()
"""
    finished = run_program(program, "-W", "ignore", env={"PYTHONASYNCIODEBUG": "1"})
    assert finished.stdout.split("\n") == ["asyncio ERROR", ""]


@requirement("async/aliases-ensure-future")
def test_async_is_another_name_of_ensure_future(loop: AbstractEventLoop, aio: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        task = getattr(aio, "async")(native("ran"), loop=loop)
    assert isinstance(task, aio.Task)
    assert loop.run_until_complete(task) == "ran"


@requirement("Task.all_tasks/returns-all-live-tasks")
async def test_the_class_method_returns_finished_tasks_too(loop: AbstractEventLoop, aio: Any) -> None:
    finished = loop.create_task(native("finished"))
    await finished
    pending = loop.create_task(aio.sleep(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = aio.Task.all_tasks()
        same = aio.Task.all_tasks(loop)
    await pending
    assert {finished, pending} <= found
    assert found == same
    assert type(found) is set


@requirement("Task.current_task/returns-running-task-or-none")
async def test_the_class_method_returns_the_running_task(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[object] = []

    def look() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            seen.append(aio.Task.current_task())

    look()
    loop.call_soon(look)
    await aio.sleep(0)
    own = [task for task in seen if task is not None]
    assert [isinstance(task, aio.Task) for task in own] == [True]
    assert seen == [own[0], None]


@pytest.mark.parametrize("method", ["all_tasks", "current_task"])
@requirement("Task.all_tasks/deprecated-classmethod", "Task.current_task/deprecated-classmethod")
async def test_the_class_methods_warn_that_they_are_deprecated(loop: AbstractEventLoop, aio: Any, method: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(aio.Task, method)(loop)
    categories = {warning.category for warning in caught}
    assert len(categories) == 1
    assert issubclass(categories.pop(), (DeprecationWarning, PendingDeprecationWarning))


@requirement("examples/hello-world-coroutine")
def test_a_coroutine_prints_a_greeting_and_the_loop_is_closed(loop: AbstractEventLoop) -> None:
    greetings: list[str] = []

    async def greet() -> None:
        greetings.append("Hello")

    loop.run_until_complete(greet())
    loop.close()
    assert greetings == ["Hello"]
    assert loop.is_closed()


@requirement("examples/coroutine-displaying-the-current-date")
def test_a_coroutine_shows_the_time_again_and_again_until_its_end(loop: AbstractEventLoop, aio: Any) -> None:
    shown: list[float] = []

    async def show(until: float) -> None:
        while True:
            shown.append(time.monotonic())
            if loop.time() + 0.001 >= until:
                break
            await aio.sleep(0.001)

    loop.run_until_complete(show(loop.time() + 0.005))
    assert shown == sorted(shown)
    assert len(shown) >= 1


@requirement("examples/chain-coroutines")
def test_a_coroutine_waits_for_the_one_it_calls(loop: AbstractEventLoop, aio: Any) -> None:
    order: list[str] = []

    async def compute(x: int, y: int) -> int:
        order.append("computing")
        await aio.sleep(0.001)
        return x + y

    async def show(x: int, y: int) -> None:
        order.append(f"sum {await compute(x, y)}")

    loop.run_until_complete(show(1, 2))
    assert order == ["computing", "sum 3"]


@requirement("examples/future-with-run-until-complete")
def test_a_task_sets_the_future_that_the_loop_runs_for(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()

    async def compute() -> None:
        await aio.sleep(0.001)
        future.set_result("done")

    task = aio.ensure_future(compute(), loop=loop)
    loop.run_until_complete(future)
    loop.run_until_complete(task)
    assert future.result() == "done"


@requirement("examples/future-with-run-forever")
def test_a_done_callback_stops_the_loop_that_runs_forever(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    results: list[str] = []

    async def compute() -> None:
        await aio.sleep(0.001)
        future.set_result("done")

    def take(done: Any) -> None:
        results.append(done.result())
        loop.stop()

    task = aio.ensure_future(compute(), loop=loop)
    future.add_done_callback(take)
    loop.run_forever()
    assert results == ["done"]
    assert task.done()


@requirement("examples/parallel-execution-of-tasks")
def test_three_tasks_compute_side_by_side(loop: AbstractEventLoop, aio: Any) -> None:
    order: list[str] = []

    async def factorial(name: str, number: int) -> int:
        product = 1
        for factor in range(2, number + 1):
            order.append(name)
            await aio.sleep(0.001)
            product *= factor
        return product

    numbers = {"a": 2, "b": 3, "c": 4}
    work = aio.gather(*(aio.ensure_future(factorial(n, v), loop=loop) for n, v in numbers.items()))
    assert loop.run_until_complete(work) == [2, 6, 24]
    # Every task begins before any goes on.
    assert sorted(order[:3]) == ["a", "b", "c"]


def is_coroutine_function(aio: Any, value: object) -> object:
    """``aio.iscoroutinefunction(value)``, whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return aio.iscoroutinefunction(value)
