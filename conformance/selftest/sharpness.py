"""Runs the suite against every careless loop of ``fixtures.faulty`` and tells which cases failed on which.

A run of its own for each of hundreds of targets would take an hour. Here a process collects the cases once, then takes
one target after the other and runs the cases that may catch it. Careless loops are pure Python, so a case that hangs is
ended by a signal, within the process; `faulthandler`, the harness's own watch, stays behind it.

``python -m conformance.selftest.sharpness FOLDER`` is one such process (several share a folder and take turns);
this module is also the pytest plugin in it.
"""

from __future__ import annotations

import functools
import gc
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from attrs import frozen

from conformance.catalogue import load, profile_version
from conformance.harness.children import environment
from conformance.harness.naming import CASES, case_id
from conformance.harness.passes import UNWANTED_PLUGINS
from conformance.harness.plugin import CaseRunner
from conformance.harness.selection import RULES, Rules, Selection
from conformance.harness.state import forget_policy
from conformance.target import Target, resolve
from fixtures.faulty.registry import Careless, all_careless

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

PATIENCE = 1.5
"""Seconds for a case on a careless loop: the slowest on a healthy one takes a tenth of that."""
PATIENCE_WITH_PROGRAMS = 6.0
"""The same for a case that starts programs, which is below what it grants them itself."""
AGAIN = 0.2
"""Seconds until the signal comes again: the first may be swallowed, or meet a clean-up that hangs as well."""
LOOK = 0.05
"""Seconds between two looks at the processes."""
BATCH = 100
"""Cases after which the process lets go of what they left in pytest's memory."""
LOOPS_A_PROCESS = 60
"""Careless loops after which a process gives way to a fresh one: each leaves some memory behind."""
MOST_THREADS = 200
MOST_MEMORY = 1024**3
"""Threads, and bytes of data, that careless loops have left, after which nothing more is asked of one and a fresh
process takes the next: `conformance.harness.containment` ends what takes more than a few times as much."""
MOST_HANGS = 6
"""How many cases may hang on one target before its other cases are left out."""

HEALTHY = Careless("healthy", "asyncio", None, "none", ("*::*",))
HEALTHY_PYTHON = Careless(
    "healthy in Python",
    "fixtures.faulty.healthy.pure_python:new_event_loop",
    "fixtures.faulty.healthy.pure_python",
    "none",
    ("*::*",),
)


@frozen
class Case:
    """A collected case."""

    id: str
    item: pytest.Item
    text: str
    """its source, and that of the functions of its module that it names"""
    program: bool

    @classmethod
    def of(cls, item: pytest.Item) -> Case:
        """The case that pytest collected as ``item``."""
        return cls(case_id(item.nodeid), item, _text(item), starts_programs(item))

    @property
    def function(self) -> str:
        """The id without its variant."""
        return self.id.partition("[")[0]


class Hung(KeyboardInterrupt):
    """A case took too long. Loops let a KeyboardInterrupt through where they would report another exception."""


@frozen
class Sharpness:
    """What the careless loops showed."""

    caught_by: dict[str, list[str]]
    """careless loop → ids of the cases that failed on it"""
    ran: frozenset[str]
    """ids of the cases that pass on a healthy loop here: only those can tell anything"""
    gross: tuple[str, ...]
    """the careless loops on which nothing works at all"""


def measure(folder: Path, processes: int = 2, faults: str = "*") -> Sharpness:
    """Run every case against every careless loop that it may catch, for as long as that can tell something new."""
    running = {number: _start(folder, faults, number) for number in range(processes)}
    names = {one.name for one in all_careless() if fnmatchcase(one.name, faults)}
    while running:
        for number, process in list(running.items()):
            if process.poll() is None:
                continue
            del running[number]
            if process.returncode != 0:
                log = (folder / f"process-{number}.log").read_text(errors="replace")[-2000:]
                assert _bury(folder, number), f"a process that ran careless loops died: {log}"
            elif names <= {claim.stem for claim in folder.glob("*.claim")}:
                continue
            running[number] = _start(folder, faults, number)
        time.sleep(LOOK)
    found: dict[str, dict[str, list[str]]] = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json") if path.name != RULES
    }
    nothing: dict[str, list[str]] = {"passed": [], "failed": []}
    sound = {name: found.pop(name, nothing) for name in (HEALTHY.name, HEALTHY_PYTHON.name)}
    unsound = {case for result in sound.values() for case in result["failed"]}
    ran = {case for result in sound.values() for case in result["passed"]} - unsound
    caught = {name: [case for case in result["failed"] if case in ran] for name, result in found.items()}
    return Sharpness(caught, frozenset(ran), tuple(name for name, result in found.items() if result["gross"]))


