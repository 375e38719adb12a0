"""No loop costs a run more than the case that it breaks: hangs, crashes, exits, and factories that give no loop."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conformance.harness.containment import BUDGET as DEFAULT_BUDGET
from conformance.harness.containment import describe_status, examine, start_clean
from conformance.harness.lastwords import ASKED, LastWords
from conformance.harness.naming import ROOT
from conformance.selftest.running import BUDGET, Unwatched, case_of, is_whole, leaks, run_suite, verdicts
from conformance.target import TargetError
from fixtures.faulty.flaky import STATE
from reports.model import Verdict, exit_code

if TYPE_CHECKING:
    from reports.model import CaseResult

BROKEN = "the_exception_handler_can_be_set"
"""The one case of the small suite that sets off a faulty loop."""

OTHERS = {"callbacks_run_in_order": "pass", "a_timer_fires": "pass", "the_loop_runs_again": "pass"}

# A loaded machine has been seen to take ten seconds to start the processes of one run.
GENEROUS = 60.0

DID_NOT_END = f"did not end within its {BUDGET:g} s"

FAULTY = [
    ("hangs:with_the_gil_held", "timeout", DID_NOT_END, "fixtures/faulty/hangs.py"),
    ("hangs:deaf_with_the_gil_held", "timeout", f"{DID_NOT_END}: in wait (hangs.py:", "fixtures/faulty/hangs.py"),
    ("hangs:in_a_select_that_never_returns", "timeout", DID_NOT_END, "fixtures/faulty/hangs.py"),
    ("hangs:in_python", "timeout", DID_NOT_END, "in spin"),
    ("hangs:when_closed", "timeout", DID_NOT_END, "in close"),
    ("crashes:with_a_segmentation_fault", "crash", "the process died: killed by SIGSEGV", "Segmentation fault"),
    ("crashes:with_an_abort", "crash", "the process died: killed by SIGABRT", "Aborted"),
    ("crashes:with_a_kill", "crash", "the process died: killed by SIGKILL", ""),
    ("crashes:allocates_without_end", "fail", "MemoryError", "in allocate"),
    ("exits:at_once", "crash", "the process died: exited with status 7", ""),
    ("exits:with_success", "crash", "the process died: exited with status 0", ""),
    ("exits:with_system_exit", "fail", "SystemExit came out of the case", "in <lambda>"),
    ("exits:with_system_exit_in_a_callback", "fail", "SystemExit came out of the case", "in fail"),
    ("exits:with_a_keyboard_interrupt", "fail", "KeyboardInterrupt came out of the case", "in fail"),
]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("fault", "verdict", "message", "details"), FAULTY, ids=[fault for fault, *_ in FAULTY])
def test_a_fault_costs_one_case_and_tells_its_story(
    fault: str, verdict: str, message: str, details: str, workers: int
) -> None:
    report = run_suite("small", f"fixtures.faulty.{fault}", workers=workers)
    assert verdicts(report) == {**OTHERS, BROKEN: verdict}
    assert is_whole(report)
    assert exit_code(report) == 1
    broken = case_of(report, BROKEN)
    assert message in broken.message
    assert details in broken.details
    assert broken.control is Verdict.PASS
    assert broken.source is not None
    assert "def test_the_exception_handler_can_be_set" in broken.source.code


WAITING = {
    "a_future_that_never_comes": (
        "while 2 tasks wait, the first in test_a_future_that_never_comes (test_waiting.py:21)",
        ["in test_a_future_that_never_comes", "Task helper (most recent call first):", "in take"],
    ),
    "on_a_loop_of_its_own": (
        "while a task waits in take (test_waiting.py:15)",
        ["in test_on_a_loop_of_its_own", "in take", "in main"],
    ),
    "in_a_callback": ("in wait (threading.py:", ["in test_in_a_callback"]),
}
"""Case → what its message and its details say of where it waits."""


@pytest.mark.skipif(ASKED is None, reason="workers are asked by a signal")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("target", ["asyncio", "refloop"])
def test_a_case_that_waits_for_what_never_comes_tells_where_each_task_waits(target: str, workers: int) -> None:
    report = run_suite("waiting", target, workers=workers)
    assert is_whole(report)
    assert case_of(report, "nothing").verdict is Verdict.PASS
    for name, (place, words) in WAITING.items():
        case = case_of(report, name)
        assert case.attempts[0].verdict is Verdict.TIMEOUT
        assert place in case.message
        # In this order: the thread of the case, then its tasks.
        assert re.search(".*".join(map(re.escape, words)), case.details, re.DOTALL)
        assert "_pytest" not in case.details
        assert "frames of pytest and the harness" in case.details


@pytest.mark.skipif(ASKED is None, reason="workers are asked by a signal")
def test_a_case_that_is_not_overdue_does_not_hear_the_signal(tmp_path: Path) -> None:
    assert ASKED is not None
    before = signal.getsignal(ASKED)
    trace = tmp_path / "trace"
    trace.touch()
    words = LastWords(trace)
    try:
        words.prepare(GENEROUS, None)
        os.kill(os.getpid(), ASKED)
        words.prepare(0.0, None)
        words.forget()
        os.kill(os.getpid(), ASKED)
    finally:
        signal.signal(ASKED, before)
    assert trace.read_text() == ""


HOSTILE_TASKS = """
import asyncio, signal, sys
from pathlib import Path
from conformance.harness.lastwords import ASKED, LastWords

