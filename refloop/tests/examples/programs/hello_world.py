"""Print, wait, print: the first page.

Prints:
    Hello ...
    ... World!
"""

from __future__ import annotations

import refloop as asyncio


async def main() -> None:
    print("Hello ...")
    await asyncio.sleep(0.01)
    print("... World!")


asyncio.run(main())
