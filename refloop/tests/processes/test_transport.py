"""Subprocess transports and their protocols: who is told what, in which order, and what each method does."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

import pytest

from refloop.tests.processes.conftest import eventually
from refloop.tests.processes.programs import ECHO, FOREVER, PYTHON, STUBBORN, UNTIL_EOF, Recorder

requirement = pytest.mark.requirement


async def start(loop: Any, program: str, **kwargs: Any) -> tuple[Any, Recorder]:
    transport, protocol = await loop.subprocess_exec(lambda: Recorder(loop), *PYTHON, program, **kwargs)
    return transport, protocol


@requirement("SubprocessProtocol.process_exited/called-after-child-exit", "BaseProtocol.connection_lost/last-callback")
@requirement("SubprocessProtocol.pipe_connection_lost/called-once-per-closed-pipe")
@requirement("SubprocessProtocol.pipe_connection_lost/receives-none-on-normal-close")
@requirement("SubprocessTransport.close/calls-connection-lost-eventually")
async def test_every_end_is_told_once_and_connection_lost_comes_last(loop: Any) -> None:
    transport, protocol = await start(loop, "print('out')")
    await protocol.lost
    transport.close()
    assert protocol.calls[0] == ("connection_made",)
    assert protocol.calls[-1] == ("connection_lost", None)
    assert sorted(protocol.named("pipe_connection_lost")) == [(0, None), (1, None), (2, None)]
    assert len(protocol.named("process_exited")) == 1
    assert len(protocol.calls) == 7


@requirement("SubprocessProtocol.pipe_data_received/receives-fd-and-bytes")
@requirement("SubprocessProtocol.pipe_data_received/fifo-order-per-fd")
async def test_output_comes_in_order_and_never_empty(loop: Any) -> None:
    program = "import os\nfor n in range(2000): os.write(1, b'%d\\n' % n); os.write(2, b'%d\\n' % -n)"
    transport, protocol = await start(loop, program)
    await protocol.lost
    transport.close()
    assert protocol.data[1].split() == [b"%d" % n for n in range(2000)]
    assert protocol.data[2].split() == [b"%d" % -n for n in range(2000)]
    assert all(fd in (1, 2) and data and type(data) is bytes for fd, data in protocol.named("pipe_data_received"))


@requirement("SubprocessTransport.get_pid/returns-child-pid", "SubprocessTransport.get_returncode/returns-code-or-none")
async def test_the_return_code_is_none_until_the_child_has_ended(loop: Any) -> None:
    transport, protocol = await start(loop, "import os; print(os.getpid(), flush=True); input(); os._exit(42)")
    await protocol.received(1, b"\n")
    assert int(protocol.data[1]) == transport.get_pid()
    assert transport.get_returncode() is None
    transport.get_pipe_transport(0).write(b"\n")
    await protocol.exited
    assert transport.get_returncode() == 42
    await protocol.lost
    transport.close()


@requirement("SubprocessTransport.get_pipe_transport/returns-stdin-write-transport")
@requirement("SubprocessTransport.get_pipe_transport/returns-output-read-transports")
@requirement("SubprocessTransport.get_pipe_transport/returns-none-for-other-fd")
@requirement("SubprocessTransport.get_pipe_transport/returns-usable-pipe-transports")
async def test_pipes_have_transports_of_their_own(loop: Any) -> None:
    transport, protocol = await start(loop, UNTIL_EOF, stderr=subprocess.DEVNULL)
    stdin, stdout = transport.get_pipe_transport(0), transport.get_pipe_transport(1)
    assert stdin.get_write_buffer_size() == 0
    assert stdin.can_write_eof()
    assert stdout.is_reading()
    assert [transport.get_pipe_transport(fd) for fd in (2, 3, -1)] == [None, None, None]
    stdin.write_eof()
    await protocol.lost
    transport.close()
    assert protocol.data[1] == b"ready\n"


@requirement("ReadTransport.pause_reading/stops-data-received", "ReadTransport.resume_reading/restarts-data-received")
async def test_output_can_be_paused(loop: Any) -> None:
    transport, protocol = await start(loop, ECHO)
    stdout = transport.get_pipe_transport(1)
    stdout.pause_reading()
    transport.get_pipe_transport(0).write(b"held back")
    transport.get_pipe_transport(0).close()
    await protocol.exited
    assert not protocol.named("pipe_data_received")
    stdout.resume_reading()
    await protocol.lost
    transport.close()
    assert protocol.data[1] == b"held back"


@requirement("BaseProtocol.pause_writing/strictly-above-high-mark", "BaseProtocol.resume_writing/at-or-below-low-mark")
async def test_a_protocol_is_asked_to_pause_what_the_child_does_not_read(loop: Any) -> None:
    class Writer(Recorder):
        def pause_writing(self) -> None:
            self.calls.append(("pause_writing",))

        def resume_writing(self) -> None:
            self.calls.append(("resume_writing",))

    transport, protocol = await loop.subprocess_exec(lambda: Writer(loop), *PYTHON, ECHO)
    stdin = transport.get_pipe_transport(0)
    stdin.write(bytes(1_000_000))
    assert protocol.named("pause_writing") == [()]
    assert stdin.get_write_buffer_size() > 0
    stdin.write(b"the last")
    stdin.close()
    await protocol.lost
    transport.close()
    assert protocol.named("pause_writing") == [()]
    assert protocol.named("resume_writing") == [()]
    assert protocol.data[1] == bytes(1_000_000) + b"the last"


@requirement("SubprocessTransport.send_signal/sends-given-signal", "SubprocessTransport.terminate/sends-sigterm")
@requirement("SubprocessTransport.kill/sends-sigkill")
@pytest.mark.parametrize(
    ("act", "number"),
    [
        (lambda transport: transport.send_signal(signal.SIGUSR1), signal.SIGUSR1),
        (lambda transport: transport.terminate(), signal.SIGTERM),
        (lambda transport: transport.kill(), signal.SIGKILL),
    ],
    ids=["send_signal", "terminate", "kill"],
)
async def test_signals_reach_the_child(loop: Any, act: Any, number: int) -> None:
    transport, protocol = await start(loop, FOREVER)
    act(transport)
    await protocol.lost
    assert transport.get_returncode() == -number
    transport.close()


@requirement("SubprocessTransport.terminate/sends-sigterm", "SubprocessTransport.close/kills-running-child")
async def test_a_child_that_ignores_sigterm_goes_on_and_close_kills_it(loop: Any) -> None:
    transport, protocol = await start(loop, STUBBORN)
    await protocol.received(1, b"ready")
    transport.terminate()
    transport.get_pipe_transport(0).write(b"still read")
    assert transport.get_returncode() is None
    transport.close()
    await protocol.lost
    assert transport.get_returncode() == -signal.SIGKILL


@requirement("SubprocessTransport.send_signal/raises-after-exit")
async def test_a_child_that_has_ended_takes_no_signal(loop: Any) -> None:
    transport, protocol = await start(loop, "")
    await protocol.lost
    for act in (lambda: transport.send_signal(signal.SIGTERM), transport.terminate, transport.kill):
        with pytest.raises(ProcessLookupError):
            act()
    transport.close()


@requirement("SubprocessTransport.close/closes-pipe-transports", "BaseTransport.is_closing/returns-true-once-closing")
@requirement("BaseTransport.close/safe-to-repeat", "BaseProtocol.connection_lost/last-callback")
async def test_closing_kills_closes_the_pipes_and_tells_of_all_that_once(loop: Any) -> None:
    transport, protocol = await start(loop, "print('x' * 100000)\n" + FOREVER)
    pipes = [transport.get_pipe_transport(fd) for fd in range(3)]
    assert not transport.is_closing()
    transport.close()
    transport.close()
    assert transport.is_closing()
    assert all(pipe.is_closing() for pipe in pipes)
    await protocol.lost
    assert transport.get_returncode() == -signal.SIGKILL
    assert sorted(fd for fd, _ in protocol.named("pipe_connection_lost")) == [0, 1, 2]
    assert len(protocol.named("process_exited")) == 1
    assert protocol.calls[-1] == ("connection_lost", None)


@requirement("SubprocessTransport.close/closes-pipe-transports")
async def test_closing_does_not_wait_for_input_that_nobody_reads(loop: Any) -> None:
    # The grandchild keeps the reading end of the pipe open, and would do so for good.
    program = f"import subprocess, sys; print(subprocess.Popen([*{PYTHON}, {FOREVER!r}]).pid, flush=True);" + FOREVER
    transport, protocol = await start(loop, program.replace(";" + FOREVER, "\n" + FOREVER))
    await protocol.received(1, b"\n")
    transport.get_pipe_transport(0).write(bytes(500_000))
    transport.close()
    try:
        await protocol.exited
        if type(loop).__module__.startswith("refloop"):
            await protocol.lost
    finally:
        os.kill(int(protocol.data[1]), signal.SIGKILL)
    await protocol.lost


@requirement("SubprocessProtocol.process_exited/may-precede-pipe-callbacks")
async def test_pipes_that_a_grandchild_holds_open_stay_open(loop: Any) -> None:
    program = f"import subprocess; subprocess.Popen([*{PYTHON}, {ECHO!r}])"
    transport, protocol = await start(loop, program)
    await protocol.exited
    assert transport.get_returncode() == 0
    assert not protocol.named("connection_lost")
    transport.get_pipe_transport(0).write(b"from the grandchild")
    transport.get_pipe_transport(0).close()
    await protocol.lost
    transport.close()
    assert protocol.data[1] == b"from the grandchild"


@requirement("BaseTransport.set_protocol/redirects-callbacks", "BaseTransport.get_protocol/returns-current-protocol")
async def test_another_protocol_can_take_over(loop: Any) -> None:
    transport, first = await start(loop, UNTIL_EOF)
    await first.received(1, b"ready")
    second = Recorder(loop)
    assert transport.get_protocol() is first
    transport.set_protocol(second)
    assert transport.get_protocol() is second
    transport.get_pipe_transport(0).close()
    await second.lost
    transport.close()
    assert not first.named("process_exited")


@requirement("loop.call_exception_handler/calls-current-handler")
async def test_a_protocol_that_fails_is_reported_and_told_the_rest(loop: Any, reported: list[dict[str, Any]]) -> None:
    class Failing(Recorder):
        def process_exited(self) -> None:
            super().process_exited()
            raise LookupError("on purpose")

    transport, protocol = await loop.subprocess_exec(lambda: Failing(loop), "true")
    await protocol.lost
    transport.close()
    assert [type(context["exception"]) for context in reported] == [LookupError]


@pytest.mark.own_loop("asyncio's loop holds the transport as long as the child lives")
@requirement("loop.subprocess_exec/kills-child-with-transport")
async def test_a_forgotten_transport_takes_its_child_with_it(loop: Any) -> None:
    class Forgetful(Recorder):
        def connection_made(self, transport: Any) -> None:
            self.calls.append(("connection_made", repr(transport)))

    transport, protocol = await loop.subprocess_exec(lambda: Forgetful(loop), *PYTHON, FOREVER)
    popen = transport.get_extra_info("subprocess")
    held = [transport]
    del transport
    with pytest.warns(ResourceWarning, match="unclosed transport"):
        held.clear()
    await protocol.lost
    assert popen.returncode == -signal.SIGKILL


@pytest.mark.own_loop("asyncio leaves a zombie, and pipes that cannot be closed")
@requirement("loop.subprocess_exec/kills-child-with-transport")
def test_a_transport_may_be_closed_when_its_loop_is(loop: Any) -> None:
    transport, protocol = loop.run_until_complete(start(loop, FOREVER))
    loop.close()
    transport.close()
    assert transport.get_returncode() == -signal.SIGKILL
    assert not protocol.named("process_exited")


@pytest.mark.own_loop("asyncio leaves a zombie")
@requirement("SubprocessTransport.close/kills-running-child")
def test_a_loop_that_closes_just_after_its_transport_leaves_no_zombie(loop: Any) -> None:
    async def start_and_close() -> Any:
        transport, _ = await start(loop, FOREVER)
        transport.close()
        return transport.get_extra_info("subprocess")

    popen = loop.run_until_complete(start_and_close())
    loop.close()
    assert popen.returncode == -signal.SIGKILL


@pytest.mark.own_loop("asyncio does not know the return code then")
@requirement("SubprocessTransport.get_returncode/returns-code-or-none")
async def test_a_child_that_somebody_else_has_waited_for_is_heard_of(loop: Any) -> None:
    transport, protocol = await start(loop, "import os; os._exit(9)")
    popen = transport.get_extra_info("subprocess")
    eventually(lambda: popen.poll() is not None)
    await protocol.lost
    transport.close()
    assert transport.get_returncode() == 9
