"""What a loop leaves behind is found, named, put back, and costs no other case."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conformance.harness.children import environment
from conformance.harness.naming import ROOT
from conformance.selftest.running import SUITES, is_whole, leaks, run_suite, verdicts
from fixtures.suites.many.eventloop.test_many import EARLY, LATE
from reports.model import exit_code

ALL_PASS = {
    "callbacks_run_in_order": "pass",
    "the_exception_handler_can_be_set": "pass",
    "a_timer_fires": "pass",
    "the_loop_runs_again": "pass",
}

BELOW = "the handling of SIGINT stayed changed, below Python's view"

LEAKS = {
    "leaks:a_descriptor": {"descriptors": "open descriptors: "},
    "leaks:a_thread": {"threads": "live threads: leaked"},
    "leaks:a_child": {"children": "child processes not reaped: 1"},
    "leaks:a_running_loop": {"process-state": "a running loop stayed set"},
    "leaks:a_resource_warning": {"resource-warnings": "unclosed file"},
    "meddles:with_signal_handlers": {"process-state": "the handler of SIGINT stayed replaced"},
    "meddles:with_signal_handlers_in_c": {"process-state": BELOW},
    "meddles:with_blocked_signals": {"process-state": BELOW},
    "meddles:with_the_policy": {"process-state": "the event loop policy stayed replaced"},
    "meddles:with_the_folder": {"process-state": "the working folder stayed changed"},
    "meddles:with_the_environment": {"process-state": "the environment stayed changed"},
    "meddles:with_the_umask": {"process-state": "the umask stayed changed"},
    "meddles:with_a_limit": {"process-state": "the limit RLIMIT_FSIZE stayed changed"},
    "meddles:with_the_library": {"process-state": "asyncio.Queue stayed replaced"},
    "meddles:with_a_folder_that_it_deletes": {"process-state": "the working folder stayed changed"},
    "leaks:so_many_descriptors_that_they_run_out": {"descriptors": "open descriptors: "},
    "meddles:with_hooks": {"process-state": "sys.excepthook stayed replaced"},
}


@pytest.mark.parametrize(("fault", "found"), LEAKS.items(), ids=LEAKS)
def test_what_a_loop_leaves_behind_is_a_finding_and_nothing_else(fault: str, found: dict[str, str]) -> None:
    report = run_suite("small", f"fixtures.faulty.{fault}", workers=0)
    assert verdicts(report) == ALL_PASS
    messages = leaks(report)
    assert messages.keys() == found.keys()
    assert all(words in messages[kind] for kind, words in found.items()), messages
    # Each of the four cases belongs to an area of its own, and each is named: nothing hides behind the first.
    (kind,) = found
    named = [case for case in report.cases if case.id.endswith(f"::{kind}") and case.deviates]
    assert len(named) == 4
    assert is_whole(report)
    assert exit_code(report) == 1


def test_leaks_are_found_in_workers_too() -> None:
    report = run_suite("small", "fixtures.faulty.leaks:a_descriptor", workers=2)
    assert verdicts(report) == ALL_PASS
    assert leaks(report).keys() == {"descriptors"}
    assert is_whole(report)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("fault", ["in_python", "to_the_descriptor", "without_end"])
def test_what_a_loop_prints_disturbs_nobody(fault: str, workers: int) -> None:
    report = run_suite("small", f"fixtures.faulty.prints:{fault}", workers=workers)
    assert verdicts(report) == ALL_PASS
    assert leaks(report) == {}
    assert is_whole(report)
    assert exit_code(report) == 0


def test_a_loop_that_leaves_nothing_has_no_finding() -> None:
    report = run_suite("small", "asyncio")
    assert verdicts(report) == ALL_PASS
    assert leaks(report) == {}
    assert exit_code(report) == 0


def test_what_a_failure_held_is_not_counted_against_the_next_case() -> None:
    report = run_suite("small", "fixtures.faulty.leaks:a_file_in_a_failure", workers=0)
    assert verdicts(report) == {**ALL_PASS, "the_exception_handler_can_be_set": "fail"}
    assert leaks(report) == {}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_cycle_is_found_early_and_late_in_a_process(workers: int) -> None:
    report = run_suite("many", "asyncio", workers=workers)
    (leak,) = (case for case in report.cases if case.deviates or case.faults_suite)
    assert leak.id == "hygiene/callbacks::resource-warnings"
    # Each is counted against the case that left it, and nothing against the cases around it.
    named = [line.partition(": ")[0].rpartition("::")[2] for line in leak.details.splitlines()]
    assert named == [f"case[{number}]" for number in (EARLY, LATE)]


def test_a_worker_of_xdist_that_holds_too_much_goes_on() -> None:
    # It could only die, and xdist would count that against the case.
    suite = SUITES / "small"
    line = [sys.executable, "-m", "pytest", str(suite), "-c", os.devnull, f"--rootdir={ROOT}", "-q", "-n", "2"]
    line += ["-p", "conformance.harness.plugin", "-p", "xdist.plugin", "--conformance-cases", str(suite)]
    line += ["--target", "fixtures.faulty.leaks:so_many_descriptors_that_they_run_out"]
    done = subprocess.run(line, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
