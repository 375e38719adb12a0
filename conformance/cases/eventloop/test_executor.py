"""Running blocking functions in executors: ``loop.run_in_executor()`` and ``loop.set_default_executor()``."""

from __future__ import annotations

import functools
import os
import socket
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import pytest

from conformance.support.executors import interpreter_pool
from conformance.support.marks import DEBUG, PLAIN, budget, on_loops, requirement
from conformance.support.waiting import GENEROUS, run_one_pass, run_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Coroutine

    from conformance.support.programs import RunProgram

P = ParamSpec("P")
T = TypeVar("T")

# ThreadPoolExecutor's documented default, by which its users reckon.
DEFAULT_WORKERS = min(32, (getattr(os, "process_cpu_count", os.cpu_count)() or 1) + 4)

# No name service is asked: what is resolved is an address and a number already.
NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV

# Enough results at once that one overtaking or overwriting another would show.
MANY = 200


class InlineExecutor(Executor):
    """An executor without threads: the function has run when ``submit()`` returns."""

    def __init__(self) -> None:
        self.submitted = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        self.submitted += 1
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


class NamedPool(ThreadPoolExecutor):
    """A thread pool of one worker whose name is ``name``."""

    def __init__(self, name: str) -> None:
        super().__init__(1, thread_name_prefix=name)


class Interrupted(BaseException):
    """An exception that is no Exception."""


def hold(begun: threading.Event, gate: threading.Event) -> bool:
    """Block the thread until the gate is opened; whether it was."""
    begun.set()
    return gate.wait(GENEROUS)


def thread_name() -> str:
    """The name of the thread that runs this."""
    return threading.current_thread().name


@requirement("loop.run_in_executor/runs-func-in-executor")
async def test_a_function_runs_in_a_thread_of_the_given_executor(loop: AbstractEventLoop) -> None:
    with NamedPool("given") as pool:
        assert (await loop.run_in_executor(pool, thread_name)).startswith("given")


@requirement("loop.run_in_executor/runs-func-in-executor")
async def test_the_given_executor_is_used_although_there_is_a_default_one(loop: AbstractEventLoop) -> None:
    with NamedPool("default") as default, NamedPool("given") as given:
        loop.set_default_executor(default)
        assert (await loop.run_in_executor(given, thread_name)).startswith("given")


@on_loops(PLAIN, DEBUG)
@requirement("loop.run_in_executor/runs-func-in-executor", "loop.run_in_executor/accepts-documented-parameters")
async def test_a_function_gets_its_arguments_in_order(loop: AbstractEventLoop) -> None:
    def give(*args: object) -> tuple[object, ...]:
        return args

    assert await loop.run_in_executor(None, give, 1, "two", None, (4,)) == (1, "two", None, (4,))


@requirement("loop.run_in_executor/accepts-documented-parameters")
async def test_a_function_without_arguments_is_called_without_any(loop: AbstractEventLoop) -> None:
    assert await loop.run_in_executor(None, lambda *args: args) == ()


@requirement("loop.run_in_executor/accepts-documented-parameters")
async def test_executor_and_func_may_be_named(loop: AbstractEventLoop) -> None:
    assert await loop.run_in_executor(executor=None, func=lambda: "named") == "named"


