"""Loops to check, and a look at what a test leaves behind.

`asyncio` stands among them so that a test which misunderstands the documentation fails there.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import refloop
from refloop.tests.io.carriers import CARRIERS, Carrier, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

# A test that reaches this has found a promise broken, or a loop that hangs.
SECONDS_PER_TEST = 30


def _debugging() -> Any:
    loop = refloop.EventLoop()
    loop.set_debug(True)
    return loop


MAKERS: dict[str, Callable[[], Any]] = {
    "refloop": refloop.EventLoop,
    "refloop-debug": _debugging,
    "asyncio": asyncio.new_event_loop,
}


def pytest_configure(config: pytest.Config) -> None:
    """Name this folder's marks."""
    for line in (
        "since(version): asyncio has, or keeps, this from that version on; refloop always",
        "asyncio_differs(reason): what asyncio does instead, where it breaks or leaves open what is checked",
        "requirement(*ids): what a case checks",
    ):
        config.addinivalue_line("markers", line)


@pytest.fixture(params=list(MAKERS))
def maker(request: pytest.FixtureRequest) -> str:
    """The name of the loop's make."""
    name: str = request.param
    if name == "asyncio":
        since = request.node.get_closest_marker("since")
        if since is not None and sys.version_info < since.args[0]:
            pytest.skip(f"asyncio of {sys.version_info.major}.{sys.version_info.minor} lacks it")
        differs = request.node.get_closest_marker("asyncio_differs")
        if differs is not None and sys.version_info < differs.kwargs.get("until", (9,)):
            pytest.skip(differs.args[0])
    return name


@pytest.fixture
def reported() -> list[dict[str, Any]]:
    """What the loop's exception handler is given; a test that does not ask for it fails if there is anything."""
    return []


def open_descriptors() -> dict[str, str]:
    """Return the process's descriptors and what each stands for."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names only
        try:
            found[fd] = str(Path(f"/proc/self/fd/{fd}").readlink())
        except FileNotFoundError:
            continue
    return found


@pytest.fixture
def loop(maker: str, request: pytest.FixtureRequest, reported: list[dict[str, Any]]) -> Generator[Any]:
    """A loop, closed afterwards with nothing left behind: no task, no report, no descriptor."""
    before = open_descriptors()
    loop: Any = MAKERS[maker]()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    try:
        yield loop
        loop.run_until_complete(loop.shutdown_default_executor())
        gc.collect()
        loop.run_until_complete(asyncio.sleep(0))
        if "reported" not in request.fixturenames:
            assert not reported
    finally:
        loop.close()
    reported.clear()
    gc.collect()
    left = {fd: what for fd, what in open_descriptors().items() if before.get(fd) != what}
    assert not left, "descriptors left behind"


@pytest.fixture
def clock(loop: Any) -> Clock:
    """The loop's clock, in the test's hands."""
    return Clock(loop)


@pytest.fixture(params=list(CARRIERS))
def carrier(request: pytest.FixtureRequest, loop: Any, tmp_path: Path) -> Generator[Carrier]:
    """A way to make a stream transport whose other end is a plain blocking socket."""
    made = CARRIERS[request.param](loop, tmp_path)
    yield made
    made.clean_up()


@pytest.fixture
def tcp(loop: Any, tmp_path: Path) -> Generator[Carrier]:
    """A TCP connection made by `create_connection()`."""
    made = CARRIERS["tcp-client"](loop, tmp_path)
    yield made
    made.clean_up()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test in its loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj) or "loop" not in pyfuncitem.fixturenames:
        return None
    loop: Any = pyfuncitem._request.getfixturevalue("loop")
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def bounded() -> None:
        async with asyncio.timeout(SECONDS_PER_TEST):
            await pyfuncitem.obj(**arguments)

    loop.run_until_complete(bounded())
    return True
