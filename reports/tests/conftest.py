"""What the reports' tests share: the golden reports, and reports made of hostile text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.reports.golden import GOLDEN

if TYPE_CHECKING:
    from reports.model import Report


@pytest.fixture(params=sorted(GOLDEN))
def golden(request: pytest.FixtureRequest) -> Report:
    """Each golden report in turn."""
    name: str = request.param
    return GOLDEN[name]()


@pytest.fixture
def deviating() -> Report:
    """The golden report that has every verdict."""
    return GOLDEN["deviating"]()
