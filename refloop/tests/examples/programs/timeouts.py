"""Time runs out: by wait_for(), timeout(), timeout_at() and a timeout that is set later.

Prints:
    wait_for: too late
    timeout: too late
    timeout_at: too late
    rescheduled: too late, True
    in time
"""

from __future__ import annotations

import refloop as asyncio


async def eternity() -> None:
    await asyncio.sleep(3600)
    print("never")


async def main() -> None:
    try:
        await asyncio.wait_for(eternity(), timeout=0.01)
    except TimeoutError:
        print("wait_for: too late")
    try:
        async with asyncio.timeout(0.01):
            await eternity()
    except TimeoutError:
        print("timeout: too late")
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(loop.time() + 0.01):
            await eternity()
    except TimeoutError:
        print("timeout_at: too late")
    try:
        async with asyncio.timeout(None) as limit:
            limit.reschedule(loop.time() + 0.01)
            await eternity()
    except TimeoutError:
        print(f"rescheduled: too late, {limit.expired()}")
    async with asyncio.timeout(3600):
        print("in time")


asyncio.run(main())
