"""Streams over Unix sockets: ``open_unix_connection()`` and ``start_unix_server()``."""

from __future__ import annotations

import inspect
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.certificates import server_context, trusting_context
from conformance.support.connections import NAME, Remote
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import accepting, read_once, read_until_eof, refusing_path, socket_path
from conformance.support.streams import check_limit, handed_to
from conformance.support.waiting import GENEROUS, turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from pathlib import Path

    from conformance.support.streams import StreamMaker

# Until a handshake that nobody answers is given up.
SOON = 0.02


class PathLike:
    """A path of somebody's own making."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


PATHS: dict[str, Callable[[Path], Any]] = {"str": str, "bytes": os.fsencode}
PATH_LIKES: dict[str, Callable[[Path], Any]] = {"path": lambda path: path, "path-like": PathLike}


def listening_at(path: Any) -> socket.socket:
    """A listening Unix socket."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    return listener


async def ask(reader: Any, writer: Any) -> bytes:
    """Close the connection after one message; what its reader still gives."""
    writer.write(b"reached")
    writer.close()
    await writer.wait_closed()
    rest: bytes = await reader.read()
    return rest


async def greet(_: Any, writer: Any) -> None:
    writer.write(b"hello")
    writer.close()
    await writer.wait_closed()


async def greeting_at(loop: AbstractEventLoop, path: Any) -> bytes:
    """What a client of the server at ``path`` gets."""
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    visitor = Remote(loop, sock)
    try:
        return await visitor.read_until_eof()
    finally:
        visitor.clean_up()
        await turns(loop)


@requirement("open_unix_connection/accepts-documented-arguments", "start_unix_server/accepts-documented-arguments")
def test_the_unix_functions_are_coroutine_functions_whose_path_may_be_left_out(aio: Any) -> None:
    for function in (aio.open_unix_connection, aio.start_unix_server):
        assert inspect.iscoroutinefunction(function) is True
        assert inspect.signature(function).parameters["path"].default is None


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("kind", PATHS)
@requirement("open_unix_connection/returns-reader-writer-pair")
async def test_a_path_connects_to_a_reader_and_a_writer(loop: AbstractEventLoop, aio: Any, kind: str) -> None:
    with socket_path() as path, accepting(read_once, listening_at(str(path))) as peer:
        reader, writer = await aio.open_unix_connection(PATHS[kind](path))
        assert (type(reader), type(writer)) == (aio.StreamReader, aio.StreamWriter)
        assert await ask(reader, writer) == b""
        assert await peer.outcome(loop) == b"reached"


@pytest.mark.parametrize("kind", PATH_LIKES)
@requirement("open_unix_connection/accepts-path-like")
async def test_a_connection_takes_a_path_like_object(loop: AbstractEventLoop, aio: Any, kind: str) -> None:
    with socket_path() as path, accepting(read_once, listening_at(str(path))) as peer:
        assert await ask(*await aio.open_unix_connection(PATH_LIKES[kind](path))) == b""
        assert await peer.outcome(loop) == b"reached"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")
