"""The pytest plugin that turns a test session into a conformance run.

Loaded by the command and by this repository's own configuration, never by an entry point: other people's pytest runs
stay untouched. Only tests that stand in the suite's ``cases`` folder are cases; everything else passes by.
"""

from __future__ import annotations

import gc
import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.harness.bytecode import Keeper
from conformance.harness.containment import BUDGET, WARM_UP, Watch, start_clean
from conformance.harness.fixtures import (
    CASE_STATE,
    EXPECTS_ERRORS,
    aio,
    asyncio_log,
    loop,
    reported,
    run_program,
    target,
)
from conformance.harness.hygiene import Finding, Hygiene, keep_out_of_sight
from conformance.harness.journal import JournalWriter, XdistDeaths
from conformance.harness.naming import CASES
from conformance.harness.options import START_TIMEOUT
from conformance.harness.outcome import CaseState, Escaped, short
from conformance.harness.probing import Asked, fork_prober
from conformance.harness.selection import Selection, budget_of, tell_collected
from conformance.harness.serving import Server
from conformance.harness.state import ProcessState, forget_policy
from conformance.harness.surroundings import MOST_MEMORY
from conformance.target import make_current_folder_importable, resolve
from reports.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["aio", "asyncio_log", "loop", "reported", "run_program", "target"]

BEGAN = pytest.StashKey[bool]()
MAIN = "main"
"""The only process of a run without workers, as `conformance.harness.passes` calls it."""
KEEPER = pytest.StashKey[Keeper]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--target", default="refloop", help="loop to test: known name, entry point or module:callable")
    group.addoption("--api", default=None, metavar="MODULE", help="namespace module instead of the target's own")
    group.addoption("--profile", default=None, metavar="VERSION", help="documentation version to judge by")
    group.addoption("--area", action="append", default=[], dest="areas", help="only cases of this area")
    group.addoption("--page", action="append", default=[], dest="pages", help="only cases of this documentation page")
    group.addoption("--case-budget", type=float, default=BUDGET, metavar="SECONDS", help="of a case without its own")
    group.addoption("--conformance-run", default=None, metavar="FOLDER", help="(internal) folder of the run")
    group.addoption("--conformance-bytecode", default=None, metavar="FOLDER", help="(internal) for the compiled suite")
    group.addoption("--conformance-start-timeout", type=float, default=START_TIMEOUT, help="(internal) in seconds")
    group.addoption("--conformance-probe", default=None, metavar="FOLDER", help="(internal) for what probes find out")
    group.addoption("--conformance-serve", type=int, default=None, metavar="FD", help="(internal) serve a run's passes")
    group.addoption("--conformance-cases", default=str(CASES), metavar="FOLDER", help="(internal) where cases stand")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    folder = early_config.known_args_namespace.conformance_bytecode
    if folder is not None:
        early_config.stash[KEEPER] = Keeper(Path(folder))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    keeper = session.config.stash.get(KEEPER, None)
    if keeper is not None:
        keeper.stop()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(*ids): the requirements that a case checks")
    config.addinivalue_line("markers", "budget(seconds, reason): the time that a case may take, and why")
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    controls_workers = worker is None and bool(getattr(config.option, "numprocesses", None))
    if not controls_workers:
        # xdist imports what it finds by the name of a module that is not installed, and would find the user's.
        make_current_folder_importable()
    folder = config.getoption("--conformance-run")
    run = None if folder is None else Path(folder)
    control = config.getoption("--conformance-serve")
    if control is not None:
        if (probes := config.getoption("--conformance-probe")) is not None:
            options = (config.getoption(f"--{name}") for name in ("target", "api", "conformance-start-timeout"))
            fork_prober(Path(probes), Asked(*options))
        runner = CaseRunner(config, None, "", serves=True)
        config.pluginmanager.register(runner, "conformance-cases")
        config.pluginmanager.register(Server(control, runner), "conformance-server")
        return
    if run is not None and worker is None:
        journal = JournalWriter(run / "journal")
        config.pluginmanager.register(journal, "conformance-journal")
        if controls_workers:
            config.pluginmanager.register(XdistDeaths(journal), "conformance-deaths")
    if not controls_workers:
        config.pluginmanager.register(CaseRunner(config, run, worker), "conformance-cases")


