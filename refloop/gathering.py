"""Running awaitables at once and collecting what they give: `gather()`."""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

from refloop.current import get_event_loop
from refloop.futures import Future
from refloop.identity import CancelledError
from refloop.spawning import ensure_future

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from refloop.identity import AbstractEventLoop


class Gathering(Future[list[Any]]):
    """The future that `gather()` returns.

    `_children` are the futures of the arguments, in their order, one of them perhaps several times.
    """

    __slots__ = ("_cancel_requested", "_children", "_left", "_return_exceptions")

    def __init__(self, children: Sequence[Future[Any]], return_exceptions: bool, loop: AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._children = children
        self._return_exceptions = return_exceptions
        self._cancel_requested = False
        distinct = dict.fromkeys(children)
        self._left = len(distinct)
        child_done = self._child_done
        context = copy_context()
        # Those that are done already, as eager tasks may be, count now: their callback would come a turn later.
        done = []
        for child in distinct:
            if child.done():
                done.append(child)
            else:
                child.add_done_callback(child_done, context=context)
        for child in done:
            child_done(child)

    def cancel(self, msg: Any = None) -> bool:
        """Cancel every child that is not done; once all have ended, the gathering is cancelled.

        Returns False when there is none left to cancel.

        Keeps: gather/cancels-children-when-cancelled, gather/ignores-cancel-after-done.
        """
        if self.done():
            return False
        cancelled = False
        for child in dict.fromkeys(self._children):
            if child.cancel(msg=msg):
                cancelled = True
        if cancelled:
            self._cancel_requested = True
            self._cancel_message = msg
        return cancelled

    def _child_done(self, child: Future[Any]) -> None:
        self._left -= 1
        if self.done():
            # The gathering has ended with another child's exception. This one's is not reported as unheard of either.
            if not child.cancelled():
                child.exception()
            return
        if not self._return_exceptions and (child.cancelled() or child.exception() is not None):
            self._fail(cast("BaseException", outcome_of(child)[1]))
            return
        if self._left == 0:
            self._finish()

    def _fail(self, error: BaseException) -> None:
        """End with a child's exception at once; a child's cancellation is an exception like others.

        Keeps: gather/raises-first-exception-at-once, gather/keeps-others-running-after-exception,
        gather/treats-cancelled-child-as-exception.
        """
        if not isinstance(error, CancelledError):
            self.set_exception(error)
        elif self._cancel_requested:
            self._end_cancelled(cause=error)
        else:
            self.set_exception(error)
            # Nobody need hear of a cancellation.
            self._log_traceback = False

    def _finish(self) -> None:
        """End with what the children gave, in the order of the arguments.

        Keeps: gather/returns-results-in-argument-order, gather/returns-exceptions-as-results,
        gather/cancel-overrides-return-exceptions.
        """
        if self._return_exceptions:
            # Looked at even if it was all for nothing: then they are not reported as unheard of.
            results = [result if error is None else error for result, error in map(outcome_of, self._children)]
        elif not self._cancel_requested:
            results = [child.result() for child in self._children]
        if self._cancel_requested:
            self._end_cancelled(self._cancel_message)
        else:
            self.set_result(results)

    def _on_behalf_of(self) -> list[Future[Any]]:
        """Tell the call graph who waits for the children: who waits for the gathering."""
        return [self]


def outcome_of(future: Future[Any]) -> tuple[Any, BaseException | None]:
    """Return the result of a finished future, and its exception, if any, which may be a `CancelledError`."""
    if future.cancelled():
        try:
            future.result()
        except CancelledError as cancellation:
            return None, cancellation
    error = future.exception()
    return (None, error) if error is not None else (future.result(), None)


def gather(*aws: Awaitable[Any], return_exceptions: bool = False) -> Future[list[Any]]:
    """Run `aws` at once, and return a future of the list of their results, in the order of `aws`.

    Coroutines become tasks. The first exception is raised to who awaits the future, and the others run on; with
    `return_exceptions` exceptions stand in the list instead. Cancelling the future cancels what is not done.
    `ValueError` when `aws` belong to different loops.

    Keeps: gather/accepts-documented-arguments, gather/runs-awaitables-concurrently, gather/wraps-coroutines-in-tasks,
    gather/returns-future-like-awaitable, gather/returns-empty-list-without-arguments, gather/rejects-mixed-loops,
    gather/deprecates-call-without-loop.
    """
    if not aws:
        loop = get_event_loop()
        empty = cast("Future[list[Any]]", loop.create_future())
        empty.set_result([])
        return empty
    children: list[Future[Any]] = []
    # The same coroutine given twice is one task; awaitables need not be hashable.
    made: dict[int, Future[Any]] = {}
    chosen: AbstractEventLoop | None = None
    for awaitable in aws:
        child = made.get(id(awaitable))
        if child is None:
            child = made[id(awaitable)] = ensure_future(awaitable, loop=chosen)
            if chosen is None:
                chosen = child.get_loop()
            if child is not awaitable:
                # Nobody but the gathering knows it: what becomes of it is told there.
                cast("Any", child)._log_destroy_pending = False
        children.append(child)
    return Gathering(children, return_exceptions, cast("AbstractEventLoop", chosen))
