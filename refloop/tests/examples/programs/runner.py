"""Several runs share one loop and one context.

Prints:
    first: 1
    second: 2
    the same loop: True
"""

from __future__ import annotations

import contextvars

import refloop as asyncio

counter = contextvars.ContextVar("counter", default=0)


async def count(name: str) -> asyncio.AbstractEventLoop:
    counter.set(counter.get() + 1)
    print(f"{name}: {counter.get()}")
    return asyncio.get_running_loop()


with asyncio.Runner(debug=False) as runner:
    first = runner.run(count("first"))
    print("the same loop:", first is runner.run(count("second")))