class CaseRunner:
    """Everything that happens around cases in the process that runs them."""

    def __init__(self, config: pytest.Config, run: Path | None, worker: str | None, *, serves: bool = False) -> None:
        """``run``: the folder of the pass, if there is one. ``serves``: cases run in forks of this process only."""
        self.suite = Path(config.getoption("--conformance-cases")).resolve()
        self.budget = float(config.getoption("--case-budget"))
        self.start_budget = max(self.budget, float(config.getoption("--conformance-start-timeout")))
        self._config = config
        self._run = run
        self._worker = worker or MAIN
        self._serves = serves
        self._isolated = serves or run is not None or worker is not None
        """whether this process is the run's own, so that it may be limited, cleaned and ended"""
        self._inside: dict[Path, bool] = {}
        self._process, self._parent = os.getpid(), os.getppid()
        self._watch: Watch | None = None
        self._hygiene: Hygiene | None = None
        self._selection: Selection | None = None
        self._state: CaseState | None = None
        if self._isolated:
            start_clean()

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        cases = [item for item in items if self._is_case(item)]
        if not cases or self._serves:
            return
        self._selection = Selection.from_config(config, self._run)
        chosen = {item for item in cases if self._selection.wants(item)}
        dropped = [item for item in cases if item not in chosen]
        if dropped:
            items[:] = [item for item in items if item in chosen or not self._is_case(item)]
            config.hook.pytest_deselected(items=dropped)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self._serves:
            return
        cases = [item for item in session.items if self._is_case(item)]
        if self._run is not None:
            tell_collected(self._run, cases, self.suite, self._worker)
        if cases:
            self._prepare()

    def begin(self, run: Path, worker: str, selection: Selection) -> None:
        """Run cases from now on, in this process, which was forked for it: ``run`` is the folder of the pass."""
        self._run, self._worker, self._selection = run, worker, selection
        self._process, self._parent = os.getpid(), os.getppid()
        self._prepare()

    def _prepare(self) -> None:
        self._watch = Watch(self._run, self._worker, from_outside=self._serves)
        untouched = ProcessState.now()
        warm_up(self._config, self._watch, self.start_budget)
        gc.collect()
        # What every loop changes must show in every case, and harm none: also not the first.
        untouched.restore()
        forget_policy()
        self._hygiene = Hygiene(MOST_MEMORY) if self._serves else Hygiene()
        keep_out_of_sight()

    def _is_case(self, item: pytest.Item) -> bool:
        inside = self._inside.get(item.path)
        if inside is None:
            inside = self._inside[item.path] = item.path.is_relative_to(self.suite)
        return inside

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if not self._is_case(item) or self._watch is None:
            return (yield)
        self._state = item.stash[CASE_STATE] = CaseState()
        self._watch.begin(item.nodeid, budget_of(item, self.budget), self._state)
        # Where pytest itself breaks, the process ends and the case remains as its place.
        done = yield
        self._leave_if_astray(item)
        self._watch.end()
        self._state = None
        del item.stash[CASE_STATE]
        if self.is_spent and self._run is not None and self._worker == MAIN:
            # Everything is said; the run goes on with a fresh process. A worker of xdist would be taken for dead.
            os._exit(0)
        return done

    @property
    def is_spent(self) -> bool:
        """Whether this process lacks what innocent cases need."""
        return self._hygiene is not None and self._hygiene.is_spent

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if not self._is_case(item) or self._selection is None or self._hygiene is None or self._state is None:
            return
        verdict, reason = self._selection.applies(item)
        if verdict is not Verdict.PASS:
            self._state.verdict, self._state.message = verdict, reason
            pytest.skip(reason)
        item.stash[BEGAN] = True
        if (
            isinstance(item, pytest.Function)
            and inspect.iscoroutinefunction(item.obj)
            and "loop" not in item.fixturenames
        ):
            # It runs on the loop, whether it names it or not.
            item.fixturenames.append("loop")
        self._hygiene.begin()

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> object | None:
        if not self._is_case(pyfuncitem):
            return None
        arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
        try:
            result = pyfuncitem.obj(**arguments)
            if inspect.iscoroutine(result):
                loop: Any = pyfuncitem.funcargs["loop"]
                loop.run_until_complete(result)
        except (KeyboardInterrupt, SystemExit, GeneratorExit) as error:
            if not self._isolated:
                raise
            raise Escaped(f"{type(error).__name__} came out of the case") from error
        finally:
            self._leave_if_astray(pyfuncitem)
        return True

    def _leave_if_astray(self, item: pytest.Item) -> None:
        """End a process that came back from a case and is not, or not any longer, the worker that began it.

        What a copy of the worker went on to say would count twice. A worker whose warm process is gone leaves its case
        as its place: one that runs beside it, or itself, has killed what watches over them.
        """
        if os.getpid() != self._process:
            if self._run is not None:
                JournalWriter(self._run / "journal").write("copied", node=item.nodeid)
            os._exit(0)
        if self._serves and os.getppid() != self._parent:
            os._exit(0)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        if not item.stash.get(BEGAN, False) or self._hygiene is None or self._state is None:
            return (yield)
        state = self._state
        try:
            return (yield)
        finally:
            # Only the frames of a failed case may hold the loop now, and those are not judged.
            if isinstance(item, pytest.Function):
                item.funcargs.clear()
            if item.stash.get(EXPECTS_ERRORS, False):
                self._hygiene.errors.messages.clear()
            passed = state.verdict is Verdict.PASS
            left = self._hygiene.end(judge=passed)
            state.findings = state.findings + left if passed else []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if self._state is None or not self._is_case(item):
            return report
        error = call.excinfo.value if call.excinfo is not None else None
        self._state.see(report, error)
        if report.failed and self._state.verdict is Verdict.UNSUPPORTED:
            report.outcome = "skipped"
            report.longrepr = (str(item.path), item.location[1] or 0, f"unsupported: {self._state.message}")
        if report.when == "teardown":
            report.conformance = self._state.outcome()  # type: ignore[attr-defined]
        return report

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        if self._state is not None and op == "==":
            self._state.seen, self._state.expected = short(left), short(right)


def warm_up(config: pytest.Config, watch: Watch, seconds: float) -> None:
    """Use one loop before the first case: what a target sets up once per process is no leak of that case."""
    watch.begin(WARM_UP, seconds)
    try:
        chosen = resolve(config.getoption("--target"), config.getoption("--api"))
        for _ in range(2):
            loop = chosen.make_loop()
            loop.run_until_complete(chosen.namespace.sleep(0))
            loop.close()
    except Exception:
        # The cases will say what is wrong with it, each for itself.
        pass
    finally:
        watch.end()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """By hand, without a report: say what cases left behind."""
    config: pytest.Config = terminalreporter.config
    if config.getoption("--conformance-run") is not None:
        return
    found: dict[Finding, list[str]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for kind, message in (getattr(report, "conformance", None) or {}).get("findings", ()):
                found.setdefault(Finding(kind, message), []).append(report.nodeid)
    if found:
        terminalreporter.section("left behind by cases")
        for finding, nodes in found.items():
            terminalreporter.line(f"hygiene/{finding.kind}: {finding.message} ({len(nodes)}x, first in {nodes[0]})")
