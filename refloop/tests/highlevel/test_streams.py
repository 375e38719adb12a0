"""Connections and servers by streams, against plain blocking sockets."""

from __future__ import annotations

import gc
import inspect
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

requirement = pytest.mark.requirement


# More than any socket's buffers hold.
MUCH = 8 * 1024 * 1024


async def connected(aio: Any, **keywords: Any) -> tuple[Any, Any, socket.socket]:
    """Return a reader, a writer and the blocking socket at the other end."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    reader, writer = await aio.open_connection(sock=ours, **keywords)
    return reader, writer, theirs


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call something that blocks, beside the loop."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function(*arguments)), daemon=True)
    thread.start()
    await until(lambda: not thread.is_alive())
    return results[0]


def receive_all(peer: socket.socket) -> bytes:
    """Read until the other side has closed its writing end."""
    blocks = []
    while block := peer.recv(65536):
        blocks.append(block)
    return b"".join(blocks)


@requirement("open_connection/returns-reader-writer-pair", "open_connection/takes-ownership-of-sock")
@requirement("StreamWriter.write/passes-data-to-transport", "StreamWriter.transport/returns-underlying-transport")
@requirement("StreamWriter.get_extra_info/returns-transport-info", "StreamWriter.is_closing/returns-true-once-closing")
@requirement("StreamWriter.get_extra_info/accepts-name-and-default")
async def test_a_connection_is_a_reader_and_a_writer(aio: Any) -> None:
    reader, writer, peer = await connected(aio)
    assert isinstance(reader, aio.StreamReader)
    assert isinstance(writer, aio.StreamWriter)
    with peer:
        peer.sendall(b"question\n")
        assert await reader.readline() == b"question\n"
        writer.write(b"answer")
        assert peer.recv(100) == b"answer"
        assert writer.get_extra_info("socket") is writer.transport.get_extra_info("socket")
        assert writer.get_extra_info("nothing", 1) == 1
        assert writer.get_extra_info("nothing") is None
        assert writer.is_closing() is False
        writer.close()
        assert writer.is_closing() is True
        await writer.wait_closed()
        assert peer.recv(1) == b""
    assert writer.get_extra_info("socket").fileno() == -1


@requirement("StreamWriter.write/accepts-bytes-like", "StreamWriter.writelines/accepts-any-iterable")
async def test_everything_bytes_like_is_written_in_order(aio: Any) -> None:
    _, writer, peer = await connected(aio)
    with peer:
        for data in (b"a", bytearray(b"b"), memoryview(b"c")):
            writer.write(data)
        writer.writelines([b"d", b"e"])
        writer.writelines(iter((b"f", b"g")))
        writer.close()
        await writer.wait_closed()
        assert receive_all(peer) == b"abcdefg"


@requirement("StreamWriter.close/flushes-and-closes-socket", "StreamWriter.wait_closed/waits-for-flush")
@requirement("StreamWriter.wait_closed/waits-until-closed", "StreamWriter.wait_closed/is-coroutine")
@requirement("StreamWriter.write/not-flow-controlled")
async def test_closing_flushes_what_was_written(aio: Any, loop: Any) -> None:
    _, writer, peer = await connected(aio)
    with peer:
        data = os.urandom(MUCH)
        writer.write(data)
        writer.close()
        closed = loop.create_task(writer.wait_closed())
        await settle()
        assert not closed.done()
        assert await in_thread(receive_all, peer) == data
        await closed


@requirement(
    "StreamWriter.write_eof/closes-write-end-after-flush", "StreamWriter.can_write_eof/returns-transport-answer"
)
async def test_after_write_eof_the_peer_reads_the_end_and_can_still_answer(aio: Any) -> None:
    reader, writer, peer = await connected(aio)
    with peer:
        assert writer.can_write_eof() is True
        data = os.urandom(MUCH)
        writer.write(data)
        writer.write_eof()
        assert await in_thread(receive_all, peer) == data
        peer.sendall(b"answer")
        assert await reader.readexactly(6) == b"answer"
        writer.close()
        await writer.wait_closed()


@requirement("StreamReader.read/returns-empty-bytes-at-eof")
async def test_after_the_peers_end_writing_goes_on(aio: Any) -> None:
    reader, writer, peer = await connected(aio)
    with peer:
        peer.shutdown(socket.SHUT_WR)
        assert await reader.read() == b""
        writer.write(b"still here")
        assert peer.recv(100) == b"still here"
        writer.close()
        await writer.wait_closed()


@requirement("StreamWriter.drain/waits-until-low-mark", "StreamWriter.drain/lets-loop-flush-data")
@requirement("StreamWriter.drain/returns-immediately-when-idle", "StreamWriter.drain/is-coroutine")
async def test_drain_waits_while_the_buffer_is_too_full_for_every_task(aio: Any, loop: Any) -> None:
    _, writer, peer = await connected(aio)
    with peer:
        await writer.drain()
        writer.write(b"x" * MUCH)
        drains = [loop.create_task(writer.drain()) for _ in range(2)]
        await settle()
        assert not any(drain.done() for drain in drains)
        receiving = loop.create_task(in_thread(receive_all, peer))
        await aio.gather(*drains)
        assert writer.transport.get_write_buffer_size() <= writer.transport.get_write_buffer_limits()[0]
        writer.close()
        await writer.wait_closed()
        assert len(await receiving) == MUCH


@requirement("StreamWriter.drain/skips-yield-below-mark")
async def test_drain_below_the_mark_does_not_suspend(aio: Any) -> None:
    _, writer, peer = await connected(aio)
    with peer:
        writer.write(b"x")
        with pytest.raises(StopIteration):
            writer.drain().send(None)
        writer.close()
        await writer.wait_closed()


@requirement("StreamWriter.drain/raises-on-lost-connection")
async def test_a_drain_that_waits_when_the_connection_is_lost_raises(aio: Any, loop: Any) -> None:
    _, writer, peer = await connected(aio)
    writer.write(b"x" * MUCH)
    drain = loop.create_task(writer.drain())
    await settle()
    peer.close()
    assert isinstance(await outcome(drain), ConnectionError)
    assert isinstance(await outcome(writer.drain()), ConnectionError)
    writer.close()
    assert isinstance(await outcome(writer.wait_closed()), ConnectionError | None)


@requirement("open_connection/limit-bounds-reader-buffer", "StreamReader/pauses-transport-over-limit")
async def test_a_flood_is_held_back_at_the_readers_limit(aio: Any) -> None:
    reader, writer, peer = await connected(aio, limit=1024)
    with peer:
        peer.settimeout(None)
        peer.setblocking(False)
        sent = 0
        try:
            while sent < MUCH:
                sent += peer.send(b"x" * 65536)
                await settle(2)
        except BlockingIOError:
            pass
        assert sent < MUCH
        writer.close()
        await writer.wait_closed()
    assert isinstance(await outcome(reader.readline()), ValueError)


@requirement("StreamWriter/warns-when-collected-open")
@pytest.mark.since((3, 13))
async def test_a_forgotten_writer_is_closed_with_a_resourcewarning(aio: Any) -> None:
    reader, writer, peer = await connected(aio)
    with peer:
        with pytest.warns(ResourceWarning):  # noqa: PT031 - forgetting takes two steps
            del reader, writer
            gc.collect()
        await settle()
        assert peer.recv(1) == b""


@requirement("start_server/calls-callback-per-connection", "start_server/runs-coroutine-callback-as-task")
@requirement("start_server/returns-server", "start_server/accepts-documented-arguments")
async def test_a_server_runs_a_coroutine_for_every_connection(aio: Any) -> None:
    async def echo(reader: Any, writer: Any) -> None:
        assert aio.current_task() is not None
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        writer.close()
        served.append(1)

    served: list[int] = []
    server = await aio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def ask(number: int) -> bytes:
        reader, writer = await aio.open_connection("127.0.0.1", port)
        writer.write(f"question {number}\n".encode())
        answer: bytes = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return answer

    answers = await aio.gather(*(ask(number) for number in range(5)))
    await until(lambda: len(served) == 5)
    assert answers == [f"QUESTION {number}\n".encode() for number in range(5)]
    server.close()
    await server.wait_closed()


@requirement("start_server/accepts-plain-callback", "start_server/takes-ownership-of-sock")
@requirement("start_server/limit-bounds-reader-buffer", "start_server/accepts-handshake-and-serving-keywords")
async def test_a_server_may_call_a_plain_function(aio: Any) -> None:
    seen: list[tuple[Any, Any]] = []
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    server = await aio.start_server(lambda *ends: seen.append(ends), sock=listener, limit=8, start_serving=False)
    await server.start_serving()
    with socket.create_connection(address) as peer:
        await until(lambda: bool(seen))
        ((reader, writer),) = seen
        peer.sendall(b"longer than the limit\n")
        assert isinstance(await outcome(reader.readline()), ValueError)
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()
    assert listener.fileno() == -1


@requirement("start_server/runs-coroutine-callback-as-task")
@pytest.mark.since((3, 12))
async def test_an_error_of_the_coroutine_is_reported_and_closes_the_connection(aio: Any, reported: list[Any]) -> None:
    async def fail(*_: Any) -> None:
        raise ZeroDivisionError

    server = await aio.start_server(fail, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as peer:
        assert await in_thread(peer.recv, 1) == b""
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    server.close()
    await server.wait_closed()


@requirement("open_unix_connection/returns-reader-writer-pair", "open_unix_connection/accepts-path-like")
@requirement("start_unix_server/calls-callback-per-connection", "start_unix_server/accepts-path-like")
@requirement("start_unix_server/accepts-documented-arguments", "open_unix_connection/accepts-documented-arguments")
@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
async def test_unix_sockets_serve_as_well(aio: Any, tmp_path: Path) -> None:
    async def greet(_: Any, writer: Any) -> None:
        writer.write(b"hello\n")
        writer.close()
        await writer.wait_closed()

    path = tmp_path / "socket"
    server = await aio.start_unix_server(greet, path)
    reader, writer = await aio.open_unix_connection(path)
    assert await reader.read() == b"hello\n"
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


@requirement("explicit-loop-argument-streams/rejects-loop-keyword")
async def test_no_stream_function_takes_a_loop_argument(aio: Any, loop: Any) -> None:
    with pytest.raises(TypeError):
        await aio.open_connection("127.0.0.1", 1, loop=loop)
    with pytest.raises(TypeError):
        await aio.start_server(print, "127.0.0.1", 0, loop=loop)


def test_the_coroutines_of_a_writer_are_coroutine_functions(aio: Any) -> None:
    for name in ("drain", "wait_closed", "start_tls"):
        assert inspect.iscoroutinefunction(getattr(aio.StreamWriter, name))
    for function in (aio.open_connection, aio.start_server):
        assert inspect.iscoroutinefunction(function)
