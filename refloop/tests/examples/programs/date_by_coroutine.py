"""The date is displayed again and again until its time is over.

Prints:
    20*-*-*
    *
"""

from __future__ import annotations

import datetime as dt

import refloop as asyncio


async def display_date() -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + 0.05
    while True:
        print(dt.datetime.now(dt.UTC).date())
        if loop.time() + 0.02 >= end:
            break
        await asyncio.sleep(0.02)


asyncio.run(display_date())
