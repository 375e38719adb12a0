"""What the cases about futures share: fresh pending futures, made by the loop and by the namespace's class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable


@pytest.fixture(params=["create_future", "constructor"])
def new_future(request: pytest.FixtureRequest, loop: AbstractEventLoop, aio: Any) -> Callable[[], Future[Any]]:
    """Make pending futures of ``loop``: through ``loop.create_future()`` or through ``aio.Future(loop=loop)``.

    The fixture keeps no reference to what it made, so that a case can let a future be collected.
    """

    def construct() -> Future[Any]:
        future: Future[Any] = aio.Future(loop=loop)
        return future

    return loop.create_future if request.param == "create_future" else construct


@pytest.fixture
def future(new_future: Callable[[], Future[Any]]) -> Future[Any]:
    """One pending future of ``loop``."""
    return new_future()
