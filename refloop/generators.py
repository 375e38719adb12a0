"""Coroutines written as generators: `@coroutine`, documented until 3.10, for `refloop.legacy`."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import types
import warnings
from typing import TYPE_CHECKING, Any

from refloop.debug import debug_by_default
from refloop.errors import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


def coroutine(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a generator function as a coroutine function; in it, `yield from` is what `await` is elsewhere.

    A function that is no generator function has what it returns awaited, if that can be. `async def` functions are
    returned as they are. When debug mode is the default, a coroutine that is dropped without having run is logged.

    Keeps: coroutine/bridges-generators-and-async-def, coroutine/optional-on-async-def,
    coroutine/generator-runs-as-task, coroutine/warns-deprecated, coroutine/logs-never-run-coroutine.
    """
    warnings.warn("@coroutine is deprecated; use async def instead", DeprecationWarning, stacklevel=2)
    if inspect.iscoroutinefunction(function):
        return function
    made: Callable[..., Any]
    if inspect.isgeneratorfunction(function):
        made = types.coroutine(function)
    else:

        @functools.wraps(function)
        def await_result(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            result = function(*args, **kwargs)
            if inspect.isawaitable(result) or inspect.isgenerator(result):
                result = yield from result if inspect.isgenerator(result) else result.__await__()
            return result

        made = types.coroutine(await_result)
    if not debug_by_default():
        return made

    @functools.wraps(function)
    def watched(*args: Any, **kwargs: Any) -> Any:
        return _Watched(made(*args, **kwargs), function)

    return watched


class _Watched(collections.abc.Coroutine[Any, Any, Any]):
    """A generator coroutine that says so if it is dropped without having run."""

    def __init__(self, generator: Any, function: Callable[..., Any]) -> None:
        self._generator = generator
        self._function = function

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield from self._generator)

    __iter__ = __await__

    def send(self, value: Any) -> Any:
        return self._generator.send(value)

    def throw(self, *error: Any) -> Any:
        return self._generator.throw(*error)

    def close(self) -> None:
        self._generator.close()

    def __del__(self) -> None:
        if inspect.getgeneratorstate(self._generator) == inspect.GEN_CREATED:
            code = self._function.__code__
            name = self._function.__qualname__
            logger.error("Coroutine %s() at %s:%s was never yielded from", name, code.co_filename, code.co_firstlineno)
