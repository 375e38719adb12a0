"""What the cases about policies share."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.support.policies import default_policy


@pytest.fixture
def default(aio: Any) -> Any:
    """A default policy of the target's namespace, in which no loop is set, and which is not in force."""
    return default_policy(aio)
