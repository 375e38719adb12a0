"""Running a program: a loop made, used and cleared away around a main coroutine."""

from __future__ import annotations

import contextvars
import enum
import functools
import inspect
import signal
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from refloop import current
from refloop.coroutines import iscoroutine
from refloop.identity import CancelledError, _get_running_loop
from refloop.introspection import all_tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context
    from types import FrameType, TracebackType

    from refloop.futures import Future
    from refloop.identity import AbstractEventLoop

T = TypeVar("T")

# Documented: how long `run()` waits for the default executor's threads.
EXECUTOR_SHUTDOWN_SECONDS = 300


class _Phase(enum.Enum):
    CREATED = "created"
    INITIALIZED = "initialized"
    CLOSED = "closed"


class Runner:
    """Context manager within which several coroutines run in one loop and share one context.

    `debug` True or False switches the loop's debug mode, None leaves it. `loop_factory` makes the loop; without it,
    `new_event_loop()` does, and the loop becomes the thread's current one. Nothing is made before it is needed.

    Keeps: Runner/accepts-documented-arguments, Runner/runs-share-one-loop, Runner/debug-selects-debug-mode,
    Runner/accepts-loop-factory-keyword, Runner/sets-new-loop-current, Runner/constructor-creates-nothing,
    Runner/initializes-on-first-use, Runner/runs-share-context-variables.
    """

    def __init__(
        self, *, debug: bool | None = None, loop_factory: Callable[[], AbstractEventLoop] | None = None
    ) -> None:
        self._phase = _Phase.CREATED
        self._debug = debug
        self._loop_factory = loop_factory
        self._loop: AbstractEventLoop | None = None
        self._context: Context | None = None
        self._set_current = False

    def __enter__(self) -> Self:
        self._initialize()
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the runner.

        Keeps: Runner.close/called-on-block-exit.
        """
        self.close()

    def get_loop(self) -> AbstractEventLoop:
        """Return the loop, made now if need be.

        Keeps: Runner.get_loop/returns-runner-loop.
        """
        return self._initialize()[0]

    def run(self, coro: Awaitable[T], *, context: Context | None = None) -> T:
        """Run `coro`, any awaitable, as the main task; return its result or raise its exception.

        It runs in `context`, by default the runner's own. The first Ctrl-C cancels the main task and, once that has
        ended so, raises `KeyboardInterrupt`; the second raises it at once. `RuntimeError` when a loop runs in this
        thread already or the runner is closed, `TypeError` for what cannot be awaited.

        Keeps: Runner.run/accepts-documented-arguments, Runner.run/returns-coroutine-result,
        Runner.run/raises-coroutine-exception, Runner.run/accepts-context-keyword,
        Runner.run/raises-inside-running-loop, Runner.run/accepts-any-awaitable,
        Runner.close/rejects-run-afterwards, keyboard-interruption/main-task-wraps-coroutine.
        """
        if _get_running_loop() is not None:
            raise RuntimeError("Runner.run() cannot be called from a running event loop")
        if not iscoroutine(coro) and not inspect.isawaitable(coro):
            raise TypeError(f"An asyncio.Future, a coroutine or an awaitable is required, got {coro!r}")
        loop, own_context = self._initialize()
        # An empty context is false: it is asked for by identity.
        chosen = own_context if context is None else context
        main: Any = loop.create_task(coro if iscoroutine(coro) else _await(coro), context=chosen)
        with _Interruption(loop, main) as interruption:
            try:
                result: T = loop.run_until_complete(main)
                return result
            except CancelledError:
                if interruption.cancelled_main and main.uncancel() == 0:
                    raise KeyboardInterrupt from None
                raise

    def close(self) -> None:
        """Cancel what still runs, shut down asynchronous generators and the default executor, close the loop.

        Keeps: Runner.close/releases-all-resources, run/cancels-leftover-tasks, run/finalizes-async-generators,
        run/shuts-down-default-executor, run/executor-shutdown-limited, run/unsets-current-loop-afterwards.
        """
        phase, self._phase = self._phase, _Phase.CLOSED
        loop = self._loop
        if phase is not _Phase.INITIALIZED or loop is None:
            return
        try:
            cancel_leftover_tasks(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(_shut_executor_down(loop))
        finally:
            if self._set_current:
                current.set_event_loop(None)
            loop.close()
            self._loop = self._context = None

    def _initialize(self) -> tuple[AbstractEventLoop, Context]:
        if self._phase is _Phase.CLOSED:
            raise RuntimeError("Runner is closed")
        if self._loop is None or self._context is None:
            if self._loop_factory is None:
                self._loop = current.new_event_loop()
                current.set_event_loop(self._loop)
                self._set_current = True
            else:
                self._loop = self._loop_factory()
            if self._debug is not None:
                self._loop.set_debug(self._debug)
            self._context = contextvars.copy_context()
            self._phase = _Phase.INITIALIZED
        return self._loop, self._context


class _Interruption:
    """Ctrl-C while a main task runs: SIGINT's handler, put in place before user code runs and taken away after.

    Only in the main thread, and only where Python's own handler is in place: a handler of the program's is kept.

    Keeps: keyboard-interruption/installs-temporary-sigint-handler,
    keyboard-interruption/first-sigint-cancels-main-task,
    keyboard-interruption/raises-keyboardinterrupt-after-cancellation,
    keyboard-interruption/second-sigint-raises-keyboardinterrupt.
    """

    def __init__(self, loop: AbstractEventLoop, main: Future[Any]) -> None:
        self._loop = loop
        self._main = main
        self._handler: Callable[[int, FrameType | None], None] | None = None
        self.cancelled_main = False

    def __enter__(self) -> Self:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            handler = functools.partial(self._on_sigint)
            try:
                signal.signal(signal.SIGINT, handler)
            except ValueError:
                # An interpreter embedded so that its main thread cannot have signal handlers.
                return self
            self._handler = handler
        return self

    def __exit__(self, *_: object) -> None:
        if self._handler is not None and signal.getsignal(signal.SIGINT) is self._handler:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _on_sigint(self, _: int, __: FrameType | None) -> None:
        if self.cancelled_main or self._main.done():
            raise KeyboardInterrupt
        self.cancelled_main = True
        self._main.cancel()
        # The task's turn has to come even if the loop is waiting for nothing else.
        self._loop.call_soon_threadsafe(_nothing)


def run(
    coro: Awaitable[T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], AbstractEventLoop] | None = None,
) -> T:
    """Run `coro` in a new loop, clear everything away, and return its result.

    The arguments are those of `Runner`. `RuntimeError` when a loop runs in this thread already.

    Keeps: run/accepts-documented-arguments, run/returns-coroutine-result, run/raises-coroutine-exception,
    run/raises-inside-running-loop, run/new-loop-closed-afterwards, run/debug-true-enables-debug,
    run/debug-false-overrides-none-inherits, run/accepts-loop-factory-keyword, run/accepts-any-awaitable,
    run/needs-no-loop-beforehand, run/eventloop-factory-bypasses-policy.
    """
    if _get_running_loop() is not None:
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    with Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(coro)


def cancel_leftover_tasks(loop: AbstractEventLoop) -> None:
    """Cancel the tasks of `loop`, run it until they have ended, and report those that fail meanwhile.

    Keeps: run/cancels-leftover-tasks, run/reports-leftover-task-exceptions, async-generators/reports-failed-cleanup.
    """
    leftover = all_tasks(loop)
    if not leftover:
        return
    for task in leftover:
        task.cancel()
    loop.run_until_complete(_wait_for_all(loop, leftover))
    for task in leftover:
        if not task.cancelled() and task.exception() is not None:
            loop.call_exception_handler(
                {
                    "message": "unhandled exception during asyncio.run() shutdown",
                    "exception": task.exception(),
                    "task": task,
                }
            )


async def _wait_for_all(loop: AbstractEventLoop, tasks: set[Any]) -> None:
    all_done = loop.create_future()
    left = set(tasks)

    def one_done(task: Any) -> None:
        left.discard(task)
        if not left and not all_done.done():
            all_done.set_result(None)

    for task in tasks:
        task.add_done_callback(one_done)
    await all_done


async def _shut_executor_down(loop: Any) -> None:
    try:
        shutdown = loop.shutdown_default_executor(EXECUTOR_SHUTDOWN_SECONDS)
    except TypeError:
        # A loop of another make, from before 3.12, which takes no timeout.
        shutdown = loop.shutdown_default_executor()
    await shutdown


async def _await(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _nothing() -> None:
    """End the poll of a waiting loop."""
