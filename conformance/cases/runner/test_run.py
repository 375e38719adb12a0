"""Running a program: ``run()``."""

from __future__ import annotations

import contextlib
import functools
import inspect
import selectors
import threading
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.threads import in_thread
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Callable, Generator, Iterator
    from typing import TypeAlias

    from conformance.support.programs import RunProgram
    from conformance.target import Target

    Run: TypeAlias = Callable[..., Any]

# The documented limit of the wait for the default executor's threads, in seconds.
EXECUTOR_LIMIT = 300.0
# How much faster than real time a FastLoop's clock runs: the limit passes in three hundredths of a second.
SPEED = 10_000.0
# How many loops a case may have made for it where run() takes them from a policy.
SPARE_LOOPS = 2


@pytest.fixture
def run(aio: Any, target: Target) -> Iterator[Run]:
    """``run()`` on loops of the target: given as ``loop_factory``, or by a policy where ``run()`` has none (3.11)."""
    if "loop_factory" in inspect.signature(aio.run).parameters:
        yield functools.partial(aio.run, loop_factory=target.make_loop)
        return
    # Made beforehand: the target's own factory may be one that asks the policy.
    spare = [target.make_loop() for _ in range(SPARE_LOOPS)]
    unused = list(spare)
    before = aio.get_event_loop_policy()
    attributes = {"new_event_loop": lambda _: unused.pop()}
    aio.set_event_loop_policy(type("SpareLoopPolicy", (aio.DefaultEventLoopPolicy,), attributes)())
    yield aio.run
    aio.set_event_loop_policy(before)
    for loop in unused:
        loop.close()


async def finish_with(result: object) -> object:
    return result


async def running_loop(aio: Any) -> AbstractEventLoop:
    found: AbstractEventLoop = aio.get_running_loop()
    return found


@requirement("run/accepts-documented-arguments")
def test_run_takes_a_coroutine_and_debug_by_keyword(run: Run) -> None:
    assert run(finish_with("result"), debug=True) == "result"


@requirement("run/accepts-documented-arguments")
def test_run_takes_nothing_but_the_coroutine_by_position(aio: Any) -> None:
    coroutine = finish_with(None)
    with contextlib.closing(coroutine), pytest.raises(TypeError):
        aio.run(coroutine, True)


@pytest.mark.parametrize("result", [None, 0, "text", object()], ids=["None", "0", "text", "object"])
@requirement("run/returns-coroutine-result")
def test_run_returns_the_coroutines_very_result(run: Run, result: object) -> None:
    assert run(finish_with(result)) is result


@requirement("run/returns-coroutine-result")
def test_run_runs_the_coroutine_to_its_end(run: Run, aio: Any) -> None:
    async def main() -> str:
        for _ in range(3):
            await aio.sleep(0)
        await aio.sleep(0.001)
        return "end"

    assert run(main()) == "end"


@pytest.mark.parametrize("error", [LookupError, TimeoutError, SystemExit, KeyboardInterrupt, GeneratorExit])
@requirement("run/raises-coroutine-exception", "run/new-loop-closed-afterwards")
def test_run_raises_what_the_coroutine_raises_and_closes_the_loop(
    run: Run, aio: Any, error: type[BaseException]
) -> None:
    raised = error("expected")
    loops: list[AbstractEventLoop] = []

    async def main() -> None:
        loops.append(aio.get_running_loop())
        await aio.sleep(0)
        raise raised

    with pytest.raises(error) as caught:
        run(main())
    assert (caught.value is raised, [loop.is_closed() for loop in loops]) == (True, [True])


@requirement("run/raises-coroutine-exception")
def test_run_raises_the_cancellation_of_a_coroutine_that_cancels_itself(run: Run, aio: Any) -> None:
    async def main() -> None:
        aio.current_task().cancel()
        await aio.sleep(0)

    with pytest.raises(aio.CancelledError):
        run(main())


@requirement("run/raises-inside-running-loop")
async def test_run_refuses_to_start_inside_a_running_loop(loop: AbstractEventLoop, aio: Any) -> None:
    coroutine = finish_with(None)
    with contextlib.closing(coroutine), pytest.raises(RuntimeError):
        aio.run(coroutine)
    assert aio.get_running_loop() is loop


@requirement("run/raises-inside-running-loop")
def test_run_refuses_to_start_inside_a_callback(loop: AbstractEventLoop, aio: Any) -> None:
    outcomes: list[str] = []

    def start() -> None:
        with contextlib.closing(finish_with(None)) as coroutine:
            try:
                aio.run(coroutine)
            except RuntimeError:
                outcomes.append("RuntimeError")

    loop.call_soon(start)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert outcomes == ["RuntimeError"]


@requirement("run/new-loop-closed-afterwards")
def test_every_run_has_a_loop_of_its_own_and_closes_it(run: Run, aio: Any) -> None:
    first = run(running_loop(aio))
    second = run(running_loop(aio))
    assert (first is not second, first.is_closed(), second.is_closed()) == (True, True, True)


