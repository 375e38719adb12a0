"""A target: a loop factory and a namespace, both named as text so that any process of a run can find them again."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from attrs import frozen

from conformance.loading import load_namespace, make_loop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Mapping
    from types import ModuleType

FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
"""``module:callable``, both dotted if need be."""


@frozen
class Target:
    """What is under test: ``make_loop()`` gives a fresh loop, ``namespace`` is the module that cases call ``aio``.

    An entry point of group ``asyncio_conformance.targets`` may name such an object instead of a factory, to bring its
    own namespace: ``TARGET = Target("myloop", "mylib.loop:Loop", "mylib")``.
    """

    name: str
    """what ``resolve()`` finds it by, in every process of a run"""
    factory: str
    """``module:callable``"""
    namespace_name: str = "asyncio"
    """the module whose ``Lock``, ``Queue``, ``open_connection`` … are used"""
    _distribution: str | None = None
    profile: str | None = None
    """the documentation that its namespace keeps to, whatever the interpreter; None stands for the interpreter's"""

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Target:
        """Of what ``attrs.asdict()`` gave in another process."""
        return cls(**{name.removeprefix("_"): value for name, value in values.items()})

    def make_loop(self) -> AbstractEventLoop:
        """Call the factory; whatever it raises passes through.

        Raises TargetError where the factory cannot be imported, or returns something that is no loop.
        """
        loop: AbstractEventLoop = make_loop(self.factory)
        return loop

    @property
    def namespace(self) -> ModuleType:
        """The module that plays ``asyncio``'s part in cases. TargetError where it cannot, or is no such namespace."""
        return load_namespace(self.namespace_name)

    @property
    def borrows_namespace(self) -> bool:
        """Whether it is a loop under the standard library's tasks and locks, which are not its own to answer for."""
        return self.namespace_name == "asyncio" and self.name != "asyncio"

    @property
    def distribution(self) -> str | None:
        """The distribution that brings the loop; None for the standard library and where none is named like it."""
        if self._distribution is not None:
            return self._distribution
        package = self.factory.partition(":")[0].partition(".")[0]
        return package if package not in sys.stdlib_module_names and installed_version(package) else None

    @property
    def version(self) -> str | None:
        """The version of its distribution; None for the standard library and for what was never installed."""
        distribution = self.distribution
        return None if distribution is None else installed_version(distribution)


def installed_version(distribution: str) -> str | None:
    """The installed version of a distribution, or None."""
    # Costs 30 ms to import, which a run of `--help` need not pay.
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def is_importable(module: str) -> bool:
    """Whether the import system finds ``module``. Packages around a dotted name are imported, the module is not."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
