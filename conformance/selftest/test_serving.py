"""The warm process and its workers: who takes which case, how many there are, and that none outlives the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.harness import crew
from conformance.harness.crew import Crew, at_rest
from conformance.harness.naming import ROOT
from conformance.harness.orphans import children as children_of
from conformance.harness.warm import CAN_FORK
from conformance.harness.worker import Tickets
from conformance.selftest.running import Unwatched, case_of, is_whole, run_suite, verdicts
from reports.model import Verdict

if TYPE_CHECKING:
    from reports.model import CaseResult

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="workers cannot be forked here")

GENEROUS = 30.0
"""Seconds for what takes a tenth of one on a quiet machine."""


def test_each_ticket_is_taken_once_whoever_takes_it(tmp_path: Path) -> None:
    tickets = Tickets(tmp_path / "taken", 400)
    taken: list[int] = []

    def take() -> None:
        while (number := tickets.take()) is not None:
            taken.append(number)

    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert sorted(taken) == list(range(400))
    assert tickets.left() == 0


def test_a_fixed_number_of_workers_is_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "LOOK", 0.0)
    monkeypatch.setattr(crew, "cpu_ticks", iter([(0, 0, 0, 0, 0), (0, 0, 0, 100, 0)]).__next__)
    assert Crew(3, cpus=2).wanted(left=1000) == 3


def test_a_machine_at_rest_gets_another_worker_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "LOOK", 0.0)
    monkeypatch.setattr(crew, "cpu_ticks", ((0, 0, 0, 100 * look, 0) for look in range(100)).__next__)
    restless = Crew(None, cpus=2)
    assert [restless.wanted(left=1000) for _ in range(6)] == [3, 4, 5, 6, 6, 6]


def test_a_busy_machine_and_few_cases_get_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "LOOK", 0.0)
    monkeypatch.setattr(crew, "cpu_ticks", ((90 * look, 0, 0, 10 * look, 0) for look in range(100)).__next__)
    assert Crew(None, cpus=2).wanted(left=1000) == 2
    monkeypatch.setattr(crew, "cpu_ticks", ((0, 0, 0, 100 * look, 0) for look in range(100)).__next__)
    assert Crew(None, cpus=2).wanted(left=5) == 2


def test_a_system_that_does_not_tell_its_load_is_taken_to_be_busy() -> None:
    assert at_rest((), ()) == 0.0


def is_gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has reaped counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class LooksAtProcesses(Unwatched):
    """Notes the warm process and its workers when the first case comes to a verdict; may end or stop a worker."""

    def __init__(self, number: int = 0) -> None:
        self.seen: set[int] = set()
        self._number = number

    def finished(self, result: CaseResult) -> None:
        if self.seen or result.verdict is not Verdict.PASS:
            return
        (warm,) = children_of(os.getpid())
        workers = children_of(warm)
        self.seen = {warm, *workers}
        if self._number:
            for worker in workers:
                os.kill(worker, self._number)


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_no_process_outlives_the_run() -> None:
    watcher = LooksAtProcesses()
    report = run_suite("small", "fixtures.faulty.hangs:in_python", workers=2, watcher=watcher)
    assert is_whole(report)
    assert len(watcher.seen) > 1
    assert all(map(is_gone, watcher.seen))


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_worker_that_is_stopped_costs_the_case_it_runs() -> None:
    watcher = LooksAtProcesses(signal.SIGSTOP)
    report = run_suite("small", "fixtures.faulty.hangs:in_python", workers=1, watcher=watcher)
    assert is_whole(report)
    broken = case_of(report, "the_exception_handler_can_be_set")
    assert broken.verdict is Verdict.TIMEOUT
    assert sorted(verdicts(report).values()) in (
        ["pass", "pass", "pass", "timeout"],
        # The signal may come between two cases, or in one that has all but ended.
        ["pass", "pass", "timeout", "timeout"],
    )


class CountsWorkers(Unwatched):
    """Notes every process that is seen to run cases."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def started(self, case: str) -> None:
        assert case
        for warm in children_of(os.getpid()):
            self.seen |= children_of(warm)


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_worker_that_holds_too_much_gives_way_to_a_fresh_one() -> None:
    # Otherwise the later cases would fail for what the earlier ones left.
    watcher = CountsWorkers()
    report = run_suite(
        "small", "fixtures.faulty.leaks:so_many_descriptors_that_they_run_out", workers=1, watcher=watcher
    )
    assert set(verdicts(report).values()) == {"pass"}
    # One for each case; and there is the process that probed, and perhaps the next worker.
    assert len(watcher.seen) > 4


KILLED_RUN = """
import os, signal
from conformance.selftest.running import Unwatched, run_suite
from conformance.harness.orphans import children as children_of

class Dies(Unwatched):
    def started(self, case):
        if "exception_handler" in case:
            (warm,) = children_of(os.getpid())
            print(warm, *children_of(warm), flush=True)
            os.kill(os.getpid(), NUMBER)

try:
    run_suite("small", "fixtures.faulty.hangs:in_a_select_that_never_returns", workers=2, watcher=Dies())
finally:
    print("reported", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_run_that_is_killed_takes_its_processes_along(number: signal.Signals) -> None:
    program = KILLED_RUN.replace("NUMBER", str(int(number)))
    line = [sys.executable, "-c", program]
    done = subprocess.run(line, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=GENEROUS, check=False)
    words = done.stdout.split()
    assert done.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    assert ("reported" in words) == (number != signal.SIGKILL)
    pids = [int(word) for word in words if word.isdigit()]
    assert len(pids) > 1
    deadline = time.monotonic() + GENEROUS
    while not all(map(is_gone, pids)):
        assert time.monotonic() < deadline, "a process of a killed run goes on"
        time.sleep(0.01)
