"""Running several programs on one loop: ``Runner``."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.threads import in_thread
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Generator, Iterator

    from conformance.support.programs import RunProgram
    from conformance.target import Target

colour: ContextVar[str] = ContextVar("colour", default="none")
kept: ContextVar[object] = ContextVar("kept")


@pytest.fixture
def runner(aio: Any, target: Target) -> Iterator[Any]:
    """A runner on a loop of the target, closed after the case."""
    runner = aio.Runner(loop_factory=target.make_loop)
    yield runner
    runner.close()


class Factory:
    """Makes loops of the target and keeps them."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.made: list[AbstractEventLoop] = []

    def __call__(self) -> AbstractEventLoop:
        self.made.append(self.target.make_loop())
        return self.made[-1]


async def finish_with(result: object) -> object:
    return result


async def running_loop(aio: Any) -> AbstractEventLoop:
    found: AbstractEventLoop = aio.get_running_loop()
    return found


async def current_colour() -> str:
    return colour.get()


@requirement("Runner/accepts-documented-arguments")
def test_a_runner_takes_debug_and_a_loop_factory(aio: Any, target: Target) -> None:
    with aio.Runner(debug=None, loop_factory=target.make_loop) as runner:
        assert runner.run(finish_with("result")) == "result"


@pytest.mark.parametrize("arguments", [(None,), (None, None)])
@requirement("Runner/accepts-documented-arguments")
def test_a_runner_takes_nothing_by_position(aio: Any, arguments: tuple[None, ...]) -> None:
    with pytest.raises(TypeError):
        aio.Runner(*arguments)


@requirement("Runner/runs-share-one-loop", "Runner.get_loop/returns-runner-loop")
def test_all_runs_of_a_runner_use_its_one_loop(aio: Any, target: Target) -> None:
    with aio.Runner(loop_factory=target.make_loop) as runner:
        loops = [runner.run(running_loop(aio)), runner.run(running_loop(aio)), runner.get_loop()]
    assert [loop is loops[0] for loop in loops] == [True, True, True]


@requirement("Runner/runs-share-one-loop")
def test_a_task_of_one_run_goes_on_in_the_next(aio: Any, runner: Any) -> None:
    order: list[int] = []

    async def count() -> None:
        for n in range(4):
            order.append(n)
            await aio.sleep(0)

    async def start() -> Any:
        task = aio.create_task(count())
        await aio.sleep(0)
        return task

    async def wait_for(task: Any) -> None:
        await task

    runner.run(wait_for(runner.run(start())))
    assert order == [0, 1, 2, 3]


@requirement("Runner/runs-share-one-loop")
def test_a_runner_goes_on_after_a_run_that_raised(runner: Any) -> None:
    async def fail() -> None:
        raise LookupError("expected")

    with pytest.raises(LookupError):
        runner.run(fail())
    assert runner.run(finish_with("second")) == "second"


@pytest.mark.parametrize("debug", [True, False])
@requirement("Runner/debug-selects-debug-mode")
def test_debug_turns_the_debug_mode_of_the_loop_on_and_off(aio: Any, target: Target, debug: bool) -> None:
    def make_loop() -> AbstractEventLoop:
        loop = target.make_loop()
        loop.set_debug(not debug)
        return loop

    with aio.Runner(debug=debug, loop_factory=make_loop) as runner:
        assert runner.get_loop().get_debug() is debug


DEBUG_NONE = """
with aio.Runner(debug=None, loop_factory=make_loop) as runner:
    print(runner.get_loop().get_debug())
"""


@pytest.mark.parametrize(("variables", "expected"), [({}, "False\n"), ({"PYTHONASYNCIODEBUG": "1"}, "True\n")])
@requirement("Runner/debug-selects-debug-mode")
def test_debug_none_keeps_the_global_setting(run_program: RunProgram, variables: dict[str, str], expected: str) -> None:
    finished = run_program(DEBUG_NONE, env=variables)
    assert finished.stdout == expected, finished.stderr


@requirement("Runner/accepts-loop-factory-keyword")
def test_a_runner_uses_the_loop_of_its_factory(aio: Any, target: Target) -> None:
    factory = Factory(target)
    with aio.Runner(loop_factory=factory) as runner:
        used = runner.run(running_loop(aio))
    assert [used is loop for loop in factory.made] == [True]


@requirement("Runner/accepts-loop-factory-keyword")
def test_a_runner_with_a_factory_leaves_the_current_loop(loop: AbstractEventLoop, aio: Any, target: Target) -> None:
    current: list[bool] = []

    def run_with_another_loop_set() -> None:
        aio.set_event_loop(loop)
        with aio.Runner(loop_factory=target.make_loop) as runner:
            current.append(aio.get_event_loop() is loop)
            runner.run(finish_with(None))
            current.append(aio.get_event_loop() is loop)
        current.append(aio.get_event_loop() is loop)

    in_thread(run_with_another_loop_set)
    assert current == [True, True, True]


