"""The ways in which a loop's tasks come into being, as parameters of a case.

What the documentation promises of every task is checked on each of them; the fixture ``new_task`` makes the task.
"""

from __future__ import annotations

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN

EVERY_TASK = pytest.mark.parametrize(
    ("loop", "new_task"),
    [(PLAIN, "create_task"), (DEBUG, "create_task"), (EAGER, "create_task"), (PLAIN, "constructor")],
    ids=["plain", "debug", "eager", "constructor"],
    indirect=True,
)
# Tasks that do not start before the code that made them gives way to the loop.
EVERY_LAZY_TASK = pytest.mark.parametrize(
    ("loop", "new_task"),
    [(PLAIN, "create_task"), (DEBUG, "create_task"), (PLAIN, "constructor")],
    ids=["plain", "debug", "constructor"],
    indirect=True,
)
