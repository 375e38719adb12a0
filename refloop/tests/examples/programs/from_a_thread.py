"""A thread hands coroutines and callbacks to the loop.

Prints:
    called with 7
    the loop returned 42
    the coroutine took too long
"""

from __future__ import annotations

import concurrent.futures

import refloop as asyncio


async def answer() -> int:
    await asyncio.sleep(0.01)
    return 42


def work(loop: asyncio.AbstractEventLoop) -> None:
    loop.call_soon_threadsafe(print, "called with", 7)
    print("the loop returned", asyncio.run_coroutine_threadsafe(answer(), loop).result(30))
    future = asyncio.run_coroutine_threadsafe(asyncio.sleep(3600), loop)
    try:
        future.result(0.01)
    except concurrent.futures.TimeoutError:
        print("the coroutine took too long")
        future.cancel()


async def main() -> None:
    await asyncio.to_thread(work, asyncio.get_running_loop())


asyncio.run(main())
