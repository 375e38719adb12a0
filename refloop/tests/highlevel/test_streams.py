"""What the suite leaves open: streams across loops and namespaces, and what no documentation promises of them."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest

import refloop
from refloop.tests.highlevel.steps import outcome, settle, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# More than any socket's buffers hold.
MUCH = 8 * 1024 * 1024
HOST = "127.0.0.1"


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


def received(peer: socket.socket) -> int:
    """How many bytes come until the end."""
    return sum(map(len, iter(lambda: peer.recv(65536), b"")))


async def closed(*writers: Any) -> None:
    """Close them and wait until they are."""
    for writer in writers:
        writer.close()
        await writer.wait_closed()


async def test_servers_and_clients_of_one_world_talk(aio: Any) -> None:
    async def echo(reader: Any, writer: Any) -> None:
        while line := await reader.readline():
            writer.write(line.upper())
            await writer.drain()
        await closed(writer)

    server = await aio.start_server(echo, HOST, 0)

    async def ask(number: int) -> bytes:
        reader, writer = await aio.open_connection(*server.sockets[0].getsockname())
        writer.write(f"question {number}\n".encode())
        writer.write_eof()
        answer: bytes = await reader.read()
        await closed(writer)
        return answer

    answers = await aio.gather(*(ask(number) for number in range(5)))
    assert answers == [f"QUESTION {number}\n".encode() for number in range(5)]
    server.close()
    await server.wait_closed()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
async def test_unix_servers_and_clients_of_one_world_talk(aio: Any, tmp_path: Path) -> None:
    async def greet(_: Any, writer: Any) -> None:
        writer.write(b"hello\n")
        await closed(writer)

    path = tmp_path / "socket"
    server = await aio.start_unix_server(greet, path)
    reader, writer = await aio.open_unix_connection(path)
    assert await reader.read() == b"hello\n"
    await closed(writer)
    server.close()
    await server.wait_closed()


@pytest.mark.since((3, 12))
async def test_both_ends_of_one_world_begin_tls(aio: Any) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("example.org").configure_cert(server_context)
    client_context = ssl.create_default_context()
    authority.configure_trust(client_context)
    loop = aio.get_running_loop()
    if type(loop).start_tls is asyncio.AbstractEventLoop.start_tls:
        pytest.skip("the loop has no TLS")
    served = loop.create_future()

    async def serve(reader: Any, writer: Any) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go\n")
        await writer.start_tls(server_context)
        writer.write(await reader.readline())
        await writer.drain()
        await closed(writer)
        served.set_result(None)

    server = await aio.start_server(serve, HOST, 0)
    reader, writer = await aio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"STARTTLS\n")
    assert await reader.readline() == b"go\n"
    await writer.start_tls(client_context, server_hostname="example.org")
    writer.write(b"secret\n")
    assert await reader.read() == b"secret\n"
    writer.close()
    await outcome(writer.wait_closed())
    await served
    server.close()
    await server.wait_closed()


async def test_drain_waits_for_a_slow_peer_in_every_world(aio: Any, loop: Any) -> None:
    _, writer, peer = await connected(aio)
    with peer:
        writer.write(b"x" * MUCH)
        drains = [loop.create_task(writer.drain()) for _ in range(2)]
        await settle()
        assert not any(drain.done() for drain in drains)
        receiving = loop.create_task(in_thread(received, peer))
        await aio.gather(*drains)
        await closed(writer)
        assert await receiving == MUCH


async def test_a_cancelled_read_loses_nothing(aio: Any, loop: Any) -> None:
    reader = aio.StreamReader()
    reading = loop.create_task(reader.readexactly(4))
    await settle(2)
    reader.feed_data(b"ab")
    reading.cancel()
    assert isinstance(await outcome(reading), aio.CancelledError)
    reader.feed_data(b"cd")
    assert await reader.readexactly(4) == b"abcd"


async def test_a_second_task_that_waits_for_data_is_refused(aio: Any, loop: Any) -> None:
    reader = aio.StreamReader()
    reading = loop.create_task(reader.read(1))
    await settle(2)
    assert isinstance(await outcome(reader.read(1)), RuntimeError)
    reader.feed_data(b"x")
    assert await reading == b"x"


@pytest.mark.since((3, 13))
async def test_a_longer_separator_is_counted_with_its_own_length(aio: Any) -> None:
    reader = aio.StreamReader(16)
    reader.feed_data(b"x" * 16 + b"<end>" + b"x" * 17 + b"<end>")
    assert await reader.readuntil((b"\n", b"<end>")) == b"x" * 16 + b"<end>"
    error = await outcome(reader.readuntil((b"\n", b"<end>")))
    assert isinstance(error, aio.LimitOverrunError)
    assert error.consumed == 17


@pytest.mark.since((3, 13))
async def test_a_servers_writer_that_is_forgotten_is_closed_with_a_resourcewarning(aio: Any) -> None:
    called: list[int] = []
    server = await aio.start_server(lambda *_: called.append(1), HOST, 0)
    with (  # noqa: PT031 - forgetting takes two steps
        pytest.warns(ResourceWarning),
        socket.create_connection(server.sockets[0].getsockname(), 10) as peer,
    ):
        await until(lambda: bool(called))
        gc.collect()
        assert await in_thread(peer.recv, 1) == b""
    server.close()
    await server.wait_closed()


@pytest.mark.since((3, 14))
async def test_a_plain_callback_that_raises_is_reported_and_its_connection_closed(
    aio: Any, reported: list[Any]
) -> None:
    writers: list[Any] = []

    def fail(_: Any, writer: Any) -> None:
        writers.append(writer)
        raise ZeroDivisionError

    server = await aio.start_server(fail, HOST, 0)
    with socket.create_connection(server.sockets[0].getsockname(), 10) as peer:
        assert await in_thread(peer.recv, 1) == b""
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    reported.clear()
    server.close()
    await server.wait_closed()


@pytest.mark.since((3, 12))
async def test_a_task_of_a_server_that_is_cancelled_closes_its_connection(aio: Any, loop: Any) -> None:
    tasks: list[Any] = []

    async def wait(*_: Any) -> None:
        tasks.append(aio.current_task())
        await loop.create_future()

    server = await aio.start_server(wait, HOST, 0)
    with socket.create_connection(server.sockets[0].getsockname(), 10) as peer:
        await until(lambda: bool(tasks))
        tasks[0].cancel()
        assert await in_thread(peer.recv, 1) == b""
    server.close()
    await server.wait_closed()


def test_tls_cannot_begin_on_a_connection_that_is_closing() -> None:
    async def main() -> None:
        _, writer, peer = await connected(refloop)
        with peer:
            writer.transport.set_write_buffer_limits(high=2 * MUCH)
            writer.write(b"x" * MUCH)
            writer.close()
            error = await outcome(writer.start_tls(ssl.create_default_context(), server_hostname="example.org"))
            assert isinstance(error, ConnectionError)
            assert writer.is_closing()
            writer.transport.abort()
            await settle()

    refloop.run(main())
