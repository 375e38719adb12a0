"""``loop.subprocess_exec()`` and ``loop.subprocess_shell()``: what is run, and where its streams lead."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.children import (
    ECHO,
    LONG_LIVED,
    NOTHING,
    PYTHON,
    UNTIL_EOF,
    Program,
    Recorder,
    end,
    prints,
    spawn,
)
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.support.programs import RunProgram

UNIX_SHELL = pytest.mark.skipif(sys.platform == "win32", reason="the command is for a POSIX shell")

SHOWS_ARGUMENTS = Program(
    "import os, sys; sys.stdout.buffer.write(b''.join(b'|' + os.fsencode(word) for word in sys.argv[1:]))",
    """printf '|%s' "$@\"""",
)
# Writes to both of its output streams, the second time what comes of its input.
THREE_STREAMS = Program(
    "import os; os.write(1, b'out '); os.write(2, b'err ' + os.read(0, 100))",
    "printf 'out '; printf 'err ' >&2; dd bs=100 count=1 1>&2 2>/dev/null",
)


METHODS = ("get_pid", "get_pipe_transport", "get_returncode", "kill", "send_signal", "terminate", "close", "is_closing")


async def spawn_shell(loop: Any, command: Any, **options: Any) -> tuple[Any, Recorder]:
    transport, protocol = await loop.subprocess_shell(lambda: Recorder(loop), command, **options)
    return transport, protocol


async def output_of(started: tuple[Any, Recorder]) -> tuple[bytes, bytes, int]:
    """What a child without input writes until it ends, and its return code."""
    transport, protocol = started
    stdin = transport.get_pipe_transport(0)
    if stdin is not None:
        stdin.close()
    await end(transport, protocol)
    return protocol.output[1], protocol.output[2], transport.get_returncode()


@requirement("loop.subprocess_exec/accepts-documented-parameters")
async def test_exec_is_a_coroutine_method_that_takes_its_streams_by_keyword(loop: Any) -> None:
    coroutine = loop.subprocess_exec(lambda: Recorder(loop), *NOTHING.line, stdin=None, stdout=None, stderr=None)
    assert inspect.isawaitable(coroutine)
    transport, protocol = await coroutine
    await end(transport, protocol)
    assert [transport.get_pipe_transport(fd) for fd in range(3)] == [None] * 3


@requirement("loop.subprocess_exec/runs-program-without-shell")
async def test_the_arguments_of_a_program_reach_it_in_order_and_as_they_are(loop: Any) -> None:
    arguments = ["$HOME", "*", "a b", "", "'\"", ";exit 3", "%PATH%", "\\", "~"]
    output, errors, code = await output_of(await spawn(loop, SHOWS_ARGUMENTS, *arguments))
    assert (output.decode().split("|"), errors, code) == (["", *arguments], b"", 0)


@requirement("loop.subprocess_exec/runs-program-without-shell")
async def test_a_program_needs_no_arguments(loop: Any) -> None:
    # An interpreter that gets no program reads one from its standard input.
    transport, protocol = await loop.subprocess_exec(lambda: Recorder(loop), sys.executable)
    stdin = transport.get_pipe_transport(0)
    stdin.write(b"import sys; print(len(sys.argv), end='')")
    stdin.close()
    await end(transport, protocol)
    assert protocol.output[1] == b"1"


@requirement("loop.subprocess_exec/accepts-str-and-bytes-arguments")
async def test_arguments_are_text_or_bytes_in_the_encoding_of_file_names(loop: Any) -> None:
    arguments: list[str | bytes] = ["text \u00e9", os.fsencode("bytes \u00e9"), b"plain"]
    output, _, code = await output_of(await spawn(loop, SHOWS_ARGUMENTS, *arguments))
    assert (output.split(b"|"), code) == ([b"", *map(os.fsencode, arguments)], 0)


@pytest.mark.skipif(sys.platform == "win32", reason="Popen takes no bytes on Windows")
@requirement("loop.subprocess_exec/accepts-str-and-bytes-arguments")
async def test_the_program_may_be_bytes_as_well(loop: Any) -> None:
    line = [os.fsencode(word) for word in (*SHOWS_ARGUMENTS.line, "one")]
    transport, protocol = await loop.subprocess_exec(lambda: Recorder(loop), *line)
    assert await output_of((transport, protocol)) == (b"|one", b"", 0)


