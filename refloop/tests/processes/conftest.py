"""The worlds in which child processes are checked, and what no test may leave behind.

`asyncio` stands among them so that a test which misunderstands the documentation fails there.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import refloop

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

make_refloop: Callable[[], Any] = refloop.EventLoop

# A test that reaches this has found a promise broken, or a loop that hangs. Starting Python takes up to seconds here.
SECONDS_PER_TEST = 30

# How long what ends by itself may take to do so: asyncio lets go of its threads without waiting for them.
SECONDS_TO_SETTLE = 20


def _debugging_refloop() -> Any:
    loop = make_refloop()
    loop.set_debug(True)
    # Starting a child takes longer than a callback should; that is not what is tested.
    loop.slow_callback_duration = SECONDS_PER_TEST
    return loop


# world: (namespace, maker of its loop)
WORLDS: dict[str, tuple[Any, Callable[[], Any]]] = {
    "refloop": (refloop, make_refloop),
    "refloop-by-threads": (refloop, make_refloop),
    "refloop-debug": (refloop, _debugging_refloop),
    "refloop-on-asyncio-loop": (refloop, asyncio.new_event_loop),
    "asyncio": (asyncio, asyncio.new_event_loop),
    "asyncio-on-refloop": (asyncio, make_refloop),
}


def pytest_configure(config: pytest.Config) -> None:
    """Name this folder's marks."""
    for line in (
        "requirement(*ids): what a case checks",
        "own_loop(reason): only refloop's loop is held to it",
        "own_names(reason): only refloop's namespace is held to it",
    ):
        config.addinivalue_line("markers", line)


@pytest.fixture(params=list(WORLDS))
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the world."""
    name: str = request.param
    for mark, ours in (
        ("own_loop", WORLDS[name][1] is not asyncio.new_event_loop),
        ("own_names", WORLDS[name][0] is refloop),
    ):
        found = request.node.get_closest_marker(mark)
        if found is not None and not ours:
            pytest.skip(found.args[0])
    if name == "refloop-by-threads":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    return name


@pytest.fixture
def aio(world: str) -> Any:
    """The namespace."""
    return WORLDS[world][0]


@pytest.fixture
def new_loop(world: str) -> Callable[[], Any]:
    """The maker of the world's loops."""
    return WORLDS[world][1]


@pytest.fixture
def reported(loop: Any) -> list[dict[str, Any]]:
    """What the loop's exception handler is given; a test that does not ask for it fails if there is anything."""
    contexts: list[dict[str, Any]] = _reported[id(loop)]
    return contexts


_reported: dict[int, list[dict[str, Any]]] = {}


@pytest.fixture
def loop(world: str, request: pytest.FixtureRequest) -> Generator[Any]:
    """A loop of the world; afterwards no descriptor, thread or child is left."""
    gc.collect()
    descriptors, threads = open_descriptors(), set(threading.enumerate())
    loop = WORLDS[world][1]()
    contexts: list[dict[str, Any]] = []
    _reported[id(loop)] = contexts
    loop.set_exception_handler(lambda _, context: contexts.append(context))
    try:
        yield loop
    finally:
        _reported.pop(id(loop))
        loop.close()
    if "reported" not in request.fixturenames:
        assert not contexts
    gc.collect()
    eventually(lambda: not set(threading.enumerate()) - threads)
    assert open_descriptors() <= descriptors
    assert not has_children()


def open_descriptors() -> set[tuple[str, str]]:
    """Return the open descriptors and what they stand for."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add((entry.name, str(entry.readlink())))
        except FileNotFoundError:
            # The one that the directory was read by.
            continue
    return found


def has_children() -> bool:
    """Return whether this process has children, zombies included."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def eventually(condition: Callable[[], object]) -> None:
    """Wait until the condition holds, which some other thread or process brings about; fail if it never does."""
    deadline = time.monotonic() + SECONDS_TO_SETTLE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


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
        alarm = loop.call_later(SECONDS_PER_TEST, task.cancel)
        try:
            await pyfuncitem.obj(**arguments)
        finally:
            alarm.cancel()

    if sys.version_info < (3, 12):
        # There, threads wait for children, and tell of them by the current loop.
        asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(bounded())
    finally:
        if sys.version_info < (3, 12):
            asyncio.set_event_loop(None)
    return True
