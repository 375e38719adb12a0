"""What a task holds: its state, its result, its exception, and the Future methods it has and refuses."""

from __future__ import annotations

import gc
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.tasks import EVERY_TASK
from conformance.support.waiting import run_until

if TYPE_CHECKING:
    import logging
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable

    NewTask = Callable[..., Task[Any]]

FUTURE_METHODS = [
    "add_done_callback",
    "cancel",
    "cancelled",
    "done",
    "exception",
    "get_loop",
    "remove_done_callback",
    "result",
]


class Unusual(BaseException):
    """Neither an Exception nor one of the exceptions that end a program."""


async def give(value: object = None, *, after: Any = None) -> object:
    """Return ``value`` once the future ``after``, if any, is done."""
    if after is not None:
        await after
    return value


async def fail(error: BaseException, *, after: Any = None) -> object:
    """Raise ``error`` once the future ``after``, if any, is done."""
    if after is not None:
        await after
    raise error


@EVERY_TASK
@requirement("Task.result/returns-coroutine-value")
async def test_result_is_the_very_object_the_coroutine_returned(new_task: NewTask) -> None:
    value = object()
    task = new_task(give(value))
    assert await task is value
    assert task.result() is value
    assert task.result() is value


@EVERY_TASK
@requirement("Task.result/raises-coroutine-exception", "Task.exception/returns-exception-or-none")
async def test_result_raises_and_exception_returns_what_the_coroutine_raised(new_task: NewTask) -> None:
    error = ValueError("raised")
    task = new_task(fail(error))
    with pytest.raises(ValueError, match="raised") as awaited:
        await task
    with pytest.raises(ValueError, match="raised") as read:
        task.result()
    assert [awaited.value, read.value, task.exception()] == [error, error, error]


@EVERY_TASK
@requirement("Task.result/raises-coroutine-exception", "Task.exception/returns-exception-or-none")
async def test_an_exception_outside_exception_is_kept_like_any_other(aio: Any, new_task: NewTask) -> None:
    error = Unusual()
    task = new_task(fail(error, after=aio.sleep(0)))
    with pytest.raises(Unusual) as caught:
        await task
    assert caught.value is error
    assert task.exception() is error
    assert not task.cancelled()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=["SystemExit", "KeyboardInterrupt"])
@requirement("Task.exception/returns-exception-or-none")
def test_an_exception_that_ends_programs_ends_the_task_and_the_run(
    loop: AbstractEventLoop, error: BaseException
) -> None:
    task = loop.create_task(fail(error))
    with pytest.raises(type(error)) as caught:
        loop.run_until_complete(task)
    assert caught.value is error
    assert task.done()
    assert task.exception() is error


@EVERY_TASK
@requirement("Task.result/raises-coroutine-exception")
async def test_a_coroutine_that_raises_stopiteration_fails_with_runtimeerror(new_task: NewTask) -> None:
    task = new_task(fail(StopIteration("no return value")))
    with pytest.raises(RuntimeError):
        await task
    with pytest.raises(RuntimeError):
        task.result()


@EVERY_TASK
@requirement("Task.exception/returns-exception-or-none")
async def test_exception_is_none_after_a_normal_return(new_task: NewTask) -> None:
    task = new_task(give(ValueError("only a value")))
    await task
    assert task.exception() is None


