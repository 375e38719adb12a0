"""What the cases about connections share: the carriers of `conformance.support.connections`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.support.connections import CARRIERS, Carrier, TCPClient

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator


@pytest.fixture(params=list(CARRIERS))
def stream(request: pytest.FixtureRequest, loop: AbstractEventLoop) -> Iterator[Carrier]:
    """Every way to a stream connection; `indirect` parametrisation chooses among their names."""
    carrier = CARRIERS[request.param](loop)
    yield carrier
    carrier.clean_up()


@pytest.fixture
def tcp(loop: AbstractEventLoop) -> Iterator[Carrier]:
    """A TCP connection that the loop makes."""
    carrier = TCPClient(loop)
    yield carrier
    carrier.clean_up()
