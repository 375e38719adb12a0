"""A target: a loop factory and a namespace, both named as text so that any process of a run can find them again."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from types import ModuleType

ESSENTIALS = (
    "run_forever",
    "run_until_complete",
    "stop",
    "is_running",
    "is_closed",
    "close",
    "call_soon",
    "call_later",
    "time",
    "create_future",
    "create_task",
)
"""Without these no case can be put to a loop. Being an ``AbstractEventLoop`` is not asked: good loops are none."""

NAMESPACE_ESSENTIALS = ("CancelledError", "Event", "Future", "Task", "gather", "sleep")

FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
"""``module:callable``, both dotted if need be."""


class TargetError(Exception):
    """A target that cannot be tested. The message is one sentence that says what to do about it."""


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

    def make_loop(self) -> AbstractEventLoop:
        """Call the factory; whatever it raises passes through.

        Raises TargetError where the factory cannot be imported, or returns something that is no loop.
        """
        loop: AbstractEventLoop = load_factory(self.factory)()
        check_loop(loop, self.factory)
        return loop

    @property
    def namespace(self) -> ModuleType:
        """The module that plays ``asyncio``'s part in cases. TargetError where it cannot, or is no such namespace."""
        return _load_namespace(self.namespace_name)

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
    # Costs 30 ms to import, which a run of `--help` or of a child program need not pay.
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def make_current_folder_importable() -> None:
    """Find ``module:callable`` in the current folder, too, behind everything that is installed."""
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)


def is_importable(module: str) -> bool:
    """Whether the import system finds ``module``. Packages around a dotted name are imported, the module is not."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def import_quietly(module: str) -> Any:
    """Import a loop's module; its warnings while it is imported are no finding about the loop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(module)


@cache
def load_factory(factory: str) -> Callable[[], Any]:
    """The callable that ``module:callable`` names. TargetError, in one sentence, where there is none."""
    module, _, attribute = factory.partition(":")
    found = _import(module, f'the factory "{factory}"')
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise TargetError(f'module "{module}" has no "{attribute}"; give a factory as module:callable') from None
    if not callable(found):
        raise TargetError(f'"{factory}" is not callable; give a factory that takes no arguments and returns a loop')
    callable_: Callable[[], Any] = found
    return callable_


@cache
def _load_namespace(name: str) -> ModuleType:
    module: ModuleType = _import(name, "the namespace (--api)")
    missing = [essential for essential in NAMESPACE_ESSENTIALS if not hasattr(module, essential)]
    if missing:
        raise TargetError(
            f'module "{name}" is no asyncio namespace, it has no {missing[0]}; give --api a module that has what '
            "asyncio has"
        )
    return module


def _import(module: str, purpose: str) -> Any:
    try:
        return import_quietly(module)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except ModuleNotFoundError as problem:
        if problem.name is not None and (module == problem.name or module.startswith(f"{problem.name}.")):
            raise TargetError(
                f'there is no module "{problem.name}" for {purpose}; install it, or correct the name'
            ) from None
        raise TargetError(f'importing "{module}" for {purpose} failed: {problem}; install what it needs') from None
    except BaseException as problem:  # a module may raise anything, SystemExit too
        raise TargetError(
            f'importing "{module}" for {purpose} failed: {describe(problem)}; see what python -c "import {module}" says'
        ) from None


def describe(problem: BaseException) -> str:
    """An exception in one line."""
    text = " ".join(str(problem).split())
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__


def check_loop(loop: object, factory: str) -> None:
    """TargetError unless ``loop``, which ``factory`` returned, has what every case needs of a loop."""
    missing = [name for name in ESSENTIALS if not callable(getattr(loop, name, None))]
    if missing:
        raise TargetError(
            f'the factory "{factory}" returned {_kind(loop)}, which is no event loop: it has no {missing[0]}(); '
            "give a callable that takes no arguments and returns a fresh loop"
        )


def _kind(value: object) -> str:
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else f"an object of class {type(value).__name__}"
