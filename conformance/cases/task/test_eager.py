"""Eager tasks: what runs during construction, in which context, as which task, and what comes of it."""

from __future__ import annotations

from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import EAGER, on_loops, requirement
from conformance.support.waiting import run_one_pass

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Coroutine


async def note(order: list[str], name: str, *, before: Any = None) -> str:
    """Append ``name`` to ``order`` and return it, after the future ``before``, if any."""
    if before is not None:
        await before
    order.append(name)
    return name


@requirement("eager_task_factory/accepts-documented-arguments")
async def test_the_factory_takes_its_documented_arguments(loop: AbstractEventLoop, aio: Any) -> None:
    context = Context()
    order: list[str] = []
    task = aio.eager_task_factory(loop, note(order, "ran"), name="given", context=context)
    assert (task.get_name(), task.get_loop(), task.get_context()) == ("given", loop, context)
    assert order == ["ran"]
    assert await task == "ran"


@requirement("eager_task_factory/accepts-documented-arguments")
async def test_the_factory_takes_name_and_context_by_keyword_only(loop: AbstractEventLoop, aio: Any) -> None:
    coroutine = note([], "not run by the factory")
    with pytest.raises(TypeError):
        aio.eager_task_factory(loop, coroutine, "name")
    await coroutine


@requirement("eager_task_factory/accepts-documented-arguments", "Task/is-future-subclass")
async def test_the_factory_makes_a_task(loop: AbstractEventLoop, aio: Any) -> None:
    tasks = [aio.eager_task_factory(loop, note([], "at once")), aio.eager_task_factory(loop, aio.sleep(0))]
    assert [isinstance(task, aio.Task) for task in tasks] == [True, True]
    await aio.wait(tasks)


@on_loops(EAGER)
@requirement("eager_task_factory/starts-coroutine-during-construction")
async def test_the_coroutine_starts_during_create_task(loop: AbstractEventLoop) -> None:
    order: list[str] = []
    task = loop.create_task(note(order, "started"))
    order.append("created")
    assert await task == "started"
    assert order == ["started", "created"]


@on_loops(EAGER)
@requirement("eager_task_factory/starts-coroutine-during-construction")
def test_the_coroutine_starts_during_create_task_called_by_a_callback(loop: AbstractEventLoop) -> None:
    order: list[str] = []
    tasks: list[Task[Any]] = []

    def create() -> None:
        tasks.append(loop.create_task(note(order, "started")))
        order.append("created")

    loop.call_soon(create)
    run_one_pass(loop)
    assert order == ["started", "created"]
    assert tasks[0].done()


@on_loops(EAGER)
@requirement("eager_task_factory/starts-coroutine-during-construction")
async def test_an_eager_task_starts_eager_tasks_of_its_own(loop: AbstractEventLoop) -> None:
    order: list[str] = []

    async def outer() -> None:
        order.append("outer begins")
        await loop.create_task(note(order, "inner"))
        order.append("outer ends")

    await loop.create_task(outer())
    assert order == ["outer begins", "inner", "outer ends"]


@on_loops(EAGER)
@requirement("Task/eager-start-runs-immediately")
def test_nothing_starts_eagerly_while_the_loop_does_not_run(loop: AbstractEventLoop) -> None:
    order: list[str] = []
    task = loop.create_task(note(order, "started"))
    order.append("created")
    assert loop.run_until_complete(task) == "started"
    assert order == ["created", "started"]


@on_loops(EAGER)
@requirement("eager_task_factory/schedules-only-when-blocking")
async def test_a_coroutine_that_blocks_resumes_through_the_loop(loop: AbstractEventLoop) -> None:
    order: list[str] = []
    future = loop.create_future()
    task = loop.create_task(note(order, "resumed", before=future))
    future.set_result(None)
    order.append("future done")
    assert not task.done()
    assert await task == "resumed"
    assert order == ["future done", "resumed"]


@on_loops(EAGER)
@requirement("eager_task_factory/schedules-only-when-blocking")
async def test_awaiting_what_is_done_does_not_block(loop: AbstractEventLoop) -> None:
    done = loop.create_future()
    done.set_result(None)
    task = loop.create_task(note([], "never blocked", before=done))
    assert task.done()
    assert task.result() == "never blocked"


@on_loops(EAGER)
@requirement("eager_task_factory/completes-without-scheduling")
async def test_a_coroutine_that_returns_at_once_gives_a_done_task(loop: AbstractEventLoop) -> None:
    task = loop.create_task(note([], "value"))
    assert (task.done(), task.cancelled()) == (True, False)
    assert task.result() == "value"


