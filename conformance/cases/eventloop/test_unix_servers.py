"""Unix servers: ``loop.create_unix_server()``, the paths that it takes and the files that it leaves."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.peers import socket_path
from conformance.support.protocols import Recorder
from conformance.support.servers import SOME_TURNS, Accepted, client_of, dial, dial_address, ending
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Turns in which a call that began without being awaited, or a loop that accepts, would show.
ENOUGH_TURNS = 20


@pytest.fixture
def path() -> Iterator[Path]:
    """A path that nobody uses."""
    with socket_path() as free:
        yield free


async def close(loop: AbstractEventLoop, server: Any) -> None:
    """Close a server that has accepted nobody, and let it finish."""
    server.close()
    await turns(loop, SOME_TURNS)


def what_is_at(path: Path) -> str:
    """What kind of thing there is, or the text of a file."""
    if path.is_socket():
        return "a socket"
    if path.is_dir():
        return "a folder"
    return path.read_text() if path.exists() else "nothing"


def put_at(path: Path, thing: str) -> None:
    """Put a folder there, or a file with a text, in place of what there may be."""
    path.unlink(missing_ok=True)
    if thing == "a folder":
        path.mkdir()
    elif thing != "nothing":
        path.write_text(thing)


def connects(path: Path | str) -> bool:
    """Whether somebody listens on ``path``."""
    try:
        dial_address(socket.AF_UNIX, str(path)).close()
    except OSError:
        return False
    return True


@requirement("loop.create_unix_server/accepts-documented-parameters")
async def test_every_argument_may_be_named_and_given_its_default(loop: Any, path: Path) -> None:
    server = await loop.create_unix_server(protocol_factory=Recorder, path=str(path), sock=None, backlog=100, ssl=None)
    await close(loop, server)


@requirement("loop.create_unix_server/accepts-documented-parameters")
async def test_factory_and_path_may_be_given_by_position_and_nothing_else(loop: Any, path: Path) -> None:
    with pytest.raises(TypeError):
        await loop.create_unix_server(Recorder, str(path), None)
    with pytest.raises(TypeError):
        await loop.create_unix_server(Recorder, str(path), no_such_argument=None)
    await close(loop, await loop.create_unix_server(Recorder, str(path)))


@requirement("loop.create_unix_server/accepts-documented-parameters")
async def test_nothing_listens_before_the_call_is_awaited(loop: Any, path: Path) -> None:
    making = loop.create_unix_server(Recorder, str(path))
    assert isinstance(making, Coroutine)
    await turns(loop, ENOUGH_TURNS)
    making.close()
    assert what_is_at(path) == "nothing"


@requirement("loop.create_unix_server/accepts-handshake-and-serving-keywords")
async def test_a_unix_server_without_tls_takes_no_handshake_timeout(loop: Any, path: Path) -> None:
    server = await loop.create_unix_server(Recorder, str(path), ssl_handshake_timeout=None, start_serving=True)
    assert server.is_serving()
    await close(loop, server)


@pytest.mark.parametrize("value", [True, False])
@requirement("loop.create_unix_server/accepts-cleanup-socket-keyword")
async def test_whether_to_clean_up_may_be_said(loop: Any, path: Path, value: bool) -> None:
    server = await loop.create_unix_server(Recorder, str(path), cleanup_socket=value)
    assert connects(path)
    await close(loop, server)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_unix_server/returns-server")
async def test_a_unix_server_listens_on_a_unix_stream_socket_and_serves(loop: AbstractEventLoop, path: Path) -> None:
    accepted = Accepted()
    async with ending(loop, accepted, await loop.create_unix_server(accepted, str(path))) as server:
        (sock,) = server.sockets
        assert (sock.family, sock.type, sock.getsockname()) == (socket.AF_UNIX, socket.SOCK_STREAM, str(path))
        assert (server.is_serving(), server.get_loop()) == (True, loop)
        async with client_of(loop, server) as one, client_of(loop, server) as other:
            await until(loop, lambda: len(accepted.begun) == 2)
            for client in (one, other):
                await client.send(b"question")
            await until(loop, lambda: all(protocol.data == b"question" for protocol in accepted.begun))
            accepted.begun[0].transport.write(b"answer")
            accepted.begun[1].transport.write(b"answer")
            assert [await client.read(6) for client in (one, other)] == [b"answer", b"answer"]


@requirement("loop.create_unix_server/returns-server")
async def test_a_given_unix_socket_is_served_and_closed_with_the_server(loop: AbstractEventLoop, path: Path) -> None:
    accepted = Accepted()
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    async with ending(loop, accepted, await loop.create_unix_server(accepted, sock=sock)) as server:
        assert [one.getsockname() for one in server.sockets] == [str(path)]
        with dial(server):
            await accepted.first(loop)
        server.close()
        await until(loop, lambda: sock.fileno() == -1)


@requirement("loop.create_unix_server/returns-server")
async def test_a_closed_unix_server_refuses_and_keeps_its_connections(loop: AbstractEventLoop, path: Path) -> None:
    accepted = Accepted()
    async with ending(loop, accepted, await loop.create_unix_server(accepted, str(path))) as server:
        async with client_of(loop, server) as client:
            protocol = await accepted.first(loop)
            server.close()
            await turns(loop, SOME_TURNS)
            assert (connects(path), server.is_serving(), len(server.sockets)) == (False, False, 0)
            await client.send(b"still here")
            await until(loop, lambda: protocol.data == b"still here")


FORMS: dict[str, Callable[[Path], Any]] = {
    "str": str,
    "bytes": bytes,
    "path": lambda path: path,
}
ABSTRACT: dict[str, Callable[[Path], Any]] = {
    "abstract-str": lambda path: f"\0{path}",
    "abstract-bytes": lambda path: b"\0" + bytes(path),
}


@pytest.mark.parametrize("form", FORMS)
@requirement("loop.create_unix_server/accepts-every-path-form")
async def test_a_unix_server_takes_a_path_in_every_form(loop: AbstractEventLoop, path: Path, form: str) -> None:
    accepted = Accepted()
    async with ending(loop, accepted, await loop.create_unix_server(accepted, FORMS[form](path))):
        with dial_address(socket.AF_UNIX, str(path)):
            await accepted.first(loop)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract Unix sockets")
@pytest.mark.parametrize("form", ABSTRACT)
@requirement("loop.create_unix_server/accepts-every-path-form")
async def test_a_unix_server_takes_an_abstract_name(loop: AbstractEventLoop, path: Path, form: str) -> None:
    accepted = Accepted()
    async with ending(loop, accepted, await loop.create_unix_server(accepted, ABSTRACT[form](path))) as server:
        assert what_is_at(path) == "nothing"
        with dial_address(socket.AF_UNIX, f"\0{path}"):
            await accepted.first(loop)
        server.close()
        await turns(loop, SOME_TURNS)
    assert connects(f"\0{path}") is False


@requirement("loop.create_unix_server/requires-path-or-sock")
async def test_a_unix_server_needs_a_path_or_a_socket(loop: AbstractEventLoop) -> None:
    with pytest.raises(ValueError, match=r"."):
        await loop.create_unix_server(Recorder)


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("options", [{}, {"cleanup_socket": True}], ids=["default", "true"])
@requirement("loop.create_unix_server/cleanup-removes-socket-file")
async def test_the_file_goes_with_the_server(loop: Any, path: Path, options: dict[str, Any]) -> None:
    server = await loop.create_unix_server(Recorder, str(path), **options)
    assert what_is_at(path) == "a socket"
    await close(loop, server)
    assert what_is_at(path) == "nothing"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("started", [True, False], ids=["serving", "never-served"])
@requirement("loop.create_unix_server/cleanup-removes-socket-file")
async def test_the_file_goes_however_it_was_named(loop: Any, path: Path, form: str, started: bool) -> None:
    server = await loop.create_unix_server(Recorder, FORMS[form](path), start_serving=started)
    await close(loop, server)
    assert what_is_at(path) == "nothing"


@requirement("loop.create_unix_server/cleanup-removes-socket-file")
async def test_the_file_goes_while_connections_stay(loop: AbstractEventLoop, path: Path) -> None:
    accepted = Accepted()
    async with ending(loop, accepted, await loop.create_unix_server(accepted, str(path))) as server:
        with dial(server):
            protocol = await accepted.first(loop)
            server.close()
            await turns(loop, SOME_TURNS)
            assert (what_is_at(path), protocol.lost) == ("nothing", [])


@requirement("loop.create_unix_server/cleanup-removes-socket-file")
async def test_a_file_that_is_gone_already_is_no_error(
    loop: AbstractEventLoop, path: Path, reported: list[dict[str, Any]]
) -> None:
    server = await loop.create_unix_server(Recorder, str(path))
    put_at(path, "nothing")
    await close(loop, server)
    assert (what_is_at(path), reported) == ("nothing", [])


@requirement("loop.create_unix_server/cleanup-spares-replaced-file")
async def test_another_servers_file_at_the_same_path_stays(loop: AbstractEventLoop, path: Path) -> None:
    first = await loop.create_unix_server(Recorder, str(path))
    second = await loop.create_unix_server(Recorder, str(path))
    await close(loop, first)
    assert what_is_at(path) == "a socket"
    accepts = connects(path)
    await turns(loop, ENOUGH_TURNS)
    await close(loop, second)
    assert (accepts, what_is_at(path)) == (True, "nothing")


@requirement("loop.create_unix_server/cleanup-spares-replaced-file")
async def test_a_file_of_another_kind_at_the_same_path_stays(loop: AbstractEventLoop, path: Path) -> None:
    server = await loop.create_unix_server(Recorder, str(path))
    put_at(path, "precious")
    await close(loop, server)
    assert what_is_at(path) == "precious"


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_unix_server/cleanup-disabled-keeps-file")
async def test_the_file_stays_on_request(loop: Any, path: Path) -> None:
    server = await loop.create_unix_server(Recorder, str(path), cleanup_socket=False)
    await close(loop, server)
    assert what_is_at(path) == "a socket"
    assert connects(path) is False


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_unix_server/deferred-until-started")
async def test_a_unix_server_accepts_nobody_before_it_is_started(loop: AbstractEventLoop, path: Path) -> None:
    accepted = Accepted()
    server = await loop.create_unix_server(accepted, str(path), start_serving=False)
    async with ending(loop, accepted, server):
        assert (connects(path), server.is_serving()) == (False, False)
        await server.start_serving()
        assert server.is_serving() is True
        with dial(server):
            await accepted.first(loop)


@requirement("loop.create_unix_server/deferred-until-started")
async def test_serving_for_ever_starts_a_unix_server(loop: AbstractEventLoop, aio: Any, path: Path) -> None:
    server = await loop.create_unix_server(Recorder, str(path), start_serving=False)
    task = loop.create_task(server.serve_forever())
    await until(loop, server.is_serving)
    accepts = connects(path)
    await turns(loop, ENOUGH_TURNS)
    task.cancel()
    with pytest.raises(aio.CancelledError):
        await task
    assert (accepts, server.is_serving()) == (True, False)


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_unix_server/replaces-existing-socket-file")
async def test_a_stale_socket_file_is_replaced(loop: AbstractEventLoop, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    accepted = Accepted()
    async with ending(loop, accepted, await loop.create_unix_server(accepted, str(path))) as server:
        with dial(server):
            await accepted.first(loop)


@requirement("loop.create_unix_server/replaces-existing-socket-file")
async def test_a_live_socket_file_is_replaced(loop: AbstractEventLoop, path: Path) -> None:
    accepted = Accepted()
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(path))
        live.listen()
        async with ending(loop, accepted, await loop.create_unix_server(accepted, str(path))) as server:
            with dial(server):
                await accepted.first(loop)


@pytest.mark.parametrize("thing", ["precious", "a folder"], ids=["file", "folder"])
@requirement("loop.create_unix_server/replaces-existing-socket-file")
async def test_what_is_no_socket_is_not_replaced(loop: AbstractEventLoop, path: Path, thing: str) -> None:
    put_at(path, thing)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what counts
        await loop.create_unix_server(Recorder, str(path))
    assert caught.value.errno == errno.EADDRINUSE
    assert what_is_at(path) == thing
