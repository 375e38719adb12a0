"""The loops and the look at what is left behind are those of the other connections; the connections are TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.io.conftest import (  # noqa: F401 - fixtures and hooks for this folder
    clock,
    loop,
    maker,
    pytest_configure,
    pytest_pyfunc_call,
    reported,
)
from refloop.tests.tls.carriers import TLS_CARRIERS, TLSCarrier

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@pytest.fixture(params=list(TLS_CARRIERS))
def carrier(request: pytest.FixtureRequest, loop: Any, tmp_path: Path) -> Generator[TLSCarrier]:  # noqa: F811
    """A way to make a TLS transport whose other end is a blocking TLS socket."""
    made = TLS_CARRIERS[request.param](loop, tmp_path)
    yield made
    made.clean_up()


@pytest.fixture
def tcp(loop: Any, tmp_path: Path) -> Generator[TLSCarrier]:  # noqa: F811
    """A TLS connection made by `create_connection()`."""
    made = TLS_CARRIERS["client"](loop, tmp_path)
    yield made
    made.clean_up()