@requirement("run/needs-no-loop-beforehand")
def test_run_works_in_a_thread_that_never_had_a_loop(aio: Any) -> None:
    assert in_thread(lambda: aio.run(finish_with("result"))) == "result"


@requirement("run/needs-no-loop-beforehand")
def test_run_is_all_that_a_program_needs(run_program: RunProgram) -> None:
    finished = run_program("async def main():\n    print('ran')\n\naio.run(main())\n", "-W", "error")
    assert (finished.stdout, finished.stderr, finished.returncode) == ("ran\n", "", 0)


@requirement("run/unsets-current-loop-afterwards")
def test_after_run_the_thread_has_no_current_loop(aio: Any) -> None:
    def run_then_ask() -> None:
        aio.run(finish_with(None))
        aio.get_event_loop()

    with pytest.raises(RuntimeError):
        in_thread(run_then_ask)


@requirement("run/unsets-current-loop-afterwards")
def test_after_a_run_that_raised_the_thread_has_no_current_loop(aio: Any) -> None:
    async def fail() -> None:
        raise LookupError("expected")

    def run_then_ask() -> None:
        with contextlib.suppress(LookupError):
            aio.run(fail())
        aio.get_event_loop()

    with pytest.raises(RuntimeError):
        in_thread(run_then_ask)


@requirement("run/finalizes-async-generators")
def test_run_finalizes_a_suspended_async_generator(run: Run, aio: Any) -> None:
    order: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await aio.sleep(0)
            order.append(f"finalized, loop closed: {aio.get_running_loop().is_closed()}")

    generator = numbers()

    async def main() -> None:
        await anext(generator)
        order.append("main ends")

    run(main())
    assert order == ["main ends", "finalized, loop closed: False"]


@requirement("run/shuts-down-default-executor")
def test_run_waits_for_the_threads_of_the_default_executor(run: Run, aio: Any) -> None:
    release = threading.Event()
    finished: list[str] = []
    threads: list[threading.Thread] = []

    def work() -> None:
        threads.append(threading.current_thread())
        release.wait(GENEROUS)
        finished.append("work")

    async def release_when_cancelled() -> None:
        try:
            await aio.sleep(3600)
        finally:
            release.set()

    async def main() -> tuple[object, object]:
        loop = aio.get_running_loop()
        kept = loop.run_in_executor(None, work), loop.create_task(release_when_cancelled())
        await aio.sleep(0)
        return kept

    run(main())
    assert (finished, [thread.is_alive() for thread in threads]) == (["work"], [False])


class FastSelector(selectors.DefaultSelector):
    """Waits as much less than it is asked to as the clock runs faster."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout and timeout / SPEED)


# A worker that the limit does not end is released after this long in real time, so that the case fails and ends.
PATIENCE = 3.0


@requirement("run/executor-shutdown-limited")
def test_run_gives_up_on_the_executors_threads_after_five_minutes_with_a_warning(aio: Any) -> None:
    # On a fast clock, which only a loop class of the namespace lets one make: what is checked is the limit that run()
    # sets, whatever the loop.
    fast = type("FastLoop", (aio.SelectorEventLoop,), {"time": lambda self: SPEED * aio.SelectorEventLoop.time(self)})
    loop = fast(FastSelector())
    release = threading.Event()
    moments: list[float] = []
    threads: list[threading.Thread] = []
    finished: list[str] = []

    def work() -> None:
        threads.append(threading.current_thread())
        release.wait(PATIENCE)
        finished.append("work")

    async def main() -> object:
        working: object = loop.run_in_executor(None, work)
        moments.append(loop.time())
        return working

    with pytest.warns(RuntimeWarning):
        aio.run(main(), loop_factory=lambda: loop)
    moments.append(aio.SelectorEventLoop.time(loop) * SPEED)
    finished_in_time = list(finished)
    release.set()
    threads[0].join(GENEROUS)
    assert (finished_in_time, moments[1] - moments[0] >= EXECUTOR_LIMIT) == ([], True)


@requirement("run/debug-true-enables-debug")
def test_debug_true_runs_the_loop_in_debug_mode(run: Run, aio: Any) -> None:
    assert run(running_loop(aio), debug=True).get_debug() is True


DEBUG_MODES = """
async def main():
    return aio.get_running_loop().get_debug()

for debug in (None, False, True):
    print(aio.run(main(), debug=debug))
