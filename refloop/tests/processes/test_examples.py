"""Programs equivalent to those of the documentation: the subprocess page, and signal handlers."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

requirement = pytest.mark.requirement

PRINT_DATE = "import datetime; print(datetime.datetime.now())"


@requirement("examples/subprocess-page")
async def test_shell_commands_one_and_then_two_at_once(aio: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async def run(command: str) -> None:
        process = await aio.create_subprocess_shell(command, stdout=aio.subprocess.PIPE, stderr=aio.subprocess.PIPE)
        stdout, stderr = await process.communicate()
        print(f"[{command!r} exited with {process.returncode}]")
        if stdout:
            print(f"[stdout]\n{stdout.decode()}")
        if stderr:
            print(f"[stderr]\n{stderr.decode()}")

    await run("ls /zzz")
    assert "[stderr]" in capsys.readouterr().out
    await aio.gather(run("ls /zzz"), run("sleep 0.1; echo hello"))
    assert "[stdout]\nhello\n" in capsys.readouterr().out


@requirement("examples/subprocess-by-streams-page", "examples/subprocess-using-streams")
async def test_a_date_is_read_as_a_line(aio: Any) -> None:
    process = await aio.create_subprocess_exec(sys.executable, "-c", PRINT_DATE, stdout=aio.subprocess.PIPE)
    line = (await process.stdout.readline()).decode("ascii").rstrip()
    await process.wait()
    assert line.startswith("20")


@requirement("examples/loop-subprocess-exec-and-subprocessprotocol", "examples/subprocess-using-transport-and-protocol")
async def test_a_date_is_collected_by_a_protocol(aio: Any) -> None:
    class DateProtocol(aio.SubprocessProtocol):  # type: ignore[misc]  # the namespace is chosen at run time
        def __init__(self, exited: Any) -> None:
            self.exited = exited
            self.output = bytearray()
            self.pipe_closed = False
            self.process_ended = False

        def pipe_connection_lost(self, *_: Any) -> None:
            self.pipe_closed = True
            self.check_for_exit()

        def pipe_data_received(self, _: int, data: bytes) -> None:
            self.output.extend(data)

        def process_exited(self) -> None:
            self.process_ended = True
            self.check_for_exit()

        def check_for_exit(self) -> None:
            if self.pipe_closed and self.process_ended:
                self.exited.set_result(True)

    loop = aio.get_running_loop()
    exited = loop.create_future()
    transport, protocol = await loop.subprocess_exec(
        lambda: DateProtocol(exited), sys.executable, "-c", PRINT_DATE, stdin=None, stderr=None
    )
    await exited
    transport.close()
    assert bytes(protocol.output).decode("ascii").startswith("20")


@requirement("examples/set-signal-handlers-for-sigint-and-sigterm")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_end_the_program(aio: Any, new_loop: Callable[[], Any], name: str) -> None:
    seen: list[str] = []

    def ask_exit(signame: str, loop: Any) -> None:
        seen.append(f"got signal {signame}: exit")
        loop.stop()

    async def main() -> None:
        loop = aio.get_running_loop()
        for signame in ("SIGINT", "SIGTERM"):
            loop.add_signal_handler(getattr(signal, signame), functools.partial(ask_exit, signame, loop))
        loop.call_soon(os.kill, os.getpid(), getattr(signal, name))
        await aio.sleep(3600)

    loop = new_loop()
    task = loop.create_task(main())
    with pytest.raises(RuntimeError, match="stopped before Future completed"):
        loop.run_until_complete(task)
    assert seen == [f"got signal {name}: exit"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    for signame in ("SIGINT", "SIGTERM"):
        assert loop.remove_signal_handler(getattr(signal, signame))
    loop.close()
