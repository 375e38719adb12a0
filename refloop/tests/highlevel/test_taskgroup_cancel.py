"""TaskGroup.cancel(): the early end that is no failure."""

from __future__ import annotations

from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement

pytestmark = pytest.mark.since((3, 15))
LONG = 60


@requirement("TaskGroup.cancel/cancels-members-and-body", "TaskGroup.cancel/exits-without-cancellederror")
async def test_called_by_the_body_it_cancels_members_and_body(aio: Any) -> None:
    reached: list[str] = []
    async with aio.TaskGroup() as group:
        member = group.create_task(aio.sleep(LONG))
        await settle(2)
        group.cancel()
        await aio.sleep(0)
        reached.append("not this")
    assert member.cancelled()
    assert not reached
    assert aio.current_task().cancelling() == 0
    await settle(2)


@requirement("TaskGroup.cancel/exits-without-cancellederror")
async def test_a_body_that_ends_without_another_await_leaves_no_cancellation_behind(aio: Any) -> None:
    for members in (0, 1):
        async with aio.TaskGroup() as group:
            for _ in range(members):
                group.create_task(aio.sleep(LONG))
            group.cancel()
        assert aio.current_task().cancelling() == 0
        await settle(2)


@requirement("TaskGroup.cancel/callable-from-any-task", "TaskGroup.cancel/works-as-bound-method")
@pytest.mark.parametrize("body_waits", [True, False])
async def test_an_unrelated_task_may_call_it(aio: Any, loop: Any, body_waits: bool) -> None:
    group = aio.TaskGroup()

    async def stop(cancel: Any) -> None:
        await settle(3)
        cancel()

    stopper = loop.create_task(stop(group.cancel))
    async with group:
        member = group.create_task(aio.sleep(LONG))
        if body_waits:
            await aio.sleep(LONG)
    assert member.cancelled()
    await stopper


@requirement("TaskGroup.cancel/callable-from-any-task")
async def test_a_member_may_call_it(aio: Any) -> None:
    async def stop() -> None:
        group.cancel()

    async with aio.TaskGroup() as group:
        member = group.create_task(aio.sleep(LONG))
        group.create_task(stop())
        await aio.sleep(LONG)
    assert member.cancelled()


@requirement("TaskGroup.cancel/takes-effect-on-entry")
async def test_called_before_the_entry_it_takes_effect_there(aio: Any) -> None:
    group = aio.TaskGroup()
    group.cancel()
    reached: list[str] = []
    async with group:
        reached.append("entered")
        await aio.sleep(LONG)
        reached.append("not this")
    assert reached == ["entered"]
    assert aio.current_task().cancelling() == 0


@requirement("TaskGroup.cancel/idempotent-also-after-exit")
async def test_it_may_be_called_again_also_after_the_end(aio: Any) -> None:
    async with aio.TaskGroup() as group:
        group.create_task(aio.sleep(LONG))
        group.cancel()
        group.cancel()
        await aio.sleep(0)
    group.cancel()
    assert aio.current_task().cancelling() == 0
    await settle(2)


@requirement("TaskGroup.cancel/exits-without-cancellederror", "TaskGroup/raises-exception-group")
async def test_a_member_that_fails_on_its_way_out_is_still_a_failure(aio: Any) -> None:
    async def fail_late() -> None:
        try:
            await aio.sleep(LONG)
        finally:
            raise ZeroDivisionError

    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail_late())
            await settle(2)
            group.cancel()

    error = await outcome(run())
    assert isinstance(error, ExceptionGroup)
    assert [type(one) for one in error.exceptions] == [ZeroDivisionError]


@requirement("TaskGroup/distinguishes-external-cancellation")
async def test_a_cancellation_from_outside_is_honoured_beside_it(aio: Any, loop: Any) -> None:
    async def run() -> None:
        async with aio.TaskGroup() as group:
            groups.append(group)
            await aio.sleep(LONG)

    groups: list[Any] = []
    task = loop.create_task(run())
    await settle()
    groups[0].cancel()
    task.cancel()
    await settle()
    assert task.cancelled()


@requirement("TaskGroup/distinguishes-external-cancellation")
@pytest.mark.asyncio_differs("it swallows a cancellation that comes while the cancelled members clean up")
async def test_a_deadline_that_passes_while_the_members_clean_up_is_honoured(aio: Any) -> None:
    async def clean_up() -> None:
        try:
            await aio.sleep(LONG)
        finally:
            await aio.sleep(0.02)

    async def run() -> None:
        async with aio.timeout(0.01):
            async with aio.TaskGroup() as group:
                group.create_task(clean_up())
                await settle(2)
                group.cancel()

    assert isinstance(await outcome(run()), TimeoutError)
    assert aio.current_task().cancelling() == 0
