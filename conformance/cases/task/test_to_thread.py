"""A blocking function in a thread beside the loop: ``to_thread()``."""

from __future__ import annotations

import contextvars
import inspect
import threading
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending, until
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


def echo(*arguments: object, **keywords: object) -> tuple[tuple[object, ...], dict[str, object]]:
    return arguments, keywords


@requirement("to_thread/accepts-documented-arguments")
async def test_to_thread_hands_every_argument_to_the_function(aio: Any) -> None:
    assert inspect.iscoroutinefunction(aio.to_thread)
    assert await aio.to_thread(echo) == ((), {})
    assert await aio.to_thread(echo, 1, None, loop="x", name=2) == ((1, None), {"loop": "x", "name": 2})
    with pytest.raises(TypeError):
        await aio.to_thread()


@requirement("to_thread/func-positional-only")
async def test_a_keyword_named_func_goes_to_the_function(aio: Any) -> None:
    keywords = {name: name for name in ("func", "function", "callable", "args", "kwargs", "self", "executor")}
    assert await aio.to_thread(echo, **keywords) == ((), keywords)
    with pytest.raises(TypeError):
        await aio.to_thread(func=echo)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("to_thread/runs-func-in-other-thread")
async def test_the_function_runs_in_another_thread_once(loop: AbstractEventLoop, aio: Any) -> None:
    calls: list[int] = []

    def work() -> int:
        calls.append(threading.get_ident())
        return threading.get_ident()

    assert await loop.create_task(aio.to_thread(work)) != threading.get_ident()
    assert len(calls) == 1


@requirement("to_thread/runs-func-in-other-thread")
async def test_the_function_does_not_run_before_somebody_awaits(aio: Any) -> None:
    calls: list[str] = []
    coroutine = aio.to_thread(calls.append, "called")
    await aio.sleep(0.005)
    assert calls == []
    await coroutine
    assert calls == ["called"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("to_thread/propagates-context")
async def test_the_function_sees_the_callers_context_variables(loop: AbstractEventLoop, aio: Any) -> None:
    def look_and_paint() -> str:
        seen = colour.get()
        colour.set("painted in the thread")
        return seen

    async def call(name: str) -> tuple[str, str]:
        colour.set(name)
        return await aio.to_thread(look_and_paint), colour.get()

    calls = [loop.create_task(call(name)) for name in ("red", "green")]
    assert await aio.gather(*calls) == [("red", "red"), ("green", "green")]
    assert await aio.to_thread(colour.get) == "none"


@on_loops(PLAIN, DEBUG)
@requirement("to_thread/returns-func-outcome")
async def test_the_outcome_of_the_function_is_that_of_the_await(loop: AbstractEventLoop, aio: Any) -> None:
    result, error = object(), ValueError()

    def fail() -> None:
        raise error

    assert await aio.to_thread(lambda: result) is result
    assert await ending(aio.to_thread(fail)) is error
    assert await loop.create_task(aio.to_thread(lambda: None)) is None


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("to_thread/keeps-loop-running")
async def test_other_tasks_run_while_the_function_blocks(loop: AbstractEventLoop, aio: Any) -> None:
    entered, release = threading.Event(), threading.Event()

    def block() -> bool:
        entered.set()
        return release.wait(GENEROUS)

    async def other() -> None:
        await until(aio, entered.is_set)
        release.set()

    other_task = loop.create_task(other())
    assert await aio.to_thread(block) is True
    await other_task


@requirement("to_thread/overlaps-with-sleep")
async def test_a_sleep_in_a_thread_and_one_in_the_loop_overlap(aio: Any) -> None:
    # The one in the thread ends with the one in the loop: had they to take turns, it would sleep to its bound.
    loop_has_slept = threading.Event()

    async def sleep_in_loop() -> None:
        await aio.sleep(0.01)
        loop_has_slept.set()

    assert await aio.gather(aio.to_thread(loop_has_slept.wait, GENEROUS), sleep_in_loop()) == [True, None]


@on_loops(PLAIN, DEBUG)
@requirement("to_thread/keeps-loop-running")
async def test_several_functions_block_at_once(loop: AbstractEventLoop, aio: Any) -> None:
    barrier = threading.Barrier(3)
    calls = [loop.create_task(aio.to_thread(barrier.wait, GENEROUS)) for _ in range(3)]
    assert sorted(await aio.gather(*calls)) == [0, 1, 2]
