"""Time limits of blocks: ``timeout()``, ``timeout_at()`` and ``Timeout``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.members import wait_for
from conformance.support.turns import settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Never reached: what waits this long waits for a promise that is broken.
LONG = 3600
# Any delay does: the deadline is met because nothing else ever happens.
SHORT = 0.002
# What a loop that counts in whole milliseconds may be off by.
GRANULARITY = 0.001


@requirement("timeout/accepts-documented-arguments")
async def test_timeout_takes_seconds_as_int_or_float_or_none(aio: Any) -> None:
    for delay in (LONG, LONG + 0.5, None):
        async with aio.timeout(delay), aio.timeout(delay=delay):
            await aio.sleep(0)
    for arguments, keywords in (((), {}), ((1, 2), {}), ((), {"when": 1})):
        with pytest.raises(TypeError):
            aio.timeout(*arguments, **keywords)


@requirement("timeout_at/accepts-documented-arguments")
async def test_timeout_at_takes_a_time_of_the_loop_or_none(loop: AbstractEventLoop, aio: Any) -> None:
    for when in (loop.time() + LONG, int(loop.time()) + LONG, None):
        async with aio.timeout_at(when), aio.timeout_at(when=when):
            await aio.sleep(0)
    for arguments, keywords in (((), {}), ((1, 2), {}), ((), {"delay": 1})):
        with pytest.raises(TypeError):
            aio.timeout_at(*arguments, **keywords)


@requirement("Timeout/accepts-documented-arguments")
async def test_the_constructor_takes_a_time_of_the_loop_or_none(loop: AbstractEventLoop, aio: Any) -> None:
    for when in (loop.time() + LONG, None):
        async with aio.Timeout(when), aio.Timeout(when=when):
            await aio.sleep(0)
    for arguments, keywords in (((), {}), ((1, 2), {}), ((), {"delay": 1})):
        with pytest.raises(TypeError):
            aio.Timeout(*arguments, **keywords)


@requirement("timeout/returns-timeout-context-manager", "Timeout/enters-as-itself")
async def test_a_timeout_is_entered_as_itself(loop: AbstractEventLoop, aio: Any) -> None:
    for limit in (aio.timeout(LONG), aio.timeout(None), aio.timeout_at(loop.time() + LONG), aio.Timeout(None)):
        assert isinstance(limit, aio.Timeout)
        async with limit as entered:
            assert entered is limit


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("timeout/none-means-no-limit", "Timeout/none-never-expires", "Timeout.when/returns-current-deadline")
async def test_without_a_deadline_a_block_takes_its_time(loop: AbstractEventLoop, aio: Any) -> None:
    for limit in (aio.timeout(None), aio.timeout_at(None), aio.Timeout(None)):
        async with limit:
            await aio.sleep(SHORT)
            assert limit.when() is None
        assert (limit.expired(), aio.current_task(loop).cancelling()) == (False, 0)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("timeout/cancels-current-task-on-expiry", "timeout/timeouterror-only-outside-block")
@requirement("timeout/raises-timeouterror-on-exit")
async def test_the_block_is_cancelled_inside_and_raises_timeouterror_outside(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[object] = []
    future = loop.create_future()
    with pytest.raises(TimeoutError) as caught:  # noqa: PT012 - the block itself raises
        async with aio.timeout(SHORT):
            try:
                await future
            except BaseException as error:
                seen.append(type(error))
                seen.append(aio.current_task().cancelling())
                raise
    assert caught.type is TimeoutError
    assert seen == [aio.CancelledError, 1]
    assert (future.cancelled(), aio.current_task().cancelling()) == (True, 0)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("timeout/cancels-current-task-on-expiry")
async def test_a_task_that_waits_in_several_blocks_one_after_the_other_is_cancelled_once_in_each(
    loop: AbstractEventLoop, aio: Any
) -> None:
    steps: list[str] = []
    for _ in range(3):
        try:
            async with aio.timeout(SHORT):
                await loop.create_future()
            steps.append("not timed out")
        except TimeoutError:
            steps.append("timed out")
        await settle(aio)
    assert steps == ["timed out"] * 3


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("timeout/silent-when-in-time")
async def test_a_block_that_ends_in_time_raises_nothing_then_or_later(loop: AbstractEventLoop, aio: Any) -> None:
    async with aio.timeout(LONG) as limit:
        future = loop.create_future()
        loop.call_soon(future.set_result, "result")
        result = await future
        # Passes after the block, which does not wait any more.
        limit.reschedule(loop.time() + SHORT)
    await aio.sleep(5 * SHORT)
    assert (result, limit.expired(), aio.current_task().cancelling()) == ("result", False, 0)


@requirement("timeout/silent-when-in-time")
async def test_an_exception_of_the_block_in_time_passes(aio: Any) -> None:
    error = ValueError()
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - compared below
        async with aio.timeout(LONG):
            raise error
    assert caught.value is error


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("timeout_at/expires-at-absolute-deadline", "Timeout.when/returns-current-deadline")
async def test_timeout_at_expires_when_the_loops_clock_reaches_the_deadline(loop: AbstractEventLoop, aio: Any) -> None:
    deadline = loop.time() + 0.01
    limit = aio.timeout_at(deadline)
    # Entered late: the deadline is one of the clock and does not begin to count with the block.
    await aio.sleep(SHORT)
    with pytest.raises(TimeoutError):  # noqa: PT012 - the block itself raises
        async with limit:
            assert limit.when() == deadline
            await loop.create_future()
    assert loop.time() >= deadline - GRANULARITY
    assert limit.when() == deadline


@requirement("Timeout.when/returns-current-deadline")
async def test_timeout_counts_from_its_call(loop: AbstractEventLoop, aio: Any) -> None:
    before = loop.time()
    limit = aio.timeout(LONG)
    after = loop.time()
    assert before + LONG - GRANULARITY < limit.when() < after + LONG + GRANULARITY
    deadline = limit.when()
    async with limit:
        assert limit.when() == deadline
    assert limit.when() == deadline


@requirement("timeout/accepts-documented-arguments")
async def test_a_delay_is_in_seconds_and_not_over_before_they_are(loop: AbstractEventLoop, aio: Any) -> None:
    # Half of the delay: what a unit mistaken for another misses by far, and a clock's coarseness does not reach.
    began = loop.time()
    with pytest.raises(TimeoutError):
        async with aio.timeout(0.02):
            await loop.create_future()
    assert loop.time() - began >= 0.01


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("function", ["timeout", "timeout_at"])
@pytest.mark.parametrize("delay", [0, -1, -LONG])
@requirement("Timeout/past-deadline-expires-next-iteration")
async def test_a_deadline_in_the_past_expires_in_the_next_iteration(
    loop: AbstractEventLoop, aio: Any, delay: float, function: str
) -> None:
    seen: list[str] = []
    with pytest.raises(TimeoutError):  # noqa: PT012 - the block itself raises
        async with aio.timeout(delay) if function == "timeout" else aio.timeout_at(loop.time() + delay) as limit:
            seen.append(f"expired at entry: {limit.expired()}")
            await aio.sleep(0)
            await aio.sleep(0)
            seen.append("two iterations later")
    assert seen == ["expired at entry: False"]


@pytest.mark.parametrize("delay", [0, -1])
@requirement("Timeout/past-deadline-expires-next-iteration", "timeout/silent-when-in-time")
async def test_a_block_that_never_waits_ends_before_the_next_iteration(aio: Any, delay: float) -> None:
    async with aio.timeout(delay) as limit:
        pass
    await settle(aio)
    assert (limit.expired(), aio.current_task().cancelling()) == (False, 0)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Timeout.reschedule/replaces-deadline", "timeout/reschedulable-after-creation")
async def test_a_deadline_can_be_brought_forward(loop: AbstractEventLoop, aio: Any) -> None:
    for first in (LONG, None):
        with pytest.raises(TimeoutError):  # noqa: PT012 - the block itself raises
            async with aio.timeout(first) as limit:
                deadline = loop.time() + SHORT
                limit.reschedule(deadline)
                assert limit.when() == deadline
                await loop.create_future()
        assert limit.expired() is True


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Timeout.reschedule/replaces-deadline")
async def test_a_deadline_can_be_put_off_and_taken_away(loop: AbstractEventLoop, aio: Any) -> None:
    for second in (loop.time() + LONG, None):
        async with aio.timeout(SHORT) as limit:
            limit.reschedule(second)
            assert limit.when() == second
            await aio.sleep(5 * SHORT)
        assert (limit.expired(), aio.current_task().cancelling()) == (False, 0)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Timeout.reschedule/replaces-deadline", "Timeout/past-deadline-expires-next-iteration")
async def test_a_deadline_can_be_moved_into_the_past_from_another_task(loop: AbstractEventLoop, aio: Any) -> None:
    limits: list[Any] = []

    async def limited() -> str:
        try:
            async with aio.timeout(None) as limit:
                limits.append(limit)
                await loop.create_future()
        except TimeoutError:
            return "timed out"
        return "not timed out"

    task = loop.create_task(limited())
    await settle(aio)
    limits[0].reschedule(loop.time() - 1)
    assert await task == "timed out"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Timeout.reschedule/replaces-deadline")
async def test_the_last_of_several_deadlines_counts(loop: AbstractEventLoop, aio: Any) -> None:
    async with aio.timeout(SHORT) as limit:
        for when in (loop.time() - 1, loop.time() + SHORT, loop.time(), None, loop.time() + LONG):
            limit.reschedule(when)
        await aio.sleep(5 * SHORT)
    assert (limit.expired(), aio.current_task().cancelling()) == (False, 0)


@requirement("Timeout.reschedule/raises-when-inactive")
async def test_a_deadline_cannot_be_moved_outside_the_block(loop: AbstractEventLoop, aio: Any) -> None:
    for limit, body in ((aio.timeout(LONG), aio.sleep(0)), (aio.timeout(SHORT), wait_for(loop.create_future()))):
        with pytest.raises(RuntimeError):
            limit.reschedule(loop.time() + LONG)
        try:
            async with limit:
                await body
        except TimeoutError:
            pass
        for when in (loop.time() + LONG, None):
            with pytest.raises(RuntimeError):
                limit.reschedule(when)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Timeout.expired/returns-whether-deadline-passed")
async def test_expired_is_true_once_the_deadline_has_passed_and_stays_so(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[object] = []
    limit = aio.timeout(SHORT)
    seen.append(limit.expired())
    with pytest.raises(TimeoutError):  # noqa: PT012 - the block itself raises
        async with limit:
            seen.append(limit.expired())
            try:
                await loop.create_future()
            finally:
                seen.append(limit.expired())
    seen.append(limit.expired())
    assert seen == [False, False, True, True]


@requirement("Timeout.expired/returns-whether-deadline-passed")
async def test_expired_is_false_after_another_exception(aio: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - raised in the block
        async with aio.timeout(LONG) as limit:
            raise ValueError
    assert limit.expired() is False


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("timeout/leaves-other-tasks-alone")
async def test_other_tasks_are_left_alone(loop: AbstractEventLoop, aio: Any) -> None:
    gate = loop.create_future()
    before = loop.create_task(wait_for(gate))
    with pytest.raises(TimeoutError):  # noqa: PT012 - the block itself raises
        async with aio.timeout(SHORT):
            within = loop.create_task(wait_for(gate))
            await aio.wait([before, within])
    await settle(aio)
    assert [(task.done(), task.cancelling()) for task in (before, within)] == [(False, 0)] * 2
    gate.set_result("went on")
    assert await aio.gather(before, within) == ["went on"] * 2


@requirement("timeout/leaves-other-tasks-alone")
async def test_two_tasks_with_limits_expire_each_for_itself(loop: AbstractEventLoop, aio: Any) -> None:
    gate = loop.create_future()

    async def limited(delay: float) -> str:
        try:
            async with aio.timeout(delay):
                await aio.shield(gate)
        except TimeoutError:
            return "timed out"
        return "in time"

    short, long = loop.create_task(limited(SHORT)), loop.create_task(limited(LONG))
    assert await short == "timed out"
    gate.set_result(None)
    assert await long == "in time"
