"""``create_subprocess_exec()`` and ``create_subprocess_shell()``: what they run, with which streams and keywords."""

from __future__ import annotations

import inspect
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.children import (
    ECHO,
    FOLDER_AND_WORD,
    LONG_LIVED,
    NOTHING,
    UNTIL_EOF,
    Program,
    prints,
    prints_error,
    start,
)
from conformance.support.marks import requirement

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from pathlib import Path

    from conformance.support.programs import RunProgram

# The documentation forbids text streams and names no exception; every loop that refuses them keeps it.
REFUSED = (ValueError, TypeError)

# Writes to both of its output streams what it was told as arguments, and what comes of its input.
THREE_STREAMS = Program(
    "import os; os.write(1, b'out:' + os.read(0, 9)); os.write(2, b'err')", "printf out:; cat; printf err >&2"
)
CARRIAGE_RETURN = Program("import os; os.write(1, b'a' + bytes([13, 10]) + b'b')", r"printf 'a\r\nb'")
COUNTS_ARGUMENTS = Program("import sys; sys.exit(len(sys.argv) - 1)", "exit $#")
UNIX_SHELL = pytest.mark.skipif(sys.platform == "win32", reason="the command is for a POSIX shell")


async def by_exec(aio: Any, program: Program, **options: Any) -> Any:
    return await start(aio, program, **options)


async def by_shell(aio: Any, program: Program, **options: Any) -> Any:
    return await aio.create_subprocess_shell(program.command, **options)


@requirement("create_subprocess_exec/accepts-documented-arguments")
async def test_exec_is_a_coroutine_function_whose_program_has_a_name(aio: Any) -> None:
    assert inspect.iscoroutinefunction(aio.create_subprocess_exec)
    process = await aio.create_subprocess_exec(program=sys.executable, stdin=aio.subprocess.DEVNULL)
    assert await process.wait() == 0


@requirement("create_subprocess_exec/accepts-documented-arguments")
async def test_what_exec_gets_by_position_are_arguments_of_the_program(aio: Any) -> None:
    process = await start(
        aio,
        "import sys; sys.stdout.write(repr(sys.argv[1:]))",
        "one",
        b"two",
        "",
        "3 4",
        stdin=None,
        stdout=aio.subprocess.PIPE,
        stderr=None,
        limit=2**16,
    )
    output, _ = await process.communicate()
    assert output == b"['one', 'two', '', '3 4']"


@requirement("create_subprocess_exec/accepts-documented-arguments")
async def test_exec_needs_a_program(aio: Any) -> None:
    with pytest.raises(TypeError):
        await aio.create_subprocess_exec()


@requirement("create_subprocess_shell/accepts-documented-arguments")
async def test_shell_is_a_coroutine_function_that_takes_its_streams_by_position(aio: Any) -> None:
    assert inspect.iscoroutinefunction(aio.create_subprocess_shell)
    nowhere, pipe = aio.subprocess.DEVNULL, aio.subprocess.PIPE
    process = await aio.create_subprocess_shell("echo shown", nowhere, pipe, pipe)
    output, errors = await process.communicate()
    assert (output.split(), errors) == ([b"shown"], b"")


@requirement("create_subprocess_shell/accepts-documented-arguments")
async def test_shell_takes_everything_by_keyword(aio: Any) -> None:
    process = await aio.create_subprocess_shell(cmd="exit 3", stdin=None, stdout=None, stderr=None, limit=1024)
    assert await process.wait() == 3


@requirement("create_subprocess_shell/accepts-documented-arguments")
async def test_the_streams_of_a_shell_are_the_parents_unless_given(aio: Any) -> None:
    process = await aio.create_subprocess_shell("exit 0")
    await process.wait()
    assert (process.stdin, process.stdout, process.stderr) == (None, None, None)


