"""The call graph where the documentation's promise says little: what wraps a coroutine, and the documented layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import refloop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator


def names(graph: Any) -> list[str]:
    return [entry.frame.f_code.co_name for entry in graph.call_stack]


async def innermost(future: Any) -> None:
    await future


async def generate(future: Any) -> AsyncIterator[int]:
    await innermost(future)
    yield 1


async def iterate(future: Any) -> None:
    async for _ in generate(future):
        pass


class Awaitable:
    def __init__(self, future: Any) -> None:
        self.future = future

    def __await__(self) -> Generator[Any, Any, None]:
        return innermost(self.future).__await__()


async def wait(future: Any) -> None:
    await Awaitable(future)


@pytest.mark.parametrize(
    ("function", "stack"), [(iterate, ["innermost", "generate", "iterate"]), (wait, ["innermost", "wait"])]
)
def test_a_stack_goes_on_through_what_wraps_a_coroutine(function: Any, stack: list[str]) -> None:
    async def look() -> list[str]:
        gate = refloop.get_running_loop().create_future()
        task = refloop.create_task(function(gate))
        await refloop.sleep(0)
        found = names(refloop.capture_call_graph(task))
        gate.set_result(None)
        await task
        return found

    assert refloop.run(look()) == stack


def test_who_awaited_in_vain_is_shown_no_longer() -> None:
    async def look() -> Any:
        gate = refloop.get_running_loop().create_future()
        survivor = refloop.create_task(innermost(gate))
        failed: Any = refloop.get_running_loop().create_future()
        failed.set_exception(ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            await refloop.gather(survivor, failed)
        graph = refloop.capture_call_graph(survivor)
        gate.set_result(None)
        await survivor
        return graph

    assert refloop.run(look()).awaited_by == ()
