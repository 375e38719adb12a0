"""The namespace of older documentation: all of refloop, and what 3.6 to 3.10 documented and later versions refuse.

    import refloop.legacy as asyncio

Where the newest documentation says that something raises `TypeError` or is gone, `refloop` does as it says. The older
promise is kept here: `loop=` arguments (until 3.9), `await lock` and `with (yield from lock)` (until 3.8), `@coroutine`
(until 3.10), coroutines given to `wait()` (until 3.10), `Task.all_tasks()` and `Task.current_task()` (until 3.8),
`async` (3.6). Each emits the `DeprecationWarning` that was documented with it.
"""

from __future__ import annotations

import functools
import gc
import warnings
from contextlib import contextmanager
from types import GeneratorType
from typing import TYPE_CHECKING, Any, cast

import refloop
from refloop import conditions, current, flags, introspection, locks, queues, semaphores, tasks
from refloop.binding import LoopBound
from refloop.generators import coroutine
from refloop.identity import get_running_loop
from refloop.waiting import AsCompleted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from refloop.futures import Future
    from refloop.identity import AbstractEventLoop


def _warn(what: str) -> None:
    warnings.warn(f"{what} is deprecated and gone from later versions", DeprecationWarning, stacklevel=3)


# Objects that are told their loop


class _TakesLoop(LoopBound):
    """Gives a constructor the keyword `loop`: the loop that the object belongs to from the start.

    Keeps: explicit-loop-argument-sync-queue/loop-keyword-selects-loop,
    explicit-loop-argument-sync-queue/loop-keyword-warns.
    """

    def __init__(self, *args: Any, loop: AbstractEventLoop | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if loop is not None:
            _warn("the loop argument")
            self._loop = loop


class _AwaitedToAcquire:
    """Lets an object with `acquire()` and `release()` be awaited, which acquires it, and held by a plain `with`.

    Keeps: Lock/supports-legacy-await-and-with, Lock/legacy-forms-warn.
    """

    acquire: Any
    release: Callable[[], None]

    def __await__(self) -> Generator[Any, None, Any]:
        _warn("awaiting a lock, and 'with (yield from lock)'")
        yield from self.acquire().__await__()
        return self._held()

    __iter__ = __await__

    @contextmanager
    def _held(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.release()


class Lock(_AwaitedToAcquire, _TakesLoop, locks.Lock):
    """`refloop.Lock`, as documented until 3.8."""


class Condition(_AwaitedToAcquire, _TakesLoop, conditions.Condition):
    """`refloop.Condition`, as documented until 3.8."""


class Semaphore(_AwaitedToAcquire, _TakesLoop, semaphores.Semaphore):
    """`refloop.Semaphore`, as documented until 3.8."""


class BoundedSemaphore(Semaphore, semaphores.BoundedSemaphore):
    """`refloop.BoundedSemaphore`, as documented until 3.8."""


class Event(_TakesLoop, flags.Event):
    """`refloop.Event`, as documented until 3.9."""


class Queue(_TakesLoop, queues.Queue[Any]):
    """`refloop.Queue`, as documented until 3.9."""


class PriorityQueue(Queue, queues.PriorityQueue[Any]):
    """`refloop.PriorityQueue`, as documented until 3.9."""


class LifoQueue(Queue, queues.LifoQueue[Any]):
    """`refloop.LifoQueue`, as documented until 3.9."""


# Functions that are told their loop
#
# Keeps: explicit-loop-argument/loop-keyword-selects-loop, explicit-loop-argument/loop-keyword-warns,
# explicit-loop-argument-streams/selects-loop, explicit-loop-argument-streams/warns-deprecated.


def gather(*aws: Any, loop: AbstractEventLoop | None = None, return_exceptions: bool = False) -> Future[list[Any]]:
    """`refloop.gather()`, in `loop`."""
    if loop is None:
        return refloop.gather(*aws, return_exceptions=return_exceptions)
    _warn("the loop argument")
    if not aws:
        empty = cast("Future[list[Any]]", loop.create_future())
        empty.set_result([])
        return empty
    distinct = {id(awaitable): awaitable for awaitable in aws}
    futures = {key: refloop.ensure_future(awaitable, loop=loop) for key, awaitable in distinct.items()}
    return refloop.gather(*(futures[id(awaitable)] for awaitable in aws), return_exceptions=return_exceptions)


def shield(arg: Any, *, loop: AbstractEventLoop | None = None) -> Future[Any]:
    """`refloop.shield()`, in `loop`."""
    if loop is None:
        return refloop.shield(arg)
    _warn("the loop argument")
    return refloop.shield(refloop.ensure_future(arg, loop=loop))


def as_completed(fs: Any, *, loop: AbstractEventLoop | None = None, timeout: float | None = None) -> AsCompleted[Any]:
    """`refloop.as_completed()`, in `loop`."""
    if loop is None:
        return refloop.as_completed(fs, timeout=timeout)
    _warn("the loop argument")
    return AsCompleted(fs, timeout, loop)


def _takes_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a coroutine function the keyword `loop`, which can be no other than the one that it runs in."""

    @functools.wraps(function)
    async def call(*args: Any, loop: AbstractEventLoop | None = None, **kwargs: Any) -> Any:
        if loop is not None:
            _warn("the loop argument")
            if get_running_loop() is not loop:
                raise RuntimeError(f"{function.__name__}() runs in another loop than the one given as loop")
        return await function(*args, **kwargs)

    call.__doc__ = f"`refloop.{function.__name__}()`, in `loop`."
    return call


async def _wait(fs: Any, *, timeout: float | None = None, return_when: str = refloop.ALL_COMPLETED) -> Any:
    """`refloop.wait()`, which until 3.10 made tasks of coroutines.

    Keeps: wait/wraps-coroutines-in-tasks, wait/warns-on-coroutine-arguments, wait/rejects-task-generators.
    """
    if isinstance(fs, GeneratorType):
        raise TypeError("wait() takes a list or set of futures, not a generator")
    awaitables = set(fs)
    if any(refloop.iscoroutine(awaitable) for awaitable in awaitables):
        _warn("giving coroutines to wait()")
    futures = {refloop.ensure_future(awaitable) for awaitable in awaitables}
    return await refloop.wait(futures, timeout=timeout, return_when=return_when)


_wait.__name__ = "wait"


async def _wait_for(fut: Any, timeout: float | None) -> Any:
    """`refloop.wait_for()`, which until 3.11 ran a coroutine in a task of its own.

    Keeps: wait_for/wraps-coroutine-in-task.
    """
    return await refloop.wait_for(refloop.ensure_future(fut), timeout)


_wait_for.__name__ = "wait_for"

sleep = _takes_loop(refloop.sleep)
wait = _takes_loop(_wait)
wait_for = _takes_loop(_wait_for)
open_connection = _takes_loop(refloop.open_connection)
start_server = _takes_loop(refloop.start_server)
if hasattr(refloop, "open_unix_connection"):
    open_unix_connection = _takes_loop(refloop.open_unix_connection)
    start_unix_server = _takes_loop(refloop.start_unix_server)


# Tasks


class _TaskType(type):
    """Makes every task of refloop's an instance of the old class, whoever made it."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, tasks.Task)


class Task(tasks.Task[Any], metaclass=_TaskType):
    """`refloop.Task`, with the class methods that were documented until 3.8."""

    __slots__ = ()

    @classmethod
    def all_tasks(cls, loop: AbstractEventLoop | None = None) -> set[Any]:
        """Return all tasks of `loop`, by default the current one, also those that are done and still referenced.

        Keeps: Task.all_tasks/returns-all-live-tasks, Task.all_tasks/deprecated-classmethod.
        """
        _warn("Task.all_tasks()")
        chosen = current.get_event_loop() if loop is None else loop
        # Nobody keeps a list of finished tasks; the garbage collector knows every object.
        found = {one for one in gc.get_objects() if isinstance(one, tasks.Task) and one.get_loop() is chosen}
        return found | introspection.all_tasks(chosen)

    @classmethod
    def current_task(cls, loop: AbstractEventLoop | None = None) -> Any:
        """Return the task that runs in `loop`, by default the current one, or None.

        Keeps: Task.current_task/returns-running-task-or-none, Task.current_task/deprecated-classmethod.
        """
        _warn("Task.current_task()")
        return introspection.current_task(current.get_event_loop() if loop is None else loop)


def __getattr__(name: str) -> Any:
    """Give everything else that refloop has; `async`, a keyword by now, is reached by `getattr()` only."""
    return getattr(refloop, name)


__all__ = [*refloop.__all__, "coroutine"]
