"""The log of a loop as a user reads it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def logged_errors(records: list[logging.LogRecord]) -> list[str]:
    """The texts of the records at ERROR and above, their tracebacks included."""
    formatter = logging.Formatter("%(message)s")
    return [formatter.format(record) for record in records if record.levelno >= logging.ERROR]


class LoggerNames(logging.Handler):
    """Keeps the names of the loggers that it gets records of."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.names.add(record.name)


@contextmanager
def names_of_loggers() -> Iterator[set[str]]:
    """The names of the loggers whose records reach the root logger while the block runs."""
    handler = LoggerNames()
    logging.getLogger().addHandler(handler)
    try:
        yield handler.names
    finally:
        logging.getLogger().removeHandler(handler)