class Hostile(asyncio.Task):
    def get_coro(self):
        raise KeyboardInterrupt
    def __repr__(self):
        raise LookupError

async def main(words):
    loop = asyncio.get_running_loop()
    task = Hostile(asyncio.sleep(60), loop=loop)
    await asyncio.sleep(0)
    words.prepare(0.0, None)
    signal.raise_signal(ASKED)

asyncio.run(main(LastWords(Path(sys.argv[1]))))
"""


@pytest.mark.skipif(ASKED is None, reason="workers are asked by a signal")
def test_tasks_that_cannot_be_looked_at_cost_only_their_own_stacks(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.touch()
    done = subprocess.run([sys.executable, "-c", HOSTILE_TASKS, str(trace)], cwd=ROOT, timeout=GENEROUS, check=False)
    assert done.returncode == 1
    text = trace.read_text()
    assert text.startswith("Timeout (0 s)!")
    assert "in main" in text


@pytest.mark.parametrize("workers", [0, 2])
def test_a_process_that_cannot_exit_costs_nothing(workers: int) -> None:
    report = run_suite("small", "fixtures.faulty.hangs:at_interpreter_exit", workers=workers)
    assert verdicts(report) == {**OTHERS, BROKEN: "pass"}
    assert is_whole(report)
    assert exit_code(report) == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_a_close_that_fails_is_a_finding(workers: int) -> None:
    report = run_suite("small", "fixtures.faulty.closes:with_an_error", workers=workers)
    assert verdicts(report) == {**OTHERS, BROKEN: "pass"}
    assert "LookupError: cannot close" in leaks(report)["shutdown"]
    assert exit_code(report) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_a_process_that_dies_between_two_cases_costs_none(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STATE, str(tmp_path / "state"))
    report = run_suite("dying", "asyncio", workers=workers)
    assert verdicts(report) == {"healthy[1]": "pass", "healthy[2]": "pass", "healthy[3]": "pass"}
    assert is_whole(report)
    assert exit_code(report) == 0


class KillsPytest(Unwatched):
    """Kills the process that runs the cases, once, as soon as a case came to a verdict."""

    def __init__(self) -> None:
        self.killed = 0

    def finished(self, result: CaseResult) -> None:
        if not self.killed and result.verdict is Verdict.PASS:
            (child,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            os.killpg(int(child), signal.SIGKILL)
            self.killed += 1


@pytest.mark.skipif(sys.platform != "linux", reason="finds the process in /proc")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_pytest_process_that_is_killed_is_started_again(workers: int) -> None:
    watcher = KillsPytest()
    report = run_suite("small", "fixtures.faulty.hangs:in_python", workers=workers, watcher=watcher)
    assert watcher.killed == 1
    found = verdicts(report)
    # Without workers the kill may hit the process while it runs the case that hangs, and then that is its story.
    assert found.pop(BROKEN) in ("timeout", "crash", "flaky")
    assert found == OTHERS
    assert is_whole(report)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_case_that_interrupts_exits_or_dies_costs_no_other(workers: int) -> None:
    report = run_suite("misbehaving", "asyncio", workers=workers)
    found = {case.id.partition("::")[2]: case.attempts[0] for case in report.cases if case.attempts}
    assert {name: (attempt.verdict.value, attempt.message) for name, attempt in found.items()} == {
        "healthy_before": ("pass", ""),
        "interrupts": ("fail", "KeyboardInterrupt came out of the case"),
        "interrupts_in_a_coroutine": ("fail", "KeyboardInterrupt came out of the case"),
        "exits": ("fail", "SystemExit came out of the case"),
        "ends_the_process": ("crash", "the process died: exited with status 5"),
        "has_a_broken_fixture": ("error", "LookupError: the fixture is broken"),
        "has_a_fixture_that_breaks_afterwards": ("error", "LookupError: the fixture is broken afterwards"),
        "asks_for_too_much": ("fail", "running is False, expected 'always'"),
        "healthy_afterwards": ("pass", ""),
    }
    assert is_whole(report)


REFUSED = {
    "raises": "LookupError: no engine found",
    "returns_none": "returned None, which is no event loop",
    "returns_no_loop": "returned an object of class object, which is no event loop",
    "ends_the_process": "ended the process (exited with status 7)",
    "crashes": "ended the process (killed by SIGSEGV)",
    "hangs": "hung or took longer than 2 s; if it needs more, give --start-timeout",
    "works_once_in_a_process": "works once in a process and then ends it (exited with status 7)",
    "gives_a_loop_that_cannot_run": "Event loop is closed",
}


@pytest.mark.parametrize(("factory", "words"), REFUSED.items(), ids=REFUSED)
def test_a_factory_that_gives_no_working_loop_is_refused_in_one_sentence(factory: str, words: str) -> None:
    with pytest.raises(TargetError, match=re.escape(words)) as refused:
        run_suite("small", f"fixtures.faulty.factories:{factory}", workers=2, start_timeout=BUDGET)
    assert "\n" not in str(refused.value)
    assert f"fixtures.faulty.factories:{factory}" in str(refused.value)


def test_a_factory_that_fails_later_fails_the_cases_that_ask_for_a_loop() -> None:
    report = run_suite("small", "fixtures.faulty.factories:raises_from_the_fourth_on")
    assert verdicts(report) == {**dict.fromkeys([*OTHERS, BROKEN], "fail"), "callbacks_run_in_order": "pass"}
    assert "LookupError: no fourth loop" in case_of(report, BROKEN).message


INTERRUPTED_RUN = """
import json, os, signal, sys
from conformance.selftest.running import Unwatched, run_suite, verdicts
from reports.model import exit_code

