"""Developing: Python tells of a coroutine that nobody awaited.

Prints:
    *
    *RuntimeWarning: coroutine 'forgotten' was never awaited
    *
"""

from __future__ import annotations

import refloop as asyncio


async def forgotten() -> None:
    print("never")


async def main() -> None:
    forgotten()  # type: ignore[unused-coroutine]


asyncio.run(main())
