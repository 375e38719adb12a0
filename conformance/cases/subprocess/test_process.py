"""``Process``: its streams, its process id, its return code, waiting for its end, and signals for it."""

from __future__ import annotations

import inspect
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.children import (
    ECHO,
    LEAVES_A_GRANDCHILD,
    LONG_LIVED,
    MORE_THAN_A_PIPE_HOLDS,
    NOTHING,
    OWN_PID,
    STUBBORN,
    UNTIL_EOF,
    Program,
    ends_with,
    is_child,
    prints,
    start,
    until_eof,
)
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.waiting import until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Says which signals it gets, in order and each as often as it comes; ends with its input.
TELLS_SIGNALS = """
import os, signal
for number in signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT, signal.SIGTERM:
    signal.signal(number, lambda number, _: os.write(1, b"%d " % number))
os.write(1, b"ready ")
while os.read(0, 1): pass
"""


# Seconds in which a loop that has heard of a child's end, so that no other thread has a part in it, wakes who waits.
ONCE_HEARD = 1.0

FAILS = Program("raise LookupError('on purpose')", "echo 'on purpose' >&2; exit 1")


@requirement("subprocess.Process.stdin/returns-stream-writer-or-none")
async def test_standard_input_is_a_writer_when_it_is_a_pipe(aio: Any) -> None:
    process = await start(aio, NOTHING, stdin=aio.subprocess.PIPE)
    assert isinstance(process.stdin, aio.StreamWriter)
    await process.communicate(b"")
    process = await start(aio, NOTHING, stdin=None, stdout=aio.subprocess.PIPE, stderr=aio.subprocess.PIPE)
    assert process.stdin is None
    await process.communicate()


@requirement("subprocess.Process.stdout/returns-stream-reader-or-none")
async def test_standard_output_is_a_reader_when_it_is_a_pipe(aio: Any) -> None:
    process = await start(aio, NOTHING, stdout=aio.subprocess.PIPE)
    assert isinstance(process.stdout, aio.StreamReader)
    await process.communicate()
    process = await start(aio, NOTHING, stdin=aio.subprocess.PIPE, stdout=None, stderr=aio.subprocess.PIPE)
    assert process.stdout is None
    await process.communicate(b"")


@requirement("subprocess.Process.stderr/returns-stream-reader-or-none")
async def test_standard_error_is_a_reader_when_it_is_a_pipe(aio: Any) -> None:
    process = await start(aio, NOTHING, stderr=aio.subprocess.PIPE)
    assert isinstance(process.stderr, aio.StreamReader)
    await process.communicate()
    process = await start(aio, NOTHING, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE, stderr=None)
    assert process.stderr is None
    await process.communicate(b"")


@requirement("subprocess.Process.stdout/returns-stream-reader-or-none")
@requirement("subprocess.Process.stderr/returns-stream-reader-or-none")
async def test_each_reader_gets_what_was_written_to_its_stream(aio: Any) -> None:
    program = "import os\nfor n in range(100): os.write(1, b'out %d ' % n); os.write(2, b'err %d ' % n)"
    process = await start(aio, program, stdout=aio.subprocess.PIPE, stderr=aio.subprocess.PIPE)
    output, errors = await process.stdout.read(), await process.stderr.read()
    await process.wait()
    assert output == b"".join(b"out %d " % n for n in range(100))
    assert errors == b"".join(b"err %d " % n for n in range(100))


