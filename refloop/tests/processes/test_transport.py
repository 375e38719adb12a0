"""Subprocess transports where no promise is: protocols that fail, closed loops, children reaped by somebody else."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from refloop.tests.processes.conftest import eventually
from refloop.tests.processes.programs import FOREVER, PYTHON, Recorder

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


@pytest.mark.own_loop("asyncio's child watchers have an error of their own for it")
async def test_a_child_whose_return_code_nobody_can_know_ends_with_255(loop: Any) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        # The system reaps it by itself.
        transport, protocol = await start(loop, "", stdin=None)
        await protocol.lost
    finally:
        signal.signal(signal.SIGCHLD, before)
    transport.close()
    assert transport.get_returncode() == 255
