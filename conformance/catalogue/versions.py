"""Documentation and interpreter versions: points, ranges, and the profile that a run judges by.

A documentation version without a micro part speaks for its whole series: ``since = "3.13"`` begins with 3.13.0,
``until = "3.13"`` ends with the newest 3.13.
"""

from __future__ import annotations

import re
import sys
from functools import cache

from attrs import frozen

OLDEST_MINOR = 6
NEWEST_MINOR = 15
# Stands for the newest micro version of a series in comparisons; CPython's highest so far is 3.5's and 3.6's, below 30.
NEWEST_MICRO = 999

_VERSION = re.compile(r"3\.(\d{1,3})(?:\.(\d{1,3}))?")


class VersionError(ValueError):
    """A version, range or profile that cannot be read; the message is one sentence that says what is expected."""


@frozen
class Version:
    """A Python 3 version: ``3.13.3``, or ``3.13`` for a whole series."""

    minor: int
    micro: int | None = None

    @staticmethod
    @cache
    def parse(text: str) -> Version:
        """Read ``"3.13"`` or ``"3.13.3"``; VersionError for anything else."""
        match = _VERSION.fullmatch(text)
        if match is None:
            raise VersionError(f'"{text}" is no Python version; write it as 3.13 or 3.13.3')
        return Version(int(match[1]), None if match[2] is None else int(match[2]))

    @classmethod
    def running(cls) -> Version:
        """The running interpreter's version, with its micro part."""
        return cls(sys.version_info.minor, sys.version_info.micro)

    @property
    def first(self) -> tuple[int, int]:
        """The oldest release that this version speaks for, as (minor, micro)."""
        return self.minor, self.micro or 0

    @property
    def last(self) -> tuple[int, int]:
        """The newest release that this version speaks for, as (minor, micro)."""
        return self.minor, NEWEST_MICRO if self.micro is None else self.micro

    def __str__(self) -> str:
        return f"3.{self.minor}" if self.micro is None else f"3.{self.minor}.{self.micro}"


@frozen
class VersionRange:
    """Every release from ``start`` to ``end``, both included; ``end`` None leaves it open."""

    start: Version
    end: Version | None

    @classmethod
    def parse(cls, text: str) -> VersionRange:
        """Read ``"3.12.0-3.12.3"``, ``"3.14.0-"`` (until today) or ``"3.12"`` (the series); VersionError otherwise."""
        first, dash, last = (part.strip() for part in text.partition("-"))
        start = Version.parse(first)
        if not dash:
            return cls(start, start)
        end = Version.parse(last) if last else None
        if end is not None and end.last < start.first:
            raise VersionError(f'the range "{text.strip()}" ends before it starts')
        return cls(start, end)

    def __contains__(self, version: Version) -> bool:
        return self.start.first <= version.last and (self.end is None or version.last <= self.end.last)

    def __str__(self) -> str:
        if self.end == self.start:
            return str(self.start)
        return f"{self.start}-{'' if self.end is None else self.end}"


def parse_ranges(text: str) -> tuple[VersionRange, ...]:
    """Read comma-separated ranges, such as ``"3.12.0-3.12.3, 3.13.0"``."""
    return tuple(VersionRange.parse(part) for part in text.split(","))


def profile_version(text: str | None = None) -> Version:
    """The documentation version that ``--profile TEXT`` stands for.

    None is the running interpreter's full version. A series (``"3.13"``) is its newest documentation, except that the
    running interpreter's own series stops at the interpreter's micro version: it cannot keep later promises.
    Raises VersionError for text that is no version and for versions that the catalogue does not describe.
    """
    running = Version.running()
    if text is None:
        return running
    newest = max(NEWEST_MINOR, running.minor)
    try:
        version = Version.parse(text)
    except VersionError:
        version = None
    if version is None or not OLDEST_MINOR <= version.minor <= newest:
        raise VersionError(
            f'no documentation profile "{text}"; use 3.{OLDEST_MINOR} to 3.{newest}, or a micro version such as 3.13.3'
        )
    return running if version.micro is None and version.minor == running.minor else version
