"""What the harness costs: a thousand trivial cases under it, and the same thousand as bare pytest tests.

``python -m conformance.harness.bench`` runs both side by side, several times in turn, without workers and with two, and
prints CPU time per case and the difference. It prints figures and judges nothing.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conformance.harness.children import environment
from conformance.harness.naming import ROOT
from conformance.harness.passes import UNWANTED_PLUGINS
from conformance.harness.selection import RULES, Rules

CASES = 1000
ROUNDS = 3

CASE = """
def test_case_{number}(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()
"""

BARE_FIXTURE = """
import asyncio
import pytest

@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()
"""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bodies = "".join(CASE.format(number=number) for number in range(CASES))
        for kind, head in (("bare", BARE_FIXTURE), ("cases", "")):
            (folder / kind).mkdir()
            (folder / kind / "test_trivial.py").write_text(head + bodies, encoding="utf-8")
        print(f"{CASES} trivial cases, asyncio, CPU per case, median of {ROUNDS} in turn")
        for workers in (0, 2):
            times: dict[str, list[tuple[float, float]]] = {"bare": [], "harness": []}
            for round_number in range(ROUNDS):
                run = folder / f"run-{workers}-{round_number}"
                times["bare"].append(measure(bare(folder / "bare", workers), os.environ.copy()))
                times["harness"].append(measure(harness(folder / "cases", run, workers), environment()))
            cpu = {kind: statistics.median(cpu for cpu, _ in values) / CASES * 1000 for kind, values in times.items()}
            wall = {kind: statistics.median(wall for _, wall in values) for kind, values in times.items()}
            print(
                f"-n {workers}: bare {cpu['bare']:.2f} ms, harness {cpu['harness']:.2f} ms, "
                f"difference {cpu['harness'] - cpu['bare']:.2f} ms "
                f"(wall {wall['bare']:.2f} s and {wall['harness']:.2f} s)"
            )


def bare(folder: Path, workers: int) -> list[str]:
    """The command that runs the tests with plain pytest."""
    line = [sys.executable, "-m", "pytest", str(folder), "-q", "-c", os.devnull, f"--rootdir={folder}"]
    return [*line, "-p", "no:cacheprovider", *(["-n", str(workers)] if workers else [])]


def harness(folder: Path, run: Path, workers: int) -> list[str]:
    """The command that runs the cases as a pass does."""
    run.mkdir()
    Rules({}, {}).write(run / RULES)
    line = [sys.executable, "-P", "-m", "pytest", str(folder), "-c", os.devnull, f"--rootdir={ROOT}", "-q"]
    line += ["-p", "conformance.harness.plugin", "-p", "xdist.plugin", "--target", "asyncio"]
    line += [part for plugin in UNWANTED_PLUGINS for part in ("-p", f"no:{plugin}")]
    line += ["--conformance-cases", str(folder), "--conformance-run", str(run)]
    return [*line, *(["-n", str(workers)] if workers else [])]


def measure(line: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """CPU and wall seconds of a command and all its children."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(line)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - started


if __name__ == "__main__":
    main()
