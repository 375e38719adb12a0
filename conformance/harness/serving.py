"""The warm process: pytest that has collected once and serves passes over what it collected, with forked workers.

Starting Python, importing pytest and collecting the suite take seconds; a fork takes milliseconds, and its memory is
shared until somebody writes to it. So one process collects, imports nothing of the target's, and forks a worker
wherever one is needed: for each pass, for each that died, for a target that lost what it needs. The workers take the
cases themselves and write to the journal themselves; this process only watches over them.

It is told what to do on a pipe, a line each: the folder of a pass, which holds its request. The pipe ends when the run
does, or when the run is killed; then every worker ends too.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import select
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import asdict, define, frozen

from conformance.harness.containment import STACKS_WANTED
from conformance.harness.crew import Crew
from conformance.harness.journal import JournalWriter
from conformance.harness.lastwords import ASKED, OVERTIME
from conformance.harness.orphans import adopt, children, end_all_but
from conformance.harness.selection import Selection, budget_of, tell_collected
from conformance.harness.worker import Assignment, Tickets, work

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from conformance.harness.plugin import CaseRunner

REQUEST = "request.json"
TAKEN = "taken"

LOOK = 0.01
"""Seconds between two looks at the workers: a dead one is replaced before anybody misses it."""

STILLBORN = 3
"""Workers that may die in a row without having taken a case, before nothing more is tried."""

LAST_WORDS = 1.0
"""Seconds that a worker gets to dump its stacks, once its case has gone on for too long."""


@frozen
class Request:
    """What a pass is to run, and on what."""

    target: str
    api: str | None
    profile: str | None
    workers: int | None
    """None stands for as many as keep the machine busy"""
    areas: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Leave it in the folder of the pass."""
        (folder / REQUEST).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Request:
        """What `write` left."""
        values = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
        return cls(**{**values, "areas": tuple(values["areas"]), "pages": tuple(values["pages"])})


class Control:
    """The pipe on which the run says what it wants."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._read = b""

    def line(self) -> str | None:
        """Wait for the next line; None once the run has ended."""
        while b"\n" not in self._read:
            piece = os.read(self._descriptor, 4096)
            if not piece:
                return None
            self._read += piece
        line, _, self._read = self._read.partition(b"\n")
        return line.decode()

    def ends_within(self, seconds: float) -> bool:
        """Whether the run goes away, asked during a pass, when it has nothing else to say."""
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    def close(self) -> None:
        """Let go of it, in a worker."""
        os.close(self._descriptor)


class Server:
    """The pytest plugin that serves passes where pytest would run the collected cases itself."""

    def __init__(self, control: int, runner: CaseRunner) -> None:
        """``control``: the descriptor to read from. ``runner`` runs cases, in the workers."""
        self._control = Control(control)
        self._runner = runner

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        if session.testsfailed:
            # The suite cannot be collected: pytest says so in its own way.
            return
        # Nothing that is here now is garbage, and a collection would write to every page that the workers share.
        gc.collect()
        gc.disable()
        if hasattr(gc, "freeze"):
            gc.freeze()
        adopt()
        while (folder := self._control.line()) is not None:
            _Pass(Path(folder), session, self._control, self._runner).follow()
        end_all_but(())
        # Everything is said; to take down what was collected would take half a second.
        os._exit(0)


@define
class _Worker:
    """A forked process, and the case that it stands at."""

    name: str
    pid: int
    place: Path
    seen: int = 0
    """when its place was written last, by the file system's clock"""
    since: float = 0.0
    """when that was noticed"""
    budget: float = math.inf
    """seconds that it may stay there"""
    asked: bool = False
    """whether it was asked for its last words"""
    overdue: bool = False
    """whether it was told to end"""


