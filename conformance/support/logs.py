"""The log of a loop as a user reads it."""

from __future__ import annotations

import logging


def logged_errors(records: list[logging.LogRecord]) -> list[str]:
    """The texts of the records at ERROR and above, their tracebacks included."""
    formatter = logging.Formatter("%(message)s")
    return [formatter.format(record) for record in records if record.levelno >= logging.ERROR]
