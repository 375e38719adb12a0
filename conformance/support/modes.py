"""The kinds of loop that a case may run on."""

from __future__ import annotations

PLAIN = "plain"
DEBUG = "debug"
"""with debug mode on"""
EAGER = "eager"
"""with a factory of eager tasks"""