@requirement("loop.subprocess_exec/accepts-subprocess-protocol-factory")
@requirement("loop.subprocess_exec/protocol-comes-from-factory")
async def test_the_protocol_is_what_the_factory_made_once(loop: Any, aio: Any) -> None:
    made: list[Any] = []

    def factory() -> Any:
        made.append(Recorder(loop))
        return made[-1]

    transport, protocol = await loop.subprocess_exec(factory, *NOTHING.line)
    assert made == [protocol]
    assert isinstance(protocol, aio.SubprocessProtocol)
    await output_of((transport, protocol))


@requirement("loop.subprocess_exec/accepts-subprocess-protocol-factory")
async def test_a_class_of_protocols_is_a_factory(loop: Any, aio: Any) -> None:
    ended = loop.create_future()

    class Mine(aio.SubprocessProtocol):  # type: ignore[misc]
        def connection_lost(self, exc: BaseException | None) -> None:
            ended.set_result(exc)

    transport, protocol = await loop.subprocess_exec(Mine, *NOTHING.line)
    assert type(protocol) is Mine
    transport.get_pipe_transport(0).close()
    assert await ended is None
    transport.close()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.subprocess_exec/returns-transport-protocol-pair")
async def test_exec_gives_a_transport_and_the_protocol_that_was_told_of_it(loop: Any) -> None:
    pair = await loop.create_task(spawn(loop, prints("ran")))
    transport, protocol = pair
    assert [name for name in METHODS if not callable(getattr(transport, name, None))] == []
    assert protocol.told("connection_made") == [(transport,)]
    assert await output_of(pair) == (b"ran", b"", 0)


@requirement("loop.subprocess_exec/default-streams-are-pipes")
async def test_all_three_streams_are_pipes_unless_others_are_given(loop: Any) -> None:
    transport, protocol = await spawn(loop, THREE_STREAMS)
    transport.get_pipe_transport(0).write(b"in")
    await end(transport, protocol)
    assert protocol.output == {1: b"out ", 2: b"err in"}


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
@requirement("loop.subprocess_exec/pipe-creates-new-pipe")
async def test_a_stream_given_as_pipe_is_connected_to_the_transport(loop: Any, name: str) -> None:
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL) | {name: subprocess.PIPE}
    transport, protocol = await spawn(loop, THREE_STREAMS, **streams)
    pipes = [transport.get_pipe_transport(fd) is not None for fd in range(3)]
    assert pipes == [name == "stdin", name == "stdout", name == "stderr"]
    if name == "stdin":
        transport.get_pipe_transport(0).write(b"in")
    await end(transport, protocol)
    assert protocol.output == {1: b"out " if name == "stdout" else b"", 2: b"err " if name == "stderr" else b""}


@requirement("loop.subprocess_exec/pipe-creates-new-pipe")
async def test_each_pipe_is_a_pipe_of_its_own(loop: Any) -> None:
    program = "import os; print(len({os.fstat(fd).st_ino for fd in (0, 1, 2)}), end='')"
    assert await output_of(await spawn(loop, program)) == (b"3", b"", 0)


@requirement("loop.subprocess_exec/accepts-file-object-stream")
async def test_streams_may_be_files(loop: Any, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"from a file")
    with (
        (tmp_path / "in").open("rb") as source,
        (tmp_path / "out").open("wb") as out,
        (tmp_path / "err").open("wb") as err,
    ):
        transport, protocol = await spawn(loop, THREE_STREAMS, stdin=source, stdout=out, stderr=err)
        await end(transport, protocol)
        assert [source.closed, out.closed, err.closed] == [False] * 3
    assert [(tmp_path / name).read_bytes() for name in ("out", "err")] == [b"out ", b"err from a file"]
    assert [transport.get_pipe_transport(fd) for fd in range(3)] == [None] * 3


