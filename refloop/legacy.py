"""The namespace of older documentation: all of refloop, and what 3.6 to 3.10 documented and later versions refuse.

    import refloop.legacy as asyncio

Where the newest documentation says that something raises `TypeError` or is gone, `refloop` does as it says. The older
promise is kept here: `loop=` arguments (until 3.9), `await lock` and `with (yield from lock)` (until 3.8), `@coroutine`
(until 3.10), coroutines given to `wait()` (until 3.10), `Task.all_tasks()` and `Task.current_task()` (until 3.8),
`async` (3.6), a loop that `get_event_loop()` makes for the main thread (until 3.13). Each emits the
`DeprecationWarning` that was documented with it.
"""

from __future__ import annotations

import functools
import gc
import inspect
import threading
import warnings
from contextlib import contextmanager
from types import GeneratorType
from typing import TYPE_CHECKING, Any, cast

import refloop
from refloop import conditions, current, flags, identity, introspection, locks, policies, queues, semaphores, tasks
from refloop.binding import LoopBound
from refloop.generators import coroutine
from refloop.identity import SubprocessTransport, _get_running_loop, get_running_loop
from refloop.stream_reader import DEFAULT_LIMIT
from refloop.waiting import AsCompleted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from refloop.futures import Future
    from refloop.identity import AbstractEventLoop
    from refloop.subprocess import Process


def _warn(what: str, *, stacklevel: int = 3) -> None:
    warnings.warn(f"{what} is deprecated and gone from later versions", DeprecationWarning, stacklevel=stacklevel)