@requirement("subprocess.Process.stdin/returns-stream-writer-or-none")
async def test_the_writer_closes_the_childs_input(aio: Any) -> None:
    process = await start(aio, ECHO, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    process.stdin.writelines([b"one ", b"two "])
    process.stdin.write(b"three")
    process.stdin.close()
    assert await process.stdout.read() == b"one two three"
    assert await process.wait() == 0


@requirement("subprocess.Process.stdin/returns-stream-writer-or-none")
async def test_draining_waits_until_the_child_reads(loop: AbstractEventLoop, aio: Any) -> None:
    program = "import os, sys; os.write(1, b'r'); sys.stdin.buffer.readline(); print(len(sys.stdin.buffer.read()))"
    process = await start(aio, program, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    assert await process.stdout.readexactly(1) == b"r"
    process.stdin.write(bytes(MORE_THAN_A_PIPE_HOLDS))
    draining = loop.create_task(process.stdin.drain())
    for _ in range(20):
        await aio.sleep(0)
    # Its first line has not ended, so the child reads on: of what was written, all but the newline below.
    process.stdin.write(b"\nrest")
    await draining
    process.stdin.close()
    await process.stdin.wait_closed()
    assert int(await process.stdout.read()) == len(b"rest")
    await process.wait()


@requirement("subprocess.Process/readable-while-running")
async def test_lines_go_back_and_forth_while_the_child_runs(aio: Any) -> None:
    process = await start(aio, ECHO, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    for line in b"one\n", b"two\n", b"three\n":
        process.stdin.write(line)
        await process.stdin.drain()
        assert await process.stdout.readline() == line
        assert process.returncode is None
    await process.communicate(b"")


@requirement("subprocess.Process/readable-while-running")
async def test_a_line_of_a_child_that_ends_right_away_is_read(aio: Any) -> None:
    process = await start(aio, prints("2000-01-01\n"), stdout=aio.subprocess.PIPE)
    line = await process.stdout.readline()
    assert line.rstrip() == b"2000-01-01"
    assert await process.wait() == 0
    assert await process.stdout.read() == b""


@requirement("subprocess.Process/has-no-poll")
async def test_a_process_cannot_be_polled(aio: Any) -> None:
    process = await start(aio, NOTHING)
    assert not hasattr(process, "poll")
    await process.wait()


@requirement("subprocess.Process/rejects-timeout-argument")
async def test_waiting_and_communicating_take_no_timeout(aio: Any) -> None:
    process = await start(aio, NOTHING)
    for method in process.wait, process.communicate:
        with pytest.raises(TypeError):
            await method(timeout=1)
    await process.wait()


@requirement("subprocess.Process.wait/is-coroutine")
async def test_wait_is_a_coroutine_function_without_parameters(aio: Any) -> None:
    process = await start(aio, NOTHING)
    assert inspect.iscoroutinefunction(process.wait)
    with pytest.raises(TypeError):
        await process.wait(None)
    await process.wait()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("subprocess.Process.wait/returns-exit-code", "subprocess.Process.wait/sets-returncode")
async def test_waiting_gives_the_return_code_as_often_as_it_is_asked_for(loop: AbstractEventLoop, aio: Any) -> None:
    process = await start(aio, ends_with(3))
    assert await loop.create_task(process.wait()) == 3
    assert process.returncode == 3
    assert [await process.wait(), await process.wait(), process.returncode] == [3, 3, 3]


@requirement("subprocess.Process.wait/returns-exit-code")
async def test_waiting_lasts_as_long_as_the_child(loop: AbstractEventLoop, aio: Any) -> None:
    process = await start(aio, UNTIL_EOF, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    waiting = loop.create_task(process.wait())
    assert (await process.stdout.readline()).strip() == b"ready"
    assert (waiting.done(), process.returncode) == (False, None)
    process.stdin.close()
    assert await waiting == 0


@requirement("subprocess.Process.wait/returns-exit-code")
async def test_a_child_that_ended_before_anybody_waits_can_be_waited_for(loop: AbstractEventLoop, aio: Any) -> None:
    process = await start(aio, ends_with(4))
    await until(loop, lambda: process.returncode is not None)
    assert await process.wait() == 4


@requirement("subprocess.Process.wait/returns-exit-code")
async def test_waiting_is_for_the_child_and_not_for_its_children(loop: AbstractEventLoop, aio: Any) -> None:
    process = await start(aio, LEAVES_A_GRANDCHILD, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    waiting = loop.create_task(process.wait())
    hearing = loop.create_task(until(loop, lambda: process.returncode is not None))
    await aio.sleep(0)
    process.stdin.write(b"\n")
    await aio.wait([waiting, hearing], return_when=aio.FIRST_COMPLETED)
    ended, _ = await aio.wait([waiting], timeout=ONCE_HEARD)
    process.stdin.write(b"the grandchild still has the pipes")
    process.stdin.close()
    assert await process.stdout.read() == b"the grandchild still has the pipes"
    assert await waiting == 5
    await hearing
    assert ended == {waiting}


@requirement("subprocess.Process.wait/returns-exit-code")
async def test_waiting_that_times_out_leaves_the_child_alone(aio: Any) -> None:
    process = await start(aio, UNTIL_EOF, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    with pytest.raises(aio.TimeoutError):
        await aio.wait_for(process.wait(), 0.001)
    assert process.returncode is None
    await process.communicate(b"")
    assert await process.wait() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("subprocess.Process.wait/wakes-all-waiters")
async def test_everybody_who_waits_gets_the_return_code(loop: AbstractEventLoop, aio: Any) -> None:
    process = await start(aio, until_eof(6), stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    waiting = [loop.create_task(process.wait()) for _ in range(5)]
    await process.stdout.readline()
    process.stdin.close()
    assert await aio.gather(*waiting, process.wait()) == [6] * 6


@requirement("subprocess.Process.wait/wakes-all-waiters")
async def test_who_gives_up_waiting_harms_nobody_else(loop: AbstractEventLoop, aio: Any) -> None:
    process = await start(aio, UNTIL_EOF, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    waiting = [loop.create_task(process.wait()) for _ in range(3)]
    await process.stdout.readline()
    waiting[0].cancel()
    waiting[2].cancel()
    process.stdin.close()
    outcomes = await aio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [aio.CancelledError, int, aio.CancelledError]
    assert process.returncode == 0


@requirement("subprocess.Process.wait/may-deadlock-on-full-pipe")
async def test_a_child_that_fills_its_pipe_ends_once_that_is_read(loop: AbstractEventLoop, aio: Any) -> None:
    program = f"import sys; sys.stdout.buffer.write(bytes({MORE_THAN_A_PIPE_HOLDS}))"
    process = await start(aio, program, stdout=aio.subprocess.PIPE)
    waiting = loop.create_task(process.wait())
    assert await process.stdout.readexactly(MORE_THAN_A_PIPE_HOLDS) == bytes(MORE_THAN_A_PIPE_HOLDS)
    assert await waiting == 0
    assert await process.stdout.read() == b""


@requirement("subprocess.Process.pid/returns-child-pid")
async def test_the_process_id_is_the_childs(aio: Any) -> None:
    process = await start(aio, OWN_PID, stdout=aio.subprocess.PIPE)
    assert type(process.pid) is int
    output, _ = await process.communicate()
    assert int(output) == process.pid


@pytest.mark.skipif(sys.platform == "win32", reason="the command is for a POSIX shell")
@requirement("subprocess.Process.pid/returns-shell-pid")
async def test_the_process_id_of_a_command_is_the_shells(aio: Any) -> None:
    process = await aio.create_subprocess_shell("echo $$; sh -c 'exit 0'; exit 3", stdout=aio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert (int(output), process.returncode) == (process.pid, 3)


@requirement("subprocess.Process.returncode/none-until-exit")
async def test_the_return_code_comes_with_the_end(loop: AbstractEventLoop, aio: Any) -> None:
    process = await start(aio, until_eof(9), stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    codes = [process.returncode]
    await process.stdout.readline()
    codes.append(process.returncode)
    process.stdin.close()
    # Nobody waits: that the child has ended, the loop hears by itself.
    await until(loop, lambda: process.returncode is not None)
    assert [*codes, process.returncode] == [None, None, 9]
    await process.stdout.read()


@requirement("subprocess.Process.returncode/none-until-exit")
async def test_a_child_whose_streams_have_ended_may_still_run(aio: Any) -> None:
    closes_its_output = Program("import os; os.close(1); os.read(0, 1)", "exec >&-; read -r line; exit 0")
    process = await start(aio, closes_its_output, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    assert await process.stdout.read() == b""
    assert process.returncode is None
    process.stdin.close()
    assert await process.wait() == process.returncode == 0


@pytest.mark.parametrize("number", [0, 1, 2, 77, 255])
@requirement("subprocess.Process.returncode/returns-exit-status")
async def test_the_return_code_is_the_exit_status(aio: Any, number: int) -> None:
    process = await start(aio, ends_with(number))
    assert (await process.wait(), process.returncode) == (number, number)


@requirement("subprocess.Process.returncode/returns-exit-status")
async def test_a_program_that_fails_has_the_exit_status_of_its_failure(aio: Any) -> None:
    process = await start(aio, FAILS, stderr=aio.subprocess.PIPE)
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"on purpose" in errors


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGUSR1", "SIGHUP"])
@requirement("subprocess.Process.returncode/negative-signal-number")
async def test_the_return_code_of_a_child_that_a_signal_ended_is_its_negative_number(aio: Any, name: str) -> None:
    number = int(getattr(signal, name))
    program = f"import os, signal; signal.signal({number}, signal.SIG_DFL); os.kill(os.getpid(), {number})"
    if name == "SIGKILL":
        program = "import os; os.kill(os.getpid(), 9)"
    process = await start(aio, program)
    assert (await process.wait(), process.returncode) == (-number, -number)


@requirement("subprocess.Process.returncode/returns-shell-status")
async def test_the_return_code_of_a_shell_is_what_the_shell_makes_of_its_command(aio: Any) -> None:
    # The inner shell dies of the signal, the outer one says so in its own exit status.
    process = await aio.create_subprocess_shell("sh -c 'kill -9 $$'; exit $?")
    assert await process.wait() == process.returncode == 128 + signal.SIGKILL


@pytest.mark.parametrize("convert", [signal.Signals, int], ids=["enum", "int"])
@requirement("subprocess.Process.send_signal/sends-given-signal")
async def test_each_signal_reaches_the_child_once(aio: Any, convert: Any) -> None:
    process = await start(aio, TELLS_SIGNALS, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    assert await process.stdout.readuntil(b" ") == b"ready "
    sent = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1, signal.SIGINT, signal.SIGTERM]
    told = []
    for number in sent:
        process.send_signal(convert(number))
        told.append(int(await process.stdout.readuntil(b" ")))
    process.stdin.close()
    assert await process.stdout.read() == b""
    assert (told, await process.wait()) == (sent, 0)


@requirement("subprocess.Process.terminate/sends-sigterm")
async def test_terminating_sends_sigterm_once(aio: Any) -> None:
    process = await start(aio, TELLS_SIGNALS, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    await process.stdout.readuntil(b" ")
    process.terminate()
    assert int(await process.stdout.readuntil(b" ")) == signal.SIGTERM
    assert process.returncode is None
    assert await process.communicate(b"") == (b"", None)


@requirement("subprocess.Process.terminate/sends-sigterm")
async def test_a_child_that_does_not_handle_it_is_ended_by_sigterm(aio: Any) -> None:
    process = await start(aio, LONG_LIVED)
    process.terminate()
    assert await process.wait() == -signal.SIGTERM


@requirement("subprocess.Process.kill/sends-sigkill")
async def test_killing_ends_a_child_that_lets_nothing_else_end_it(aio: Any) -> None:
    process = await start(aio, STUBBORN, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    await process.stdout.readline()
    process.terminate()
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    assert await process.communicate() == (b"", None)


@requirement("subprocess.Process.kill/sends-sigkill")
async def test_a_killed_child_wakes_who_reads_and_who_waits(loop: AbstractEventLoop, aio: Any) -> None:
    process = await start(aio, LONG_LIVED, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    reading = loop.create_task(process.stdout.read())
    waiting = loop.create_task(process.wait())
    await aio.sleep(0)
    process.kill()
    assert (await waiting, await reading) == (-signal.SIGKILL, b"")
    process.stdin.close()


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="needs waitid(), to see zombies and leave them")
@requirement("subprocess.Process.wait/returns-exit-code")
async def test_a_child_that_was_waited_for_is_no_zombie(aio: Any) -> None:
    process = await start(aio, NOTHING, stdout=aio.subprocess.PIPE)
    await process.wait()
    assert not is_child(process.pid)
    await process.stdout.read()


@pytest.mark.parametrize("method", ["terminate", "kill"])
@requirement("subprocess.Process.terminate/calls-terminateprocess", "subprocess.Process.kill/aliases-terminate")
async def test_a_child_of_windows_is_ended_with_exit_status_1(aio: Any, method: str) -> None:
    process = await start(aio, LONG_LIVED)
    getattr(process, method)()
    assert await process.wait() == 1


@requirement("subprocess.Process.send_signal/supports-windows-console-signals")
async def test_sigterm_ends_a_child_of_windows(aio: Any) -> None:
    process = await start(aio, LONG_LIVED)
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 1


@requirement("windows-subprocess/proactor-default-spawns")
def test_a_default_loop_of_windows_has_children(aio: Any) -> None:
    async def main() -> int:
        code: int = await (await start(aio, ends_with(3))).wait()
        return code

    loop = aio.new_event_loop()
    assert isinstance(loop, aio.ProactorEventLoop)
    assert loop.run_until_complete(main()) == 3
    loop.close()
