"""A task group is ended from within by an exception that is made for it.

Prints:
    first: begins
    second: begins
    second: ends
    the group is over
"""

from __future__ import annotations

import refloop as asyncio


class EndOfGroup(Exception):
    """Raised to end a group."""


async def end_group() -> None:
    raise EndOfGroup


async def job(name: str, seconds: float) -> None:
    print(f"{name}: begins")
    await asyncio.sleep(seconds)
    print(f"{name}: ends")


async def main() -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(job("first", 1000))
            quick = group.create_task(job("second", 0.01))
            await quick
            group.create_task(end_group())
    except* EndOfGroup:
        print("the group is over")


asyncio.run(main())
