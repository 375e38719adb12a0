"""Starting tasks: ``asyncio.create_task()``, the ``Task`` constructor, and how tasks share the loop."""

from __future__ import annotations

import gc
import threading
import warnings
import weakref
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.tasks import EVERY_TASK
from conformance.support.waiting import GENEROUS, run_one_pass

if TYPE_CHECKING:
    import logging
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable

    NewTask = Callable[..., Task[Any]]


async def give(value: object = None) -> object:
    return value


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("create_task/returns-scheduled-task")
async def test_create_task_returns_a_task_that_runs_by_itself(loop: AbstractEventLoop, aio: Any) -> None:
    ran = loop.create_future()

    async def run() -> str:
        ran.set_result(aio.current_task())
        return "value"

    task = aio.create_task(run())
    assert isinstance(task, aio.Task)
    assert task.get_loop() is loop
    assert await ran is task
    assert await task == "value"


@on_loops(PLAIN, DEBUG)
@requirement("create_task/returns-scheduled-task")
async def test_create_task_returns_before_the_coroutine_starts(loop: AbstractEventLoop, aio: Any) -> None:
    order: list[str] = []

    async def run() -> None:
        order.append("started")

    task = aio.create_task(run())
    order.append("returned")
    await task
    assert order == ["returned", "started"]
    assert task.get_loop() is loop


@requirement("create_task/raises-without-running-loop")
def test_create_task_needs_a_running_loop(loop: AbstractEventLoop, aio: Any) -> None:
    coroutine = give()
    with pytest.raises(RuntimeError):
        aio.create_task(coroutine)
    # The coroutine was not touched: it can still be run.
    assert loop.run_until_complete(coroutine) is None


@requirement("create_task/raises-without-running-loop")
async def test_create_task_needs_the_loop_to_run_in_its_own_thread(loop: AbstractEventLoop, aio: Any) -> None:
    coroutine, errors = give(), []

    def work() -> None:
        try:
            aio.create_task(coroutine)
        except RuntimeError as error:
            errors.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    coroutine.close()
    assert loop.is_running()
    assert errors == [RuntimeError]


@requirement("create_task/uses-running-loop")
async def test_create_task_goes_through_the_task_factory_of_the_running_loop(loop: AbstractEventLoop, aio: Any) -> None:
    made: list[object] = []

    def factory(loop: AbstractEventLoop, coroutine: Any, **keywords: Any) -> Any:
        made.append(aio.Task(coroutine, loop=loop, **keywords))
        return made[-1]

    loop.set_task_factory(factory)
    task = aio.create_task(give())
    assert made == [task]
    await task


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("create_task/applies-name-keyword", "create_task/accepts-documented-arguments")
async def test_create_task_names_the_task(loop: AbstractEventLoop, aio: Any) -> None:
    tasks = [aio.create_task(give(), name=name) for name in ("given", "", 7)]
    assert [task.get_name() for task in tasks] == ["given", "", "7"]
    for task in tasks:
        await task
    assert loop.is_running()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("create_task/applies-name-keyword")
async def test_a_name_of_none_leaves_the_generated_name(loop: AbstractEventLoop, aio: Any) -> None:
    task = aio.create_task(give(), name=None)
    assert task.get_name() not in ("", "None")
    await task
    assert loop.is_running()


@requirement("create_task/accepts-documented-arguments")
async def test_create_task_takes_nothing_but_the_coroutine_by_position(loop: AbstractEventLoop, aio: Any) -> None:
    coroutine = give()
    with pytest.raises(TypeError):
        aio.create_task(coroutine, "name")
    assert await loop.create_task(coroutine) is None


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("create_task/accepts-context-keyword")
async def test_the_coroutine_runs_in_the_context_given(loop: AbstractEventLoop, aio: Any) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    given = Context()

    async def change() -> str:
        before = variable.get()
        variable.set("set by the task")
        return before

    given.run(variable.set, "given")
    assert await aio.create_task(change(), context=given) == "given"
    assert given[variable] == "set by the task"
    assert variable.get() == "unset"
    assert loop.is_running()


