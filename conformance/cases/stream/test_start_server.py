"""Serving: ``start_server()``, what it calls for each connection and what becomes of its arguments."""

from __future__ import annotations

import functools
import gc
import inspect
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.connections import Remote
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.peers import HOST
from conformance.support.streams import SERVED_KINDS, check_limit, handed_to
from conformance.support.waiting import GENEROUS, turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import AsyncIterator, Callable

    from conformance.support.streams import StreamMaker


class Visitor(Remote):
    """A client of the server under test."""

    def __init__(self, loop: AbstractEventLoop, server: Any) -> None:
        super().__init__(loop, socket.create_connection(server.sockets[0].getsockname()))


@asynccontextmanager
async def serving(aio: Any, callback: Callable[..., Any], **options: Any) -> AsyncIterator[Any]:
    """A server on a free port."""
    server = await aio.start_server(callback, HOST, 0, **options)
    try:
        yield server
    finally:
        server.close()


@asynccontextmanager
async def visiting(loop: AbstractEventLoop, server: Any, number: int = 1) -> AsyncIterator[list[Visitor]]:
    """Clients that are connected, one after the other."""
    visitors = [Visitor(loop, server) for _ in range(number)]
    try:
        yield visitors
    finally:
        for visitor in visitors:
            visitor.clean_up()
        await turns(loop)


async def closed(*writers: Any) -> None:
    """Close what a server's callback was given."""
    for writer in writers:
        writer.close()
    for writer in writers:
        await writer.wait_closed()


async def greet(_: Any, writer: Any) -> None:
    writer.write(b"hello")
    await closed(writer)


@requirement("start_server/accepts-documented-arguments")
async def test_start_server_is_a_coroutine_function_of_a_callback_host_and_port(
    loop: AbstractEventLoop, aio: Any
) -> None:
    assert inspect.iscoroutinefunction(aio.start_server) is True
    server = await aio.start_server(client_connected_cb=greet, host=HOST, port=0, limit=100)
    async with visiting(loop, server) as (visitor,):
        assert await visitor.read_until_eof() == b"hello"
    server.close()


