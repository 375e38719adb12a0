"""What the cases about streams share: connections made by the stream functions, see `conformance.support.streams`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.streams import KINDS, StreamMaker

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator


@pytest.fixture(params=list(KINDS))
def streams(request: pytest.FixtureRequest, loop: AbstractEventLoop, aio: Any) -> Iterator[StreamMaker]:
    """Every kind of stream connection; `indirect` parametrisation chooses among their names."""
    if KINDS[request.param].family == 0:
        pytest.skip("this system has no Unix sockets")
    maker = StreamMaker(loop, aio, KINDS[request.param])
    yield maker
    maker.clean_up()


@pytest.fixture
def tcp_streams(loop: AbstractEventLoop, aio: Any) -> Iterator[StreamMaker]:
    """TCP connections that ``open_connection()`` makes."""
    maker = StreamMaker(loop, aio, KINDS["tcp"])
    yield maker
    maker.clean_up()
