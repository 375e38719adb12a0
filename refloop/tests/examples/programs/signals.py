"""Handlers for SIGINT and SIGTERM; the second ends the program.

Prints:
    got SIGINT
    got SIGTERM
    the end
"""

from __future__ import annotations

import functools
import os
import signal

import refloop as asyncio


async def main() -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def handle(name: str) -> None:
        print("got", name)
        if name == "SIGTERM":
            ended.set()
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    for name in ("SIGINT", "SIGTERM"):
        loop.add_signal_handler(getattr(signal, name), functools.partial(handle, name))
    os.kill(os.getpid(), signal.SIGINT)
    await ended.wait()
    print("the end")


asyncio.run(main())
