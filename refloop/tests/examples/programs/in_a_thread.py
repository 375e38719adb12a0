"""What blocks runs in a thread, beside the loop.

Prints:
    the loop goes on
    (3.0, 'yes')
"""

from __future__ import annotations

import contextvars
import threading

import refloop as asyncio

seen = contextvars.ContextVar("seen", default="no")


async def main() -> None:
    may_end = threading.Event()

    def block(number: float) -> tuple[float, str]:
        may_end.wait()
        return number, seen.get()

    async def go_on() -> None:
        print("the loop goes on")
        may_end.set()

    seen.set("yes")
    result, _ = await asyncio.gather(asyncio.to_thread(block, 3.0), go_on())
    print(result)


asyncio.run(main())
