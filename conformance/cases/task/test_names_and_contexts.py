"""A task's name, its coroutine, and the context that each of its steps runs in."""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import EAGER, on_loops, requirement
from conformance.support.tasks import EVERY_TASK

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable

    NewTask = Callable[..., Task[Any]]


class Named:
    """Something that is not a string and has one."""

    def __str__(self) -> str:
        return "what str() gives"


@EVERY_TASK
@requirement("Task.get_name/returns-given-or-default-name")
async def test_get_name_returns_the_name_given(aio: Any, new_task: NewTask) -> None:
    task = new_task(aio.sleep(0), name="given")
    assert task.get_name() == "given"
    await task
    assert task.get_name() == "given"


@EVERY_TASK
@requirement("Task.get_name/returns-given-or-default-name")
async def test_a_task_never_named_has_some_name(aio: Any, new_task: NewTask) -> None:
    task = new_task(aio.sleep(0))
    assert isinstance(task.get_name(), str)
    assert task.get_name() != ""
    assert task.get_name() == task.get_name()
    await task


@pytest.mark.parametrize(
    ("value", "name"),
    [("new", "new"), (7, "7"), (None, "None"), ("", ""), (Named(), "what str() gives")],
    ids=["string", "number", "None", "empty", "object"],
)
@EVERY_TASK
@requirement("Task.set_name/converts-value-to-string")
async def test_set_name_takes_any_object_and_names_the_task_by_its_string(
    aio: Any, new_task: NewTask, value: Any, name: str
) -> None:
    task = new_task(aio.sleep(0), name="before")
    task.set_name(value)
    assert (type(task.get_name()), task.get_name()) == (str, name)
    await task


@EVERY_TASK
@requirement("Task.set_name/shows-in-repr")
async def test_the_name_set_shows_in_the_repr(aio: Any, new_task: NewTask) -> None:
    task = new_task(aio.sleep(0))
    task.set_name("easily-recognised")
    assert "easily-recognised" in repr(task)
    await task
    assert "easily-recognised" in repr(task)


@EVERY_TASK
@requirement("Task.set_name/converts-value-to-string")
async def test_a_task_can_be_renamed_while_it_runs_and_afterwards(aio: Any, new_task: NewTask) -> None:
    names = []

    async def rename() -> None:
        await aio.sleep(0)
        aio.current_task().set_name("by itself")

    task = new_task(rename())
    await task
    names.append(task.get_name())
    task.set_name("afterwards")
    names.append(task.get_name())
    assert names == ["by itself", "afterwards"]


@EVERY_TASK
@requirement("Task.get_coro/returns-wrapped-coroutine")
async def test_get_coro_returns_the_very_coroutine_of_the_task(aio: Any, new_task: NewTask) -> None:
    coroutine = aio.sleep(0.001)
    task = new_task(coroutine)
    assert task.get_coro() is coroutine
    await task


@on_loops(EAGER)
@requirement("Task.get_coro/returns-none-after-eager-completion")
async def test_get_coro_returns_none_after_an_eager_completion(loop: AbstractEventLoop) -> None:
    async def finish() -> None:
        pass

    async def fail() -> None:
        raise ValueError

    tasks = [loop.create_task(finish()), loop.create_task(fail())]
    assert [task.done() for task in tasks] == [True, True]
    assert [task.get_coro() for task in tasks] == [None, None]
    assert isinstance(tasks[1].exception(), ValueError)


@EVERY_TASK
@requirement("Task.get_context/returns-task-context")
async def test_get_context_returns_the_very_context_given(aio: Any, new_task: NewTask) -> None:
    context = Context()
    task = new_task(aio.sleep(0.001), context=context)
    assert context_of(task) is context
    await task


@EVERY_TASK
@requirement("Task.get_context/returns-task-context")
async def test_get_context_returns_the_context_the_coroutine_changes(aio: Any, new_task: NewTask) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    async def change() -> None:
        variable.set("set by the task")
        await aio.sleep(0.001)

    task = new_task(change())
    await task
    assert context_of(task)[variable] == "set by the task"
    assert variable.get() == "unset"


@EVERY_TASK
@requirement("Task/runs-in-context-copy")
async def test_the_context_is_copied_when_the_task_is_created_not_when_it_starts(aio: Any, new_task: NewTask) -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("at creation")

    async def read() -> str:
        await aio.sleep(0)
        return variable.get()

    task = new_task(read())
    variable.set("after creation")
    assert await task == "at creation"


@EVERY_TASK
@requirement("Task/runs-in-context-copy")
async def test_what_a_task_sets_stays_in_its_own_copy(aio: Any, new_task: NewTask) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    async def change(value: str) -> tuple[str, str]:
        before = variable.get()
        variable.set(value)
        await aio.sleep(0)
        return before, variable.get()

    tasks = [new_task(change(value)) for value in ("first", "second")]
    assert [await task for task in tasks] == [("unset", "first"), ("unset", "second")]
    assert variable.get() == "unset"


@EVERY_TASK
@requirement("Task/runs-in-context-copy")
def test_a_task_made_inside_another_context_copies_that_one(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="of the case")
    elsewhere = copy_context()
    elsewhere.run(variable.set, "elsewhere")

    async def read() -> str:
        await aio.sleep(0)
        return variable.get()

    task = elsewhere.run(new_task, read())
    assert loop.run_until_complete(task) == "elsewhere"


@EVERY_TASK
@requirement("Task/accepts-context-keyword")
async def test_every_step_runs_in_the_context_given_itself(aio: Any, new_task: NewTask) -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)
    context = Context()

    async def count() -> None:
        for _ in range(3):
            variable.set(variable.get() + 1)
            await aio.sleep(0)

    await new_task(count(), context=context)
    assert context[variable] == 3
    assert variable.get() == 0


@EVERY_TASK
@requirement("Task/accepts-context-keyword")
async def test_two_tasks_can_share_one_context(aio: Any, new_task: NewTask) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="")
    context = Context()

    async def add(name: str) -> None:
        for _ in range(2):
            await aio.sleep(0)
            variable.set(variable.get() + name)

    await aio.wait([new_task(add(name), context=context) for name in ("a", "b")])
    written = context[variable]
    assert sorted(written) == ["a", "a", "b", "b"]


@EVERY_TASK
@requirement("Task/accepts-context-keyword")
async def test_the_step_that_a_cancellation_starts_runs_in_the_task_s_context(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="of who cancels")
    context, seen = Context(), []
    context.run(variable.set, "of the task")

    async def wait() -> None:
        try:
            await loop.create_future()
        finally:
            seen.append(variable.get())

    task = new_task(wait(), context=context)
    await aio.sleep(0)
    task.cancel()
    await aio.wait([task])
    assert seen == ["of the task"]


def context_of(task: Any) -> Context:
    """``task.get_context()``, which the type stubs of the oldest interpreter do not know."""
    context: Context = task.get_context()
    return context
