"""A child process is read line by line.

Prints:
    the date: 20*-*-*
    exit code: 0
"""

from __future__ import annotations

import sys

import refloop as asyncio


async def main() -> None:
    program = "import datetime; print(datetime.date.today())"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-E", "-c", program, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    print("the date:", (await process.stdout.readline()).decode().rstrip())
    print("exit code:", await process.wait())


asyncio.run(main())
