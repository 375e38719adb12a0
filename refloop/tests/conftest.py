"""What the tests of all rooms share."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(scope="module", autouse=True)
def _collect_quickly() -> None:
    """Let the collections in and after tests look at what the tests made, not at pytest, the libraries and the past."""
    gc.collect()
    if hasattr(gc, "freeze"):
        gc.freeze()
