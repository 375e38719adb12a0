"""How fast refloop is beside the standard library's loop with its C accelerators, and beside uvloop.

    python -m refloop.bench [ROW ...] [--rounds 9]

Each figure is CPU time per operation, or memory where the row says so. Every measurement has a process of its own, the
contestants take turns, and the median of the rounds counts. A ratio above 1 means that refloop takes less than the
other. This is for reading by somebody who keeps the machine quiet meanwhile; it is no test.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import importlib.util
import math
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refloop import bench_io, bench_tls

if TYPE_CHECKING:
    from collections.abc import Callable

# name: (module with the loop factory, attribute, module that plays asyncio's part)
CONTESTANTS = {
    "refloop": ("refloop", "EventLoop", "refloop"),
    "asyncio": ("asyncio", "new_event_loop", "asyncio"),
    "uvloop": ("uvloop", "new_event_loop", "asyncio"),
}

# Before the clock starts, so that the interpreter has specialised the code it runs.
WARM_UP_SHARE = 10

LIVE_TIMERS = 10_000


@dataclass
class Bench:
    """What a row is given: the contestant, and how often to do the operation.

    `started`: the CPU time at which the part that counts began; a row that prepares something sets it anew.
    """

    make_loop: Callable[[], Any]
    aio: Any
    loop: Any
    operations: int
    started: float


def call_soon_chain(bench: Bench) -> None:
    """Callbacks that schedule one another, one at a time."""
    loop = bench.loop
    left = bench.operations

    def step() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            loop.stop()

    loop.call_soon(step)
    loop.run_forever()


def timers(bench: Bench) -> None:
    """Timers scheduled and cancelled beside 10,000 that stay."""
    loop = bench.loop
    live = [loop.call_later(1000 + n, print) for n in range(LIVE_TIMERS)]
    call_later = loop.call_later
    bench.started = time.process_time()
    left = bench.operations

    def step() -> None:
        nonlocal left
        for n in range(left, left + 100):
            call_later(1000 + n * 7919 % LIVE_TIMERS, print).cancel()
        left -= 100
        if left > 0:
            loop.call_soon(step)
        else:
            loop.stop()

    loop.call_soon(step)
    loop.run_forever()
    del live


def create_and_await_task(bench: Bench) -> None:
    """Tasks made and awaited one after the other."""
    loop = bench.loop

    async def child() -> None:
        pass

    async def main() -> None:
        create_task = bench.aio.create_task
        for _ in range(bench.operations):
            await create_task(child())

    loop.run_until_complete(main())


def task_ping_pong(bench: Bench) -> None:
    """Two tasks that wake each other through futures."""
    loop = bench.loop
    waiting: list[Any] = [None, None]

    async def player(me: int, turns: int) -> None:
        create_future = loop.create_future
        other = 1 - me
        for _ in range(turns):
            ball = waiting[me] = create_future()
            opponent = waiting[other]
            if opponent is not None and not opponent.done():
                opponent.set_result(None)
            await ball
        opponent = waiting[other]
        if not opponent.done():
            opponent.set_result(None)

    async def main() -> None:
        first = loop.create_task(player(0, bench.operations // 2))
        second = loop.create_task(player(1, bench.operations // 2))
        await first
        await second

    loop.run_until_complete(main())


def queue_hand_over(bench: Bench) -> None:
    """Items that one task puts into a queue of one place and another takes out."""
    queue = bench.aio.Queue(1)

    async def produce() -> None:
        for n in range(bench.operations):
            await queue.put(n)

    async def consume() -> None:
        for _ in range(bench.operations):
            await queue.get()

    async def main() -> None:
        await bench.aio.gather(produce(), consume())

    bench.loop.run_until_complete(main())


def contended_lock(bench: Bench) -> None:
    """Ten tasks that take one lock in turn, each giving way to the others while it holds it."""
    lock = bench.aio.Lock()
    turn = bench.aio.sleep

    async def contend() -> None:
        for _ in range(bench.operations // 10):
            async with lock:
                await turn(0)

    async def main() -> None:
        await bench.aio.gather(*(contend() for _ in range(10)))

    bench.loop.run_until_complete(main())


def gather_ten_thousand(bench: Bench) -> None:
    """Ten thousand coroutines gathered at once; the operation is one of them."""

    async def child() -> None:
        pass

    async def main() -> None:
        for _ in range(bench.operations // 10_000):
            await bench.aio.gather(*(child() for _ in range(10_000)))

    bench.loop.run_until_complete(main())


def executor_round_trip(bench: Bench) -> None:
    """A call in the default executor, awaited, one at a time."""
    loop = bench.loop

    async def main() -> None:
        for _ in range(bench.operations):
            await loop.run_in_executor(None, int)
        await loop.shutdown_default_executor()

    loop.run_until_complete(main())


def threadsafe_round_trip(bench: Bench) -> None:
    """A coroutine run from another thread by `run_coroutine_threadsafe()`, its result waited for."""
    loop = bench.loop

    async def child() -> None:
        pass

    runner = threading.Thread(target=loop.run_forever)
    runner.start()
    for _ in range(bench.operations):
        bench.aio.run_coroutine_threadsafe(child(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    runner.join()


def make_and_close_loop(bench: Bench) -> None:
    """A loop made, run for one turn, and closed."""
    for _ in range(bench.operations):
        fresh = bench.make_loop()
        fresh.call_soon(fresh.stop)
        fresh.run_forever()
        fresh.close()


def subprocess_spawn(bench: Bench) -> None:
    """A child process that does nothing, started and waited for, one at a time; its own time does not count."""

    async def main() -> None:
        for _ in range(bench.operations):
            child = await bench.aio.create_subprocess_exec("true")
            await child.wait()

    bench.loop.run_until_complete(main())


ROWS: dict[str, tuple[Callable[[Bench], float | None], int]] = {
    "call_soon chain": (call_soon_chain, 200_000),
    "timers: schedule and cancel": (timers, 200_000),
    "create a task and await it": (create_and_await_task, 100_000),
    "task ping-pong over futures": (task_ping_pong, 200_000),
    "queue hand-over": (queue_hand_over, 100_000),
    "contended lock": (contended_lock, 100_000),
    "gather of 10,000": (gather_ten_thousand, 200_000),
    "executor round trip": (executor_round_trip, 10_000),
    "threadsafe round trip": (threadsafe_round_trip, 10_000),
    "make and close a loop": (make_and_close_loop, 5_000),
    "subprocess spawn": (subprocess_spawn, 400),
    **bench_io.ROWS,
    **bench_tls.ROWS,
}


def measure(row: str, contestant: str) -> float:
    """Return the microseconds of CPU time that one operation of `row` takes."""
    module, attribute, namespace = CONTESTANTS[contestant]
    make_loop = getattr(importlib.import_module(module), attribute)
    work, operations = ROWS[row]
    microseconds = 0.0
    for count in (operations // WARM_UP_SHARE, operations):
        loop = make_loop()
        # The child watchers of older policies ask for the current loop.
        asyncio.set_event_loop(loop)
        gc.collect()
        bench = Bench(make_loop, importlib.import_module(namespace), loop, count, time.process_time())
        figure = work(bench)
        # A row that measures something else than time says how much.
        microseconds = (time.process_time() - bench.started) / count * 1e6 if figure is None else figure
        loop.close()
    return microseconds


def measure_apart(row: str, contestant: str) -> float:
    """`measure()` in a process of its own."""
    command = [sys.executable, "-m", "refloop.bench", "--measure", contestant, row]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(arguments: list[str]) -> None:
    """Measure the rows asked for, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m refloop.bench", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", help=f"what to measure, by the start of its name: {', '.join(ROWS)}"
    )
    parser.add_argument("--rounds", type=int, default=9, help="measurements of which the median counts (9)")
    parser.add_argument("--measure", metavar="CONTESTANT", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    rows = [row for row in ROWS if not asked.rows or row.startswith(tuple(asked.rows))]
    if not rows:
        parser.error(f"no such row; there are: {', '.join(ROWS)}")
    if asked.measure:
        print(measure(rows[0], asked.measure))
        return
    contestants = [name for name, (module, *_) in CONTESTANTS.items() if importlib.util.find_spec(module)]
    others = contestants[1:]
    print(f"CPython {sys.version.split()[0]}, CPU time per operation, median of {asked.rounds}")
    print(
        f"{'':30}" + "".join(f"{name:>13}" for name in contestants) + "".join(f"{'/ ' + name:>11}" for name in others)
    )
    ratios: dict[str, list[float]] = {name: [] for name in others}
    for row in rows:
        taken: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(asked.rounds):
            for name in contestants:
                taken[name].append(measure_apart(row, name))
        medians = {name: statistics.median(figures) for name, figures in taken.items()}
        unit = "  B" if "memory" in row else " µs"
        line = f"{row:30}" + "".join(f"{medians[name]:10.3f}{unit}" for name in contestants)
        for name in others:
            ratio = medians[name] / medians["refloop"]
            ratios[name].append(ratio)
            line += f"{ratio:11.2f}"
        print(line, flush=True)
    means = "".join(f"{math.exp(statistics.fmean(map(math.log, ratios[name]))):11.2f}" for name in others)
    print(f"{'geometric mean':30}" + " " * 13 * len(contestants) + means)


if __name__ == "__main__":
    main(sys.argv[1:])
