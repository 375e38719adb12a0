"""Programs equivalent to those that the subprocess page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.support.children import PYTHON
from conformance.support.marks import requirement

if TYPE_CHECKING:
    import pytest

PRINT_DATE = "import datetime; print(datetime.datetime.now())"


@requirement("examples/subprocess-page")
async def test_shell_commands_run_one_by_one_and_two_at_once(aio: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async def run(command: str) -> None:
        pipe = aio.subprocess.PIPE
        process = await aio.create_subprocess_shell(command, stdout=pipe, stderr=pipe)
        stdout, stderr = await process.communicate()
        print(f"[{command!r} exited with {process.returncode}]")
        if stdout:
            print(f"[stdout]\n{stdout.decode()}")
        if stderr:
            print(f"[stderr]\n{stderr.decode()}")

    await run("ls /zzz")
    alone = capsys.readouterr().out
    assert alone.startswith("['ls /zzz' exited with ")
    assert "exited with 0" not in alone
    assert "[stderr]\n" in alone
    assert "[stdout]" not in alone
    await aio.gather(run("ls /zzz"), run("echo hello"))
    both = capsys.readouterr().out
    assert alone in both
    assert "['echo hello' exited with 0]\n[stdout]\nhello" in both


async def line_of_a_child(aio: Any) -> str:
    process = await aio.create_subprocess_exec(*PYTHON, PRINT_DATE, stdout=aio.subprocess.PIPE)
    line: bytes = await process.stdout.readline()
    await process.wait()
    return line.decode("ascii").rstrip()


@requirement("examples/subprocess-by-streams-page")
async def test_a_child_gives_the_date_as_a_line(aio: Any) -> None:
    assert (await line_of_a_child(aio)).startswith("20")


@requirement("examples/subprocess-using-streams")
async def test_a_child_gives_the_date_as_a_line_in_the_program_of_older_documentation(aio: Any) -> None:
    assert (await line_of_a_child(aio)).startswith("20")


class DateProtocol:
    """Collects what the child writes, and says in a future when the child has ended and its output too."""

    def __init__(self, exit_future: Any) -> None:
        self.exit_future = exit_future
        self.output = bytearray()
        self.pipe_closed = False
        self.exited = False

    def pipe_connection_lost(self, _fd: int, _exc: BaseException | None) -> None:
        self.pipe_closed = True
        self.check_for_exit()

    def pipe_data_received(self, _fd: int, data: bytes) -> None:
        self.output.extend(data)

    def process_exited(self) -> None:
        self.exited = True
        self.check_for_exit()

    def check_for_exit(self) -> None:
        if self.pipe_closed and self.exited:
            self.exit_future.set_result(True)


async def date_of_a_child(aio: Any, loop: Any) -> str:
    class Date(DateProtocol, aio.SubprocessProtocol):  # type: ignore[misc]
        pass

    exit_future = loop.create_future()
    transport, protocol = await loop.subprocess_exec(
        lambda: Date(exit_future), *PYTHON, PRINT_DATE, stdin=None, stderr=None
    )
    await exit_future
    transport.close()
    return bytes(protocol.output).decode("ascii").rstrip()


@requirement("examples/loop-subprocess-exec-and-subprocessprotocol")
async def test_a_protocol_collects_the_date_of_a_child(aio: Any, loop: Any) -> None:
    assert (await date_of_a_child(aio, loop)).startswith("20")


@requirement("examples/subprocess-using-transport-and-protocol")
async def test_a_protocol_collects_the_date_of_a_child_in_the_program_of_older_documentation(
    aio: Any, loop: Any
) -> None:
    assert (await date_of_a_child(aio, loop)).startswith("20")