@requirement("Runner/sets-new-loop-current")
def test_a_runner_without_a_factory_makes_its_loop_the_current_one(aio: Any) -> None:
    def is_current() -> bool:
        with aio.Runner() as runner:
            return aio.get_event_loop() is runner.get_loop()

    assert in_thread(is_current) is True


@requirement("Runner/sets-new-loop-current")
def test_a_runner_without_a_factory_makes_its_loop_with_new_event_loop(aio: Any) -> None:
    with contextlib.closing(aio.new_event_loop()) as usual:
        made = in_thread(lambda: aio.Runner().get_loop())
    with contextlib.closing(made):
        assert type(made) is type(usual)


@requirement("Runner/constructor-creates-nothing")
def test_making_a_runner_makes_no_loop(aio: Any, target: Target) -> None:
    factory = Factory(target)
    aio.Runner(loop_factory=factory)
    assert factory.made == []


@requirement("Runner/constructor-creates-nothing", "Runner/initializes-on-first-use")
def test_a_runners_context_is_not_copied_before_its_first_use(runner: Any) -> None:
    def set_then_run() -> object:
        colour.set("set after the runner was made")
        return runner.run(current_colour())

    assert copy_context().run(set_then_run) == "set after the runner was made"


@requirement("Runner/initializes-on-first-use")
def test_entering_the_block_makes_the_loop_and_copies_the_context(aio: Any, target: Target) -> None:
    factory = Factory(target)

    def set_inside_the_block() -> tuple[int, object]:
        colour.set("before the block")
        with aio.Runner(loop_factory=factory) as runner:
            made = len(factory.made)
            colour.set("inside the block")
            return made, runner.run(current_colour())

    assert copy_context().run(set_inside_the_block) == (1, "before the block")


@requirement("Runner/initializes-on-first-use")
def test_entering_the_block_gives_the_runner_itself(runner: Any) -> None:
    with runner as entered:
        assert entered is runner


@requirement("Runner/initializes-on-first-use")
def test_the_first_get_loop_makes_the_loop(aio: Any, target: Target) -> None:
    factory = Factory(target)
    runner = aio.Runner(loop_factory=factory)
    found = runner.get_loop()
    runner.close()
    assert [found is loop for loop in factory.made] == [True]


@requirement("Runner/initializes-on-first-use")
def test_the_first_run_makes_the_loop(aio: Any, target: Target) -> None:
    factory = Factory(target)
    runner = aio.Runner(loop_factory=factory)
    used = runner.run(running_loop(aio))
    runner.close()
    assert [used is loop for loop in factory.made] == [True]


@requirement("Runner.run/accepts-documented-arguments")
def test_run_takes_the_context_by_keyword_only(runner: Any) -> None:
    assert runner.run(finish_with("result"), context=None) == "result"
    coroutine = finish_with(None)
    with contextlib.closing(coroutine), pytest.raises(TypeError):
        runner.run(coroutine, copy_context())


@requirement("Runner.run/returns-coroutine-result")
def test_run_returns_the_coroutines_very_result(runner: Any) -> None:
    result = object()
    assert runner.run(finish_with(result)) is result


@pytest.mark.parametrize("error", [LookupError, SystemExit, KeyboardInterrupt])
@requirement("Runner.run/raises-coroutine-exception")
def test_run_raises_what_the_coroutine_raises(runner: Any, error: type[BaseException]) -> None:
    raised = error("expected")

    async def fail() -> None:
        raise raised

    with pytest.raises(error) as caught:
        runner.run(fail())
    assert caught.value is raised


@requirement("Runner.run/accepts-context-keyword")
def test_run_runs_the_coroutine_in_the_given_context(aio: Any, runner: Any) -> None:
    context = copy_context()
    context.run(colour.set, "red")

    async def look_and_change() -> str:
        seen = colour.get()
        await aio.sleep(0)
        colour.set("blue")
        return seen

    assert runner.run(look_and_change(), context=context) == "red"
    assert (context[colour], runner.run(current_colour()), colour.get()) == ("blue", "none", "none")


@requirement("Runner/runs-share-context-variables", "Runner.run/accepts-context-keyword")
def test_what_one_run_sets_the_next_one_sees(runner: Any) -> None:
    async def change() -> None:
        colour.set("red")

    runner.run(change())
    assert (runner.run(current_colour()), colour.get()) == ("red", "none")


