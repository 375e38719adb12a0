"""A callback displays the date and calls itself later, until it stops the loop.

Prints:
    20*-*-*
    20*-*-*
    20*-*-*
"""

from __future__ import annotations

import datetime as dt

import refloop as asyncio


def display_date(times: int, loop: asyncio.AbstractEventLoop) -> None:
    print(dt.datetime.now(dt.UTC).date())
    if times > 1:
        loop.call_later(0.01, display_date, times - 1, loop)
    else:
        loop.stop()


loop = asyncio.new_event_loop()
loop.call_soon(display_date, 3, loop)
try:
    loop.run_forever()
finally:
    loop.close()
