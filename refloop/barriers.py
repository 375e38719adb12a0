"""A meeting point: nobody passes before all have come.

The tasks that pass together are a round. While a round drains - its tasks have been let go, but not all have run -
whoever comes waits for the next round, and the barrier counts them only when that begins to fill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refloop.binding import LoopBound
from refloop.identity import BrokenBarrierError

if TYPE_CHECKING:
    from types import TracebackType

    from refloop.futures import Future


class _Round:
    """Tasks that were let go together: how many have not left `wait()` yet, and whether they shall fail there."""

    __slots__ = ("broken", "inside")

    def __init__(self, inside: int) -> None:
        self.inside = inside
        self.broken = False


class Barrier(LoopBound):
    """A barrier that `parties` tasks pass together, any number of times. `ValueError` when `parties` is below 1.

    Not thread-safe.

    Keeps: Barrier/accepts-documented-arguments, Barrier/rejects-parties-below-one, Barrier/reusable-any-number.
    """

    def __init__(self, parties: int) -> None:
        if parties < 1:
            raise ValueError("parties must be >= 1")
        self._parties = parties
        self._broken = False
        # Who waits to be let go. The result is the round and the place in it, or None if the barrier fails first.
        self._waiting: list[Future[tuple[_Round, int] | None]] = []
        self._draining: _Round | None = None

    @property
    def parties(self) -> int:
        """The number of tasks needed to pass.

        Keeps: Barrier.parties/holds-required-count.
        """
        return self._parties

    @property
    def n_waiting(self) -> int:
        """The number of tasks that wait in the barrier while it fills.

        Keeps: Barrier.n_waiting/holds-waiting-count.
        """
        return len(self._live()) if self._draining is None else 0

    @property
    def broken(self) -> bool:
        """Whether the barrier is broken.

        Keeps: Barrier.broken/holds-broken-state.
        """
        return self._broken

    async def wait(self) -> int:
        """Wait until `parties` tasks do; return the caller's place among them, 0 to `parties` - 1.

        `BrokenBarrierError` when the barrier is broken, or is broken or reset meanwhile. Who is cancelled leaves the
        barrier, and counts no longer while it fills.

        Keeps: Barrier.wait/is-coroutine-method, Barrier.wait/waits-for-all-parties,
        Barrier.wait/returns-distinct-index, Barrier.wait/cancelled-waiter-leaves-barrier,
        Barrier.wait/raises-cancellederror-when-cancelled.
        """
        if self._broken:
            raise BrokenBarrierError("Barrier aborted")
        last = self._parties - 1
        if self._draining is None and len(self._waiting) >= last and len(self._live()) == last:
            self._let_go(last)
            return last
        ticket = self._new_waiter()
        self._waiting.append(ticket)
        try:
            granted = await ticket
        except BaseException:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            elif not ticket.cancelled() and ticket.result() is not None:
                self._leave(ticket.result()[0])
            raise
        if granted is None:
            raise BrokenBarrierError("Abort or reset of barrier")
        round_, place = granted
        self._leave(round_)
        if round_.broken:
            raise BrokenBarrierError("Abort or reset of barrier")
        return int(place)

    async def reset(self) -> None:
        """Return the barrier to its first, empty state; tasks in `wait()` get `BrokenBarrierError`.

        Keeps: Barrier.reset/is-coroutine-method, Barrier.reset/restores-empty-state,
        Barrier.reset/raises-brokenbarriererror-in-waiters.
        """
        self._broken = False
        self._fail_waits()

    async def abort(self) -> None:
        """Break the barrier: tasks in `wait()`, and all that come before a `reset()`, get `BrokenBarrierError`.

        Keeps: Barrier.abort/is-coroutine-method, Barrier.abort/breaks-all-waits.
        """
        self._broken = True
        self._fail_waits()

    async def __aenter__(self) -> int:
        """Wait at the barrier and give the place.

        Keeps: Barrier/async-with-waits-for-index.
        """
        return await self.wait()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Do nothing."""

    def _live(self) -> list[Future[tuple[_Round, int] | None]]:
        """Return who waits, without those that are cancelled and have not run since."""
        return [ticket for ticket in self._waiting if not ticket.done()]

    def _let_go(self, count: int) -> None:
        """Let the first `count` of those who wait pass: a round of their own, or with a last one who need not wait.

        Places are given now and not on arrival, so that they stay distinct when somebody was cancelled in between.

        Keeps: Barrier.wait/distinct-index-after-cancellation.
        """
        live = self._live()
        going, self._waiting = live[:count], live[count:]
        if going:
            self._draining = _Round(len(going))
            for place, ticket in enumerate(going):
                ticket.set_result((self._draining, place))

    def _leave(self, round_: _Round) -> None:
        round_.inside -= 1
        if round_.inside == 0 and round_ is self._draining:
            self._draining = None
            if len(self._live()) >= self._parties:
                self._let_go(self._parties)

    def _fail_waits(self) -> None:
        for ticket in self._live():
            ticket.set_result(None)
        self._waiting.clear()
        if self._draining is not None:
            self._draining.broken = True
            self._draining = None

    def _describe(self) -> str:
        """Show the state and how many of the parties wait.

        Keeps: Barrier/repr-shows-state-and-waiters.
        """
        if self._broken:
            return "broken"
        state = "filling" if self._draining is None else "draining"
        return f"{state}, waiters:{self.n_waiting}/{self._parties}"