@pytest.mark.parametrize("keywords", [{}, {"context": None}], ids=["no context", "None"])
@on_loops(PLAIN, DEBUG, EAGER)
@requirement("create_task/accepts-context-keyword")
async def test_without_a_context_the_coroutine_runs_in_a_copy_of_the_current_one(
    loop: AbstractEventLoop, aio: Any, keywords: dict[str, None]
) -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("when created")

    async def change() -> str:
        await aio.sleep(0)
        before = variable.get()
        variable.set("set by the task")
        return before

    task = aio.create_task(change(), **keywords)
    variable.set("after creation")
    assert await task == "when created"
    assert variable.get() == "after creation"
    assert loop.is_running()


@pytest.mark.parametrize("eager", [True, False])
@on_loops(PLAIN, DEBUG, EAGER)
@requirement("create_task/accepts-eager-start-keyword")
async def test_eager_start_decides_whether_the_coroutine_starts_during_the_call(
    loop: AbstractEventLoop, aio: Any, eager: bool
) -> None:
    order: list[str] = []

    async def run() -> None:
        order.append("started")

    task = aio.create_task(run(), eager_start=eager)
    order.append("returned")
    await task
    assert order == (["started", "returned"] if eager else ["returned", "started"])
    assert loop.is_running()


@on_loops(PLAIN, EAGER)
@requirement("create_task/accepts-eager-start-keyword")
async def test_without_eager_start_the_task_factory_decides(loop: AbstractEventLoop, aio: Any) -> None:
    order: list[str] = []

    async def run() -> None:
        order.append("started")

    task = aio.create_task(run())
    order.append("returned")
    await task
    factory_is_eager = loop.get_task_factory() is not None
    assert order == (["started", "returned"] if factory_is_eager else ["returned", "started"])


@requirement("create_task/forwards-extra-keywords")
async def test_extra_keywords_reach_the_task_factory(loop: AbstractEventLoop, aio: Any) -> None:
    received: list[object] = []

    def factory(loop: AbstractEventLoop, coroutine: Any, *, extra: object = None, **keywords: Any) -> Any:
        received.append(extra)
        return aio.Task(coroutine, loop=loop, **keywords)

    loop.set_task_factory(factory)
    await aio.create_task(give(), extra="forwarded")
    assert received == ["forwarded"]


@requirement("create_task/forwards-extra-keywords")
async def test_without_a_factory_extra_keywords_reach_the_constructor(loop: AbstractEventLoop, aio: Any) -> None:
    coroutine = give()
    # The constructor knows no such argument, so it refuses; a loop that drops the keyword would not.
    with pytest.raises(TypeError):
        aio.create_task(coroutine, extra="forwarded")
    assert await loop.create_task(coroutine) is None


@requirement("create_task/loop-keeps-weak-reference", "Task/logs-destroyed-pending-task")
def test_a_suspended_task_that_nothing_refers_to_is_collected_and_reported(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    task = weakref.ref(loop.create_task(wait_for_ever(loop)))
    run_one_pass(loop)
    gc.collect()
    assert task() is None
    assert [record.levelname for record in asyncio_log if record.levelname == "ERROR"] == ["ERROR"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Task/logs-destroyed-pending-task")
def test_a_destroyed_pending_task_is_named_in_what_is_reported(
    loop: AbstractEventLoop, reported: list[dict[str, Any]]
) -> None:
    loop.create_task(wait_for_ever(loop), name="forgotten task")
    run_one_pass(loop)
    gc.collect()
    assert ["forgotten task" in repr(context.get("task")) for context in reported] == [True]


@requirement("Task/logs-destroyed-pending-task")
async def test_a_destroyed_finished_task_is_not_reported(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]]
) -> None:
    await loop.create_task(give())
    cancelled = loop.create_task(wait_for_ever(loop))
    cancelled.cancel()
    await aio.wait([cancelled])
    del cancelled
    gc.collect()
    assert reported == []


@requirement("Task/accepts-documented-arguments")
def test_the_constructor_takes_every_documented_argument(loop: AbstractEventLoop, aio: Any) -> None:
    variable: ContextVar[str] = ContextVar("variable")
    context = Context()
    context.run(variable.set, "given")

    async def read() -> str:
        return variable.get()

    task = aio.Task(read(), loop=loop, name="given", context=context)
    assert (task.get_loop(), task.get_name()) == (loop, "given")
    assert loop.run_until_complete(task) == "given"


@requirement("Task/accepts-documented-arguments")
def test_the_constructor_takes_nothing_but_the_coroutine_by_position(loop: AbstractEventLoop, aio: Any) -> None:
    coroutine = give()
    with pytest.raises(TypeError):
        aio.Task(coroutine, loop)
    assert loop.run_until_complete(coroutine) is None


