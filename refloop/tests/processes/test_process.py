"""create_subprocess_exec(), create_subprocess_shell() and Process."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Any

import pytest

from refloop.tests.processes.conftest import eventually
from refloop.tests.processes.programs import ECHO, FOREVER, PYTHON, STUBBORN, UNTIL_EOF

requirement = pytest.mark.requirement

# Larger than any pipe's capacity, which Linux lets an ordinary user raise to 1 MiB.
LARGE = 3 * 1024 * 1024


async def start(aio: Any, program: str, **kwargs: Any) -> Any:
    return await aio.create_subprocess_exec(*PYTHON, program, **kwargs)


def pipes(aio: Any, *names: str) -> dict[str, Any]:
    return dict.fromkeys(names, aio.subprocess.PIPE)


@requirement("create_subprocess_exec/returns-process", "subprocess.Process/returned-by-creation-functions")
@requirement("subprocess.Process.wait/returns-exit-code", "subprocess.Process.wait/sets-returncode")
@requirement("subprocess.Process.returncode/none-until-exit", "subprocess.Process.returncode/returns-exit-status")
@requirement("subprocess.Process.pid/returns-child-pid")
async def test_a_process_has_a_pid_and_then_a_return_code(aio: Any) -> None:
    process = await start(aio, "import os, sys; print(os.getpid()); sys.exit(5)", **pipes(aio, "stdout"))
    assert isinstance(process, aio.subprocess.Process)
    assert process.returncode is None
    assert int(await process.stdout.read()) == process.pid
    assert await process.wait() == 5
    assert process.returncode == 5


@requirement("create_subprocess_shell/returns-process", "subprocess.Process.pid/returns-shell-pid")
async def test_a_shell_is_a_process(aio: Any) -> None:
    process = await aio.create_subprocess_shell("echo $$; exit 6", **pipes(aio, "stdout"))
    output, errors = await process.communicate()
    assert (int(output), errors, process.returncode) == (process.pid, None, 6)


@requirement("create_subprocess_shell/failing-command-sets-returncode")
async def test_a_failing_command_raises_nothing(aio: Any) -> None:
    process = await aio.create_subprocess_shell("ls /no/such/place", **pipes(aio, "stdout", "stderr"))
    output, errors = await process.communicate()
    assert output == b""
    assert b"/no/such/place" in errors
    assert process.returncode > 0


@requirement("subprocess.Process.stdin/returns-stream-writer-or-none", "subprocess.PIPE/accepted-for-each-stream")
@requirement("subprocess.Process.stdout/returns-stream-reader-or-none")
@requirement("subprocess.Process.stderr/returns-stream-reader-or-none")
async def test_only_pipes_are_streams(aio: Any) -> None:
    process = await start(aio, "")
    assert (process.stdin, process.stdout, process.stderr) == (None, None, None)
    await process.wait()
    process = await start(aio, "", **pipes(aio, "stdin", "stdout", "stderr"))
    assert isinstance(process.stdin, aio.StreamWriter)
    assert isinstance(process.stdout, aio.StreamReader)
    assert isinstance(process.stderr, aio.StreamReader)
    await process.communicate()


@requirement("subprocess.Process/has-no-poll", "subprocess.Process/rejects-timeout-argument")
async def test_what_popen_has_and_a_process_has_not(aio: Any) -> None:
    process = await start(aio, "")
    assert not hasattr(process, "poll")
    with pytest.raises(TypeError):
        process.wait(timeout=1)
    with pytest.raises(TypeError):
        process.communicate(timeout=1)
    await process.wait()


@requirement("subprocess.Process.communicate/sends-input-to-stdin", "subprocess.Process.communicate/accepts-input")
@requirement("subprocess.Process.communicate/closes-stdin-after-input")
@requirement("subprocess.Process.communicate/returns-output-pair")
@requirement("subprocess.Process.communicate/reads-until-eof-and-exit")
async def test_communicate_feeds_reads_and_waits(aio: Any) -> None:
    program = "import sys; data = sys.stdin.read(); print(data[::-1], end=''); print(len(data), file=sys.stderr)"
    process = await start(aio, program, **pipes(aio, "stdin", "stdout", "stderr"))
    assert await process.communicate(b"drawer") == (b"reward", b"6\n")
    assert process.returncode == 0


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


@requirement("subprocess.Process.communicate/closes-stdin-without-input")
@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio leaves it open before 3.12")
async def test_communicate_without_input_ends_the_childs_input(aio: Any) -> None:
    process = await start(aio, ECHO, **pipes(aio, "stdin", "stdout"))
    assert await process.communicate() == (b"", None)


@requirement("subprocess.Process.communicate/ignores-broken-stdin")
async def test_communicate_does_not_mind_a_child_that_reads_nothing(aio: Any) -> None:
    process = await start(aio, "import os; os.close(0); print('done')", **pipes(aio, "stdin", "stdout"))
    assert await process.communicate(bytes(LARGE)) == (b"done\n", None)
    assert process.returncode == 0


@requirement("subprocess.Process.communicate/returns-none-for-unpiped-streams")
@requirement("subprocess.Process.communicate/input-requires-stdin-pipe")
async def test_streams_that_are_no_pipes_give_none(aio: Any) -> None:
    process = await start(aio, "", stdin=aio.subprocess.DEVNULL)
    assert await process.communicate() == (None, None)
    if aio.__name__ == "refloop":
        process = await start(aio, "", stdin=aio.subprocess.DEVNULL)
        assert await process.communicate(b"for nobody") == (None, None)


@requirement("subprocess.STDOUT/merges-stderr-into-stdout", "subprocess.DEVNULL/connects-stream-to-devnull")
async def test_streams_can_be_joined_or_thrown_away(aio: Any) -> None:
    program = "import os; os.write(1, os.read(0, 9) + b'out '); os.write(2, b'err')"
    sp = aio.subprocess
    process = await start(aio, program, stdin=sp.DEVNULL, stdout=sp.PIPE, stderr=sp.STDOUT)
    assert await process.communicate() == (b"out err", None)
    process = await start(aio, program, stdin=sp.DEVNULL, stdout=sp.DEVNULL, stderr=sp.PIPE)
    assert await process.communicate() == (None, b"err")


@requirement("subprocess.Process/readable-while-running")
async def test_lines_go_back_and_forth_while_the_child_runs(aio: Any) -> None:
    program = "import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)"
    process = await start(aio, program, **pipes(aio, "stdin", "stdout"))
    for word in (b"one", b"two", b"three"):
        process.stdin.write(word + b"\n")
        await process.stdin.drain()
        assert await process.stdout.readline() == word.upper() + b"\n"
        assert process.returncode is None
    process.stdin.close()
    await process.stdin.wait_closed()
    assert await process.stdout.read() == b""
    assert await process.wait() == 0


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


@requirement("subprocess.Process.wait/returns-exit-code")
async def test_a_child_that_has_ended_long_ago_can_be_waited_for(aio: Any) -> None:
    process = await start(aio, "", **pipes(aio, "stdout"))
    # Its end is known by its output's, and the loop goes on for a while before anybody asks.
    await process.stdout.read()
    for _ in range(100):
        await aio.sleep(0)
    assert await process.wait() == 0


@requirement("subprocess.Process.communicate/reads-until-eof-and-exit")
async def test_after_a_cancelled_communicate_the_child_runs_on(aio: Any, loop: Any) -> None:
    process = await start(aio, UNTIL_EOF, **pipes(aio, "stdin", "stdout"))
    talk = loop.create_task(process.communicate(b"x" * LARGE))
    for _ in range(10):
        await aio.sleep(0)
    talk.cancel()
    with pytest.raises(aio.CancelledError):
        await talk
    assert process.returncode is None
    process.kill()
    assert await process.wait() == -signal.SIGKILL


@requirement("subprocess.Process.wait/returns-exit-code")
async def test_waiting_can_have_a_timeout_of_its_own(aio: Any) -> None:
    process = await start(aio, FOREVER)
    with pytest.raises(TimeoutError):
        await aio.wait_for(process.wait(), 0.01)
    process.kill()
    assert await process.wait() == -signal.SIGKILL


@requirement("subprocess.Process.send_signal/sends-given-signal", "subprocess.Process.terminate/sends-sigterm")
@requirement("subprocess.Process.kill/sends-sigkill", "subprocess.Process.returncode/negative-signal-number")
@pytest.mark.parametrize(
    ("act", "number"),
    [
        (lambda process: process.send_signal(signal.SIGUSR2), signal.SIGUSR2),
        (lambda process: process.terminate(), signal.SIGTERM),
        (lambda process: process.kill(), signal.SIGKILL),
    ],
    ids=["send_signal", "terminate", "kill"],
)
async def test_signals_reach_the_process(aio: Any, act: Any, number: int) -> None:
    process = await start(aio, FOREVER)
    act(process)
    assert await process.wait() == process.returncode == -number


@requirement("subprocess.Process.terminate/sends-sigterm", "subprocess.Process.kill/sends-sigkill")
async def test_who_ignores_sigterm_can_be_killed(aio: Any) -> None:
    process = await start(aio, STUBBORN, **pipes(aio, "stdin", "stdout"))
    await process.stdout.readline()
    process.terminate()
    with pytest.raises(TimeoutError):
        await aio.wait_for(process.wait(), 0.05)
    process.kill()
    assert await process.wait() == -signal.SIGKILL


@requirement("subprocess.Process.returncode/returns-shell-status")
async def test_a_shell_reports_signals_in_its_own_way(aio: Any) -> None:
    process = await aio.create_subprocess_shell("sh -c 'kill -9 $$'; exit $?")
    assert await process.wait() == 128 + signal.SIGKILL


@requirement("create_subprocess_exec/limit-bounds-reader-buffers")
@requirement("create_subprocess_shell/limit-bounds-reader-buffers")
async def test_readers_have_the_given_limit(aio: Any) -> None:
    for process in (
        await start(aio, "print('x' * 100)", limit=50, **pipes(aio, "stdout")),
        await aio.create_subprocess_shell("printf '%0100d\\n' 1", limit=50, **pipes(aio, "stdout")),
    ):
        with pytest.raises(ValueError, match="limit"):
            await process.stdout.readline()
        # What a reader holds back keeps its pipe open.
        await process.stdout.read()
        await process.wait()


@requirement("create_subprocess_exec/passes-keywords-through", "create_subprocess_shell/passes-keywords-through")
async def test_other_keywords_are_the_loops(aio: Any, tmp_path: Any) -> None:
    program = "import os; print(os.getcwd())"
    process = await start(aio, program, cwd=tmp_path, **pipes(aio, "stdout"))
    assert await process.communicate() == (f"{tmp_path}\n".encode(), None)
    process = await aio.create_subprocess_shell("pwd", cwd=tmp_path, **pipes(aio, "stdout"))
    assert await process.communicate() == (f"{tmp_path}\n".encode(), None)
    with pytest.raises(ValueError, match="universal_newlines"):
        await start(aio, "", universal_newlines=True)


@requirement("create_subprocess_exec/runs-children-in-parallel")
async def test_children_run_at_the_same_time(aio: Any) -> None:
    processes = [await start(aio, UNTIL_EOF, **pipes(aio, "stdin", "stdout")) for _ in range(3)]
    assert await aio.gather(*(process.stdout.readline() for process in processes)) == [b"ready\n"] * 3
    assert [process.returncode for process in processes] == [None] * 3
    await aio.gather(*(process.communicate(b"") for process in processes))


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
        pid = process.pid
        del process
        gc.collect()
        await aio.to_thread(until_gone, pid)


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
