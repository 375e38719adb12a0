"""The ``asyncio`` logger, and the exceptions and tasks that are logged because nobody cared for them."""

from __future__ import annotations

import gc
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.logs import logged_errors, names_of_loggers
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.waiting import run_one_pass, run_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from conformance.support.programs import RunProgram

Records = list[logging.LogRecord]


def fail() -> None:
    """Raise a LookupError: the callback of these cases."""
    raise LookupError("raised in a callback")


async def bug(aio: Any) -> None:
    """Fail in the second step."""
    await aio.sleep(0)
    raise LookupError("not consumed")


def abandon_task(loop: AbstractEventLoop, aio: Any) -> str:
    """Forget a task that failed; the ``repr`` that it had."""
    task = loop.create_task(bug(aio))
    run_until(loop, task.done)
    shown = repr(task)
    del task
    gc.collect()
    return shown


def abandon_future(loop: AbstractEventLoop, _aio: Any) -> str:
    """Forget a future that was given an exception; the ``repr`` that it had."""
    future = loop.create_future()
    future.set_exception(LookupError("not consumed"))
    shown = repr(future)
    del future
    gc.collect()
    return shown


ABANDON = [abandon_task, abandon_future]
each_kind = pytest.mark.parametrize("abandon", ABANDON, ids=["task", "future"])


@requirement("logger-asyncio/uses-asyncio-logger")
def test_errors_are_logged_by_the_logger_asyncio(loop: AbstractEventLoop, asyncio_log: Records) -> None:
    with names_of_loggers() as names:
        loop.call_soon(fail)
        run_one_pass(loop)
    assert [record.name for record in asyncio_log if record.levelno >= logging.ERROR] == ["asyncio"]
    assert names == {"asyncio"}


@on_loops(DEBUG)
@requirement("logger-asyncio/uses-asyncio-logger")
def test_slow_callbacks_are_logged_by_the_logger_asyncio(loop: AbstractEventLoop, asyncio_log: Records) -> None:
    loop.slow_callback_duration = 0
    with names_of_loggers() as names:
        loop.call_soon(int)
        run_one_pass(loop)
    assert {record.name for record in asyncio_log} == {"asyncio"}
    assert names == {"asyncio"}


@requirement("logger-asyncio/level-adjustable")
def test_a_raised_level_silences_the_log(loop: AbstractEventLoop, asyncio_log: Records) -> None:
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop.call_soon(fail)
    run_one_pass(loop)
    assert asyncio_log == []


@requirement("logger-asyncio/level-adjustable")
def test_a_lowered_level_lets_the_log_through_again(loop: AbstractEventLoop, asyncio_log: Records) -> None:
    for level in logging.CRITICAL, logging.ERROR:
        logging.getLogger("asyncio").setLevel(level)
        loop.call_soon(fail)
        run_one_pass(loop)
    assert [record.levelno for record in asyncio_log] == [logging.ERROR]


@each_kind
@on_loops(PLAIN, DEBUG, EAGER)
@requirement("never-retrieved-exceptions/logs-when-collected")
def test_an_exception_that_nobody_retrieves_is_logged_once(
    loop: AbstractEventLoop, aio: Any, asyncio_log: Records, abandon: Callable[[AbstractEventLoop, Any], str]
) -> None:
    abandon(loop, aio)
    assert len(logged_errors(asyncio_log)) == 1


@requirement("never-retrieved-exceptions/logs-when-collected")
def test_an_exception_is_not_logged_before_its_future_is_collected(
    loop: AbstractEventLoop, aio: Any, asyncio_log: Records
) -> None:
    tasks = [loop.create_task(bug(aio))]
    run_until(loop, tasks[0].done)
    gc.collect()
    run_one_pass(loop)
    assert logged_errors(asyncio_log) == []
    tasks.clear()
    gc.collect()
    assert len(logged_errors(asyncio_log)) == 1


@requirement("never-retrieved-exceptions/logs-when-collected")
def test_an_exception_that_nobody_retrieves_goes_to_the_loops_handler(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]], asyncio_log: Records
) -> None:
    abandon_task(loop, aio)
    assert [type(context.get("exception")) for context in reported] == [LookupError]
    assert logged_errors(asyncio_log) == []


@each_kind
@requirement("never-retrieved-exceptions/logs-repr-and-traceback")
def test_the_log_shows_the_future_and_its_exception(
    loop: AbstractEventLoop, aio: Any, asyncio_log: Records, abandon: Callable[[AbstractEventLoop, Any], str]
) -> None:
    shown = abandon(loop, aio)
    [text] = logged_errors(asyncio_log)
    assert shown in text
    assert "LookupError: not consumed" in text


