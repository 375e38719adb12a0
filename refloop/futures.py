"""Futures: a result that is not there yet.

Who waits for a future is kept in `_first` and, from the second on, in `_more`: most futures have one waiter. A waiter
is either a pair `(callback, context)` or a task, which needs no callback: it is put into its loop's ready queue itself.
"""

from __future__ import annotations

import concurrent.futures
import sys
from contextvars import Context, copy_context
from types import GenericAlias
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar, cast

from refloop.current import get_event_loop
from refloop.describing import creation_stack, describe_function, describe_value
from refloop.identity import CancelledError, InvalidStateError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from traceback import StackSummary

    from refloop.identity import AbstractEventLoop
    from refloop.tasks import Task

Callback: TypeAlias = "Callable[[Any], object]"
Waiter: TypeAlias = "tuple[Callback, Context] | Task[Any]"

T = TypeVar("T")

PENDING = "PENDING"
CANCELLED = "CANCELLED"
FINISHED = "FINISHED"

# More callbacks than this are counted in repr(), not shown.
SHOWN_CALLBACKS = 2


class Future(Generic[T]):
    """A result, an exception or a cancellation, of which whoever awaits it or added a callback is told.

    `loop` is the loop it is bound to, by default the running or else the current one. Not thread-safe: another thread
    completes a future with `loop.call_soon_threadsafe(future.set_result, ...)`.

    Keeps: Future/accepts-documented-arguments, Future.__init__/callable-by-third-parties,
    Future.__init__/loop-optional, Future/supports-generic-subscription.
    """

    __slots__ = (
        "__weakref__",
        "_asyncio_future_blocking",
        "_cancel_message",
        "_cause",
        "_exception",
        "_first",
        "_log_traceback",
        "_loop",
        "_more",
        "_result",
        "_source_traceback",
        "_state",
    )

    _loop: AbstractEventLoop
    _state: str
    _result: T
    _exception: BaseException | None
    _cancel_message: Any
    _cause: CancelledError | None
    _first: Waiter | None
    _more: list[Waiter] | None
    _log_traceback: bool
    _asyncio_future_blocking: bool | None
    _source_traceback: StackSummary

    __class_getitem__ = classmethod(GenericAlias)  # type: ignore[var-annotated]

    _kind: ClassVar[str] = "Future"

    def __init__(self, *, loop: AbstractEventLoop | None = None) -> None:
        self._begin(get_event_loop() if loop is None else loop)
        if self._loop.get_debug():
            self._source_traceback = creation_stack()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__ != __name__:
            cls._kind = cls.__name__
            if not hasattr(cls, "__del__"):
                # It cannot become a `FailedFuture` and remain what it is, so it has the destructor from the start.
                cls.__del__ = Future._report_unretrieved

    def _begin(self, loop: AbstractEventLoop) -> None:
        """Set the state of a future that nothing has happened to."""
        self._loop = loop
        self._state = PENDING
        self._first = None
        self._more = None
        self._exception = None
        self._log_traceback = False
        # The protocol between futures and tasks of any make: set when a future is yielded from its own `__await__`.
        # That it exists and is not None is what marks an object as future-like.
        self._asyncio_future_blocking = False

    # State

    def get_loop(self) -> AbstractEventLoop:
        """Return the loop that the future is bound to.

        Keeps: Future.get_loop/returns-bound-loop.
        """
        return self._loop

    def done(self) -> bool:
        """Return whether there is a result, an exception or a cancellation.

        Keeps: Future.done/returns-true-when-finished, Future.done/returns-false-while-pending.
        """
        return self._state is not PENDING

    def cancelled(self) -> bool:
        """Return whether the future was cancelled.

        Keeps: Future.cancelled/returns-true-when-cancelled, Future.cancelled/returns-false-otherwise.
        """
        return self._state is CANCELLED

    def result(self) -> T:
        """Return the result, or raise the exception, or `CancelledError`; `InvalidStateError` while pending.

        Keeps: Future.result/returns-set-result, Future.result/raises-set-exception,
        Future.result/raises-cancellederror-when-cancelled, Future.result/raises-invalidstateerror-while-pending,
        Future/rejects-timeout-argument.
        """
        if self._state is FINISHED:
            if self._exception is None:
                return self._result
            self._log_traceback = False
            try:
                raise self._exception.with_traceback(self._exception.__traceback__)
            finally:
                # The exception refers to this frame, which is not to lead back to it.
                del self
        if self._state is CANCELLED:
            raise self._make_cancelled_error()
        raise InvalidStateError("Result is not set.")

    def exception(self) -> BaseException | None:
        """Return the exception or, with a result, None; raise `CancelledError`, or `InvalidStateError` while pending.

        Keeps: Future.exception/returns-set-exception, Future.exception/returns-none-after-result,
        Future.exception/raises-cancellederror-when-cancelled, Future.exception/raises-invalidstateerror-while-pending.
        """
        if self._state is FINISHED:
            self._log_traceback = False
            return self._exception
        if self._state is CANCELLED:
            raise self._make_cancelled_error()
        raise InvalidStateError("Exception is not set.")

    # Completion

    def set_result(self, result: T) -> None:
        """Mark the future done with `result`; `InvalidStateError` when it is done already.

        Keeps: Future.set_result/marks-done-with-result, Future.set_result/raises-invalidstateerror-when-done.
        """
        if self._state is not PENDING:
            raise InvalidStateError(f"{self._state}: {self!r}")
        self._result = result
        self._state = FINISHED
        self._notify()

    def set_exception(self, exception: BaseException | type[BaseException]) -> None:
        """Mark the future done with `exception`, an exception or a class of them; `InvalidStateError` when done.

        A `StopIteration` cannot pass through an `await`: it is stored as the cause of a `RuntimeError`.

        Keeps: Future.set_exception/marks-done-with-exception,
        Future.set_exception/raises-invalidstateerror-when-done, Future.set_exception/never-stores-stopiteration.
        """
        if self._state is not PENDING:
            raise InvalidStateError(f"{self._state}: {self!r}")
        error = exception() if isinstance(exception, type) else exception
        if isinstance(error, StopIteration):
            substitute = RuntimeError(
                "StopIteration interacts badly with generators and cannot be raised into a Future"
            )
            substitute.__cause__ = substitute.__context__ = error
            error = substitute
        self._exception = error
        self._state = FINISHED
        self._log_traceback = True
        if type(self) in WITHOUT_DESTRUCTOR:
            self.__class__ = FailedFuture
        self._notify()

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the future and return True; False when it is done already. `msg` goes to who awaits it.

        Keeps: Future.cancel/returns-true-and-cancels, Future.cancel/returns-false-when-done,
        Future.cancel/accepts-msg-argument, Future.cancel/msg-reaches-awaiter.
        """
        if self._state is not PENDING:
            return False
        self._end_cancelled(msg)
        return True

    def _end_cancelled(self, message: Any = None, cause: CancelledError | None = None) -> None:
        """Mark the future cancelled, by a call with `message` or by `cause`, with which its task ended."""
        self._cancel_message = message
        self._cause = cause
        self._state = CANCELLED
        self._notify()

    def _make_cancelled_error(self) -> CancelledError:
        """Return a `CancelledError` to be raised; the one that ended a task is its context.

        asyncio's own `gather()` calls this by its name.
        """
        cause = self._cause
        if cause is None:
            return CancelledError() if self._cancel_message is None else CancelledError(self._cancel_message)
        error = CancelledError(*cause.args)
        error.__context__ = cause
        return error

    # Waiters

    def add_done_callback(self, callback: Callback, *, context: Context | None = None) -> None:
        """Call `callback(future)` through the loop once the future is done, in `context`, by default a copy of now's.

        Keeps: Future.add_done_callback/calls-back-with-future, Future.add_done_callback/never-calls-synchronously,
        Future.add_done_callback/fifo-order, Future.add_done_callback/accepts-context-keyword,
        Future.add_done_callback/runs-repeated-callback-each-time.
        """
        context = copy_context() if context is None else context
        if self._state is not PENDING:
            self._loop.call_soon(callback, self, context=context)
        elif self._first is None:
            self._first = (callback, context)
        else:
            self._add_waiter((callback, context))

    def remove_done_callback(self, callback: Callback) -> int:
        """Remove every registration of `callback` and return how many there were.

        Keeps: Future.remove_done_callback/removes-every-occurrence, Future.remove_done_callback/returns-removed-count,
        Future.remove_done_callback/returns-zero-for-unknown.
        """
        waiters = self._waiters()
        kept = [waiter for waiter in waiters if not isinstance(waiter, tuple) or waiter[0] != callback]
        if len(kept) < len(waiters):
            self._first = kept[0] if kept else None
            self._more = kept[1:] or None
        return len(waiters) - len(kept)

    def _add_waiter(self, waiter: Waiter) -> None:
        if self._first is None:
            self._first = waiter
        elif self._more is None:
            self._more = [waiter]
        else:
            self._more.append(waiter)

    def _waiters(self) -> list[Waiter]:
        first = [] if self._first is None else [self._first]
        return first + (self._more or [])

    @property
    def _callbacks(self) -> list[tuple[Callback, Context]]:
        """The callbacks with their contexts, by the name that anyio asks for them to find a run's first task."""
        return [waiter for waiter in self._waiters() if isinstance(waiter, tuple)]

    def _notify(self) -> None:
        """Schedule everybody who waits, in the order in which they came."""
        first = self._first
        if first is None:
            return
        self._first = None
        if isinstance(first, tuple):
            self._loop.call_soon(first[0], self, context=first[1])
        else:
            first._enqueue(first)
        more = self._more
        if more is not None:
            self._more = None
            for waiter in more:
                if isinstance(waiter, tuple):
                    self._loop.call_soon(waiter[0], self, context=waiter[1])
                else:
                    waiter._enqueue(waiter)

    def __await__(self) -> Generator[Any, None, T]:
        """Wait until the future is done; then its result is the value of the `await`.

        Keeps: Future/await-ends-when-done, Future/await-repeatable, Future/await-lets-loop-continue.
        """
        if self._state is PENDING:
            self._asyncio_future_blocking = True
            yield self
            if self._state is PENDING:
                raise RuntimeError("await wasn't used with future")
        if self._state is FINISHED and self._exception is None:
            # As `result()` says, without a call for what is nearly always the case.
            return self._result
        try:
            return self.result()
        finally:
            # As in `result()`.
            del self

    __iter__ = __await__

    # Diagnosis

    def _report_unretrieved(self) -> None:
        """Report, when the future is collected, an exception that nobody has asked for.

        Keeps: Future.set_exception/logs-unretrieved-exception, create_task/logs-unretrieved-exception.
        """
        # A constructor that failed leaves nothing to ask.
        if getattr(self, "_log_traceback", False):
            context: dict[str, Any] = {
                "message": f"{self._kind} exception was never retrieved",
                "exception": self._exception,
                "future": self,
            }
            created = self._created_at()
            if created:
                context["source_traceback"] = created
            self._loop.call_exception_handler(context)

    if sys.implementation.name == "pypy":
        # There, an object's destructor is what its class had when it was made.
        __del__ = _report_unretrieved

    def _created_at(self) -> StackSummary | None:
        """Return the stack of the call that made this future; None unless it was made in debug mode."""
        return getattr(self, "_source_traceback", None)

    def __repr__(self) -> str:
        return f"<{' '.join([self._kind, *self._describe()])}>"

    def _describe(self) -> list[str]:
        words = [self._state.lower()]
        if self._exception is not None:
            words.append(f"exception={describe_value(self._exception)}")
        elif self._state is FINISHED:
            words.append(f"result={describe_value(self._result)}")
        waiters = self._waiters()
        if waiters:
            shown = [_describe_waiter(waiter) for waiter in waiters[:SHOWN_CALLBACKS]]
            if len(waiters) > SHOWN_CALLBACKS:
                shown.append(f"<{len(waiters) - SHOWN_CALLBACKS} more>")
            words.append(f"cb=[{', '.join(shown)}]")
        created = self._created_at()
        if created:
            words.append(f"created at {created[-1].filename}:{created[-1].lineno}")
        return words


