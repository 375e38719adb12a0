"""Developing: debug mode tells of a callback that takes long.

Prints:
    Executing <*> took 0.* seconds
    done
"""

from __future__ import annotations

import time

import refloop as asyncio


async def main() -> None:
    asyncio.get_running_loop().slow_callback_duration = 0.02
    await asyncio.sleep(0)
    time.sleep(0.03)  # noqa: ASYNC251 - the mistake that is shown
    await asyncio.sleep(0)


asyncio.run(main(), debug=True)
print("done")
