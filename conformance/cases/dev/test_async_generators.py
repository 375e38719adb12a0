"""Asynchronous generators: how the loop finds them, and how a program closes them itself."""

from __future__ import annotations

import gc
import sys
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.logs import logged_errors
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.waiting import run_until

if TYPE_CHECKING:
    import logging
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator, Awaitable

    from conformance.target import Target


async def counting(events: list[str], name: str, aio: Any) -> AsyncGenerator[int, None]:
    """Count up without end; tell ``events`` when the clean-up, which awaits, is through."""
    number = 0
    try:
        while True:
            yield number
            number += 1
    finally:
        await aio.sleep(0)
        events.append(f"{name} closed")


async def step(awaitable: Awaitable[int]) -> int:
    """Await what was made elsewhere."""
    return await awaitable


@on_loops(PLAIN, DEBUG)
@requirement("async-generators/registers-asyncgen-hooks")
async def test_a_running_loop_has_its_generator_hooks_installed(loop: AbstractEventLoop) -> None:
    assert loop.is_running()
    hooks = sys.get_asyncgen_hooks()
    assert callable(hooks.firstiter)
    assert callable(hooks.finalizer)


@requirement("async-generators/registers-asyncgen-hooks")
def test_after_a_run_the_former_generator_hooks_are_back(loop: AbstractEventLoop, aio: Any) -> None:
    former = sys.get_asyncgen_hooks()
    begun: list[object] = []
    sys.set_asyncgen_hooks(firstiter=begun.append, finalizer=begun.append)
    mine = sys.get_asyncgen_hooks()
    try:
        loop.run_until_complete(aio.sleep(0))
        assert sys.get_asyncgen_hooks() == mine
    finally:
        sys.set_asyncgen_hooks(*former)
    assert begun == []


@requirement("async-generators/registers-asyncgen-hooks")
def test_after_a_run_that_raised_the_former_generator_hooks_are_back(loop: AbstractEventLoop) -> None:
    former = sys.get_asyncgen_hooks()

    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        loop.run_until_complete(fail())
    assert sys.get_asyncgen_hooks() == former


@requirement("async-generators/closes-generators-on-shutdown")
async def test_a_generator_that_began_under_the_loop_is_closed_by_its_shutdown(
    loop: AbstractEventLoop, aio: Any
) -> None:
    events: list[str] = []
    generator = counting(events, "it", aio)
    await anext(generator)
    await loop.shutdown_asyncgens()
    assert events == ["it closed"]


@requirement("async-generators/closes-generators-on-shutdown")
def test_a_generator_made_before_but_begun_under_the_loop_is_closed_by_its_shutdown(
    loop: AbstractEventLoop, aio: Any
) -> None:
    events: list[str] = []
    generator = counting(events, "it", aio)

    async def main() -> None:
        await anext(generator)

    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert events == ["it closed"]


@requirement("async-generators/ignores-earlier-generators")
def test_a_generator_that_began_before_the_loop_ran_is_not_closed_by_its_shutdown(
    loop: AbstractEventLoop, aio: Any
) -> None:
    events: list[str] = []
    generator = counting(events, "it", aio)
    assert loop.run_until_complete(step(anext(generator))) == 0
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert events == []
    assert loop.run_until_complete(step(anext(generator))) == 1
    loop.run_until_complete(generator.aclose())


@requirement("async-generators/aclosing-closes-deterministically")
def test_leaving_an_aclosing_block_closes_its_generator(aio: Any) -> None:
    events: list[str] = []

    async def main() -> None:
        async with aclosing(counting(events, "it", aio)) as generator:
            async for number in generator:
                if number == 2:
                    break
        events.append("after the block")

    aio.run(main())
    assert events == ["it closed", "after the block"]


@requirement("async-generators/aclosing-closes-deterministically")
def test_an_exception_that_leaves_an_aclosing_block_closes_its_generator(aio: Any) -> None:
    events: list[str] = []

    async def main() -> None:
        try:
            async with aclosing(counting(events, "it", aio)) as generator:
                async for _ in generator:
                    raise LookupError
        except LookupError:
            events.append("after the block")

    aio.run(main())
    assert events == ["it closed", "after the block"]


@requirement("examples/close-asynchronous-generators-explicitly")
def test_nested_generators_that_are_closed_explicitly_close_from_within(target: Target, aio: Any) -> None:
    events: list[str] = []

    async def main() -> None:
        async with aclosing(counting(events, "cursor", aio)) as cursor:
            async for _ in cursor:
                async with aclosing(counting(events, "rows", aio)) as rows:
                    async for _ in rows:
                        break
                break

    with aio.Runner(loop_factory=target.make_loop) as runner:
        runner.run(main())
    assert events == ["rows closed", "cursor closed"]


