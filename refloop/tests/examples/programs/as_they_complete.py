"""Results are taken as they come, by both ways of as_completed(), and by wait().

Prints:
    quick slow
    quick slow
    done: quick, pending: 1
"""

from __future__ import annotations

import refloop as asyncio


async def after(delay: float, what: str) -> str:
    await asyncio.sleep(delay)
    return what


def make_tasks() -> list[asyncio.Task[str]]:
    return [
        asyncio.create_task(after(0.05, "slow")),
        asyncio.create_task(after(0.01, "quick")),
    ]


async def main() -> None:
    print(*[await earliest for earliest in asyncio.as_completed(make_tasks())])
    print(*[await task async for task in asyncio.as_completed(make_tasks())])
    done, pending = await asyncio.wait(make_tasks(), return_when=asyncio.FIRST_COMPLETED)
    print(f"done: {done.pop().result()}, pending: {len(pending)}")
    await asyncio.wait(pending)


asyncio.run(main())
