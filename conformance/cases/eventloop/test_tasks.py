"""Tasks of a loop: ``loop.create_task()``, task factories, and coroutines given to ``loop.run_until_complete()``."""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task


async def give(value: object = None) -> object:
    return value


class Factory:
    """A task factory that records how it was called."""

    def __init__(self, aio: Any) -> None:
        self.aio = aio
        self.made: list[Task[Any]] = []
        self.calls: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        self.calls.append((arguments, keywords))
        loop, coroutine = arguments
        known = {key: value for key, value in keywords.items() if key in ("name", "context", "eager_start")}
        self.made.append(self.aio.Task(coroutine, loop=loop, **known))
        return self.made[-1]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.run_until_complete/wraps-coroutine-in-task")
def test_run_until_complete_runs_a_coroutine_as_a_task_of_the_loop(loop: AbstractEventLoop, aio: Any) -> None:
    async def look() -> object:
        await aio.sleep(0)
        return aio.current_task()

    task = loop.run_until_complete(look())
    assert isinstance(task, aio.Task)
    assert task.get_loop() is loop
    assert task.done()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_task/returns-scheduled-task")
def test_create_task_schedules_the_coroutine_and_returns_its_task(loop: AbstractEventLoop, aio: Any) -> None:
    ran: list[object] = []

    async def run() -> str:
        ran.append(aio.current_task())
        loop.stop()
        return "value"

    task = loop.create_task(run())
    assert task.get_loop() is loop
    loop.run_forever()
    assert ran == [task]
    assert loop.run_until_complete(task) == "value"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_task/allows-task-subclass")
