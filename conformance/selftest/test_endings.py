"""Whatever brings a run to its end, what was measured is reported, one sentence says what lacks, nothing is left."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.harness.journal import JournalReader, JournalWriter
from conformance.harness.naming import ROOT
from conformance.selftest.running import BUDGET, verdicts
from conformance.selftest.test_hostility import processes_of_this_session
from fixtures.faulty.endings import RUN, SIGNALS
from reports import store
from reports.model import EXIT_CONFORMS, EXIT_DEVIATES, EXIT_INCOMPLETE

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals, descriptors and processes as Linux has them")

BROKEN = "the_exception_handler_can_be_set"
"""The one case of the small suite that sets off a faulty loop; one case comes before it."""

FIRST = "callbacks_run_in_order"

# A loaded machine has been seen to take ten seconds to start the processes of one run.
GENEROUS = 60.0

ENDINGS = "fixtures.faulty.endings"

WRITE = ("1", "64")
"""The number of the system call write() on most machines."""

PROGRAM = f"""
import os, sys
from functools import partial
from conformance import cli
from conformance.selftest.running import SUITES

os.environ["{RUN}"] = str(os.getpid())
cli.RunOptions = partial(cli.RunOptions, suite=SUITES / "small", budget={BUDGET})
if "--signal-early" in sys.argv:
    sys.argv.remove("--signal-early")
    from fixtures.faulty.endings import _signal_the_run
    cli._check_cases = lambda _cases: _signal_the_run()
cli.main(["run", *sys.argv[1:]])
"""
"""The command, with the small suite instead of the whole one."""


@pytest.fixture(autouse=True)
def hangups_count() -> Iterator[None]:
    """Whoever runs these tests may have been told to ignore hangups, and what it starts would be told so, too."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(params=[0, 2])
def workers(request: pytest.FixtureRequest) -> Iterator[str]:
    """How many workers a run has; after it, none of its processes is left."""
    before = processes_of_this_session()
    yield str(request.param)
    assert processes_of_this_session() <= before


def command(target: str, output: Path, workers: str, *arguments: str) -> list[str]:
    """The command line of a run of the small suite."""
    return [sys.executable, "-c", PROGRAM, target, "--output", str(output), "-n", workers, *arguments]


