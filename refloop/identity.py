"""What refloop shares with `asyncio`: the things that other code recognises by identity, and nothing else.

This is the only module that imports from `asyncio`. A library that writes `except asyncio.CancelledError`, asks
`isinstance(loop, asyncio.AbstractEventLoop)`, calls `asyncio.get_running_loop()` or lists `asyncio.all_tasks()` must
meet refloop's objects there, so these classes, the running-loop slot of each thread and the registry of tasks are one
for both. Behaviour is never taken from here.

Names that an older interpreter lacks are defined here, so that a user of 3.11 has the whole of today's interface.
"""

from __future__ import annotations

import asyncio.events
import asyncio.tasks
from asyncio import (
    AbstractEventLoop,
    AbstractServer,
    BaseProtocol,
    BaseTransport,
    BrokenBarrierError,
    BufferedProtocol,
    CancelledError,
    DatagramProtocol,
    DatagramTransport,
    IncompleteReadError,
    InvalidStateError,
    LimitOverrunError,
    Protocol,
    QueueEmpty,
    QueueFull,
    ReadTransport,
    SendfileNotAvailableError,
    SubprocessProtocol,
    SubprocessTransport,
    TimeoutError,  # noqa: A004 - the documented name; it is the builtin
    Transport,
    WriteTransport,
    _get_running_loop,
    _set_running_loop,
    get_running_loop,
)
from asyncio import Future as StandardFuture
from asyncio import Handle as StandardHandle
from asyncio import TimerHandle as StandardTimerHandle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from abc import ABC, abstractmethod

    class AbstractEventLoopPolicy(ABC):
        """The base class of policies; said here, since its stub also has what only old versions require."""

        @abstractmethod
        def get_event_loop(self) -> AbstractEventLoop: ...
        @abstractmethod
        def set_event_loop(self, loop: AbstractEventLoop | None) -> None: ...
        @abstractmethod
        def new_event_loop(self) -> AbstractEventLoop: ...

    # The documented support of foreign tasks, which the stubs know for asyncio's own task only.
    def _register_task(task: Any) -> None: ...
    def _unregister_task(task: Any) -> None: ...
    def _enter_task(loop: AbstractEventLoop, task: Any) -> None: ...
    def _leave_task(loop: AbstractEventLoop, task: Any) -> None: ...

    class QueueShutDown(Exception):
        """Raised by `Queue.put()` and `Queue.get()` once the queue was shut down (documented from 3.13)."""
else:
    from asyncio.tasks import _enter_task, _leave_task, _register_task, _unregister_task

    # From 3.14 the public name of the policies' base class warns when it is looked up; the private one does not.
    AbstractEventLoopPolicy = getattr(asyncio.events, "_AbstractEventLoopPolicy", None) or getattr(
        asyncio.events, "AbstractEventLoopPolicy", object
    )
    try:
        from asyncio import QueueShutDown
    except ImportError:

        class QueueShutDown(Exception):
            """Raised by `Queue.put()` and `Queue.get()` once the queue was shut down (documented from 3.13)."""


def registered_tasks(loop: AbstractEventLoop) -> set[Any]:
    """Return the unfinished tasks of `loop`, whoever made them."""
    return set(asyncio.tasks.all_tasks(loop))


def registered_current_task(loop: AbstractEventLoop) -> Any:
    """Return the task that runs in `loop` now, whoever made it, or None."""
    return asyncio.tasks.current_task(loop)


def swap_current_task(loop: AbstractEventLoop, task: Any) -> Any:
    """Make `task` the current one of `loop` and return what was current before; either may be None.

    An eagerly started task interrupts the task that creates it: this is how it takes the seat and gives it back.
    """
    previous = asyncio.tasks.current_task(loop)
    if previous is not None:
        _leave_task(loop, previous)
    if task is not None:
        _enter_task(loop, task)
    return previous


def standard_callbacks(future: Any) -> list[Any]:
    """Return what a future of the standard library's make will call when it is done, for the call graph."""
    return [callback for callback, _ in getattr(future, "_callbacks", None) or ()]


def standard_awaiters(future: Any) -> list[Any]:
    """Return who a future of the standard library's make was told is waiting for it, which it hears from 3.14 on."""
    return list(getattr(future, "_asyncio_awaited_by", None) or ())


__all__ = [
    "AbstractEventLoop",
    "AbstractEventLoopPolicy",
    "AbstractServer",
    "BaseProtocol",
    "BaseTransport",
    "BrokenBarrierError",
    "BufferedProtocol",
    "CancelledError",
    "DatagramProtocol",
    "DatagramTransport",
    "IncompleteReadError",
    "InvalidStateError",
    "LimitOverrunError",
    "Protocol",
    "QueueEmpty",
    "QueueFull",
    "QueueShutDown",
    "ReadTransport",
    "SendfileNotAvailableError",
    "StandardFuture",
    "StandardHandle",
    "StandardTimerHandle",
    "SubprocessProtocol",
    "SubprocessTransport",
    "TimeoutError",
    "Transport",
    "WriteTransport",
    "_enter_task",
    "_get_running_loop",
    "_leave_task",
    "_register_task",
    "_set_running_loop",
    "_unregister_task",
    "get_running_loop",
    "registered_current_task",
    "registered_tasks",
    "standard_awaiters",
    "standard_callbacks",
    "swap_current_task",
]
