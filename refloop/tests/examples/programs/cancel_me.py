"""A task is cancelled, cleans up, and who awaits it hears of it.

Prints:
    before the sleep
    cancelled
    after the sleep
    it is cancelled now
"""

from __future__ import annotations

import refloop as asyncio


async def sleeper() -> None:
    print("before the sleep")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        print("cancelled")
        raise
    finally:
        print("after the sleep")


async def main() -> None:
    task = asyncio.create_task(sleeper())
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("it is cancelled now")


asyncio.run(main())