class _Pass:
    """One pass over some of the collected cases."""

    def __init__(self, folder: Path, session: pytest.Session, control: Control, runner: CaseRunner) -> None:
        self._folder, self._session, self._control, self._runner = folder, session, control, runner
        request = Request.read(folder)
        selection = Selection.of(folder, request.areas, request.pages)
        chosen = [item for item in session.items if selection.wants(item)]
        tell_collected(folder, chosen, runner.suite)
        self._budgets = {item.nodeid: budget_of(item, runner.budget) for item in chosen}
        self._tickets = Tickets(folder / TAKEN, len(chosen))
        self._assignment = Assignment(
            folder, request.target, request.api, request.profile, selection, longest_first(chosen), self._tickets
        )
        self._journal = JournalWriter(folder / "journal")
        self._crew = Crew(request.workers)
        self._elders = children()
        """what was there before the pass, such as the process that probes"""
        self._workers: list[_Worker] = []
        self._forked = 0
        self._barren = 0
        self._left = len(chosen)

    def follow(self) -> None:
        """Watch over workers until every case was taken and every worker has ended."""
        try:
            while self._fill():
                if self._control.ends_within(LOOK):
                    return
                for worker in list(self._workers):
                    self._look_at(worker)
        finally:
            for worker in self._workers:
                end_group(worker.pid)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(worker.pid, 0)
            end_all_but(self._elders)
        self._journal.write("done")

    def _fill(self) -> bool:
        """Have as many workers as the machine can use; False when there is none to wait for."""
        left = self._tickets.left()
        if left < self._left:
            self._left, self._barren = left, 0
        if self._barren < STILLBORN:
            for _ in range(min(self._crew.wanted(left), left + len(self._workers)) - len(self._workers)):
                self._fork()
        return bool(self._workers)

    def _fork(self) -> None:
        name = f"w{self._forked}"
        self._forked += 1
        pid = os.fork()
        if pid == 0:
            self._control.close()
            work(name, self._assignment, self._session.config, self._runner)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        self._journal.write("forked", pid=pid)
        self._workers.append(_Worker(name, pid, self._folder / f"{name}.place"))

    def _look_at(self, worker: _Worker) -> None:
        pid, status = os.waitpid(worker.pid, os.WNOHANG)
        if pid:
            self._workers.remove(worker)
            self._bury(worker, os.waitstatus_to_exitcode(status))
            return
        try:
            written = worker.place.stat().st_mtime_ns
        except OSError:
            return
        now = time.monotonic()
        if written != worker.seen:
            worker.seen, worker.since, worker.budget = written, now, self._budget_at(worker)
            worker.asked = False
            return
        over = now - worker.since - worker.budget
        if over > OVERTIME + LAST_WORDS:
            end_group(worker.pid)
        elif over > 0 and not worker.asked:
            worker.asked = True
            if ASKED is not None:
                with contextlib.suppress(OSError):
                    os.kill(worker.pid, ASKED)
        elif over > OVERTIME and not worker.overdue:
            worker.overdue = True
            with contextlib.suppress(OSError):
                os.kill(worker.pid, STACKS_WANTED)
                # One that was stopped hears nothing else.
                os.kill(worker.pid, signal.SIGCONT)

    def _budget_at(self, worker: _Worker) -> float:
        """The seconds that the worker may stay where it is: in a case, or on the way to one."""
        return self._budgets.get(read_place(worker), self._runner.start_budget)

    def _bury(self, worker: _Worker, status: int) -> None:
        """Tell of a worker that died; one that took its last case and ended is not worth a word."""
        end_group(worker.pid)
        # Its successor is to find the machine as it found it: no port, no processor taken by what it left.
        end_all_but(self._elders | {one.pid for one in self._workers})
        node = read_place(worker)
        if node or status != 0:
            self._barren += 1
            self._journal.write("died", node=node, worker=worker.name, status=status, overdue=worker.overdue)


def longest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The items with those first that take long, so that no worker ends alone with one of them."""
    return sorted(items, key=lambda item: -expected_rank(item))


def expected_rank(item: pytest.Item) -> int:
    """How long the item may take: 2 with a budget of its own, 1 when it starts an interpreter, 0 otherwise."""
    if item.get_closest_marker("budget") is not None:
        return 2
    return int("run_program" in getattr(item, "fixturenames", ()))


def read_place(worker: _Worker) -> str:
    """The node id of the case that the worker stands at; empty where there is none."""
    try:
        return worker.place.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def end_group(pid: int) -> None:
    """End a worker, if it still runs, and the children that it left in its process group."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(pid, signal.SIGKILL)
