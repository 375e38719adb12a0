"""anyio: task groups, cancel scopes, streams, threads, processes and signals."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("anyio", reason="needs the `dev` extra: anyio is not installed")

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
from anyio.abc import SocketAttribute
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSListener

import refloop

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from anyio.abc import ByteStream, Listener, TaskStatus

MEBIBYTE = bytes(range(256)) * 4096

# -S -E: without site-packages, a child starts in a fraction of the time.
PYTHON = [sys.executable, "-S", "-E", "-c"]


async def test_a_failing_task_cancels_its_group() -> None:
    events = []

    async def wait(name: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            events.append(name)

    async def fail() -> None:
        raise LookupError("on purpose")

    async def run_all() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(wait, "a")
            group.start_soon(wait, "b")
            group.start_soon(fail)

    with pytest.raises(ExceptionGroup) as caught:
        await run_all()
    assert [repr(error) for error in caught.value.exceptions] == ["LookupError('on purpose')"]
    assert sorted(events) == ["a", "b"]


async def test_a_started_task_gives_a_value() -> None:
    async def serve(*, task_status: TaskStatus[int]) -> None:
        task_status.started(7)
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        assert await group.start(serve) == 7
        group.cancel_scope.cancel()


async def test_scopes_end_what_is_in_them_and_shields_protect_it() -> None:
    reached = []
    with anyio.move_on_after(0.01) as outer:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
                reached.append("shielded")
            with pytest.raises(anyio.get_cancelled_exc_class()):
                await anyio.lowlevel.checkpoint()
    assert outer.cancelled_caught
    assert reached == ["shielded"]
    with pytest.raises(TimeoutError):
        with anyio.fail_after(0.01):
            await anyio.sleep_forever()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_a_task_waited_for_is_not_lost_to_a_later_cancellation() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    got = []

    async def wait(scope: anyio.CancelScope) -> None:
        with scope:
            got.append(await answer)
            await anyio.sleep_forever()

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(wait, scope)
        await anyio.wait_all_tasks_blocked()
        answer.set_result("in time")
        scope.cancel()
    assert got == ["in time"]


async def test_objects_pass_through_a_memory_stream_in_order() -> None:
    send, receive = anyio.create_memory_object_stream[int](2)

    async def produce() -> None:
        async with send:
            for number in range(100):
                await send.send(number)

    async with anyio.create_task_group() as group, receive:
        group.start_soon(produce)
        assert [number async for number in receive] == list(range(100))


async def test_threads_are_called_and_call_back() -> None:
    async def answer(question: int) -> int:
        await anyio.lowlevel.checkpoint()
        return question + 1

    def work(number: int) -> int:
        return anyio.from_thread.run(answer, number) + anyio.from_thread.run_sync(int, "10")

    results = []

    async def ask(number: int) -> None:
        results.append(await anyio.to_thread.run_sync(work, number))

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(ask, number)
    assert sorted(results) == [number + 11 for number in range(20)]


async def test_a_process_is_run_for_its_output() -> None:
    program = "import sys; data = sys.stdin.buffer.read(); print(len(data)); print('no', file=sys.stderr); sys.exit(3)"
    result = await anyio.run_process([*PYTHON, program], input=MEBIBYTE, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (3, b"%d\n" % len(MEBIBYTE), b"no\n")
    with pytest.raises(subprocess.CalledProcessError):
        await anyio.run_process("exit 4")


async def test_a_process_is_talked_to_and_terminated() -> None:
    program = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"
    async with await anyio.open_process([*PYTHON, program]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers = BufferedByteReceiveStream(process.stdout)
        for word in (b"one", b"two"):
            await process.stdin.send(word + b"\n")
            assert await answers.receive_until(b"\n", 100) == word.upper()
        process.terminate()
        assert await process.wait() == -signal.SIGTERM


async def test_many_processes_run_in_a_task_group() -> None:
    outputs = []

    async def run(number: int) -> None:
        outputs.append(int((await anyio.run_process(f"echo {number}")).stdout))

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(run, number)
    assert sorted(outputs) == list(range(8))


async def test_a_cancelled_scope_kills_its_process() -> None:
    with anyio.move_on_after(0.05) as scope:
        await anyio.run_process(["sleep", "1000"])
    assert scope.cancelled_caught


async def echo(stream: ByteStream) -> None:
    """Send back what comes."""
    async with stream:
        async for data in stream:
            await stream.send(data)


@asynccontextmanager
async def serving(listener: Listener[Any]) -> AsyncIterator[None]:
    """Echo on the listener's connections meanwhile."""
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, echo)
        yield
        group.cancel_scope.cancel()


async def exchange(stream: ByteStream) -> None:
    """Send a lot, end the sending, and check what comes back meanwhile."""
    received = bytearray()

    async def receive() -> None:
        while len(received) < len(MEBIBYTE):
            received.extend(await stream.receive())

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        await stream.send(MEBIBYTE)
    assert received == MEBIBYTE


async def say_goodbye(stream: ByteStream) -> None:
    """End the sending; the other end answers with its own end."""
    await stream.send_eof()
    with pytest.raises(anyio.EndOfStream):
        await stream.receive()


@pytest.mark.parametrize("clients", [1, 10])
async def test_tcp_streams_echo(clients: int) -> None:
    async def talk(port: int) -> None:
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await exchange(stream)
            await say_goodbye(stream)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, serving(listener):
        async with anyio.create_task_group() as talks:
            for _ in range(clients):
                talks.start_soon(talk, listener.extra(SocketAttribute.local_port))


async def test_tls_streams_echo(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        async with serving(TLSListener(listener, server_context)):
            port = listener.extra(SocketAttribute.local_port)
            async with await anyio.connect_tcp("127.0.0.1", port, ssl_context=client_context) as stream:
                await exchange(stream)


async def test_unix_streams_echo(tmp_path: Path) -> None:
    async with await anyio.create_unix_listener(tmp_path / "socket") as listener, serving(listener):
        async with await anyio.connect_unix(tmp_path / "socket") as stream:
            await exchange(stream)
            await say_goodbye(stream)


async def test_datagrams_are_answered() -> None:
    async with await anyio.create_udp_socket(local_host="127.0.0.1") as server:
        port = server.extra(SocketAttribute.local_port)
        async with await anyio.create_connected_udp_socket("127.0.0.1", port) as client:
            for word in (b"one", b"two"):
                await client.send(word)
                data, address = await server.receive()
                await server.sendto(data.upper(), *address)
                assert await client.receive() == word.upper()


async def test_signals_are_received() -> None:
    with anyio.open_signal_receiver(signal.SIGUSR1, signal.SIGUSR2) as signals:
        received = []
        os.kill(os.getpid(), signal.SIGUSR1)
        async for number in signals:
            received.append(number)
            if number == signal.SIGUSR2:
                break
            os.kill(os.getpid(), signal.SIGUSR2)
    assert received == [signal.SIGUSR1, signal.SIGUSR2]


async def test_a_portal_lets_threads_start_tasks(loop_factory: Callable[[], Any]) -> None:
    async def kind() -> type:
        await anyio.lowlevel.checkpoint()
        return type(asyncio.get_running_loop())

    def ask() -> tuple[type, int]:
        with anyio.from_thread.start_blocking_portal("asyncio", {"loop_factory": loop_factory}) as portal:
            future = portal.start_task_soon(anyio.sleep, 0)
            future.result()
            return portal.call(kind), portal.call(int, "5")

    found, number = await anyio.to_thread.run_sync(ask)
    assert issubclass(found, refloop.EventLoop) is (loop_factory is refloop.EventLoop)
    assert number == 5
