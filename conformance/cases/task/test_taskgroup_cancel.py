"""The early end of a group that is no failure: ``TaskGroup.cancel()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending, names
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.members import fail_when_cancelled, wait_for
from conformance.support.turns import settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup.cancel/cancels-members-and-body", "TaskGroup.cancel/exits-without-cancellederror")
async def test_it_cancels_members_and_body_and_raises_nothing(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[object] = []
    async with aio.TaskGroup() as group:
        done = group.create_task(aio.sleep(0, "done before"))
        await settle(aio)
        members = [group.create_task(wait_for(loop.create_future())) for _ in range(2)]
        assert group.cancel() is None
        try:
            await aio.sleep(0)
            seen.append("not cancelled")
        except BaseException as error:
            seen.append(type(error))
            raise
    assert seen == [aio.CancelledError]
    assert (done.result(), [member.cancelled() for member in members]) == ("done before", [True, True])
    assert aio.current_task().cancelling() == 0
    await settle(aio)


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("members", [0, 1])
@requirement("TaskGroup.cancel/exits-without-cancellederror")
async def test_a_body_that_ends_without_another_await_leaves_no_cancellation_behind(
    loop: AbstractEventLoop, aio: Any, members: int
) -> None:
    async with aio.TaskGroup() as group:
        for _ in range(members):
            group.create_task(wait_for(loop.create_future()))
        group.cancel()
    assert aio.current_task().cancelling() == 0
    await settle(aio)


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("body_waits", [True, False], ids=["in the body", "in the exit"])
@requirement("TaskGroup.cancel/callable-from-any-task", "TaskGroup.cancel/works-as-bound-method")
async def test_another_task_calls_the_bound_method_that_it_was_given_beforehand(
    loop: AbstractEventLoop, aio: Any, body_waits: bool
) -> None:
    gate = loop.create_future()
    group = aio.TaskGroup()

    async def stop(cancel: Any) -> None:
        await gate
        cancel()

    stopper = loop.create_task(stop(group.cancel))
    loop.call_later(0.002, gate.set_result, None)
    async with group:
        member = group.create_task(wait_for(loop.create_future()))
        if body_waits:
            await loop.create_future()
    await stopper
    assert member.cancelled()
    assert aio.current_task().cancelling() == 0
    await settle(aio)


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("body_waits", [True, False], ids=["in the body", "in the exit"])
@requirement("TaskGroup.cancel/callable-from-any-task", "TaskGroup.cancel/cancels-members-and-body")
async def test_a_member_may_call_it_and_is_cancelled_itself(
    loop: AbstractEventLoop, aio: Any, body_waits: bool
) -> None:
    async def stop() -> None:
        await aio.sleep(0)
        group.cancel()
        await loop.create_future()

    async with aio.TaskGroup() as group:
        members = [group.create_task(stop()), group.create_task(wait_for(loop.create_future()))]
        if body_waits:
            await loop.create_future()
    assert [member.cancelled() for member in members] == [True, True]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup.cancel/callable-from-any-task", "TaskGroup.cancel/cancels-members-and-body")
async def test_a_member_that_calls_it_before_it_first_waits_is_cancelled(loop: AbstractEventLoop, aio: Any) -> None:
    async def stop() -> None:
        group.cancel()
        await loop.create_future()

    async with aio.TaskGroup() as group:
        member = group.create_task(stop())
    assert member.cancelled()
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup.cancel/takes-effect-on-entry")
async def test_called_before_the_entry_it_takes_effect_there(loop: AbstractEventLoop, aio: Any) -> None:
    group, steps = aio.TaskGroup(), list[str]()
    group.cancel()
    await settle(aio)
    async with group as entered:
        assert entered is group
        steps.append("entered")
        await aio.sleep(0)
        steps.append("not cancelled")
    assert steps == ["entered"]
    assert aio.current_task(loop).cancelling() == 0
    await settle(aio)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup.cancel/idempotent-also-after-exit")
async def test_it_may_be_called_again_also_after_the_end(loop: AbstractEventLoop, aio: Any) -> None:
    asked: list[int] = []

    async def count() -> None:
        try:
            await loop.create_future()
        finally:
            asked.append(aio.current_task().cancelling())
            group.cancel()

    async with aio.TaskGroup() as group:
        group.create_task(count())
        await aio.sleep(0)
        for _ in range(3):
            group.cancel()
        await aio.sleep(0)
    for _ in range(2):
        group.cancel()
        await settle(aio)
    assert (asked, aio.current_task().cancelling()) == ([1], 0)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup.cancel/idempotent-also-after-exit")
async def test_after_an_end_of_its_own_it_has_no_effect(loop: AbstractEventLoop, aio: Any) -> None:
    async with aio.TaskGroup() as group:
        member = group.create_task(aio.sleep(0, "result"))
    group.cancel()
    await settle(aio)
    assert (member.result(), aio.current_task(loop).cancelling()) == ("result", 0)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup.cancel/exits-without-cancellederror", "TaskGroup/raises-exception-group")
async def test_a_member_that_fails_on_its_way_out_is_still_a_failure(loop: AbstractEventLoop, aio: Any) -> None:
    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail_when_cancelled(loop, ValueError()))
            await aio.sleep(0)
            group.cancel()

    assert names(await ending(run())) == ["ValueError"]
    assert aio.current_task().cancelling() == 0
    await settle(aio)


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("first", ["group", "task"])
@requirement("TaskGroup.cancel/exits-without-cancellederror", "TaskGroup/distinguishes-external-cancellation")
async def test_a_cancellation_from_outside_in_the_same_turn_is_kept(
    loop: AbstractEventLoop, aio: Any, first: str
) -> None:
    groups: list[Any] = []

    async def run() -> None:
        async with aio.TaskGroup() as group:
            groups.append(group)
            group.create_task(wait_for(loop.create_future()))
            await loop.create_future()

    task = loop.create_task(run())
    await settle(aio)
    for one in (groups[0], task) if first == "group" else (task, groups[0]):
        one.cancel()
    assert isinstance(await ending(task), aio.CancelledError)
    assert (task.cancelled(), task.cancelling()) == (True, 1)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup.cancel/exits-without-cancellederror")
async def test_an_inner_group_ends_and_the_outer_one_goes_on(loop: AbstractEventLoop, aio: Any) -> None:
    async with aio.TaskGroup() as outer:
        member = outer.create_task(wait_for(gate := loop.create_future()))
        async with aio.TaskGroup() as inner:
            inner.create_task(wait_for(loop.create_future()))
            loop.call_soon(inner.cancel)
            await loop.create_future()
        await aio.sleep(0)
        gate.set_result("went on")
    assert member.result() == "went on"
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup.cancel/cancels-members-and-body", "TaskGroup.cancel/exits-without-cancellederror")
async def test_an_outer_group_ends_the_inner_one_with_it(loop: AbstractEventLoop, aio: Any) -> None:
    steps: list[str] = []
    async with aio.TaskGroup() as outer:
        async with aio.TaskGroup() as inner:
            member = inner.create_task(wait_for(loop.create_future()))
            loop.call_soon(outer.cancel)
        steps.append("not cancelled")
    assert (steps, member.cancelled()) == ([], True)
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/distinguishes-external-cancellation", "TaskGroup.cancel/exits-without-cancellederror")
async def test_a_deadline_that_passes_while_cancelled_members_clean_up_is_kept(
    loop: AbstractEventLoop, aio: Any
) -> None:
    cleaning = loop.create_future()

    async def clean_up() -> None:
        try:
            await loop.create_future()
        finally:
            limit.reschedule(loop.time() - 1)
            loop.call_later(0.005, cleaning.set_result, None)
            await cleaning

    with pytest.raises(TimeoutError):  # noqa: PT012 - the block itself raises
        async with aio.timeout(None) as limit:
            async with aio.TaskGroup() as group:
                group.create_task(clean_up())
                await aio.sleep(0)
                group.cancel()
    assert aio.current_task().cancelling() == 0