@on_loops(EAGER)
@requirement("eager_task_factory/completes-without-scheduling")
async def test_a_coroutine_that_raises_at_once_gives_a_failed_task(loop: AbstractEventLoop) -> None:
    error = ValueError("at once")

    async def fail() -> None:
        raise error

    # The exception belongs to the task; who creates it does not get it.
    task = loop.create_task(fail())
    assert task.done()
    assert task.exception() is error


@on_loops(EAGER)
@requirement("eager_task_factory/completes-without-scheduling")
async def test_a_coroutine_that_gives_up_at_once_gives_a_cancelled_task(loop: AbstractEventLoop, aio: Any) -> None:
    async def give_up() -> None:
        raise aio.CancelledError

    task = loop.create_task(give_up())
    assert (task.done(), task.cancelled()) == (True, True)


@on_loops(EAGER)
@requirement("eager_task_factory/completes-without-scheduling")
async def test_callbacks_of_a_task_that_completed_eagerly_are_still_scheduled(
    loop: AbstractEventLoop, aio: Any
) -> None:
    calls: list[object] = []
    task = loop.create_task(note([], "value"))
    task.add_done_callback(calls.append)
    assert calls == []
    await aio.sleep(0)
    assert calls == [task]


@on_loops(EAGER)
@requirement("eager_task_factory/completes-without-scheduling")
async def test_a_task_that_completed_eagerly_is_in_no_registry(loop: AbstractEventLoop, aio: Any) -> None:
    before = aio.all_tasks()
    task = loop.create_task(note([], "value"))
    assert aio.all_tasks() == before
    assert await task == "value"


@on_loops(EAGER)
@requirement("eager_task_factory/changes-execution-order")
async def test_only_the_code_up_to_the_first_suspension_runs_ahead(loop: AbstractEventLoop, aio: Any) -> None:
    order: list[str] = []

    async def run(name: str) -> None:
        order.append(f"{name} begins")
        await aio.sleep(0)
        order.append(f"{name} ends")

    tasks = [loop.create_task(run("a")), loop.create_task(run("b"))]
    order.append("created")
    await aio.wait(tasks)
    assert order[:3] == ["a begins", "b begins", "created"]
    assert sorted(order[3:]) == ["a ends", "b ends"]


@on_loops(EAGER)
@requirement("eager_task_factory/starts-coroutine-during-construction")
async def test_the_current_task_during_an_eager_start_is_the_new_one(loop: AbstractEventLoop, aio: Any) -> None:
    inside: list[object] = []

    async def look() -> None:
        inside.append(aio.current_task())
        await aio.sleep(0)
        inside.append(aio.current_task())

    creator = aio.current_task()
    task = loop.create_task(look())
    assert aio.current_task() is creator
    await task
    assert inside == [task, task]
    assert aio.current_task() is creator


@on_loops(EAGER)
@requirement("eager_task_factory/starts-coroutine-during-construction")
async def test_the_creator_is_current_again_after_an_eager_failure(loop: AbstractEventLoop, aio: Any) -> None:
    async def fail() -> None:
        raise ValueError

    creator = aio.current_task()
    task = loop.create_task(fail())
    assert aio.current_task() is creator
    assert isinstance(task.exception(), ValueError)


@on_loops(EAGER)
@requirement("eager_task_factory/starts-coroutine-during-construction")
async def test_a_task_is_among_all_tasks_during_its_eager_start(loop: AbstractEventLoop, aio: Any) -> None:
    found: list[bool] = []

    async def look() -> None:
        found.append(aio.current_task() in aio.all_tasks())
        await aio.sleep(0)
        found.append(aio.current_task() in aio.all_tasks())

    await loop.create_task(look())
    assert found == [True, True]


@on_loops(EAGER)
@requirement("eager_task_factory/starts-coroutine-during-construction", "Task/runs-in-context-copy")
async def test_an_eager_start_runs_in_a_copy_of_the_creator_s_context(loop: AbstractEventLoop, aio: Any) -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("of the creator")
    seen: list[str] = []

    async def change() -> None:
        seen.append(variable.get())
        variable.set("of the task")
        await aio.sleep(0)
        seen.append(variable.get())

    task = loop.create_task(change())
    assert variable.get() == "of the creator"
    await task
    assert seen == ["of the creator", "of the task"]
    assert variable.get() == "of the creator"


@on_loops(EAGER)
@requirement("eager_task_factory/starts-coroutine-during-construction", "Task/accepts-context-keyword")
async def test_an_eager_start_runs_in_the_context_given(loop: AbstractEventLoop) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    context = Context()

    async def change() -> None:
        variable.set("set by the task")

    await loop.create_task(change(), context=context)
    assert context[variable] == "set by the task"
    assert variable.get() == "unset"


