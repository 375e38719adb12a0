"""How an awaitable ended, as a value that compares; and waiting for a condition with the target's own ``sleep()``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def until(aio: Any, condition: Callable[[], object]) -> None:
    """Let the loop run until ``condition()`` is true; fail after ``GENEROUS`` seconds."""
    deadline = time.monotonic() + GENEROUS
    while not condition():
        assert time.monotonic() < deadline, f"waited {GENEROUS} s for a condition that never came true"
        await aio.sleep(0.001)


async def ending(awaitable: Awaitable[Any]) -> Any:
    """What awaiting it gives: its result, or the exception that it raises; a returned exception is neither."""
    try:
        result = await awaitable
    except BaseException as error:
        return error
    return ("returned", result) if isinstance(result, BaseException) else result


def names(errors: BaseException | tuple[BaseException, ...]) -> list[str]:
    """The names of the classes of the exceptions in a group, in alphabetical order: no other is promised."""
    found = errors.exceptions if isinstance(errors, BaseExceptionGroup) else errors
    assert isinstance(found, tuple), f"no exception group: {errors!r}"
    return sorted(type(error).__name__ for error in found)
