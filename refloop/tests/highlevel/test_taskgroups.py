"""TaskGroup: waiting for members, failures, cancellation from inside and outside."""

from __future__ import annotations

import contextvars
import gc
import inspect
import weakref
from contextlib import suppress
from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement

LONG = 60


async def fail(error: BaseException | None = None) -> None:
    raise error or ZeroDivisionError()


def errors_of(group: object) -> list[type]:
    assert isinstance(group, BaseExceptionGroup)
    return [type(error) for error in group.exceptions]


@requirement("TaskGroup/waits-for-all-tasks", "TaskGroup/results-available-after-exit", "TaskGroup/enters-as-itself")
@requirement("TaskGroup.create_task/returns-member-task", "TaskGroup/accepts-no-arguments")
async def test_the_block_ends_when_all_members_have(aio: Any) -> None:
    group = aio.TaskGroup()
    async with group as entered:
        assert entered is group
        tasks = [group.create_task(aio.sleep(0, n)) for n in range(5)]
        assert all(aio.isfuture(task) for task in tasks)
    assert [task.result() for task in tasks] == list(range(5))


@requirement("TaskGroup.create_task/accepts-documented-arguments")
async def test_a_member_takes_a_name_and_a_context(aio: Any) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable")
    context = contextvars.copy_context()
    context.run(variable.set, 1)

    async def read() -> int:
        return variable.get()

    async with aio.TaskGroup() as group:
        task = group.create_task(read(), name="reader", context=context)
    assert task.result() == 1
    assert task.get_name() == "reader"


@requirement("TaskGroup/accepts-tasks-while-waiting")
async def test_members_may_add_members_while_the_exit_waits(aio: Any) -> None:
    ran: list[int] = []

    async def grow(depth: int) -> None:
        await aio.sleep(0)
        ran.append(depth)
        if depth:
            group.create_task(grow(depth - 1))

    async with aio.TaskGroup() as group:
        group.create_task(grow(4))
    assert ran == [4, 3, 2, 1, 0]


@requirement("TaskGroup/rejects-tasks-after-exit")
async def test_no_member_can_be_added_after_the_end(aio: Any) -> None:
    async with aio.TaskGroup() as group:
        pass
    coro = aio.sleep(0)
    with pytest.raises(RuntimeError):
        group.create_task(coro)
    coro.close()
    with pytest.raises(RuntimeError):
        await group.__aenter__()


@requirement("TaskGroup.create_task/raises-before-enter", "TaskGroup.create_task/closes-rejected-coroutine")
@pytest.mark.since((3, 13))
async def test_a_member_refused_has_its_coroutine_closed(aio: Any) -> None:
    group = aio.TaskGroup()
    refused = [aio.sleep(0)]
    with pytest.raises(RuntimeError):
        group.create_task(refused[0])
    async with group:
        pass
    refused.append(aio.sleep(0))
    with pytest.raises(RuntimeError):
        group.create_task(refused[1])
    assert [inspect.getcoroutinestate(coro) for coro in refused] == [inspect.CORO_CLOSED] * 2


@requirement(
    "TaskGroup/cancels-rest-on-failure", "TaskGroup/raises-exception-group", "TaskGroup/cancels-parent-on-failure"
)
@requirement("TaskGroup/contains-internal-cancellation", "TaskGroup/preserves-cancelling-count")
async def test_a_failing_member_ends_the_group(aio: Any) -> None:
    members: list[Any] = []
    seen: list[object] = []

    async def run() -> None:
        async with aio.TaskGroup() as group:
            members.append(group.create_task(aio.sleep(LONG)))
            group.create_task(fail())
            try:
                await aio.sleep(LONG)
            except BaseException as error:
                seen.append(type(error))
                raise

    error = await outcome(run())
    assert type(error) is ExceptionGroup
    assert errors_of(error) == [ZeroDivisionError]
    assert seen == [aio.CancelledError]
    assert members[0].cancelled()
    assert aio.current_task().cancelling() == 0
    await settle(2)


@requirement("TaskGroup/raises-exception-group")
async def test_all_failures_are_raised_together(aio: Any) -> None:
    async def fail_late() -> None:
        try:
            await aio.sleep(LONG)
        finally:
            raise KeyError

    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail_late())
            group.create_task(aio.sleep(LONG))
            await settle(2)
            group.create_task(fail())

    assert errors_of(await outcome(run())) == [ZeroDivisionError, KeyError]


