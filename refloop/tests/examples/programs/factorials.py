"""Three factorials are gathered.

Prints:
    A: 1 * 2
    B: 1 * 2
    C: 1 * 2
    A: 2! = 2
    B: 2 * 3
    C: 2 * 3
    B: 3! = 6
    C: 6 * 4
    C: 4! = 24
    [2, 6, 24]
"""

from __future__ import annotations

import refloop as asyncio


async def factorial(name: str, number: int) -> int:
    product = 1
    for factor in range(2, number + 1):
        print(f"{name}: {product} * {factor}")
        await asyncio.sleep(0)
        product *= factor
    print(f"{name}: {number}! = {product}")
    return product


async def main() -> None:
    print(await asyncio.gather(factorial("A", 2), factorial("B", 3), factorial("C", 4)))


asyncio.run(main())
