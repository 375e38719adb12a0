"""The worlds in which the high-level namespace is checked.

`asyncio` stands among them so that a test which misunderstands the documentation fails there.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
from typing import TYPE_CHECKING, Any

import pytest

import refloop

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

make_refloop: Callable[[], Any] = refloop.EventLoop

# A test that reaches this has found a promise broken, or a loop that hangs.
SECONDS_PER_TEST = 20


def asyncio_task(loop: Any, coro: Any, **kwargs: Any) -> Any:
    """Make the standard library's tasks, whatever the loop."""
    if sys.version_info < (3, 14):
        kwargs.pop("eager_start", None)
    return asyncio.Task(coro, loop=loop, **kwargs)


def _refloop_with_asyncio_tasks() -> Any:
    loop: Any = make_refloop()
    loop.set_task_factory(asyncio_task)
    return loop


def _refloop_in_debug_mode() -> Any:
    loop: Any = make_refloop()
    loop.set_debug(True)
    return loop


# world: (namespace, maker of its loop)
WORLDS: dict[str, tuple[Any, Callable[[], Any]]] = {
    "refloop": (refloop, make_refloop),
    "refloop-debug": (refloop, _refloop_in_debug_mode),
    "refloop-on-asyncio-loop": (refloop, asyncio.new_event_loop),
    "refloop-with-asyncio-tasks": (refloop, _refloop_with_asyncio_tasks),
    "asyncio": (asyncio, asyncio.new_event_loop),
    "asyncio-on-refloop": (asyncio, make_refloop),
}


def pytest_configure(config: pytest.Config) -> None:
    """Name this folder's marks."""
    for line in (
        "since(version): asyncio has, or keeps, this from that version on; refloop always",
        "asyncio_differs(reason): what asyncio does instead, where it breaks its own promise",
        "requirement(*ids): what a case checks",
    ):
        config.addinivalue_line("markers", line)


@pytest.fixture(params=list(WORLDS))
def world(request: pytest.FixtureRequest) -> str:
    """The name of the world."""
    name: str = request.param
    if WORLDS[name][0] is asyncio:
        since = request.node.get_closest_marker("since")
        if since is not None and sys.version_info < since.args[0]:
            pytest.skip(f"asyncio of {sys.version_info.major}.{sys.version_info.minor} lacks it")
        differs = request.node.get_closest_marker("asyncio_differs")
        if differs is not None and sys.version_info < differs.kwargs.get("until", (9,)):
            pytest.skip(differs.args[0])
    return name


@pytest.fixture
def aio(world: str) -> Any:
    """The namespace."""
    return WORLDS[world][0]


@pytest.fixture
def reported(loop: Any) -> list[dict[str, Any]]:
    """What the loop's exception handler is given; a test that does not ask for it fails if there is anything."""
    contexts: list[dict[str, Any]] = loop.reported
    return contexts


class _ObservedLoop:
    """A loop and what it reports, for types that allow no further attributes."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self.reported: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: self.reported.append(context))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


@pytest.fixture
def loop(world: str, request: pytest.FixtureRequest) -> Generator[Any]:
    """A loop of the world, closed afterwards with nothing left behind."""
    real = WORLDS[world][1]()
    wrapped = _ObservedLoop(real)
    try:
        yield wrapped
        assert not asyncio.all_tasks(real)
        gc.collect()
        real.run_until_complete(asyncio.sleep(0))
        if "reported" not in request.fixturenames:
            assert not wrapped.reported
    finally:
        real.close()


@pytest.fixture(autouse=True)
def _loop_of_async_test(request: pytest.FixtureRequest) -> None:
    """Give every `async def` test a loop, asked for or not."""
    if inspect.iscoroutinefunction(request.function) and "world" in request.fixturenames:
        request.getfixturevalue("loop")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test in its loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj) or "world" not in pyfuncitem.fixturenames:
        return None
    loop: Any = pyfuncitem._request.getfixturevalue("loop")
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def bounded() -> None:
        task = asyncio.current_task()
        assert task is not None
        alarm = asyncio.get_running_loop().call_later(SECONDS_PER_TEST, task.cancel)
        try:
            await pyfuncitem.obj(**arguments)
        finally:
            alarm.cancel()
            leftover = asyncio.all_tasks() - {task}
            for other in leftover:
                other.cancel()
            while asyncio.all_tasks() - {task}:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0)

    loop.run_until_complete(bounded())
    return True