class Tells(Unwatched):
    def started(self, case):
        print("started", case, flush=True)

if "deaf" in sys.argv:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
report = run_suite("small", "fixtures.faulty.hangs:in_a_select_that_never_returns", watcher=Tells())
print(json.dumps([report.complete, report.cut, verdicts(report), report.collected > 4, exit_code(report)]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize(
    ("number", "arguments"),
    [(signal.SIGINT, []), (signal.SIGTERM, []), (signal.SIGINT, ["deaf"])],
    ids=["SIGINT", "SIGTERM", "SIGINT in a parent that ignores it"],
)
def test_a_run_that_is_interrupted_reports_what_is_measured(number: int, arguments: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED_RUN, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if BROKEN in line:
                process.send_signal(number)
                break
        last = process.stdout.read().strip().splitlines()[-1]
    finally:
        process.kill()
        process.communicate()
    assert last == '[false, "interrupted", {"callbacks_run_in_order": "pass"}, true, 4]'


def test_a_worker_starts_with_sigint_at_its_default_and_a_memory_ceiling() -> None:
    program = (
        "import signal, resource\n"
        "from conformance.harness.containment import MEMORY_CEILING, start_clean\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"
        "start_clean()\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()\n"
        "assert resource.getrlimit(resource.RLIMIT_DATA)[0] <= MEMORY_CEILING\n"
    )
    assert callable(start_clean)
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=GENEROUS)


def test_a_death_tells_the_budget_of_the_case_that_hung(tmp_path: Path) -> None:
    (tmp_path / "gw0.place").write_text("cases/page/test_module.py::test_function")
    (tmp_path / "gw0.trace").write_text("Timeout (0:00:03)!\nThread 0x1 (most recent call first):\n")
    death = examine(tmp_path, "gw0", 1, lambda node: 3.0 if node.endswith("test_function") else DEFAULT_BUDGET)
    assert death.verdict is Verdict.TIMEOUT
    assert "did not end within its 3 s" in death.message


@pytest.mark.parametrize(
    ("status", "words"),
    [(None, "unknown"), (0, "exited with status 0"), (-11, "killed by SIGSEGV"), (-200, "killed by signal 200")],
)
def test_a_status_is_told_in_words(status: int | None, words: str) -> None:
    assert words in describe_status(status)
