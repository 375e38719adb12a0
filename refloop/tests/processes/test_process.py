"""Processes where refloop and asyncio are mixed, and what becomes of those that their owner forgets.

What is promised of each is checked by the suite's cases; here one's processes are children of the other's loop.
"""

from __future__ import annotations

import gc
import os
from typing import Any

import pytest

from refloop.tests.processes.conftest import eventually
from refloop.tests.processes.programs import ECHO, FOREVER, PYTHON, UNTIL_EOF

requirement = pytest.mark.requirement

# Larger than any pipe's capacity, which Linux lets an ordinary user raise to 1 MiB.
LARGE = 3 * 1024 * 1024


async def start(aio: Any, program: str, **kwargs: Any) -> Any:
    return await aio.create_subprocess_exec(*PYTHON, program, **kwargs)


def pipes(aio: Any, *names: str) -> dict[str, Any]:
    return dict.fromkeys(names, aio.subprocess.PIPE)


@requirement("subprocess.Process.communicate/survives-large-output")
async def test_communicate_moves_much_in_both_directions_at_once(aio: Any) -> None:
    program = (
        "import sys, threading\n"
        f"noise = threading.Thread(target=lambda: sys.stderr.buffer.write(bytes({LARGE})))\n"
        f"noise.start()\n{ECHO}\nnoise.join()"
    )
    process = await start(aio, program, **pipes(aio, "stdin", "stdout", "stderr"))
    data = os.urandom(LARGE)
    output, errors = await process.communicate(data)
    assert output == data
    assert errors == bytes(LARGE)


@requirement("subprocess.Process.wait/wakes-all-waiters", "subprocess.Process.wait/is-coroutine")
async def test_many_can_wait_and_one_that_gives_up_harms_no_other(aio: Any, loop: Any) -> None:
    process = await start(aio, UNTIL_EOF, **pipes(aio, "stdin", "stdout"))
    assert await process.stdout.readline() == b"ready\n"
    waiters = [loop.create_task(process.wait()) for _ in range(5)]
    impatient = waiters.pop()
    await aio.sleep(0)
    impatient.cancel()
    process.stdin.close()
    assert await aio.gather(*waiters, process.wait()) == [0] * 5
    assert impatient.cancelled()
    assert await process.wait() == 0


@requirement("create_subprocess_exec/runs-children-in-parallel")
async def test_many_children_at_once_are_all_heard_of(aio: Any) -> None:
    async def one(n: int) -> tuple[bytes, int]:
        process = await aio.create_subprocess_shell(f"echo {n}; exit {n}", **pipes(aio, "stdout"))
        output, _ = await process.communicate()
        return output, process.returncode

    assert await aio.gather(*map(one, range(50))) == [(b"%d\n" % n, n) for n in range(50)]


@pytest.mark.own_names("asyncio's Process leaves its child alone")
@requirement("create_subprocess_exec/kills-child-when-collected")
@requirement("create_subprocess_shell/kills-child-when-collected")
async def test_a_forgotten_process_is_killed(aio: Any) -> None:
    for starting in (
        start(aio, FOREVER, **pipes(aio, "stdin", "stdout")),
        aio.create_subprocess_shell("exec sleep 1000", **pipes(aio, "stdin")),
    ):
        process = await starting
        pid, transport = process.pid, process._transport
        del process
        gc.collect()
        # The loop may hear of the end from a thread, later than the system lets go of the child: it closes when it has.
        while transport.get_returncode() is None:
            await aio.sleep(0.001)
        until_gone(pid)


def until_gone(pid: int) -> None:
    """Return when the process has been reaped."""

    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    eventually(gone)


@pytest.mark.own_loop("asyncio's loop leaves a zombie")
@pytest.mark.own_names("asyncio's Process leaves its child alone")
async def test_a_run_that_leaves_a_child_behind_kills_it(aio: Any, new_loop: Any) -> None:
    def run() -> int:
        async def main() -> int:
            process = await start(aio, FOREVER, **pipes(aio, "stdin", "stdout"))
            pid: int = process.pid
            return pid

        with aio.Runner(loop_factory=new_loop) as runner:
            pid: int = runner.run(main())
        return pid

    until_gone(await aio.to_thread(run))