@requirement("start_server/accepts-documented-arguments")
async def test_every_other_argument_reaches_create_server_unchanged(
    loop: AbstractEventLoop, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("family", "flags", "sock", "backlog", "ssl", "reuse_address", "reuse_port")
    given = {name: object() for name in names}
    starting = aio.start_server(greet, "host", 1, **given)
    assert await handed_to(monkeypatch, loop, "create_server", starting) == (("host", 1), given)


@requirement("start_server/accepts-handshake-and-serving-keywords")
async def test_the_handshakes_timeout_and_whether_to_serve_reach_create_server(
    loop: AbstractEventLoop, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"ssl_handshake_timeout": object(), "start_serving": object()}
    starting = aio.start_server(greet, "host", 1, **given)
    assert await handed_to(monkeypatch, loop, "create_server", starting) == (("host", 1), given)


@requirement("start_server/accepts-ssl-shutdown-timeout-keyword")
async def test_the_shutdowns_timeout_reaches_create_server(
    loop: AbstractEventLoop, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"ssl_shutdown_timeout": object()}
    starting = aio.start_server(greet, "host", 1, **given)
    assert await handed_to(monkeypatch, loop, "create_server", starting) == (("host", 1), given)


@requirement("start_server/accepts-keep-alive-keyword")
async def test_keep_alive_reaches_create_server(
    loop: AbstractEventLoop, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"keep_alive": True}
    starting = aio.start_server(greet, "host", 1, **given)
    assert await handed_to(monkeypatch, loop, "create_server", starting) == (("host", 1), given)


@requirement("start_server/returns-server")
async def test_the_server_is_of_the_kind_that_create_server_returns(loop: AbstractEventLoop, aio: Any) -> None:
    plain = await loop.create_server(aio.Protocol, HOST, 0)
    async with serving(aio, greet) as server:
        assert type(server) is type(plain)
        assert (server.is_serving(), server.get_loop() is loop) == (True, True)
        async with visiting(loop, server) as (visitor,):
            assert await visitor.read_until_eof() == b"hello"
    assert server.is_serving() is False
    plain.close()


@on_loops(PLAIN, DEBUG)
@requirement("start_server/calls-callback-per-connection", "start_server/accepts-plain-callback")
async def test_the_callback_is_called_once_for_each_connection(loop: AbstractEventLoop, aio: Any) -> None:
    calls: list[tuple[Any, ...]] = []
    async with serving(aio, lambda *arguments: calls.append(arguments)) as server:
        await turns(loop)
        assert calls == []
        async with visiting(loop, server, 3) as visitors:
            for number, visitor in enumerate(visitors):
                await visitor.send(b"%d" % number)
            await until(loop, lambda: len(calls) >= 3)
            await turns(loop)
            assert [(type(reader), type(writer)) for reader, writer in calls] == [
                (aio.StreamReader, aio.StreamWriter)
            ] * 3
            # Three connections that wait may be accepted in any order.
            assert sorted([await reader.readexactly(1) for reader, _ in calls]) == [b"0", b"1", b"2"]
            await closed(*(writer for _, writer in calls))


@requirement("start_server/calls-callback-per-connection")
async def test_a_reader_and_its_writer_belong_to_the_same_connection(loop: AbstractEventLoop, aio: Any) -> None:
    async def echo(reader: Any, writer: Any) -> None:
        writer.write(await reader.read(100))
        await closed(writer)

    async with serving(aio, echo) as server, visiting(loop, server, 3) as visitors:
        for number in (1, 2, 0):
            await visitors[number].send(b"%d" % number)
        assert [await visitor.read_until_eof() for visitor in visitors] == [b"0", b"1", b"2"]


class Greeter:
    """Callable, and no function."""

    def __init__(self, writers: list[Any]) -> None:
        self._writers = writers

    def __call__(self, _: Any, writer: Any) -> str:
        self._writers.append(writer)
        writer.write(b"hello")
        writer.write_eof()
        return "nobody asks for this"


@pytest.mark.parametrize("kind", ["object", "partial", "method"])
@requirement("start_server/accepts-plain-callback")
async def test_the_callback_may_be_any_callable(loop: AbstractEventLoop, aio: Any, kind: str) -> None:
    writers: list[Any] = []
    greeter = Greeter(writers)
    callbacks: dict[str, Any] = {
        "object": greeter,
        "partial": functools.partial(Greeter.__call__, greeter),
        "method": greeter.__call__,
    }
    async with serving(aio, callbacks[kind]) as server, visiting(loop, server) as (visitor,):
        assert await visitor.read_until_eof() == b"hello"
        await closed(*writers)


@requirement("start_server/accepts-plain-callback")
async def test_a_plain_callback_runs_in_no_task(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[object] = []

    def serve(_: Any, writer: Any) -> None:
        seen.append(aio.current_task())
        writer.close()

    async with serving(aio, serve) as server, visiting(loop, server) as (visitor,):
        assert await visitor.read_until_eof() == b""
    assert seen == [None]


@requirement("start_server/accepts-plain-callback")
async def test_an_error_of_a_plain_callback_is_reported_and_the_server_goes_on(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]]
) -> None:
    writers: list[Any] = []

    def serve(_: Any, writer: Any) -> None:
        writers.append(writer)
        if len(writers) == 1:
            raise ZeroDivisionError
        writer.write(b"hello")

    async with serving(aio, serve) as server, visiting(loop, server) as _:
        await until(loop, lambda: reported)
        async with visiting(loop, server) as (visitor,):
            assert await visitor.read(5) == b"hello"
            await closed(*writers)
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("start_server/runs-coroutine-callback-as-task")
async def test_a_coroutine_function_runs_as_a_task_for_each_connection(loop: AbstractEventLoop, aio: Any) -> None:
    tasks: list[Task[Any]] = []

    async def serve(reader: Any, writer: Any) -> None:
        tasks.append(aio.current_task())
        await reader.read()
        await closed(writer)

    async with serving(aio, serve) as server:
        async with visiting(loop, server, 2) as visitors:
            await until(loop, lambda: len(tasks) == 2)
            assert [isinstance(task, aio.Task) for task in tasks] == [True, True]
            assert tasks[0] is not tasks[1]
            assert set(tasks) <= aio.all_tasks(loop)
            for visitor in visitors:
                await visitor.end()
            await until(loop, lambda: all(task.done() for task in tasks))