@requirement("create_subprocess_exec/returns-process", "subprocess.Process/returned-by-creation-functions")
async def test_exec_runs_the_program_as_a_process(aio: Any) -> None:
    process = await start(aio, COUNTS_ARGUMENTS, "a", "b", "c")
    assert isinstance(process, aio.subprocess.Process)
    assert await process.wait() == 3


@requirement("create_subprocess_shell/returns-process", "subprocess.Process/returned-by-creation-functions")
async def test_shell_runs_the_command_as_a_process(aio: Any) -> None:
    process = await aio.create_subprocess_shell("echo one&&exit 7", stdout=aio.subprocess.PIPE)
    assert isinstance(process, aio.subprocess.Process)
    output, _ = await process.communicate()
    assert (output.split(), process.returncode) == ([b"one"], 7)


@UNIX_SHELL
@pytest.mark.parametrize("convert", [str, str.encode], ids=["str", "bytes"])
@requirement("create_subprocess_shell/returns-process")
async def test_the_command_is_for_the_shell_to_read(aio: Any, convert: Any) -> None:
    command = convert('for n in 1 2; do echo "$n * $X" | tr 1 9; done; exit $((40 + 2))')
    process = await aio.create_subprocess_shell(command, stdout=aio.subprocess.PIPE, env={**os.environ, "X": "x"})
    assert await process.communicate() == (b"9 * x\n2 * x\n", None)
    assert process.returncode == 42


@pytest.mark.parametrize("run", [by_exec, by_shell], ids=["exec", "shell"])
@requirement("subprocess.Process/returned-by-creation-functions")
async def test_a_process_has_the_documented_attributes_and_methods(aio: Any, run: Any) -> None:
    process = await run(aio, NOTHING)
    names = (
        "wait",
        "communicate",
        "send_signal",
        "terminate",
        "kill",
        "stdin",
        "stdout",
        "stderr",
        "pid",
        "returncode",
    )
    assert [name for name in names if not hasattr(process, name)] == []
    await process.wait()


@pytest.mark.parametrize("name", ["stdout", "stderr"])
@requirement("create_subprocess_exec/limit-bounds-reader-buffers")
async def test_a_line_longer_than_execs_limit_is_too_long_for_its_readers(aio: Any, name: str) -> None:
    program = {"stdout": prints, "stderr": prints_error}[name](f"{'x' * 90}\n{'y' * 300}\n")
    process = await start(aio, program, limit=100, **{name: aio.subprocess.PIPE})
    reader = getattr(process, name)
    assert await reader.readuntil() == b"x" * 90 + b"\n"
    with pytest.raises(aio.LimitOverrunError):
        await reader.readuntil()
    # What is too long stays in the buffer, and the pipe open until somebody takes it.
    assert await reader.read() == b"y" * 300 + b"\n"
    await process.wait()


@pytest.mark.parametrize("name", ["stdout", "stderr"])
@requirement("create_subprocess_shell/limit-bounds-reader-buffers")
async def test_a_line_longer_than_a_shells_limit_is_too_long_for_its_readers(aio: Any, name: str) -> None:
    program = {"stdout": prints, "stderr": prints_error}[name](f"{'x' * 90}\n{'y' * 300}\n")
    process = await by_shell(aio, program, limit=100, **{name: aio.subprocess.PIPE})
    reader = getattr(process, name)
    assert await reader.readline() == b"x" * 90 + b"\n"
    with pytest.raises(aio.LimitOverrunError):
        await reader.readuntil()
    assert await reader.read() == b"y" * 300 + b"\n"
    await process.wait()


@pytest.mark.parametrize("run", [by_exec, by_shell], ids=["exec", "shell"])
@requirement(
    "create_subprocess_exec/limit-bounds-reader-buffers", "create_subprocess_shell/limit-bounds-reader-buffers"
)
async def test_a_limit_above_the_default_lets_longer_lines_through(aio: Any, run: Any) -> None:
    program = Program(
        "import sys; sys.stdout.write('x' * 500000 + chr(10) + 'rest')",
        "dd if=/dev/zero bs=500000 count=1 2>/dev/null | tr '\\0' x; echo; printf rest",
    )
    process = await run(aio, program, limit=2**20, stdout=aio.subprocess.PIPE)
    assert await process.stdout.readline() == b"x" * 500000 + b"\n"
    assert await process.stdout.read() == b"rest"
    await process.wait()


