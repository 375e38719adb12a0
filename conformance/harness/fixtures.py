"""The fixtures of a case: its target, its loop, its namespace, and what the loop reports."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from conformance.harness.children import environment
from conformance.harness.hygiene import Finding, pending_tasks
from conformance.harness.outcome import CaseState, TargetFault
from conformance.support.modes import DEBUG, EAGER, PLAIN
from conformance.support.programs import run_forked
from conformance.target import Target, resolve

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Collection, Iterator, Mapping

    from conformance.support.programs import RunProgram

PROGRAM_TIMEOUT = 8.0
"""Seconds for a child program: below the ten of its case, so that its output is seen and not the case's hang."""

CASE_STATE = pytest.StashKey[CaseState]()


class LogRecorder(logging.Handler):
    """Keeps every record of the ``asyncio`` logger."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


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
    """A fresh loop of the target, in the mode that `on_loops` asks for; closed afterwards."""
    mode = getattr(request, "param", PLAIN)
    factory = getattr(target.namespace, "eager_task_factory", None)
    if mode == EAGER and factory is None:
        pytest.skip("eager tasks came with 3.12")
    threads = threading.active_count()
    try:
        loop = target.make_loop()
    except BaseException as error:
        raise TargetFault(f"the factory {target.factory} raised {type(error).__name__}: {error}") from error
    state = request.node.stash[CASE_STATE]
    state.loop, state.namespace = loop, target.namespace
    if mode == DEBUG:
        loop.set_debug(True)
    elif mode == EAGER:
        loop.set_task_factory(factory)
    yield loop
    state.loop = None
    if loop.is_closed():
        return
    if loop.is_running():
        state.findings.append(Finding("shutdown", "the loop still says that it is running"))
        return
    state.findings += pending_tasks(target.namespace, loop)
    try:
        loop.run_until_complete(loop.shutdown_asyncgens())
        if threading.active_count() > threads:
            loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    except BaseException as error:
        state.findings.append(Finding("shutdown", f"shutting the loop down raised {type(error).__name__}: {error}"))


@pytest.fixture
def reported(loop: AbstractEventLoop) -> Iterator[list[dict[str, Any]]]:
    """The contexts that the loop's exception handler was called with, as they come in."""
    contexts: list[dict[str, Any]] = []
    # That the loop comes first has cases of its own; a loop that forgets it must not fail every case here.
    loop.set_exception_handler(lambda *arguments: contexts.append(arguments[-1]))
    yield contexts
    # A task that was reported because it was forgotten lives on in its context, and would look pending.
    contexts.clear()


@pytest.fixture
def asyncio_log(request: pytest.FixtureRequest) -> Iterator[list[logging.LogRecord]]:
    """Every record of the ``asyncio`` logger, from DEBUG up, as they come in; its errors are then no finding."""
    logger = logging.getLogger("asyncio")
    recorder, level = LogRecorder(), logger.level
    logger.addHandler(recorder)
    logger.setLevel(logging.DEBUG)
    yield recorder.records
    logger.removeHandler(recorder)
    logger.setLevel(level)
    request.node.stash[EXPECTS_ERRORS] = True


EXPECTS_ERRORS = pytest.StashKey[bool]()


@pytest.fixture
def run_program(target: Target) -> RunProgram:
    """Run a program on the target in a fresh interpreter."""

    def run(
        source: str, *flags: str, env: Mapping[str, str] | None = None, among: Collection[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        if source in among:
            key = (target.factory, target.namespace_name, *among)
            if key not in FORKED:
                FORKED[key] = run_forked(run, among)
            if source in FORKED[key]:
                return FORKED[key].pop(source)
        prelude = (
            "from conformance import loading as _loading\n"
            "_loading.make_current_folder_importable()\n"
            f"def make_loop(): return _loading.make_loop({target.factory!r})\n"
            f"aio = _loading.load_namespace({target.namespace_name!r})\n"
        )
        inherited = {name: value for name, value in environment().items() if name != "PYTHONDEVMODE"}
        return subprocess.run(
            [sys.executable, "-P", *flags, "-c", prelude + source],
            env={**inherited, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROGRAM_TIMEOUT,
            check=False,
        )

    return run


FORKED: dict[tuple[str, ...], dict[str, subprocess.CompletedProcess[str]]] = {}
"""What became of programs that were run among others, by target and programs, until the case of each asks for it."""
