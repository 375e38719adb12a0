"""Developing: debug mode tells of a callback that takes long.

Prints:
    Executing <*> took 0.* seconds
    done
"""

from __future__ import annotations

import time

import refloop as asyncio

# Seconds that no other step takes, however busy the machine is.
LONG = 60.0


async def main() -> None:
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = LONG
    await asyncio.sleep(0)
    loop.slow_callback_duration = 0.02
    time.sleep(0.03)  # noqa: ASYNC251 - the mistake that is shown
    await asyncio.sleep(0)
    loop.slow_callback_duration = LONG


asyncio.run(main(), debug=True)
print("done")
