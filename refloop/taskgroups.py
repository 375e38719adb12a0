"""Tasks that live no longer than a block: `TaskGroup`.

The group cancels its parent - the task in the block - to bring the block's body to an end when a member fails or when
`cancel()` is called. That request is taken back at the exit (`Task.uncancel()`); if one is left over then, somebody
else made it, and it is honoured. Once the body has ended, the parent waits in the exit and need not be cancelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from refloop.identity import CancelledError, get_running_loop
from refloop.introspection import current_task
from refloop.sleeping import sleep

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from types import TracebackType

    from refloop.tasks import Task

T = TypeVar("T")

# These end a program: they are raised as they are, never within a group.
EXIT_REQUESTS = (KeyboardInterrupt, SystemExit)


class TaskGroup:
    """An asynchronous context manager whose block ends when all tasks made by `create_task()` have.

    The first failure, of a member or of the body, cancels everything else in the group; all failures are then raised as
    one exception group. A member that is cancelled is no failure.

    Keeps: TaskGroup/accepts-no-arguments, TaskGroup/tolerates-cancelled-member,
    TaskGroup/results-available-after-exit, TaskGroup/ends-early-by-private-exception.
    """

    def __init__(self) -> None:
        self._loop: Any = None
        self._parent: Any = None
        self._members: set[Any] = set()
        self._errors: list[BaseException] = []
        self._exit_request: BaseException | None = None
        # What the exit waits for, while it does.
        self._all_ended: Any = None
        self._in_body = False
        self._stopping = False
        self._closed = False
        self._parent_cancelled = False
        self._cancelling_before = 0

    async def __aenter__(self) -> Self:
        """Make the current task the parent. `RuntimeError` for a second time, and outside a task.

        Keeps: TaskGroup/enters-as-itself, TaskGroup.cancel/takes-effect-on-entry.
        """
        if self._parent is not None or self._closed:
            raise RuntimeError(f"TaskGroup {self!r} has already been entered")
        self._loop = get_running_loop()
        self._parent = current_task(self._loop)
        if self._parent is None:
            raise RuntimeError(f"TaskGroup {self!r} cannot determine the parent task")
        # A request that the parent has yet to be told of belongs to the block: it is told in there.
        self._cancelling_before = 0 if _is_told_later(self._parent) else self._parent.cancelling()
        self._in_body = True
        if self._stopping:
            self._cancel_body()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Wait for all members, then raise what there is to raise.

        Keeps: TaskGroup/waits-for-all-tasks, TaskGroup/accepts-tasks-while-waiting, TaskGroup/groups-body-exception,
        TaskGroup/contains-internal-cancellation, TaskGroup/distinguishes-external-cancellation.
        """
        self._in_body = False
        cancelled: BaseException | None = error if isinstance(error, CancelledError) else None
        if isinstance(error, EXIT_REQUESTS) and self._exit_request is None:
            self._exit_request = error
        if error is not None:
            self._stop()
        while self._members:
            self._all_ended = self._loop.create_future()
            try:
                await self._all_ended
            except CancelledError as request:
                cancelled = request
                self._stop()
        self._closed = True
        if self._parent_cancelled:
            cancelled = await self._take_back_cancellation(cancelled)
        outcome = self._outcome(error, cancelled)
        try:
            if outcome is not None and outcome is not error:
                raise outcome
            return outcome is None
        finally:
            # An exception refers to this frame by its traceback: without these names there is no reference cycle.
            self._parent = self._exit_request = None
            self._errors = []
            del outcome, error, cancelled, traceback

    def _outcome(self, error: BaseException | None, cancelled: BaseException | None) -> BaseException | None:
        """Return what the block is to raise, given what its body raised and the cancellation that is not the group's.

        Keeps: TaskGroup/raises-exception-group, TaskGroup/raises-task-keyboardinterrupt-bare,
        TaskGroup/raises-body-keyboardinterrupt-bare, TaskGroup/raises-body-generatorexit-bare,
        TaskGroup/omits-body-cancellederror, TaskGroup/nested-groups-fail-independently,
        TaskGroup/recancels-parent-after-group-raise, TaskGroup/preserves-cancelling-count,
        TaskGroup.cancel/exits-without-cancellederror.
        """
        if self._exit_request is not None:
            return self._exit_request
        errors = list(self._errors)
        if isinstance(error, GeneratorExit) and not errors:
            return error
        if error is not None and not isinstance(error, CancelledError):
            errors.append(error)
        if not errors:
            return cancelled
        if self._parent.cancelling() > self._cancelling_before:
            # Somebody wants the parent cancelled. The group goes first; the request is made anew, and counts once.
            self._parent.uncancel()
            self._parent.cancel()
        group = BaseExceptionGroup("unhandled errors in a TaskGroup", errors)
        # The cancellation of the body, in the course of which this is raised, tells the reader nothing.
        group.__suppress_context__ = True
        return group

    async def _take_back_cancellation(self, cancelled: BaseException | None) -> BaseException | None:
        """Take the group's request to cancel the parent back; return the cancellation that somebody else requested.

        Requests from before the block are not of its time: a task that cleans up after its cancellation may use groups.
        """
        if self._parent.uncancel() <= self._cancelling_before and _is_told_later(self._parent):
            # The body ended before it was told, and the exception is kept in store all the same: by tasks of older
            # interpreters, and where requests from before the block still count.
            try:
                await sleep(0)
            except CancelledError as request:
                cancelled = request
        return cancelled if self._parent.cancelling() > self._cancelling_before else None

    def create_task(self, coro: Coroutine[Any, Any, T] | Generator[Any, Any, T], **kwargs: Any) -> Task[T]:
        """Make a member task by `loop.create_task()`, which gets all keywords: `name`, `context`, `eager_start` ...

        `RuntimeError`, with `coro` closed, before the block is entered, after its end, and once the group is stopping.

        Keeps: TaskGroup.create_task/accepts-documented-arguments, TaskGroup.create_task/returns-member-task,
        TaskGroup.create_task/raises-before-enter, TaskGroup.create_task/closes-rejected-coroutine,
        TaskGroup.create_task/forwards-extra-keywords, TaskGroup/rejects-tasks-after-exit,
        TaskGroup/rejects-tasks-after-failure.
        """
        if self._parent is None or self._closed or self._stopping:
            coro.close()
            if self._closed:
                raise RuntimeError(f"TaskGroup {self!r} is finished")
            if self._parent is None:
                raise RuntimeError(f"TaskGroup {self!r} has not been entered")
            raise RuntimeError(f"TaskGroup {self!r} is shutting down")
        task: Task[T] = self._loop.create_task(coro, **kwargs)
        self._admit(task)
        return task

    def _admit(self, task: Any) -> None:
        # Also when the task has ended already, having started eagerly: its failure is not to stop the group here.
        self._members.add(task)
        task.add_done_callback(self._member_done)
        if self._stopping and not task.done():
            # In its eager first step it has called `cancel()`, which could not know of it yet.
            task.cancel()

    def cancel(self) -> None:
        """Cancel the members and the body; the block then ends without `CancelledError`.

        Called before the block is entered, it takes effect there; after its end, none. May be called repeatedly, and by
        any task of the loop.

        Keeps: TaskGroup.cancel/cancels-members-and-body, TaskGroup.cancel/idempotent-also-after-exit,
        TaskGroup.cancel/callable-from-any-task, TaskGroup.cancel/works-as-bound-method.
        """
        if self._closed:
            return
        self._stop()
        if self._in_body:
            self._cancel_body()

    def _stop(self) -> None:
        """Let nothing more begin, and cancel the members.

        Keeps: TaskGroup/cancels-rest-on-failure.
        """
        if not self._stopping:
            self._stopping = True
            for member in self._members:
                if not member.done():
                    member.cancel()

    def _cancel_body(self) -> None:
        """Bring the body to its end, once.

        Keeps: TaskGroup/cancels-parent-on-failure.
        """
        if not self._parent_cancelled:
            self._parent_cancelled = True
            self._parent.cancel()

    def _member_done(self, task: Any) -> None:
        self._members.discard(task)
        if not self._members and self._all_ended is not None and not self._all_ended.done():
            self._all_ended.set_result(None)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        if self._parent is None or self._parent.done():
            self._loop.call_exception_handler(
                {
                    "message": f"Task {task!r} has errored out but its parent task is already completed",
                    "exception": error,
                    "task": task,
                }
            )
            return
        self._errors.append(error)
        if isinstance(error, EXIT_REQUESTS) and self._exit_request is None:
            self._exit_request = error
        self._stop()
        if self._in_body:
            self._cancel_body()

    def _on_behalf_of(self) -> list[Any]:
        """Tell the call graph who waits for the members."""
        return [] if self._parent is None else [self._parent]

    def __repr__(self) -> str:
        words = []
        if self._members:
            words.append(f"tasks={len(self._members)}")
        if self._errors:
            words.append(f"errors={len(self._errors)}")
        if self._stopping:
            words.append("cancelling")
        elif self._parent is not None:
            words.append("entered")
        return " ".join(["<TaskGroup", *words]) + ">"


def _is_told_later(task: Any) -> bool:
    """Return whether a cancellation of the running `task` waits for its next suspension."""
    return bool(getattr(task, "_must_cancel", False))
