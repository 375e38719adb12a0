"""The call graph says who awaits whom.

Prints:
    * Task(name='inner', id=0x*)
    *
    *wait()
    *
    *Task(name='outer', id=0x*)
    *
"""

from __future__ import annotations

import refloop as asyncio


async def wait(event: asyncio.Event) -> None:
    await event.wait()


async def outer(task: asyncio.Task[None]) -> None:
    await task


async def main() -> None:
    event = asyncio.Event()
    inner = asyncio.create_task(wait(event), name="inner")
    awaiting = asyncio.create_task(outer(inner), name="outer")
    for _ in range(3):
        await asyncio.sleep(0)
    asyncio.print_call_graph(inner)
    event.set()
    await awaiting


asyncio.run(main())
