"""Subprocess transports and their protocols: who is told what, in which order, and what each method does."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.children import (
    ECHO,
    LEAVES_A_GRANDCHILD,
    LONG_LIVED,
    MORE_THAN_A_PIPE_HOLDS,
    NOTHING,
    OUT_AND_ERR,
    OWN_PID,
    STUBBORN,
    UNTIL_EOF,
    Program,
    Recorder,
    end,
    ends_with,
    prints,
    spawn,
    until_eof,
)
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.waiting import turns

if TYPE_CHECKING:
    from collections.abc import Callable

# Says which signals it gets, each as often as it comes; ends with its input.
TELLS_SIGNALS = """
import os, signal
for name in "SIGUSR1", "SIGUSR2", "SIGINT", "SIGTERM":
    signal.signal(getattr(signal, name), lambda number, _: os.write(1, b"%d " % number))
os.write(1, b"ready ")
while os.read(0, 1): pass
"""

KILLED = 1 if sys.platform == "win32" else -9


def kill(transport: Any) -> None:
    transport.kill()


def terminate(transport: Any) -> None:
    transport.terminate()


def send_sigterm(transport: Any) -> None:
    transport.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("method", ["subprocess_exec", "subprocess_shell"])
@requirement("SubprocessTransport/returned-by-subprocess-methods")
async def test_both_ways_to_start_a_child_give_a_subprocess_transport(loop: Any, aio: Any, method: str) -> None:
    line = [*NOTHING.line] if method == "subprocess_exec" else ["exit 0"]
    transport, protocol = await getattr(loop, method)(lambda: Recorder(loop), *line)
    assert isinstance(transport, aio.SubprocessTransport)
    await end(transport, protocol)


@requirement("SubprocessTransport.get_pid/returns-child-pid")
async def test_the_process_id_is_the_childs_before_and_after_its_end(loop: Any) -> None:
    transport, protocol = await spawn(loop, OWN_PID)
    pid = transport.get_pid()
    assert type(pid) is int
    await end(transport, protocol)
    assert (int(protocol.output[1]), transport.get_pid()) == (pid, pid)


@requirement("SubprocessTransport.get_pipe_transport/returns-stdin-write-transport")
async def test_the_pipe_of_descriptor_0_writes_to_the_child(loop: Any) -> None:
    transport, protocol = await spawn(loop, ECHO)
    stdin = transport.get_pipe_transport(0)
    assert transport.get_pipe_transport(0) is stdin
    stdin.write(b"through")
    stdin.close()
    await end(transport, protocol)
    assert protocol.output[1] == b"through"


@pytest.mark.parametrize("stdin", [None, subprocess.DEVNULL], ids=["inherited", "nowhere"])
@requirement("SubprocessTransport.get_pipe_transport/returns-stdin-write-transport")
async def test_without_a_pipe_to_the_child_there_is_no_write_transport(loop: Any, stdin: int | None) -> None:
    transport, protocol = await spawn(loop, NOTHING, stdin=stdin)
    assert transport.get_pipe_transport(0) is None
    await end(transport, protocol)


@requirement("SubprocessTransport.get_pipe_transport/returns-output-read-transports")
async def test_the_pipes_of_descriptors_1_and_2_read_from_the_child(loop: Any) -> None:
    when_told = Program(f"import os; os.read(0, 1); {OUT_AND_ERR.python}", f"read -r line; {OUT_AND_ERR.shell}")
    transport, protocol = await spawn(loop, when_told)
    out, err = (transport.get_pipe_transport(fd) for fd in (1, 2))
    assert [transport.get_pipe_transport(fd) for fd in (1, 2)] == [out, err]
    assert out is not err
    err.pause_reading()
    transport.get_pipe_transport(0).write(b"\n")
    await protocol.has_read(b"out")
    await turns(loop)
    assert protocol.output == {1: b"out", 2: b""}
    err.resume_reading()
    await end(transport, protocol)


@pytest.mark.parametrize("fd", [1, 2])
@requirement("SubprocessTransport.get_pipe_transport/returns-output-read-transports")
async def test_without_a_pipe_from_the_child_there_is_no_read_transport(loop: Any, fd: int) -> None:
    transport, protocol = await spawn(loop, NOTHING, **{("stdout", "stderr")[fd - 1]: subprocess.DEVNULL})
    assert transport.get_pipe_transport(fd) is None
    assert transport.get_pipe_transport(3 - fd) is not None
    await end(transport, protocol)


@requirement("SubprocessTransport.get_pipe_transport/returns-none-for-other-fd")
async def test_there_are_no_other_pipes(loop: Any) -> None:
    transport, protocol = await spawn(loop, NOTHING)
    assert [transport.get_pipe_transport(fd) for fd in (3, 4, 17, 1000)] == [None] * 4
    await end(transport, protocol)


@requirement("SubprocessTransport.get_pipe_transport/returns-usable-pipe-transports")
async def test_the_pipe_to_the_child_has_the_methods_of_a_write_transport(loop: Any) -> None:
    transport, protocol = await spawn(loop, ECHO)
    stdin = transport.get_pipe_transport(0)
    assert (stdin.get_write_buffer_size(), stdin.can_write_eof(), stdin.is_closing()) == (0, True, False)
    stdin.set_write_buffer_limits(high=4000, low=1000)
    stdin.writelines([b"one ", bytearray(b"two "), memoryview(b"three")])
    stdin.write_eof()
    await end(transport, protocol)
    assert protocol.output[1] == b"one two three"


@requirement("SubprocessTransport.get_pipe_transport/returns-usable-pipe-transports")
async def test_the_pipe_to_the_child_can_be_aborted(loop: Any) -> None:
    transport, protocol = await spawn(loop, "import sys, time; time.sleep(0.01); print(len(sys.stdin.buffer.read()))")
    transport.get_pipe_transport(0).write(bytes(MORE_THAN_A_PIPE_HOLDS))
    transport.get_pipe_transport(0).abort()
    await end(transport, protocol)
    assert int(protocol.output[1]) < MORE_THAN_A_PIPE_HOLDS


@requirement("SubprocessTransport.get_pipe_transport/returns-usable-pipe-transports")
async def test_the_pipe_from_the_child_can_be_paused(loop: Any) -> None:
    transport, protocol = await spawn(loop, ECHO)
    stdout = transport.get_pipe_transport(1)
    assert stdout.is_reading() is True
    stdout.pause_reading()
    assert stdout.is_reading() is False
    transport.get_pipe_transport(0).write(b"held back")
    transport.get_pipe_transport(0).close()
    await protocol.hears("process_exited")
    await turns(loop)
    assert protocol.told("pipe_data_received") == []
    stdout.resume_reading()
    await end(transport, protocol)
    assert protocol.output[1] == b"held back"


@requirement("SubprocessTransport.get_pipe_transport/returns-usable-pipe-transports")
async def test_the_pipe_from_the_child_can_be_closed_alone(loop: Any) -> None:
    goes_on = Program("import os; os.read(0, 1); os.write(2, b'still here')", "read -r line; printf 'still here' >&2")
    transport, protocol = await spawn(loop, goes_on)
    transport.get_pipe_transport(1).close()
    await protocol.hears("pipe_connection_lost")
    assert (protocol.told("pipe_connection_lost"), transport.get_returncode()) == ([(1, None)], None)
    transport.get_pipe_transport(0).close()
    await end(transport, protocol)
    assert protocol.output == {1: b"", 2: b"still here"}


@requirement("SubprocessTransport.get_pipe_transport/returns-usable-pipe-transports")
async def test_a_protocol_is_held_back_while_the_child_does_not_read(loop: Any) -> None:
    class Writer(Recorder):
        def pause_writing(self) -> None:
            self._note("pause_writing")

        def resume_writing(self) -> None:
            self._note("resume_writing")

    transport, protocol = await loop.subprocess_exec(lambda: Writer(loop), *ECHO.line)
    stdin = transport.get_pipe_transport(0)
    stdin.write(bytes(MORE_THAN_A_PIPE_HOLDS))
    assert (protocol.names(), stdin.get_write_buffer_size() > 0) == (["connection_made", "pause_writing"], True)
    stdin.close()
    await end(transport, protocol)
    assert [protocol.names().count(name) for name in ("pause_writing", "resume_writing")] == [1, 1]
    assert protocol.output[1] == bytes(MORE_THAN_A_PIPE_HOLDS)


@requirement("SubprocessTransport.get_returncode/returns-code-or-none")
async def test_the_return_code_is_none_until_the_child_has_ended(loop: Any) -> None:
    transport, protocol = await spawn(loop, until_eof(42))
    codes = [transport.get_returncode()]
    await protocol.has_read(b"ready")
    codes.append(transport.get_returncode())
    transport.get_pipe_transport(0).close()
    await protocol.hears("process_exited")
    codes.append(transport.get_returncode())
    await end(transport, protocol)
    assert [*codes, transport.get_returncode()] == [None, None, 42, 42]


@pytest.mark.parametrize("convert", [signal.Signals, int], ids=["enum", "int"])
@requirement("SubprocessTransport.send_signal/sends-given-signal")
async def test_each_signal_reaches_the_child_once(loop: Any, convert: Callable[[Any], Any]) -> None:
    transport, protocol = await spawn(loop, TELLS_SIGNALS)
    await protocol.has_read(b"ready ")
    sent = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1, signal.SIGINT]
    expected = b"ready "
    for number in sent:
        transport.send_signal(convert(number))
        expected += b"%d " % number
        await protocol.has_read(expected)
    transport.get_pipe_transport(0).close()
    await end(transport, protocol)
    assert (protocol.output[1], transport.get_returncode()) == (expected, 0)


@requirement("SubprocessTransport.terminate/sends-sigterm")
async def test_terminating_sends_sigterm_once_and_nothing_else(loop: Any) -> None:
    transport, protocol = await spawn(loop, TELLS_SIGNALS)
    await protocol.has_read(b"ready ")
    transport.terminate()
    await protocol.has_read(b"ready %d " % signal.SIGTERM)
    assert (transport.get_returncode(), transport.is_closing()) == (None, False)
    transport.get_pipe_transport(0).close()
    await end(transport, protocol)
    assert (protocol.output[1], transport.get_returncode()) == (b"ready %d " % signal.SIGTERM, 0)


@requirement("SubprocessTransport.kill/sends-sigkill")
async def test_killing_ends_a_child_that_lets_nothing_else_end_it(loop: Any) -> None:
    transport, protocol = await spawn(loop, STUBBORN)
    await protocol.has_read(b"ready")
    transport.terminate()
    transport.kill()
    await protocol.hears("process_exited")
    assert transport.get_returncode() == -signal.SIGKILL
    # The pipe to it was not closed by us, but nobody can read from it any more.
    await end(transport, protocol)


@pytest.mark.parametrize("act", [kill, terminate, send_sigterm])
@requirement("SubprocessTransport.send_signal/raises-after-exit")
async def test_a_child_that_has_ended_takes_no_signal(loop: Any, act: Callable[[Any], None]) -> None:
    transport, protocol = await spawn(loop, NOTHING)
    await protocol.hears("connection_lost")
    for _ in range(2):
        with pytest.raises(ProcessLookupError):
            act(transport)
    transport.close()
    with pytest.raises(ProcessLookupError):
        act(transport)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("SubprocessTransport.close/kills-running-child")
async def test_closing_kills_a_child_that_runs(loop: Any) -> None:
    transport, protocol = await loop.create_task(spawn(loop, STUBBORN if sys.platform != "win32" else UNTIL_EOF))
    await protocol.has_read(b"ready")
    transport.close()
    await protocol.hears("connection_lost")
    assert transport.get_returncode() == KILLED


@requirement("SubprocessTransport.close/kills-running-child")
async def test_closing_kills_a_child_without_pipes(loop: Any) -> None:
    transport, protocol = await spawn(loop, LONG_LIVED, stdin=None, stdout=None, stderr=None)
    transport.close()
    await protocol.hears("connection_lost")
    assert (transport.get_returncode(), protocol.names()) == (
        KILLED,
        ["connection_made", "process_exited", "connection_lost"],
    )


@requirement("SubprocessTransport.close/kills-running-child")
async def test_closing_leaves_the_return_code_of_a_child_that_has_ended(loop: Any) -> None:
    transport, protocol = await spawn(loop, ends_with(6))
    await protocol.hears("process_exited")
    transport.close()
    await protocol.hears("connection_lost")
    transport.close()
    assert transport.get_returncode() == 6


@requirement("SubprocessTransport.close/closes-pipe-transports")
async def test_closing_closes_all_pipes(loop: Any) -> None:
    transport, protocol = await spawn(loop, "import os, time; os.write(1, b'x' * 50000); time.sleep(60)")
    pipes = [transport.get_pipe_transport(fd) for fd in range(3)]
    transport.close()
    assert [pipe.is_closing() for pipe in pipes] == [True] * 3
    await protocol.hears("connection_lost")
    assert sorted(fd for fd, _ in protocol.told("pipe_connection_lost")) == [0, 1, 2]


@requirement("SubprocessTransport.close/kills-running-child", "BaseTransport.is_closing/returns-true-once-closing")
async def test_a_transport_is_closing_from_when_it_is_closed(loop: Any) -> None:
    transport, protocol = await spawn(loop, LONG_LIVED)
    answers = [transport.is_closing()]
    transport.close()
    answers.append(transport.is_closing())
    await protocol.hears("connection_lost")
    assert [*answers, transport.is_closing()] == [False, True, True]


@requirement("SubprocessTransport.close/closes-pipe-transports")
async def test_closing_closes_the_pipes_that_a_grandchild_holds_open(loop: Any) -> None:
    transport, protocol = await spawn(loop, LEAVES_A_GRANDCHILD)
    transport.get_pipe_transport(0).write(b"\n")
    await protocol.hears("process_exited")
    transport.close()
    await protocol.hears("connection_lost")
    assert sorted(protocol.told("pipe_connection_lost")) == [(0, None), (1, None), (2, None)]
    assert transport.get_returncode() == 5


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("SubprocessTransport.close/calls-connection-lost-eventually")
async def test_the_end_is_told_last_and_once(loop: Any) -> None:
    transport, protocol = await loop.create_task(spawn(loop, LONG_LIVED))
    transport.close()
    transport.close()
    assert protocol.names() == ["connection_made"]
    await protocol.hears("connection_lost")
    await turns(loop)
    assert sorted(protocol.names()) == sorted(
        ["connection_made", "process_exited", "connection_lost", *["pipe_connection_lost"] * 3]
    )
    assert (protocol.names()[0], protocol.calls[-1]) == ("connection_made", ("connection_lost", None))


@requirement("SubprocessTransport.close/calls-connection-lost-eventually")
async def test_closing_with_much_unsent_does_not_wait_for_a_child_that_never_reads(loop: Any) -> None:
    transport, protocol = await spawn(loop, LONG_LIVED)
    transport.get_pipe_transport(0).write(bytes(MORE_THAN_A_PIPE_HOLDS))
    transport.close()
    await protocol.hears("connection_lost")
    assert transport.get_returncode() == KILLED


@requirement("SubprocessTransport.close/calls-connection-lost-eventually")
async def test_a_protocol_may_close_its_transport_from_any_callback(loop: Any) -> None:
    class Closing(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.close()

        def _note(self, *call: Any) -> None:
            super()._note(*call)
            self.transport.close()

    _, protocol = await loop.subprocess_exec(lambda: Closing(loop), *LONG_LIVED.line)
    await protocol.hears("connection_lost")
    await turns(loop)
    assert len(protocol.calls) == 6


@requirement("SubprocessProtocol.pipe_data_received/receives-fd-and-bytes")
async def test_output_comes_with_its_descriptor_as_bytes_and_never_empty(loop: Any) -> None:
    transport, protocol = await spawn(loop, OUT_AND_ERR)
    await end(transport, protocol)
    received = protocol.told("pipe_data_received")
    assert sorted(received) == [(1, b"out"), (2, b"err")]
    assert [[type(fd), type(data)] for fd, data in received] == [[int, bytes]] * 2


@requirement("SubprocessProtocol.pipe_data_received/receives-fd-and-bytes")
async def test_output_is_passed_on_while_the_child_runs(loop: Any) -> None:
    transport, protocol = await spawn(loop, ECHO)
    for sent in b"one ", b"one two ", b"one two three ":
        transport.get_pipe_transport(0).write(sent.removeprefix(protocol.output[1]))
        await protocol.has_read(sent)
        assert transport.get_returncode() is None
    transport.get_pipe_transport(0).close()
    await end(transport, protocol)
    assert b"" not in [data for _, data in protocol.told("pipe_data_received")]


@requirement("SubprocessProtocol.pipe_data_received/fifo-order-per-fd")
async def test_output_comes_in_the_order_in_which_it_was_written(loop: Any) -> None:
    program = "import os\nfor n in range(3000): os.write(1, b'%d\\n' % n); os.write(2, b'%d\\n' % -n)"
    transport, protocol = await spawn(loop, program)
    await end(transport, protocol)
    assert protocol.output[1].split() == [b"%d" % n for n in range(3000)]
    assert protocol.output[2].split() == [b"%d" % -n for n in range(3000)]


@requirement("SubprocessProtocol.pipe_data_received/fifo-order-per-fd")
async def test_output_that_was_written_before_the_end_is_not_lost(loop: Any) -> None:
    data = bytes(range(256)) * 4096
    transport, protocol = await spawn(loop, "import os; data = bytes(range(256)) * 4096\n"
        "while data: data = data[os.write(1, data):]\nos._exit(1)")  # fmt: skip
    await end(transport, protocol)
    assert protocol.output[1] == data


@requirement("SubprocessProtocol.pipe_connection_lost/called-once-per-closed-pipe")
async def test_the_end_of_each_pipe_is_told_once(loop: Any) -> None:
    transport, protocol = await spawn(loop, prints("out"))
    await end(transport, protocol)
    await turns(loop)
    assert sorted(fd for fd, _ in protocol.told("pipe_connection_lost")) == [0, 1, 2]


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
@requirement("SubprocessProtocol.pipe_connection_lost/called-once-per-closed-pipe")
async def test_the_end_is_told_of_pipes_only(loop: Any, name: str) -> None:
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL) | {name: subprocess.PIPE}
    transport, protocol = await spawn(loop, NOTHING, **streams)
    await end(transport, protocol)
    assert protocol.told("pipe_connection_lost") == [(("stdin", "stdout", "stderr").index(name), None)]


@requirement("SubprocessProtocol.pipe_connection_lost/called-once-per-closed-pipe")
async def test_the_end_of_a_pipe_is_told_while_the_child_runs(loop: Any) -> None:
    closes_its_errors = Program("import os; os.close(2); os.read(0, 1)", "exec 2>&-; read -r line; exit 0")
    transport, protocol = await spawn(loop, closes_its_errors)
    await protocol.hears("pipe_connection_lost")
    assert (protocol.told("pipe_connection_lost"), transport.get_returncode()) == ([(2, None)], None)
    transport.get_pipe_transport(0).close()
    await end(transport, protocol)


@requirement("SubprocessProtocol.pipe_connection_lost/receives-none-on-normal-close")
async def test_pipes_that_end_normally_end_without_an_error(loop: Any) -> None:
    transport, protocol = await spawn(loop, ECHO)
    transport.get_pipe_transport(0).write(b"data")
    transport.get_pipe_transport(0).close()
    await end(transport, protocol)
    assert sorted(protocol.told("pipe_connection_lost")) == [(0, None), (1, None), (2, None)]


@requirement("SubprocessProtocol.pipe_connection_lost/receives-none-on-normal-close")
async def test_a_child_that_never_read_leaves_an_idle_pipe_without_an_error(loop: Any) -> None:
    closes_its_input = Program("import os; os.close(0)", "exec <&-")
    transport, protocol = await spawn(loop, closes_its_input, stdout=None, stderr=None)
    await end(transport, protocol)
    assert protocol.told("pipe_connection_lost") == [(0, None)]


@on_loops(PLAIN, DEBUG)
@requirement("SubprocessProtocol.process_exited/called-after-child-exit")
async def test_the_end_of_the_child_is_told_once_and_not_before(loop: Any) -> None:
    transport, protocol = await spawn(loop, UNTIL_EOF)
    await protocol.has_read(b"ready")
    assert "process_exited" not in protocol.names()
    transport.get_pipe_transport(0).close()
    await end(transport, protocol)
    await turns(loop)
    assert protocol.told("process_exited") == [()]


@requirement("SubprocessProtocol.process_exited/called-after-child-exit")
async def test_the_end_of_a_child_that_a_signal_ended_is_told(loop: Any) -> None:
    transport, protocol = await spawn(loop, LONG_LIVED)
    transport.kill()
    await end(transport, protocol)
    assert protocol.told("process_exited") == [()]


@requirement("SubprocessProtocol.process_exited/may-precede-pipe-callbacks")
async def test_pipes_that_a_grandchild_holds_open_outlive_the_child(loop: Any) -> None:
    transport, protocol = await spawn(loop, LEAVES_A_GRANDCHILD)
    transport.get_pipe_transport(0).write(b"\n")
    await protocol.hears("process_exited")
    assert (transport.get_returncode(), protocol.told("connection_lost")) == (5, [])
    transport.get_pipe_transport(0).write(b"from the grandchild")
    transport.get_pipe_transport(0).close()
    await end(transport, protocol)
    assert protocol.output[1] == b"from the grandchild"
    exited = protocol.names().index("process_exited")
    assert {"pipe_data_received", "pipe_connection_lost"} <= set(protocol.names()[exited:])
    assert protocol.names()[-1] == "connection_lost"


@requirement("SubprocessTransport.close/calls-connection-lost-eventually")
async def test_another_protocol_hears_of_what_happens_from_then_on(loop: Any) -> None:
    transport, first = await spawn(loop, UNTIL_EOF)
    await first.has_read(b"ready")
    second = Recorder(loop)
    transport.set_protocol(second)
    assert transport.get_protocol() is second
    transport.close()
    await second.hears("connection_lost")
    assert "process_exited" not in first.names()
    assert second.told("process_exited") == [()]


@pytest.mark.parametrize("act", [kill, terminate])
@requirement("SubprocessTransport.kill/aliases-terminate", "SubprocessTransport.terminate/calls-terminateprocess")
async def test_a_child_of_windows_is_ended_with_exit_status_1(loop: Any, act: Callable[[Any], None]) -> None:
    transport, protocol = await spawn(loop, UNTIL_EOF)
    await protocol.has_read(b"ready")
    act(transport)
    await end(transport, protocol)
    assert transport.get_returncode() == 1