@requirement("Runner.run/raises-inside-running-loop")
async def test_run_refuses_to_start_inside_a_running_loop(loop: AbstractEventLoop, aio: Any, target: Target) -> None:
    runner = aio.Runner(loop_factory=target.make_loop)
    coroutine = finish_with(None)
    with contextlib.closing(coroutine), pytest.raises(RuntimeError):
        runner.run(coroutine)
    assert aio.get_running_loop() is loop


class Awaitable:
    """Awaitable, and neither a coroutine nor a future."""

    def __await__(self) -> Generator[None, None, str]:
        yield
        return "awaited"


@requirement("Runner.run/accepts-any-awaitable")
def test_run_accepts_any_awaitable(runner: Any) -> None:
    assert runner.run(Awaitable()) == "awaited"


@requirement("Runner.run/accepts-any-awaitable")
def test_run_wraps_a_coroutine_in_a_task(aio: Any, runner: Any) -> None:
    async def main() -> bool:
        return isinstance(aio.current_task(), aio.Task)

    assert runner.run(main()) is True


@requirement("keyboard-interruption/main-task-wraps-coroutine")
def test_the_main_task_is_the_task_of_the_coroutine_given_to_run(aio: Any, runner: Any) -> None:
    async def main() -> Any:
        return aio.current_task()

    coroutine = main()
    task = runner.run(coroutine)
    assert isinstance(task, aio.Task)
    assert task.get_coro() is coroutine


@requirement("Runner.close/releases-all-resources")
def test_closing_finalizes_async_generators_and_then_closes_the_loop(aio: Any, runner: Any) -> None:
    order: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await aio.sleep(0)
            order.append(f"finalized, loop closed: {aio.get_running_loop().is_closed()}")

    generator = numbers()

    async def main() -> int:
        return await anext(generator)

    runner.run(main())
    loop = runner.get_loop()
    assert order == []
    runner.close()
    assert (order, loop.is_closed()) == (["finalized, loop closed: False"], True)


@requirement("Runner.close/releases-all-resources")
def test_closing_waits_for_the_threads_of_the_default_executor(runner: Any) -> None:
    release = threading.Event()
    threads: list[threading.Thread] = []
    finished: list[str] = []

    def work() -> None:
        threads.append(threading.current_thread())
        release.wait(GENEROUS)
        finished.append("work")

    working = runner.get_loop().run_in_executor(None, work)
    threading.Timer(0.01, release.set).start()
    runner.close()
    assert (finished, [thread.is_alive() for thread in threads]) == (["work"], [False])
    del working


@requirement("Runner.close/releases-all-resources")
def test_closing_drops_the_context(aio: Any, target: Target) -> None:
    class Value: ...

    async def keep(value: Value) -> None:
        kept.set(value)

    value = Value()
    released = weakref.ref(value)
    runner = aio.Runner(loop_factory=target.make_loop)
    runner.run(keep(value))
    loop = runner.get_loop()
    runner.close()
    del runner, value
    gc.collect()
    assert (loop.is_closed(), released()) == (True, None)


@pytest.mark.parametrize("error", [LookupError, KeyboardInterrupt])
@requirement("Runner.close/called-on-block-exit")
def test_leaving_the_block_with_an_exception_closes_the_runner(
    aio: Any, target: Target, error: type[BaseException]
) -> None:
    factory = Factory(target)
    with contextlib.suppress(error), aio.Runner(loop_factory=factory):
        raise error
    assert [loop.is_closed() for loop in factory.made] == [True]


@requirement("Runner.close/called-on-block-exit")
def test_leaving_the_block_closes_the_runner(aio: Any, target: Target) -> None:
    with aio.Runner(loop_factory=target.make_loop) as runner:
        loop = runner.get_loop()
        assert loop.is_closed() is False
    assert loop.is_closed() is True


@requirement("Runner.close/called-on-block-exit")
def test_a_runner_that_was_never_used_can_be_closed(aio: Any, target: Target) -> None:
    factory = Factory(target)
    aio.Runner(loop_factory=factory).close()
    assert factory.made == []


@requirement("Runner.close/rejects-run-afterwards")
def test_a_closed_runner_refuses_to_run(aio: Any, target: Target) -> None:
    with aio.Runner(loop_factory=target.make_loop) as runner:
        runner.run(finish_with(None))
    coroutine = finish_with(None)
    with contextlib.closing(coroutine), pytest.raises(RuntimeError):
        runner.run(coroutine)


@requirement("Runner.get_loop/returns-runner-loop")
def test_get_loop_gives_the_same_loop_every_time(runner: Any) -> None:
    loops = [runner.get_loop(), runner.get_loop()]
    runner.run(finish_with(None))
    loops.append(runner.get_loop())
    assert [loop is loops[0] for loop in loops] == [True, True, True]
