"""Sleeping: ``sleep()``."""

from __future__ import annotations

import inspect
import itertools
import math
import time
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.turns import settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

RESOLUTION = time.get_clock_info("monotonic").resolution
# Never reached: what sleeps this long sleeps until it is cancelled.
LONG = 3600


def earliest(deadline: float) -> float:
    """The first moment at which a sleeper may wake: rounding in the last place is nobody's fault."""
    return deadline - RESOLUTION - 2 * math.ulp(deadline)


@requirement("sleep/accepts-documented-arguments")
async def test_sleep_takes_delay_and_result_by_position_and_by_name(aio: Any) -> None:
    assert inspect.iscoroutinefunction(aio.sleep)
    slept = [await aio.sleep(0), await aio.sleep(0, "positional"), await aio.sleep(delay=0, result="named")]
    assert slept == [None, "positional", "named"]


@pytest.mark.parametrize(
    ("arguments", "keywords"), [((), {}), ((0, None, None), {}), ((0,), {"seconds": 0})], ids=["none", "three", "other"]
)
@requirement("sleep/accepts-documented-arguments")
async def test_sleep_refuses_other_arguments(aio: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        await aio.sleep(*arguments, **keywords)


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("delay", [0.001, 0.005, 0.02])
@requirement("sleep/waits-at-least-delay", "sleep/precision-follows-loop-clock")
async def test_a_sleeper_wakes_once_its_delay_has_passed_on_the_loops_clock(
    loop: AbstractEventLoop, aio: Any, delay: float
) -> None:
    deadline = loop.time() + delay
    await aio.sleep(delay)
    assert loop.time() >= earliest(deadline)


@requirement("sleep/waits-at-least-delay")
async def test_a_delay_is_in_seconds(aio: Any) -> None:
    # Half of the delay: what a unit mistaken for another misses by far, and a clock's coarseness does not reach.
    began = time.monotonic()
    await aio.sleep(0.02)
    assert time.monotonic() - began >= 0.01


@requirement("sleep/waits-at-least-delay")
async def test_a_delay_counts_from_the_await_and_not_from_the_call(aio: Any) -> None:
    sleeping = aio.sleep(0.02)
    await aio.sleep(0.02)
    began = time.monotonic()
    await sleeping
    assert time.monotonic() - began >= 0.01


@requirement("sleep/precision-follows-loop-clock")
async def test_a_sleeper_does_not_wait_for_another_that_began_before_it(loop: AbstractEventLoop, aio: Any) -> None:
    long = loop.create_task(aio.sleep(LONG))
    began = loop.time()
    await settle(aio)
    await aio.sleep(0.001)
    assert (long.done(), loop.time() - began < LONG / 2) == (False, True)
    long.cancel()
    await aio.wait([long])


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("delay", [0, 0.0, -1, 0.001])
@requirement("sleep/returns-given-result")
async def test_sleep_returns_the_object_that_it_was_given(loop: AbstractEventLoop, aio: Any, delay: float) -> None:
    for result in (object(), None, False, ValueError("a result"), [1]):
        assert await aio.sleep(delay, result) is result
        assert await loop.create_task(aio.sleep(delay, result)) is result


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("delay", [0, -1, -math.inf, 1e-9, 0.001])
@requirement("sleep/always-yields-to-others")
async def test_others_run_before_sleep_returns(loop: AbstractEventLoop, aio: Any, delay: float) -> None:
    ran: list[str] = []
    loop.call_soon(ran.append, "other")
    await aio.sleep(delay)
    assert ran == ["other"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("sleep/zero-delay-yields-once")
async def test_a_delay_of_zero_lasts_one_pass_of_the_loop(loop: AbstractEventLoop, aio: Any) -> None:
    passes: list[int] = []
    going = True

    def tick() -> None:
        passes.append(len(passes) + 1)
        if going:
            loop.call_soon(tick)

    loop.call_soon(tick)
    seen = []
    for _ in range(5):
        await aio.sleep(0)
        seen.append(len(passes))
    going = False
    await aio.sleep(0)
    assert seen == [1, 2, 3, 4, 5]


@requirement("sleep/raises-valueerror-for-nan")
async def test_a_delay_that_is_no_number_is_refused(aio: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        await aio.sleep(math.nan)
    with pytest.raises(ValueError):  # noqa: PT011
        await aio.sleep(-math.nan, "result")


@on_loops(PLAIN, DEBUG)
@requirement("CancelledError/raised-on-cancellation", "sleep/waits-at-least-delay")
async def test_a_cancelled_sleeper_wakes_before_its_time(loop: AbstractEventLoop, aio: Any) -> None:
    task = loop.create_task(aio.sleep(LONG))
    await settle(aio)
    task.cancel()
    assert isinstance(await ending(task), aio.CancelledError)
    assert task.cancelled()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("examples/sleep-example")
async def test_a_date_is_shown_five_times_an_interval_apart(loop: AbstractEventLoop, aio: Any) -> None:
    shown: list[float] = []

    async def display_date() -> None:
        for _ in range(5):
            shown.append(loop.time())
            await aio.sleep(0.004)

    await loop.create_task(display_date())
    # Half of the interval: what a unit mistaken for another misses by far, and a clock's coarseness does not reach.
    assert [later - earlier >= 0.002 for earlier, later in itertools.pairwise(shown)] == [True] * 4
