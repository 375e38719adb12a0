"""The call graph as text: ``format_call_graph()`` and ``print_call_graph()``.

How the text is laid out is shown by one example and promised nowhere, so these look for names and their order.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.turns import settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

# In whose functions the documented program stands here.
OUTER = "test_a_member_prints_itself_and_who_waits_in_the_exit_of_the_group"
NAMES = re.compile(r"\b(first_function|second_function|third_function|task-[a-z]+)\b")


async def first_function(future: Future[Any]) -> Any:
    return await future


async def second_function(future: Future[Any]) -> Any:
    return await first_function(future)


async def third_function(future: Future[Any]) -> Any:
    return await second_function(future)


def named(text: str) -> list[str]:
    """The functions and tasks that the text names, in its order."""
    return NAMES.findall(text)


@requirement("print_call_graph/prints-stack-and-awaiters", "format_call_graph/returns-graph-text")
async def test_the_stack_stands_top_frame_first_and_then_who_awaits(loop: AbstractEventLoop, aio: Any) -> None:
    gate = loop.create_future()
    inner = loop.create_task(third_function(gate), name="task-inner")
    outer = loop.create_task(second_function(inner), name="task-outer")
    await settle(aio)
    text, out = aio.format_call_graph(inner), io.StringIO()
    aio.print_call_graph(inner, file=out)
    gate.set_result(None)
    await outer
    assert type(text) is str
    assert out.getvalue() == text + "\n"
    expected = ["task-inner", "first_function", "second_function", "third_function"]
    assert named(text) == [*expected, "task-outer", "first_function", "second_function"]


@requirement("print_call_graph/accepts-documented-arguments", "format_call_graph/accepts-documented-arguments")
async def test_both_take_the_future_by_position_and_the_rest_by_name(loop: AbstractEventLoop, aio: Any) -> None:
    future, out = loop.create_future(), io.StringIO()
    text = aio.format_call_graph(future)
    assert aio.format_call_graph(future, depth=1, limit=None) == text
    aio.print_call_graph(future, file=out, depth=1, limit=None)
    assert out.getvalue() == text + "\n"
    for function in (aio.print_call_graph, aio.format_call_graph):
        for arguments, keywords in (((), {"future": future}), ((future, 1), {}), ((future,), {"colour": None})):
            with pytest.raises(TypeError):
                function(*arguments, **keywords)
    with pytest.raises(TypeError):
        aio.format_call_graph(future, file=out)


@requirement("print_call_graph/file-defaults-to-stdout")
async def test_without_a_file_it_is_printed_to_what_is_stdout_then(
    loop: AbstractEventLoop, aio: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    future = loop.create_future()
    text = aio.format_call_graph(future)
    aio.print_call_graph(future)
    aio.print_call_graph(future, file=None)
    assert capsys.readouterr() == (f"{text}\n{text}\n", "")


@requirement("print_call_graph/accepts-any-future")
async def test_a_plain_future_and_a_finished_task_have_a_graph(loop: AbstractEventLoop, aio: Any) -> None:
    future, finished = loop.create_future(), loop.create_task(aio.sleep(0), name="task-finished")
    await finished
    waiter = loop.create_task(first_function(future), name="task-waiter")
    await settle(aio)
    texts = []
    for one in (future, finished):
        out = io.StringIO()
        aio.print_call_graph(one, file=out)
        texts.append(out.getvalue())
    future.set_result(None)
    await waiter
    assert [named(text) for text in texts] == [["task-waiter", "first_function"], ["task-finished"]]


@requirement("print_call_graph/accepts-any-future")
def test_the_graph_of_a_task_can_be_printed_when_its_loop_does_not_run(loop: AbstractEventLoop, aio: Any) -> None:
    gate, out = loop.create_future(), io.StringIO()
    task = loop.create_task(second_function(gate), name="task-idle")
    loop.run_until_complete(settle(aio))
    aio.print_call_graph(task, file=out)
    gate.set_result(None)
    loop.run_until_complete(task)
    assert named(out.getvalue()) == ["task-idle", "first_function", "second_function"]


@requirement("print_call_graph/defaults-to-current-task", "format_call_graph/returns-graph-text")
async def test_without_a_future_it_is_the_current_task(loop: AbstractEventLoop, aio: Any) -> None:
    out, texts = io.StringIO(), list[str]()

    async def first_function() -> None:
        aio.print_call_graph(file=out)
        texts.append(aio.format_call_graph())

    async def second_function() -> None:
        await first_function()

    await loop.create_task(second_function(), name="task-current")
    expected = ["task-current", "first_function", "second_function"]
    assert [named(text) for text in (out.getvalue(), *texts)] == [expected, expected]


@requirement("print_call_graph/depth-skips-top-frames")
async def test_each_depth_leaves_out_one_more_frame(loop: AbstractEventLoop, aio: Any) -> None:
    printed: dict[int, str] = {}

    def first_function(depth: int) -> None:
        out = io.StringIO()
        aio.print_call_graph(file=out, depth=depth)
        printed[depth] = out.getvalue()

    async def second_function(depth: int) -> None:
        first_function(depth)

    async def third_function(depth: int) -> None:
        await second_function(depth)

    for depth in (1, 2, 3):
        await loop.create_task(third_function(depth), name="task-current")
    everything = ["first_function", "second_function", "third_function"]
    assert named(printed[1]) == ["task-current", *everything]
    assert named(printed[2]) == ["task-current", *everything[1:]]
    assert named(printed[3]) == ["task-current", *everything[2:]]


@pytest.mark.parametrize(
    ("limit", "kept"),
    [
        (2, ["second_function", "third_function"]),
        (1, ["third_function"]),
        (-1, ["first_function"]),
        (-2, ["first_function", "second_function"]),
        (9, ["first_function", "second_function", "third_function"]),
    ],
)
@requirement("print_call_graph/limit-truncates-stacks")
async def test_a_limit_keeps_one_end_of_every_stack(
    loop: AbstractEventLoop, aio: Any, limit: int, kept: list[str]
) -> None:
    gate, out = loop.create_future(), io.StringIO()
    inner = loop.create_task(third_function(gate), name="task-inner")
    outer = loop.create_task(third_function(inner), name="task-outer")
    await settle(aio)
    aio.print_call_graph(inner, file=out, limit=limit)
    text = aio.format_call_graph(inner, limit=limit)
    gate.set_result(None)
    await outer
    assert out.getvalue() == text + "\n"
    assert named(text) == ["task-inner", *kept, "task-outer", *kept]


@requirement("print_call_graph/zero-limit-omits-stack")
async def test_a_limit_of_zero_leaves_who_awaits_and_none_leaves_everything(loop: AbstractEventLoop, aio: Any) -> None:
    gate = loop.create_future()
    inner = loop.create_task(second_function(gate), name="task-inner")
    outer = loop.create_task(first_function(inner), name="task-outer")
    await settle(aio)
    texts = []
    for limit in (0, None):
        out = io.StringIO()
        aio.print_call_graph(inner, file=out, limit=limit)
        texts.append(named(out.getvalue()))
    gate.set_result(None)
    await outer
    assert texts[0] == ["task-inner", "task-outer"]
    assert texts[1] == ["task-inner", "first_function", "second_function", "task-outer", "first_function"]


@requirement("examples/print-call-graph")
def test_a_member_prints_itself_and_who_waits_in_the_exit_of_the_group(
    loop: AbstractEventLoop, aio: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async def test() -> None:
        aio.print_call_graph()

    async def main() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(test(), name="test")

    loop.run_until_complete(loop.create_task(main(), name="main"))
    printed = re.sub(r"0x[0-9a-f]+", "ID", capsys.readouterr().out).replace(f"{OUTER}.<locals>.", "")
    lines = [re.sub(r"File '.*', line \d+, in ", "", line.strip(" |+*")) for line in printed.splitlines()]
    # Between the block and the group's exit, whose name is in the documentation, its own functions may stand.
    assert [line for line in lines if "TaskGroup._aexit" not in line] == [
        "Task(name='test', id=ID)",
        "Call stack:",
        "async test()",
        "Awaited by:",
        "Task(name='main', id=ID)",
        "Call stack:",
        "async TaskGroup.__aexit__()",
        "async main()",
    ]
