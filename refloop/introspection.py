"""Looking at tasks from outside: which there are, which one runs, where one has come to."""

from __future__ import annotations

import linecache
import sys
import traceback
from typing import TYPE_CHECKING, Any, TextIO

from refloop.identity import get_running_loop, registered_current_task, registered_tasks

if TYPE_CHECKING:
    from types import FrameType

    from refloop.identity import AbstractEventLoop
    from refloop.tasks import Task


def current_task(loop: AbstractEventLoop | None = None) -> Any:
    """Return the task that runs now in `loop`, or None. `loop` None means the running loop; `RuntimeError` without one.

    Keeps: current_task/returns-running-task-or-none, current_task/defaults-to-running-loop.
    """
    return registered_current_task(get_running_loop() if loop is None else loop)


def all_tasks(loop: AbstractEventLoop | None = None) -> set[Any]:
    """Return the tasks of `loop` that are not done. `loop` None means the running loop; `RuntimeError` without one.

    Keeps: all_tasks/returns-unfinished-tasks, all_tasks/defaults-to-running-loop, all_tasks/omits-finished-tasks.
    """
    return registered_tasks(get_running_loop() if loop is None else loop)


def task_frames(task: Task[Any], limit: int | None) -> list[FrameType]:
    """Return where a task is: one frame if suspended, the traceback's frames if it failed, else none; oldest first.

    Keeps: Task.get_stack/returns-suspension-frame, Task.get_stack/returns-one-suspended-frame,
    Task.get_stack/returns-empty-when-finished, Task.get_stack/returns-traceback-frames-after-failure,
    Task.get_stack/oldest-frame-first, Task.get_stack/limit-keeps-documented-end.
    """
    suspended = _frame_of(task._coro)
    if suspended is not None:
        frames = [frame for frame, _ in traceback.walk_stack(suspended)] if _is_running(task._coro) else [suspended]
        return frames[:limit][::-1]
    if task._exception is not None:
        frames = [frame for frame, _ in traceback.walk_tb(task._exception.__traceback__)]
        return frames[:limit]
    return []


def print_task_stack(task: Task[Any], limit: int | None, file: TextIO | None) -> None:
    """Print where a task is, in the manner of a traceback.

    Keeps: Task.print_stack/prints-traceback-like-output, Task.print_stack/writes-to-given-file.
    """
    out = sys.stdout if file is None else file
    frames = task_frames(task, limit)
    error = task._exception
    if not frames:
        print(f"No stack for {task!r}", file=out)
    elif error is not None:
        print(f"Traceback for {task!r} (most recent call last):", file=out)
    else:
        print(f"Stack for {task!r} (most recent call last):", file=out)
    lines = dict(traceback.walk_tb(error.__traceback__)) if error is not None else {}
    summaries = []
    for frame in frames:
        linecache.checkcache(frame.f_code.co_filename)
        summaries.append(
            traceback.FrameSummary(frame.f_code.co_filename, lines.get(frame, frame.f_lineno), frame.f_code.co_name)
        )
    print("".join(traceback.format_list(summaries)), file=out, end="")
    if error is not None:
        print("".join(traceback.format_exception_only(error)), file=out, end="")


def _frame_of(coro: Any) -> FrameType | None:
    for name in ("cr_frame", "gi_frame", "ag_frame"):
        frame: FrameType | None = getattr(coro, name, None)
        if frame is not None:
            return frame
    return None


def _is_running(coro: Any) -> bool:
    return bool(getattr(coro, "cr_running", False) or getattr(coro, "gi_running", False))
