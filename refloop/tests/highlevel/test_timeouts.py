"""timeout(), timeout_at(), Timeout: time limits of blocks, and whose cancellation it was."""

from __future__ import annotations

from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement

# Long beside what a test does before it ends.
LONG = 60


@requirement("timeout/cancels-current-task-on-expiry", "timeout/raises-timeouterror-on-exit")
@requirement("timeout/timeouterror-only-outside-block", "Timeout.expired/returns-whether-deadline-passed")
@requirement("timeout/returns-timeout-context-manager", "Timeout/enters-as-itself")
async def test_the_block_is_cancelled_and_raises_timeouterror_when_it_is_left(aio: Any) -> None:
    seen: list[str] = []
    limit = aio.timeout(0.001)
    assert isinstance(limit, aio.Timeout)

    async def run() -> None:
        async with limit as entered:
            assert entered is limit
            assert limit.expired() is False
            try:
                await aio.sleep(LONG)
            except aio.CancelledError:
                seen.append("cancelled inside")
                assert limit.expired() is True
                raise

    error = await outcome(run())
    assert type(error) is TimeoutError
    assert isinstance(error.__cause__, aio.CancelledError)
    assert seen
    assert limit.expired() is True
    assert aio.current_task().cancelling() == 0


@requirement("timeout/silent-when-in-time", "timeout/accepts-documented-arguments")
@pytest.mark.parametrize("delay", [LONG, 0.5 + LONG, None])
async def test_a_block_that_ends_in_time_raises_nothing(aio: Any, delay: float | None) -> None:
    async with aio.timeout(delay) as limit:
        await aio.sleep(0)
    assert limit.expired() is False
    assert aio.current_task().cancelling() == 0


@requirement("timeout/none-means-no-limit", "Timeout/none-never-expires", "Timeout.when/returns-current-deadline")
@requirement("Timeout/accepts-documented-arguments", "timeout_at/accepts-documented-arguments")
async def test_none_means_no_deadline(aio: Any) -> None:
    for limit in (aio.timeout(None), aio.timeout_at(None), aio.Timeout(None)):
        assert limit.when() is None
        async with limit:
            await aio.sleep(0)
        assert not limit.expired()


@requirement("timeout_at/expires-at-absolute-deadline", "Timeout.when/returns-current-deadline")
async def test_a_deadline_is_a_time_of_the_loop(aio: Any) -> None:
    loop = aio.get_running_loop()
    when = loop.time() + 0.01
    limit = aio.timeout_at(when)
    assert limit.when() == when

    async def run() -> None:
        async with limit:
            await aio.sleep(LONG)

    assert isinstance(await outcome(run()), TimeoutError)
    assert loop.time() >= when - 0.001


@requirement("Timeout/past-deadline-expires-next-iteration")
@pytest.mark.parametrize("delay", [0, -1])
async def test_a_deadline_in_the_past_expires_at_the_first_suspension(aio: Any, delay: float) -> None:
    reached: list[str] = []

    async def run() -> None:
        async with aio.timeout(delay):
            reached.append("body")
            await aio.sleep(LONG)

    assert isinstance(await outcome(run()), TimeoutError)
    assert reached


@requirement("Timeout.reschedule/replaces-deadline", "timeout/reschedulable-after-creation")
async def test_the_deadline_can_be_moved_both_ways_and_removed(aio: Any) -> None:
    loop = aio.get_running_loop()
    async with aio.timeout(0.001) as limit:
        limit.reschedule(None)
        assert limit.when() is None
        await aio.sleep(0.003)
    when = loop.time() - 1

    async def run() -> None:
        async with aio.timeout(None) as limit:
            limit.reschedule(when)
            assert limit.when() == when
            await aio.sleep(LONG)

    assert isinstance(await outcome(run()), TimeoutError)


