"""Developing: the loop tells of an exception that nobody asked for, and in debug mode who made the task.

Prints:
    Task exception was never retrieved
    *
    Exception: not consumed
"""

from __future__ import annotations

import gc

import refloop as asyncio


async def bug() -> None:
    raise Exception("not consumed")


async def main() -> None:
    asyncio.create_task(bug())
    await asyncio.sleep(0)
    gc.collect()


asyncio.run(main(), debug=True)