@EVERY_TASK
@requirement("Task.result/raises-cancellederror-when-cancelled", "Task.exception/raises-cancellederror-when-cancelled")
async def test_result_and_exception_of_a_cancelled_task_raise_cancellederror(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    task = new_task(give(after=loop.create_future()))
    task.cancel()
    with pytest.raises(aio.CancelledError):
        await task
    for read in (task.result, task.exception, task.result):
        with pytest.raises(aio.CancelledError):
            read()


@EVERY_TASK
@requirement("Task.result/raises-invalidstateerror-while-pending", "InvalidStateError/raised-for-forbidden-state")
@requirement("Task.exception/raises-invalidstateerror-while-pending")
async def test_result_and_exception_of_an_unfinished_task_are_an_invalid_state(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    future = loop.create_future()
    task = new_task(give(after=future))
    await aio.sleep(0)
    for read in (task.result, task.exception):
        with pytest.raises(aio.InvalidStateError):
            read()
    future.set_result(None)
    assert await task is None


@EVERY_TASK
@requirement("Task.done/returns-false-while-suspended", "Task.done/returns-true-when-finished")
async def test_a_task_is_done_once_its_coroutine_returned_and_not_before(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    future = loop.create_future()
    task = new_task(give(after=future))
    seen = [task.done()]
    await aio.sleep(0)
    seen.append(task.done())
    future.set_result(None)
    # The future is done, but the coroutine has not run on yet.
    seen.append(task.done())
    await task
    seen.append(task.done())
    assert seen == [False, False, False, True]


@EVERY_TASK
@requirement("Task.done/returns-false-while-suspended")
async def test_a_task_is_not_done_while_its_coroutine_runs(aio: Any, new_task: NewTask) -> None:
    seen: list[bool] = []

    async def look() -> None:
        await aio.sleep(0)
        seen.append(aio.current_task().done())

    await new_task(look())
    assert seen == [False]


@pytest.mark.parametrize("ending", ["return", "raise", "cancel"])
@EVERY_TASK
@requirement("Task.done/returns-true-when-finished")
async def test_a_task_is_done_however_it_ended(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask, ending: str
) -> None:
    future = loop.create_future()
    task = new_task(fail(ValueError(), after=future) if ending == "raise" else give(after=future))
    await aio.sleep(0)
    task.cancel() if ending == "cancel" else future.set_result(None)
    await aio.wait([task])
    assert task.done() is True
    assert task.cancelled() is (ending == "cancel")
    assert ending == "cancel" or isinstance(task.exception(), ValueError) is (ending == "raise")


@EVERY_TASK
@requirement("Task.add_done_callback/calls-back-with-task")
def test_a_done_callback_gets_the_task_once_it_is_done(loop: AbstractEventLoop, new_task: NewTask) -> None:
    calls: list[tuple[object, ...]] = []
    task = new_task(give())
    task.add_done_callback(lambda *arguments: calls.append((*arguments, arguments[0].done())))
    run_until(loop, lambda: bool(calls))
    assert calls == [(task, True)]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Task.add_done_callback/calls-back-with-task")
async def test_a_done_callback_of_a_finished_task_is_scheduled_not_called(loop: AbstractEventLoop, aio: Any) -> None:
    calls: list[object] = []
    task = loop.create_task(give())
    await task
    task.add_done_callback(calls.append)
    assert calls == []
    await aio.sleep(0)
    assert calls == [task]


@requirement("Task.add_done_callback/accepts-context-keyword")
def test_a_done_callback_runs_in_the_context_given_not_in_the_task_s(loop: AbstractEventLoop) -> None:
    variable: ContextVar[str] = ContextVar("variable")
    given, of_task, seen = Context(), Context(), []
    given.run(variable.set, "given with the callback")
    of_task.run(variable.set, "of the task")
    task = loop.create_task(give(), context=of_task)
    task.add_done_callback(lambda _: seen.append(variable.get()), context=given)
    run_until(loop, lambda: bool(seen))
    assert seen == ["given with the callback"]


@requirement("Task.add_done_callback/accepts-context-keyword")
def test_a_done_callback_without_context_runs_in_the_one_it_was_added_in(loop: AbstractEventLoop) -> None:
    variable: ContextVar[str] = ContextVar("variable")
    adding, of_task, seen = Context(), Context(), []
    adding.run(variable.set, "of add_done_callback")
    of_task.run(variable.set, "of the task")
    task = loop.create_task(give(), context=of_task)
    adding.run(task.add_done_callback, lambda _: seen.append(variable.get()))
    run_until(loop, lambda: bool(seen))
    assert seen == ["of add_done_callback"]


@EVERY_TASK
@requirement("Task.remove_done_callback/returns-removed-count")
def test_removing_a_done_callback_removes_every_registration(loop: AbstractEventLoop, new_task: NewTask) -> None:
    gone: list[object] = []
    kept: list[object] = []
    task = new_task(give())
    for callback in (gone.append, kept.append, gone.append):
        task.add_done_callback(callback)
    assert [task.remove_done_callback(gone.append) for _ in range(2)] == [2, 0]
    run_until(loop, lambda: bool(kept))
    assert (gone, kept) == ([], [task])


@EVERY_TASK
@requirement("Task/inherits-future-methods")
async def test_a_task_has_every_other_method_of_a_future(loop: AbstractEventLoop, aio: Any, new_task: NewTask) -> None:
    task = new_task(give())
    assert [name for name in FUTURE_METHODS if not callable(getattr(task, name, None))] == []
    assert aio.isfuture(task)
    assert task.get_loop() is loop
    await task


@EVERY_TASK
@requirement("Task/is-future-subclass")
async def test_a_task_is_a_future(aio: Any, new_task: NewTask) -> None:
    assert issubclass(aio.Task, aio.Future)
    task = new_task(give())
    assert isinstance(task, aio.Future)
    await task


@EVERY_TASK
@requirement("Task/rejects-set-result-and-exception")
async def test_a_task_takes_its_outcome_from_its_coroutine_alone(aio: Any, new_task: NewTask) -> None:
    task = new_task(give("of the coroutine", after=aio.sleep(0)))
    with pytest.raises(RuntimeError):
        task.set_result("from outside")
    with pytest.raises(RuntimeError):
        task.set_exception(ValueError("from outside"))
    assert await task == "of the coroutine"


@requirement("Task/supports-generic-subscription")
def test_task_can_be_subscripted(aio: Any) -> None:
    assert aio.Task[int].__origin__ is aio.Task
    assert aio.Task[int].__args__ == (int,)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("create_task/logs-unretrieved-exception")
def test_the_exception_of_a_task_that_nobody_retrieved_is_reported_when_the_task_is_collected(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]]
) -> None:
    async def start() -> None:
        await aio.wait([loop.create_task(fail(ValueError("overlooked")))])

    loop.run_until_complete(start())
    gc.collect()
    assert [repr(context.get("exception")) for context in reported] == ["ValueError('overlooked')"]
    # A loop's own subclass of Task may put its own name before this.
    assert "exception was never retrieved" in reported[0]["message"]


@requirement("create_task/logs-unretrieved-exception")
def test_the_exception_of_a_task_that_nobody_retrieved_ends_in_the_log(
    loop: AbstractEventLoop, aio: Any, asyncio_log: list[logging.LogRecord]
) -> None:
    async def start() -> None:
        await aio.wait([loop.create_task(fail(ValueError("overlooked")))])

    loop.run_until_complete(start())
    gc.collect()
    errors = [record.getMessage() for record in asyncio_log if record.levelname == "ERROR"]
    assert ["exception was never retrieved" in message for message in errors] == [True]


@pytest.mark.parametrize("retrieve", ["await", "result", "exception"])
@requirement("create_task/logs-unretrieved-exception")
def test_the_exception_of_a_task_that_somebody_retrieved_is_not_reported(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]], retrieve: str
) -> None:
    async def start() -> None:
        task = loop.create_task(fail(ValueError("seen")))
        await aio.wait([task])
        if retrieve == "exception":
            task.exception()
        else:
            with pytest.raises(ValueError, match="seen"):
                await task if retrieve == "await" else task.result()

    loop.run_until_complete(start())
    gc.collect()
    assert reported == []
