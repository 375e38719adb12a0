"""What the cases about tasks share: a way to make a task on the case's loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable


@pytest.fixture
def new_task(request: pytest.FixtureRequest, loop: AbstractEventLoop, aio: Any) -> Callable[..., Task[Any]]:
    """Make a task of a coroutine: ``loop.create_task``, or the namespace's ``Task`` with ``loop`` bound."""

    def construct(coroutine: Any, **keywords: Any) -> Task[Any]:
        task: Task[Any] = aio.Task(coroutine, loop=loop, **keywords)
        return task

    return construct if getattr(request, "param", "create_task") == "constructor" else loop.create_task
