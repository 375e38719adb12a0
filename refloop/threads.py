"""Between threads: calls from the loop into a thread, and coroutines from a thread into the loop."""

from __future__ import annotations

import concurrent.futures
import functools
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from refloop.coroutines import iscoroutine
from refloop.futures import follow_asyncio
from refloop.identity import get_running_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from refloop.identity import AbstractEventLoop

P = ParamSpec("P")
T = TypeVar("T")


async def to_thread(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `func(*args, **kwargs)` in a thread of the default executor, with the caller's context variables.

    Keeps: to_thread/accepts-documented-arguments, to_thread/runs-func-in-other-thread, to_thread/propagates-context,
    to_thread/returns-func-outcome, to_thread/keeps-loop-running, to_thread/func-positional-only.
    """
    # Bound first: a keyword of the function's may have the name of one of the context's.
    call = functools.partial(func, *args, **kwargs)
    return await get_running_loop().run_in_executor(None, copy_context().run, call)


def run_coroutine_threadsafe(coro: Coroutine[Any, Any, T], loop: AbstractEventLoop) -> concurrent.futures.Future[T]:
    """Run `coro` in `loop`, from another thread; return a `concurrent.futures.Future` of its outcome.

    Cancelling that cancels the coroutine's task. `TypeError` when `coro` is no coroutine.

    Keeps: run_coroutine_threadsafe/accepts-documented-arguments, run_coroutine_threadsafe/returns-concurrent-future,
    run_coroutine_threadsafe/callable-from-other-thread, run_coroutine_threadsafe/delivers-result,
    run_coroutine_threadsafe/delivers-exception, run_coroutine_threadsafe/cancel-reaches-task,
    run_coroutine_threadsafe/rejects-non-coroutine, run_coroutine_threadsafe/result-timeout-limits-waiter.
    """
    if not iscoroutine(coro):
        raise TypeError(f"A coroutine object is required, got {coro!r}")
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()

    def start() -> None:
        try:
            task: Any = loop.create_task(coro)
            follow_asyncio(task, outcome, loop)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            if outcome.set_running_or_notify_cancel():
                outcome.set_exception(error)
            raise

    loop.call_soon_threadsafe(start)
    return outcome
