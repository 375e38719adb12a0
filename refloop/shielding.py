"""Waiting for something without taking it along when the waiting is cancelled: `shield()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from refloop.gathering import outcome_of
from refloop.spawning import ensure_future

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from refloop.futures import Future

T = TypeVar("T")


def shield(aw: Awaitable[T]) -> Future[T]:
    """Return a future of `aw`'s outcome whose cancellation does not reach `aw`.

    A coroutine becomes a task; keep a reference to it, as the loop keeps only a weak one. If `aw` itself is
    cancelled, so is the future. When nobody is left to be told of `aw`'s exception, it is reported as never retrieved.

    Keeps: shield/accepts-documented-arguments, shield/wraps-coroutine-in-task, shield/returns-inner-result,
    shield/raises-inner-exception, shield/keeps-inner-uncancelled, shield/raises-cancellederror-to-waiter,
    shield/cancelled-with-inner, shield/catching-cancellederror-ignores-cancellation,
    shield/deprecates-call-without-loop.
    """
    inner = ensure_future(aw)
    if inner.done():
        return inner
    outer = cast("Future[T]", inner.get_loop().create_future())
    hand_over = _Shielding(outer).inner_done
    inner.add_done_callback(hand_over)
    outer.add_done_callback(lambda _: inner.remove_done_callback(hand_over))
    return outer


class _Shielding:
    """The tie between what is shielded and the future that stands before it."""

    __slots__ = ("_outer",)

    def __init__(self, outer: Future[Any]) -> None:
        self._outer = outer

    def inner_done(self, inner: Future[Any]) -> None:
        """Hand the outcome over. If nobody waits any more, an exception stays unheard of, and is reported in time."""
        outer = self._outer
        if outer.done():
            return
        if inner.cancelled():
            outer.cancel()
            return
        result, error = outcome_of(inner)
        if error is None:
            outer.set_result(result)
        else:
            outer.set_exception(error)

    def _on_behalf_of(self) -> list[Future[Any]]:
        """Tell the call graph who waits for the shielded future: who waits for the shield."""
        return [self._outer]
