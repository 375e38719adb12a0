"""Asynchronous generators that a loop keeps track of: ``loop.shutdown_asyncgens()``."""

from __future__ import annotations

import contextlib
import gc
import threading
import warnings
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.waiting import GENEROUS, run_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator, Callable

    from conformance.target import Target


async def counting(events: list[str], name: str = "it", aio: Any = None) -> AsyncGenerator[int, None]:
    """Count up without end; tell ``events`` about the clean-up, which awaits when ``aio`` is given."""
    number = 0
    try:
        while True:
            yield number
            number += 1
    finally:
        if aio is not None:
            events.append(f"{name} begins to close")
            await aio.sleep(0)
        events.append(f"{name} closed")


async def failing(error: Exception) -> AsyncGenerator[int, None]:
    """Yield once; the clean-up raises ``error``."""
    try:
        yield 0
    finally:
        raise error


async def until(aio: Any, condition: Callable[[], bool]) -> None:
    """Let the loop run, a thousand passes at most, until ``condition()`` holds."""
    for _ in range(1000):
        if condition():
            return
        await aio.sleep(0)


@on_loops(PLAIN, DEBUG)
@requirement("loop.shutdown_asyncgens/is-coroutine-function")
def test_shutting_down_generators_is_a_coroutine(loop: AbstractEventLoop) -> None:
    shutting = loop.shutdown_asyncgens()
    assert isinstance(shutting, Coroutine)
    loop.run_until_complete(shutting)


@requirement("loop.shutdown_asyncgens/is-coroutine-function")
def test_shutting_down_generators_takes_no_argument(loop: Any) -> None:
    with pytest.raises(TypeError):
        loop.shutdown_asyncgens(1.0)


@requirement("loop.shutdown_asyncgens/is-coroutine-function")
async def test_generators_are_closed_only_when_the_shutdown_is_awaited(loop: AbstractEventLoop, aio: Any) -> None:
    events: list[str] = []
    generator = counting(events)
    await anext(generator)
    shutting = loop.shutdown_asyncgens()
    await aio.sleep(0)
    assert events == []
    await shutting
    assert events == ["it closed"]


@on_loops(PLAIN, DEBUG)
@requirement("loop.shutdown_asyncgens/closes-open-asyncgens")
async def test_shutting_down_closes_an_open_generator(loop: AbstractEventLoop) -> None:
    events: list[str] = []
    generator = counting(events)
    await anext(generator)
    await loop.shutdown_asyncgens()
    assert events == ["it closed"]
    assert await anext(generator, "exhausted") == "exhausted"


@requirement("loop.shutdown_asyncgens/closes-open-asyncgens")
async def test_shutting_down_closes_every_open_generator(loop: AbstractEventLoop) -> None:
    events: list[str] = []
    generators = [counting(events, str(n)) for n in range(20)]
    for generator in generators:
        await anext(generator)
    await loop.shutdown_asyncgens()
    assert sorted(events) == sorted(f"{n} closed" for n in range(20))


@requirement("loop.shutdown_asyncgens/closes-open-asyncgens")
async def test_shutting_down_waits_for_a_clean_up_that_awaits(loop: AbstractEventLoop, aio: Any) -> None:
    events: list[str] = []
    generator = counting(events, aio=aio)
    await anext(generator)
    await loop.shutdown_asyncgens()
    assert events == ["it begins to close", "it closed"]


@requirement("loop.shutdown_asyncgens/closes-open-asyncgens")
async def test_the_loop_runs_while_generators_are_closed(loop: AbstractEventLoop) -> None:
    released = loop.create_future()

    async def waiting() -> AsyncGenerator[int, None]:
        try:
            yield 0
        finally:
            await released

    generator = waiting()
    await anext(generator)
    loop.call_later(0.005, released.set_result, None)
    await loop.shutdown_asyncgens()
    assert released.done()


@requirement("loop.shutdown_asyncgens/closes-open-asyncgens")
async def test_a_generator_sees_its_closing_as_generator_exit(loop: AbstractEventLoop) -> None:
    seen: list[type[BaseException]] = []

    async def watching() -> AsyncGenerator[int, None]:
        try:
            yield 0
        except BaseException as error:
            seen.append(type(error))
            raise

    generator = watching()
    await anext(generator)
    await loop.shutdown_asyncgens()
    assert seen == [GeneratorExit]


@requirement("loop.shutdown_asyncgens/closes-open-asyncgens")
async def test_generators_that_ended_before_are_not_closed_again(loop: AbstractEventLoop) -> None:
    events: list[str] = []
    exhausted, closed = (counting(events, name) for name in ("exhausted", "closed"))
    await anext(exhausted)
    with contextlib.suppress(StopAsyncIteration, ValueError):
        await exhausted.athrow(ValueError)
    await anext(closed)
    await closed.aclose()
    await loop.shutdown_asyncgens()
    assert events == ["exhausted closed", "closed closed"]


@requirement("loop.shutdown_asyncgens/closes-open-asyncgens")
async def test_one_generator_whose_closing_fails_keeps_no_other_open(
    loop: AbstractEventLoop, reported: list[dict[str, Any]]
) -> None:
    events: list[str] = []
    error = ValueError("in the clean-up")
    generators = [counting(events, "first"), failing(error), counting(events, "last")]
    for generator in generators:
        await anext(generator)
    await loop.shutdown_asyncgens()
    assert sorted(events) == ["first closed", "last closed"]
    assert [context.get("exception") for context in reported] == [error]


