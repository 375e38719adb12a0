"""Counting cancellation requests: ``Task.cancelling()``, ``Task.uncancel()`` and the structured blocks above them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.tasks import EVERY_LAZY_TASK, EVERY_TASK

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable

    NewTask = Callable[..., Task[Any]]


async def wait_for(awaitable: Any) -> object:
    value: object = await awaitable
    return value


async def refuse(loop: AbstractEventLoop, aio: Any) -> str:
    """Catch one cancellation and return."""
    try:
        await loop.create_future()
    except aio.CancelledError:
        return "refused"
    return "not cancelled"


@EVERY_TASK
@requirement("Task.cancelling/returns-zero-initially")
async def test_a_task_never_asked_to_cancel_counts_no_request(aio: Any, new_task: NewTask) -> None:
    task = new_task(aio.sleep(0))
    before = task.cancelling()
    await task
    assert [before, task.cancelling()] == [0, 0]


@EVERY_TASK
@requirement("Task.cancelling/returns-pending-request-count", "Task.uncancel/returns-remaining-request-count")
async def test_cancelling_counts_requests_less_those_taken_back(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    task = new_task(refuse(loop, aio))
    await aio.sleep(0)
    counts = []
    for _ in range(3):
        task.cancel()
        counts.append(task.cancelling())
    remaining = [task.uncancel(), task.cancelling(), task.uncancel(), task.cancelling()]
    assert counts == [1, 2, 3]
    assert remaining == [2, 2, 1, 1]
    await aio.wait([task])


@EVERY_TASK
@requirement("Task.cancelling/positive-before-cancelled")
async def test_a_request_counts_before_the_task_is_cancelled(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    task = new_task(wait_for(loop.create_future()))
    await aio.sleep(0)
    task.cancel()
    assert (task.cancelling(), task.cancelled()) == (1, False)
    await aio.wait([task])
    assert task.cancelled() is True


@EVERY_TASK
@requirement("Task.cancel/suppression-keeps-cancelling-count")
async def test_a_caught_request_stays_counted_until_it_is_taken_back(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    async def catch() -> list[int]:
        task = aio.current_task()
        counts = []
        try:
            await loop.create_future()
        except aio.CancelledError:
            counts.append(task.cancelling())
        await aio.sleep(0)
        counts.append(task.cancelling())
        counts.append(task.uncancel())
        return counts

    task = new_task(catch())
    await aio.sleep(0)
    task.cancel()
    assert await task == [1, 1, 0]
    assert task.cancelling() == 0


@EVERY_TASK
@requirement("Task.uncancel/ineffective-after-completion")
async def test_taking_a_request_back_does_not_revive_a_cancelled_task(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    task = new_task(wait_for(loop.create_future()))
    await aio.sleep(0)
    task.cancel()
    await aio.wait([task])
    task.uncancel()
    assert (task.done(), task.cancelled()) == (True, True)
    with pytest.raises(aio.CancelledError):
        task.result()


@EVERY_TASK
@requirement("Task.uncancel/ineffective-after-completion")
async def test_taking_a_request_back_leaves_a_result_as_it_is(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    task = new_task(refuse(loop, aio))
    await aio.sleep(0)
    task.cancel()
    await aio.wait([task])
    task.uncancel()
    assert task.result() == "refused"


@EVERY_LAZY_TASK
@requirement("Task.uncancel/zero-rescinds-pending-cancellation")
async def test_a_request_taken_back_before_the_first_step_is_forgotten(aio: Any, new_task: NewTask) -> None:
    task = new_task(aio.sleep(0, "ran"))
    task.cancel()
    assert task.uncancel() == 0
    assert await task == "ran"
    assert task.cancelled() is False


@EVERY_TASK
@requirement("Task.uncancel/zero-rescinds-pending-cancellation")
async def test_a_request_that_a_task_makes_and_takes_back_itself_is_forgotten(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    async def change_its_mind() -> str:
        await aio.sleep(0)
        task = aio.current_task()
        task.cancel()
        task.uncancel()
        future = loop.create_future()
        loop.call_soon(future.set_result, "went on")
        return str(await future)

    task = new_task(change_its_mind())
    assert await task == "went on"


@EVERY_LAZY_TASK
@requirement("Task.uncancel/zero-rescinds-pending-cancellation")
async def test_a_request_is_not_forgotten_while_another_one_counts(aio: Any, new_task: NewTask) -> None:
    task = new_task(aio.sleep(0, "ran"))
    task.cancel()
    task.cancel()
    assert task.uncancel() == 1
    await aio.wait([task])
    assert task.cancelled() is True


@EVERY_TASK
@requirement("task-cancellation/uncancel-restores-structured-blocks")
async def test_a_timeout_works_after_a_cancellation_was_caught_and_taken_back(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    async def recover() -> str:
        try:
            await loop.create_future()
        except aio.CancelledError:
            aio.current_task().uncancel()
        try:
            async with aio.timeout(0.001):
                await loop.create_future()
        except TimeoutError:
            return "timed out"
        return "not timed out"

    task = new_task(recover())
    await aio.sleep(0)
    task.cancel()
    assert await task == "timed out"
    assert task.cancelling() == 0


@EVERY_TASK
@requirement("task-cancellation/uncancel-restores-structured-blocks")
async def test_a_task_group_works_after_a_cancellation_was_caught_and_taken_back(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    async def fail() -> None:
        await aio.sleep(0)
        raise ValueError("member")

    async def recover() -> list[str]:
        try:
            await loop.create_future()
        except aio.CancelledError:
            aio.current_task().uncancel()
        seen: list[str] = []
        try:
            async with aio.TaskGroup() as group:
                group.create_task(fail())
                await loop.create_future()
        except* ValueError as errors:
            seen.extend(repr(error) for error in errors.exceptions)
        return seen

    task = new_task(recover())
    await aio.sleep(0)
    task.cancel()
    assert await task == ["ValueError('member')"]
    assert task.cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Task.uncancel/code-after-structured-block-continues")
async def test_code_after_a_timed_out_block_runs_on(loop: AbstractEventLoop, aio: Any) -> None:
    steps: list[object] = []
    try:
        async with aio.timeout(0.001):
            await loop.create_future()
    except TimeoutError:
        steps.append(aio.current_task().cancelling())
    await aio.sleep(0.001)
    steps.append("went on")
    assert steps == [0, "went on"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Task.uncancel/code-after-structured-block-continues")
async def test_code_after_a_failed_task_group_runs_on(loop: AbstractEventLoop, aio: Any) -> None:
    steps: list[object] = []

    async def fail() -> None:
        await aio.sleep(0)
        raise ValueError("member")

    try:
        async with aio.TaskGroup() as group:
            group.create_task(fail())
            await loop.create_future()
    except* ValueError:
        steps.append(aio.current_task().cancelling())
    await aio.sleep(0.001)
    steps.append("went on")
    assert steps == [0, "went on"]
