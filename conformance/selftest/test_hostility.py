"""Whatever a loop does to the harness, every case gets a verdict, the guilty one a bad one, and no process stays."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from conformance.selftest.running import case_of, is_whole, leaks, run_suite, verdicts
from reports.model import exit_code

BROKEN = "the_exception_handler_can_be_set"
"""The one case of the small suite that sets off a hostile loop."""

OTHERS = {"callbacks_run_in_order": "pass", "a_timer_fires": "pass", "the_loop_runs_again": "pass"}

HOSTILE: dict[str, tuple[str, ...]] = {
    # Who is first, the process that dies or the copy that comes back, is open.
    "forks_and_leaves_the_copy_behind": ("crash", "fail"),
    "forks_and_lets_both_go_on": ("fail",),
    "kills_its_process_group": ("crash",),
    "ends_its_process_group": ("crash",),
    "kills_its_parent": ("crash",),
    "stops_itself": ("timeout",),
    "switches_the_watch_off_and_hangs": ("timeout",),
    "blocks_every_signal_and_hangs": ("timeout",),
    "writes_into_every_descriptor": ("pass", "crash", "fail"),
    "closes_every_descriptor": ("crash", "fail"),
    "breaks_pytest": ("crash", "fail"),
    # The first fork is left as a child that nobody reaps, which is a finding; the daemon itself is ended.
    "leaves_a_daemon_behind": ("pass",),
    "lowers_its_limit_of_descriptors": ("crash", "fail", "pass"),
}
"""What a loop does to the harness → the verdicts that its case may get."""


@pytest.mark.skipif(sys.platform != "linux", reason="signals and descriptors as Linux has them")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("hostility", "allowed"), HOSTILE.items(), ids=HOSTILE)
def test_only_the_guilty_case_pays(hostility: str, allowed: tuple[str, ...], workers: int) -> None:
    if hostility == "kills_its_parent" and workers == 0:
        pytest.skip("without workers the parent is the one who asks")
    before = processes_of_this_session()
    report = run_suite("small", f"fixtures.faulty.hostile:{hostility}", workers=workers)
    found = verdicts(report)
    assert found.pop(BROKEN) in allowed, case_of(report, BROKEN).message
    assert found == OTHERS
    assert is_whole(report)
    assert exit_code(report) in ((0, 1) if "pass" in allowed else (1,))
    assert ("children" in leaks(report)) == (hostility == "leaves_a_daemon_behind")
    assert processes_of_this_session() <= before


def processes_of_this_session() -> set[int]:
    """The processes that run a suite of this project and descend from this one, or from nobody any longer."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            state = (folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
        except OSError:
            continue
        if (
            (b"--conformance-" in words or b"conformance-daemon" in words)
            and state[0] != "Z"
            and int(state[1]) in (1, os.getpid())
        ):
            found.add(int(folder.name))
    return found
