"""From the names of a factory and of a namespace to a loop and a module.

The programs of cases begin with this, each in an interpreter of its own: it imports as little as it can.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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


class TargetError(Exception):
    """A target that cannot be tested. The message is one sentence that says what to do about it."""


def make_current_folder_importable() -> None:
    """Find ``module:callable`` in the current folder, too, behind everything that is installed."""
    folder = os.getcwd()  # noqa: PTH109 - pathlib costs 5 ms to import
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)


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
def load_namespace(name: str) -> ModuleType:
    """The module of that name. TargetError, in one sentence, where it is none or no namespace like asyncio's."""
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


def make_loop(factory: str) -> Any:
    """Call the factory that ``module:callable`` names; whatever it raises passes through.

    Raises TargetError where it cannot be imported, or returns something that is no loop.
    """
    loop = load_factory(factory)()
    check_loop(loop, factory)
    return loop


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
