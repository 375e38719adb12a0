"""The loop is made with a selector of the program's choice.

Prints:
    SelectSelector
"""

from __future__ import annotations

import selectors

import refloop as asyncio

selector = selectors.SelectSelector()
loop = asyncio.SelectorEventLoop(selector)


async def main() -> str:
    await asyncio.sleep(0)
    return type(selector).__name__


try:
    print(loop.run_until_complete(main()))
finally:
    loop.close()
