"""Three workers share a queue of jobs.

Prints:
    20 jobs done by 3 workers
    nobody works any more
"""

from __future__ import annotations

import random

import refloop as asyncio


async def main() -> None:
    queue: asyncio.Queue[float] = asyncio.Queue()
    done_by: list[str] = []

    async def work(name: str) -> None:
        while True:
            await asyncio.sleep(await queue.get())
            done_by.append(name)
            queue.task_done()

    for _ in range(20):
        queue.put_nowait(random.uniform(0.001, 0.005))
    workers = [asyncio.create_task(work(f"worker {number}")) for number in range(3)]
    await queue.join()
    print(f"{len(done_by)} jobs done by {len(set(done_by))} workers")
    for worker in workers:
        worker.cancel()
    results = await asyncio.gather(*workers, return_exceptions=True)
    if all(isinstance(result, asyncio.CancelledError) for result in results):
        print("nobody works any more")


asyncio.run(main())
