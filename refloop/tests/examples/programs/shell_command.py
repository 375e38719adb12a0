"""Shell commands are run for what they print.

Prints:
    'echo out; echo err >&2; exit 3' ended with 3
    stdout: out
    stderr: err
    'true' ended with 0
"""

from __future__ import annotations

import refloop as asyncio


async def run(command: str) -> None:
    process = await asyncio.create_subprocess_shell(
        command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await process.communicate()
    print(f"{command!r} ended with {process.returncode}")
    if stdout:
        print("stdout:", stdout.decode().rstrip())
    if stderr:
        print("stderr:", stderr.decode().rstrip())


async def main() -> None:
    await run("echo out; echo err >&2; exit 3")
    await run("true")


asyncio.run(main())
