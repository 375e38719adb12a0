"""Runs each test by a standard runner on refloop's loop, and on asyncio's as the control; nothing may be left."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

import refloop

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

FOLDER = Path(__file__).parent

# A test that reaches this has found a loop that hangs; the slowest takes two seconds on a busy machine.
SECONDS_PER_TEST = 30

MAKERS: dict[str, Callable[[], Any]] = {"refloop": refloop.EventLoop, "asyncio": asyncio.new_event_loop}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder."""
    for item in items:
        if item.path.is_relative_to(FOLDER):
            item.add_marker(pytest.mark.realworld)


@pytest.fixture(params=list(MAKERS))
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """The maker of the loop that the test runs on."""
    return MAKERS[request.param]


@pytest.fixture(autouse=True)
def runner(loop_factory: Callable[[], Any]) -> Generator[asyncio.Runner]:
    """A runner; afterwards nothing was reported, and no descriptor, thread or zombie is left."""
    gc.collect()
    descriptors, threads = open_descriptors(), set(threading.enumerate())
    reported: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: reported.append(context))
        yield runner
        gc.collect()
        # What was collected may have something to say in the loop's next turn.
        runner.run(asyncio.sleep(0))
    assert not reported
    gc.collect()
    eventually(lambda: not set(threading.enumerate()) - threads)
    assert open_descriptors() <= descriptors
    assert not has_zombies()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test by its runner."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj) or "runner" not in pyfuncitem.funcargs:
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    ours = pyfuncitem.funcargs["loop_factory"] is refloop.EventLoop

    async def bounded() -> None:
        assert isinstance(asyncio.get_running_loop(), refloop.EventLoop) is ours
        async with asyncio.timeout(SECONDS_PER_TEST):
            await pyfuncitem.obj(**arguments)

    runner: Any = pyfuncitem.funcargs["runner"]
    runner.run(bounded())
    return True


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


def has_zombies() -> bool:
    """Return whether a child has ended that nobody waited for."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


def eventually(condition: Callable[[], object]) -> None:
    """Wait until the condition holds, which some thread brings about; fail if it never does."""
    deadline = time.monotonic() + SECONDS_PER_TEST
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """The authority that all certificates come from."""
    return trustme.CA()


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> trustme.LeafCert:
    """The certificate of servers at 127.0.0.1."""
    return authority.issue_cert("127.0.0.1")


@pytest.fixture(scope="session")
def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """A context for servers at 127.0.0.1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    """A context for clients that trust the authority only."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def certificate_file(certificate: trustme.LeafCert, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the servers' key and certificate."""
    path = tmp_path_factory.mktemp("certificates") / "server.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(path))
    return path
