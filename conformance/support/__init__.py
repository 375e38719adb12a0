"""What cases borrow: socket peers, recording protocols, child programs, waiting helpers.

pytest rewrites the asserts of its modules as it rewrites those of cases: so they say what they saw, and hold under
``python -O``. (PYTEST_DONT_REWRITE: this module is imported before it can say so of itself.)
"""

import sys
from pathlib import Path

if "pytest" in sys.modules:
    sys.modules["pytest"].register_assert_rewrite(
        *(f"{__name__}.{file.stem}" for file in Path(__file__).parent.glob("[!_]*.py"))
    )
