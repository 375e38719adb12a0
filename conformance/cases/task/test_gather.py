"""Running awaitables at once: what ``gather()`` takes and gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.members import fail
from conformance.support.threads import in_thread
from conformance.support.turns import settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Generator

# An order in which no two neighbours are sorted either way for long.
SHUFFLED = [7, 2, 9, 4, 0, 5, 8, 1, 6, 3]


async def give(value: object) -> object:
    return value


class Awaitable:
    """Neither a coroutine nor a future."""

    def __init__(self, future: Future[Any]) -> None:
        self.future = future

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.future.__await__()


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("return_exceptions", [False, True])
@requirement("gather/accepts-documented-arguments", "gather/returns-results-in-argument-order")
async def test_gather_takes_awaitables_of_every_kind(
    loop: AbstractEventLoop, aio: Any, return_exceptions: bool
) -> None:
    future, other = loop.create_future(), loop.create_future()
    loop.call_soon(future.set_result, "future")
    loop.call_soon(other.set_result, "object")
    kinds = [give("coroutine"), loop.create_task(give("task")), future, Awaitable(other), aio.shield(give("shield"))]
    gathered = await aio.gather(*kinds, return_exceptions=return_exceptions)
    assert gathered == ["coroutine", "task", "future", "object", "shield"]


@requirement("gather/accepts-documented-arguments")
async def test_gather_takes_return_exceptions_by_name_only(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    with pytest.raises(TypeError):
        aio.gather(future, True)
    with pytest.raises(TypeError):
        aio.gather(future, timeout=1)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/runs-awaitables-concurrently")
async def test_each_awaitable_may_wait_for_the_last_one_to_start(loop: AbstractEventLoop, aio: Any) -> None:
    everybody_here = loop.create_future()
    here: list[int] = []

    async def arrive(number: int) -> int:
        here.append(number)
        if len(here) == 100:
            everybody_here.set_result(None)
        await everybody_here
        return number

    assert await aio.gather(*(arrive(number) for number in range(100))) == list(range(100))
    assert sorted(here) == list(range(100))


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/wraps-coroutines-in-tasks")
async def test_each_coroutine_runs_in_a_task_of_its_own(loop: AbstractEventLoop, aio: Any) -> None:
    async def who() -> Any:
        await aio.sleep(0)
        return aio.current_task(loop)

    tasks = await aio.gather(who(), who())
    assert [isinstance(task, aio.Task) for task in tasks] == [True, True]
    assert len({id(task) for task in (*tasks, aio.current_task())}) == 3


@on_loops(PLAIN, DEBUG)
@requirement("gather/wraps-coroutines-in-tasks", "gather/returns-future-like-awaitable")
async def test_the_awaitables_run_although_nobody_awaits_the_gathering(loop: AbstractEventLoop, aio: Any) -> None:
    ran: list[str] = []

    async def run(name: str) -> str:
        await aio.sleep(0)
        ran.append(name)
        return name

    gathering = aio.gather(run("first"), run("second"))
    assert aio.isfuture(gathering) is True
    assert gathering.get_loop() is loop
    assert aio.iscoroutine(gathering) is False
    assert (gathering.done(), ran) == (False, [])
    await settle(aio)
    assert sorted(ran) == ["first", "second"]
    assert gathering.result() == ["first", "second"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/returns-results-in-argument-order")
async def test_results_stand_in_the_order_of_the_arguments_whatever_finishes_first(
    loop: AbstractEventLoop, aio: Any
) -> None:
    futures = [loop.create_future() for _ in SHUFFLED]
    gathering = aio.gather(*futures)
    for number in SHUFFLED:
        futures[number].set_result(number)
        await aio.sleep(0)
    assert await gathering == list(range(len(SHUFFLED)))


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/returns-results-in-argument-order")
async def test_what_is_done_already_has_its_place_among_the_results(loop: AbstractEventLoop, aio: Any) -> None:
    done, pending, finished = loop.create_future(), loop.create_future(), loop.create_task(give("finished"))
    done.set_result("done")
    await aio.wait([finished])
    loop.call_soon(pending.set_result, "pending")
    assert await aio.gather(done, pending, finished) == ["done", "pending", "finished"]
    assert await aio.gather(done, finished) == ["done", "finished"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/returns-results-in-argument-order")
async def test_a_future_given_twice_gives_its_result_twice(loop: AbstractEventLoop, aio: Any) -> None:
    future, other = loop.create_future(), loop.create_task(give("other"))
    gathering = aio.gather(future, other, future)
    await settle(aio)
    assert gathering.done() is False
    future.set_result("twice")
    assert await gathering == ["twice", "other", "twice"]


@pytest.mark.parametrize("return_exceptions", [False, True])
@requirement("gather/returns-empty-list-without-arguments")
async def test_nothing_gathered_is_an_empty_list(aio: Any, return_exceptions: bool) -> None:
    assert await aio.gather(return_exceptions=return_exceptions) == []


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/raises-first-exception-at-once", "gather/keeps-others-running-after-exception")
async def test_the_first_exception_is_raised_at_once_while_the_others_run_on(loop: AbstractEventLoop, aio: Any) -> None:
    gate, error = loop.create_future(), ValueError("first")

    async def work() -> str:
        await gate
        await aio.sleep(0)
        return "ran on"

    slow = loop.create_task(work())
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared below
        await aio.gather(slow, fail(error), gate)
    assert caught.value is error
    assert [slow.done(), gate.done()] == [False, False]
    gate.set_result(None)
    assert await slow == "ran on"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/raises-first-exception-at-once")
async def test_the_exception_raised_is_the_first_in_time_and_not_in_order(loop: AbstractEventLoop, aio: Any) -> None:
    early, late = loop.create_future(), loop.create_future()
    gathering = aio.gather(late, early)
    early.set_exception(KeyError("early"))
    late.set_exception(ValueError("late"))
    assert isinstance(await ending(gathering), KeyError)
    late.exception()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/raises-first-exception-at-once")
async def test_an_exception_that_is_there_already_is_raised(loop: AbstractEventLoop, aio: Any) -> None:
    failed, pending = loop.create_future(), loop.create_future()
    failed.set_exception(ValueError())
    assert isinstance(await ending(aio.gather(pending, failed)), ValueError)
    assert pending.done() is False


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/returns-exceptions-as-results")
async def test_exceptions_may_stand_among_the_results(loop: AbstractEventLoop, aio: Any) -> None:
    first, second = ValueError("first"), KeyError("second")
    gate = loop.create_future()
    gathering = aio.gather(fail(first), gate, fail(second), give("last"), return_exceptions=True)
    await settle(aio)
    assert gathering.done() is False
    gate.set_result("gate")
    results = await gathering
    assert results == [first, "gate", second, "last"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/returns-exceptions-as-results", "gather/treats-cancelled-child-as-exception")
async def test_a_cancelled_awaitable_stands_among_the_results_as_cancellederror(
    loop: AbstractEventLoop, aio: Any
) -> None:
    cancelled, other = loop.create_future(), loop.create_future()
    gathering = aio.gather(cancelled, other, return_exceptions=True)
    cancelled.cancel()
    await settle(aio)
    assert gathering.done() is False
    other.set_result("other")
    first, second = await gathering
    assert (type(first), second) == (aio.CancelledError, "other")


@pytest.mark.parametrize("running", [True, False])
@requirement("gather/rejects-mixed-loops")
def test_futures_of_different_loops_are_refused(loop: AbstractEventLoop, aio: Any, target: Any, running: bool) -> None:
    other = target.make_loop()
    own, foreign = loop.create_future(), other.create_future()

    async def gather() -> None:
        await aio.gather(own, foreign)

    with pytest.raises(ValueError):  # noqa: PT011, PT012 - no text is promised
        if running:
            loop.run_until_complete(gather())
        else:
            aio.gather(own, foreign)
    other.close()


@requirement("gather/rejects-mixed-loops")
def test_futures_of_one_loop_are_gathered_before_it_runs(loop: AbstractEventLoop, aio: Any) -> None:
    futures = [loop.create_future() for _ in range(3)]
    gathering = aio.gather(*futures)
    for number, future in enumerate(futures):
        loop.call_soon(future.set_result, number)
    assert loop.run_until_complete(gathering) == [0, 1, 2]


@pytest.mark.parametrize("arguments", [0, 1])
@requirement("gather/deprecates-call-without-loop")
def test_without_any_loop_there_is_nothing_to_run_coroutines_in(aio: Any, arguments: int) -> None:
    coroutines = [give(number) for number in range(arguments)]

    def gather() -> None:
        with pytest.raises(RuntimeError):
            aio.gather(*coroutines)

    # A thread of its own never has a loop set.
    in_thread(gather)
    for coroutine in coroutines:
        coroutine.close()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("gather/interleaves-counting-tasks")
async def test_three_that_count_take_their_steps_side_by_side(loop: AbstractEventLoop, aio: Any) -> None:
    counted: list[str] = []

    async def count() -> None:
        counted.append("One")
        await aio.sleep(0.002)
        counted.append("Two")
        await aio.sleep(0.002)

    async def main() -> None:
        await aio.gather(count(), count(), count())

    await loop.create_task(main())
    assert counted == ["One"] * 3 + ["Two"] * 3


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("examples/gather-example")
async def test_three_factorials_are_computed_side_by_side(loop: AbstractEventLoop, aio: Any) -> None:
    steps: dict[str, list[int]] = {"A": [], "B": [], "C": []}
    began: list[str] = []

    async def factorial(name: str, number: int) -> int:
        began.append(name)
        product = 1
        for factor in range(2, number + 1):
            steps[name].append(factor)
            await aio.sleep(0.001)
            product *= factor
        # Nobody ends before all have begun.
        assert sorted(began) == ["A", "B", "C"]
        return product

    async def main() -> list[int]:
        found: list[int] = await aio.gather(factorial("A", 2), factorial("B", 3), factorial("C", 4))
        return found

    assert await loop.create_task(main()) == [2, 6, 24]
    assert steps == {"A": [2], "B": [2, 3], "C": [2, 3, 4]}