"""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [({}, ["False", "False", "True"]), ({"PYTHONASYNCIODEBUG": "1"}, ["True", "False", "True"])],
    ids=["debug-mode-off", "debug-mode-on"],
)
@requirement("run/debug-false-overrides-none-inherits", "run/debug-true-enables-debug")
def test_debug_none_keeps_the_global_setting_and_false_overrides_it(
    run_program: RunProgram, variables: dict[str, str], expected: list[str]
) -> None:
    finished = run_program(DEBUG_MODES, env=variables)
    assert finished.stdout.split() == expected, finished.stderr


@requirement("run/debug-false-overrides-none-inherits")
def test_debug_false_turns_off_the_debug_mode_of_the_loop_it_is_given(aio: Any, target: Target) -> None:
    def make_debugging_loop() -> AbstractEventLoop:
        loop = target.make_loop()
        loop.set_debug(True)
        return loop

    async def debugging() -> bool:
        found: bool = aio.get_running_loop().get_debug()
        return found

    with aio.Runner(debug=False, loop_factory=make_debugging_loop) as runner:
        assert runner.run(debugging()) is False


@requirement("run/accepts-loop-factory-keyword")
def test_run_uses_the_loop_of_the_factory_and_calls_it_once(aio: Any, target: Target) -> None:
    made: list[AbstractEventLoop] = []

    def make_loop() -> AbstractEventLoop:
        made.append(target.make_loop())
        return made[-1]

    used = aio.run(running_loop(aio), loop_factory=make_loop)
    assert ([used is loop for loop in made], used.is_closed()) == ([True], True)


@requirement("run/accepts-loop-factory-keyword")
def test_without_a_factory_run_makes_the_loop_with_new_event_loop(aio: Any) -> None:
    with contextlib.closing(aio.new_event_loop()) as usual:
        used = in_thread(lambda: aio.run(running_loop(aio), loop_factory=None))
    assert type(used) is type(usual)


class Awaitable:
    """Awaitable, and neither a coroutine nor a future."""

    def __await__(self) -> Generator[None, None, str]:
        yield
        return "awaited"


@requirement("run/accepts-any-awaitable")
def test_run_accepts_any_awaitable(run: Run) -> None:
    assert run(Awaitable()) == "awaited"


@pytest.mark.parametrize("argument", [None, 1, "text", finish_with], ids=["None", "1", "text", "function"])
@requirement("run/rejects-non-coroutines")
def test_run_refuses_what_is_no_coroutine(aio: Any, argument: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        aio.run(argument)


@requirement("run/cancels-leftover-tasks")
def test_run_cancels_the_tasks_left_over_and_waits_for_their_clean_up(run: Run, aio: Any) -> None:
    order: list[str] = []
    tasks: list[Any] = []

    async def wait(name: str) -> None:
        try:
            await aio.sleep(3600)
        except aio.CancelledError:
            await aio.sleep(0.001)
            order.append(f"{name} cleaned up")
            raise

    async def main() -> None:
        tasks.extend(aio.create_task(wait(name)) for name in "ab")
        await aio.sleep(0)
        order.append("main ends")

    run(main())
    assert (order[0], sorted(order[1:])) == ("main ends", ["a cleaned up", "b cleaned up"])
    assert [task.cancelled() for task in tasks] == [True, True]


@requirement("run/cancels-leftover-tasks")
def test_run_cancels_the_tasks_left_over_by_a_coroutine_that_raised(run: Run, aio: Any) -> None:
    tasks: list[Any] = []

    async def main() -> None:
        tasks.append(aio.create_task(aio.sleep(3600)))
        raise LookupError("expected")

    with pytest.raises(LookupError):
        run(main())
    assert [task.cancelled() for task in tasks] == [True]


@requirement("run/cancels-leftover-tasks")
def test_a_task_left_over_may_end_well_in_spite_of_its_cancellation(run: Run, aio: Any) -> None:
    tasks: list[Any] = []

    async def refuse_to_be_cancelled() -> str:
        try:
            await aio.sleep(3600)
        except aio.CancelledError:
            await aio.sleep(0)
        return "finished"

    async def main() -> None:
        tasks.append(aio.create_task(refuse_to_be_cancelled()))
        await aio.sleep(0)

    run(main())
    assert [task.result() for task in tasks] == ["finished"]


@requirement("run/reports-leftover-task-exceptions")
def test_the_exception_of_a_task_left_over_goes_to_the_exception_handler(run: Run, aio: Any) -> None:
    reported: list[dict[str, Any]] = []
    raised = LookupError("expected")
    tasks: list[Any] = []

    async def fail_when_cancelled() -> None:
        try:
            await aio.sleep(3600)
        finally:
            raise raised

    async def main() -> None:
        aio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        tasks.append(aio.create_task(fail_when_cancelled()))
        await aio.sleep(0)

    run(main())
    assert len(reported) == 1
    assert isinstance(reported[0]["message"], str)
    assert (reported[0]["exception"] is raised, reported[0]["task"] is tasks[0]) == (True, True)


EVENT_LOOP_WITHOUT_POLICY = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
calls = []

class Policy(aio.AbstractEventLoopPolicy):
    def get_event_loop(self):
        calls.append("get_event_loop")

    def set_event_loop(self, loop):
        calls.append("set_event_loop")

    def new_event_loop(self):
        calls.append("new_event_loop")

aio.set_event_loop_policy(Policy())

async def main():
    return isinstance(aio.get_running_loop(), aio.EventLoop)

print(aio.run(main(), loop_factory=aio.EventLoop), calls)
"""


@requirement("run/eventloop-factory-bypasses-policy")
def test_event_loop_as_the_factory_asks_no_policy(run_program: RunProgram) -> None:
    finished = run_program(EVENT_LOOP_WITHOUT_POLICY)
    assert (finished.stdout, finished.returncode) == ("True []\n", 0), finished.stderr
