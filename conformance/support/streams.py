"""Stream connections of every kind, made by ``open_connection()`` and its kin, each with a blocking socket behind it.

    reader, writer, peer = await streams.connect()
    writer.write(b"hello")
    assert await peer.read(5) == b"hello"

What the case leaves open is closed when it has ended.
"""

from __future__ import annotations

import select
import shutil
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from conformance.support.certificates import server_context, trusting_context
from conformance.support.connections import NAME, Remote, TLSRemote, encrypted
from conformance.support.peers import HOST
from conformance.support.threads import beside, result_of
from conformance.support.waiting import GENEROUS, POLL, turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Coroutine

# Looks at a socket that takes nothing more, until that counts as a standstill.
LOOKS = 20
UNIX = getattr(socket, "AF_UNIX", 0)


class Streams(NamedTuple):
    """A connection: the target's two ends, and the socket at the other one."""

    reader: Any
    writer: Any
    peer: Remote


class Kind(NamedTuple):
    """A way to a connection."""

    family: int = socket.AF_INET
    serves: bool = False
    """whether the target accepts the connection"""
    tls: bool = False
    pair: bool = False
    """whether the socket exists already and is given as ``sock``"""


KINDS: dict[str, Kind] = {
    "tcp": Kind(),
    "unix": Kind(UNIX),
    "socketpair": Kind(pair=True),
    "tcp-server": Kind(serves=True),
    "unix-server": Kind(UNIX, serves=True),
    "tls": Kind(tls=True),
    "tls-server": Kind(serves=True, tls=True),
}
PLAIN_KINDS = tuple(name for name, kind in KINDS.items() if not kind.tls)
"""The kinds whose two directions can be closed one by one."""
TLS_KINDS = tuple(name for name, kind in KINDS.items() if kind.tls)
TCP_KINDS = tuple(
    name for name, kind in KINDS.items() if kind.family == socket.AF_INET and not kind.tls and not kind.pair
)
"""The kinds whose peer can break the connection off."""
SERVED_KINDS = tuple(name for name, kind in KINDS.items() if kind.serves)


class StreamMaker:
    """Makes connections of one kind by the stream functions of the namespace ``aio``."""

    def __init__(self, loop: AbstractEventLoop, aio: Any, kind: Kind) -> None:
        self.kind = kind
        self._loop: Any = loop
        self._aio = aio
        self._folder = ""
        self._made: list[Streams] = []
        self._servers: list[Any] = []

    async def connect(self, **options: Any) -> Streams:
        """Make a connection; ``options`` are keywords of the stream function."""
        if self.kind.tls:
            options = {**self._tls(), **options}
        reader, writer, sock = await (self._accept(options) if self.kind.serves else self._open(options))
        made = Streams(reader, writer, (TLSRemote if self.kind.tls else Remote)(self._loop, sock))
        self._made.append(made)
        return made

    async def encrypt(self, peer: Remote, *, server_side: bool) -> TLSRemote:
        """Do the peer's part of a handshake on a connection that was made without TLS; the peer from then on."""
        encrypting = partial(encrypted, peer.sock, server_side=server_side)
        encrypted_peer = TLSRemote(self._loop, await peer.do(encrypting))
        index = next(index for index, made in enumerate(self._made) if made.peer is peer)
        peer.clean_up()
        self._made[index] = self._made[index]._replace(peer=encrypted_peer)
        return encrypted_peer

    def clean_up(self) -> None:
        """Close what the case has left open; no part of what is checked."""
        for _, writer, peer in self._made:
            peer.clean_up()
            # A transport that has ended need not take it.
            with suppress(Exception):
                writer.transport.abort()
        self._made.clear()
        for server in self._servers:
            server.close()
        if not (self._loop.is_closed() or self._loop.is_running()):
            self._loop.run_until_complete(turns(self._loop, 3))
        if self._folder:
            shutil.rmtree(self._folder)

    def _tls(self) -> dict[str, Any]:
        if self.kind.serves:
            return {"ssl": server_context()}
        return {"ssl": trusting_context(), "server_hostname": NAME}

    def _path(self) -> str:
        self._folder = self._folder or tempfile.mkdtemp(prefix="conformance-")
        return str(Path(self._folder) / f"socket-{len(self._made)}")

    async def _open(self, options: dict[str, Any]) -> tuple[Any, Any, socket.socket]:
        if self.kind.pair:
            ours, theirs = socket.socketpair()
            return (*await self._aio.open_connection(sock=ours, **options), theirs)
        with socket.socket(self.kind.family) as listener:
            listener.bind((HOST, 0) if self.kind.family == socket.AF_INET else self._path())
            listener.listen()
            listener.settimeout(GENEROUS)
            address = listener.getsockname()
            if not self.kind.tls:
                # The kernel connects before anybody accepts.
                return (*await self._open_to(address, options), listener.accept()[0])
            with ThreadPoolExecutor(1) as thread:
                theirs_later = thread.submit(lambda: encrypted(listener.accept()[0], server_side=True))
                ends = await self._open_to(address, options)
                return (*ends, await result_of(self._loop, theirs_later))

    async def _open_to(self, address: Any, options: dict[str, Any]) -> tuple[Any, Any]:
        if self.kind.family == UNIX:
            reader, writer = await self._aio.open_unix_connection(address, **options)
        else:
            reader, writer = await self._aio.open_connection(*address, **options)
        return reader, writer

    async def _accept(self, options: dict[str, Any]) -> tuple[Any, Any, socket.socket]:
        ends: list[tuple[Any, Any]] = []
        server = await self._serve(lambda *pair: ends.append(pair), options)
        # Closing it is no part of this: what becomes of its connections then has cases of its own.
        self._servers.append(server)
        theirs = socket.socket(self.kind.family)
        theirs.connect(server.sockets[0].getsockname())
        if self.kind.tls:
            with ThreadPoolExecutor(1) as thread:
                theirs = await beside(self._loop, thread, partial(encrypted, theirs, server_side=False))
        await until(self._loop, lambda: ends)
        return (*ends[0], theirs)

    async def _serve(self, callback: Any, options: dict[str, Any]) -> Any:
        if self.kind.family == UNIX:
            return await self._aio.start_unix_server(callback, self._path(), **options)
        return await self._aio.start_server(callback, HOST, 0, **options)