def _start(folder: Path, faults: str, number: int) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "conformance.selftest.sharpness", str(folder), faults, str(number)]
    with (folder / f"process-{number}.log").open("ab") as log:
        return subprocess.Popen(line, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _bury(folder: Path, number: int) -> bool:
    """A careless loop killed the process: its case is one that catches it, the others are yet to run.

    False when no case was running, so that starting again would come to the same end.
    """
    place = (folder / f"process-{number}" / "main.place").read_text(encoding="utf-8")
    for claim in folder.glob("*.claim"):
        if (
            place
            and claim.read_text(encoding="utf-8") == str(number)
            and not claim.with_name(f"{claim.stem}.json").exists()
        ):
            with claim.with_name(f"{claim.stem}.deadly").open("a", encoding="utf-8") as deadly:
                deadly.write(f"{case_id(place)}\n")
            claim.unlink()
            return True
    return False


class Driver:
    """The pytest plugin: runs the collected cases against one target after the other."""

    def __init__(self, folder: Path, faults: str, number: str) -> None:
        self._folder = folder
        self._number = number
        self._faults = faults
        self._catalogue = load()
        self._outcomes: list[dict[str, Any]] = []
        self.target: Target = resolve(HEALTHY.target)
        signal.signal(signal.SIGALRM, _hang)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome = getattr(report, "conformance", None)
        if outcome is not None:
            self._outcomes.append(outcome)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        runner: Any = session.config.pluginmanager.get_plugin("conformance-cases")
        assert isinstance(runner, CaseRunner)
        cases = [Case.of(item) for item in session.items]
        left = LOOPS_A_PROCESS
        for careless in (HEALTHY, HEALTHY_PYTHON, *all_careless()):
            if not left or crowded():
                break
            if not fnmatchcase(careless.name, self._faults) or not self._claim(careless.name):
                continue
            self.target = resolve(careless.target, careless.api)
            session.config.option.target, session.config.option.api = careless.target, careless.api
            runner._selection = Selection(rules(self._catalogue, self.target), frozenset(), frozenset(), None)
            result = self._run(careless, cases)
            finished = self._folder / f"{careless.name}.json"
            finished.with_suffix(".part").write_text(json.dumps(result), encoding="utf-8")
            finished.with_suffix(".part").rename(finished)
            left -= 1
        return True

    def _claim(self, name: str) -> bool:
        try:
            with (self._folder / f"{name}.claim").open("x", encoding="utf-8") as claim:
                claim.write(self._number)
        except FileExistsError:
            return False
        return True

    def _run(self, careless: Careless, cases: list[Case]) -> dict[str, list[str]]:
        """Run what can still tell something: cases that nothing has caught yet, and any until this fault is caught."""
        result: dict[str, list[str]] = {"passed": [], "failed": [], "hung": [], "gross": []}
        if not self._works():
            result["gross"].append(careless.name)
            return result
        healthy = careless in (HEALTHY, HEALTHY_PYTHON)
        sharp = set() if healthy else self._sharp_cases()
        unsound = set() if healthy else self._unsound_cases
        chosen = breadth_first(
            case for case in cases if careless.may_be_caught_by(case.id, case.text, program=case.program)
        )
        deadly = self._folder / f"{careless.name}.deadly"
        result["failed"] += deadly.read_text(encoding="utf-8").splitlines() if deadly.exists() else []
        for number, case in enumerate(chosen):
            if number % BATCH == 0:
                _let_go(case.item.session)
            if case.id in result["failed"] or case.id in unsound:
                continue
            if not healthy and result["failed"] and case.function in sharp:
                continue
            patience = PATIENCE_WITH_PROGRAMS if healthy or case.program else PATIENCE
            verdict = self._verdict(case.item, patience)
            if verdict in result:
                result[verdict].append(case.id)
            if verdict == "hung":
                result["failed"].append(case.id)
            if verdict in ("failed", "hung"):
                sharp.add(case.function)
            if not healthy and (len(result["hung"]) >= MOST_HANGS or crowded()):
                break
        return result

    def _works(self) -> bool:
        """Whether a coroutine that awaits a future and a task runs: where not, what fails says nothing."""
        steps: list[str] = []

        async def inner() -> None:
            steps.append("inner")

        async def outer(loop: Any) -> None:
            future = loop.create_future()
            loop.call_soon(future.set_result, "done")
            await future
            await loop.create_task(inner())
            steps.append("outer")

        signal.setitimer(signal.ITIMER_REAL, PATIENCE, AGAIN)
        try:
            loop = self.target.make_loop()
            loop.run_until_complete(outer(loop))
            loop.close()
        except (Exception, Hung):
            steps.clear()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            forget_policy()
        return steps == ["inner", "outer"]

    def _sharp_cases(self) -> set[str]:
        found: set[str] = set()
        for path in self._folder.glob("*.json"):
            if not path.name.startswith(HEALTHY.name):
                found |= functions(json.loads(path.read_text(encoding="utf-8"))["failed"])
        return found

    @functools.cached_property
    def _unsound_cases(self) -> set[str]:
        """What fails on a healthy loop, by a bug of the interpreter's, say: it catches nothing."""
        found: set[str] = set()
        for claim in self._folder.glob(f"{HEALTHY.name}*.claim"):
            result = claim.with_suffix(".json")
            while not result.exists():
                time.sleep(LOOK)
            found.update(json.loads(result.read_text(encoding="utf-8"))["failed"])
        return found

    def _verdict(self, item: pytest.Item, patience: float) -> str:
        outcomes = self._outcomes = []
        signal.setitimer(signal.ITIMER_REAL, patience, AGAIN)
        try:
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        except Hung:
            item.session._setupstate.teardown_exact(None)
            return "hung"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if not outcomes:
            return "nothing"
        if "Hung" in outcomes[-1]["message"]:
            return "hung"
        return {"pass": "passed", "fail": "failed"}.get(outcomes[-1]["verdict"], "nothing")

    @pytest.fixture(name="target")
    def current_target(self) -> Target:
        """The target whose turn it is; the harness's own lives for a session."""
        return self.target


def _hang(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Hung


@functools.cache
def _source(function: Any) -> str:
    return inspect.getsource(function)


def _text(item: pytest.Item) -> str:
    if not isinstance(item, pytest.Function):
        return ""
    function = inspect.unwrap(item.obj)
    text = _source(function)
    known = vars(item.module)
    named = [known[name] for name in function.__code__.co_names if inspect.isfunction(known.get(name))]
    return "\n".join([text, *map(_source, named), *item.fixturenames])


def _let_go(session: pytest.Session) -> None:
    """Keep the garbage collector, which runs after every case, from going through all that went before."""
    terminal: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    terminal.stats.clear()
    gc.collect()
    gc.freeze()


def starts_programs(item: pytest.Item) -> bool:
    """Whether the case runs child interpreters, which takes a hundred times as long as others."""
    return isinstance(item, pytest.Function) and "run_program" in item.fixturenames


def rules(catalogue: Any, target: Target) -> Rules:
    """The rules of a run against ``target`` with the interpreter's own profile."""
    return Rules.of(catalogue, profile_version(), target, {})


def crowded() -> bool:
    """Whether what careless loops have left fills this process."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    except OSError:
        # Other systems do not tell; they have other limits.
        pages = 0
    return threading.active_count() > MOST_THREADS or pages * os.sysconf("SC_PAGE_SIZE") > MOST_MEMORY


def breadth_first(cases: Iterable[Case]) -> list[Case]:
    """The first variant of every function, then the second ones …: a fault that shows at all shows in most of them."""
    seen: Counter[str] = Counter()
    turns: list[tuple[int, Case]] = []
    for case in cases:
        turns.append((seen[case.function], case))
        seen[case.function] += 1
    return [case for _, case in sorted(turns, key=lambda turn: turn[0])]


def functions(cases: Iterable[str]) -> set[str]:
    """The ids without their variants."""
    return {case.partition("[")[0] for case in cases}


def main(folder: Path, faults: str, number: str) -> None:
    """One process: collect, then take targets until none is left."""
    own = folder / f"process-{number}"
    own.mkdir(exist_ok=True)
    driver = Driver(folder, faults, number)
    rules(load(), driver.target).write(own / RULES)
    line = [str(CASES), "-c", os.devnull, f"--rootdir={CASES.parent.parent}", "-p", "conformance.harness.plugin"]
    line += [part for plugin in UNWANTED_PLUGINS for part in ("-p", f"no:{plugin}")]
    line += ["-p", "xdist.plugin", "-qq", "--tb=no", "-rN", "--target", HEALTHY.target, "--conformance-run", str(own)]
    status = pytest.main(line, plugins=[driver])
    # A careless loop may have left threads that never end; everything is written.
    os._exit(0 if status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) else 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
