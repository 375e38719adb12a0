"""Capturing the call graph: stacks, awaiters, and what ``depth`` and ``limit`` leave of them."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.turns import settle
from conformance.support.waiting import run_one_pass

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

LIMITS = pytest.mark.parametrize(
    ("limit", "kept"),
    [
        (None, ["inner", "middle", "outer"]),
        (9, ["inner", "middle", "outer"]),
        (-9, ["inner", "middle", "outer"]),
        (2, ["middle", "outer"]),
        (1, ["outer"]),
        (-1, ["inner"]),
        (-2, ["inner", "middle"]),
        (0, []),
    ],
)


async def inner(future: Future[Any]) -> Any:
    return await future


async def middle(future: Future[Any]) -> Any:
    return await inner(future)


async def outer(future: Future[Any]) -> Any:
    return await middle(future)


def functions(graph: Any) -> list[str]:
    """The names of the functions of the call stack, in its order."""
    return [entry.frame.f_code.co_name for entry in graph.call_stack]


def awaiters(graph: Any) -> list[Any]:
    return [one.future for one in graph.awaited_by]


@on_loops(PLAIN, DEBUG)
@requirement("capture_call_graph/sees-loop-created-tasks")
async def test_a_suspended_task_shows_its_stack_innermost_first(loop: AbstractEventLoop, aio: Any) -> None:
    gate = loop.create_future()
    task = loop.create_task(outer(gate))
    await settle(aio)
    graph = aio.capture_call_graph(task)
    gate.set_result(None)
    await task
    assert graph.future is task
    assert functions(graph) == ["inner", "middle", "outer"]
    assert awaiters(graph) == []


@requirement("capture_call_graph/sees-loop-created-tasks")
async def test_a_task_that_has_not_begun_shows_where_it_will(loop: AbstractEventLoop, aio: Any) -> None:
    task = loop.create_task(outer(loop.create_future()))
    assert functions(aio.capture_call_graph(task)) == ["outer"]
    task.cancel()
    await aio.wait([task])


@requirement("FutureCallGraph/has-documented-fields", "FrameCallGraphEntry/has-frame-field")
async def test_a_graph_is_made_of_data_classes(loop: AbstractEventLoop, aio: Any) -> None:
    gate = loop.create_future()
    task = loop.create_task(outer(gate))
    waiter = loop.create_task(inner(task))
    await settle(aio)
    graph = aio.capture_call_graph(task)
    frames = [entry.frame for entry in graph.call_stack]
    gate.set_result(None)
    await waiter
    assert [field.name for field in dataclasses.fields(aio.FutureCallGraph)] == ["future", "call_stack", "awaited_by"]
    assert [field.name for field in dataclasses.fields(aio.FrameCallGraphEntry)] == ["frame"]
    assert (type(graph), type(graph.call_stack), type(graph.awaited_by)) == (aio.FutureCallGraph, tuple, tuple)
    assert {type(entry) for entry in graph.call_stack} == {aio.FrameCallGraphEntry}
    assert {type(one) for one in graph.awaited_by} == {aio.FutureCallGraph}
    assert [inspect.isframe(frame) for frame in frames] == [True] * 3


@requirement("capture_call_graph/returns-graph-or-none", "capture_call_graph/accepts-documented-arguments")
async def test_without_a_future_the_graph_is_that_of_the_current_task(loop: AbstractEventLoop, aio: Any) -> None:
    def deepest() -> list[Any]:
        return [aio.capture_call_graph(), aio.capture_call_graph(None, depth=1, limit=None)]

    async def ask() -> tuple[Any, list[Any]]:
        return aio.current_task(loop), deepest()

    async def call() -> tuple[Any, list[Any]]:
        return await ask()

    task, graphs = await loop.create_task(call())
    assert [graph.future for graph in graphs] == [task] * 2
    assert [functions(graph) for graph in graphs] == [["deepest", "ask", "call"]] * 2


@requirement("capture_call_graph/returns-graph-or-none")
async def test_the_current_task_may_be_named(loop: AbstractEventLoop, aio: Any) -> None:
    async def ask() -> Any:
        return aio.capture_call_graph(aio.current_task(loop))

    async def call() -> Any:
        return await ask()

    task = loop.create_task(call())
    graph = await task
    assert (graph.future, functions(graph)) == (task, ["ask", "call"])


@requirement("capture_call_graph/returns-graph-or-none", "format_call_graph/returns-graph-text")
def test_a_callback_has_no_graph(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[object] = []
    loop.call_soon(lambda: seen.extend([aio.capture_call_graph(), aio.format_call_graph()]))
    run_one_pass(loop)
    assert seen == [None, ""]


@requirement("capture_call_graph/accepts-documented-arguments")
async def test_capture_takes_the_future_by_position_and_the_rest_by_name(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    assert aio.capture_call_graph(future, depth=1, limit=None) == aio.capture_call_graph(future)
    for arguments, keywords in (((), {"future": future}), ((future, 1), {}), ((future,), {"file": None})):
        with pytest.raises(TypeError):
            aio.capture_call_graph(*arguments, **keywords)


@LIMITS
@requirement("capture_call_graph/depth-and-limit-apply")
async def test_a_limit_keeps_one_end_of_a_suspended_tasks_stack(
    loop: AbstractEventLoop, aio: Any, limit: int | None, kept: list[str]
) -> None:
    gate = loop.create_future()
    task = loop.create_task(outer(gate))
    await settle(aio)
    graph = aio.capture_call_graph(task, limit=limit)
    gate.set_result(None)
    await task
    assert functions(graph) == kept


@LIMITS
@requirement("capture_call_graph/depth-and-limit-apply")
async def test_a_limit_keeps_one_end_of_the_current_tasks_stack(
    loop: AbstractEventLoop, aio: Any, limit: int | None, kept: list[str]
) -> None:
    def inner() -> Any:
        return aio.capture_call_graph(limit=limit)

    async def middle() -> Any:
        return inner()

    async def outer() -> Any:
        return await middle()

    assert functions(await loop.create_task(outer())) == kept


@requirement("capture_call_graph/depth-and-limit-apply")
async def test_a_limit_cuts_the_stacks_of_the_awaiters_as_well(loop: AbstractEventLoop, aio: Any) -> None:
    gate = loop.create_future()
    task = loop.create_task(outer(gate))
    waiter = loop.create_task(outer(task))
    await settle(aio)
    graphs = {limit: aio.capture_call_graph(task, limit=limit) for limit in (1, -1, 0)}
    gate.set_result(None)
    await waiter
    assert {limit: functions(graph.awaited_by[0]) for limit, graph in graphs.items()} == {
        1: ["outer"],
        -1: ["inner"],
        0: [],
    }
    assert {awaiters(graph)[0] for graph in graphs.values()} == {waiter}


@pytest.mark.parametrize(("depth", "kept"), [(1, ["deepest", "ask", "call"]), (2, ["ask", "call"]), (3, ["call"])])
@requirement("capture_call_graph/depth-and-limit-apply")
async def test_depth_leaves_out_the_innermost_frames_of_the_current_task(
    loop: AbstractEventLoop, aio: Any, depth: int, kept: list[str]
) -> None:
    def deepest() -> Any:
        return aio.capture_call_graph(depth=depth)

    async def ask() -> Any:
        return deepest()

    async def call() -> Any:
        return await ask()

    assert functions(await loop.create_task(call())) == kept


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("how", ["await", "gather", "shield", "TaskGroup"])
@requirement("print_call_graph/shows-grouping-awaiters")
async def test_the_task_that_awaits_is_shown_whatever_it_awaits_through(
    loop: AbstractEventLoop, aio: Any, how: str
) -> None:
    gate = loop.create_future()
    tasks: list[Any] = []

    async def waits() -> None:
        if how == "TaskGroup":
            async with aio.TaskGroup() as group:
                tasks.append(group.create_task(inner(gate)))
            return
        tasks.append(loop.create_task(inner(gate)))
        if how == "await":
            await tasks[0]
        elif how == "gather":
            await aio.gather(tasks[0], gate)
        else:
            await aio.shield(tasks[0])

    waiter = loop.create_task(waits(), name="the waiter")
    await settle(aio)
    graph, text = aio.capture_call_graph(tasks[0]), aio.format_call_graph(tasks[0])
    gate.set_result(None)
    await waiter
    assert awaiters(graph) == [waiter]
    assert "waits" in functions(graph.awaited_by[0])
    assert "the waiter" in text
    assert awaiters(aio.capture_call_graph(tasks[0])) == []


@requirement("print_call_graph/prints-stack-and-awaiters")
async def test_the_chain_of_awaiters_goes_all_the_way(loop: AbstractEventLoop, aio: Any) -> None:
    gate = loop.create_future()
    first = loop.create_task(inner(gate))
    second = loop.create_task(inner(first))
    third = loop.create_task(inner(second))
    await settle(aio)
    graph = aio.capture_call_graph(gate)
    chain = []
    while graph.awaited_by:
        (graph,) = graph.awaited_by
        chain.append(graph.future)
    gate.set_result(None)
    await third
    assert chain == [first, second, third]


@on_loops(PLAIN, DEBUG)
@requirement("print_call_graph/prints-stack-and-awaiters")
async def test_everybody_who_awaits_is_shown_once(loop: AbstractEventLoop, aio: Any) -> None:
    gate = loop.create_future()
    task = loop.create_task(inner(gate))
    waiters = [loop.create_task(inner(task)), loop.create_task(outer(task)), loop.create_task(middle(task))]
    await settle(aio)
    graph = aio.capture_call_graph(task)
    gate.set_result(None)
    await aio.wait(waiters)
    assert sorted(map(id, awaiters(graph))) == sorted(map(id, waiters))
    assert {waiter.future: len(waiter.call_stack) for waiter in graph.awaited_by} == dict(
        zip(waiters, (1, 3, 2), strict=True)
    )


@on_loops(PLAIN, DEBUG)
@requirement("future_add_to_awaited_by/records-waiter", "future_discard_from_awaited_by/removes-waiter")
async def test_a_waiter_can_be_recorded_and_taken_back(loop: AbstractEventLoop, aio: Any) -> None:
    future, first, second = (loop.create_future() for _ in range(3))
    task = loop.create_task(inner(future))
    await settle(aio)
    for waiter in (first, second):
        assert aio.future_add_to_awaited_by(future, waiter) is None
    recorded = awaiters(aio.capture_call_graph(future))
    assert aio.future_discard_from_awaited_by(future, first) is None
    left = awaiters(aio.capture_call_graph(future))
    future.set_result(None)
    await task
    assert {id(one) for one in recorded} == {id(one) for one in (task, first, second)}
    assert {id(one) for one in left} == {id(one) for one in (task, second)}


@requirement("future_discard_from_awaited_by/removes-waiter")
async def test_taking_back_what_was_never_recorded_does_nothing(loop: AbstractEventLoop, aio: Any) -> None:
    future, waiter = loop.create_future(), loop.create_future()
    aio.future_discard_from_awaited_by(future, waiter)
    aio.future_add_to_awaited_by(future, waiter)
    for _ in range(2):
        aio.future_discard_from_awaited_by(future, waiter)
    assert awaiters(aio.capture_call_graph(future)) == []


@requirement("future_add_to_awaited_by/accepts-positional-only-arguments")
async def test_recording_takes_its_arguments_by_position_only(loop: AbstractEventLoop, aio: Any) -> None:
    future, waiter = loop.create_future(), loop.create_future()
    for arguments, keywords in (((), {"future": future, "waiter": waiter}), ((future,), {"waiter": waiter})):
        with pytest.raises(TypeError):
            aio.future_add_to_awaited_by(*arguments, **keywords)
    for count in (1, 3):
        with pytest.raises(TypeError):
            aio.future_add_to_awaited_by(*[future] * count)
    assert awaiters(aio.capture_call_graph(future)) == []


@pytest.mark.parametrize("foreign", [None, 1, "future", object()], ids=["None", "int", "str", "object"])
@requirement(
    "future_add_to_awaited_by/ignores-foreign-objects", "future_discard_from_awaited_by/ignores-foreign-objects"
)
async def test_what_is_no_future_is_ignored(loop: AbstractEventLoop, aio: Any, foreign: Any) -> None:
    future, waiter = loop.create_future(), loop.create_future()
    aio.future_add_to_awaited_by(future, waiter)
    for function in (aio.future_add_to_awaited_by, aio.future_discard_from_awaited_by):
        for arguments in ((future, foreign), (foreign, waiter), (foreign, foreign)):
            assert function(*arguments) is None
    assert awaiters(aio.capture_call_graph(future)) == [waiter]


@requirement("future_add_to_awaited_by/records-waiter")
async def test_instances_of_subclasses_are_recorded(loop: AbstractEventLoop, aio: Any) -> None:
    class Own(aio.Future):  # type: ignore[misc]
        pass

    future, waiter = Own(loop=loop), Own(loop=loop)
    aio.future_add_to_awaited_by(future, waiter)
    assert awaiters(aio.capture_call_graph(future)) == [waiter]
