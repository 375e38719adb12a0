"""A shielded task survives that who awaits it is cancelled.

Prints:
    the waiter was cancelled
    the work is done
"""

from __future__ import annotations

import refloop as asyncio


async def main() -> None:
    may_end = asyncio.Event()

    async def work() -> str:
        await may_end.wait()
        return "the work is done"

    async def wait_for_it(task: asyncio.Task[str]) -> None:
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            print("the waiter was cancelled")
            raise

    task = asyncio.create_task(work())
    waiter = asyncio.create_task(wait_for_it(task))
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.wait([waiter])
    may_end.set()
    print(await task)


asyncio.run(main())