@requirement("loop.run_in_executor/runs-func-in-executor")
async def test_a_function_is_called_once(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    await loop.run_in_executor(None, calls.append, "called")
    assert calls == ["called"]


@requirement("loop.run_in_executor/runs-func-in-executor")
def test_a_function_is_called_although_nobody_awaits_it(loop: AbstractEventLoop) -> None:
    called = threading.Event()
    loop.run_in_executor(None, called.set)
    run_until(loop, called.is_set)


@requirement("loop.run_in_executor/runs-func-in-executor", "loop.run_in_executor/delivers-result-or-exception")
async def test_any_executor_will_do_even_one_that_is_done_at_once(loop: AbstractEventLoop) -> None:
    executor = InlineExecutor()
    assert await loop.run_in_executor(executor, divmod, 7, 2) == (3, 1)
    assert executor.submitted == 1


@requirement("loop.run_in_executor/delivers-result-or-exception")
async def test_an_executor_that_fails_at_once_has_its_exception_delivered(loop: AbstractEventLoop) -> None:
    with pytest.raises(ZeroDivisionError):
        await loop.run_in_executor(InlineExecutor(), divmod, 7, 0)


@requirement("loop.run_in_executor/runs-func-in-executor")
def test_a_given_executor_outlives_the_loop(loop: AbstractEventLoop) -> None:
    with NamedPool("given") as pool:
        loop.run_until_complete(loop.run_in_executor(pool, thread_name))
        loop.close()
        assert pool.submit(divmod, 7, 2).result(GENEROUS) == (3, 1)


@requirement("loop.run_in_executor/runs-func-in-executor")
def test_a_function_may_be_handed_over_before_the_loop_runs(loop: AbstractEventLoop) -> None:
    future = loop.run_in_executor(None, divmod, 7, 2)
    assert loop.run_until_complete(future) == (3, 1)


@requirement("loop.run_in_executor/none-uses-default-executor", "loop.run_in_executor/default-is-lazy-thread-pool")
async def test_the_default_executor_runs_functions_in_other_threads_of_this_process(loop: AbstractEventLoop) -> None:
    process, thread = await loop.run_in_executor(None, lambda: (os.getpid(), threading.get_ident()))
    assert process == os.getpid()
    assert thread != threading.get_ident()


@requirement("loop.run_in_executor/default-is-lazy-thread-pool", "loop.set_default_executor/used-for-none-executor")
async def test_an_executor_set_before_the_first_need_is_the_only_default_one(loop: AbstractEventLoop) -> None:
    with NamedPool("mine") as pool:
        loop.set_default_executor(pool)
        names = {await loop.run_in_executor(None, thread_name) for _ in range(4)}
        assert {name[:4] for name in names} == {"mine"}


@requirement("loop.run_in_executor/default-worker-count-untouched")
async def test_the_default_pool_has_as_many_workers_as_any_thread_pool(loop: AbstractEventLoop, aio: Any) -> None:
    together = threading.Barrier(DEFAULT_WORKERS)

    def meet() -> int:
        together.wait(GENEROUS)  # passes only when this many threads are at work at once
        return threading.get_ident()

    threads = await aio.gather(*(loop.run_in_executor(None, meet) for _ in range(3 * DEFAULT_WORKERS)))
    assert len(set(threads)) == DEFAULT_WORKERS


@on_loops(PLAIN, DEBUG)
@requirement("loop.run_in_executor/returns-future")
def test_what_is_returned_is_a_future_of_the_loop(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.run_in_executor(None, divmod, 7, 2)
    assert aio.isfuture(future)
    assert future.get_loop() is loop
    loop.run_until_complete(future)


@requirement("loop.run_in_executor/returns-future", "loop.run_in_executor/loop-stays-responsive")
def test_callbacks_of_the_returned_future_run_in_the_loops_thread(loop: AbstractEventLoop) -> None:
    threads: list[int] = []
    future = loop.run_in_executor(None, divmod, 7, 2)
    future.add_done_callback(lambda _: threads.append(threading.get_ident()))
    run_until(loop, lambda: bool(threads))
    assert threads == [threading.get_ident()]


@pytest.mark.parametrize("value", [None, 0, [1], ValueError("a value")], ids=repr)
@requirement("loop.run_in_executor/delivers-result-or-exception")
async def test_the_very_object_that_a_function_returns_is_delivered(loop: AbstractEventLoop, value: object) -> None:
    assert await loop.run_in_executor(None, lambda: value) is value


@on_loops(PLAIN, DEBUG)
@requirement("loop.run_in_executor/delivers-result-or-exception")
async def test_the_very_exception_that_a_function_raises_is_raised_at_the_await(loop: AbstractEventLoop) -> None:
    error = LookupError("nowhere")

    def fail() -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        await loop.run_in_executor(None, fail)
    assert caught.value is error


@pytest.mark.parametrize("kind", [OSError, TimeoutError, StopAsyncIteration, GeneratorExit, Interrupted])
@requirement("loop.run_in_executor/delivers-result-or-exception")
async def test_an_exception_of_any_kind_is_delivered(loop: AbstractEventLoop, kind: type[BaseException]) -> None:
    def fail() -> None:
        raise kind("in the thread")

    with pytest.raises(kind, match="in the thread"):
        await loop.run_in_executor(None, fail)


@requirement("loop.run_in_executor/delivers-result-or-exception")
async def test_every_one_of_many_calls_gets_its_own_result(loop: AbstractEventLoop, aio: Any) -> None:
    results = await aio.gather(*(loop.run_in_executor(None, str, n) for n in range(MANY)))
    assert results == [str(n) for n in range(MANY)]


@requirement("loop.run_in_executor/delivers-result-or-exception")
def test_a_result_that_nobody_waits_for_any_more_is_dropped_in_silence(
    loop: AbstractEventLoop, reported: list[dict[str, Any]]
) -> None:
    begun, gate = threading.Event(), threading.Event()
    with NamedPool("given") as pool:
        future = loop.run_in_executor(pool, hold, begun, gate)
        run_until(loop, begun.is_set)
        future.cancel()
        gate.set()
        loop.run_until_complete(loop.run_in_executor(pool, divmod, 7, 2))
        run_one_pass(loop)
    assert future.cancelled()
    assert reported == []


@requirement("loop.run_in_executor/keywords-need-partial")
def test_keyword_arguments_are_refused(loop: Any) -> None:
    with pytest.raises(TypeError):
        loop.run_in_executor(None, dict, colour="red")


@requirement("loop.run_in_executor/keywords-need-partial")
async def test_a_partial_passes_keyword_arguments(loop: AbstractEventLoop) -> None:
    assert await loop.run_in_executor(None, functools.partial(dict, colour="red")) == {"colour": "red"}


@on_loops(PLAIN, DEBUG)
@requirement("loop.run_in_executor/loop-stays-responsive", "loop.run_in_executor/default-is-lazy-thread-pool")
async def test_callbacks_run_while_a_function_blocks(loop: AbstractEventLoop) -> None:
    gate = threading.Event()
    loop.call_soon(gate.set)
    assert await loop.run_in_executor(None, gate.wait, GENEROUS), "the loop ran no callback while the function blocked"


@requirement("loop.run_in_executor/loop-stays-responsive")
async def test_timers_run_while_a_function_blocks(loop: AbstractEventLoop) -> None:
    gate = threading.Event()
    loop.call_later(0.005, gate.set)
    assert await loop.run_in_executor(None, gate.wait, GENEROUS), "the loop ran no timer while the function blocked"


@requirement("loop.run_in_executor/loop-stays-responsive")
async def test_tasks_run_while_a_function_blocks(loop: AbstractEventLoop, aio: Any) -> None:
    gate = threading.Event()

    async def open_after_a_while() -> None:
        for _ in range(10):
            await aio.sleep(0)
        gate.set()

    opened, _ = await aio.gather(loop.run_in_executor(None, gate.wait, GENEROUS), open_after_a_while())
    assert opened, "the loop ran no task while the function blocked"


@requirement("loop.run_in_executor/loop-stays-responsive")
async def test_two_functions_block_side_by_side_in_the_default_pool(loop: AbstractEventLoop, aio: Any) -> None:
    together = threading.Barrier(2)
    places = await aio.gather(*(loop.run_in_executor(None, together.wait, GENEROUS) for _ in range(2)))
    assert sorted(places) == [0, 1]


@requirement("loop.set_default_executor/used-for-none-executor", "loop.run_in_executor/none-uses-default-executor")
async def test_an_executor_set_as_default_replaces_the_one_in_use(loop: AbstractEventLoop) -> None:
    with NamedPool("first") as first, NamedPool("second") as second:
        names = []
        for pool in first, second, first:
            loop.set_default_executor(pool)
            names.append((await loop.run_in_executor(None, thread_name)).partition("_")[0])
    assert names == ["first", "second", "first"]


@pytest.mark.parametrize(
    "executor",
    [None, object(), ThreadPoolExecutor, InlineExecutor()],
    ids=["None", "object", "class", "other-executor"],
)
@requirement("loop.set_default_executor/rejects-other-executors")
def test_only_a_thread_pool_can_be_the_default_executor(loop: Any, executor: object) -> None:
    with pytest.raises(TypeError):
        loop.set_default_executor(executor)


@requirement("loop.set_default_executor/rejects-other-executors")
async def test_a_refused_default_executor_leaves_the_former_in_use(loop: Any) -> None:
    with NamedPool("former") as pool:
        loop.set_default_executor(pool)
        with pytest.raises(TypeError):
            loop.set_default_executor(InlineExecutor())
        assert (await loop.run_in_executor(None, thread_name)).startswith("former")


async def wait_for_worker(loop: Any, aio: Any, resolving: Coroutine[Any, Any, object]) -> None:
    """Assert that ``resolving`` ends only after the one worker of the default executor has become free."""
    begun, gate = threading.Event(), threading.Event()
    with NamedPool("busy") as busy, NamedPool("free") as free:
        loop.set_default_executor(busy)
        blocking = loop.run_in_executor(None, hold, begun, gate)
        resolution = loop.create_task(resolving)
        try:
            # Time enough for a resolution that does not wait: the same ones, made elsewhere.
            for _ in range(10):
                await loop.run_in_executor(free, socket.getaddrinfo, "127.0.0.1", 80)
                await loop.run_in_executor(free, socket.getnameinfo, ("127.0.0.1", 80), NUMERIC)
                await aio.sleep(0.001)
            early = resolution.done()
        finally:
            gate.set()
        await aio.gather(blocking, resolution)
    assert not early, "resolved although no worker of the default executor was free"


@requirement("loop.getaddrinfo/runs-in-default-executor")
async def test_resolving_a_name_waits_for_a_worker_of_the_default_executor(loop: AbstractEventLoop, aio: Any) -> None:
    await wait_for_worker(loop, aio, loop.getaddrinfo("127.0.0.1", 80))


@requirement("loop.getnameinfo/runs-in-default-executor")
async def test_resolving_an_address_waits_for_a_worker_of_the_default_executor(
    loop: AbstractEventLoop, aio: Any
) -> None:
    await wait_for_worker(loop, aio, loop.getnameinfo(("127.0.0.1", 80), NUMERIC))


@budget(30, reason="starts a Python process in a Python process")
@requirement("loop.run_in_executor/supports-process-pools")
def test_a_process_pool_runs_a_function_in_another_process(run_program: RunProgram) -> None:
    program = """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import os

async def main(loop):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        print(await loop.run_in_executor(pool, os.getpid) != os.getpid())
        print(await loop.run_in_executor(pool, divmod, 7, 2))
        try:
            await loop.run_in_executor(pool, divmod, 7, 0)
        except ZeroDivisionError:
            print("raised")

loop = make_loop()
loop.run_until_complete(main(loop))
loop.close()
"""
    ended = run_program(program)
    assert (ended.stdout.split("\n"), ended.stderr) == (["True", "(3, 1)", "raised", ""], "")


@budget(30, reason="starts a Python process in a Python process")
@requirement("examples/loop-run-in-executor")
def test_a_program_may_use_the_default_executor_threads_and_processes_in_turn(run_program: RunProgram) -> None:
    program = """
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
import pathlib

def blocking():
    return pathlib.Path("/").is_dir()

async def main(loop):
    print("default", await loop.run_in_executor(None, blocking))
    with ThreadPoolExecutor() as pool:
        print("threads", await loop.run_in_executor(pool, blocking))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        print("processes", await loop.run_in_executor(pool, sum, range(1000)))

with aio.Runner(loop_factory=make_loop) as runner:
    loop = runner.get_loop()
    runner.run(main(loop))
"""
    ended = run_program(program)
    assert (ended.stdout.split("\n"), ended.stderr) == (["default True", "threads True", "processes 499500", ""], "")


@requirement("loop.run_in_executor/supports-interpreter-pools")
async def test_an_interpreter_pool_runs_a_function_in_another_interpreter(loop: Any) -> None:
    which = "__import__('concurrent.interpreters').interpreters.get_current().id"
    with interpreter_pool() as pool:
        from concurrent.interpreters import get_main  # type: ignore[import-not-found]

        assert await loop.run_in_executor(pool, divmod, 7, 2) == (3, 1)
        assert await loop.run_in_executor(pool, eval, which) != get_main().id


@requirement("loop.set_default_executor/accepts-interpreter-pool")
async def test_an_interpreter_pool_may_be_the_default_executor(loop: Any) -> None:
    with interpreter_pool(thread_name_prefix="isolated") as pool:
        loop.set_default_executor(pool)
        assert await loop.run_in_executor(None, divmod, 7, 2) == (3, 1)
