"""Servers of the target, and the plain sockets that connect to them."""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from conformance.support.connections import Remote
from conformance.support.peers import HOST
from conformance.support.protocols import Recorder
from conformance.support.waiting import GENEROUS, turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Callable

# Turns in which a loop accepts, or closes, what is there to be accepted or closed.
SOME_TURNS = 5


class Accepted:
    """A protocol factory that keeps what it made: by default with `Recorder`."""

    def __init__(self, factory: Callable[[], Any] = Recorder) -> None:
        self._factory = factory
        self.protocols: list[Any] = []

    def __call__(self) -> Any:
        self.protocols.append(self._factory())
        return self.protocols[-1]

    @property
    def begun(self) -> list[Any]:
        """The protocols that were told of their connection."""
        return [protocol for protocol in self.protocols if protocol.transport is not None]

    async def first(self, loop: AbstractEventLoop) -> Any:
        """Wait until a connection has begun; its protocol."""
        await until(loop, lambda: self.begun)
        return self.begun[0]

    async def end(self, loop: AbstractEventLoop) -> None:
        """Abort the connections that are left and wait for their end."""
        await turns(loop, SOME_TURNS)
        for protocol in self.begun:
            if not protocol.lost:
                protocol.transport.abort()
        await until(loop, lambda: all(protocol.lost for protocol in self.begun))


@asynccontextmanager
async def serving(loop: Any, accepted: Accepted, host: Any = HOST, port: Any = 0, **options: Any) -> AsyncIterator[Any]:
    """A server of ``loop``, closed in the end together with the connections that it has ``accepted``."""
    if "sock" in options:
        host = port = None
    async with ending(loop, accepted, await loop.create_server(accepted, host, port, **options)) as server:
        yield server


@asynccontextmanager
async def ending(loop: AbstractEventLoop, accepted: Accepted, server: Any) -> AsyncIterator[Any]:
    """The same for a server that is made already."""
    try:
        yield server
    finally:
        server.close()
        await accepted.end(loop)
        await turns(loop, SOME_TURNS)


def dial(server: Any, number: int = 0) -> socket.socket:
    """Connect to one of a server's sockets. The system completes the connection, whether or not the server accepts."""
    listening = server.sockets[number]
    return dial_address(listening.family, listening.getsockname())


def dial_address(family: int, address: Any) -> socket.socket:
    """Connect to an address."""
    sock = socket.socket(family)
    sock.settimeout(GENEROUS)
    try:
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


@asynccontextmanager
async def client_of(loop: AbstractEventLoop, server: Any) -> AsyncIterator[Remote]:
    """A client of ``server``, whose calls are made in a thread while ``loop`` runs."""
    remote = Remote(loop, dial(server))
    try:
        yield remote
    finally:
        remote.clean_up()
