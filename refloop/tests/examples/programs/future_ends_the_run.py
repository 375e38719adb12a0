"""As older documentation has it: a future's callback stops the loop that runs for ever.

Prints:
    the result: 42
"""

from __future__ import annotations

from typing import Any

import refloop as asyncio


async def slow_operation(future: asyncio.Future[int]) -> None:
    await asyncio.sleep(0.01)
    future.set_result(42)


def got_result(future: asyncio.Future[int]) -> None:
    print("the result:", future.result())
    loop.stop()


loop = asyncio.new_event_loop()
future: Any = loop.create_future()
task = loop.create_task(slow_operation(future))
future.add_done_callback(got_result)
try:
    loop.run_forever()
finally:
    loop.close()
