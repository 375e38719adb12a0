"""Looking at tasks: ``current_task()``, ``all_tasks()``, the stack of a task, ``iscoroutine()``."""

from __future__ import annotations

import io
import threading
import traceback
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.tasks import EVERY_TASK
from conformance.support.waiting import GENEROUS, run_one_pass

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Awaitable, Callable, Generator
    from types import FrameType

    NewTask = Callable[..., Task[Any]]


async def innermost(awaitable: Any) -> None:
    await awaitable


async def middle(awaitable: Any) -> None:
    await innermost(awaitable)


async def outermost(awaitable: Any) -> None:
    await middle(awaitable)


async def fail() -> None:
    raise ValueError("at the bottom")


def names_of(frames: list[FrameType]) -> list[str]:
    return [frame.f_code.co_name for frame in frames]


@EVERY_TASK
@requirement("current_task/returns-running-task-or-none")
async def test_the_current_task_is_the_one_that_runs(aio: Any, new_task: NewTask) -> None:
    seen: list[object] = []

    async def look() -> None:
        await aio.sleep(0)
        seen.append(aio.current_task())

    own = aio.current_task()
    tasks = [new_task(look()), new_task(look())]
    await aio.wait(tasks)
    assert set(seen) == set(tasks)
    assert aio.current_task() is own
    assert own not in tasks


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("current_task/returns-running-task-or-none")
async def test_a_coroutine_that_is_awaited_runs_in_its_caller_s_task(loop: AbstractEventLoop, aio: Any) -> None:
    async def look() -> object:
        await aio.sleep(0)
        return aio.current_task(loop)

    assert await look() is aio.current_task()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("current_task/returns-running-task-or-none")
async def test_there_is_no_current_task_in_a_callback(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[object] = []
    future = loop.create_future()
    future.add_done_callback(lambda _: seen.append(aio.current_task()))
    loop.call_soon(lambda: seen.append(aio.current_task()))
    loop.call_later(0.001, lambda: seen.append(aio.current_task()))
    loop.call_later(0.001, future.set_result, None)
    await future
    while len(seen) < 3:
        await aio.sleep(0.001)
    assert seen == [None, None, None]


@requirement("current_task/returns-running-task-or-none")
def test_there_is_no_current_task_of_a_loop_that_does_not_run(loop: AbstractEventLoop, aio: Any) -> None:
    assert aio.current_task(loop) is None
    loop.run_until_complete(aio.sleep(0))
    assert aio.current_task(loop) is None


@requirement("current_task/returns-running-task-or-none")
async def test_another_loop_has_a_current_task_of_its_own(loop: AbstractEventLoop, aio: Any, target: Any) -> None:
    other = target.make_loop()
    try:
        assert aio.current_task(other) is None
        assert aio.current_task(loop) is aio.current_task()
    finally:
        other.close()


@requirement("current_task/defaults-to-running-loop")
async def test_current_task_looks_at_the_running_loop_by_default(loop: AbstractEventLoop, aio: Any) -> None:
    assert aio.current_task() is aio.current_task(loop)
    assert aio.current_task(None) is aio.current_task(loop=loop)
    assert aio.current_task() is not None


@requirement("current_task/defaults-to-running-loop")
def test_current_task_without_a_loop_needs_a_running_one(aio: Any) -> None:
    with pytest.raises(RuntimeError):
        aio.current_task()


@EVERY_TASK
@requirement("all_tasks/returns-unfinished-tasks")
async def test_all_tasks_are_the_unfinished_tasks_of_the_loop(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask
) -> None:
    future = loop.create_future()
    tasks = {new_task(innermost(future)) for _ in range(3)}
    assert aio.all_tasks(loop) == tasks | {aio.current_task()}
    await aio.sleep(0)
    assert aio.all_tasks(loop) == tasks | {aio.current_task()}
    future.set_result(None)
    await aio.wait(tasks)


@requirement("all_tasks/returns-unfinished-tasks")
def test_all_tasks_of_a_loop_that_does_not_run_are_found(loop: AbstractEventLoop, aio: Any) -> None:
    assert aio.all_tasks(loop) == set()
    task = loop.create_task(aio.sleep(0))
    assert aio.all_tasks(loop) == {task}
    loop.run_until_complete(task)
    assert aio.all_tasks(loop) == set()


@requirement("all_tasks/returns-unfinished-tasks")
async def test_the_set_returned_is_the_caller_s_own(loop: AbstractEventLoop, aio: Any) -> None:
    first = aio.all_tasks(loop)
    first.clear()
    assert aio.all_tasks(loop) == {aio.current_task()}
    assert type(first) is set


@requirement("all_tasks/returns-unfinished-tasks")
async def test_tasks_of_another_loop_are_left_out(loop: AbstractEventLoop, aio: Any, target: Any) -> None:
    other = target.make_loop()
    coroutine = aio.sleep(0)
    try:
        foreign = other.create_task(coroutine)
        assert aio.all_tasks(loop) == {aio.current_task()}
        assert aio.all_tasks(other) == {foreign}
    finally:
        await loop.run_in_executor(None, finish_and_close, other, foreign)


@requirement("all_tasks/returns-unfinished-tasks")
def test_loops_in_two_threads_see_only_their_own_tasks(target: Any, aio: Any) -> None:
    both_look = threading.Barrier(2)
    seen: list[tuple[object, object]] = []

    async def look() -> None:
        both_look.wait(GENEROUS)
        seen.append((aio.all_tasks(), {aio.current_task()}))
        both_look.wait(GENEROUS)

    def work() -> None:
        loop = target.make_loop()
        try:
            loop.run_until_complete(look())
        except threading.BrokenBarrierError:
            pass
        finally:
            loop.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found == own for found, own in seen] == [True, True]