@requirement("async-generators/abandoned-cleanup-deferred", "examples/close-asynchronous-generators-explicitly")
def test_nested_generators_that_are_left_early_close_later_in_some_order(loop: AbstractEventLoop, aio: Any) -> None:
    events: list[str] = []

    async def main() -> None:
        async for _ in counting(events, "cursor", aio):
            async for _ in counting(events, "rows", aio):
                break
            break
        events.append("left")

    loop.run_until_complete(main())
    gc.collect()
    run_until(loop, lambda: len(events) == 3)
    assert events[0] == "left"
    assert sorted(events[1:]) == ["cursor closed", "rows closed"]


@requirement("examples/create-asynchronous-generators-only-when-the-event-loop-is-running")
def test_a_generator_dropped_within_the_run_that_began_it_cleans_up(
    target: Target, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignored: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: ignored.append(unraisable.exc_value))

    async def cleaning() -> AsyncGenerator[int, None]:
        try:
            yield 10
        finally:
            await aio.sleep(0)

    async def main() -> int:
        generator = cleaning()
        return await anext(generator)

    with aio.Runner(loop_factory=target.make_loop) as runner:
        assert runner.run(main()) == 10
    gc.collect()
    assert ignored == []


@requirement("examples/create-asynchronous-generators-only-when-the-event-loop-is-running")
def test_a_generator_that_began_before_the_run_cannot_clean_up(
    target: Target, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignored: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: ignored.append(type(unraisable.exc_value)))

    async def cleaning() -> AsyncGenerator[int, None]:
        try:
            yield 10
        finally:
            await aio.sleep(0)

    with aio.Runner(loop_factory=target.make_loop) as runner:
        generator = cleaning()
        assert runner.run(step(anext(generator))) == 10
        del generator
        gc.collect()
    assert ignored == [RuntimeError]


@requirement("async-generators/rejects-concurrent-iteration")
@pytest.mark.parametrize("way", ["asend", "anext"])
def test_a_generator_that_is_running_is_not_iterated_a_second_time(aio: Any, way: str) -> None:
    async def slow() -> AsyncGenerator[int, str | None]:
        yield 0
        await aio.sleep(0)
        yield 1

    async def main() -> tuple[int, str]:
        generator = slow()
        await anext(generator)
        first = aio.ensure_future(step(generator.asend("first")))
        await aio.sleep(0)
        try:
            await (generator.asend("second") if way == "asend" else anext(generator))
        except RuntimeError as error:
            return await first, type(error).__name__
        return await first, "nothing"

    assert aio.run(main()) == (1, "RuntimeError")


@requirement("examples/avoid-concurrent-iteration-and-closure-of-the-same-generator")
def test_two_tasks_that_send_into_one_generator_end_with_an_error(target: Target, aio: Any) -> None:
    received: list[str | None] = []

    async def consumer() -> AsyncGenerator[int, str]:
        for number in range(100):
            await aio.sleep(0)
            received.append((yield number))

    async def main() -> None:
        generator = consumer()
        await generator.asend(None)  # type: ignore[arg-type]
        tasks = [aio.ensure_future(step(generator.asend(word))) for word in "AB"]
        for task in tasks:
            await task

    with aio.Runner(loop_factory=target.make_loop) as runner, pytest.raises(RuntimeError):
        runner.run(main())
    assert received == ["A"]


@requirement("async-generators/reports-failed-cleanup")
def test_a_clean_up_that_fails_while_a_runner_shuts_down_is_reported(
    target: Target, aio: Any, asyncio_log: list[logging.LogRecord]
) -> None:
    async def failing() -> AsyncGenerator[int, None]:
        try:
            yield 0
        finally:
            try:
                await aio.get_running_loop().create_future()  # until the shutdown cancels it
            finally:
                raise ZeroDivisionError("in the clean-up")

    async def main() -> None:
        async for _ in failing():
            break
        gc.collect()
        await aio.sleep(0)

    with aio.Runner(loop_factory=target.make_loop) as runner:
        runner.run(main())
    [text] = logged_errors(asyncio_log)
    assert "unhandled exception during asyncio.run() shutdown" in text
    assert "ZeroDivisionError: in the clean-up" in text