def run_to_its_end(
    target: str, output: Path, workers: str, *arguments: str, signals: str = "", **options: Any
) -> tuple[int, str]:
    """Run the small suite; the exit code and what was said on standard error."""
    options = {"stdout": subprocess.DEVNULL, "env": {**os.environ, SIGNALS: signals}, **options}
    done = subprocess.run(
        command(target, output, workers, *arguments),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        timeout=GENEROUS,
        check=False,
        **options,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_signals_end_the_run_and_no_number_of_them_the_report(tmp_path: Path, workers: str, name: str) -> None:
    status, said = run_to_its_end(f"{ENDINGS}:signals_the_run", tmp_path, workers, signals=f"{name} " * 20)
    assert (status, said.count("\n")) == (EXIT_INCOMPLETE, 1)
    assert said.startswith("The run was cut, interrupted: ")
    report = store.read(tmp_path)
    found = verdicts(report)
    assert not report.complete
    assert BROKEN not in found
    # Other workers may have been at it.
    assert found.get(FIRST, "pass" if workers != "0" else "lost") == "pass"


def test_a_signal_before_the_first_case_makes_the_run_incomplete(tmp_path: Path, workers: str) -> None:
    target = f"{ENDINGS}:signals_the_run_at_once"
    status, said = run_to_its_end(target, tmp_path, workers, signals="SIGINT")
    assert (status, said.count("\n")) == (EXIT_INCOMPLETE, 1)
    assert store.read(tmp_path).cases == ()


def test_a_signal_before_anything_began_makes_the_run_incomplete(tmp_path: Path, workers: str) -> None:
    status, said = run_to_its_end("asyncio", tmp_path, workers, "--signal-early", signals="SIGINT SIGINT")
    assert (status, said) == (
        EXIT_INCOMPLETE,
        "Interrupted by SIGINT before the first case: nothing was measured.\n",
    )


def test_a_run_that_is_told_to_ignore_hangups_does(tmp_path: Path, workers: str) -> None:
    target = f"{ENDINGS}:signals_the_run_at_once"
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_to_its_end(target, tmp_path, workers, signals="SIGHUP") == (EXIT_CONFORMS, "")
    finally:
        signal.signal(signal.SIGHUP, ignored)
    assert store.read(tmp_path).complete


@contextlib.contextmanager
def full_device() -> Iterator[int]:
    """A standard output that has no room."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    yield descriptor
    os.close(descriptor)


@contextlib.contextmanager
def pipe_without_reader() -> Iterator[int]:
    """A standard output that nobody reads any longer."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize("stream", [full_device, pipe_without_reader])
def test_a_standard_output_that_fails_costs_nothing_but_the_showing(tmp_path: Path, workers: str, stream: Any) -> None:
    with stream() as descriptor:
        status, said = run_to_its_end("asyncio", tmp_path, workers, stdout=descriptor)
    assert (status, said.count("\n")) == (EXIT_INCOMPLETE, 1)
    assert said.startswith("Standard output failed (")
    assert str(tmp_path) in said
    assert store.read(tmp_path).complete


def test_both_streams_may_fail(tmp_path: Path, workers: str) -> None:
    with pipe_without_reader() as descriptor:
        line = command("asyncio", tmp_path, workers)
        status = subprocess.run(
            line, cwd=ROOT, stdout=descriptor, stderr=descriptor, timeout=GENEROUS, check=False
        ).returncode
    assert status == EXIT_INCOMPLETE
    assert store.read(tmp_path).complete


def test_closed_streams_are_no_failure(tmp_path: Path, workers: str) -> None:
    line = ["sh", "-c", '"$@" <&- >&- 2>&-', "sh", *command("asyncio", tmp_path, workers)]
    assert subprocess.run(line, cwd=ROOT, timeout=GENEROUS, check=False).returncode == EXIT_CONFORMS
    assert store.read(tmp_path).complete


def writes_to_standard_output(pid: int) -> bool:
    """Whether the process waits for room in its standard output."""
    with contextlib.suppress(OSError):
        call = Path(f"/proc/{pid}/syscall").read_text(encoding="ascii").split()
        return call[1:2] == ["0x1"] and call[0] in WRITE
    return False


def test_a_reader_that_stopped_reading_does_not_hold_the_run_for_ever(tmp_path: Path, workers: str) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    for size in (512, 1):
        with contextlib.suppress(BlockingIOError):
            while os.write(writing, bytes(size)):
                pass
    os.set_blocking(writing, True)
    output = tmp_path / "out"
    with subprocess.Popen(command("asyncio", output, workers), cwd=ROOT, stdout=writing, stderr=subprocess.PIPE) as run:
        while not writes_to_standard_output(run.pid):
            time.sleep(0.01)
        while run.poll() is None:
            run.send_signal(signal.SIGTERM)
            time.sleep(0.1)
    os.close(reading)
    os.close(writing)
    assert run.returncode == EXIT_INCOMPLETE
    assert not store.read(output).complete


@pytest.mark.parametrize("fault", ["removes_the_folder_of_the_run", "removes_the_folder_of_the_run_and_hangs"])
def test_a_folder_that_is_removed_ends_the_run_and_blames_no_case(tmp_path: Path, workers: str, fault: str) -> None:
    status, said = run_to_its_end(f"{ENDINGS}:{fault}", tmp_path, workers)
    assert (status, said.count("\n")) == (EXIT_INCOMPLETE, 1), said
    assert said.startswith("The run was cut, the run's own folder ")
    assert " was removed" in said
    report = store.read(tmp_path)
    assert not report.complete
    assert set(verdicts(report).values()) <= {"pass"}
    assert BROKEN not in verdicts(report)


@pytest.fixture
def small_disk() -> Iterator[str]:
    """A disk of two megabytes."""
    # A run keeps its files elsewhere if the name is long.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]
        if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            pytest.skip("a disk is mounted by root only, and not in every container")
        yield folder
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_up_ends_the_run_and_blames_no_case(tmp_path: Path, workers: str, small_disk: str) -> None:
    environment = {**os.environ, "TMPDIR": small_disk}
    status, said = run_to_its_end(f"{ENDINGS}:leaves_no_room", tmp_path / "out", workers, env=environment)
    assert (status, said.count("\n")) == (EXIT_INCOMPLETE, 1), said
    assert "no space left on device" in said
    report = store.read(tmp_path / "out")
    assert not report.complete
    assert set(verdicts(report).values()) <= {"pass"}


def test_a_report_that_finds_no_room_is_saved_elsewhere(tmp_path: Path, workers: str, small_disk: str) -> None:
    with contextlib.suppress(OSError):
        Path(small_disk, "filled").write_bytes(bytes(4 * 1024 * 1024))
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    status, said = run_to_its_end("asyncio", Path(small_disk, "out"), workers, env=environment)
    assert (status, said.count("\n")) == (EXIT_INCOMPLETE, 1), said
    assert "no space left on device" in said
    (refuge,) = tmp_path.glob("conformance-report-*")
    assert str(refuge) in said
    assert store.read(refuge).complete


def test_a_loop_that_speaks_of_a_full_disk_is_not_believed(tmp_path: Path, workers: str) -> None:
    status, said = run_to_its_end(f"{ENDINGS}:says_that_there_is_no_room", tmp_path, workers)
    assert (status, said) == (EXIT_DEVIATES, "")
    assert verdicts(store.read(tmp_path))[BROKEN] == "fail"


def test_a_line_of_the_journal_of_which_the_disk_took_a_part_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, reader = JournalWriter(tmp_path / "journal"), JournalReader(tmp_path / "journal")
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, data: write(file, data[:10]))
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            writer.write("finished", node="a")
    for node in "bc":
        writer.write("finished", node=node)
    # The first whole line goes on behind the part.
    assert [event["node"] for event in reader.read()] == ["c"]
    reader.close()