@requirement("all_tasks/defaults-to-running-loop")
async def test_all_tasks_looks_at_the_running_loop_by_default(loop: AbstractEventLoop, aio: Any) -> None:
    task = loop.create_task(aio.sleep(0))
    assert aio.all_tasks() == {task, aio.current_task()}
    assert aio.all_tasks(None) == aio.all_tasks(loop=loop) == {task, aio.current_task()}
    await task


@requirement("all_tasks/defaults-to-running-loop")
def test_all_tasks_without_a_loop_needs_a_running_one(aio: Any) -> None:
    with pytest.raises(RuntimeError):
        aio.all_tasks()


@pytest.mark.parametrize("ending", ["returned", "raised", "cancelled"])
@EVERY_TASK
@requirement("all_tasks/omits-finished-tasks")
async def test_a_finished_task_is_left_out_though_it_is_referred_to(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask, ending: str
) -> None:
    task = new_task(fail() if ending == "raised" else aio.sleep(0))
    if ending == "cancelled":
        task.cancel()
    await aio.wait([task])
    assert task not in aio.all_tasks(loop)
    assert ending != "raised" or isinstance(task.exception(), ValueError)


@requirement("all_tasks/omits-finished-tasks")
async def test_a_task_is_left_out_once_its_done_callbacks_run(loop: AbstractEventLoop, aio: Any) -> None:
    found: list[bool] = []
    task = loop.create_task(aio.sleep(0))
    task.add_done_callback(lambda done: found.append(done in aio.all_tasks(loop)))
    await task
    assert found == [False]


