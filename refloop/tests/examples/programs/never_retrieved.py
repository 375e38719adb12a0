"""Developing: the loop tells of an exception that nobody asked for, and in debug mode who made the task.

Prints:
    Task exception was never retrieved
    *
    Exception: not consumed
"""

from __future__ import annotations

import gc

import refloop as asyncio

# Seconds that no step takes, however busy the machine is; the report of a slow one is another program's.
LONG = 60.0


async def bug() -> None:
    raise Exception("not consumed")


async def main() -> None:
    asyncio.get_running_loop().slow_callback_duration = LONG
    asyncio.create_task(bug())
    await asyncio.sleep(0)
    gc.collect()


asyncio.run(main(), debug=True)
