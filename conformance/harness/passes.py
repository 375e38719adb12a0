"""One pass: a set of cases run to a verdict each, in pytest processes that may die on the way.

A pass asks the run's warm process to run what is left to do, follows the journal, and asks again for as long as that
makes progress: a worker that dies costs the case that it was running, a process that dies costs nothing more. Without
workers, and where no process can be forked, each round is a pytest process of its own (with xdist's workers, if any).
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict, deque
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import field, frozen, mutable

from conformance.harness.bytecode import folder_for
from conformance.harness.children import environment
from conformance.harness.containment import BUDGET, WARM_UP, describe_status, examine
from conformance.harness.interruption import Interrupted
from conformance.harness.journal import JournalReader
from conformance.harness.lastwords import ASKED, OVERTIME
from conformance.harness.naming import CASES, ROOT, case_id
from conformance.harness.narrowing import places_of
from conformance.harness.options import START_TIMEOUT, usable_cpus
from conformance.harness.selection import COLLECTED, ONLY, RULES
from conformance.harness.serving import LAST_WORDS, Request
from conformance.harness.warm import CAN_FORK, WarmProcess
from conformance.harness.worker import BROKE
from reports.model import Verdict
from reports.text import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from conformance.harness.containment import Death
    from conformance.harness.selection import Rules

LOOK = 0.02
"""Seconds between two looks at the journal: not seen by a person, not felt by the machine."""

GRACE = 1.0
"""Seconds that pytest gets to end by itself once every case has its verdict; targets keep processes alive at exit."""

SUSPICION = 1.0
"""Seconds before the end of the warm process in which the case that ended it may have begun."""
MOST_SUSPECTS = 50
"""Cases of a worker that are tried alone then: each takes some hundredths of a second."""

STARTUP = 240.0
"""Seconds within which pytest must have collected: ten on a quiet machine when it compiles the suite, and a minute has
been seen on a loaded one."""

TEMPORARY = "tmp"
BYTECODE = "bytecode"
"""Beside the folders of a run's passes: for the compiled suite, where it can be kept nowhere beyond the run."""

ROOM = 64 * 1024
"""Bytes that must find room in the run's folder for it to be of use: a verdict with its story, and a case's files."""

NO_ROOM = tuple(os.strerror(getattr(errno, name)) for name in ("ENOSPC", "EDQUOT") if hasattr(errno, name))
"""What the system says to a case that finds no room for its files."""

QUIET = 1.0
"""Seconds without any event after which the run looks whether its folder is still there."""

SILENCE = 30.0
"""Seconds beyond the longest budget without any event before a process counts as hung; the watch fires long before."""

INTERRUPTED = "interrupted"
"""Why a pass is cut that the user or the system asked to stop."""

UNWANTED_PLUGINS = (
    "cacheprovider", "doctest", "faulthandler", "junitxml", "legacypath", "logging", "pastebin", "setuponly",
    "setupplan", "stepwise", "subtests", "threadexception", "unraisableexception", "warnings",
)  # fmt: skip
"""pytest's own plugins that do over again, per case, what the harness does, or that no case uses."""


@frozen
class Collected:
    """A case that pytest found."""

    id: str
    node: str
    requirements: tuple[str, ...]
    file: str
    """path below the ``cases`` folder"""
    line: int
    budget: float | None

    @classmethod
    def read(cls, entry: dict[str, Any]) -> Collected:
        """From what the worker wrote."""
        return cls(**{**entry, "requirements": tuple(entry["requirements"])})


@frozen
class Execution:
    """One case, executed once: it came to an outcome, or its worker died."""

    case: str
    outcome: dict[str, Any] | None
    death: Death | None
    seconds: float
    decides: bool = False
    """whether it stands, whatever other attempts say"""