@requirement("create_subprocess_exec/passes-keywords-through")
async def test_execs_other_keywords_are_those_of_the_loop(aio: Any, tmp_path: Path) -> None:
    environment = {**os.environ, "WORD": "said"}
    process = await start(aio, FOLDER_AND_WORD, cwd=tmp_path, env=environment, stdout=aio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.decode() == f"{tmp_path} said"


@requirement("create_subprocess_shell/passes-keywords-through")
async def test_a_shells_other_keywords_are_those_of_the_loop(aio: Any, tmp_path: Path) -> None:
    environment = {**os.environ, "WORD": "said"}
    process = await by_shell(aio, FOLDER_AND_WORD, cwd=str(tmp_path), env=environment, stdout=aio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.decode() == f"{tmp_path} said"


@pytest.mark.parametrize("run", [by_exec, by_shell], ids=["exec", "shell"])
@requirement("subprocess.Process/rejects-universal-newlines")
async def test_a_process_has_no_universal_newlines(aio: Any, run: Any) -> None:
    with pytest.raises(REFUSED):
        await run(aio, NOTHING, universal_newlines=True, stdout=aio.subprocess.PIPE)
    process = await run(aio, CARRIAGE_RETURN, stdout=aio.subprocess.PIPE)
    assert await process.communicate() == (b"a\r\nb", None)


@pytest.mark.parametrize("run", [by_exec, by_shell], ids=["exec", "shell"])
@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
@requirement("subprocess.PIPE/accepted-for-each-stream")
async def test_a_pipe_is_opened_for_the_stream_that_asks_for_it_alone(aio: Any, run: Any, name: str) -> None:
    nowhere = dict.fromkeys({"stdin", "stdout", "stderr"} - {name}, aio.subprocess.DEVNULL)
    process = await run(aio, THREE_STREAMS, **{name: aio.subprocess.PIPE}, **nowhere)
    assert [one for one in ("stdin", "stdout", "stderr") if getattr(process, one) is not None] == [name]
    expected = {"stdin": (None, None), "stdout": (b"out:", None), "stderr": (None, b"err")}
    assert await process.communicate(b"in" if name == "stdin" else None) == expected[name]


@pytest.mark.parametrize("run", [by_exec, by_shell], ids=["exec", "shell"])
@requirement("subprocess.PIPE/accepted-for-each-stream")
async def test_all_three_streams_may_be_pipes(aio: Any, run: Any) -> None:
    pipe = aio.subprocess.PIPE
    process = await run(aio, THREE_STREAMS, stdin=pipe, stdout=pipe, stderr=pipe)
    assert await process.communicate(b"in") == (b"out:in", b"err")


@pytest.mark.parametrize("run", [by_exec, by_shell], ids=["exec", "shell"])
@requirement("subprocess.STDOUT/merges-stderr-into-stdout")
async def test_standard_error_can_go_where_standard_output_goes(aio: Any, run: Any) -> None:
    sp = aio.subprocess
    process = await run(aio, THREE_STREAMS, stdin=sp.DEVNULL, stdout=sp.PIPE, stderr=sp.STDOUT)
    assert process.stderr is None
    assert await process.communicate() == (b"out:err", None)


@pytest.mark.parametrize("run", [by_exec, by_shell], ids=["exec", "shell"])
@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
@requirement("subprocess.DEVNULL/connects-stream-to-devnull")
async def test_a_stream_can_lead_nowhere(aio: Any, run: Any, name: str) -> None:
    fd = ("stdin", "stdout", "stderr").index(name)
    program = (
        "import os, sys\n"
        f"null, mine = os.stat(os.devnull), os.fstat({fd})\n"
        "sys.exit(7 if (mine.st_mode, mine.st_ino, mine.st_rdev) == (null.st_mode, null.st_ino, null.st_rdev) else 1)"
    )
    process = await run(aio, Program(program), **{name: aio.subprocess.DEVNULL})
    assert getattr(process, name) is None
    assert await process.wait() == 7


@requirement("subprocess.DEVNULL/connects-stream-to-devnull")
async def test_reading_from_nowhere_is_the_end_at_once(aio: Any) -> None:
    process = await start(aio, THREE_STREAMS, stdin=aio.subprocess.DEVNULL, stdout=aio.subprocess.PIPE, stderr=-3)
    assert await process.communicate() == (b"out:", None)


@requirement("create_subprocess_shell/failing-command-sets-returncode")
async def test_a_command_that_fails_raises_nothing(aio: Any) -> None:
    pipe = aio.subprocess.PIPE
    process = await aio.create_subprocess_shell("no-such-command-anywhere", stdout=pipe, stderr=pipe)
    output, errors = await process.communicate()
    assert (output, process.returncode != 0) == (b"", True)
    assert b"no-such-command-anywhere" in errors


@requirement("create_subprocess_exec/runs-children-in-parallel")
async def test_children_live_at_the_same_time(aio: Any) -> None:
    pipe = aio.subprocess.PIPE
    # Each waits for its input's end, which comes only when all have said that they run.
    processes = await aio.gather(*(start(aio, UNTIL_EOF, stdin=pipe, stdout=pipe) for _ in range(3)))
    assert [await process.stdout.readline() for process in processes] == [b"ready" + os.linesep.encode()] * 3
    assert [process.returncode for process in processes] == [None] * 3
    await aio.gather(*(process.communicate(b"") for process in processes))
    assert [process.returncode for process in processes] == [0] * 3


@requirement("create_subprocess_exec/runs-children-in-parallel")
async def test_many_children_end_each_with_its_own_output_and_return_code(aio: Any) -> None:
    async def run(n: int) -> tuple[bytes, int]:
        process = await aio.create_subprocess_shell(f"echo {n}&&exit {n}", stdout=aio.subprocess.PIPE)
        output, _ = await process.communicate()
        return output.strip(), process.returncode

    assert await aio.gather(*map(run, range(30))) == [(str(n).encode(), n) for n in range(30)]


FORGETFUL = """
import asyncio
from conformance.support.reaping import reaped_after_kill

async def start_and_forget(stream):
    process = await aio.{start}, stdin=stream, stdout=stream, stderr=stream)
    return process.pid

loop = make_loop()
pid = loop.run_until_complete(start_and_forget(asyncio.subprocess.{stream}))
# A loop may refer to its children while they run; a closed one has no use for them.
loop.close()
del loop
print("killed" if reaped_after_kill(pid) else "ended otherwise")
"""


@requirement("create_subprocess_exec/kills-child-when-collected")
def test_a_child_of_exec_is_killed_with_its_process_and_loop(run_program: RunProgram) -> None:
    done = run_program(FORGETFUL.format(start=f"create_subprocess_exec(*{LONG_LIVED.line}", stream="PIPE"))
    assert done.stdout.split() == ["killed"], done.stderr


@UNIX_SHELL
@requirement("create_subprocess_shell/kills-child-when-collected")
def test_a_shell_is_killed_with_its_process_and_loop(run_program: RunProgram) -> None:
    done = run_program(FORGETFUL.format(start="create_subprocess_shell('exec sleep 60'", stream="DEVNULL"))
    assert done.stdout.split() == ["killed"], done.stderr


@requirement("create_subprocess_exec/warns-deprecated-loop-argument")
async def test_giving_exec_its_loop_warns(loop: AbstractEventLoop, aio: Any) -> None:
    with pytest.warns(DeprecationWarning):  # noqa: PT030 - no text is promised
        process = await start(aio, ECHO, loop=loop, stdin=aio.subprocess.DEVNULL)
    assert await process.wait() == 0
