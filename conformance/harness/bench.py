"""What the harness costs, and where a run's time goes. It prints figures and judges nothing.

``python -m conformance.harness.bench overhead`` runs a thousand trivial cases under the harness, and the same thousand
as bare pytest tests, side by side and several times in turn, and prints CPU time per case and the difference.

``python -m conformance.harness.bench growth`` runs thousands of cases of one kind in one process and prints the CPU
time per case, thousand by thousand: it should not grow.

``python -m conformance.harness.bench idle [TARGET]`` runs the whole suite in one process and prints how its time
divides into computing, child programs and waiting, and the cases that wait longest.
"""

from __future__ import annotations

import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from attrs import frozen

from conformance.harness.children import environment
from conformance.harness.naming import CASES as SUITE
from conformance.harness.naming import ROOT, case_id
from conformance.harness.passes import UNWANTED_PLUGINS
from conformance.harness.selection import RULES, Rules

if TYPE_CHECKING:
    from collections.abc import Generator

CASES = 1000
ROUNDS = 3
THOUSANDS = 8
WORST = 40

CASE = """
def test_case_{number}(loop):
    loop.call_soon(loop.stop)
    loop.run_forever()
"""

CASES_OF_ONE_KIND = """
import pytest

@pytest.mark.parametrize("number", range({number}))
def test_case(loop, number):
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


@click.group()
def main() -> None:
    """Measure the harness."""


@main.command()
def overhead() -> None:
    """Compare trivial cases with the same as bare pytest tests."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bodies = "".join(CASE.format(number=number) for number in range(CASES))
        for kind, head in (("bare", BARE_FIXTURE), ("cases", "")):
            (folder / kind).mkdir()
            (folder / kind / "test_trivial.py").write_text(head + bodies, encoding="utf-8")
        click.echo(f"{CASES} trivial cases, asyncio, CPU per case, median of {ROUNDS} in turn")
        times: dict[str, list[tuple[float, float]]] = {"bare": [], "harness": []}
        for round_number in range(ROUNDS):
            run = folder / f"run-{round_number}"
            times["bare"].append(measure(bare(folder / "bare"), os.environ.copy()))
            times["harness"].append(measure(harness(folder / "cases", run), environment()))
        cpu = {kind: statistics.median(cpu for cpu, _ in values) / CASES * 1000 for kind, values in times.items()}
        wall = {kind: statistics.median(wall for _, wall in values) for kind, values in times.items()}
        click.echo(
            f"bare {cpu['bare']:.2f} ms, harness {cpu['harness']:.2f} ms, difference "
            f"{cpu['harness'] - cpu['bare']:.2f} ms (wall {wall['bare']:.2f} s and {wall['harness']:.2f} s)"
        )


@main.command()
def growth() -> None:
    """Show what a case costs early and late in a process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "cases" / "eventloop"
        folder.mkdir(parents=True)
        number = THOUSANDS * CASES
        (folder / "test_one_kind.py").write_text(CASES_OF_ONE_KIND.format(number=number), encoding="utf-8")
        costs = run_here(folder.parent, "asyncio")
    click.echo(f"{number:,} cases of one kind, asyncio, CPU per case by thousand")
    means = [
        statistics.fmean(cost.own for cost in costs[start : start + CASES]) * 1000 for start in range(0, number, CASES)
    ]
    for thousand, mean in enumerate(means, 1):
        click.echo(f"{thousand}  {mean:.3f} ms")
    click.echo(f"the last against the first: {means[-1] / means[0]:.2f}")


@main.command()
@click.argument("target", default="refloop")
def idle(target: str) -> None:
    """Show where a run's time goes, and which cases wait longest."""
    costs = run_here(SUITE, target)
    wall, own, children = (sum(getattr(cost, name) for cost in costs) for name in ("wall", "own", "children"))
    click.echo(
        f"{len(costs):,} cases on {target}, {wall:.1f} s: {own:.1f} s in the process, {children:.1f} s in children, "
        f"{wall - own - children:.1f} s waiting"
    )
    for cost in sorted(costs, key=lambda cost: -cost.waiting)[:WORST]:
        click.echo(f"{cost.waiting * 1000:6.0f} ms of {cost.wall * 1000:6.0f}  {cost.case}")


@frozen
class Cost:
    """What one case took, in seconds."""

    case: str
    wall: float
    own: float
    """CPU time of the process"""
    children: float
    """CPU time of its children, once they were reaped"""

    @property
    def waiting(self) -> float:
        """Neither the process nor a child of it computed."""
        return max(0.0, self.wall - self.own - self.children)


class Meter:
    """A pytest plugin that notes what each test costs, its set-up and clean-up included."""

    def __init__(self) -> None:
        self.costs: list[Cost] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        began, (own, children) = time.perf_counter(), cpu_times()
        try:
            return (yield)
        finally:
            own_now, children_now = cpu_times()
            wall = time.perf_counter() - began
            self.costs.append(Cost(case_id(item.nodeid), wall, own_now - own, children_now - children))


def cpu_times() -> tuple[float, float]:
    """CPU seconds of this process, and of its children that were reaped."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def run_here(suite: Path, target: str) -> list[Cost]:
    """Run a suite in this process, and say what each case cost."""
    meter = Meter()
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    line = [str(suite), "-c", os.devnull, f"--rootdir={ROOT}", "-qq", "--tb=no", "-rN", "--target", target]
    line += ["-p", "conformance.harness.plugin", "--conformance-cases", str(suite)]
    line += [part for plugin in UNWANTED_PLUGINS for part in ("-p", f"no:{plugin}")]
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        pytest.main(line, plugins=[meter])
    return meter.costs


def bare(folder: Path) -> list[str]:
    """The command that runs the tests with plain pytest."""
    line = [sys.executable, "-m", "pytest", str(folder), "-q", "-c", os.devnull, f"--rootdir={folder}"]
    return [*line, "-p", "no:cacheprovider"]


def harness(folder: Path, run: Path) -> list[str]:
    """The command that runs the cases as a pass without workers does."""
    run.mkdir()
    Rules({}, {}).write(run / RULES)
    line = [sys.executable, "-P", "-m", "pytest", str(folder), "-c", os.devnull, f"--rootdir={ROOT}", "-q"]
    line += ["-p", "conformance.harness.plugin", "--target", "asyncio"]
    line += [part for plugin in UNWANTED_PLUGINS for part in ("-p", f"no:{plugin}")]
    return [*line, "--conformance-cases", str(folder), "--conformance-run", str(run)]


def measure(line: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """CPU and wall seconds of a command and all its children."""
    before, started = cpu_times()[1], time.monotonic()
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(line)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return cpu_times()[1] - before, time.monotonic() - started


if __name__ == "__main__":
    main()