async def test_what_create_task_returns_is_a_task_of_the_namespace(loop: AbstractEventLoop, aio: Any) -> None:
    task = loop.create_task(give())
    assert isinstance(task, aio.Task)
    await task


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_task/starts-after-return")
async def test_the_coroutine_starts_after_create_task_returned_to_a_task(loop: AbstractEventLoop) -> None:
    order: list[str] = []

    async def run() -> None:
        order.append("started")

    task = loop.create_task(run())
    order.append("created")
    await task
    assert order == ["created", "started"]


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_task/starts-after-return")
def test_the_coroutine_starts_after_create_task_returned_to_a_callback(loop: AbstractEventLoop) -> None:
    order: list[str] = []

    async def run() -> None:
        order.append("started")
        loop.stop()

    def create() -> None:
        tasks.append(loop.create_task(run()))
        order.append("created")

    tasks: list[object] = []
    loop.call_soon(create)
    loop.run_forever()
    assert order == ["created", "started"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_task/starts-after-return")
def test_the_coroutine_does_not_start_while_the_loop_does_not_run(loop: AbstractEventLoop) -> None:
    started: list[str] = []

    async def run() -> None:
        started.append("started")

    task = loop.create_task(run())
    assert started == []
    loop.run_until_complete(task)
    assert started == ["started"]


@pytest.mark.parametrize(("given", "name"), [("given", "given"), ("", ""), (7, "7")], ids=["text", "empty", "number"])
@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_task/accepts-name-keyword")
async def test_create_task_names_the_task_as_set_name_does(loop: AbstractEventLoop, given: Any, name: str) -> None:
    task = loop.create_task(give(), name=given)
    assert task.get_name() == name
    await task


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_task/accepts-name-keyword")
async def test_a_name_of_none_leaves_the_task_its_generated_name(loop: AbstractEventLoop) -> None:
    tasks = [loop.create_task(give()), loop.create_task(give(), name=None)]
    assert [task.get_name() in ("", "None") for task in tasks] == [False, False]
    for task in tasks:
        await task


@requirement("loop.create_task/accepts-name-keyword")
def test_a_task_that_a_factory_made_gets_the_name(loop: AbstractEventLoop, aio: Any) -> None:
    loop.set_task_factory(Factory(aio))
    task = loop.create_task(give(), name="given")
    assert task.get_name() == "given"
    loop.run_until_complete(task)


@requirement("loop.create_task/accepts-name-keyword")
def test_a_task_that_its_factory_named_keeps_that_name_when_none_is_given(loop: AbstractEventLoop, aio: Any) -> None:
    def factory(loop: AbstractEventLoop, coroutine: Any, **_: Any) -> Any:
        return aio.Task(coroutine, loop=loop, name="by the factory")

    loop.set_task_factory(factory)
    task = loop.create_task(give())
    assert task.get_name() == "by the factory"
    loop.run_until_complete(task)


@requirement("loop.create_task/accepts-name-keyword")
def test_create_task_takes_nothing_but_the_coroutine_by_position(loop: AbstractEventLoop) -> None:
    coroutine = give()
    with pytest.raises(TypeError):
        loop.create_task(coroutine, "name")  # type: ignore[call-arg]
    assert loop.run_until_complete(coroutine) is None


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_task/accepts-context-keyword")
async def test_the_coroutine_runs_in_the_very_context_given(loop: AbstractEventLoop, aio: Any) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    context, seen = Context(), []
    context.run(variable.set, "given")

    async def change() -> None:
        seen.append(variable.get())
        await aio.sleep(0)
        variable.set("set by the task")

    await loop.create_task(change(), context=context)
    assert seen == ["given"]
    assert context[variable] == "set by the task"
    assert variable.get() == "unset"


@requirement("loop.create_task/accepts-context-keyword")
def test_a_context_reaches_the_task_that_a_factory_makes(loop: AbstractEventLoop, aio: Any) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    context = Context()
    context.run(variable.set, "given")

    async def read() -> str:
        return variable.get()

    loop.set_task_factory(Factory(aio))
    assert loop.run_until_complete(loop.create_task(read(), context=context)) == "given"


@pytest.mark.parametrize("keywords", [{}, {"context": None}], ids=["no context", "None"])
@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_task/default-context-is-copy")
async def test_without_a_context_the_coroutine_runs_in_a_copy_made_at_creation(
    loop: AbstractEventLoop, aio: Any, keywords: dict[str, None]
) -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("at creation")

    async def change() -> str:
        await aio.sleep(0)
        before = variable.get()
        variable.set("by the task")
        return before

    task = loop.create_task(change(), **keywords)
    variable.set("after creation")
    assert await task == "at creation"
    assert variable.get() == "after creation"


@requirement("loop.create_task/default-context-is-copy")
def test_a_task_made_while_the_loop_does_not_run_copies_the_context_of_its_maker(loop: AbstractEventLoop) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    making = copy_context()
    making.run(variable.set, "of the maker")

    async def read() -> str:
        return variable.get()

    task = making.run(loop.create_task, read())
    assert loop.run_until_complete(task) == "of the maker"


@pytest.mark.parametrize("eager", [True, False])
@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_task/accepts-eager-start-keyword")
async def test_eager_start_chooses_whether_the_coroutine_starts_during_the_call(
    loop: AbstractEventLoop, eager: bool
) -> None:
    order: list[str] = []

    async def run() -> None:
        order.append("started")

    task = create_task(loop, run(), eager_start=eager)
    order.append("created")
    await task
    assert order == (["started", "created"] if eager else ["created", "started"])


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_task/accepts-eager-start-keyword")
async def test_without_eager_start_the_factory_chooses(loop: AbstractEventLoop) -> None:
    order: list[str] = []

    async def run() -> None:
        order.append("started")

    task = loop.create_task(run())
    order.append("created")
    await task
    eager = loop.get_task_factory() is not None
    assert order == (["started", "created"] if eager else ["created", "started"])


@requirement("loop.create_task/accepts-eager-start-keyword")
def test_eager_start_starts_nothing_while_the_loop_does_not_run(loop: AbstractEventLoop) -> None:
    started: list[str] = []

    async def run() -> None:
        started.append("started")

    task = create_task(loop, run(), eager_start=True)
    assert started == []
    loop.run_until_complete(task)
    assert started == ["started"]


@requirement("loop.create_task/forwards-extra-keywords", "loop.set_task_factory/passes-extra-keywords")
def test_extra_keywords_reach_the_factory(loop: AbstractEventLoop, aio: Any) -> None:
    factory, coroutine = Factory(aio), give()
    loop.set_task_factory(factory)
    task = create_task(loop, coroutine, extra="forwarded", another=1)
    arguments, keywords = factory.calls[0]
    assert arguments == (loop, coroutine)
    assert (keywords["extra"], keywords["another"]) == ("forwarded", 1)
    loop.run_until_complete(task)


@requirement("loop.create_task/forwards-extra-keywords")
async def test_without_a_factory_extra_keywords_reach_the_constructor(loop: AbstractEventLoop) -> None:
    # The constructor has had eager_start since 3.12, before create_task() itself knew of it.
    task = create_task(loop, give("value"), eager_start=True)
    assert task.done()
    assert task.result() == "value"


@requirement("loop.create_task/forwards-extra-keywords")
def test_without_a_factory_the_constructor_refuses_unknown_keywords(loop: AbstractEventLoop) -> None:
    coroutine = give()
    with pytest.raises(TypeError):
        create_task(loop, coroutine, extra="forwarded")
    assert loop.run_until_complete(coroutine) is None


@requirement("loop.create_task/withholds-name-and-none-context")
def test_the_factory_gets_neither_name_nor_a_context_of_none(loop: AbstractEventLoop, aio: Any) -> None:
    factory, context = Factory(aio), Context()
    loop.set_task_factory(factory)
    tasks = [
        loop.create_task(give(), name="given"),
        loop.create_task(give(), context=None),
        loop.create_task(give(), name="given", context=context),
    ]
    assert [keywords for _, keywords in factory.calls] == [{}, {}, {"context": context}]
    assert tasks[0].get_name() == "given"
    for task in tasks:
        loop.run_until_complete(task)


@requirement("loop.create_task/forwards-every-keyword", "loop.set_task_factory/passes-name-and-context-always")
def test_every_keyword_given_reaches_the_factory(loop: AbstractEventLoop, aio: Any) -> None:
    factory, context = Factory(aio), Context()
    loop.set_task_factory(factory)
    task = create_task(loop, give(), name="given", context=context, eager_start=False, extra="forwarded")
    expected = {"name": "given", "context": context, "eager_start": False, "extra": "forwarded"}
    assert [keywords for _, keywords in factory.calls] == [expected]
    loop.run_until_complete(task)


@requirement("loop.create_task/forwards-every-keyword")
async def test_without_a_factory_every_keyword_reaches_the_constructor(loop: AbstractEventLoop) -> None:
    context = Context()
    task = create_task(loop, give("value"), name="given", context=context, eager_start=True)
    assert (task.get_name(), task.get_context(), task.done()) == ("given", context, True)


@on_loops(PLAIN, DEBUG)
@requirement("loop.set_task_factory/factory-makes-later-tasks", "loop.set_task_factory/returns-what-factory-returned")
def test_later_tasks_come_from_the_factory(loop: AbstractEventLoop, aio: Any) -> None:
    factory = Factory(aio)
    earlier = loop.create_task(give("earlier"))
    loop.set_task_factory(factory)
    later = [loop.create_task(give(n)) for n in range(3)]
    assert [task is made for task, made in zip(later, factory.made, strict=True)] == [True] * 3
    assert [loop.run_until_complete(task) for task in (earlier, *later)] == ["earlier", 0, 1, 2]


@requirement("loop.set_task_factory/factory-makes-later-tasks")
def test_a_factory_serves_its_own_loop_alone(loop: AbstractEventLoop, aio: Any, target: Any) -> None:
    factory, other = Factory(aio), target.make_loop()
    try:
        loop.set_task_factory(factory)
        other.run_until_complete(other.create_task(give()))
        assert factory.made == []
        assert other.get_task_factory() is None
    finally:
        other.close()


@requirement("loop.set_task_factory/factory-makes-later-tasks")
def test_setting_another_factory_replaces_the_first(loop: AbstractEventLoop, aio: Any) -> None:
    first, second = Factory(aio), Factory(aio)
    loop.set_task_factory(first)
    loop.set_task_factory(second)
    task = loop.create_task(give())
    assert (first.made, second.made) == ([], [task])
    loop.run_until_complete(task)


@requirement("loop.set_task_factory/accepts-none-for-default", "loop.get_task_factory/returns-none-for-default")
def test_none_restores_the_default_factory(loop: AbstractEventLoop, aio: Any) -> None:
    factory = Factory(aio)
    loop.set_task_factory(factory)
    loop.set_task_factory(None)
    assert loop.get_task_factory() is None
    task = loop.create_task(give("value"))
    assert loop.run_until_complete(task) == "value"
    assert isinstance(task, aio.Task)
    assert factory.made == []


@requirement("loop.set_task_factory/calls-factory-with-coroutine")
def test_the_factory_is_called_with_the_loop_and_the_coroutine(loop: AbstractEventLoop, aio: Any) -> None:
    factory, coroutine = Factory(aio), give()
    loop.set_task_factory(factory)
    task = loop.create_task(coroutine)
    assert factory.calls == [((loop, coroutine), {})]
    loop.run_until_complete(task)


@requirement("loop.set_task_factory/passes-given-context")
def test_the_factory_gets_the_context_that_was_given(loop: AbstractEventLoop, aio: Any) -> None:
    factory, context, coroutine = Factory(aio), Context(), give()
    loop.set_task_factory(factory)
    task = loop.create_task(coroutine, context=context)
    assert factory.calls == [((loop, coroutine), {"context": context})]
    loop.run_until_complete(task)


@requirement("loop.set_task_factory/returns-what-factory-returned")
def test_create_task_returns_a_compatible_object_that_is_no_task(loop: AbstractEventLoop, aio: Any) -> None:
    class Compatible:
        """Behaves like the task it holds without being one."""

        def __init__(self, task: Any) -> None:
            self.task = task

        def __getattr__(self, name: str) -> Any:
            return getattr(self.task, name)

    made: list[Any] = []

    def factory(loop: AbstractEventLoop, coroutine: Any, **keywords: Any) -> Any:
        made.append(Compatible(aio.Task(coroutine, loop=loop, **keywords)))
        return made[-1]

    loop.set_task_factory(factory)
    returned = create_task(loop, give("value"))
    loop.set_task_factory(None)
    assert returned is made[0]
    assert loop.run_until_complete(returned.task) == "value"


@requirement("loop.get_task_factory/returns-set-factory")
def test_get_task_factory_returns_the_very_factory_set(loop: AbstractEventLoop, aio: Any) -> None:
    factories = [Factory(aio), Factory(aio)]
    seen = []
    for factory in factories:
        loop.set_task_factory(factory)
        seen.append(loop.get_task_factory())
    assert [got is factory for got, factory in zip(seen, factories, strict=True)] == [True, True]


@requirement("loop.get_task_factory/returns-none-for-default")
def test_a_fresh_loop_has_no_factory_of_its_own(loop: AbstractEventLoop) -> None:
    assert loop.get_task_factory() is None


def create_task(loop: Any, coroutine: Any, **keywords: Any) -> Any:
    """``loop.create_task()`` with keywords that the type stubs of the oldest interpreter do not know."""
    return loop.create_task(coroutine, **keywords)
