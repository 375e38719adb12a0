"""A callback prints and stops the loop.

Prints:
    Hello World
    closed: True
"""

from __future__ import annotations

import refloop as asyncio


def hello_world(loop: asyncio.AbstractEventLoop) -> None:
    print("Hello World")
    loop.stop()


loop = asyncio.new_event_loop()
loop.call_soon(hello_world, loop)
try:
    loop.run_forever()
finally:
    loop.close()
print("closed:", loop.is_closed())
