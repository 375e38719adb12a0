"""A case that cannot fail is a defect: some careless loop fails every case, and some case fails every careless loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.selftest.sharpness import functions, measure
from fixtures.faulty.registry import all_careless

if TYPE_CHECKING:
    from pathlib import Path

# Cases that no careless loop fails yet. This list only shrinks.
NOT_CAUGHT: frozenset[str] = frozenset()


@pytest.mark.sharpness
def test_every_case_is_failed_by_a_careless_loop_and_every_careless_loop_by_a_case(tmp_path: Path) -> None:
    # One test, because what it measures takes minutes and answers all of it.
    sharpness = measure(tmp_path)
    caught = functions(case for cases in sharpness.caught_by.values() for case in cases)
    ran = functions(sharpness.ran)
    assert sorted(sharpness.gross) == [], "these do not even run a coroutine, so what fails on them proves nothing"
    assert sorted(name for name, cases in sharpness.caught_by.items() if not cases) == [], "no case fails on these"
    assert sorted(ran - caught - NOT_CAUGHT) == [], "no careless loop fails these cases: write the one that does"
    assert sorted(NOT_CAUGHT & caught) == [], "these are caught: take them off the list"


def test_every_careless_loop_says_what_it_does_wrong() -> None:
    every = all_careless()
    assert [one.name for one in every if len(one.fault.split()) < 3] == []
    assert len({one.name for one in every}) == len(every)
