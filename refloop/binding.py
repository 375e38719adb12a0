"""Which loop a lock, a queue or another such object belongs to: the first one in which somebody had to wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from refloop.identity import get_running_loop

if TYPE_CHECKING:
    from refloop.futures import Future
    from refloop.identity import AbstractEventLoop


class LoopBound:
    """An object that tasks of one loop wait for.

    It can be made where no loop runs, and as long as nobody waits it is bound to none. What waits is a future of the
    running loop's own make, so these objects serve the tasks of every loop.

    Keeps: explicit-loop-argument-sync-queue/rejects-use-from-second-loop,
    explicit-loop-argument-sync-queue/rejects-loop-keyword.
    """

    _loop: AbstractEventLoop | None = None

    def _new_waiter(self) -> Future[Any]:
        """Return a future to wait for; `RuntimeError` in a second loop."""
        loop = get_running_loop()
        if loop is not self._loop:
            if self._loop is not None:
                raise RuntimeError(f"{self!r} is bound to a different event loop")
            self._loop = loop
        return cast("Future[Any]", loop.create_future())

    def __repr__(self) -> str:
        kind = type(self)
        return f"<{kind.__module__}.{kind.__qualname__} object at {id(self):#x} [{self._describe()}]>"

    def _describe(self) -> str:
        """Show the state, for `repr()`."""
        raise NotImplementedError


def describe_waiters(state: str, waiting: int) -> str:
    """Show a state and, if there are any, how many wait."""
    return f"{state}, waiters:{waiting}" if waiting else state
