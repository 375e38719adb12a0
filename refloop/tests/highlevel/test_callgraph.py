"""The call graph: stacks, awaiters, text."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest

from refloop.tests.highlevel.steps import settle

requirement = pytest.mark.requirement

pytestmark = [
    pytest.mark.since((3, 14)),
    pytest.mark.own_tasks("asyncio records awaiters in tasks of its own make only"),
]


def names(graph: Any) -> list[str]:
    return [entry.frame.f_code.co_name for entry in graph.call_stack]


def awaiters(graph: Any) -> list[Any]:
    return [one.future for one in graph.awaited_by]


@requirement("FutureCallGraph/has-documented-fields", "FrameCallGraphEntry/has-frame-field")
@requirement("capture_call_graph/sees-loop-created-tasks", "capture_call_graph/returns-graph-or-none")
async def test_a_suspended_task_shows_its_stack_innermost_first(aio: Any, loop: Any) -> None:
    gate = loop.create_future()

    async def inner() -> None:
        await gate

    async def outer() -> None:
        await inner()

    task = loop.create_task(outer())
    await settle()
    graph = aio.capture_call_graph(task)
    assert isinstance(graph, aio.FutureCallGraph)
    assert graph.future is task
    assert isinstance(graph.call_stack, tuple)
    assert names(graph) == ["inner", "outer"]
    assert graph.awaited_by == ()
    assert isinstance(graph.call_stack[0], aio.FrameCallGraphEntry)
    gate.set_result(None)
    await task


@requirement("capture_call_graph/accepts-documented-arguments", "capture_call_graph/depth-and-limit-apply")
async def test_the_current_task_shows_the_stack_of_the_call(aio: Any, loop: Any) -> None:
    def innermost(depth: int) -> Any:
        return aio.capture_call_graph(depth=depth)

    async def middle(depth: int) -> Any:
        return innermost(depth)

    async def outer(depth: int = 1) -> Any:
        return await middle(depth)

    task = loop.create_task(outer())
    graph = await task
    assert graph.future is task
    assert names(graph) == ["innermost", "middle", "outer"]
    assert names(await loop.create_task(outer(2))) == ["middle", "outer"]


@requirement("capture_call_graph/depth-and-limit-apply", "print_call_graph/limit-truncates-stacks")
@requirement("print_call_graph/zero-limit-omits-stack")
async def test_a_limit_keeps_one_end_of_the_stacks(aio: Any, loop: Any) -> None:
    gate = loop.create_future()

    async def a() -> None:
        await gate

    async def b() -> None:
        await a()

    async def c() -> None:
        await b()

    task = loop.create_task(c())
    await settle()
    for limit, expected in ((2, ["b", "c"]), (-2, ["a", "b"]), (0, []), (9, ["a", "b", "c"]), (None, ["a", "b", "c"])):
        assert names(aio.capture_call_graph(task, limit=limit)) == expected
    assert "Call stack" not in aio.format_call_graph(task, limit=0)
    gate.set_result(None)
    await task


@requirement("print_call_graph/shows-grouping-awaiters")
@pytest.mark.parametrize("how", ["await", "gather", "shield", "TaskGroup"])
async def test_the_task_that_awaits_through_something_is_shown(aio: Any, loop: Any, how: str) -> None:
    gate = loop.create_future()

    async def work() -> None:
        await gate

    async def wait() -> None:
        if how == "TaskGroup":
            async with aio.TaskGroup() as group:
                tasks.append(group.create_task(work()))
            return
        tasks.append(aio.create_task(work()))
        if how == "await":
            await tasks[0]
        elif how == "gather":
            await aio.gather(tasks[0], aio.sleep(0))
        else:
            await aio.shield(tasks[0])

    tasks: list[Any] = []
    waiter = loop.create_task(wait())
    await settle()
    graph = aio.capture_call_graph(tasks[0])
    assert awaiters(graph) == [waiter]
    assert names(graph.awaited_by[0])[-1] == "wait"
    assert waiter.get_name() in aio.format_call_graph(tasks[0])
    gate.set_result(None)
    await waiter


@requirement("future_add_to_awaited_by/records-waiter", "future_discard_from_awaited_by/removes-waiter")
@requirement("future_add_to_awaited_by/accepts-positional-only-arguments")
async def test_a_waiter_can_be_recorded_and_taken_back(aio: Any, loop: Any) -> None:
    future, waiter = loop.create_future(), loop.create_future()
    aio.future_add_to_awaited_by(future, waiter)
    assert awaiters(aio.capture_call_graph(future)) == [waiter]
    aio.future_discard_from_awaited_by(future, waiter)
    assert awaiters(aio.capture_call_graph(future)) == []
    with pytest.raises(TypeError):
        aio.future_add_to_awaited_by(future=future, waiter=waiter)


@requirement(
    "future_add_to_awaited_by/ignores-foreign-objects", "future_discard_from_awaited_by/ignores-foreign-objects"
)
async def test_objects_that_are_no_futures_are_ignored(aio: Any, loop: Any) -> None:
    future = loop.create_future()
    for function in (aio.future_add_to_awaited_by, aio.future_discard_from_awaited_by):
        assert function(future, object()) is None
        assert function(object(), future) is None
    assert awaiters(aio.capture_call_graph(future)) == []


@requirement("print_call_graph/accepts-documented-arguments", "format_call_graph/accepts-documented-arguments")
@requirement("print_call_graph/file-defaults-to-stdout", "print_call_graph/accepts-any-future")
@requirement("format_call_graph/returns-graph-text", "print_call_graph/defaults-to-current-task")
async def test_the_graph_is_printed_as_it_is_formatted(aio: Any, loop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    future = loop.create_future()
    text = aio.format_call_graph(future)
    assert f"{id(future):#x}" in text
    for file in (None, io.StringIO()):
        aio.print_call_graph(future, file=file)
        assert (capsys.readouterr().out if file is None else file.getvalue()) == text + "\n"

    async def own() -> str:
        text: str = aio.format_call_graph()
        return text

    assert "async" in await loop.create_task(own())


@requirement("format_call_graph/returns-graph-text", "capture_call_graph/returns-graph-or-none")
def test_without_a_current_task_there_is_no_graph(aio: Any, loop: Any) -> None:
    seen: list[object] = []

    def call() -> None:
        seen.append(aio.capture_call_graph())
        seen.append(aio.format_call_graph())
        loop.stop()

    loop.call_soon(call)
    loop.run_forever()
    assert seen == [None, ""]
    with pytest.raises(RuntimeError):
        aio.capture_call_graph()


@requirement("examples/print-call-graph", "print_call_graph/prints-stack-and-awaiters")
@requirement("print_call_graph/depth-skips-top-frames")
@pytest.mark.asyncio_differs("it shows print_call_graph() itself, and one more frame of its own")
def test_the_documented_program_prints_the_documented_graph(
    aio: Any, loop: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async def test() -> None:
        aio.print_call_graph()

    async def main() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(test(), name="Task-2")

    loop.run_until_complete(loop.create_task(main(), name="Task-1"))
    printed = re.sub(r"File '.*?', line \d+", "File", re.sub(r"0x[0-9a-f]+", "ID", capsys.readouterr().out))
    local = "test_the_documented_program_prints_the_documented_graph.<locals>."
    assert [line.strip() for line in printed.replace(local, "").splitlines()] == [
        "* Task(name='Task-2', id=ID)",
        "+ Call stack:",
        "|   File, in async test()",
        "+ Awaited by:",
        "* Task(name='Task-1', id=ID)",
        "+ Call stack:",
        "|   File, in async TaskGroup.__aexit__()",
        "|   File, in async main()",
    ]
