"""Tasks that nobody awaits are kept in a set until they are done.

Prints:
    10 tasks
    0 1 2 3 4 5 6 7 8 9
    0 tasks
"""

from __future__ import annotations

import refloop as asyncio


async def main() -> None:
    done: list[int] = []
    background = set[asyncio.Task[None]]()
    finished = asyncio.Event()

    async def work(number: int) -> None:
        done.append(number)
        if len(done) == 10:
            finished.set()

    for number in range(10):
        task = asyncio.create_task(work(number))
        background.add(task)
        task.add_done_callback(background.discard)
    print(len(background), "tasks")
    await finished.wait()
    print(*done)
    await asyncio.sleep(0)
    print(len(background), "tasks")


asyncio.run(main())