@mutable
class PassResult:
    """What a pass brought. ``cut`` says why it is not whole."""

    collected: dict[str, Collected] = field(factory=dict)
    executions: dict[str, Execution] = field(factory=dict)
    reported_collection: bool = False
    """whether pytest got as far as telling what it collected"""
    cut: str = ""
    log: str = ""
    """the last lines that pytest printed, where the pass is not whole"""
    stillborn: str = ""
    """how a worker ended that died when the target made its first two loops in it, if one did"""
    longest: float = 0.0
    """the largest budget that a case claims for itself, in seconds"""

    def collect(self, entries: Iterable[dict[str, Any]]) -> None:
        """These cases were collected, as a worker wrote them down."""
        found = [Collected.read(entry) for entry in entries]
        self.collected = {case.id: case for case in found}
        self.longest = max((case.budget or 0.0 for case in found), default=0.0)


@frozen
class PassPlan:
    """What a pass is to do."""

    folder: Path
    target: str
    api: str | None
    profile: str | None
    workers: int | None
    """0 for none; None for as many as keep the machine busy"""
    rules: Callable[[], Rules]
    """asked once pytest has been started, which is time to find them out in"""
    keyword: str | None = None
    areas: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()
    suite: Path = CASES
    budget: float = BUDGET
    start_timeout: float = START_TIMEOUT
    only: tuple[str, ...] | None = None
    """ids of cases, with or without variant; None stands for all"""
    warm: WarmProcess = field(factory=WarmProcess)
    """the run's warm process, which all its passes share"""
    rest: Callable[[float], None] = time.sleep
    """sleeps for so many seconds; raises Interrupted when the run is to end"""

    @property
    def temporary(self) -> Path:
        """The folder that cases and targets have for their temporary files; it goes with the run."""
        return self.folder.parent / TEMPORARY

    @property
    def forks(self) -> bool:
        """Whether workers are forked from the warm process."""
        return CAN_FORK and self.workers != 0


class Unusable(Exception):
    """Nothing can be written into the run's folder any longer; the message says why."""


def why_unusable(folder: Path) -> str:
    """Why nothing can be written into ``folder`` any longer; empty where it can."""
    path = folder / "room"
    try:
        path.write_bytes(bytes(ROOM))
        path.unlink()
    except FileNotFoundError:
        return f"the run's own folder {folder} was removed"
    except OSError as problem:
        return f"the run's own folder {folder} cannot be written to ({reason(problem)})"
    return ""


def check_usable(folder: Path) -> None:
    """Raise Unusable unless there is room in ``folder``: what breaks without is nobody's fault."""
    if why := why_unusable(folder):
        raise Unusable(why)


def run_pass(
    plan: PassPlan,
    started: Callable[[str], None],
    finished: Callable[[Execution, Collected], None],
    counted: Callable[[int], None] = lambda _count: None,
) -> PassResult:
    """Run the plan's cases to a verdict each; tell every start and every end as it happens."""
    result = PassResult()
    try:
        _run_rounds(plan, result, started, finished, counted)
    except (Interrupted, KeyboardInterrupt):
        result.cut = INTERRUPTED
    except Unusable as problem:
        result.cut = str(problem)
    except OSError as problem:
        # What has become of the folder says more than what the system refused.
        result.cut = why_unusable(plan.folder) or f"the system refused what the run needs: {reason(problem)}"
    return result


