"""Tasks: a coroutine that a loop runs.

The life of a task. Its constructor puts the task into the ready queue. When its turn comes, `_run()` resumes the
coroutine until that yields. A yielded future takes the task as its waiter and, once done, puts it into the ready queue
again; the coroutine then fetches the outcome itself, in `Future.__await__`. When the coroutine returns or raises, the
task is done, as any future is.
"""

from __future__ import annotations

import functools
from contextvars import Context, copy_context
from itertools import count
from types import CoroutineType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeVar

from refloop import introspection
from refloop.coroutines import iscoroutine
from refloop.current import get_event_loop
from refloop.describing import creation_stack, describe_coroutine
from refloop.futures import PENDING, Future, isfuture
from refloop.identity import (
    CancelledError,
    StandardFuture,
    _enter_task,
    _leave_task,
    _register_task,
    swap_current_task,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from types import FrameType

    from refloop.identity import AbstractEventLoop

T = TypeVar("T")

next_number = count(1).__next__


class Task(Future[T]):
    """A future that runs the coroutine `coro` in `loop`, and whose outcome is the coroutine's.

    `name` is any object, shown as its string; `context` is the `contextvars.Context` to run in, by default a copy of
    the current one. With `eager_start`, if the loop runs, the coroutine starts at once, within the constructor.
    Raises `TypeError` when `coro` is no coroutine.

    Keeps: Task/accepts-documented-arguments, Task/is-future-subclass, Task/schedules-itself-on-creation,
    Task/runs-in-context-copy, Task/accepts-context-keyword, Task.__init__/callable-by-third-parties,
    Task.__init__/accepts-create-task-arguments, _register_task/called-from-constructor.
    """

    # anyio reads `_must_cancel`, and asyncio sets `_log_destroy_pending`, by these names.
    __slots__ = (
        "_awaited",
        "_cancel_requests",
        "_context",
        "_coro",
        "_enqueue",
        "_log_destroy_pending",
        "_must_cancel",
        "_name",
    )

    _awaited: Any  # the future that the task waits for, of any make
    _coro: Any  # None after an eager start that was all there was to do
    _enqueue: Callable[[Task[Any]], None]

    def __init__(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, Any, T],
        *,
        loop: AbstractEventLoop | None = None,
        name: object = None,
        context: Context | None = None,
        eager_start: bool | None = False,
    ) -> None:
        if type(coro) is not CoroutineType and not iscoroutine(coro):
            raise TypeError(f"a coroutine was expected, got {coro!r}")
        if loop is None:
            loop = get_event_loop()
        self._begin(loop)
        self._coro = coro
        self._name = next_number() if name is None else str(name)
        self._context = copy_context() if context is None else context
        self._awaited = None
        self._must_cancel = False
        self._cancel_requests = 0
        self._log_destroy_pending = True
        try:
            self._enqueue = loop._enqueue  # type: ignore[attr-defined]
            debug = loop._debug  # type: ignore[attr-defined]
        except AttributeError:
            # Another make of loop: it runs callbacks only.
            self._enqueue = functools.partial(_enqueue_in, loop)
            debug = loop.get_debug()
        if debug:
            self._source_traceback = creation_stack()
        _register_task(self)
        if eager_start and loop.is_running():
            self._start_eagerly()
        else:
            self._enqueue(self)

    # Running the coroutine

    def _run(self, error: BaseException | None = None) -> None:
        """Resume the coroutine, with `error` raised in it if given, up to its next suspension or its end.

        Keeps: Task/resumes-with-future-outcome, Task/one-task-at-a-time, _enter_task/called-before-each-step,
        _leave_task/called-after-each-step, Task.cancel/raises-cancellederror-in-coroutine.
        """
        self._awaited = None
        loop = self._loop
        coro = self._coro
        _enter_task(loop, self)
        try:
            if self._must_cancel:
                self._must_cancel = False
                error = self._make_cancelled_error()
            run = self._context.run
            awaited = run(coro.send, None) if error is None else run(coro.throw, error)
        except StopIteration as stop:
            if self._must_cancel:
                # Asked to cancel itself by its last step, too late to be told.
                self._must_cancel = False
                self._end_cancelled(self._cancel_message)
            else:
                super().set_result(stop.value)
        except CancelledError as cancelled:
            self._end_cancelled(cause=_without_this_frame(cancelled))
        except (KeyboardInterrupt, SystemExit) as exit_request:
            self._end_with_exception(exit_request)
            raise
        except BaseException as failure:
            self._end_with_exception(failure)
        else:
            if isinstance(awaited, Future) and awaited._loop is loop and awaited._asyncio_future_blocking:
                awaited._asyncio_future_blocking = False
                if awaited._first is None:
                    awaited._first = self
                else:
                    awaited._add_waiter(self)
                self._awaited = awaited
                if self._must_cancel and awaited.cancel(self._cancel_message):
                    self._must_cancel = False
            elif awaited is None:
                self._enqueue(self)
            else:
                self._wait_for_other(awaited)
        finally:
            _leave_task(loop, self)
            # A failed coroutine's frame leads back to this one: the task would hold an exception that holds the task.
            del self

    def _wait_for_other(self, awaited: Any) -> None:
        """Wait for a future of another make; raise in the coroutine if it yielded anything else."""
        loop = self._loop
        if not isfuture(awaited):
            self._raise_in_coroutine(f"Task got bad yield: {awaited!r}")
        elif awaited is self:
            self._raise_in_coroutine(f"Task cannot await on itself: {self!r}")
        elif awaited.get_loop() is not loop:
            self._raise_in_coroutine(f"Task {self!r} got Future {awaited!r} attached to a different loop")
        elif not awaited._asyncio_future_blocking:
            self._raise_in_coroutine(f"yield was used instead of yield from in task {self!r} with {awaited!r}")
        else:
            awaited._asyncio_future_blocking = False
            awaited.add_done_callback(self._wake_up)
            self._awaited = awaited
            if self._must_cancel and awaited.cancel(msg=self._cancel_message):
                self._must_cancel = False

    def _raise_in_coroutine(self, message: str) -> None:
        self._loop.call_soon(self._run, RuntimeError(message))

    def _wake_up(self, _: object) -> None:
        """Go on now: a future of another make, which knows callbacks only, is done."""
        self._run()

    def _start_eagerly(self) -> None:
        """Take the first step now, in the middle of whatever task creates this one.

        Keeps: Task/eager-start-runs-immediately, eager_task_factory/completes-without-scheduling,
        Task.get_coro/returns-none-after-eager-completion.
        """
        interrupted = swap_current_task(self._loop, None)
        try:
            self._run()
        finally:
            swap_current_task(self._loop, interrupted)
            if self._state is not PENDING:
                self._coro = None

    # Ending

    def _end_with_exception(self, error: BaseException) -> None:
        super().set_exception(_without_this_frame(error))

    def set_result(self, result: T) -> NoReturn:  # noqa: ARG002
        """Raise `RuntimeError`: the coroutine gives the result.

        Keeps: Task/rejects-set-result-and-exception.
        """
        raise RuntimeError("Task does not support set_result operation")

    def set_exception(self, exception: BaseException | type[BaseException]) -> NoReturn:  # noqa: ARG002
        """Raise `RuntimeError`: the coroutine gives the exception.

        Keeps: Task/rejects-set-result-and-exception.
        """
        raise RuntimeError("Task does not support set_exception operation")

    # Cancellation

    def cancel(self, msg: Any = None) -> bool:
        """Ask for a `CancelledError` to be raised in the coroutine; return False when the task is done already.

        What the task awaits is cancelled; if it awaits nothing, the exception is raised in its next turn.

        Keeps: Task.cancel/returns-whether-requested, Task.cancel/cancelled-false-until-processed,
        Task.cancel/cancels-awaited-future, Task.cancel/accepts-msg-argument, Task.cancel/msg-reaches-awaiter.
        """
        if self._state is not PENDING:
            return False
        self._cancel_requests += 1
        if self._awaited is not None and self._awaited.cancel(msg=msg):
            return True
        self._must_cancel = True
        self._cancel_message = msg
        self._cause = None
        return True

    @property
    def _fut_waiter(self) -> Any:
        """What the task waits for, by the name that anyio asks for it.

        anyio does not cancel a task whose future is done, so that it learns of the result, but it takes only asyncio's
        own make for futures. It is given one in the same state.
        """
        awaited = self._awaited
        if awaited is None or isinstance(awaited, StandardFuture) or not awaited.done():
            return awaited
        stand_in: StandardFuture[None] = StandardFuture(loop=self._loop)
        if awaited.cancelled():
            stand_in.cancel()
        else:
            stand_in.set_result(None)
        return stand_in

    def cancelling(self) -> int:
        """Return the number of calls of `cancel()` less those of `uncancel()`.

        Keeps: Task.cancelling/returns-pending-request-count, Task.cancelling/returns-zero-initially,
        Task.cancelling/positive-before-cancelled.
        """
        return self._cancel_requests

    def uncancel(self) -> int:
        """Take one request to cancel back and return how many are left; none left, none is carried out any more.

        Keeps: Task.uncancel/returns-remaining-request-count, Task.uncancel/zero-rescinds-pending-cancellation,
        Task.uncancel/ineffective-after-completion.
        """
        if self._cancel_requests > 0:
            self._cancel_requests -= 1
            if self._cancel_requests == 0:
                self._must_cancel = False
        return self._cancel_requests

    # Introspection

    def get_coro(self) -> Any:
        """Return the coroutine, or None if it ended in an eager start.

        Keeps: Task.get_coro/returns-wrapped-coroutine.
        """
        return self._coro

    def get_context(self) -> Context:
        """Return the context that the coroutine runs in.

        Keeps: Task.get_context/returns-task-context.
        """
        return self._context

    def get_name(self) -> str:
        """Return the name, `Task-N` by default.

        Keeps: Task.get_name/returns-given-or-default-name.
        """
        # The number becomes a name when it is asked for: most tasks are never asked.
        return f"Task-{self._name}" if isinstance(self._name, int) else self._name

    def set_name(self, value: object) -> None:
        """Name the task `str(value)`.

        Keeps: Task.set_name/converts-value-to-string, Task.set_name/shows-in-repr.
        """
        self._name = str(value)

    def get_stack(self, *, limit: int | None = None) -> list[FrameType]:
        """Return the frames in which the task is suspended or, failed, those of its traceback; oldest first.

        Of a stack `limit` keeps the newest frames, of a traceback the oldest. See `introspection.task_frames`.

        Keeps: Task.get_stack/accepts-limit-keyword.
        """
        return introspection.task_frames(self, limit)

    def print_stack(self, *, limit: int | None = None, file: TextIO | None = None) -> None:
        """Print the frames of `get_stack(limit=limit)` to `file`, by default standard output.

        Keeps: Task.print_stack/accepts-documented-arguments, Task.print_stack/passes-limit-through.
        """
        introspection.print_task_stack(self, limit, file)

    def __del__(self) -> None:
        """Report a task that is collected before it is done.

        Keeps: Task/logs-destroyed-pending-task.
        """
        try:
            if self._state is not PENDING and not self._log_traceback:
                return
        except AttributeError:
            # The constructor failed.
            return
        if self._state is PENDING and self._log_destroy_pending:
            context = {"task": self, "message": "Task was destroyed but it is pending!"}
            created = self._created_at()
            if created:
                context["source_traceback"] = created
            self._loop.call_exception_handler(context)
        if self._log_traceback:
            self._report_unretrieved()

    def _describe(self) -> list[str]:
        state, *more = super()._describe()
        if self._state is PENDING and self._must_cancel:
            state = "cancelling"
        words = [state, f"name={self.get_name()!r}"]
        if self._coro is not None:
            words.append(f"coro=<{describe_coroutine(self._coro)}>")
        if self._awaited is not None:
            words.append(f"wait_for={self._awaited!r}")
        return words + more


def _enqueue_in(loop: AbstractEventLoop, task: Task[Any]) -> None:
    loop.call_soon(task._run)


def _without_this_frame(error: Any) -> Any:
    """Drop `Task._run`'s frame from a traceback: it says nothing, and through it the task would refer to itself."""
    return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