@requirement("open_unix_connection/returns-reader-writer-pair")
async def test_an_abstract_socket_is_reached(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_path() as path, accepting(read_once, listening_at(f"\0{path}")) as peer:
        assert await ask(*await aio.open_unix_connection(f"\0{path}")) == b""
        assert await peer.outcome(loop) == b"reached"


@pytest.mark.parametrize("stale", [True, False], ids=["stale", "unheard"])
@requirement("open_unix_connection/returns-reader-writer-pair")
async def test_a_path_on_which_nobody_listens_is_refused(aio: Any, stale: bool) -> None:
    with refusing_path(stale=stale) as path, pytest.raises(ConnectionRefusedError):
        await aio.open_unix_connection(str(path))


@pytest.mark.parametrize("streams", ["unix", "unix-server"], indirect=True)
@pytest.mark.parametrize(("options", "limit"), [({}, 65536), ({"limit": 100}, 100)])
@requirement("open_unix_connection/accepts-documented-arguments", "start_unix_server/accepts-documented-arguments")
async def test_the_limit_of_the_reader_is_the_one_given_or_64_kib(
    aio: Any, streams: StreamMaker, options: dict[str, int], limit: int
) -> None:
    made = await streams.connect(**options)
    await check_limit(aio, made, limit)


@requirement("open_unix_connection/accepts-documented-arguments")
async def test_every_other_argument_reaches_create_unix_connection_unchanged(
    loop: AbstractEventLoop, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {name: object() for name in ("ssl", "sock", "server_hostname")}
    opening = aio.open_unix_connection("path", **given)
    assert await handed_to(monkeypatch, loop, "create_unix_connection", opening) == (("path",), given)
    opening = aio.open_unix_connection(path="path")
    assert await handed_to(monkeypatch, loop, "create_unix_connection", opening) == (("path",), {})


@requirement("open_unix_connection/accepts-ssl-shutdown-timeout-keyword")
async def test_the_shutdowns_timeout_reaches_create_unix_connection(
    loop: AbstractEventLoop, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"ssl_shutdown_timeout": object()}
    opening = aio.open_unix_connection("path", **given)
    assert await handed_to(monkeypatch, loop, "create_unix_connection", opening) == (("path",), given)


@requirement("open_unix_connection/accepts-ssl-handshake-timeout-keyword")
async def test_the_handshakes_timeout_reaches_create_unix_connection(
    loop: AbstractEventLoop, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"ssl_handshake_timeout": object()}
    opening = aio.open_unix_connection("path", **given)
    assert await handed_to(monkeypatch, loop, "create_unix_connection", opening) == (("path",), given)


@requirement("open_unix_connection/accepts-ssl-handshake-timeout-keyword")
async def test_a_handshake_that_takes_longer_than_its_timeout_is_given_up(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_path() as path, accepting(read_until_eof, listening_at(str(path))) as peer:
        with pytest.raises(OSError):  # noqa: PT011 - no text is promised
            await aio.open_unix_connection(
                str(path), ssl=trusting_context(), server_hostname=NAME, ssl_handshake_timeout=SOON
            )
        await peer.outcome(loop)


@requirement("open_unix_connection/takes-ownership-of-sock")
async def test_closing_the_writer_closes_the_socket_that_was_given(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_path() as path, accepting(read_once, listening_at(str(path))) as peer:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        reader, writer = await aio.open_unix_connection(sock=sock)
        assert sock.fileno() != -1
        assert await ask(reader, writer) == b""
        assert sock.fileno() == -1
        assert await peer.outcome(loop) == b"reached"


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("kind", PATHS)
@requirement("start_unix_server/calls-callback-per-connection")
async def test_the_callback_is_called_with_a_reader_and_a_writer_for_each_connection(
    loop: AbstractEventLoop, aio: Any, kind: str
) -> None:
    calls: list[Any] = []

    async def serve(reader: Any, writer: Any) -> None:
        calls.append((type(reader), type(writer)))
        await greet(reader, writer)

    with socket_path() as path:
        server = await aio.start_unix_server(serve, PATHS[kind](path))
        assert [await greeting_at(loop, str(path)) for _ in range(3)] == [b"hello"] * 3
        server.close()
    assert calls == [(aio.StreamReader, aio.StreamWriter)] * 3


@requirement("start_unix_server/calls-callback-per-connection")
async def test_a_plain_function_serves_as_well(loop: AbstractEventLoop, aio: Any) -> None:
    ends: list[Any] = []

    def serve(reader: Any, writer: Any) -> None:
        ends.append((reader, writer))
        writer.write(b"hello")
        writer.close()

    with socket_path() as path:
        server = await aio.start_unix_server(serve, str(path))
        assert await greeting_at(loop, str(path)) == b"hello"
        server.close()
    assert len(ends) == 1


@pytest.mark.parametrize("kind", PATH_LIKES)
@requirement("start_unix_server/accepts-path-like")
async def test_a_server_takes_a_path_like_object(loop: AbstractEventLoop, aio: Any, kind: str) -> None:
    with socket_path() as path:
        server = await aio.start_unix_server(greet, PATH_LIKES[kind](path))
        assert await greeting_at(loop, str(path)) == b"hello"
        server.close()


@requirement("start_unix_server/calls-callback-per-connection")
async def test_the_server_is_of_the_kind_that_create_unix_server_returns(loop: Any, aio: Any) -> None:
    with socket_path() as path:
        server = await aio.start_unix_server(greet, str(path))
        plain = await loop.create_unix_server(aio.Protocol, f"{path}-plain")
        assert type(server) is type(plain)
        for one in (server, plain):
            one.close()


@requirement("start_unix_server/accepts-documented-arguments")
async def test_every_other_argument_reaches_create_unix_server_unchanged(
    loop: AbstractEventLoop, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {name: object() for name in ("sock", "backlog", "ssl")}
    starting = aio.start_unix_server(client_connected_cb=greet, path="path", **given)
    assert await handed_to(monkeypatch, loop, "create_unix_server", starting) == (("path",), given)


@requirement("start_unix_server/accepts-handshake-and-serving-keywords")
async def test_the_handshakes_timeout_and_whether_to_serve_reach_create_unix_server(
    loop: AbstractEventLoop, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"ssl_handshake_timeout": object(), "start_serving": object()}
    starting = aio.start_unix_server(greet, "path", **given)
    assert await handed_to(monkeypatch, loop, "create_unix_server", starting) == (("path",), given)


@requirement("start_unix_server/accepts-handshake-and-serving-keywords")
async def test_a_server_that_does_not_serve_yet_can_begin_to(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_path() as path:
        server = await aio.start_unix_server(greet, str(path), start_serving=False)
        assert server.is_serving() is False
        await server.start_serving()
        assert await greeting_at(loop, str(path)) == b"hello"
        server.close()


@requirement("start_unix_server/accepts-ssl-shutdown-timeout-keyword")
async def test_the_shutdowns_timeout_reaches_create_unix_server(
    loop: AbstractEventLoop, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"ssl": server_context(), "ssl_shutdown_timeout": object()}
    starting = aio.start_unix_server(greet, "path", **given)
    assert await handed_to(monkeypatch, loop, "create_unix_server", starting) == (("path",), given)


@requirement("start_unix_server/accepts-cleanup-socket-keyword")
async def test_whether_to_remove_the_file_reaches_create_unix_server(
    loop: AbstractEventLoop, aio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"cleanup_socket": object()}
    starting = aio.start_unix_server(greet, "path", **given)
    assert await handed_to(monkeypatch, loop, "create_unix_server", starting) == (("path",), given)


@requirement("start_unix_server/accepts-cleanup-socket-keyword")
async def test_closing_the_server_leaves_the_file_when_it_is_told_to(aio: Any) -> None:
    with socket_path() as path:
        server = await aio.start_unix_server(greet, str(path), cleanup_socket=False)
        server.close()
        await server.wait_closed()
        assert path.is_socket()


@pytest.mark.parametrize("kind", [*PATHS, *PATH_LIKES])
@pytest.mark.parametrize("options", [{}, {"cleanup_socket": True}], ids=["default", "true"])
@requirement("start_unix_server/removes-socket-file-on-close")
async def test_closing_the_server_removes_the_file(aio: Any, kind: str, options: dict[str, bool]) -> None:
    with socket_path() as path:
        server = await aio.start_unix_server(greet, {**PATHS, **PATH_LIKES}[kind](path), **options)
        assert path.is_socket()
        server.close()
        await server.wait_closed()
        assert not path.exists()


@requirement("start_unix_server/removes-socket-file-on-close")
async def test_closing_the_server_leaves_a_file_that_has_taken_its_place(aio: Any) -> None:
    with socket_path() as path:
        server = await aio.start_unix_server(greet, str(path))
        # Both exist at once, so that the second is not the first over again to the file system.
        successor = path.with_name("successor")
        with listening_at(str(successor)):
            successor.replace(path)
            server.close()
            await server.wait_closed()
            assert path.is_socket()


@requirement("start_unix_server/takes-ownership-of-sock")
async def test_closing_the_server_closes_the_socket_that_was_given(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_path() as path:
        listener = listening_at(str(path))
        listener.settimeout(GENEROUS)
        server = await aio.start_unix_server(greet, sock=listener)
        assert await greeting_at(loop, str(path)) == b"hello"
        assert listener.fileno() != -1
        server.close()
        await until(loop, lambda: listener.fileno() == -1)
