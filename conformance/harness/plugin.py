"""The pytest plugin: options, the ``loop`` and ``aio`` of a case, and ``async def`` cases."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from conformance.target import Target, resolve

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--target", default="refloop", help="known name or module:callable")
    group.addoption("--api", default=None, help="namespace module instead of the target's own")
    group.addoption("--profile", default=None, help="documentation version to judge by")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(*ids): the requirements that a case checks")
    config.addinivalue_line("markers", "budget(seconds, reason): the time that a case may take, and why")


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """The target of this run."""
    return resolve(request.config.getoption("--target"), request.config.getoption("--api"))


@pytest.fixture
def aio(target: Target) -> Any:
    """The target's namespace."""
    return target.namespace


@pytest.fixture
def loop(request: pytest.FixtureRequest, target: Target) -> Iterator[AbstractEventLoop]:
    """A fresh loop of the target."""
    loop = target.make_loop()
    mode = getattr(request, "param", "plain")
    if mode == "debug":
        loop.set_debug(True)
    elif mode == "eager":
        factory = getattr(target.namespace, "eager_task_factory", None)
        if factory is None:
            pytest.skip("eager tasks came with 3.12")
        loop.set_task_factory(factory)
    yield loop
    if not loop.is_closed():
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    loop = pyfuncitem.funcargs["loop"]
    names = pyfuncitem._fixtureinfo.argnames
    loop.run_until_complete(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
