"""As older documentation has it: coroutines await each other, run by run_until_complete().

Prints:
    1 + 2 ...
    1 + 2 = 3
    done: ['a', 'b']
"""

from __future__ import annotations

import refloop as asyncio


async def add(x: int, y: int) -> int:
    print(f"{x} + {y} ...")
    await asyncio.sleep(0.01)
    return x + y


async def print_sum(x: int, y: int) -> None:
    print(f"{x} + {y} = {await add(x, y)}")


async def name(value: str) -> str:
    await asyncio.sleep(0)
    return value


async def names() -> list[str]:
    return list(await asyncio.gather(name("a"), name("b")))


loop = asyncio.new_event_loop()
loop.run_until_complete(print_sum(1, 2))
print("done:", loop.run_until_complete(names()))
loop.close()