@requirement("loop.subprocess_exec/accepts-descriptor-stream")
async def test_streams_may_be_descriptors(loop: Any) -> None:
    (source, feed), (result, sink) = os.pipe(), os.pipe()
    os.write(feed, b"from a descriptor")
    transport, protocol = await spawn(loop, THREE_STREAMS, stdin=source, stdout=sink, stderr=sink)
    await end(transport, protocol)
    written = os.read(result, 100)
    for descriptor in source, feed, result, sink:
        # Each is still open here: that it was given to a child closes it in the child alone.
        os.close(descriptor)
    assert written == b"out err from a descriptor"


@requirement("loop.subprocess_exec/none-inherits-stream")
async def test_streams_given_as_none_are_the_parents_own(loop: Any) -> None:
    program = "import os, sys; sys.exit([str((s.st_dev, s.st_ino)) for s in map(os.fstat, range(3))] == sys.argv[1:])"
    mine = [str((found.st_dev, found.st_ino)) for found in map(os.fstat, range(3))]
    _, _, code = await output_of(await spawn(loop, program, *mine, stdin=None, stdout=None, stderr=None))
    assert code == 1


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
@requirement("loop.subprocess_exec/devnull-uses-null-device")
async def test_a_stream_can_lead_nowhere(loop: Any, name: str) -> None:
    fd = ("stdin", "stdout", "stderr").index(name)
    program = (
        "import os, sys\n"
        f"null, mine = os.stat(os.devnull), os.fstat({fd})\n"
        "sys.exit(7 if (mine.st_mode, mine.st_ino, mine.st_rdev) == (null.st_mode, null.st_ino, null.st_rdev) else 1)"
    )
    _, _, code = await output_of(await spawn(loop, program, **{name: subprocess.DEVNULL}))
    assert code == 7


@requirement("loop.subprocess_exec/stdout-merges-stderr")
async def test_standard_error_can_go_where_standard_output_goes(loop: Any) -> None:
    transport, protocol = await spawn(loop, THREE_STREAMS, stderr=subprocess.STDOUT)
    assert transport.get_pipe_transport(2) is None
    assert await output_of((transport, protocol)) == (b"out err ", b"", 0)


@requirement("loop.subprocess_exec/stdout-merges-stderr")
async def test_standard_error_can_go_into_the_file_of_standard_output(loop: Any, tmp_path: Path) -> None:
    with (tmp_path / "both").open("wb") as file:
        await output_of(await spawn(loop, THREE_STREAMS, stdout=file, stderr=subprocess.STDOUT))
    assert (tmp_path / "both").read_bytes() == b"out err "