@requirement("Task/accepts-documented-arguments")
async def test_the_constructor_uses_the_running_loop_when_none_is_given(loop: AbstractEventLoop, aio: Any) -> None:
    task = aio.Task(give("value"))
    assert task.get_loop() is loop
    assert await task == "value"


@requirement("Task/deprecates-creation-without-loop")
def test_a_task_needs_a_loop(aio: Any) -> None:
    coroutine, outcomes = give(), []

    def work() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                outcomes.append(aio.Task(coroutine))
            except RuntimeError as error:
                outcomes.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    coroutine.close()
    assert outcomes == [RuntimeError]


@EVERY_TASK
@requirement("Task/schedules-itself-on-creation")
def test_a_task_runs_without_being_awaited(loop: AbstractEventLoop, new_task: NewTask) -> None:
    ran: list[str] = []

    async def run() -> None:
        ran.append("ran")

    task = new_task(run())
    assert ran == []
    run_one_pass(loop)
    assert ran == ["ran"]
    assert task.done()


@EVERY_TASK
@requirement("Task/resumes-with-future-outcome")
async def test_the_coroutine_resumes_with_what_the_future_holds(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    error, seen = ValueError("set"), []

    async def wait(future: Any) -> None:
        try:
            seen.append(await future)
        except (ValueError, aio.CancelledError) as raised:
            seen.append(raised if raised is error else type(raised))

    futures = [loop.create_future() for _ in range(3)]
    tasks = [new_task(wait(future)) for future in futures]
    await aio.sleep(0)
    futures[0].set_result("result")
    futures[1].set_exception(error)
    futures[2].cancel()
    await aio.wait(tasks)
    assert seen == ["result", error, aio.CancelledError]


@EVERY_TASK
@requirement("Task/resumes-with-future-outcome")
async def test_a_coroutine_stays_suspended_until_its_future_is_done(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    order: list[str] = []
    first, second = loop.create_future(), loop.create_future()

    async def wait() -> None:
        await first
        order.append("first over")
        await second
        order.append("second over")

    task = new_task(wait())
    for future, name in ((first, "first done"), (second, "second done")):
        for _ in range(3):
            await aio.sleep(0)
        order.append(name)
        future.set_result(None)
    await task
    assert order == ["first done", "first over", "second done", "second over"]


@EVERY_TASK
@requirement("Task/one-task-at-a-time")
async def test_tasks_alternate_only_where_they_suspend(aio: Any, new_task: NewTask) -> None:
    order: list[str] = []

    async def run(name: str) -> None:
        for _ in range(3):
            order.append(name)
            # Awaiting a coroutine that does not suspend lets nobody else run.
            await give()
            order.append(name)
            await aio.sleep(0)

    tasks = [new_task(run("a")), new_task(run("b"))]
    await aio.wait(tasks)
    pairs = [order[n] + order[n + 1] for n in range(0, len(order), 2)]
    assert sorted(pairs) == ["aa"] * 3 + ["bb"] * 3


@EVERY_TASK
@requirement("Task/one-task-at-a-time")
async def test_two_tasks_are_never_inside_their_code_at_once(aio: Any, new_task: NewTask) -> None:
    inside: list[int] = []
    running = 0

    async def run() -> None:
        nonlocal running
        for _ in range(5):
            running += 1
            inside.append(running)
            running -= 1
            await aio.sleep(0)

    await aio.wait([new_task(run()) for _ in range(5)])
    assert set(inside) == {1}


@requirement("Task/loops-in-threads-run-independently")
def test_tasks_of_loops_in_two_threads_run_at_the_same_time(target: Any) -> None:
    barrier, met = threading.Barrier(2), []

    async def meet() -> None:
        # Blocks its own loop, and passes only when the other thread's task stands here too.
        barrier.wait(GENEROUS)
        met.append(threading.get_ident())

    def work() -> None:
        loop = target.make_loop()
        try:
            loop.run_until_complete(loop.create_task(meet()))
        except threading.BrokenBarrierError:
            pass
        finally:
            loop.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(met)) == 2


async def wait_for_ever(loop: AbstractEventLoop) -> None:
    """Wait for a future that nothing else knows."""
    await loop.create_future()
