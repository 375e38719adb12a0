"""Programs that cannot be started: ``loop.subprocess_exec()`` and ``loop.subprocess_shell()``."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from pathlib import Path

# The documentation forbids these arguments and names no exception; every loop that refuses them keeps it.
REFUSED = (ValueError, TypeError, subprocess.SubprocessError)


@pytest.mark.parametrize(
    "option",
    [{"bufsize": 1}, {"bufsize": -1}, {"universal_newlines": True}, {"shell": True}],
    ids=["line-buffered", "default-buffer", "universal-newlines", "shell"],
)
@requirement("loop.subprocess_exec/rejects-bufsize-newlines-shell")
async def test_a_program_takes_no_buffer_size_no_newlines_and_no_shell(
    loop: Any, aio: Any, option: dict[str, Any]
) -> None:
    with pytest.raises(REFUSED):
        await loop.subprocess_exec(aio.SubprocessProtocol, sys.executable, "-c", "", **option)


@pytest.mark.parametrize("option", [{"text": True}, {"encoding": "utf-8"}, {"errors": "strict"}], ids="+".join)
@requirement("loop.subprocess_exec/rejects-text-encoding-errors")
async def test_the_pipes_of_a_program_carry_bytes_and_no_text(loop: Any, aio: Any, option: dict[str, Any]) -> None:
    with pytest.raises(REFUSED):
        await loop.subprocess_exec(aio.SubprocessProtocol, sys.executable, "-c", "", **option)


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("pipes", [None, subprocess.PIPE], ids=["inherited", "pipes"])
@requirement("loop.subprocess_exec/raises-for-missing-program")
async def test_a_program_that_does_not_exist_is_not_found(
    loop: AbstractEventLoop, aio: Any, tmp_path: Path, reported: list[dict[str, Any]], pipes: int | None
) -> None:
    options: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), pipes)
    with pytest.raises(FileNotFoundError):
        await loop.subprocess_exec(aio.SubprocessProtocol, str(tmp_path / "missing"), **options)
    assert reported == []


@requirement("loop.subprocess_exec/raises-for-missing-program")
async def test_a_name_that_no_folder_of_the_path_has_is_not_found(
    loop: AbstractEventLoop, aio: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError):
        await loop.subprocess_exec(aio.SubprocessProtocol, "missing", "argument")


@requirement("loop.subprocess_exec/raises-for-missing-program")
async def test_a_program_that_never_ran_tells_its_protocol_nothing(
    loop: AbstractEventLoop, aio: Any, tmp_path: Path
) -> None:
    told: list[str] = []

    class Listener(aio.SubprocessProtocol):  # type: ignore[misc]
        def process_exited(self) -> None:
            told.append("process_exited")

        def connection_lost(self, _: Exception | None) -> None:
            told.append("connection_lost")

    with pytest.raises(FileNotFoundError):
        await loop.subprocess_exec(Listener, str(tmp_path / "missing"))
    for _ in range(3):
        await aio.sleep(0)
    assert told == []


@pytest.mark.parametrize("command", [["true"], ("true",), None, 1], ids=["list", "tuple", "none", "int"])
@requirement("loop.subprocess_shell/rejects-non-string-cmd")
async def test_a_shells_command_must_be_a_string(loop: Any, aio: Any, command: object) -> None:
    with pytest.raises(REFUSED):
        await loop.subprocess_shell(aio.SubprocessProtocol, command)
