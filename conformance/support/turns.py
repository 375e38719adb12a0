"""Tasks that wait for one another, followed in turns of the loop: no clock, and no hang where a wake-up is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.support.futures import outcome

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Awaitable, Callable, Iterator
    from typing import TypeAlias

    Start: TypeAlias = Callable[..., Awaitable[list[Task[Any]]]]
    """``await start(*coroutines)``: make tasks of them and let these go on until they wait or end."""

# In no case do so many tasks wake one another in a row: the longest chain takes a handful of turns.
TURNS = 20


async def settle(aio: Any, turns: int = TURNS) -> None:
    """Let every task that can go on do so, until it waits for something else or ends."""
    for _ in range(turns):
        await aio.sleep(0)


async def states(aio: Any, *tasks: Task[Any]) -> list[object]:
    """Once all has come to rest: ``"waiting"``, ``"cancelled"``, or the result or exception of each task."""
    await settle(aio)
    return [_state(task, aio) for task in tasks]


def _state(task: Task[Any], aio: Any) -> object:
    if not task.done():
        return "waiting"
    kind, value = outcome(task, aio)
    return kind if kind == "cancelled" else value


async def kinds(aio: Any, *tasks: Task[Any]) -> list[object]:
    """As `states`, with the class of an exception instead of the exception."""
    found = await states(aio, *tasks)
    return [type(state) if isinstance(state, BaseException) else state for state in found]


async def without_suspending(loop: AbstractEventLoop, awaitable: Awaitable[Any]) -> object:
    """Await ``awaitable`` and give its result; fail when it gave way to the loop meanwhile."""
    turns: list[str] = []
    handle = loop.call_soon(turns.append, "gave way to the loop")
    result: object = await awaitable
    handle.cancel()
    assert turns == []
    return result


async def without_waiting(aio: Any, start: Start, coroutine: Any) -> object:
    """Run ``coroutine`` as a task and give its result or raise its exception; fail when it waits for something."""
    (task,) = await start(coroutine)
    await settle(aio)
    assert task.done(), "it waits"
    result: object = task.result()
    return result


def starting(loop: AbstractEventLoop, aio: Any) -> Iterator[Start]:
    """What the fixture ``start`` is made of: tasks that still wait when the case ends are cancelled."""
    started: list[Task[Any]] = []

    async def start(*coroutines: Any) -> list[Task[Any]]:
        tasks = [loop.create_task(coroutine) for coroutine in coroutines]
        started.extend(tasks)
        await settle(aio)
        return tasks

    yield start
    waiting = [task for task in started if not task.done()]
    for task in waiting:
        task.cancel()
    if waiting:
        loop.run_until_complete(states(aio, *waiting))
