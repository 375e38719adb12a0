"""Blocking work in the default pool, in a pool of threads and in a pool of processes.

Prints:
    default pool: 64 bytes
    threads: 64 bytes
    processes: 120
"""

from __future__ import annotations

import concurrent.futures
import math
import multiprocessing

import refloop as asyncio


def read_file() -> str:
    with open("/dev/zero", "rb", buffering=0) as file:  # noqa: PTH123 - a device, not a path
        return f"{len(file.read(64))} bytes"


async def main() -> None:
    loop = asyncio.get_running_loop()
    print("default pool:", await loop.run_in_executor(None, read_file))
    with concurrent.futures.ThreadPoolExecutor() as threads:
        print("threads:", await loop.run_in_executor(threads, read_file))
    # Forking a program that has threads may hang it.
    spawning = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawning) as processes:
        print("processes:", await loop.run_in_executor(processes, math.factorial, 5))


if __name__ == "__main__":
    asyncio.run(main())
