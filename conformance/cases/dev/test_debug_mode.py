"""What debug mode finds: calls from the wrong thread, slow polls, and coroutines that nobody awaits."""

from __future__ import annotations

import gc
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.threads import in_thread, run_beside
from conformance.support.waiting import GENEROUS, run_one_pass, run_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from conformance.support.programs import RunProgram
    from conformance.target import Target


@requirement("debug-mode/enabled-by-run-argument")
def test_a_runner_in_debug_mode_runs_its_loop_in_debug_mode(target: Target, aio: Any) -> None:
    async def main() -> object:
        return aio.get_running_loop().get_debug()

    with aio.Runner(debug=True, loop_factory=target.make_loop) as runner:
        assert runner.run(main()) is True


@requirement("debug-mode/enabled-by-run-argument")
def test_run_in_debug_mode_runs_its_loop_in_debug_mode(aio: Any) -> None:
    async def main() -> object:
        return aio.get_running_loop().get_debug()

    assert aio.run(main(), debug=True) is True


@on_loops(DEBUG)
@requirement("debug-mode/rejects-wrong-thread-calls")
@pytest.mark.parametrize("method", ["call_soon", "call_at"])
def test_scheduling_from_another_thread_raises_in_debug_mode(loop: Any, method: str) -> None:
    calls: list[str] = []
    when = (loop.time(),) if method == "call_at" else ()
    with pytest.raises(RuntimeError):
        run_beside(loop, lambda: getattr(loop, method)(*when, calls.append, "called"))
    run_one_pass(loop)
    assert calls == []


@requirement("debug-mode/rejects-wrong-thread-calls", "debug-mode/enabled-by-set-debug")
def test_debug_mode_switched_on_by_the_running_loop_rejects_other_threads(loop: AbstractEventLoop) -> None:
    def work() -> object:
        switched = threading.Event()
        loop.call_soon_threadsafe(loop.set_debug, True)
        loop.call_soon_threadsafe(switched.set)
        switched.wait(GENEROUS)
        return loop.call_soon(print)

    with pytest.raises(RuntimeError):
        run_beside(loop, work)


@on_loops(DEBUG)
@requirement("debug-mode/rejects-wrong-thread-calls")
def test_debug_mode_lets_another_thread_schedule_in_the_safe_way(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    run_beside(loop, lambda: loop.call_soon_threadsafe(calls.append, "called"))
    run_until(loop, lambda: bool(calls))
    assert calls == ["called"]


@on_loops(DEBUG)
@requirement("debug-mode/rejects-wrong-thread-calls")
def test_debug_mode_lets_the_loops_own_thread_schedule(loop: AbstractEventLoop) -> None:
    calls: list[str] = []

    def schedule() -> None:
        loop.call_soon(calls.append, "soon")
        loop.call_at(loop.time(), calls.append, "at")

    loop.call_soon(schedule)
    run_until(loop, lambda: len(calls) == 2)
    assert sorted(calls) == ["at", "soon"]


@on_loops(DEBUG)
@requirement("debug-mode/rejects-wrong-thread-calls")
def test_in_debug_mode_the_loops_thread_is_the_one_that_runs_it(loop: AbstractEventLoop) -> None:
    calls: list[str] = []

    def run_elsewhere() -> None:
        loop.call_soon(lambda: loop.call_soon(calls.append, "called"))
        run_until(loop, lambda: bool(calls))

    run_one_pass(loop)
    in_thread(run_elsewhere)
    assert calls == ["called"]


def warnings_of(work: Callable[[], object]) -> list[str]:
    """The RuntimeWarnings that ``work()`` causes, in full."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        work()
        gc.collect()
    return [str(warning.message) for warning in caught if issubclass(warning.category, RuntimeWarning)]


async def forgotten() -> None:
    """A coroutine that nobody awaits."""


@on_loops(PLAIN, DEBUG)
@requirement("never-awaited-coroutines/warns-when-never-awaited")
def test_a_coroutine_that_is_never_awaited_warns_with_its_name(loop: AbstractEventLoop) -> None:
    async def main() -> None:
        forgotten()  # type: ignore[unused-coroutine]

    [message] = warnings_of(lambda: loop.run_until_complete(main()))
    assert message.startswith("coroutine 'forgotten' was never awaited")


@on_loops(PLAIN, DEBUG)
@requirement("never-awaited-coroutines/warns-when-never-awaited")
def test_a_coroutine_that_is_awaited_or_scheduled_does_not_warn(loop: AbstractEventLoop) -> None:
    async def main() -> None:
        await forgotten()
        await loop.create_task(forgotten())

    assert warnings_of(lambda: loop.run_until_complete(main())) == []


@on_loops(DEBUG)
@requirement("never-awaited-coroutines/debug-adds-creation-traceback")
def test_in_debug_mode_the_warning_shows_where_the_coroutine_was_made(loop: AbstractEventLoop) -> None:
    async def main() -> None:
        forgotten()  # type: ignore[unused-coroutine]

    [message] = warnings_of(lambda: loop.run_until_complete(main()))
    assert "Coroutine created at" in message
    assert ", in main\n" in message


@requirement("never-awaited-coroutines/debug-adds-creation-traceback", "debug-mode/enabled-by-set-debug")
def test_debug_mode_switched_on_by_the_running_loop_shows_where_later_coroutines_are_made(
    loop: AbstractEventLoop, aio: Any
) -> None:
    async def main() -> None:
        loop.set_debug(True)
        await aio.sleep(0)
        forgotten()  # type: ignore[unused-coroutine]

    [message] = warnings_of(lambda: loop.run_until_complete(main()))
    assert ", in main\n" in message


@requirement("examples/detect-never-awaited-coroutines")
@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
def test_a_program_that_forgets_an_await_is_told_so(run_program: RunProgram, debug: bool) -> None:
    program = f"""
import gc

async def forgotten():
    print("never printed")

async def main():
    forgotten()
    gc.collect()

with aio.Runner(debug={debug}, loop_factory=make_loop) as runner:
    runner.run(main())
"""
    ended = run_program(program)
    assert ended.stdout == ""
    assert "RuntimeWarning: coroutine 'forgotten' was never awaited" in ended.stderr
    assert ("Coroutine created at" in ended.stderr) is debug


@requirement("examples/chain-coroutines-correctly")
def test_coroutines_that_are_awaited_in_turn_run_in_that_order(loop: AbstractEventLoop, aio: Any) -> None:
    order: list[str] = []

    async def step(name: str, delay: float) -> None:
        await aio.sleep(delay)
        order.append(name)

    async def main() -> None:
        await step("create", 0.002)
        await step("write", 0.001)
        await step("close", 0)

    loop.run_until_complete(main())
    assert order == ["create", "write", "close"]