@requirement("loop.call_exception_handler/context-task-and-asyncgen-keys")
async def test_a_generator_whose_closing_fails_is_the_one_reported(
    loop: AbstractEventLoop, reported: list[dict[str, Any]]
) -> None:
    generator = failing(ValueError("in the clean-up"))
    await anext(generator)
    await loop.shutdown_asyncgens()
    assert [context.get("asyncgen", generator) for context in reported] == [generator]


@requirement("loop.shutdown_asyncgens/closes-open-asyncgens")
async def test_shutting_down_without_any_generator_does_nothing(
    loop: AbstractEventLoop, reported: list[dict[str, Any]]
) -> None:
    await loop.shutdown_asyncgens()
    assert reported == []


@requirement("loop.shutdown_asyncgens/closes-open-asyncgens")
def test_generators_of_earlier_runs_of_the_loop_are_closed(loop: AbstractEventLoop) -> None:
    events: list[str] = []
    generators = [counting(events, str(n)) for n in range(2)]

    async def step(generator: AsyncGenerator[int, None]) -> int:
        return await anext(generator)

    for generator in generators:
        loop.run_until_complete(step(generator))
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert sorted(events) == ["0 closed", "1 closed"]


@requirement("loop.shutdown_asyncgens/closes-open-asyncgens")
def test_the_generators_of_another_loop_stay_open(loop: AbstractEventLoop, target: Target) -> None:
    events: list[str] = []

    async def step(generator: AsyncGenerator[int, None]) -> int:
        return await anext(generator)

    mine, foreign = counting(events, "mine"), counting(events, "foreign")
    with contextlib.closing(target.make_loop()) as other:
        loop.run_until_complete(step(mine))
        other.run_until_complete(step(foreign))
        loop.run_until_complete(loop.shutdown_asyncgens())
        assert events == ["mine closed"]
        other.run_until_complete(other.shutdown_asyncgens())
    assert events == ["mine closed", "foreign closed"]


@requirement("loop.shutdown_asyncgens/usable-between-run-and-close")
def test_generators_can_be_shut_down_after_the_loop_was_stopped(loop: AbstractEventLoop) -> None:
    events: list[str] = []

    async def iterate(generator: AsyncGenerator[int, None]) -> None:
        async for number in generator:
            if number == 3:
                loop.stop()
                break

    generator = counting(events)
    task = loop.create_task(iterate(generator))
    loop.run_forever()
    run_until(loop, task.done)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert events == ["it closed"]


@on_loops(PLAIN, DEBUG)
@requirement("loop.shutdown_asyncgens/warns-on-later-iteration")
async def test_iterating_a_generator_after_the_shutdown_warns(loop: AbstractEventLoop) -> None:
    await loop.shutdown_asyncgens()
    generator = counting([])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert await anext(generator) == 0
    assert len(caught) == 1
    await generator.aclose()


@requirement("loop.shutdown_asyncgens/warns-on-later-iteration")
async def test_iterating_a_generator_before_the_shutdown_does_not_warn(loop: AbstractEventLoop) -> None:
    generator = counting([])
    with warnings.catch_warnings(action="error"):
        assert [await anext(generator) for _ in range(3)] == [0, 1, 2]
    await loop.shutdown_asyncgens()


@requirement("loop.shutdown_asyncgens/unneeded-under-run")
def test_a_runner_closes_open_generators_itself(target: Target, aio: Any) -> None:
    events: list[str] = []
    generator = counting(events, aio=aio)

    async def main() -> None:
        await anext(generator)

    with aio.Runner(loop_factory=target.make_loop) as runner:
        runner.run(main())
    assert events == ["it begins to close", "it closed"]


@requirement("loop.shutdown_asyncgens/empties-tracked-generators")
async def test_a_second_shutdown_finds_nothing_left_to_close(
    loop: AbstractEventLoop, reported: list[dict[str, Any]]
) -> None:
    generator = failing(ValueError("in the clean-up"))
    await anext(generator)
    await loop.shutdown_asyncgens()
    await loop.shutdown_asyncgens()
    assert len(reported) == 1


@on_loops(PLAIN, DEBUG)
@requirement("async-generators/abandoned-cleanup-deferred")
def test_an_abandoned_generator_is_closed_by_the_running_loop(loop: AbstractEventLoop, aio: Any) -> None:
    events: list[str] = []

    async def iterate() -> None:
        async for number in counting(events, aio=aio):
            if number == 2:
                break
        gc.collect()

    loop.run_until_complete(iterate())
    run_until(loop, lambda: len(events) == 2)
    assert events == ["it begins to close", "it closed"]


@requirement("async-generators/abandoned-cleanup-deferred")
def test_a_generator_dropped_in_another_thread_is_closed_in_the_loops_thread(loop: AbstractEventLoop, aio: Any) -> None:
    threads: list[int] = []
    boxes: list[AsyncGenerator[int, None]] = []

    async def noting() -> AsyncGenerator[int, None]:
        try:
            yield 0
        finally:
            await aio.sleep(0)
            threads.append(threading.get_ident())

    async def begin() -> None:
        boxes.append(noting())
        await anext(boxes[0])

    def drop() -> None:
        boxes.clear()
        gc.collect()

    loop.run_until_complete(begin())
    worker = threading.Thread(target=drop)
    loop.call_soon(worker.start)
    run_until(loop, lambda: bool(threads))
    worker.join(GENEROUS)
    assert threads == [threading.get_ident()]


@requirement("async-generators/abandoned-cleanup-deferred")
async def test_an_abandoned_generator_is_closed_once_even_when_the_loop_shuts_down(
    loop: AbstractEventLoop, aio: Any
) -> None:
    events: list[str] = []
    async for _ in counting(events):
        break
    gc.collect()
    await until(aio, lambda: bool(events))
    await loop.shutdown_asyncgens()
    assert events == ["it closed"]