@requirement("loop.subprocess_exec/streams-configured-independently")
async def test_each_stream_can_be_of_its_own_kind(loop: Any, tmp_path: Path) -> None:
    with (tmp_path / "err").open("wb") as file:
        started = await spawn(loop, THREE_STREAMS, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file)
        assert await output_of(started) == (b"out ", b"", 0)
    assert (tmp_path / "err").read_bytes() == b"err "
    program = "import os, sys; sys.exit(os.fstat(0).st_ino != int(sys.argv[1]))"
    inherited = os.fstat(0).st_ino
    started = await spawn(loop, program, str(inherited), stdin=None, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert await output_of(started) == (b"", b"", 0)


@requirement("loop.subprocess_exec/output-is-bytes")
async def test_output_is_passed_on_as_it_was_written(loop: Any) -> None:
    program = "import os; os.write(1, bytes(range(256)) + b'\\r\\n\\xff'); os.write(2, b'\\xc3')"
    transport, protocol = await spawn(loop, program)
    await output_of((transport, protocol))
    assert protocol.output == {1: bytes(range(256)) + b"\r\n\xff", 2: b"\xc3"}
    assert {type(data) for _, data in protocol.told("pipe_data_received")} == {bytes}


@requirement("loop.subprocess_exec/exposes-popen-object")
async def test_the_popen_object_is_extra_information(loop: Any) -> None:
    transport, protocol = await spawn(loop, UNTIL_EOF)
    popen = transport.get_extra_info("subprocess")
    assert isinstance(popen, subprocess.Popen)
    assert popen.pid == transport.get_pid()
    await output_of((transport, protocol))


@requirement("loop.subprocess_exec/forwards-keywords-to-popen")
async def test_the_folder_and_the_environment_of_a_child_can_be_given(loop: Any, tmp_path: Path) -> None:
    program = Program(
        "import os; print(os.getcwd(), os.environ.get('WORD'), 'OTHER' in os.environ, end='')",
        """printf '%s %s %s' "$(pwd -P)" "$WORD" "${OTHER-False}\"""",
    )
    environment = {name: value for name, value in os.environ.items() if name != "OTHER"} | {"WORD": "said"}
    output, _, _ = await output_of(await spawn(loop, program, cwd=tmp_path, env=environment))
    assert output.decode() == f"{tmp_path} said False"


@pytest.mark.skipif(sys.platform == "win32", reason="sessions and descriptors are those of Unix")
@requirement("loop.subprocess_exec/forwards-keywords-to-popen")
async def test_a_child_can_have_a_session_of_its_own(loop: Any) -> None:
    program = "import os; print(os.getsid(0) == os.getpid(), end='')"
    assert await output_of(await spawn(loop, program)) == (b"False", b"", 0)
    assert await output_of(await spawn(loop, program, start_new_session=True)) == (b"True", b"", 0)


@pytest.mark.skipif(sys.platform == "win32", reason="sessions and descriptors are those of Unix")
@requirement("loop.subprocess_exec/forwards-keywords-to-popen")
async def test_a_child_gets_the_descriptors_that_it_is_to_get_and_no_others(loop: Any) -> None:
    passed, kept = os.pipe()
    os.set_inheritable(kept, True)
    program = (
        "import os, sys\n"
        "def is_open(fd):\n try: os.fstat(fd); return True\n except OSError: return False\n"
        "print([is_open(int(fd)) for fd in sys.argv[1:]], end='')"
    )
    arguments = str(passed), str(kept)
    nothing = await output_of(await spawn(loop, program, *arguments, close_fds=True))
    chosen = await output_of(await spawn(loop, program, *arguments, pass_fds=(passed,)))
    everything = await output_of(await spawn(loop, program, *arguments, close_fds=False))
    os.close(passed)
    os.close(kept)
    outputs = [output for output, _, _ in (nothing, chosen, everything)]
    assert outputs == [b"[False, False]", b"[True, False]", b"[False, True]"]


@pytest.mark.skipif(sys.platform == "win32", reason="nothing runs between fork and exec on Windows")
@requirement("loop.subprocess_exec/forwards-keywords-to-popen")
async def test_a_function_can_run_in_the_child_before_the_program(loop: Any, tmp_path: Path) -> None:
    program = Program("import os; print(os.getcwd(), end='')", """printf %s "$(pwd -P)\"""")
    output, _, _ = await output_of(await spawn(loop, program, preexec_fn=lambda: os.chdir(tmp_path)))
    assert output.decode() == str(tmp_path)


@requirement("loop.subprocess_exec/forwards-keywords-to-popen")
async def test_the_program_that_is_run_can_be_another_than_the_one_named(loop: Any) -> None:
    program = "import sys; print(sys.argv[0:2], end='')"
    transport, protocol = await loop.subprocess_exec(
        lambda: Recorder(loop), "named", *PYTHON[1:], program, "one", executable=sys.executable
    )
    assert await output_of((transport, protocol)) == (b"['-c', 'one']", b"", 0)


@requirement("loop.subprocess_exec/forwards-keywords-to-popen")
async def test_a_keyword_that_popen_does_not_know_is_refused(loop: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        await spawn(loop, "", no_such_keyword=1)


@requirement("loop.subprocess_exec/passed-pipe-peer-registrable")
async def test_the_other_end_of_a_pipe_given_to_a_child_can_be_written_to(loop: Any, aio: Any) -> None:
    reading, writing = os.pipe()
    transport, protocol = await spawn(loop, ECHO, stdin=reading)
    os.close(reading)
    pipe, _ = await loop.connect_write_pipe(aio.BaseProtocol, os.fdopen(writing, "wb", 0))
    pipe.write(b"through a pipe of ours")
    pipe.close()
    await end(transport, protocol)
    assert protocol.output[1] == b"through a pipe of ours"


@requirement("loop.subprocess_exec/passed-pipe-peer-registrable")
async def test_the_other_end_of_a_pipe_given_to_a_child_can_be_read_from(loop: Any, aio: Any) -> None:
    reading, writing = os.pipe()
    received: list[bytes] = []
    ended = loop.create_future()

    class Reader(aio.Protocol):  # type: ignore[misc]
        def data_received(self, data: bytes) -> None:
            received.append(data)

        def connection_lost(self, _: BaseException | None) -> None:
            ended.set_result(None)

    transport, protocol = await spawn(loop, prints("shown"), stdout=writing, stdin=subprocess.DEVNULL)
    os.close(writing)
    await loop.connect_read_pipe(Reader, os.fdopen(reading, "rb", 0))
    await ended
    await end(transport, protocol)
    assert b"".join(received) == b"shown"


@requirement("loop.subprocess_shell/accepts-documented-parameters")
async def test_shell_takes_everything_by_keyword(loop: Any) -> None:
    started = loop.subprocess_shell(
        protocol_factory=lambda: Recorder(loop), cmd="exit 3", stdin=None, stdout=None, stderr=None
    )
    assert inspect.isawaitable(started)
    assert await output_of(await started) == (b"", b"", 3)


@requirement("loop.subprocess_shell/accepts-documented-parameters")
async def test_the_streams_of_a_shell_are_pipes_unless_others_are_given(loop: Any) -> None:
    transport, protocol = await spawn_shell(loop, "exit 0")
    assert [transport.get_pipe_transport(fd) is not None for fd in range(3)] == [True] * 3
    await output_of((transport, protocol))


@requirement("loop.subprocess_shell/accepts-documented-parameters")
async def test_the_streams_of_a_shell_are_not_given_by_position(loop: Any) -> None:
    with pytest.raises(TypeError):
        await loop.subprocess_shell(lambda: Recorder(loop), "exit 0", None)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.subprocess_shell/returns-transport-protocol-pair")
async def test_shell_gives_a_transport_and_the_protocol_that_was_told_of_it(loop: Any) -> None:
    pair = await loop.create_task(spawn_shell(loop, "echo ran"))
    transport, protocol = pair
    assert [name for name in METHODS if not callable(getattr(transport, name, None))] == []
    assert protocol.told("connection_made") == [(transport,)]
    output, errors, code = await output_of(pair)
    assert (output.strip(), errors, code) == (b"ran", b"", 0)


@requirement("loop.subprocess_shell/runs-cmd-through-shell")
async def test_a_command_is_of_the_shells_syntax(loop: Any) -> None:
    output, _, code = await output_of(await spawn_shell(loop, "echo one&& echo two&&exit 3"))
    assert (output.split(), code) == ([b"one", b"two"], 3)


@UNIX_SHELL
@pytest.mark.parametrize("convert", [str, str.encode], ids=["str", "bytes"])
@requirement("loop.subprocess_shell/accepts-str-or-bytes-cmd")
async def test_a_command_may_be_text_or_bytes(loop: Any, convert: Any) -> None:
    command = convert("printf '%s' caf\u00e9 | tr c C; exit $((40 + 2))")
    output, _, code = await output_of(await spawn_shell(loop, command))
    assert (os.fsdecode(output), code) == ("Caf\u00e9", 42)


@UNIX_SHELL
@requirement("loop.subprocess_shell/quoting-left-to-caller")
async def test_a_command_is_quoted_by_nobody_but_its_caller(loop: Any) -> None:
    command = "printf '[%s]' $WORD \"$WORD\" '$WORD' a\\ b"
    output, _, _ = await output_of(await spawn_shell(loop, command, env={**os.environ, "WORD": "x y"}))
    assert output == b"[x][y][x y][$WORD][a b]"


@UNIX_SHELL
@requirement("loop.subprocess_shell/otherwise-like-subprocess-exec")
async def test_a_shells_other_arguments_mean_what_they_mean_for_exec(loop: Any, tmp_path: Path) -> None:
    made: list[Any] = []

    def factory() -> Any:
        made.append(Recorder(loop))
        return made[-1]

    started = await loop.subprocess_shell(
        factory,
        "pwd; echo $WORD >&2; cat",
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
        env={**os.environ, "WORD": "said"},
    )
    assert made == [started[1]]
    assert await output_of(started) == (f"{tmp_path}\nsaid\n".encode(), b"", 0)


@pytest.mark.parametrize(
    "option",
    [{"bufsize": 1}, {"universal_newlines": True}, {"shell": False}, {"text": True}, {"encoding": "utf-8"}],
    ids="+".join,
)
@requirement("loop.subprocess_shell/otherwise-like-subprocess-exec")
async def test_a_shell_takes_no_buffer_size_no_text_and_no_lack_of_a_shell(loop: Any, option: dict[str, Any]) -> None:
    # The documentation forbids them and names no exception.
    with pytest.raises((ValueError, TypeError, subprocess.SubprocessError)):
        await spawn_shell(loop, "exit 0", **option)


FORGETFUL = """
import subprocess, warnings
from asyncio import SubprocessProtocol
from conformance.support.reaping import reaped_after_kill

warnings.simplefilter("ignore")
loop = make_loop()
stream = subprocess.{stream}
transport, _ = loop.run_until_complete(loop.{start}, stdin=stream, stdout=stream, stderr=stream))
pid = transport.get_pid()
# A loop may refer to its children while they run; a closed one has no use for them.
loop.close()
del loop, transport, _
print("killed" if reaped_after_kill(pid) else "ended otherwise")
"""


@requirement("loop.subprocess_exec/kills-child-with-transport")
def test_a_child_of_exec_is_killed_with_its_transport_and_loop(run_program: RunProgram) -> None:
    start = f"subprocess_exec(SubprocessProtocol, *{LONG_LIVED.line}"
    done = run_program(FORGETFUL.format(start=start, stream="PIPE"))
    assert done.stdout.split() == ["killed"], done.stderr


@UNIX_SHELL
@requirement("loop.subprocess_shell/kills-child-with-transport")
def test_a_shell_is_killed_with_its_transport_and_loop(run_program: RunProgram) -> None:
    start = "subprocess_shell(SubprocessProtocol, 'exec sleep 60'"
    done = run_program(FORGETFUL.format(start=start, stream="DEVNULL"))
    assert done.stdout.split() == ["killed"], done.stderr


@on_loops(PLAIN, DEBUG)
@requirement("loop.subprocess_exec/kills-child-with-transport")
async def test_closing_the_transport_kills_a_child_of_exec(loop: Any) -> None:
    transport, protocol = await spawn(loop, LONG_LIVED)
    transport.close()
    await protocol.hears("connection_lost")
    assert transport.get_returncode() == (1 if sys.platform == "win32" else -9)


@UNIX_SHELL
@requirement("loop.subprocess_shell/kills-child-with-transport")
async def test_closing_the_transport_kills_a_shell(loop: Any) -> None:
    transport, protocol = await spawn_shell(loop, "exec sleep 60")
    transport.close()
    await protocol.hears("connection_lost")
    assert transport.get_returncode() == -9


@pytest.mark.parametrize("method", ["subprocess_exec", "connect_read_pipe", "connect_write_pipe"])
@requirement("loop.subprocess_exec/unsupported-on-windows-selector")
@requirement("loop.connect_read_pipe/unsupported-on-windows-selector")
@requirement("loop.connect_write_pipe/unsupported-on-windows-selector")
def test_a_selector_loop_of_windows_has_neither_children_nor_pipes(aio: Any, method: str) -> None:
    loop = aio.SelectorEventLoop()
    with open(os.devnull, "rb") as file:  # noqa: PTH123 - a name, not a path
        arguments = [*NOTHING.line] if method == "subprocess_exec" else [file]
        with pytest.raises(NotImplementedError):
            loop.run_until_complete(getattr(loop, method)(aio.SubprocessProtocol, *arguments))
    loop.close()
