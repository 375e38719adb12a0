"""Event loop policies, which say from 3.14 on at every use that they are deprecated."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def deprecated_api() -> Iterator[None]:
    """The deprecated API is used in the block, and that it says so is not what the case is about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@contextmanager
def in_force(aio: Any, policy: Any) -> Iterator[None]:
    """``policy`` is the policy of the process in the block; afterwards the one before it is again."""
    with deprecated_api():
        before = aio.get_event_loop_policy()
        aio.set_event_loop_policy(policy)
    try:
        yield
    finally:
        with deprecated_api():
            aio.set_event_loop_policy(before)


def default_policy(aio: Any) -> Any:
    """A fresh default policy, in which no loop is set."""
    with deprecated_api():
        return aio.DefaultEventLoopPolicy()


def subclass(aio: Any, base: str, **members: Any) -> Any:
    """A policy of a class of its own, derived from a class of ``aio``."""
    with deprecated_api():
        return type("Policy", (getattr(aio, base),), members)()


def warns_deprecated(use: Callable[[], object]) -> bool:
    """Whether ``use()`` emits a DeprecationWarning; whatever filters are set, and however often it did before."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        use()
    return any(issubclass(warning.category, DeprecationWarning) for warning in caught)
