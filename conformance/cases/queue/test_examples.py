"""Programs like the one that the page shows: workers that share what a queue holds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from conformance.support.marks import requirement
from conformance.support.turns import states

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

WORKERS = 4
# Each job sleeps for so long; one worker alone would take JOBS times that.
NAP = 0.005
JOBS = 12
# A sleep is a timer, which the loop's clock may let be early by its resolution, a millisecond at most: less than half.
EARLY = 0.5


async def work_through(loop: AbstractEventLoop, aio: Any, naps: list[float]) -> tuple[dict[str, list[float]], int]:
    """Let workers take the naps out of a queue until all are done; who took which, and how many slept at once."""
    queue = aio.Queue()
    done: dict[str, list[float]] = {f"worker-{number}": [] for number in range(WORKERS)}
    asleep: set[str] = set()
    most = 0

    async def work(name: str) -> None:
        nonlocal most
        while True:
            nap = await queue.get()
            asleep.add(name)
            most = max(most, len(asleep))
            await aio.sleep(nap)
            asleep.remove(name)
            done[name].append(nap)
            queue.task_done()

    for nap in naps:
        queue.put_nowait(nap)
    workers = [loop.create_task(work(name)) for name in done]
    await queue.join()
    for worker in workers:
        worker.cancel()
    await aio.gather(*workers, return_exceptions=True)
    assert await states(aio, *workers) == ["cancelled"] * WORKERS
    return done, most


@requirement("examples/queue-page")
async def test_the_workers_do_every_job_once_and_are_cancelled(loop: AbstractEventLoop, aio: Any) -> None:
    naps = [number / 10_000 for number in range(20)]
    done, _ = await work_through(loop, aio, naps)
    assert sorted(nap for taken in done.values() for nap in taken) == naps


@requirement("examples/worker-pool")
async def test_workers_sleep_side_by_side_and_share_the_jobs(loop: AbstractEventLoop, aio: Any) -> None:
    began = time.monotonic()
    done, most = await work_through(loop, aio, [NAP] * JOBS)
    took = time.monotonic() - began
    # That it is no longer than each worker's share is seen in how they worked, which no load on the machine disturbs.
    assert most == WORKERS
    assert [len(naps) for naps in done.values()] == [JOBS // WORKERS] * WORKERS
    assert took >= NAP * JOBS / WORKERS * (1 - EARLY)