@requirement("TaskGroup/rejects-tasks-after-failure")
async def test_no_member_can_be_added_after_a_failure(aio: Any) -> None:
    refused: list[bool] = []

    async def add_late() -> None:
        try:
            await aio.sleep(LONG)
        finally:
            coro = aio.sleep(0)
            try:
                group.create_task(coro)
            except RuntimeError:
                refused.append(True)
            coro.close()

    with suppress(ExceptionGroup):
        async with aio.TaskGroup() as group:
            group.create_task(add_late())
            await settle(2)
            group.create_task(fail())
    assert refused


@requirement("TaskGroup/groups-body-exception")
async def test_an_exception_of_the_body_cancels_the_members_and_is_grouped(aio: Any) -> None:
    members: list[Any] = []

    async def run() -> None:
        async with aio.TaskGroup() as group:
            members.append(group.create_task(aio.sleep(LONG)))
            await settle(2)
            raise KeyError

    assert errors_of(await outcome(run())) == [KeyError]
    assert members[0].cancelled()


@requirement("TaskGroup/raises-exception-group")
async def test_failures_that_are_no_exceptions_make_a_baseexceptiongroup(aio: Any) -> None:
    class Odd(BaseException):
        pass

    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail(Odd()))

    error = await outcome(run())
    assert type(error) is BaseExceptionGroup
    assert errors_of(error) == [Odd]


@requirement("TaskGroup/omits-body-cancellederror")
async def test_a_cancellederror_of_the_body_is_never_grouped(aio: Any, loop: Any) -> None:
    members: list[Any] = []

    async def run() -> None:
        async with aio.TaskGroup() as group:
            members.append(group.create_task(aio.sleep(LONG)))
            await aio.sleep(LONG)

    task = loop.create_task(run())
    await settle()
    task.cancel()
    assert isinstance(await outcome(task), aio.CancelledError)
    assert task.cancelled()
    assert members[0].cancelled()


@requirement("TaskGroup/tolerates-cancelled-member")
async def test_a_cancelled_member_is_no_failure(aio: Any) -> None:
    async with aio.TaskGroup() as group:
        first, second = (group.create_task(aio.sleep(0.001)) for _ in range(2))
        await settle(2)
        first.cancel()
    assert first.cancelled()
    assert not second.cancelled()


@requirement("TaskGroup/raises-body-keyboardinterrupt-bare", "TaskGroup/preserves-cancelling-count")
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
async def test_an_exit_request_of_the_body_is_raised_bare(aio: Any, kind: type[BaseException]) -> None:
    members: list[Any] = []

    async def run() -> None:
        async with aio.TaskGroup() as group:
            members.append(group.create_task(aio.sleep(LONG)))
            await settle(2)
            raise kind

    assert type(await outcome(run())) is kind
    assert members[0].cancelled()


@requirement("TaskGroup/raises-task-keyboardinterrupt-bare")
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_exit_request_of_a_member_is_raised_bare(aio: Any, loop: Any, kind: type[BaseException]) -> None:
    seen: list[type] = []

    async def run() -> None:
        try:
            async with aio.TaskGroup() as group:
                group.create_task(fail(kind()))
                await aio.sleep(LONG)
        except BaseException as error:
            seen.append(type(error))

    task = loop.create_task(run())
    with pytest.raises(kind):
        # It ends the run of the loop as well; the group is seen to in the next one.
        loop.run_until_complete(task)
    loop.run_until_complete(task)
    assert seen == [kind]


@requirement("TaskGroup/raises-body-generatorexit-bare")
@pytest.mark.since((3, 15))
async def test_generatorexit_of_the_body_is_raised_bare(aio: Any) -> None:
    async def run(error: BaseException | None) -> None:
        async with aio.TaskGroup() as group:
            if error:
                group.create_task(fail(error))
            await settle(0)
            raise GeneratorExit

    assert type(await outcome(run(None))) is GeneratorExit


@requirement("TaskGroup/distinguishes-external-cancellation")
async def test_a_cancellation_from_outside_during_the_exit_cancels_the_members(aio: Any, loop: Any) -> None:
    members: list[Any] = []

    async def run() -> None:
        async with aio.TaskGroup() as group:
            members.append(group.create_task(aio.sleep(LONG)))

    task = loop.create_task(run())
    await settle()
    task.cancel()
    assert isinstance(await outcome(task), aio.CancelledError)
    assert members[0].cancelled()


