"""Coroutines awaited one after another, then as tasks, then in a group.

Prints:
    in turn: slow quick
    tasks: quick slow
    group: quick slow
"""

from __future__ import annotations

import refloop as asyncio


async def say_after(delay: float, what: str, said: list[str]) -> None:
    await asyncio.sleep(delay)
    said.append(what)


async def in_turn() -> list[str]:
    said: list[str] = []
    await say_after(0.05, "slow", said)
    await say_after(0.01, "quick", said)
    return said


async def as_tasks() -> list[str]:
    said: list[str] = []
    slow = asyncio.create_task(say_after(0.05, "slow", said))
    quick = asyncio.create_task(say_after(0.01, "quick", said))
    await slow
    await quick
    return said


async def in_a_group() -> list[str]:
    said: list[str] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(say_after(0.05, "slow", said))
        group.create_task(say_after(0.01, "quick", said))
    return said


async def main() -> None:
    print("in turn:", *await in_turn())
    print("tasks:", *await as_tasks())
    print("group:", *await in_a_group())


asyncio.run(main())
