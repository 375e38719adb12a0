"""Who is tested: a loop factory, and the namespace whose tasks, locks and streams are used with it.

target = resolve("uvloop")
loop = target.make_loop()
"""

from __future__ import annotations

from conformance.loading import TargetError, check_loop, make_current_folder_importable
from conformance.target.known import KNOWN, Known
from conformance.target.model import Target
from conformance.target.names import ENTRY_POINTS, announced, entry_points, resolve

__all__ = [
    "ENTRY_POINTS",
    "KNOWN",
    "Known",
    "Target",
    "TargetError",
    "announced",
    "check_loop",
    "entry_points",
    "make_current_folder_importable",
    "resolve",
]