@requirement("never-retrieved-exceptions/logs-repr-and-traceback")
def test_the_log_shows_where_the_exception_was_raised(loop: AbstractEventLoop, aio: Any, asyncio_log: Records) -> None:
    abandon_task(loop, aio)
    [text] = logged_errors(asyncio_log)
    assert "Traceback" in text
    assert ", in bug\n" in text


@each_kind
@on_loops(DEBUG)
@requirement("never-retrieved-exceptions/debug-adds-source-traceback")
def test_in_debug_mode_the_log_shows_where_the_future_was_made(
    loop: AbstractEventLoop, aio: Any, asyncio_log: Records, abandon: Callable[[AbstractEventLoop, Any], str]
) -> None:
    abandon(loop, aio)
    [text] = logged_errors(asyncio_log)
    assert "source_traceback" in text
    assert f", in {abandon.__name__}\n" in text


@each_kind
@requirement("never-retrieved-exceptions/skips-excepthook")
def test_an_exception_that_nobody_retrieves_calls_no_excepthook(
    loop: AbstractEventLoop,
    aio: Any,
    asyncio_log: Records,
    monkeypatch: pytest.MonkeyPatch,
    abandon: Callable[[AbstractEventLoop, Any], str],
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: calls.append(args))
    abandon(loop, aio)
    assert calls == []
    assert len(logged_errors(asyncio_log)) == 1


@pytest.mark.parametrize("way", ["await", "result", "exception"])
@requirement("never-retrieved-exceptions/retrieval-silences-log")
def test_an_exception_that_was_retrieved_is_not_logged(
    loop: AbstractEventLoop, aio: Any, asyncio_log: Records, way: str
) -> None:
    task = loop.create_task(bug(aio))
    if way == "await":
        with pytest.raises(LookupError):
            loop.run_until_complete(task)
    else:
        run_until(loop, task.done)
        if way == "result":
            with pytest.raises(LookupError):
                task.result()
        else:
            assert isinstance(task.exception(), LookupError)
    del task
    gc.collect()
    assert logged_errors(asyncio_log) == []


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
@requirement("examples/detect-never-retrieved-exceptions")
def test_a_program_that_forgets_a_failed_task_is_told_so(run_program: RunProgram, debug: bool) -> None:
    program = f"""
import gc

async def bug():
    raise Exception("not consumed")

async def main():
    aio.get_running_loop().create_task(bug())

with aio.Runner(debug={debug}, loop_factory=make_loop) as runner:
    runner.run(main())
    gc.collect()
"""
    stderr = run_program(program).stderr
    assert "Task exception was never retrieved" in stderr
    assert "Exception: not consumed" in stderr
    assert ("source_traceback" in stderr) is debug


@requirement("examples/detect-exceptions-never-consumed")
def test_a_program_may_consume_the_exception_of_a_task_later(
    loop: AbstractEventLoop, aio: Any, asyncio_log: Records
) -> None:
    async def consume() -> str:
        task = loop.create_task(bug(aio))
        while not task.done():
            await aio.sleep(0)
        try:
            await task
        except LookupError as error:
            return str(error)
        return "nothing"

    assert loop.run_until_complete(consume()) == "not consumed"
    gc.collect()
    assert logged_errors(asyncio_log) == []


def destroy_pending_task(loop: AbstractEventLoop) -> str:
    """Forget a task that waits for something that nobody else knows; its name, which its ``repr`` shows."""

    async def wait() -> None:
        await loop.create_future()

    task = loop.create_task(wait())
    run_one_pass(loop)
    name = task.get_name()
    del task
    gc.collect()
    return name


@requirement("pending-task-destroyed/logs-when-collected-pending")
def test_a_pending_task_that_is_collected_is_logged(loop: AbstractEventLoop, asyncio_log: Records) -> None:
    name = destroy_pending_task(loop)
    [text] = logged_errors(asyncio_log)
    assert "Task was destroyed but it is pending!" in text
    assert name in text


@on_loops(DEBUG)
@requirement("pending-task-destroyed/debug-adds-source-traceback")
def test_in_debug_mode_the_log_shows_where_the_pending_task_was_made(
    loop: AbstractEventLoop, asyncio_log: Records
) -> None:
    destroy_pending_task(loop)
    [text] = logged_errors(asyncio_log)
    assert "source_traceback" in text
    assert ", in destroy_pending_task\n" in text