def _with_loop(told: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of `told` with the keyword `loop`, for `help()` and whoever else asks how to call it."""
    signature = inspect.signature(told)
    parameters = list(signature.parameters.values())
    last = len(parameters) - (parameters[-1:] != [] and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD)
    parameters.insert(last, inspect.Parameter("loop", inspect.Parameter.KEYWORD_ONLY, default=None))
    return signature.replace(parameters=parameters)


# Objects that are told their loop


class _TakesLoop(LoopBound):
    """Gives a constructor the keyword `loop`: the loop that the object belongs to from the start.

    Keeps: explicit-loop-argument-sync-queue/loop-keyword-selects-loop,
    explicit-loop-argument-sync-queue/loop-keyword-warns.
    """

    __signature__: inspect.Signature

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A subclass that a program makes may take what it likes.
        if cls.__module__ == __name__:
            newest: Any = super().__init__
            cls.__signature__ = _with_loop(newest.__get__(cls))

    def __init__(self, *args: Any, loop: AbstractEventLoop | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if loop is not None:
            _warn("the loop argument")
            self._bind(loop)

    def _bind(self, loop: AbstractEventLoop) -> None:
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
    """`refloop.Condition`, as documented until 3.8. Its lock belongs to the same loop."""

    def _bind(self, loop: AbstractEventLoop) -> None:
        super()._bind(loop)
        self._lock._loop = loop


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


def shield(aw: Any, *, loop: AbstractEventLoop | None = None) -> Future[Any]:
    """`refloop.shield()`, in `loop`."""
    if loop is None:
        return refloop.shield(aw)
    _warn("the loop argument")
    return refloop.shield(refloop.ensure_future(aw, loop=loop))


def as_completed(aws: Any, *, loop: AbstractEventLoop | None = None, timeout: float | None = None) -> AsCompleted[Any]:
    """`refloop.as_completed()`, in `loop`."""
    if loop is None:
        return refloop.as_completed(aws, timeout=timeout)
    _warn("the loop argument")
    return AsCompleted(aws, timeout, loop)


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
    vars(call)["__signature__"] = _with_loop(function)
    return call


async def _wait(aws: Any, *, timeout: float | None = None, return_when: str = refloop.ALL_COMPLETED) -> Any:
    """`refloop.wait()`, which until 3.10 made tasks of coroutines.

    Keeps: wait/wraps-coroutines-in-tasks, wait/warns-on-coroutine-arguments, wait/rejects-task-generators.
    """
    if isinstance(aws, GeneratorType):
        raise TypeError("wait() takes a list or set of futures, not a generator")
    awaitables = set(aws)
    if any(refloop.iscoroutine(awaitable) for awaitable in awaitables):
        _warn("giving coroutines to wait()")
    futures = {refloop.ensure_future(awaitable) for awaitable in awaitables}
    return await refloop.wait(futures, timeout=timeout, return_when=return_when)


_wait.__name__ = "wait"


async def create_subprocess_exec(
    program: Any,
    *args: Any,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    loop: AbstractEventLoop | None = None,
    limit: int | None = None,
    **kwds: Any,
) -> Process:
    """`refloop.create_subprocess_exec()`, in `loop`; a `limit` of None stands for the default.

    Keeps: create_subprocess_exec/warns-deprecated-loop-argument, create_subprocess_exec/accepts-documented-arguments.
    """
    _check_loop("create_subprocess_exec", loop)
    return await refloop.create_subprocess_exec(
        program, *args, stdin=stdin, stdout=stdout, stderr=stderr, limit=_limit(limit), **kwds
    )


async def create_subprocess_shell(
    cmd: str | bytes,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    loop: AbstractEventLoop | None = None,
    limit: int | None = None,
    **kwds: Any,
) -> Process:
    """`refloop.create_subprocess_shell()`, in `loop`; a `limit` of None stands for the default.

    Keeps: create_subprocess_shell/accepts-documented-arguments.
    """
    _check_loop("create_subprocess_shell", loop)
    return await refloop.create_subprocess_shell(cmd, stdin, stdout, stderr, limit=_limit(limit), **kwds)


def _check_loop(name: str, loop: AbstractEventLoop | None) -> None:
    if loop is None:
        return
    _warn("the loop argument", stacklevel=4)
    if get_running_loop() is not loop:
        raise RuntimeError(f"{name}() runs in another loop than the one given as loop")


def _limit(limit: int | None) -> int:
    return DEFAULT_LIMIT if limit is None else limit


async def _wait_for(aw: Any, timeout: float | None) -> Any:
    """`refloop.wait_for()`, which until 3.11 ran a coroutine in a task of its own.

    Keeps: wait_for/wraps-coroutine-in-task.
    """
    return await refloop.wait_for(refloop.ensure_future(aw), timeout)


_wait_for.__name__ = "wait_for"

sleep = _takes_loop(refloop.sleep)
wait = _takes_loop(_wait)
wait_for = _takes_loop(_wait_for)
open_connection = _takes_loop(refloop.open_connection)
start_server = _takes_loop(refloop.start_server)
if hasattr(refloop, "open_unix_connection"):
    open_unix_connection = _takes_loop(refloop.open_unix_connection)
    start_unix_server = _takes_loop(refloop.start_unix_server)


class _OldClass(type):
    """Makes every instance of the class that the old one stands for an instance of it, whoever made it."""

    def __instancecheck__(cls, instance: object) -> bool:
        if cls.__module__ == __name__:
            return isinstance(instance, cls.__bases__[0])
        return super().__instancecheck__(instance)


# Policies


class AbstractEventLoopPolicy(identity.AbstractEventLoopPolicy, metaclass=_OldClass):  # type: ignore[metaclass]
    """The base class of policies, with child watchers, as documented until 3.13."""

    def get_child_watcher(self) -> Any:
        """Return the policy's child watcher."""
        raise NotImplementedError

    def set_child_watcher(self, watcher: Any) -> None:
        """Make `watcher` the policy's child watcher."""
        raise NotImplementedError


class DefaultEventLoopPolicy(  # type: ignore[metaclass]
    policies.DefaultEventLoopPolicy, AbstractEventLoopPolicy, metaclass=_OldClass
):
    """`refloop.DefaultEventLoopPolicy`, as documented until 3.13: the main thread need not have set a loop."""

    def get_event_loop(self) -> AbstractEventLoop:
        """Return the loop set for this thread, in the main thread one made now if none was ever set.

        Keeps: DefaultEventLoopPolicy/creates-main-thread-loop, DefaultEventLoopPolicy/warns-when-creating-loop,
        get_event_loop/creates-loop-in-main-thread, get_event_loop/warns-when-creating-loop.
        """
        if not self._thread.was_set and threading.current_thread() is threading.main_thread():
            _warn("get_event_loop() without a current loop", stacklevel=4)
            self.set_event_loop(self.new_event_loop())
        return policies.DefaultEventLoopPolicy.get_event_loop(self)


def get_event_loop() -> AbstractEventLoop:
    """`refloop.get_event_loop()`, which takes the default policy for what it was until 3.13."""
    policy: Any = policies.current_policy()
    if _get_running_loop() is None and type(policy) is policies.DefaultEventLoopPolicy:
        return DefaultEventLoopPolicy.get_event_loop(cast("Any", policy))
    return current.get_event_loop()


# Tasks


class Task(tasks.Task[Any], metaclass=_OldClass):
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


# Documented by this name in 3.6 only.
BaseSubprocessTransport = SubprocessTransport


def __getattr__(name: str) -> Any:
    """Give everything else that refloop has; `async`, a keyword by now, is reached by `getattr()` only."""
    return getattr(refloop, name)


__all__ = [
    *refloop.__all__,
    "AbstractEventLoopPolicy",
    "BaseSubprocessTransport",
    "DefaultEventLoopPolicy",
    "coroutine",
]
