"""The pytest plugin: options, the ``loop`` and ``aio`` of a case, and ``async def`` cases."""

from __future__ import annotations

import inspect
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from conformance.target import Target, resolve

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator, Mapping

# A child program is bounded below the ten seconds of its case, so that its output is seen and not the case's hang.
PROGRAM_TIMEOUT = 8.0


class RunProgram(Protocol):
    """Run ``source`` in a fresh interpreter, with ``make_loop`` (the target's factory) and ``aio`` defined in it.

    ``flags`` are interpreter options (``"-X", "dev"``), ``env`` is added to the environment (from which asyncio's own
    variables were removed). Returns the finished process: ``stdout``, ``stderr`` as text, ``returncode``.
    """

    def __call__(
        self, source: str, *flags: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]: ...


class RecordingHandler(logging.Handler):
    """Keeps every record of the ``asyncio`` logger."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


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


@pytest.fixture
def reported(loop: AbstractEventLoop) -> list[dict[str, Any]]:
    """The contexts that the loop's exception handler was called with, as they come in."""
    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: contexts.append(context))
    return contexts


@pytest.fixture
def asyncio_log() -> Iterator[list[logging.LogRecord]]:
    """Every record of the ``asyncio`` logger, from DEBUG up, as they come in."""
    logger = logging.getLogger("asyncio")
    handler, level = RecordingHandler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.records
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def run_program(target: Target) -> RunProgram:
    """Run a program on the target in a fresh interpreter."""

    def run(source: str, *flags: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        prelude = (
            "from conformance.target import resolve as _resolve\n"
            f"_target = _resolve({target.name!r}, {target.namespace_name!r})\n"
            "make_loop, aio = _target.make_loop, _target.namespace\n"
        )
        inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE")}
        return subprocess.run(
            [sys.executable, *flags, "-c", prelude + source],
            env={**inherited, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROGRAM_TIMEOUT,
            check=False,
        )

    return run


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    loop: Any = pyfuncitem.funcargs["loop"]
    names = pyfuncitem._fixtureinfo.argnames
    loop.run_until_complete(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
