"""Cancellations from outside that meet a ``TaskGroup``: in its body, its exit, beside failures, under time limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending, names
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.members import fail, fail_when_cancelled, wait_for
from conformance.support.turns import settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Any delay does: the deadline is met because nothing else ever happens.
SHORT = 0.002


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("body_waits", [True, False], ids=["in the body", "in the exit"])
@requirement("TaskGroup/omits-body-cancellederror", "TaskGroup/waits-for-all-tasks")
async def test_cancelling_the_task_of_the_block_cancels_the_members_and_the_task(
    loop: AbstractEventLoop, aio: Any, body_waits: bool
) -> None:
    members: list[Any] = []

    async def run() -> None:
        async with aio.TaskGroup() as group:
            members.extend(group.create_task(wait_for(loop.create_future())) for _ in range(2))
            if body_waits:
                await loop.create_future()

    task = loop.create_task(run())
    await settle(aio)
    task.cancel()
    assert isinstance(await ending(task), aio.CancelledError)
    assert task.cancelled()
    assert [member.cancelled() for member in members] == [True, True]


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("body_waits", [True, False], ids=["in the body", "in the exit"])
@requirement("TaskGroup/distinguishes-external-cancellation")
async def test_a_cancellation_beside_a_failure_in_the_same_turn_is_kept(
    loop: AbstractEventLoop, aio: Any, body_waits: bool
) -> None:
    steps: list[object] = []
    gate = loop.create_future()

    async def run() -> None:
        try:
            async with aio.TaskGroup() as group:
                group.create_task(wait_for(gate))
                if body_waits:
                    await loop.create_future()
        except ExceptionGroup as group:
            steps.append(names(group))
            steps.append(aio.current_task().cancelling())
        await loop.create_future()

    task = loop.create_task(run())
    await settle(aio)
    gate.set_exception(ValueError())
    # The member is told of it before, and its group after the parent was cancelled.
    loop.call_soon(task.cancel)
    await settle(aio)
    assert task.cancelled()
    assert steps == [["ValueError"], 1]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/distinguishes-external-cancellation")
async def test_a_cancellation_while_the_members_of_a_failed_group_clean_up_is_kept(
    loop: AbstractEventLoop, aio: Any
) -> None:
    cleaning = loop.create_future()
    steps: list[object] = []

    async def clean_up() -> None:
        try:
            await loop.create_future()
        finally:
            await cleaning

    async def run() -> None:
        try:
            async with aio.TaskGroup() as group:
                group.create_task(clean_up())
                await aio.sleep(0)
                group.create_task(fail(ValueError()))
                await loop.create_future()
        except ExceptionGroup as group:
            steps.append(names(group))
        await loop.create_future()

    task = loop.create_task(run())
    await settle(aio)
    task.cancel()
    await settle(aio)
    assert task.done() is False
    cleaning.set_result(None)
    await settle(aio)
    assert task.cancelled()
    assert (steps, task.cancelling()) == ([["ValueError"]], 1)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/distinguishes-external-cancellation", "TaskGroup/waits-for-all-tasks")
async def test_a_block_cancelled_again_and_again_waits_for_its_members_all_the_same(
    loop: AbstractEventLoop, aio: Any
) -> None:
    cleaning = loop.create_future()
    members: list[Any] = []

    async def clean_up() -> None:
        try:
            await loop.create_future()
        finally:
            await cleaning

    async def run() -> None:
        async with aio.TaskGroup() as group:
            members.append(group.create_task(clean_up()))

    task = loop.create_task(run())
    await settle(aio)
    for _ in range(3):
        task.cancel()
        await settle(aio)
    assert (task.done(), members[0].done()) == (False, False)
    cleaning.set_result(None)
    assert isinstance(await ending(task), aio.CancelledError)
    assert members[0].cancelled()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/recancels-parent-after-group-raise", "TaskGroup/preserves-cancelling-count")
async def test_the_next_await_after_the_exception_group_raises_cancellederror(
    loop: AbstractEventLoop, aio: Any
) -> None:
    steps: list[object] = []

    async def run() -> None:
        try:
            async with aio.TaskGroup() as group:
                group.create_task(fail_when_cancelled(loop, ValueError()))
                await loop.create_future()
        except ExceptionGroup as group:
            steps.extend([names(group), aio.current_task().cancelling()])
        try:
            await aio.sleep(0)
        except aio.CancelledError:
            steps.append("cancelled")
            raise

    task = loop.create_task(run())
    await settle(aio)
    task.cancel()
    assert isinstance(await ending(task), aio.CancelledError)
    assert task.cancelled()
    assert steps == [["ValueError"], 1, "cancelled"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/recancels-parent-after-group-raise")
async def test_the_cancellation_comes_once(loop: AbstractEventLoop, aio: Any) -> None:
    steps: list[object] = []

    async def run() -> None:
        try:
            async with aio.TaskGroup() as group:
                group.create_task(fail_when_cancelled(loop, ValueError()))
        except ExceptionGroup:
            pass
        for _ in range(3):
            try:
                await aio.sleep(0)
                steps.append("went on")
            except aio.CancelledError:
                steps.append("cancelled")

    task = loop.create_task(run())
    await settle(aio)
    task.cancel()
    await task
    assert steps == ["cancelled", "went on", "went on"]


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("body", ["waits", "ends", "catches", "fails"])
@requirement("TaskGroup/preserves-cancelling-count")
async def test_a_failure_leaves_no_request_counted_whatever_the_body_does(
    loop: AbstractEventLoop, aio: Any, body: str
) -> None:
    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail(ValueError()))
            if body != "ends":
                try:
                    await loop.create_future()
                except aio.CancelledError:
                    if body == "waits":
                        raise
                    if body == "fails":
                        raise KeyError from None

    raised = await ending(run())
    assert names(raised) == (["KeyError", "ValueError"] if body == "fails" else ["ValueError"])
    assert aio.current_task().cancelling() == 0
    # Nothing is kept in store for the next await.
    await settle(aio)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/preserves-cancelling-count")
async def test_a_count_from_before_the_block_is_the_count_after_it(loop: AbstractEventLoop, aio: Any) -> None:
    counts: list[int] = []

    async def work() -> None:
        try:
            await loop.create_future()
        finally:
            counts.append(aio.current_task().cancelling())
            async with aio.TaskGroup() as group:
                group.create_task(aio.sleep(0))
            counts.append(aio.current_task().cancelling())
            assert isinstance(await ending(limited()), ExceptionGroup)
            counts.append(aio.current_task().cancelling())

    async def limited() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail(ValueError()))
            await loop.create_future()

    task = loop.create_task(work())
    await settle(aio)
    task.cancel()
    task.cancel()
    await settle(aio)
    assert task.cancelled()
    assert counts == [2, 2, 2]


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("body_waits", [True, False], ids=["in the body", "in the exit"])
@requirement("TaskGroup/distinguishes-external-cancellation", "timeout/raises-timeouterror-on-exit")
async def test_a_time_limit_around_a_group_ends_it_and_raises_timeouterror(
    loop: AbstractEventLoop, aio: Any, body_waits: bool
) -> None:
    with pytest.raises(TimeoutError):  # noqa: PT012 - the block itself raises
        async with aio.timeout(SHORT):
            async with aio.TaskGroup() as group:
                member = group.create_task(wait_for(loop.create_future()))
                if body_waits:
                    await loop.create_future()
    assert (member.cancelled(), aio.current_task().cancelling()) == (True, 0)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/preserves-cancelling-count", "TaskGroup/contains-internal-cancellation")
async def test_a_time_limit_works_on_after_a_group_in_it_has_failed(loop: AbstractEventLoop, aio: Any) -> None:
    with pytest.raises(TimeoutError):  # noqa: PT012 - the block itself raises
        async with aio.timeout(SHORT) as limit:
            limit.reschedule(None)
            with pytest.raises(ExceptionGroup):  # noqa: PT012 - the block itself raises
                async with aio.TaskGroup() as group:
                    group.create_task(fail(ValueError()))
                    await loop.create_future()
            limit.reschedule(loop.time() + SHORT)
            await loop.create_future()
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/distinguishes-external-cancellation", "TaskGroup/recancels-parent-after-group-raise")
async def test_a_time_limit_and_a_failure_in_one_turn_are_both_told(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[object] = []
    gate = loop.create_future()
    loop.call_later(SHORT, gate.set_exception, ValueError())
    with pytest.raises(TimeoutError):  # noqa: PT012 - the block itself raises
        async with aio.timeout(None) as limit:
            gate.add_done_callback(lambda _: limit.reschedule(loop.time() - 1))
            try:
                async with aio.TaskGroup() as group:
                    group.create_task(wait_for(gate))
                    await loop.create_future()
            except ExceptionGroup as raised:
                seen.append(names(raised))
                await loop.create_future()
    assert seen == [["ValueError"]]
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/cancels-parent-on-failure", "TaskGroup/preserves-cancelling-count")
async def test_a_time_limit_within_a_group_does_not_take_a_failure_for_its_expiry(
    loop: AbstractEventLoop, aio: Any
) -> None:
    seen: list[object] = []

    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail(ValueError()))
            try:
                async with aio.timeout(3600):
                    await loop.create_future()
            except BaseException as error:
                seen.append(type(error))
                raise

    assert names(await ending(run())) == ["ValueError"]
    assert seen == [aio.CancelledError]
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/tolerates-cancelled-member", "TaskGroup/waits-for-all-tasks")
async def test_a_member_that_times_out_within_itself_disturbs_nobody(loop: AbstractEventLoop, aio: Any) -> None:
    async def limited() -> str:
        try:
            async with aio.timeout(SHORT):
                await loop.create_future()
        except TimeoutError:
            return "timed out"
        return "not timed out"

    async with aio.TaskGroup() as group:
        members = [group.create_task(limited()) for _ in range(3)]
    assert [member.result() for member in members] == ["timed out"] * 3
    assert aio.current_task().cancelling() == 0