@requirement("Timeout.reschedule/raises-when-inactive")
async def test_it_can_be_rescheduled_only_within_its_block(aio: Any) -> None:
    limit = aio.timeout(LONG)
    with pytest.raises(RuntimeError):
        limit.reschedule(None)
    async with limit:
        pass
    with pytest.raises(RuntimeError):
        limit.reschedule(None)
    with pytest.raises(RuntimeError):
        await limit.__aenter__()


@requirement("timeout/nests-safely")
async def test_only_the_nested_block_whose_deadline_passed_raises(aio: Any) -> None:
    async with aio.timeout(LONG) as outer:
        with pytest.raises(TimeoutError):
            async with aio.timeout(0) as inner:
                await aio.sleep(LONG)
        assert inner.expired()
        await aio.sleep(0)
    assert not outer.expired()


@requirement("timeout/nests-safely")
async def test_the_outer_deadline_passes_through_the_inner_block_as_a_cancellation(aio: Any) -> None:
    seen: list[object] = []

    async def run() -> None:
        async with aio.timeout(0):
            try:
                async with aio.timeout(LONG):
                    await aio.sleep(LONG)
            except BaseException as error:
                seen.append(type(error))
                raise

    assert isinstance(await outcome(run()), TimeoutError)
    assert seen == [aio.CancelledError]
    assert aio.current_task().cancelling() == 0


@requirement("timeout/nests-safely")
async def test_when_both_deadlines_pass_the_outer_block_raises(aio: Any) -> None:
    outer, inner = aio.timeout(0), aio.timeout(0)

    async def run() -> None:
        async with outer:
            async with inner:
                await aio.sleep(LONG)

    assert isinstance(await outcome(run()), TimeoutError)
    assert outer.expired()
    assert aio.current_task().cancelling() == 0


@requirement("Timeout/passes-external-cancellation")
async def test_a_cancellation_from_elsewhere_stays_a_cancellation(aio: Any, loop: Any) -> None:
    async def run() -> None:
        async with aio.timeout(LONG):
            await aio.sleep(LONG)

    task = loop.create_task(run())
    await settle()
    task.cancel("by somebody")
    error = await outcome(task)
    assert isinstance(error, aio.CancelledError)
    assert task.cancelled()


@requirement("Timeout/passes-external-cancellation")
async def test_a_cancellation_from_elsewhere_wins_over_an_expiry_at_the_same_time(aio: Any, loop: Any) -> None:
    limits: list[Any] = []

    async def run() -> None:
        async with aio.timeout(None) as limit:
            limits.append(limit)
            await aio.sleep(LONG)

    task = loop.create_task(run())
    await settle()
    limits[0].reschedule(0)
    task.cancel()
    await settle()
    assert task.cancelled()
    assert limits[0].expired() in (True, False)


async def test_other_exceptions_pass_although_the_deadline_has_passed(aio: Any) -> None:
    async def run() -> None:
        async with aio.timeout(0):
            try:
                await aio.sleep(LONG)
            finally:
                raise ZeroDivisionError

    assert isinstance(await outcome(run()), ZeroDivisionError)
    assert aio.current_task().cancelling() == 0


@requirement("Task.uncancel/code-after-structured-block-continues")
async def test_after_an_expired_block_the_task_goes_on(aio: Any) -> None:
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with aio.timeout(0):
                await aio.sleep(LONG)
        await settle(2)


@requirement("timeout/leaves-other-tasks-alone")
async def test_other_tasks_are_left_alone(aio: Any, loop: Any) -> None:
    other = loop.create_task(aio.sleep(LONG))
    with pytest.raises(TimeoutError):
        async with aio.timeout(0):
            await aio.shield(other)
    assert not other.done()


def test_outside_a_task_it_raises_runtimeerror(aio: Any, loop: Any) -> None:
    raised: list[object] = []

    def call() -> None:
        entering = aio.timeout(1).__aenter__()
        try:
            entering.send(None)
        except RuntimeError as error:
            raised.append(error)
        loop.stop()

    loop.call_soon(call)
    loop.run_forever()
    assert raised
