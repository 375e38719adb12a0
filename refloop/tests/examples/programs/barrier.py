"""Three tasks meet at a barrier.

Prints:
    <*Barrier object at 0x* [filling, waiters:0/3]>
    <*Barrier object at 0x* [filling, waiters:2/3]>
    passed
    drained: True
    <*Barrier object at 0x* [draining, waiters:0/3]>
    <*Barrier object at 0x* [filling, waiters:0/3]>
"""

from __future__ import annotations

import refloop as asyncio


async def main() -> None:
    barrier = asyncio.Barrier(3)
    print(barrier)
    waiting = [asyncio.create_task(barrier.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    print(barrier)
    await barrier.wait()
    print("passed")
    print("drained:", barrier.n_waiting == 0)
    print(barrier)
    await asyncio.gather(*waiting)
    print(barrier)


asyncio.run(main())