@on_loops(EAGER)
@requirement("eager_task_factory/schedules-only-when-blocking")
async def test_an_eagerly_started_task_can_be_cancelled_where_it_blocks(loop: AbstractEventLoop, aio: Any) -> None:
    order: list[str] = []
    future = loop.create_future()
    task = loop.create_task(note(order, "not reached", before=future))
    assert task.cancel() is True
    await aio.wait([task])
    assert (task.cancelled(), future.cancelled(), order) == (True, True, [])


@requirement("Task/eager-start-runs-immediately")
async def test_the_constructor_starts_the_coroutine_at_once_when_asked(loop: AbstractEventLoop, aio: Any) -> None:
    order: list[str] = []
    task = aio.Task(note(order, "started"), loop=loop, eager_start=True)
    order.append("constructed")
    assert task.done()
    assert await task == "started"
    assert order == ["started", "constructed"]


@pytest.mark.parametrize("keywords", [{}, {"eager_start": False}], ids=["default", "False"])
@on_loops(EAGER)
@requirement("Task/eager-start-runs-immediately")
async def test_the_constructor_starts_the_coroutine_later_unless_asked(
    loop: AbstractEventLoop, aio: Any, keywords: dict[str, bool]
) -> None:
    order: list[str] = []
    task = aio.Task(note(order, "started"), loop=loop, **keywords)
    order.append("constructed")
    await task
    assert order == ["constructed", "started"]


@requirement("Task/eager-start-runs-immediately")
def test_the_constructor_starts_nothing_while_the_loop_does_not_run(loop: AbstractEventLoop, aio: Any) -> None:
    order: list[str] = []
    task = aio.Task(note(order, "started"), loop=loop, eager_start=True)
    order.append("constructed")
    assert loop.run_until_complete(task) == "started"
    assert order == ["constructed", "started"]


@requirement("Task/eager-start-runs-immediately")
async def test_the_constructor_runs_an_eager_task_up_to_its_first_suspension(loop: AbstractEventLoop, aio: Any) -> None:
    order: list[str] = []

    async def run() -> None:
        order.append("begins")
        await aio.sleep(0)
        order.append("ends")

    task = aio.Task(run(), loop=loop, eager_start=True)
    order.append("constructed")
    assert not task.done()
    await task
    assert order == ["begins", "constructed", "ends"]


@requirement("create_eager_task_factory/returns-factory-using-constructor")
async def test_a_factory_of_one_s_own_builds_tasks_with_the_constructor_given(
    loop: AbstractEventLoop, aio: Any
) -> None:
    class Own(aio.Task):  # type: ignore[misc]
        pass

    factory = aio.create_eager_task_factory(Own)
    order: list[str] = []
    task = factory(loop, note(order, "started"))
    order.append("created")
    assert type(task) is Own
    assert await task == "started"
    assert order == ["started", "created"]


@requirement("create_eager_task_factory/passes-task-init-arguments")
async def test_the_constructor_gets_the_arguments_of_task(loop: AbstractEventLoop, aio: Any) -> None:
    calls: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def construct(*arguments: Any, **keywords: Any) -> Any:
        calls.append((arguments, keywords))
        return aio.Task(*arguments, **keywords)

    context, coroutine = Context(), note([], "ran")
    task = aio.create_eager_task_factory(construct)(loop, coroutine, name="given", context=context)
    assert await task == "ran"
    expected = {"loop": loop, "name": "given", "context": context, "eager_start": True}
    assert calls == [((coroutine,), expected)]


@requirement("create_eager_task_factory/passes-task-init-arguments")
async def test_the_factory_returns_what_the_constructor_made(loop: AbstractEventLoop, aio: Any) -> None:
    made = loop.create_task(aio.sleep(0))

    def construct(coroutine: Coroutine[Any, Any, Any], **_: Any) -> Any:
        coroutine.close()
        return made

    assert aio.create_eager_task_factory(construct)(loop, aio.sleep(0)) is made
    await made


@requirement("create_eager_task_factory/result-fits-set-task-factory")
async def test_the_factory_serves_create_task_once_it_is_set(loop: AbstractEventLoop, aio: Any) -> None:
    class Own(aio.Task):  # type: ignore[misc]
        pass

    factory = aio.create_eager_task_factory(Own)
    loop.set_task_factory(factory)
    order: list[str] = []
    tasks = [loop.create_task(note(order, "first")), aio.create_task(note(order, "second"), name="second")]
    order.append("created")
    assert loop.get_task_factory() is factory
    assert [type(task) for task in tasks] == [Own, Own]
    assert (order, tasks[1].get_name()) == (["first", "second", "created"], "second")