@requirement("TaskGroup/recancels-parent-after-group-raise", "TaskGroup/preserves-cancelling-count")
@pytest.mark.since((3, 13))
async def test_a_cancellation_from_outside_outlives_the_exception_group(aio: Any, loop: Any) -> None:
    seen: list[object] = []

    async def fail_late() -> None:
        try:
            await aio.sleep(LONG)
        finally:
            raise ZeroDivisionError

    async def run() -> None:
        try:
            async with aio.TaskGroup() as group:
                group.create_task(fail_late())
                await aio.sleep(LONG)
        except ExceptionGroup as error:
            seen.append(errors_of(error))
            seen.append(aio.current_task().cancelling())
        try:
            await aio.sleep(LONG)
        except aio.CancelledError:
            seen.append("cancelled")
            raise

    task = loop.create_task(run())
    await settle()
    task.cancel()
    await settle()
    assert task.cancelled()
    assert seen == [[ZeroDivisionError], 1, "cancelled"]


@requirement("TaskGroup/distinguishes-external-cancellation")
@pytest.mark.since((3, 13))
async def test_cancelled_again_while_the_members_clean_up_it_keeps_waiting(aio: Any, loop: Any) -> None:
    gate = loop.create_future()
    ended: list[int] = []

    async def clean_up() -> None:
        try:
            await aio.sleep(LONG)
        finally:
            await gate
            ended.append(1)

    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(clean_up())

    task = loop.create_task(run())
    await settle()
    for _ in range(3):
        task.cancel()
        await settle()
    assert not task.done()
    gate.set_result(None)
    assert isinstance(await outcome(task), aio.CancelledError)
    assert ended


@requirement("TaskGroup/nested-groups-fail-independently")
@pytest.mark.since((3, 13))
async def test_nested_groups_that_fail_at_once_each_raise_their_own(aio: Any) -> None:
    inner_errors: list[object] = []

    async def run() -> None:
        async with aio.TaskGroup() as outer:
            try:
                async with aio.TaskGroup() as inner:
                    inner.create_task(fail(KeyError()))
                    outer.create_task(fail(ZeroDivisionError()))
                    await aio.sleep(LONG)
            except ExceptionGroup as group:
                inner_errors.extend(errors_of(group))
            await aio.sleep(LONG)

    error = await outcome(run())
    assert inner_errors == [KeyError]
    assert errors_of(error) == [ZeroDivisionError]
    assert aio.current_task().cancelling() == 0
    await settle(2)


@requirement("TaskGroup/preserves-cancelling-count", "TaskGroup/contains-internal-cancellation")
@pytest.mark.since((3, 13))
async def test_a_group_within_a_timeout_leaves_the_timeout_working(aio: Any) -> None:
    async def run() -> None:
        async with aio.timeout(0.01):
            with pytest.raises(ExceptionGroup):
                async with aio.TaskGroup() as group:
                    group.create_task(fail())
            async with aio.TaskGroup() as group:
                group.create_task(aio.sleep(LONG))

    assert isinstance(await outcome(run()), TimeoutError)
    assert aio.current_task().cancelling() == 0


@requirement("TaskGroup/ends-early-by-private-exception")
async def test_a_private_exception_ends_a_group_early(aio: Any) -> None:
    class Enough(Exception):
        pass

    reached: list[int] = []
    try:
        async with aio.TaskGroup() as group:
            group.create_task(aio.sleep(LONG))
            await settle(1)
            group.create_task(fail(Enough()))
    except* Enough:
        reached.append(1)
    assert reached


@pytest.mark.asyncio_differs("it promises no such thing, and not every version keeps it")
async def test_a_failure_of_the_body_is_freed_without_the_garbage_collector(aio: Any) -> None:
    class Error(Exception):
        pass

    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(aio.sleep(LONG))
            raise Error

    gc.disable()
    try:
        try:
            await run()
        except ExceptionGroup as group:
            error = weakref.ref(group.exceptions[0])
        await settle(2)
        assert error() is None
    finally:
        gc.enable()


@requirement("TaskGroup/waits-for-all-tasks")
@pytest.mark.since((3, 13))
async def test_eager_members_that_fail_at_once_end_the_group_after_the_body_could_go_on(aio: Any) -> None:
    running = aio.get_running_loop()
    before = running.get_task_factory()
    running.set_task_factory(aio.eager_task_factory)
    reached: list[int] = []

    async def run() -> None:
        async with aio.TaskGroup() as group:
            group.create_task(fail())
            reached.append(1)

    try:
        assert errors_of(await outcome(run())) == [ZeroDivisionError]
    finally:
        running.set_task_factory(before)
    assert reached
