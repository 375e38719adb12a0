"""Unix connections that are made: ``loop.create_unix_connection()`` and ``loop.sock_connect()`` with a path."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Coroutine
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from conformance.support.connections import Remote
from conformance.support.listeners import has_connection
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.peers import HOST, refusing_path, socket_path
from conformance.support.protocols import Recorder
from conformance.support.servers import Accepted
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

# Turns in which a call that began without being awaited would show.
ENOUGH_TURNS = 20


class Listener(NamedTuple):
    """A listening Unix socket and its path."""

    path: Path
    sock: socket.socket


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A listening Unix socket: connections to it are complete without being accepted."""
    with socket_path() as path, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        yield Listener(path, listening)


class Path3(os.PathLike[str]):
    """A path of nobody's class."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


async def end(loop: AbstractEventLoop, transport: Any, protocol: Any) -> None:
    """Break a connection off and wait for its end."""
    transport.abort()
    await until(loop, lambda: protocol.lost)


@contextmanager
def abstract_listener() -> Iterator[tuple[str, socket.socket]]:
    """The name of an abstract socket that listens."""
    with socket_path() as path, socket.socket(socket.AF_UNIX) as listening:
        name = f"\0{path}"
        listening.bind(name)
        listening.listen()
        yield name, listening


async def check_connects(loop: Any, path: Any, listening: socket.socket) -> None:
    """Check that a connection to ``path`` comes to the listening socket and carries data."""
    transport, protocol = await loop.create_unix_connection(Recorder, path)
    assert has_connection(listening)
    peer = Remote(loop, listening.accept()[0])
    transport.write(b"reached")
    assert await peer.read(7) == b"reached"
    await end(loop, transport, protocol)
    peer.clean_up()


@requirement("loop.create_unix_connection/accepts-documented-parameters")
async def test_every_argument_may_be_named_and_given_its_default(loop: Any, listener: Listener) -> None:
    made = await loop.create_unix_connection(
        protocol_factory=Recorder, path=str(listener.path), ssl=None, sock=None, server_hostname=None
    )
    await end(loop, *made)


@requirement("loop.create_unix_connection/accepts-documented-parameters")
async def test_factory_and_path_may_be_given_by_position_and_nothing_else(loop: Any, listener: Listener) -> None:
    with pytest.raises(TypeError):
        await loop.create_unix_connection(Recorder, str(listener.path), None)
    with pytest.raises(TypeError):
        await loop.create_unix_connection(Recorder, str(listener.path), no_such_argument=None)
    await end(loop, *await loop.create_unix_connection(Recorder, str(listener.path)))


@requirement("loop.create_unix_connection/accepts-documented-parameters")
async def test_nothing_is_connected_before_the_call_is_awaited(loop: Any, listener: Listener) -> None:
    made = Accepted()
    connecting = loop.create_unix_connection(made, str(listener.path))
    assert isinstance(connecting, Coroutine)
    await turns(loop, ENOUGH_TURNS)
    connecting.close()
    assert (made.protocols, has_connection(listener.sock)) == ([], False)


@requirement("loop.create_unix_connection/opens-unix-stream-connection")
async def test_a_path_makes_a_unix_stream_connection(loop: AbstractEventLoop, listener: Listener) -> None:
    transport, protocol = await loop.create_unix_connection(Recorder, str(listener.path))
    sock = transport.get_extra_info("socket")
    assert (sock.family, sock.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
    assert transport.get_extra_info("peername") == str(listener.path)
    await end(loop, transport, protocol)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_unix_connection/returns-transport-protocol-pair")
async def test_a_unix_connection_is_a_pair_of_transport_and_protocol(
    loop: AbstractEventLoop, listener: Listener
) -> None:
    accepted = Accepted()
    pair = await loop.create_unix_connection(accepted, str(listener.path))
    transport, protocol = pair
    assert isinstance(pair, tuple)
    assert accepted.protocols == [protocol]
    assert protocol.transport is transport
    await end(loop, transport, protocol)


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_unix_connection/accepts-str-path")
async def test_a_path_may_be_a_text(loop: AbstractEventLoop, listener: Listener) -> None:
    await check_connects(loop, str(listener.path), listener.sock)


@requirement("loop.create_unix_connection/accepts-bytes-path")
async def test_a_path_may_be_bytes(loop: AbstractEventLoop, listener: Listener) -> None:
    await check_connects(loop, bytes(listener.path), listener.sock)


@pytest.mark.parametrize("kind", [Path, Path3])
@requirement("loop.create_unix_connection/accepts-path-like")
async def test_a_path_may_be_whatever_is_like_a_path(loop: AbstractEventLoop, listener: Listener, kind: Any) -> None:
    await check_connects(loop, kind(listener.path), listener.sock)


@requirement("loop.create_unix_connection/accepts-str-path")
async def test_a_path_may_be_relative(
    loop: AbstractEventLoop, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(listener.path.parent)
    await check_connects(loop, listener.path.name, listener.sock)


@requirement("loop.create_unix_connection/accepts-str-path", "loop.create_unix_connection/accepts-bytes-path")
async def test_a_path_may_have_letters_of_every_kind(loop: AbstractEventLoop) -> None:
    with socket_path() as folder, socket.socket(socket.AF_UNIX) as listening:
        path = folder.with_name("söckchen \N{SOCKS}")
        listening.bind(str(path))
        listening.listen()
        for form in (str(path), os.fsencode(path)):
            await check_connects(loop, form, listening)


@pytest.mark.parametrize("form", [str, os.fsencode], ids=["str", "bytes"])
@requirement("loop.create_unix_connection/accepts-abstract-name")
async def test_a_name_that_begins_with_nul_is_no_file(loop: AbstractEventLoop, form: Any) -> None:
    with abstract_listener() as (name, listening):
        await check_connects(loop, form(name), listening)


@requirement("loop.create_unix_connection/requires-path-or-sock")
async def test_a_unix_connection_needs_a_path_or_a_socket(loop: AbstractEventLoop) -> None:
    with pytest.raises(ValueError, match=r"."):
        await loop.create_unix_connection(Recorder)


@requirement("loop.create_unix_connection/requires-path-or-sock")
async def test_a_path_and_a_socket_are_too_much(loop: Any, listener: Listener) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(ValueError, match=r"."):
            await loop.create_unix_connection(Recorder, str(listener.path), sock=ours)
        assert has_connection(listener.sock) is False
        ours.sendall(b"usable")
        assert theirs.recv(10) == b"usable"


@pytest.mark.parametrize("end_with", ["close", "abort"])
@requirement("loop.create_unix_connection/otherwise-like-create-connection")
async def test_a_given_unix_socket_carries_the_connection_and_is_closed_with_it(
    loop: AbstractEventLoop, listener: Listener, end_with: str
) -> None:
    ours = socket.socket(socket.AF_UNIX)
    ours.connect(str(listener.path))
    transport, protocol = await loop.create_unix_connection(Recorder, sock=ours)
    peer = Remote(loop, listener.sock.accept()[0])
    await peer.send(b"through it")
    await until(loop, lambda: protocol.data == b"through it")
    getattr(transport, end_with)()
    assert await peer.read_until_eof() == b""
    await until(loop, lambda: protocol.lost and ours.fileno() == -1)
    peer.clean_up()


@requirement("loop.create_unix_connection/otherwise-like-create-connection")
async def test_what_the_factory_raises_comes_out_of_the_call(loop: Any) -> None:
    def factory() -> Any:
        raise ZeroDivisionError

    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ZeroDivisionError):
        await loop.create_unix_connection(factory, sock=ours)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_unix_connection/connection-steps-order")
async def test_the_steps_of_a_unix_connection_come_in_order(loop: Any, listener: Listener) -> None:
    steps: list[Any] = []

    class Stepping(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            steps.append("connection_made")

    def factory(*args: Any, **keywords: Any) -> Recorder:
        steps.append((args, keywords, has_connection(listener.sock)))
        return Stepping()

    transport, protocol = await loop.create_unix_connection(factory, str(listener.path))
    assert steps == [((), {}, True), "connection_made"]
    assert protocol.events == ["made"]
    await end(loop, transport, protocol)


@requirement("loop.create_unix_connection/connection-steps-order")
async def test_no_protocol_is_made_for_a_path_that_refuses(loop: AbstractEventLoop) -> None:
    made = Accepted()
    with refusing_path(stale=True) as path, pytest.raises(ConnectionRefusedError):
        await loop.create_unix_connection(made, str(path))
    assert made.protocols == []


@requirement("loop.create_unix_connection/unsupported-on-windows", "loop.create_unix_server/unsupported-on-windows")
async def test_windows_has_no_unix_connections(loop: Any) -> None:
    assert sys.platform == "win32"
    for call in (loop.create_unix_connection, loop.create_unix_server):
        with pytest.raises(NotImplementedError):
            await call(Recorder, HOST)


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("form", [str, os.fsencode], ids=["str", "bytes"])
@requirement("loop.sock_connect/accepts-unix-path")
async def test_a_unix_socket_of_the_programs_own_connects_to_a_path(
    loop: AbstractEventLoop, listener: Listener, form: Any
) -> None:
    with socket.socket(socket.AF_UNIX) as ours:
        ours.setblocking(False)
        await loop.sock_connect(ours, form(listener.path))
        connection, _ = listener.sock.accept()
        with connection:
            ours.send(b"reached")
            assert connection.recv(10) == b"reached"


@requirement("loop.sock_connect/accepts-unix-path")
async def test_a_path_on_which_nobody_listens_refuses_a_socket_of_the_programs_own(loop: AbstractEventLoop) -> None:
    with refusing_path(stale=True) as path, socket.socket(socket.AF_UNIX) as ours:
        ours.setblocking(False)
        with pytest.raises(ConnectionRefusedError):
            await loop.sock_connect(ours, str(path))
