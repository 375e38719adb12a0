"""A loop's clock that can be put forward, so that a minute's timeout takes milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.support.waiting import turns

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Far more than any timer of a case, and than any case lasts.
FAR = 3600.0


class Clock:
    """What ``loop.time()`` is from now on: the loop's own time, and as much later as it was put forward.

    A loop whose timers do not ask ``time()`` has a clock that nobody can put forward; the case is then skipped.
    """

    def __init__(self, loop: AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = loop
        self._ahead = 0.0
        own_time = loop.time
        try:
            monkeypatch.setattr(loop, "time", lambda: own_time() + self._ahead)
        except (AttributeError, TypeError):
            pytest.skip("the clock of this loop cannot be put forward")

    async def check(self) -> None:
        """Skip the case unless timers follow the clock."""
        fired: list[bool] = []
        timer = self._loop.call_later(FAR, fired.append, True)
        await self.forward(FAR)
        timer.cancel()
        if not fired:
            pytest.skip("the timers of this loop do not ask its time()")

    async def forward(self, seconds: float) -> None:
        """Let ``seconds`` pass; what is due then has run."""
        self._ahead += seconds
        await turns(self._loop)