class LoopFuture(Future[T]):
    """What `loop.create_future()` makes outside debug mode: a future whose constructor need not ask for that."""

    __slots__ = ()

    __init__ = Future._begin


class FailedFuture(Future[T]):
    """What a future becomes when it fails: one with a destructor.

    Python calls a destructor for every object of a class that has one. Since most futures do not fail, only those that
    do pay for it.
    """

    __slots__ = ()

    __del__ = Future._report_unretrieved


WITHOUT_DESTRUCTOR = (Future, LoopFuture)


def _describe_waiter(waiter: Waiter) -> str:
    if isinstance(waiter, tuple):
        return describe_function(waiter[0], None)
    return f"<wakes {type(waiter).__name__} {waiter.get_name()!r}>"


def isfuture(obj: object) -> bool:
    """Return whether `obj` is a future of any make: its class, or it, has a non-None `_asyncio_future_blocking`.

    Keeps: isfuture/returns-true-for-futures, isfuture/returns-true-for-future-likes, isfuture/returns-false-otherwise.
    """
    # The class is asked first, so that mocks, which have every attribute, are not taken for futures.
    return hasattr(type(obj), "_asyncio_future_blocking") and getattr(obj, "_asyncio_future_blocking", None) is not None


def wrap_future(
    future: concurrent.futures.Future[T] | Future[T], *, loop: AbstractEventLoop | None = None
) -> Future[T]:
    """Return a future of `loop` that takes over the outcome of a `concurrent.futures.Future`.

    Cancelling it cancels the other. A future of asyncio's kind is returned as it is.

    Keeps: wrap_future/accepts-documented-arguments, wrap_future/returns-chained-asyncio-future,
    wrap_future/delivers-in-loop-thread.
    """
    if isfuture(future):
        return cast("Future[T]", future)
    if not isinstance(future, concurrent.futures.Future):
        raise TypeError(f"a concurrent.futures.Future is expected, got {future!r}")
    if loop is None:
        loop = get_event_loop()
    wrapper: Future[T] = cast("Future[T]", loop.create_future())
    follow(future, wrapper, loop)
    return wrapper


