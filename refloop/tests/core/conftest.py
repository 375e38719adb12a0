"""A loop of each make, and the two namespaces."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import refloop

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["refloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A fresh loop, refloop's and then asyncio's, closed after the test."""
    loop = refloop.EventLoop() if request.param == "refloop" else asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(params=[refloop, asyncio], ids=["refloop-names", "asyncio-names"])
def aio(request: pytest.FixtureRequest) -> Any:
    """The namespace that a test takes futures and tasks from, whatever the loop."""
    return request.param
