"""What a case may change around itself beyond asyncio: limits, the umask, functions of the standard library.

What can be put back is; what cannot makes the process *spent*: it gives way to a fresh one before the next case.
"""

from __future__ import annotations

import asyncio
import os
import re
import selectors
import socket
import sys
import threading
import time
from operator import is_
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from types import ModuleType

if sys.platform != "win32":
    import resource

MODULES = (asyncio, asyncio.events, asyncio.futures, asyncio.tasks, selectors, socket, threading, time)
"""The modules whose public functions and classes a careless target replaces, for all cases after it."""

UMASK = re.compile(rb"^Umask:\s*([0-7]+)", re.MULTILINE)

MOST_DESCRIPTORS = 200
MOST_THREADS = 60
MOST_DATA = 1024**3
"""Descriptors, threads, and bytes of address space that earlier cases may have left in a process: some ten times what
any case takes, and far below the limits at which innocent cases fail."""

MOST_MEMORY = 32 * 1024**2
"""Bytes of memory that a forked worker may gain. Large buffers leave the heap in pieces, and a fresh fork costs less
than the memory of a process that has run thousands of cases."""


@frozen
class Module:
    """A module and what its public names stood for."""

    module: ModuleType
    names: tuple[str, ...]
    values: tuple[Any, ...]

    @classmethod
    def of(cls, module: ModuleType) -> Module:
        """As it is."""
        found = {name: value for name, value in vars(module).items() if not name.startswith("_") and callable(value)}
        return cls(module, tuple(found), tuple(found.values()))

    def restore(self) -> list[str]:
        """Put everything back; the names that stood for something else."""
        if all(map(is_, map(vars(self.module).get, self.names), self.values)):
            return []
        changed = []
        for name, value in zip(self.names, self.values, strict=True):
            if vars(self.module).get(name) is not value:
                setattr(self.module, name, value)
                changed.append(f"{self.module.__name__}.{name}")
        return changed


@frozen
class Surroundings:
    """A snapshot, and the way back to it."""

    modules: tuple[Module, ...]
    limits: dict[str, tuple[int, int]]
    umask: int | None

    @classmethod
    def now(cls, status: bytes) -> Surroundings:
        """Take the snapshot; ``status`` is what the kernel says of the process, where it does."""
        return cls(tuple(map(Module.of, MODULES)), _limits(), umask_in(status))

    def restore(self, status: bytes) -> tuple[list[str], bool]:
        """Put everything back; say in a sentence each what had been changed, and whether something cannot be."""
        changed = [f"{name} stayed replaced" for module in self.modules for name in module.restore()]
        spent = False
        if self.umask is not None and umask_in(status) != self.umask:
            os.umask(self.umask)
            changed.append("the umask stayed changed")
        if (limits := _limits()) != self.limits:
            for name in sorted(name for name, limit in limits.items() if limit != self.limits[name]):
                changed.append(f"the limit {name} stayed changed")
                spent = not _set_limit(name, self.limits[name]) or spent
        return changed, spent


def umask_in(status: bytes) -> int | None:
    """The umask in the kernel's account of a process; None where it has none."""
    found = UMASK.search(status)
    return None if found is None else int(found[1], 8)


def is_crowded(descriptors: int, before: Memory, most_memory: int) -> bool:
    """Whether what earlier cases left fills this process; it has ``descriptors`` more than it began with."""
    now = Memory.now()
    return (
        descriptors > MOST_DESCRIPTORS
        or threading.active_count() > MOST_THREADS
        or now.data - before.data > MOST_DATA
        or now.resident - before.resident > most_memory
    )


@frozen
class Memory:
    """What a process takes, in bytes."""

    data: int
    """address space for data and stacks"""
    resident: int
    """memory proper"""

    @classmethod
    def now(cls) -> Memory:
        """Of this process; nothing where the system does not tell."""
        try:
            statm = os.open("/proc/self/statm", os.O_RDONLY)
        except OSError:
            return cls(0, 0)
        try:
            pages = [int(word) for word in os.read(statm, 256).split()]
        finally:
            os.close(statm)
        size = os.sysconf("SC_PAGE_SIZE")
        return cls(data=pages[5] * size, resident=pages[1] * size)


def _limits() -> dict[str, tuple[int, int]]:
    if sys.platform == "win32":
        return {}
    return {name: resource.getrlimit(number) for name, number in LIMITS.items()}


def _set_limit(name: str, limit: tuple[int, int]) -> bool:
    """Whether the limit can be put back: an ordinary user may not raise the upper one again."""
    if sys.platform == "win32":
        return False
    try:
        resource.setrlimit(LIMITS[name], limit)
    except (OSError, ValueError):
        return False
    return True


LIMITS = (
    {}
    if sys.platform == "win32"
    else {name: getattr(resource, name) for name in vars(resource) if name.startswith("RLIMIT_")}
)
