"""What these cases share: tasks that wait, and are cancelled when the case ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.turns import starting

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

    from conformance.support.turns import Start


@pytest.fixture
def start(loop: AbstractEventLoop, aio: Any) -> Iterator[Start]:
    """Make tasks of coroutines and let them go on until they wait: ``first, second = await start(a, b)``."""
    yield from starting(loop, aio)
