"""Making tasks: through the loop, its task factory, or from any awaitable."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from refloop.coroutines import iscoroutine
from refloop.current import get_event_loop
from refloop.futures import Future, LoopFuture, isfuture
from refloop.identity import get_running_loop
from refloop.scheduling import Scheduler
from refloop.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    from refloop.identity import AbstractEventLoop

    class TaskFactory(Protocol):
        """What `loop.set_task_factory()` takes."""

        def __call__(self, loop: AbstractEventLoop, coro: Any, /, **kwargs: Any) -> Future[Any]: ...


T = TypeVar("T")


class TaskMaking(Scheduler):
    """The loop's own futures and tasks, and the factory that may take their place."""

    # Replaced in debug mode; see `debug`.
    _new_future: Callable[[AbstractEventLoop], Future[Any]] = LoopFuture

    _task_factory: TaskFactory | None = None

    def create_future(self) -> Future[Any]:  # type: ignore[override]  # a future of refloop's
        """Return a pending future bound to this loop.

        Keeps: loop.create_future/returns-pending-loop-future, Future/create-future-makes-instances.
        """
        return self._new_future(self)

    def create_task(  # type: ignore[override]  # a task of refloop's
        self, coro: Coroutine[Any, Any, T] | Generator[Any, Any, T], **kwargs: Any
    ) -> Task[T]:
        """Schedule `coro` to run and return its task. All keywords go to the task factory or else to `Task`.

        These are `name`, `context` and `eager_start`, and whatever else the factory takes. `RuntimeError` when the
        loop is closed.

        Keeps: loop.create_task/returns-scheduled-task, loop.create_task/starts-after-return,
        loop.create_task/accepts-name-keyword, loop.create_task/accepts-context-keyword,
        loop.create_task/default-context-is-copy, loop.create_task/accepts-eager-start-keyword,
        loop.create_task/forwards-every-keyword, loop.set_task_factory/factory-makes-later-tasks,
        loop.set_task_factory/passes-extra-keywords, loop.set_task_factory/returns-what-factory-returned.
        """
        if self._closed:
            raise RuntimeError("Event loop is closed")
        if self._task_factory is None:
            # Most calls have no keywords, and handing on none takes time as well.
            return Task(coro, loop=self, **kwargs) if kwargs else Task(coro, loop=self)
        return cast("Task[T]", self._task_factory(self, coro, **kwargs))

    def set_task_factory(self, factory: TaskFactory | None) -> None:  # type: ignore[override]
        """Make `factory(loop, coro, **kwargs)` make the tasks; None restores the default.

        `TypeError` for a factory that is neither callable nor None.

        Keeps: loop.set_task_factory/accepts-none-for-default, loop.set_task_factory/rejects-non-callable-factory.
        """
        if factory is not None and not callable(factory):
            raise TypeError(f"a task factory must be callable or None, not {factory!r}")
        self._task_factory = factory

    def get_task_factory(self) -> TaskFactory | None:  # type: ignore[override]
        """Return the task factory, or None for the default one.

        Keeps: loop.get_task_factory/returns-set-factory, loop.get_task_factory/returns-none-for-default.
        """
        return self._task_factory


def create_task(coro: Coroutine[Any, Any, T] | Generator[Any, Any, T], **kwargs: Any) -> Task[T]:
    """Schedule `coro` in the running loop, by its `create_task()`, and return the task.

    `RuntimeError` when no loop runs in this thread.

    Keeps: create_task/accepts-documented-arguments, create_task/returns-scheduled-task,
    create_task/raises-without-running-loop, create_task/uses-running-loop, create_task/forwards-extra-keywords.
    """
    loop = get_running_loop()
    task: Any = loop.create_task(coro, **kwargs) if kwargs else loop.create_task(coro)
    return cast("Task[T]", task)


def ensure_future(obj: Awaitable[T] | Generator[Any, None, T], *, loop: AbstractEventLoop | None = None) -> Future[T]:
    """Return `obj` itself if it is a future, else a task of `loop` that awaits it.

    `TypeError` when it cannot be awaited; `ValueError` for a future of another loop than `loop`.

    Keeps: ensure_future/accepts-documented-arguments, ensure_future/returns-futures-unchanged,
    ensure_future/wraps-coroutine-in-task, ensure_future/wraps-awaitable-in-task, ensure_future/rejects-non-awaitables,
    ensure_future/accepts-loop-keyword.
    """
    if isfuture(obj):
        future = cast("Future[T]", obj)
        if loop is not None and future.get_loop() is not loop:
            raise ValueError("The future belongs to a different loop than the one specified as the loop argument")
        return future
    if iscoroutine(obj):
        coro: Coroutine[Any, Any, T] = obj
    elif inspect.isawaitable(obj):
        coro = _await(obj)
    else:
        raise TypeError(f"An asyncio.Future, a coroutine or an awaitable is required, got {obj!r}")
    try:
        return cast("Future[T]", (get_event_loop() if loop is None else loop).create_task(coro))
    except BaseException:
        if coro is not obj:
            # Ours to close; the caller's coroutine stays the caller's.
            coro.close()
        raise


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


def create_eager_task_factory(custom_task_constructor: Callable[..., Any]) -> TaskFactory:
    """Return a task factory that makes tasks with `custom_task_constructor` and starts them eagerly.

    The constructor is called with the arguments of `Task`.

    Keeps: create_eager_task_factory/returns-factory-using-constructor,
    create_eager_task_factory/passes-task-init-arguments, create_eager_task_factory/result-fits-set-task-factory.
    """

    def factory(
        loop: AbstractEventLoop, coro: Any, /, *, eager_start: bool | None = True, **kwargs: Any
    ) -> Future[Any]:
        task: Future[Any] = custom_task_constructor(coro, loop=loop, eager_start=eager_start, **kwargs)
        return task

    return factory


def eager_task_factory(
    loop: AbstractEventLoop, coro: Any, *, eager_start: bool | None = True, **kwargs: Any
) -> Task[Any]:
    """Make a `Task` that starts at once and stands in the ready queue only if it suspends.

    For `loop.set_task_factory()`.

    Keeps: eager_task_factory/accepts-documented-arguments, eager_task_factory/starts-coroutine-during-construction,
    eager_task_factory/schedules-only-when-blocking, eager_task_factory/completes-without-scheduling,
    eager_task_factory/changes-execution-order.
    """
    return Task(coro, loop=loop, eager_start=eager_start, **kwargs)
