"""The call graph: where a task has come to, who awaits it, and who awaits those.

Nothing is recorded for it while a program runs. A future knows its waiters; a task among them awaits it directly. What
waits on behalf of others - a gathering, a shield, a task group, `wait()` - has a callback among the waiters, whose
object says by `_on_behalf_of()` for whom. Only what `future_add_to_awaited_by()` is told has to be kept.
"""

from __future__ import annotations

import gc
import inspect
import sys
from dataclasses import dataclass
from types import AsyncGeneratorType, CoroutineType
from typing import TYPE_CHECKING, Any, TextIO
from weakref import WeakKeyDictionary, WeakSet

from refloop.futures import Future, isfuture
from refloop.identity import _get_running_loop, standard_awaiters, standard_callbacks
from refloop.introspection import current_task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# By which flag of its code a frame is known as one of a coroutine, and what the text calls it.
CODE_KINDS = (
    (inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE, "async "),
    (inspect.CO_ASYNC_GENERATOR, "async generator "),
    (inspect.CO_GENERATOR, "generator "),
)

# Under which names the kinds of coroutines and generators keep their frame and what they await.
SUSPENSION_NAMES = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))

_told: WeakKeyDictionary[Any, WeakSet[Any]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class FrameCallGraphEntry:
    """One function in a call stack, by its frame.

    Keeps: FrameCallGraphEntry/has-frame-field.
    """

    frame: FrameType


@dataclass(frozen=True, slots=True)
class FutureCallGraph:
    """A future or task, its call stack, innermost first, and the graphs of those who await it.

    Keeps: FutureCallGraph/has-documented-fields.
    """

    future: Any
    call_stack: tuple[FrameCallGraphEntry, ...]
    awaited_by: tuple[FutureCallGraph, ...]


def future_add_to_awaited_by(future: Any, waiter: Any, /) -> None:
    """Record that `waiter` awaits `future`; no effect unless both are futures or tasks.

    For code that ties futures together by callbacks of its own.

    Keeps: future_add_to_awaited_by/accepts-positional-only-arguments, future_add_to_awaited_by/records-waiter,
    future_add_to_awaited_by/ignores-foreign-objects.
    """
    if isfuture(future) and isfuture(waiter):
        _told.setdefault(future, WeakSet()).add(waiter)


def future_discard_from_awaited_by(future: Any, waiter: Any, /) -> None:
    """Undo `future_add_to_awaited_by()` with the same arguments.

    Keeps: future_discard_from_awaited_by/removes-waiter, future_discard_from_awaited_by/ignores-foreign-objects.
    """
    if isfuture(future) and isfuture(waiter) and future in _told:
        _told[future].discard(waiter)


def capture_call_graph(future: Any = None, /, *, depth: int = 1, limit: int | None = None) -> FutureCallGraph | None:
    """Return the graph of `future`, by default the current task; None when no task runs in the running loop.

    For the current task `depth` innermost frames are left out: 1, the default, is this function's own. Of each stack
    at most `limit` entries are kept: the outermost, nearest to where it began, or the innermost if it is negative.
    `RuntimeError` without a future and a running loop, `TypeError` for what is no future.

    Keeps: capture_call_graph/accepts-documented-arguments, capture_call_graph/returns-graph-or-none,
    capture_call_graph/depth-and-limit-apply, capture_call_graph/sees-loop-created-tasks.
    """
    loop = _get_running_loop()
    current = None if loop is None else current_task(loop)
    if future is None:
        if loop is None:
            raise RuntimeError("capture_call_graph() needs a future when no event loop is running")
        if current is None:
            return None
        future = current
    elif not isfuture(future):
        raise TypeError(f"a Future or a Task is expected, not {future!r}")
    stack = _running_stack(future, sys._getframe(depth)) if future is current else _suspended_stack(future)
    return FutureCallGraph(future, _limited(stack, limit), _awaiting(future, limit, {future}))


def format_call_graph(future: Any = None, /, *, depth: int = 1, limit: int | None = None) -> str:
    """Return as text what `capture_call_graph()` captures, which see for the arguments; "" where that gives None.

    Keeps: format_call_graph/returns-graph-text, format_call_graph/accepts-documented-arguments.
    """
    graph = capture_call_graph(future, depth=depth + 1, limit=limit)
    return "" if graph is None else "\n".join(_lines(graph))


def print_call_graph(
    future: Any = None, /, *, file: TextIO | None = None, depth: int = 1, limit: int | None = None
) -> None:
    """Print `format_call_graph()`, which see for the arguments, to `file`, by default standard output.

    Keeps: print_call_graph/accepts-documented-arguments, print_call_graph/prints-stack-and-awaiters,
    print_call_graph/defaults-to-current-task, print_call_graph/depth-skips-top-frames,
    print_call_graph/limit-truncates-stacks, print_call_graph/zero-limit-omits-stack,
    print_call_graph/file-defaults-to-stdout, print_call_graph/accepts-any-future.
    """
    print(format_call_graph(future, depth=depth + 1, limit=limit), file=sys.stdout if file is None else file)


# Stacks, innermost frame first


def _running_stack(task: Any, frame: FrameType | None) -> list[FrameCallGraphEntry]:
    """Return the frames from `frame` out to the task's own coroutine; beyond it is the loop, or another task."""
    coro = task.get_coro()
    outermost = [getattr(coro, name, None) for name, _ in SUSPENSION_NAMES]
    stack = []
    while frame is not None:
        stack.append(FrameCallGraphEntry(frame))
        if frame in outermost:
            break
        frame = frame.f_back
    return stack


def _suspended_stack(future: Any) -> list[FrameCallGraphEntry]:
    """Return the frames of a suspended task, up to where it awaits a future; none of a plain future."""
    coro = future.get_coro() if hasattr(future, "get_coro") else None
    stack = []
    while coro is not None:
        for frame_name, next_name in SUSPENSION_NAMES:
            frame = getattr(coro, frame_name, None)
            if frame is not None:
                if frame.f_code is not Future.__await__.__code__:
                    stack.append(FrameCallGraphEntry(frame))
                coro = getattr(coro, next_name)
                break
        else:
            coro = _wrapped_in(coro)
    return stack[::-1]


def _wrapped_in(awaited: Any) -> Any:
    """Return the coroutine or asynchronous generator that `awaited` runs, if it is no more than its wrapper.

    What `anext()`, `async for` and a coroutine's `__await__()` give does not name it; the garbage collector knows it.
    """
    if type(awaited).__module__ != "builtins":
        return None
    inner = (one for one in gc.get_referents(awaited) if isinstance(one, (AsyncGeneratorType, CoroutineType)))
    return next(inner, None)


def _limited(stack: list[FrameCallGraphEntry], limit: int | None) -> tuple[FrameCallGraphEntry, ...]:
    if limit is None:
        return tuple(stack)
    kept = min(abs(limit), len(stack))
    return tuple(stack[len(stack) - kept :] if limit > 0 else stack[:kept])


# Who awaits whom


def _awaiting(future: Any, limit: int | None, shown: set[Any]) -> tuple[FutureCallGraph, ...]:
    """Return the graphs of those who await `future`, without those in `shown`, who would lead round in a circle.

    Keeps: print_call_graph/shows-grouping-awaiters.
    """
    return tuple(
        FutureCallGraph(waiter, _limited(_suspended_stack(waiter), limit), _awaiting(waiter, limit, shown | {waiter}))
        for waiter in dict.fromkeys(_waiters_of(future))
        if waiter not in shown
    )


def _waiters_of(future: Any) -> Iterator[Any]:
    """Give the tasks that await `future`, directly or by something that waits on their behalf, and what was told."""
    for waiter in _callbacks_of(future):
        owner = waiter if isfuture(waiter) else getattr(waiter, "__self__", None)
        on_behalf_of = getattr(owner, "_on_behalf_of", None)
        if on_behalf_of is not None:
            for other in on_behalf_of():
                yield from [other] if hasattr(other, "get_coro") else _waiters_of(other)
        elif hasattr(owner, "get_coro"):
            yield owner
    yield from standard_awaiters(future)
    yield from _told.get(future, ())


def _callbacks_of(future: Any) -> list[Any]:
    """Return the waiting tasks and callbacks of a future, of refloop's or the standard library's make."""
    own = getattr(future, "_waiters", None)
    if own is not None:
        return [waiter[0] if isinstance(waiter, tuple) else waiter for waiter in own()]
    return standard_callbacks(future)


# Text


def _lines(graph: FutureCallGraph, indent: str = "") -> Iterator[str]:
    future = graph.future
    name = f"name={future.get_name()!r}, " if hasattr(future, "get_name") else ""
    kind = "Task" if name else "Future"
    yield f"{indent}* {kind}({name}id={id(future):#x})"
    if graph.call_stack:
        yield f"{indent}  + Call stack:"
        for entry in graph.call_stack:
            yield f"{indent}  |   {_describe_frame(entry.frame)}"
    if graph.awaited_by:
        yield f"{indent}  + Awaited by:"
        for waiter in graph.awaited_by:
            yield from _lines(waiter, indent + "    ")


def _describe_frame(frame: FrameType) -> str:
    code = frame.f_code
    kind = next((kind for flags, kind in CODE_KINDS if code.co_flags & flags), "")
    return f"File {code.co_filename!r}, line {frame.f_lineno}, in {kind}{code.co_qualname}()"
