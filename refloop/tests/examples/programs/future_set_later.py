"""A task sets a future's result, and main waits for it.

Prints:
    hello ...
    ... world
"""

from __future__ import annotations

from typing import Any

import refloop as asyncio


async def set_after(future: asyncio.Future[str], delay: float, value: str) -> None:
    await asyncio.sleep(delay)
    future.set_result(value)


async def main() -> None:
    loop = asyncio.get_running_loop()
    future: Any = loop.create_future()
    task = loop.create_task(set_after(future, 0.01, "... world"))
    print("hello ...")
    print(await future)
    await task


asyncio.run(main())
