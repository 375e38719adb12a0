"""loop.subprocess_exec() and loop.subprocess_shell(): what is run, with which streams, and what is refused."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.processes.programs import ECHO, PYTHON, Recorder

if TYPE_CHECKING:
    from pathlib import Path

requirement = pytest.mark.requirement


async def output_of(loop: Any, *command: Any, **kwargs: Any) -> tuple[bytes, bytes, int]:
    """Run it to its end, without input, and return what it wrote and its return code."""
    kwargs = {"stdin": subprocess.DEVNULL, **kwargs}
    transport, protocol = await loop.subprocess_exec(lambda: Recorder(loop), *command, **kwargs)
    await protocol.lost
    transport.close()
    return protocol.data[1], protocol.data[2], transport.get_returncode()


async def output_of_shell(loop: Any, command: Any, **kwargs: Any) -> tuple[bytes, bytes, int]:
    """Run it in a shell to its end."""
    transport, protocol = await loop.subprocess_shell(lambda: Recorder(loop), command, stdin=None, **kwargs)
    await protocol.lost
    transport.close()
    return protocol.data[1], protocol.data[2], transport.get_returncode()


@requirement("loop.subprocess_exec/runs-program-without-shell", "loop.subprocess_exec/accepts-str-and-bytes-arguments")
@requirement("loop.subprocess_exec/output-is-bytes")
async def test_arguments_reach_the_program_as_they_are(loop: Any) -> None:
    program = "import sys; print(sys.argv[1:])"
    output, errors, code = await output_of(loop, *PYTHON, program, "$HOME; *", b"b\xc3\xa9", "a b")
    assert (output, errors, code) == ("['$HOME; *', 'bé', 'a b']\n".encode(), b"", 0)


@requirement("loop.subprocess_exec/returns-transport-protocol-pair", "loop.subprocess_exec/protocol-comes-from-factory")
@requirement("loop.subprocess_exec/default-streams-are-pipes", "loop.subprocess_exec/pipe-creates-new-pipe")
async def test_all_three_streams_are_pipes_unless_others_are_given(loop: Any) -> None:
    made: list[Recorder] = []

    def factory() -> Recorder:
        made.append(Recorder(loop))
        return made[-1]

    transport, protocol = await loop.subprocess_exec(factory, *PYTHON, ECHO)
    assert made == [protocol]
    assert protocol.transport is transport
    transport.get_pipe_transport(0).write(b"through and through")
    transport.get_pipe_transport(0).close()
    await protocol.lost
    transport.close()
    assert protocol.data == {1: b"through and through", 2: b""}


@requirement("loop.subprocess_exec/streams-configured-independently", "loop.subprocess_exec/accepts-file-object-stream")
@requirement("loop.subprocess_exec/accepts-descriptor-stream")
async def test_each_stream_can_be_of_its_own_kind(loop: Any, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"from a file")
    descriptor = os.open(tmp_path / "err", os.O_CREAT | os.O_WRONLY)
    program = "import sys; print(sys.stdin.read()); print('to a descriptor', file=sys.stderr)"
    with (tmp_path / "in").open("rb") as file:
        output, errors, code = await output_of(loop, *PYTHON, program, stdin=file, stderr=descriptor)
    os.close(descriptor)
    assert (output, errors, code) == (b"from a file\n", b"", 0)
    assert (tmp_path / "err").read_bytes() == b"to a descriptor\n"


@requirement("loop.subprocess_exec/stdout-merges-stderr", "loop.subprocess_exec/devnull-uses-null-device")
async def test_stderr_can_join_stdout_and_streams_can_lead_nowhere(loop: Any) -> None:
    program = "import os; os.write(1, b'one '); os.write(2, b'two ' + os.read(0, 10))"
    output, errors, _ = await output_of(loop, *PYTHON, program, stderr=subprocess.STDOUT)
    assert (output, errors) == (b"one two ", b"")
    output, errors, _ = await output_of(loop, *PYTHON, program, stdout=subprocess.DEVNULL)
    assert (output, errors) == (b"", b"two ")


@requirement("loop.subprocess_exec/none-inherits-stream")
async def test_a_stream_given_as_none_is_the_parents_own(loop: Any) -> None:
    mine = [os.fstat(fd).st_ino for fd in (0, 1, 2)]
    program = f"import os, sys; sys.exit([os.fstat(fd).st_ino for fd in (0, 1, 2)] != {mine})"
    *_, code = await output_of(loop, *PYTHON, program, stdin=None, stdout=None, stderr=None)
    assert code == 0


@requirement("loop.subprocess_exec/forwards-keywords-to-popen")
async def test_other_keywords_reach_popen(loop: Any, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    program = "import os, sys; print(os.getcwd(), os.environ['WORD'], os.getsid(0) == os.getpid()); "
    program += f"os.write({writer}, b'passed')"
    environment = {**os.environ, "WORD": "said"}
    output, _, code = await output_of(
        loop, *PYTHON, program, cwd=tmp_path, env=environment, start_new_session=True, pass_fds=(writer,)
    )
    os.close(writer)
    assert os.read(reader, 100) == b"passed"
    os.close(reader)
    assert (output.decode(), code) == (f"{tmp_path} said True\n", 0)


@requirement("loop.subprocess_exec/rejects-bufsize-newlines-shell", "loop.subprocess_exec/rejects-text-encoding-errors")
@requirement("subprocess.Process/rejects-universal-newlines")
@pytest.mark.parametrize(
    "refused",
    [
        {"bufsize": 1},
        {"universal_newlines": True},
        {"text": True},
        {"encoding": "utf-8"},
        {"errors": "strict"},
    ],
    ids=lambda refused: next(iter(refused)),
)
async def test_what_would_decode_or_buffer_is_refused(loop: Any, refused: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|support"):
        await loop.subprocess_exec(lambda: Recorder(loop), "true", **refused)
    with pytest.raises(ValueError, match=r"must|support"):
        await loop.subprocess_shell(lambda: Recorder(loop), "true", **refused)


@requirement(
    "loop.subprocess_exec/rejects-bufsize-newlines-shell", "loop.subprocess_shell/otherwise-like-subprocess-exec"
)
async def test_the_wrong_method_for_a_shell_is_refused(loop: Any) -> None:
    with pytest.raises(ValueError, match="shell"):
        await loop.subprocess_exec(lambda: Recorder(loop), "true", shell=True)
    with pytest.raises(ValueError, match="shell"):
        await loop.subprocess_shell(lambda: Recorder(loop), "true", shell=False)


@requirement("loop.subprocess_exec/rejects-text-encoding-errors")
async def test_what_changes_nothing_may_be_said(loop: Any) -> None:
    *_, code = await output_of(
        loop, "true", bufsize=0, universal_newlines=False, shell=False, text=None, encoding=None, errors=None
    )
    assert code == 0


@requirement("loop.subprocess_exec/raises-for-missing-program")
async def test_a_missing_program_raises_at_once_and_leaves_nothing(loop: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await loop.subprocess_exec(lambda: Recorder(loop), str(tmp_path / "missing"))


@requirement("loop.subprocess_shell/runs-cmd-through-shell", "loop.subprocess_shell/quoting-left-to-caller")
@requirement("loop.subprocess_shell/accepts-str-or-bytes-cmd", "loop.subprocess_shell/returns-transport-protocol-pair")
@pytest.mark.parametrize("command", ["echo $((20 + 1)) | sed s/1/2/; exit 3", b"echo $((20 + 1)) | sed s/1/2/; exit 3"])
async def test_a_command_is_left_to_the_shell(loop: Any, command: str | bytes) -> None:
    assert await output_of_shell(loop, command) == (b"22\n", b"", 3)


@requirement("loop.subprocess_shell/rejects-non-string-cmd")
@pytest.mark.parametrize("command", [["true"], 1, None], ids=repr)
async def test_a_command_that_is_no_string_is_refused(loop: Any, command: Any) -> None:
    with pytest.raises(ValueError, match="cmd"):
        await loop.subprocess_shell(lambda: Recorder(loop), command)


@requirement("BaseTransport.get_extra_info/offers-subprocess-key", "loop.subprocess_exec/exposes-popen-object")
async def test_the_popen_object_is_extra_information(loop: Any) -> None:
    transport, protocol = await loop.subprocess_exec(lambda: Recorder(loop), *PYTHON, ECHO)
    popen = transport.get_extra_info("subprocess")
    assert isinstance(popen, subprocess.Popen)
    assert popen.pid == transport.get_pid()
    assert transport.get_extra_info("socket") is None
    assert transport.get_extra_info("socket", 1) == 1
    transport.close()
    await protocol.lost