def readable(sock: Any, *, within: float = 0) -> bool:
    """Whether the kernel has something for ``sock`` that nobody has fetched, or gets it in ``within`` seconds."""
    return bool(select.select([sock.fileno()], [], [], within)[0])


async def held_back(loop: AbstractEventLoop, sending: Task[Any], sock: Any) -> bool:
    """Whether ``sending``, a task that sends through ``sock`` more than the kernel buffers, comes to a standstill.

    A target that goes on reading lets it end: what it takes between two looks is more than a part in so many of that.
    """
    stuck = 0
    while stuck < LOOKS and not sending.done():
        resting = loop.create_future()
        loop.call_later(POLL, resting.set_result, None)
        await resting
        stuck = 0 if select.select([], [sock.fileno()], [], 0)[1] else stuck + 1
    return not sending.done()


async def taken(loop: AbstractEventLoop, writer: Any) -> None:
    """Wait until the target has fetched, and handed to its reader, all that its peer has sent so far."""
    sock = writer.get_extra_info("socket")
    await until(loop, lambda: not readable(sock))
    await turns(loop, 3)


async def check_limit(aio: Any, made: Streams, limit: int) -> None:
    """Fail unless ``limit`` is the number of bytes that the reader lets stand before a separator."""
    reader, _, peer = made
    await peer.send(b"x" * limit + b";" + b"x" * (limit + 1) + b";")
    assert len(await reader.readuntil(b";")) == limit + 1
    with pytest.raises(aio.LimitOverrunError):
        await reader.readuntil(b";")


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What ``coroutine`` returns without ever waiting; fails when it gives way to the loop."""
    try:
        coroutine.send(None)
    except StopIteration as returned:
        return returned.value
    coroutine.close()
    raise AssertionError("it gave way to the loop")


class HandedOn(Exception):
    """Ends a stream function where the loop's part would begin."""


async def handed_to(
    monkeypatch: pytest.MonkeyPatch, loop: Any, method: str, calling: Coroutine[Any, Any, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What ``calling`` gives to the loop's ``method`` after the protocol factory: by position, and by name.

    Host, port and path count as given by position. Skips the case on a loop whose methods cannot be replaced.
    """
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    async def note(_: Any, *arguments: Any, **keywords: Any) -> None:
        named = [keywords.pop(name) for name in ("host", "port", "path") if name in keywords]
        calls.append(((*arguments, *named), keywords))
        raise HandedOn

    try:
        monkeypatch.setattr(loop, method, note)
    except (AttributeError, TypeError):
        calling.close()
        pytest.skip("the methods of this loop cannot be watched")
    with pytest.raises(HandedOn):
        await calling
    (call,) = calls
    return call