def _run_rounds(
    plan: PassPlan,
    result: PassResult,
    started: Callable[[str], None],
    finished: Callable[[Execution, Collected], None],
    counted: Callable[[int], None],
) -> None:
    """Run rounds for as long as they get on."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    only: Sequence[str] | None = plan.only
    suspects: tuple[str, ...] = ()
    for number in itertools.count():
        folder = plan.folder / f"round-{number}"
        folder.mkdir()
        alone, chosen = bool(suspects), suspects[:1] or only
        if chosen is not None:
            (folder / ONLY).write_text(json.dumps(list(chosen)), encoding="utf-8")
        before = len(result.executions)
        follower = _Round(plan, folder, chosen, result, started, finished, counted, alone=alone)
        follower.follow()
        suspects = (*suspects[1:], *follower.suspects)
        left = [identifier for identifier in result.collected if identifier not in result.executions]
        if not left:
            break
        if len(result.executions) == before and not suspects:
            check_usable(folder)
            result.log = _tail(folder / "log")
            last = result.log.rpartition("\n")[2]
            result.cut = f"pytest ended before {len(left)} of {len(result.collected)} cases had a verdict: {last}"
            return
        only = left
    if not result.collected:
        check_usable(folder)
        result.log = _tail(folder / "log")


class _Round:
    """A part of a pass, followed to its end.

    Where more breaks than the worker that runs a case - the warm process dies, or pytest itself fails in the worker -
    the case may be as innocent as those that ran beside or before it. All of them are ``suspects`` then, and each runs
    once more in a round of its own, ``alone``. What breaks there is its own doing.
    """

    def __init__(
        self,
        plan: PassPlan,
        folder: Path,
        only: Sequence[str] | None,
        result: PassResult,
        started: Callable[[str], None],
        finished: Callable[[Execution, Collected], None],
        counted: Callable[[int], None],
        *,
        alone: bool,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._only = only
        self._result = result
        self._started = started
        self._finished = finished
        self._counted = counted
        self._alone = alone
        self._began: dict[str, float] = {}
        self._recent: dict[str, deque[tuple[float, str]]] = defaultdict(partial(deque, maxlen=MOST_SUSPECTS))
        """worker → the last cases that it began, and when"""
        self._asked = ""
        """the case whose process was asked for its last words"""
        self.suspects: dict[str, None] = {}

    def follow(self) -> None:
        if self._plan.forks:
            self._follow_warm()
        else:
            self._follow_own()

    def _follow_warm(self) -> None:
        """Have the run's warm process serve the round. It lives on, unless it got stuck."""
        plan, warm = self._plan, self._plan.warm
        places = where(plan, self._only)
        if not warm.covers(places):
            line = [*command(plan, places), *_target(plan)]
            warm.start(line, places, environment(plan.temporary), self._folder)
        # It collects while the rules are found out.
        plan.rules().write(self._folder / RULES)
        workers = 1 if self._alone else plan.workers
        Request(plan.target, plan.api, plan.profile, workers, plan.areas, plan.pages).write(self._folder)
        reader = JournalReader(self._folder / "journal")
        is_over = False
        try:
            warm.ask(self._folder)
            is_over = self._watch(lambda: warm.is_alive, reader)
        finally:
            reader.close()
            if is_over:
                warm.forget_workers()
            else:
                warm.end()
        if not is_over:
            self._suspect()

    def _suspect(self) -> None:
        """The warm process ended: the cases that its workers were at, or had just left, are to be tried alone."""
        check_usable(self._folder)
        # A process that was killed dies once it gets a processor, and its workers go on meanwhile.
        since = max((begun[-1][0] for begun in self._recent.values()), default=0.0) - SUSPICION
        recent = (node for begun in self._recent.values() for when, node in begun if when >= since)
        for identifier in dict.fromkeys(map(case_id, recent)):
            if self._alone:
                message = "the process that watches over the workers ended or hung when this case ran"
                self._refuse(identifier, message, Verdict.CRASH)
            else:
                self._result.executions.pop(identifier, None)
                self.suspects[identifier] = None

    def _follow_own(self) -> None:
        """Run the round in a pytest process of its own."""
        plan = self._plan
        reader = JournalReader(self._folder / "journal")
        # xdist starts its workers without -P: they would run a module of the current folder as one of their own.
        safe = {} if plan.workers == 0 else {"PYTHONSAFEPATH": "1"}
        with (self._folder / "log").open("wb") as log:
            process = subprocess.Popen(
                own_command(plan, self._folder, self._only),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(plan.temporary) | safe,
                start_new_session=True,
            )
        overdue = False

        def is_in_time() -> bool:
            # The process watches over its case itself; one that is stopped, or whose watch is made to fail, does not.
            nonlocal overdue
            overdue = plan.workers == 0 and self._is_overdue(process)
            return not overdue and process.poll() is None

        try:
            plan.rules().write(self._folder / RULES)
            self._watch(is_in_time, reader)
        finally:
            _end(process)
            reader.close()
        if plan.workers == 0:
            self._bury("main", process.returncode, overdue=overdue)

    def _is_overdue(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the case that runs goes on although its own watch should have ended it, and last words were asked."""
        if not self._began:
            return False
        node = next(reversed(self._began))
        if case_id(node) in self._result.executions:
            return False
        over = time.monotonic() - self._began[node] - self._budget_of(node)
        if over > 0 and self._asked != node and ASKED is not None:
            self._asked = node
            with contextlib.suppress(OSError):
                process.send_signal(ASKED)
        return over > OVERTIME + LAST_WORDS

    def _watch(self, is_alive: Callable[[], bool], reader: JournalReader) -> bool:
        """Follow the journal; whether the warm process says that the round is over."""
        last_event = time.monotonic()
        done_at: float | None = None
        while True:
            alive = is_alive()
            for event in reader.read():
                last_event = time.monotonic()
                if event["event"] == "done":
                    self._read_collected()
                    return True
                self._take(event)
            if not alive:
                self._read_collected()
                return False
            now = time.monotonic()
            if now - last_event > QUIET and not self._folder.is_dir():
                check_usable(self._folder)
            if self._is_done():
                done_at = done_at or now
                if now - done_at > GRACE:
                    return False
            if now - last_event > self._patience():
                return False
            try:
                self._plan.rest(LOOK)
            except Interrupted:
                self._take_rest(reader)
                raise

    def _take_rest(self, reader: JournalReader) -> None:
        """What came to a verdict since the last look counts, although nobody looks again."""
        self._read_collected()
        for event in reader.read():
            if event["event"] in ("finished", "forked"):
                self._take(event)

    def _patience(self) -> float:
        if not self._result.collected:
            return STARTUP
        return max(self._plan.budget, self._result.longest) + SILENCE

    def _is_done(self) -> bool:
        return bool(self._result.collected) and len(self._result.executions) >= len(self._result.collected)

    def _read_collected(self) -> None:
        path = self._folder / COLLECTED
        if self._result.collected or not path.exists():
            return
        self._result.reported_collection = True
        self._result.collect(json.loads(path.read_text(encoding="utf-8")))
        self._counted(len(self._result.collected))

    def _take(self, event: dict[str, Any]) -> None:
        if event["event"] == "forked":
            self._plan.warm.note(event["pid"])
            return
        self._read_collected()
        node = event["node"]
        if event["event"] == "started":
            self._began[node] = time.monotonic()
            self._recent[event["worker"]].append((self._began[node], node))
            self._started(case_id(node))
        elif event["event"] == "finished":
            self._settle(node, outcome=event)
        elif event["event"] == "copied":
            self._refuse_copy(node)
        elif event["event"] == "died":
            self._bury(event["worker"], event["status"], overdue=event.get("overdue", False))

    def _bury(self, worker: str, status: int | None, *, overdue: bool = False) -> None:
        """A worker died: the case whose place it left behind gets the verdict; a case it only had waiting gets none."""
        death = examine(self._folder, worker, status, self._budget_of, overdue=overdue)
        if death.node == WARM_UP:
            self._result.stillborn = describe_status(status)
        if death.node in ("", WARM_UP):
            return
        check_usable(self._folder)
        if status == BROKE and not self._alone:
            self.suspects[case_id(death.node)] = None
        else:
            self._settle(death.node, death=death)

    def _refuse_copy(self, node: str) -> None:
        """A copy of a worker came back from the case; the original may have come back as well, with any verdict."""
        message = "the process was forked, and the copy came back from the case as if it were the process itself"
        self._refuse(case_id(node), message, Verdict.FAIL)

    def _refuse(self, identifier: str, message: str, verdict: Verdict) -> None:
        """Give the case a verdict that stands whatever it said itself."""
        case = self._result.collected.get(identifier)
        if case is None:
            return
        outcome: dict[str, Any] = {"verdict": verdict.value, "message": message, "findings": []}
        execution = Execution(identifier, outcome, None, 0.0, decides=True)
        self._result.executions[identifier] = execution
        self._finished(execution, case)

    def _budget_of(self, node: str) -> float:
        case = self._result.collected.get(case_id(node)) if node else None
        return self._plan.budget if case is None or case.budget is None else case.budget

    def _settle(self, node: str, outcome: dict[str, Any] | None = None, death: Death | None = None) -> None:
        identifier = case_id(node)
        case = self._result.collected.get(identifier)
        if case is None or identifier in self._result.executions:
            return
        if outcome is not None:
            if any(words in outcome["message"] or words in outcome["details"] for words in NO_ROOM):
                check_usable(self._folder)
            seconds = float(outcome["seconds"])
        else:
            seconds = round(time.monotonic() - self._began.get(node, time.monotonic()), 3)
        execution = Execution(identifier, outcome, death, seconds)
        self._result.executions[identifier] = execution
        self._finished(execution, case)


def command(plan: PassPlan, places: Sequence[str]) -> list[str]:
    """The pytest command line that collects ``places``: that of the warm process, and the beginning of all others."""
    line = [sys.executable, "-P", "-m", "pytest", *places, "-c", os.devnull, f"--rootdir={ROOT}"]
    line += ["-p", "conformance.harness.plugin", "-q", "--tb=short", "--strict-markers"]
    line += [part for plugin in UNWANTED_PLUGINS for part in ("-p", f"no:{plugin}")]
    line += ["--conformance-cases", str(plan.suite), "--case-budget", str(plan.budget)]
    line += ["--conformance-start-timeout", str(plan.start_timeout)]
    bytecode = folder_for(plan.suite, plan.folder.parent / BYTECODE)
    if bytecode is not None:
        line += ["--conformance-bytecode", str(bytecode)]
    if plan.forks or plan.workers == 0:
        # Nobody can talk to a debugger there, and to have one ready takes a tenth of pytest's start. xdist insists.
        line += ["-p", "no:debugging"]
    return line if plan.keyword is None else [*line, "-k", plan.keyword]


def own_command(plan: PassPlan, folder: Path, only: Sequence[str] | None = None) -> list[str]:
    """The pytest command line of a round that no warm process serves."""
    line = [*command(plan, where(plan, only)), *_target(plan), "--conformance-run", str(folder)]
    if plan.profile is not None:
        line += ["--profile", plan.profile]
    if plan.workers != 0:
        # A replaced worker costs half a second; how many a target kills is its own business.
        workers = usable_cpus() if plan.workers is None else plan.workers
        line += ["-p", "xdist.plugin", "-n", str(workers), "--max-worker-restart=1000000"]
    line += [f"--area={area}" for area in plan.areas]
    line += [f"--page={page}" for page in plan.pages]
    return line


def _target(plan: PassPlan) -> list[str]:
    return ["--target", plan.target, *([] if plan.api is None else ["--api", plan.api])]


def where(plan: PassPlan, only: Sequence[str] | None) -> list[str]:
    """The files and folders that hold what the round is to run: collecting them all takes longer than many cases."""
    return places_of(plan.suite, only=only, pages=plan.pages, areas=plan.areas, keyword=plan.keyword)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and every worker of its session; what it had to say is in the journal."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _tail(path: Path, lines: int = 15) -> str:
    try:
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError:
        return ""
