"""What a ``TaskGroup`` does and raises when a member or its body fails."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending, names
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.members import fail, fail_when_cancelled, wait_for
from conformance.support.turns import settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class Odd(BaseException):
    """No ``Exception``, and none of those that end a program."""


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/cancels-rest-on-failure", "TaskGroup/raises-exception-group")
async def test_the_first_failure_cancels_the_other_members(loop: AbstractEventLoop, aio: Any) -> None:
    error, done = ValueError(), []

    async def run() -> None:
        async with aio.TaskGroup() as group:
            done.append(group.create_task(aio.sleep(0, "done before")))
            await settle(aio)
            done.extend(group.create_task(wait_for(loop.create_future())) for _ in range(3))
            group.create_task(fail(error))

    raised = await ending(run())
    assert type(raised) is ExceptionGroup
    assert raised.exceptions == (error,)
    assert [task.cancelled() for task in done] == [False, True, True, True]
    assert done[0].result() == "done before"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/cancels-rest-on-failure")
async def test_each_other_member_is_asked_once(loop: AbstractEventLoop, aio: Any) -> None:
    asked: list[int] = []

    async def count() -> None:
        try:
            await loop.create_future()
        finally:
            asked.append(aio.current_task().cancelling())

    async def run() -> None:
        async with aio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(count())
            for _ in range(2):
                group.create_task(wait_for(gate))

    gate = loop.create_future()
    loop.call_later(0.001, gate.set_exception, ValueError())
    assert names(await ending(run())) == ["ValueError", "ValueError"]
    assert asked == [1, 1, 1]


@on_loops(EAGER)
@requirement("TaskGroup/cancels-rest-on-failure")
async def test_a_member_that_starts_a_failing_member_before_it_first_waits_is_cancelled(
    loop: AbstractEventLoop, aio: Any
) -> None:
    async def run() -> None:
        async with aio.TaskGroup() as group:

            async def start_a_failing_one() -> None:
                group.create_task(fail(ValueError()))
                await loop.create_future()

            group.create_task(start_a_failing_one())

    block = loop.create_task(run())
    await settle(aio)
    hangs = aio.all_tasks(loop) - {aio.current_task(loop)}
    for task in hangs:
        task.cancel()
    assert names(await ending(block)) == ["ValueError"]
    assert hangs == set()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/cancels-parent-on-failure", "TaskGroup/contains-internal-cancellation")
async def test_a_failure_interrupts_the_body_and_the_interruption_stays_inside(
    loop: AbstractEventLoop, aio: Any
) -> None:
    seen: list[object] = []
    gate = loop.create_future()

    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail(ValueError()))
            try:
                await gate
            except BaseException as error:
                seen.append(type(error))
                raise

    assert names(await ending(run())) == ["ValueError"]
    assert (seen, gate.cancelled()) == ([aio.CancelledError], True)
    await settle(aio)
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/cancels-parent-on-failure")
async def test_only_the_task_of_the_block_is_interrupted(loop: AbstractEventLoop, aio: Any) -> None:
    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail(ValueError()))
            await loop.create_future()

    bystander = loop.create_task(wait_for(gate := loop.create_future()))
    block = loop.create_task(run())
    assert names(await ending(block)) == ["ValueError"]
    assert (block.cancelling(), bystander.cancelling(), aio.current_task().cancelling()) == (0, 0, 0)
    gate.set_result("went on")
    assert await bystander == "went on"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/waits-for-all-tasks", "TaskGroup/raises-exception-group")
async def test_the_failure_is_raised_after_the_others_have_cleaned_up(loop: AbstractEventLoop, aio: Any) -> None:
    cleaning = loop.create_future()

    async def clean_up() -> None:
        try:
            await loop.create_future()
        finally:
            await cleaning

    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(clean_up())
            await aio.sleep(0)
            group.create_task(fail(ValueError()))

    block = loop.create_task(run())
    await settle(aio)
    assert block.done() is False
    cleaning.set_result(None)
    assert names(await ending(block)) == ["ValueError"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/raises-exception-group")
async def test_all_failures_are_raised_together_also_those_of_clean_ups(loop: AbstractEventLoop, aio: Any) -> None:
    errors = [ValueError(), KeyError(), OSError()]

    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail_when_cancelled(loop, errors[1]))
            group.create_task(wait_for(loop.create_future()))
            group.create_task(fail_when_cancelled(loop, errors[2]))
            await aio.sleep(0)
            group.create_task(fail(errors[0]))

    raised = await ending(run())
    assert type(raised) is ExceptionGroup
    assert {id(error) for error in raised.exceptions} == {id(error) for error in errors}
    assert len(raised.exceptions) == 3


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/raises-exception-group")
async def test_a_failure_that_is_no_exception_makes_a_baseexceptiongroup(loop: AbstractEventLoop, aio: Any) -> None:
    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail_when_cancelled(loop, ValueError()))
            await aio.sleep(0)
            group.create_task(fail(Odd()))

    raised = await ending(run())
    assert type(raised) is BaseExceptionGroup
    assert names(raised) == ["Odd", "ValueError"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/raises-exception-group")
async def test_a_failure_while_the_exit_waits_counts_too(loop: AbstractEventLoop, aio: Any) -> None:
    gate, reached = loop.create_future(), list[str]()

    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(wait_for(gate))
            other.append(group.create_task(wait_for(loop.create_future())))
        reached.append("after the block")

    other: list[Any] = []
    block = loop.create_task(run())
    await settle(aio)
    gate.set_exception(ValueError())
    assert names(await ending(block)) == ["ValueError"]
    assert (other[0].cancelled(), reached) == (True, [])


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("error", [ValueError(), Odd()], ids=["Exception", "BaseException"])
@requirement("TaskGroup/groups-body-exception")
async def test_an_exception_of_the_body_cancels_the_members_and_is_grouped(
    loop: AbstractEventLoop, aio: Any, error: BaseException
) -> None:
    members: list[Any] = []

    async def run() -> None:
        async with aio.TaskGroup() as group:
            members.append(group.create_task(wait_for(loop.create_future())))
            members.append(group.create_task(fail_when_cancelled(loop, KeyError())))
            await aio.sleep(0)
            raise error

    raised = await ending(run())
    assert error in raised.exceptions
    assert names(raised) == sorted(["KeyError", type(error).__name__])
    assert members[0].cancelled()
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/groups-body-exception")
async def test_the_members_have_ended_when_the_exception_of_the_body_is_raised(
    loop: AbstractEventLoop, aio: Any
) -> None:
    cleaning = loop.create_future()

    async def clean_up() -> None:
        try:
            await loop.create_future()
        finally:
            await cleaning

    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(clean_up())
            await aio.sleep(0)
            raise ValueError

    block = loop.create_task(run())
    await settle(aio)
    assert block.done() is False
    cleaning.set_result(None)
    assert names(await ending(block)) == ["ValueError"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/omits-body-cancellederror")
async def test_a_cancellation_of_the_body_is_never_grouped(loop: AbstractEventLoop, aio: Any) -> None:
    cancelled = loop.create_future()
    cancelled.cancel()

    async def run(error: BaseException | None) -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail_when_cancelled(loop, error) if error else wait_for(loop.create_future()))
            await aio.sleep(0)
            await cancelled

    assert isinstance(await ending(loop.create_task(run(None))), aio.CancelledError)
    assert names(await ending(loop.create_task(run(ValueError())))) == ["ValueError"]


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@requirement("TaskGroup/raises-body-keyboardinterrupt-bare")
async def test_an_exit_request_of_the_body_is_raised_bare_after_the_members_ended(
    loop: AbstractEventLoop, aio: Any, kind: type[BaseException]
) -> None:
    error = kind()
    members: list[Any] = []

    async def run() -> None:
        async with aio.TaskGroup() as group:
            members.append(group.create_task(wait_for(loop.create_future())))
            members.append(group.create_task(fail_when_cancelled(loop, ValueError())))
            await aio.sleep(0)
            raise error

    # Not in a task of its own, which would end the run of the loop.
    assert await ending(run()) is error
    assert [member.done() for member in members] == [True, True]
    assert members[0].cancelled()
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@requirement("TaskGroup/raises-task-keyboardinterrupt-bare")
def test_an_exit_request_of_a_member_is_raised_bare_after_the_others_ended(
    loop: AbstractEventLoop, aio: Any, kind: type[BaseException]
) -> None:
    error, seen = kind(), list[BaseException]()
    members: list[Any] = []

    async def run() -> None:
        try:
            async with aio.TaskGroup() as group:
                members.append(group.create_task(fail_when_cancelled(loop, ValueError())))
                members.append(group.create_task(wait_for(loop.create_future())))
                await aio.sleep(0)
                group.create_task(fail(error))
                await loop.create_future()
        except BaseException as raised:
            seen.append(raised)

    block = loop.create_task(run())
    with suppress(kind):
        # It may end the run of the loop as well; then the group is seen to in the next one.
        loop.run_until_complete(block)
    loop.run_until_complete(block)
    assert seen == [error]
    assert [member.done() for member in members] == [True, True]
    assert members[1].cancelled()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/raises-body-generatorexit-bare")
async def test_generatorexit_of_the_body_is_raised_bare(loop: AbstractEventLoop, aio: Any) -> None:
    error, members = GeneratorExit(), list[Any]()

    async def run() -> None:
        async with aio.TaskGroup() as group:
            members.append(group.create_task(wait_for(loop.create_future())))
            await aio.sleep(0)
            raise error

    assert await ending(run()) is error
    assert members[0].cancelled()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/raises-body-generatorexit-bare")
async def test_generatorexit_of_the_body_does_not_hide_a_failure(loop: AbstractEventLoop, aio: Any) -> None:
    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail_when_cancelled(loop, ValueError()))
            await aio.sleep(0)
            raise GeneratorExit

    assert names(await ending(run())) == ["GeneratorExit", "ValueError"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/nested-groups-fail-independently")
async def test_nested_groups_that_fail_at_once_each_raise_their_own(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[object] = []

    async def run() -> None:
        async with aio.TaskGroup() as outer:
            try:
                async with aio.TaskGroup() as inner:
                    inner.create_task(fail(KeyError()))
                    outer.create_task(fail(ValueError()))
                    await loop.create_future()
            except ExceptionGroup as group:
                seen.append(names(group))
            try:
                await loop.create_future()
            except aio.CancelledError:
                seen.append("cancelled anew")
                raise

    assert names(await ending(run())) == ["ValueError"]
    assert seen == [["KeyError"], "cancelled anew"]
    assert aio.current_task().cancelling() == 0
    await settle(aio)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/nested-groups-fail-independently")
async def test_a_failure_that_nobody_catches_leaves_both_groups_as_a_group_in_a_group(
    loop: AbstractEventLoop, aio: Any
) -> None:
    async def run() -> None:
        async with aio.TaskGroup() as outer:
            async with aio.TaskGroup() as inner:
                inner.create_task(fail(KeyError()))
                outer.create_task(fail(ValueError()))
                await loop.create_future()

    raised = await ending(run())
    assert names(raised) == ["ExceptionGroup", "ValueError"]
    (group,) = (error for error in raised.exceptions if isinstance(error, ExceptionGroup))
    assert names(group) == ["KeyError"]
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/contains-internal-cancellation", "TaskGroup/cancels-parent-on-failure")
async def test_the_failure_of_an_outer_member_ends_the_inner_group_as_a_cancellation(
    loop: AbstractEventLoop, aio: Any
) -> None:
    seen, members = list[object](), list[Any]()

    async def run() -> None:
        async with aio.TaskGroup() as outer:
            try:
                async with aio.TaskGroup() as inner:
                    members.append(inner.create_task(wait_for(loop.create_future())))
                    await aio.sleep(0)
                    outer.create_task(fail(ValueError()))
            except BaseException as error:
                seen.append(type(error))
                raise

    assert names(await ending(run())) == ["ValueError"]
    assert (seen, members[0].cancelled()) == ([aio.CancelledError], True)
    assert aio.current_task().cancelling() == 0
