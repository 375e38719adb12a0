"""How callbacks, coroutines and places in the source are shown in messages and in `repr()`."""

from __future__ import annotations

import functools
import inspect
import os
import reprlib
import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

# A creation traceback is for finding the line that made an object; frames further out than this only cost time.
CREATION_STACK_DEPTH = 10

# Frames of files in this very folder are the machinery, not the program. (Tests lie deeper.)
OWN_FOLDER = os.path.dirname(__file__)  # noqa: PTH120 - pathlib takes 4 ms to import, which asyncio has no use for


def describe_call(function: Any, args: Sequence[Any] | None = (), kwargs: Mapping[str, Any] | None = None) -> str:
    """Show a call as `name(arguments) at file:line`; a `functools.partial` as the function that it will call.

    Keeps: loop.call_soon/shows-partial-arguments.
    """
    shown = describe_function(function, args, kwargs)
    place = _place_of(function)
    return f"{shown} at {place}" if place else shown


def describe_function(function: Any, args: Sequence[Any] | None = (), kwargs: Mapping[str, Any] | None = None) -> str:
    """Show a call as `name(arguments)`; `args` None leaves the parentheses out."""
    if isinstance(function, functools.partial):
        inner = describe_function(function.func, function.args, function.keywords)
        return inner + _parenthesised(args, kwargs) if args or kwargs else inner
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or reprlib.repr(function)
    return f"{name}{_parenthesised(args, kwargs)}"


def _parenthesised(args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None) -> str:
    if args is None:
        return ""
    shown = [reprlib.repr(value) for value in args]
    shown += [f"{name}={reprlib.repr(value)}" for name, value in (kwargs or {}).items()]
    return f"({', '.join(shown)})"


def _place_of(function: Any) -> str | None:
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else None


def describe_coroutine(coro: Any) -> str:
    """Show a coroutine by its name, whether it runs, and the line it has come to or, ended, began at."""
    name = getattr(coro, "__qualname__", None) or getattr(coro, "__name__", None) or f"<{type(coro).__name__}>"
    frame = getattr(coro, "cr_frame", None) or getattr(coro, "gi_frame", None)
    code = getattr(coro, "cr_code", None) or getattr(coro, "gi_code", None)
    if code is None:
        return f"{name}()"
    if frame is None:
        return f"{name}() done, defined at {code.co_filename}:{code.co_firstlineno}"
    running = getattr(coro, "cr_running", False) or getattr(coro, "gi_running", False)
    return f"{name}() {'running ' if running else ''}at {code.co_filename}:{frame.f_lineno}"


def creation_stack() -> traceback.StackSummary:
    """Return the stack of whoever called into refloop: where an object comes from.

    The source lines are looked up only when the stack is printed.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and os.path.dirname(frame.f_code.co_filename) == OWN_FOLDER:  # noqa: PTH120 - as above
        frame = frame.f_back
    stack = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=CREATION_STACK_DEPTH, lookup_lines=False)
    stack.reverse()
    return stack


def describe_value(value: Any) -> str:
    """Show a value in bounded length, even when it refers to itself."""
    return reprlib.repr(value)