def follow(source: concurrent.futures.Future[T], wrapper: Future[T], loop: AbstractEventLoop) -> None:
    """Complete `wrapper` in `loop`'s thread as `source` completes in its own; cancel `source` with `wrapper`.

    A `concurrent.futures.Future` never lets go of its callbacks, so they are not to know it but by their argument.
    """

    def deliver(done: concurrent.futures.Future[T]) -> None:
        if not wrapper.done():
            copy_outcome(done, wrapper)

    def completed(done: concurrent.futures.Future[T]) -> None:
        try:
            loop.call_soon_threadsafe(deliver, done)
        except RuntimeError:
            # The loop was closed: nobody is left to be told.
            if not loop.is_closed():
                raise

    def pass_cancellation_on(_: Future[T]) -> None:
        if wrapper.cancelled():
            source.cancel()

    wrapper.add_done_callback(pass_cancellation_on)
    source.add_done_callback(completed)


def follow_asyncio(source: Future[T], outcome: concurrent.futures.Future[T], loop: AbstractEventLoop) -> None:
    """Complete `outcome` as `source`, a future of `loop`, completes; cancel `source` with `outcome`.

    As in `follow()`, `outcome` is known to its callback as the argument only.
    """

    def completed(_: Future[T]) -> None:
        if source.cancelled():
            outcome.cancel()
        if not outcome.set_running_or_notify_cancel():
            return
        error = source.exception()
        if error is not None:
            outcome.set_exception(_as_concurrent(error))
        else:
            outcome.set_result(source.result())

    def pass_cancellation_on(done: concurrent.futures.Future[T]) -> None:
        if done.cancelled() and not loop.is_closed():
            loop.call_soon_threadsafe(source.cancel)

    source.add_done_callback(completed)
    outcome.add_done_callback(pass_cancellation_on)


def copy_outcome(source: concurrent.futures.Future[T], target: Future[T]) -> None:
    """Give `target` the outcome of `source`, which is done."""
    if source.cancelled():
        target.cancel()
        return
    error = source.exception()
    if error is not None:
        target.set_exception(_as_asyncio(error))
    else:
        target.set_result(source.result())


def _as_asyncio(error: BaseException) -> BaseException:
    """Return the exception of asyncio's that stands for one of `concurrent.futures`."""
    if type(error) is concurrent.futures.CancelledError:
        return CancelledError(*error.args)
    if type(error) is concurrent.futures.InvalidStateError:
        return InvalidStateError(*error.args)
    return error


def _as_concurrent(error: BaseException) -> BaseException:
    """Return the exception of `concurrent.futures` that stands for one of asyncio's."""
    if type(error) is CancelledError:
        return concurrent.futures.CancelledError(*error.args)
    if type(error) is InvalidStateError:
        return concurrent.futures.InvalidStateError(*error.args)
    return error
