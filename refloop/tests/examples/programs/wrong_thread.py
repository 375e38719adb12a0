"""Developing: debug mode refuses a call from a thread that is not the loop's.

Prints:
    Non-thread-safe operation invoked on an event loop other than the current one
"""

from __future__ import annotations

import refloop as asyncio


async def main() -> None:
    loop = asyncio.get_running_loop()
    try:
        await asyncio.to_thread(loop.call_soon, print)
    except RuntimeError as error:
        print(error)


asyncio.run(main(), debug=True)