@requirement("start_server/runs-coroutine-callback-as-task")
async def test_the_tasks_of_two_connections_run_side_by_side(loop: AbstractEventLoop, aio: Any) -> None:
    waiting: list[Any] = []
    go = loop.create_future()

    async def serve(_: Any, writer: Any) -> None:
        waiting.append(writer)
        await go
        await greet(None, writer)

    async with serving(aio, serve) as server, visiting(loop, server, 2) as visitors:
        await until(loop, lambda: len(waiting) == 2)
        go.set_result(None)
        assert [await visitor.read_until_eof() for visitor in visitors] == [b"hello", b"hello"]


@requirement("start_server/runs-coroutine-callback-as-task")
async def test_a_task_that_nobody_holds_lives_as_long_as_its_connection(loop: AbstractEventLoop, aio: Any) -> None:
    async def serve(reader: Any, writer: Any) -> None:
        writer.write((await reader.readline()).upper())
        await closed(writer)

    async with serving(aio, serve) as server, visiting(loop, server) as (visitor,):
        await visitor.send(b"un")
        for _ in range(3):
            await turns(loop)
            gc.collect()
        await visitor.send(b"collected\n")
        assert await visitor.read_until_eof() == b"UNCOLLECTED\n"


@pytest.mark.parametrize("kind", ["partial", "method", "lambda"])
@requirement("start_server/runs-coroutine-callback-as-task")
async def test_whatever_gives_a_coroutine_runs_as_a_task(loop: AbstractEventLoop, aio: Any, kind: str) -> None:
    class Service:
        async def serve(self, reader: Any, writer: Any) -> None:
            assert isinstance(aio.current_task(), aio.Task)
            await greet(reader, writer)

    callbacks: dict[str, Any] = {
        "partial": functools.partial(Service.serve, Service()),
        "method": Service().serve,
        "lambda": lambda reader, writer: Service().serve(reader, writer),
    }
    async with serving(aio, callbacks[kind]) as server, visiting(loop, server) as (visitor,):
        assert await visitor.read_until_eof() == b"hello"


@requirement("start_server/runs-coroutine-callback-as-task")
async def test_an_error_of_the_task_is_reported_and_the_server_goes_on(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]]
) -> None:
    calls: list[Any] = []

    async def serve(reader: Any, writer: Any) -> None:
        calls.append(writer)
        if len(calls) == 1:
            raise ZeroDivisionError
        await greet(reader, writer)

    async with serving(aio, serve) as server, visiting(loop, server) as _:
        await until(loop, lambda: reported)
        async with visiting(loop, server) as (visitor,):
            assert await visitor.read_until_eof() == b"hello"
        await closed(*calls)
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


@pytest.mark.parametrize("streams", SERVED_KINDS, indirect=True)
@pytest.mark.parametrize(("options", "limit"), [({}, 65536), ({"limit": 1}, 1), ({"limit": 100}, 100)])
@requirement("start_server/limit-bounds-reader-buffer")
async def test_the_limit_of_every_reader_is_the_one_given_or_64_kib(
    aio: Any, streams: StreamMaker, options: dict[str, int], limit: int
) -> None:
    made = await streams.connect(**options)
    await check_limit(aio, made, limit)


@requirement("start_server/accepts-handshake-and-serving-keywords")
async def test_a_server_that_does_not_serve_yet_can_begin_to(loop: AbstractEventLoop, aio: Any) -> None:
    async with serving(aio, greet, start_serving=False) as server:
        assert server.is_serving() is False
        await server.start_serving()
        async with visiting(loop, server) as (visitor,):
            assert await visitor.read_until_eof() == b"hello"


@requirement("start_server/takes-ownership-of-sock")
async def test_closing_the_server_closes_the_socket_that_was_given(loop: AbstractEventLoop, aio: Any) -> None:
    listener = socket.create_server((HOST, 0))
    server = await aio.start_server(greet, sock=listener)
    with socket.create_connection(listener.getsockname(), GENEROUS) as sock:
        visitor = Remote(loop, sock)
        assert await visitor.read_until_eof() == b"hello"
        visitor.clean_up()
    assert listener.fileno() != -1
    server.close()
    await until(loop, lambda: listener.fileno() == -1)