@requirement("Task.get_stack/returns-suspension-frame", "Task.get_stack/returns-one-suspended-frame")
async def test_the_stack_of_a_suspended_task_is_the_frame_of_its_coroutine(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    task = loop.create_task(outermost(future))
    await aio.sleep(0)
    assert names_of(task.get_stack()) == ["outermost"]
    future.set_result(None)
    await task


@requirement("Task.get_stack/returns-suspension-frame")
async def test_the_frame_tells_the_line_where_the_coroutine_waits(loop: AbstractEventLoop, aio: Any) -> None:
    futures = [loop.create_future() for _ in range(2)]

    async def wait() -> None:
        await futures[0]
        await futures[1]

    task = loop.create_task(wait())
    lines = []
    for future in futures:
        for _ in range(3):
            await aio.sleep(0)
        lines.append(task.get_stack()[0].f_lineno)
        future.set_result(None)
    await task
    assert lines == [wait.__code__.co_firstlineno + 1, wait.__code__.co_firstlineno + 2]


@requirement("Task.get_stack/returns-suspension-frame")
def test_the_stack_of_a_task_not_started_is_the_frame_of_its_coroutine(loop: AbstractEventLoop, aio: Any) -> None:
    task = loop.create_task(innermost(aio.sleep(0)))
    assert names_of(task.get_stack()) == ["innermost"]
    loop.run_until_complete(task)


@pytest.mark.parametrize("ending", ["returned", "cancelled"])
@EVERY_TASK
@requirement("Task.get_stack/returns-empty-when-finished")
async def test_the_stack_of_a_task_that_returned_or_was_cancelled_is_empty(
    loop: AbstractEventLoop, aio: Any, new_task: NewTask, ending: str
) -> None:
    future = loop.create_future()
    task = new_task(innermost(future))
    await aio.sleep(0)
    task.cancel() if ending == "cancelled" else future.set_result(None)
    await aio.wait([task])
    assert task.get_stack() == []


@EVERY_TASK
@requirement("Task.get_stack/returns-traceback-frames-after-failure", "Task.get_stack/oldest-frame-first")
async def test_the_stack_of_a_failed_task_is_its_traceback_from_oldest_to_newest(aio: Any, new_task: NewTask) -> None:
    task = new_task(outermost(fail()))
    await aio.wait([task])
    error = task.exception()
    assert error is not None
    frames = task.get_stack()
    assert names_of(frames)[-4:] == ["outermost", "middle", "innermost", "fail"]
    assert frames == [frame for frame, _ in traceback.walk_tb(error.__traceback__)]


@pytest.mark.parametrize("limit", [1, 2, 3])
@requirement("Task.get_stack/limit-keeps-documented-end")
async def test_a_limit_keeps_the_oldest_frames_of_a_traceback(loop: AbstractEventLoop, aio: Any, limit: int) -> None:
    task = loop.create_task(outermost(fail()))
    await aio.wait([task])
    assert isinstance(task.exception(), ValueError)
    assert len(task.get_stack()) >= 4
    assert task.get_stack(limit=limit) == task.get_stack()[:limit]


@pytest.mark.parametrize("limit", [1, 2])
@requirement("Task.get_stack/limit-keeps-documented-end")
async def test_a_limit_keeps_the_newest_frames_of_a_stack(loop: AbstractEventLoop, aio: Any, limit: int) -> None:
    assert loop.is_running()
    task = aio.current_task()
    assert names_of(task.get_stack(limit=limit)) == names_of(task.get_stack())[-limit:]


@requirement("Task.get_stack/accepts-limit-keyword")
async def test_get_stack_takes_limit_by_keyword_only(loop: AbstractEventLoop, aio: Any) -> None:
    task = loop.create_task(aio.sleep(0.001))
    await aio.sleep(0)
    assert task.get_stack(limit=None) == task.get_stack()
    with pytest.raises(TypeError):
        task.get_stack(1)  # type: ignore[call-arg]
    await task


@requirement("Task.print_stack/prints-traceback-like-output", "Task.print_stack/writes-to-given-file")
async def test_print_stack_shows_file_line_and_function_of_a_suspended_task(
    loop: AbstractEventLoop, aio: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    future = loop.create_future()
    task = loop.create_task(outermost(future))
    await aio.sleep(0)
    output = io.StringIO()
    task.print_stack(file=output)
    future.set_result(None)
    await task
    code = outermost.__code__
    assert f'File "{code.co_filename}", line {code.co_firstlineno + 1}, in outermost' in output.getvalue()
    assert "await middle(awaitable)" in output.getvalue()
    assert capsys.readouterr() == ("", "")


@requirement("Task.print_stack/prints-traceback-like-output")
async def test_print_stack_shows_the_traceback_and_the_error_of_a_failed_task(
    loop: AbstractEventLoop, aio: Any
) -> None:
    task = loop.create_task(outermost(fail()))
    await aio.wait([task])
    output = io.StringIO()
    task.print_stack(file=output)
    assert isinstance(task.exception(), ValueError)
    printed = output.getvalue()
    shown = [name for name in ("outermost", "middle", "innermost", "fail") if f", in {name}\n" in printed]
    assert shown == ["outermost", "middle", "innermost", "fail"]
    assert "ValueError: at the bottom" in printed


@requirement("Task.print_stack/writes-to-given-file")
async def test_print_stack_writes_to_standard_output_by_default(
    loop: AbstractEventLoop, aio: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    task = loop.create_task(outermost(aio.sleep(0.001)))
    await aio.sleep(0)
    task.print_stack()
    await task
    # CPython writes the heading there and the frames to standard error (all versions): only the heading is asked for.
    assert "outermost" in capsys.readouterr().out


@requirement("Task.print_stack/passes-limit-through")
async def test_print_stack_prints_no_more_frames_than_the_limit(loop: AbstractEventLoop, aio: Any) -> None:
    task = loop.create_task(outermost(fail()))
    await aio.wait([task])
    assert isinstance(task.exception(), ValueError)
    printed = []
    for limit in (1, 2, 3):
        output = io.StringIO()
        task.print_stack(limit=limit, file=output)
        printed.append(output.getvalue().count('File "'))
    assert printed == [1, 2, 3]


@requirement("Task.print_stack/accepts-documented-arguments")
async def test_print_stack_takes_limit_and_file_by_keyword_only(loop: AbstractEventLoop, aio: Any) -> None:
    task = loop.create_task(aio.sleep(0.001))
    task.print_stack(limit=None, file=io.StringIO())
    for arguments in ((1,), (None, io.StringIO())):
        with pytest.raises(TypeError):
            task.print_stack(*arguments)
    await task


@requirement("iscoroutine/returns-true-for-coroutines")
def test_iscoroutine_is_true_for_coroutine_objects_alone(aio: Any) -> None:
    class Other:
        def __await__(self) -> Generator[Any, None, None]:
            yield None

    coroutine: Awaitable[None] = fail()
    others = [fail, Other(), Other().__await__, None, 7, "coroutine", object()]
    assert aio.iscoroutine(coroutine) is True
    assert [aio.iscoroutine(other) for other in others] == [False] * len(others)
    coroutine.close()  # type: ignore[attr-defined]


@requirement("iscoroutine/returns-true-for-coroutines")
def test_iscoroutine_stays_true_for_a_finished_coroutine(loop: AbstractEventLoop, aio: Any) -> None:
    coroutine = aio.sleep(0)
    assert aio.iscoroutine(coroutine) is True
    loop.run_until_complete(coroutine)
    assert aio.iscoroutine(coroutine) is True


@requirement("iscoroutine/returns-true-for-coroutines")
def test_iscoroutine_is_false_for_futures_and_tasks(loop: AbstractEventLoop, aio: Any) -> None:
    task = loop.create_task(aio.sleep(0))
    assert [aio.iscoroutine(loop.create_future()), aio.iscoroutine(task)] == [False, False]
    run_one_pass(loop)
    loop.run_until_complete(task)


@requirement("iscoroutinefunction/warns-deprecated")
def test_iscoroutinefunction_warns_that_it_is_deprecated(aio: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert aio.iscoroutinefunction(fail) is True
    assert [warning.category for warning in caught] == [DeprecationWarning]


def finish_and_close(loop: AbstractEventLoop, task: Task[Any]) -> None:
    """Run ``task`` to its end on ``loop``, in a thread where no loop runs, and close the loop."""
    loop.run_until_complete(task)
    loop.close()
