"""Cancelling tasks: when the coroutine learns of it, what it may do about it, and what the task becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.tasks import EVERY_LAZY_TASK, EVERY_TASK
from conformance.support.waiting import run_one_pass

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable

    NewTask = Callable[..., Task[Any]]


async def wait_for(awaitable: Any) -> object:
    """Await ``awaitable`` one coroutine deeper."""
    value: object = await awaitable
    return value


async def outcome_of(task: Any, aio: Any) -> str:
    """Wait for ``task`` and name what became of it."""
    await aio.wait([task])
    if task.cancelled():
        return "cancelled"
    return f"raised {task.exception()!r}" if task.exception() else f"returned {task.result()!r}"


@EVERY_TASK
@requirement("Task.cancel/raises-cancellederror-in-coroutine")
@requirement("CancelledError/raised-on-cancellation", "CancelledError/catchable-for-cleanup")
async def test_cancellederror_is_raised_where_the_coroutine_waits(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    seen: list[str] = []

    async def wait() -> None:
        try:
            await loop.create_future()
        except aio.CancelledError:
            seen.append("caught")
            raise

    task = new_task(wait())
    await aio.sleep(0)
    task.cancel()
    assert await outcome_of(task, aio) == "cancelled"
    assert seen == ["caught"]


@EVERY_TASK
@requirement("Task.cancel/raises-cancellederror-in-coroutine")
def test_the_coroutine_learns_of_it_in_the_next_pass_not_during_the_call(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    seen: list[str] = []

    async def wait() -> None:
        try:
            await loop.create_future()
        except aio.CancelledError:
            seen.append("raised")
            raise

    task = new_task(wait())
    run_one_pass(loop)
    task.cancel()
    seen.append("requested")
    run_one_pass(loop)
    assert seen == ["requested", "raised"]
    assert task.cancelled()


@EVERY_LAZY_TASK
@requirement("Task.cancel/raises-cancellederror-in-coroutine")
async def test_a_task_cancelled_before_its_first_step_never_enters_its_coroutine(aio: Any, new_task: NewTask) -> None:
    entered: list[str] = []

    async def enter() -> None:
        entered.append("entered")

    task = new_task(enter())
    assert task.cancel() is True
    assert await outcome_of(task, aio) == "cancelled"
    assert entered == []


@EVERY_TASK
@requirement("Task.cancel/raises-cancellederror-in-coroutine")
async def test_a_task_that_cancels_itself_is_cancelled_where_it_waits_next(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    order: list[str] = []

    async def cancel_itself() -> None:
        await aio.sleep(0)
        order.append(f"cancel() is {aio.current_task().cancel()}")
        order.append("still running")
        await loop.create_future()
        order.append("not reached")

    task = new_task(cancel_itself())
    assert await outcome_of(task, aio) == "cancelled"
    assert order == ["cancel() is True", "still running"]


@EVERY_TASK
@requirement("Task.cancel/raises-cancellederror-in-coroutine")
async def test_a_task_that_only_gives_way_for_one_pass_is_cancelled_there(aio: Any, new_task: NewTask) -> None:
    passes: list[int] = []

    async def spin() -> None:
        for n in range(100):
            passes.append(n)
            await aio.sleep(0)

    task = new_task(spin())
    await aio.sleep(0)
    task.cancel()
    assert await outcome_of(task, aio) == "cancelled"
    assert len(passes) < 100


@EVERY_TASK
@requirement("Task.cancel/returns-whether-requested")
async def test_cancel_returns_true_until_the_task_is_done(loop: AbstractEventLoop, aio: Any, new_task: NewTask) -> None:
    task = new_task(wait_for(loop.create_future()))
    await aio.sleep(0)
    assert [task.cancel(), task.cancel()] == [True, True]
    await aio.wait([task])
    assert task.cancel() is False


@pytest.mark.parametrize("fails", [False, True], ids=["returned", "raised"])
@EVERY_TASK
@requirement("Task.cancel/returns-whether-requested")
async def test_cancelling_a_finished_task_returns_false_and_changes_nothing(
    aio: Any, new_task: NewTask, fails: bool
) -> None:
    async def run() -> str:
        if fails:
            raise ValueError
        return "value"

    task = new_task(run())
    before = await outcome_of(task, aio)
    assert task.cancel() is False
    assert await outcome_of(task, aio) == before
    assert task.cancelled() is False


@EVERY_TASK
@requirement("Task.cancel/coroutine-may-refuse", "Task.cancelled/returns-true-after-propagated-cancellation")
async def test_a_coroutine_that_catches_the_error_and_returns_is_not_cancelled(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    async def refuse() -> str:
        try:
            await loop.create_future()
        except aio.CancelledError:
            pass
        await aio.sleep(0)
        return "refused"

    task = new_task(refuse())
    await aio.sleep(0)
    task.cancel()
    assert await task == "refused"
    assert task.cancelled() is False


@EVERY_TASK
@requirement("Task.cancel/coroutine-may-refuse", "Task.cancelled/returns-true-after-propagated-cancellation")
async def test_a_coroutine_that_answers_with_another_error_has_failed(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    async def answer() -> None:
        try:
            await loop.create_future()
        except aio.CancelledError:
            raise ValueError("instead") from None

    task = new_task(answer())
    await aio.sleep(0)
    task.cancel()
    assert await outcome_of(task, aio) == "raised ValueError('instead')"
    assert task.cancelled() is False


@EVERY_TASK
@requirement("Task.cancel/cancelled-false-until-processed")
async def test_a_task_is_not_cancelled_until_its_coroutine_ended(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    release = loop.create_future()
    states: list[bool] = []

    async def tidy_up() -> None:
        try:
            await loop.create_future()
        finally:
            states.append(task.cancelled())
            await release

    task = new_task(tidy_up())
    await aio.sleep(0)
    task.cancel()
    states.append(task.cancelled())
    loop.call_later(0.001, release.set_result, None)
    await aio.wait([task])
    states.append(task.cancelled())
    assert states == [False, False, True]


@EVERY_TASK
@requirement("Task.cancelled/returns-true-after-propagated-cancellation")
async def test_cancelled_is_true_after_the_error_passed_through_the_coroutine(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    task = new_task(wait_for(loop.create_future()))
    assert task.cancelled() is False
    await aio.sleep(0)
    task.cancel()
    with pytest.raises(aio.CancelledError):
        await task
    assert task.cancelled() is True


@EVERY_TASK
@requirement("Task.cancel/ends-cancelled-on-cancellederror")
async def test_a_coroutine_that_raises_cancellederror_itself_is_cancelled(aio: Any, new_task: NewTask) -> None:
    async def give_up() -> None:
        raise aio.CancelledError

    task = new_task(give_up())
    assert await outcome_of(task, aio) == "cancelled"
    assert task.cancelled() is True


@EVERY_TASK
@requirement("Task.cancel/ends-cancelled-on-cancellederror")
async def test_a_task_whose_awaited_future_was_cancelled_by_others_is_cancelled(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    future = loop.create_future()
    task = new_task(wait_for(future))
    await aio.sleep(0)
    future.cancel()
    assert await outcome_of(task, aio) == "cancelled"


@EVERY_TASK
@requirement("Task.cancel/cancels-awaited-future")
async def test_cancelling_a_task_cancels_the_future_it_waits_for(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    future = loop.create_future()
    task = new_task(wait_for(wait_for(future)))
    await aio.sleep(0)
    task.cancel()
    await aio.wait([task])
    assert future.cancelled() is True


@EVERY_TASK
@requirement("Task.cancel/cancels-awaited-future")
async def test_cancelling_a_task_cancels_the_whole_chain_of_tasks_it_waits_for(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    future = loop.create_future()
    innermost = new_task(wait_for(future))
    middle = new_task(wait_for(innermost))
    outermost = new_task(wait_for(middle))
    await aio.sleep(0)
    outermost.cancel()
    await aio.wait([outermost])
    assert [each.cancelled() for each in (future, innermost, middle, outermost)] == [True] * 4


@EVERY_TASK
@requirement("Task.cancel/cancels-awaited-future")
async def test_cancelling_a_task_leaves_the_futures_it_waited_for_before_alone(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    bystander = loop.create_future()
    waiting = new_task(wait_for(bystander))
    task = new_task(wait_for(loop.create_future()))
    await aio.sleep(0)
    task.cancel()
    await aio.wait([task])
    assert not waiting.done()
    bystander.set_result("unharmed")
    assert await waiting == "unharmed"


@EVERY_TASK
@requirement("Task.cancel/cancels-awaited-future")
async def test_a_refusing_inner_task_lets_the_outer_one_go_on(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    async def refuse() -> str:
        try:
            await loop.create_future()
        except aio.CancelledError:
            return "refused"
        return "not cancelled"

    inner = new_task(refuse())
    outer = new_task(wait_for(inner))
    await aio.sleep(0)
    outer.cancel()
    assert await outcome_of(outer, aio) == "returned 'refused'"
    assert inner.result() == "refused"


@pytest.mark.parametrize("arguments", [((), {}), (("why",), {}), ((), {"msg": "why"})], ids=["none", "position", "msg"])
@EVERY_TASK
@requirement("Task.cancel/accepts-msg-argument")
async def test_cancel_takes_a_message(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask, arguments: tuple[tuple[object, ...], dict[str, object]]
) -> None:
    task = new_task(wait_for(loop.create_future()))
    await aio.sleep(0)
    positional, keywords = arguments
    assert task.cancel(*positional, **keywords) is True
    assert await outcome_of(task, aio) == "cancelled"


@pytest.mark.parametrize("started", [True, False], ids=["waiting", "not started"])
@EVERY_TASK
@requirement("Task.cancel/msg-reaches-awaiter")
async def test_the_message_reaches_who_awaits_the_task(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask, started: bool
) -> None:
    task = new_task(wait_for(loop.create_future()))
    if started:
        await aio.sleep(0)
    task.cancel("why")
    with pytest.raises(aio.CancelledError) as caught:
        await task
    assert caught.value.args == ("why",)


@EVERY_TASK
@requirement("Task.cancel/msg-reaches-awaiter")
async def test_the_message_reaches_who_awaits_a_chain_of_tasks(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    inner = new_task(wait_for(loop.create_future()))
    outer = new_task(wait_for(inner))
    await aio.sleep(0)
    inner.cancel("why")
    with pytest.raises(aio.CancelledError) as caught:
        await outer
    assert caught.value.args == ("why",)


@EVERY_TASK
@requirement("Task.cancel/msg-reaches-awaiter")
async def test_without_a_message_the_error_has_no_argument(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    task = new_task(wait_for(loop.create_future()))
    await aio.sleep(0)
    task.cancel()
    with pytest.raises(aio.CancelledError) as caught:
        await task
    assert caught.value.args == ()


@EVERY_TASK
@requirement("Task.cancel/runs-documented-cancellation-sequence")
async def test_clean_up_runs_between_the_request_and_the_awaiter_s_error(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    order: list[str] = []

    async def work() -> None:
        order.append("started")
        try:
            await aio.sleep(3600)
        except aio.CancelledError:
            order.append("cancelled")
            raise
        finally:
            order.append("cleaned up")

    task = new_task(work())
    await aio.sleep(0)
    task.cancel()
    try:
        await task
    except aio.CancelledError:
        order.append("awaiter told")
    assert order == ["started", "cancelled", "cleaned up", "awaiter told"]
    assert loop.is_running()


@EVERY_TASK
@requirement("task-cancellation/runs-finally-on-cancel")
async def test_finally_blocks_run_and_may_await_before_the_task_ends(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    order: list[str] = []

    async def inner() -> None:
        try:
            await loop.create_future()
        finally:
            order.append("inner begins")
            await aio.sleep(0.001)
            order.append("inner ends")

    async def outer() -> None:
        try:
            await inner()
        finally:
            await aio.sleep(0)
            order.append("outer")

    task = new_task(outer())
    await aio.sleep(0)
    task.cancel()
    assert await outcome_of(task, aio) == "cancelled"
    assert order == ["inner begins", "inner ends", "outer"]


@EVERY_TASK
@requirement("task-cancellation/escapes-except-exception", "CancelledError/is-baseexception-subclass-only")
async def test_except_exception_does_not_stop_the_cancellation(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    async def swallow() -> str:
        try:
            await loop.create_future()
        except Exception:
            return "swallowed"
        return "not cancelled"

    task = new_task(swallow())
    await aio.sleep(0)
    task.cancel()
    assert await outcome_of(task, aio) == "cancelled"
