"""What counts as a coroutine."""

from __future__ import annotations

import collections.abc
import inspect
from types import CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import TypeIs


def iscoroutine(obj: object) -> TypeIs[collections.abc.Coroutine[Any, Any, Any]]:
    """Return whether `obj` is a coroutine object.

    Besides what `async def` functions return, these are instances of `collections.abc.Coroutine` (Cython's, for one)
    and generators made by a function that `types.coroutine()` decorates.

    Keeps: iscoroutine/returns-true-for-coroutines, iscoroutine/returns-true-for-generator-coroutines.
    """
    if type(obj) is CoroutineType:
        return True
    if type(obj) is GeneratorType:
        return bool(obj.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE)
    return isinstance(obj, collections.abc.Coroutine)


def iscoroutinefunction(func: object) -> bool:
    """Return whether calling `func` gives a coroutine object.

    Keeps: iscoroutinefunction/returns-true-for-coroutine-functions.
    """
    code = getattr(func, "__code__", None)
    return inspect.iscoroutinefunction(func) or (
        code is not None and bool(code.co_flags & inspect.CO_ITERABLE_COROUTINE)
    )
