"""The ``loop`` keyword of the functions that sleep, wait and gather: what it did until 3.9, and its end in 3.10."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

FUNCTIONS = ["sleep", "gather", "shield", "wait", "wait_for", "as_completed"]
EACH = pytest.mark.parametrize("function", FUNCTIONS)


def call(aio: Any, function: str, future: Future[Any], loop: AbstractEventLoop) -> Any:
    """Call one of the functions with ``loop``; what it returns."""
    arguments: dict[str, tuple[Any, ...]] = {
        "sleep": (0.001, "slept"),
        "wait": ([future],),
        "wait_for": (future, 3600),
        "as_completed": ([future],),
    }
    return getattr(aio, function)(*arguments.get(function, (future,)), loop=loop)


async def awaited(returned: Any, function: str) -> Any:
    return await (next(iter(returned)) if function == "as_completed" else returned)


@EACH
@requirement("explicit-loop-argument/loop-keyword-selects-loop")
def test_a_loop_that_is_not_current_may_be_named(loop: AbstractEventLoop, aio: Any, function: str) -> None:
    aio.set_event_loop(None)
    future = loop.create_future()
    future.set_result("result")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        result = loop.run_until_complete(awaited(call(aio, function, future, loop), function))
    expected = {"sleep": "slept", "gather": ["result"], "wait": ({future}, set())}
    assert result == expected.get(function, "result")


@requirement("explicit-loop-argument/loop-keyword-selects-loop")
def test_coroutines_run_in_the_loop_that_was_named(loop: AbstractEventLoop, aio: Any, target: Any) -> None:
    async def where() -> Any:
        return aio.get_event_loop()

    current = target.make_loop()
    aio.set_event_loop(current)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        completed = aio.as_completed([where()], loop=loop)
        futures = [aio.gather(where(), loop=loop), aio.shield(where(), loop=loop), *completed]
    assert [loop.run_until_complete(future) for future in futures] == [[loop], loop, loop]
    aio.set_event_loop(None)
    current.close()


@EACH
@requirement("explicit-loop-argument/loop-keyword-warns")
def test_the_keyword_is_deprecated(loop: AbstractEventLoop, aio: Any, function: str) -> None:
    future = loop.create_future()
    future.set_result("result")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if function == "gather":
            # In 3.8 with arguments it did not warn.
            loop.run_until_complete(aio.gather(loop=loop))
        else:
            loop.run_until_complete(awaited(call(aio, function, future, loop), function))
    assert DeprecationWarning in [warning.category for warning in caught]


@EACH
@requirement("explicit-loop-argument/rejects-loop-keyword")
async def test_the_keyword_is_refused(loop: AbstractEventLoop, aio: Any, function: str) -> None:
    future = loop.create_future()
    with pytest.raises(TypeError):
        await awaited(call(aio, function, future, loop), function)
    assert future.done() is False
