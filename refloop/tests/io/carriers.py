"""The kinds of stream connection, each with a plain blocking socket at its other end; and protocols that record."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

# Seconds to wait for what must come. Reached only when a promise is broken.
GENEROUS = 10.0


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until `condition()` is true."""
    deadline = time.monotonic() + GENEROUS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.001)


async def turns(number: int = 10) -> None:
    """Let the loop turn, so that whatever was about to happen has happened."""
    for _ in range(number):
        await asyncio.sleep(0)


class Clock:
    """The clock of a loop, which a test moves on where otherwise it had to wait.

    What lasts seconds by the loop's reckoning then lasts as long as it takes: no real time has to pass, and nothing
    depends on how fast the machine is.
    """

    def __init__(self, loop: Any) -> None:
        self.moved = 0.0
        loop.time = lambda: time.monotonic() + self.moved

    def move(self, seconds: float) -> None:
        """Let the loop find, when it looks next, that so much time has passed."""
        self.moved += seconds


class Recorder(asyncio.Protocol):
    """A protocol that writes down what it is told."""

    def __init__(self, keep_open: bool = False) -> None:
        self.events: list[str] = []
        self.data = bytearray()
        self.transport: Any = None
        self.lost: list[BaseException | None] = []
        self.keep_open = keep_open

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        assert data
        self.data += data
        if self.events[-1] != "data":
            self.events.append("data")

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self.keep_open

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")
        self.lost.append(exc)

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")


class BufferedRecorder(asyncio.BufferedProtocol):
    """A buffered protocol that writes down what it is told."""

    def __init__(self, size: int = 1000) -> None:
        self.buffer = bytearray(size)
        self.data = bytearray()
        self.events: list[str] = []
        self.lost: list[BaseException | None] = []
        self.hints: list[int] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> Any:
        self.events.append("get")
        self.hints.append(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        assert 0 < nbytes <= len(self.buffer)
        assert self.events[-1] == "get"
        self.events.append("updated")
        self.data += self.buffer[:nbytes]

    def eof_received(self) -> None:
        self.events.append("eof")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")
        self.lost.append(exc)


class Peer:
    """A blocking socket whose calls are made in another thread."""

    def __init__(self, loop: Any, sock: socket.socket) -> None:
        self.loop = loop
        self.sock = sock
        sock.settimeout(GENEROUS)

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        await self.loop.run_in_executor(None, self.sock.sendall, data)

    async def read(self, number: int) -> bytes:
        """Read exactly `number` bytes."""
        return await self.loop.run_in_executor(None, self._read, number)  # type: ignore[no-any-return]

    async def read_until_eof(self) -> bytes:
        """Read until the other end has said that there is no more."""
        return await self.loop.run_in_executor(None, self._read, None)  # type: ignore[no-any-return]

    def _read(self, number: int | None) -> bytes:
        received = bytearray()
        while number is None or len(received) < number:
            data = self.sock.recv(65536 if number is None else number - len(received))
            if not data:
                assert number is None, f"the stream ended after {len(received)} of {number} bytes"
                break
            received += data
        return bytes(received)

    def reset(self) -> None:
        """Break the connection off, so that the other end gets an error."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()


class Carrier:
    """Makes connections of one kind."""

    family: int = socket.AF_INET

    def __init__(self, loop: Any, folder: Path) -> None:
        self.loop = loop
        self.folder = folder
        self.peers: list[Peer] = []
        self.transports: list[Any] = []

    async def connect(self, factory: Callable[[], Any] = Recorder) -> tuple[Any, Any, Peer]:
        """Return a transport, the protocol that `factory` made, and the peer."""
        transport, protocol, sock = await self.make(factory)
        peer = Peer(self.loop, sock)
        self.peers.append(peer)
        self.transports.append(transport)
        return transport, protocol, peer

    def make(self, factory: Callable[[], Any]) -> Awaitable[tuple[Any, Any, socket.socket]]:
        """Return a transport, its protocol, and the socket at the other end."""
        raise NotImplementedError

    def clean_up(self) -> None:
        """Close what the test has left open; not a part of what is checked."""
        for peer in self.peers:
            peer.sock.close()
        for transport in self.transports:
            # asyncio's transports cannot be aborted once they have ended.
            with suppress(AttributeError):
                transport.abort()
        if not self.loop.is_closed():
            self.loop.run_until_complete(turns(3))

    def listener(self) -> socket.socket:
        """Return a socket that listens where `connect_to()` connects to."""
        if self.family == socket.AF_INET:
            return socket.create_server(("127.0.0.1", 0))
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self.folder / "listener"))
        listening.listen()
        return listening


class TCPClient(Carrier):
    """A TCP connection that the loop makes."""

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        with self.listener() as listening:
            transport, protocol = await self.loop.create_connection(factory, *listening.getsockname())
            return transport, protocol, listening.accept()[0]


class UnixClient(Carrier):
    """A Unix connection that the loop makes."""

    family = socket.AF_UNIX

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        with self.listener() as listening:
            transport, protocol = await self.loop.create_unix_connection(factory, listening.getsockname())
            return transport, protocol, listening.accept()[0]


class _Server(Carrier):
    async def serve(self, factory: Callable[[], Any]) -> Any:
        raise NotImplementedError

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        made: list[Any] = []

        def note() -> Any:
            made.append(factory())
            return made[0]

        server = await self.serve(note)
        sock = socket.socket(self.family)
        sock.connect(server.sockets[0].getsockname())
        await until(lambda: made and getattr(made[0], "transport", None))
        server.close()
        return made[0].transport, made[0], sock


class TCPServer(_Server):
    """A TCP connection that the loop accepts."""

    async def serve(self, factory: Callable[[], Any]) -> Any:
        return await self.loop.create_server(factory, "127.0.0.1", 0)


class UnixServer(_Server):
    """A Unix connection that the loop accepts."""

    family = socket.AF_UNIX

    async def serve(self, factory: Callable[[], Any]) -> Any:
        return await self.loop.create_unix_server(factory, self.folder / "server")


class SocketPair(Carrier):
    """One socket of a pair, given to `create_connection()`."""

    family = socket.AF_UNIX

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        ours, theirs = socket.socketpair()
        return (*await self.loop.create_connection(factory, sock=ours), theirs)


class Accepted(Carrier):
    """A TCP connection accepted elsewhere and given to `connect_accepted_socket()`."""

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        with self.listener() as listening:
            theirs = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
        return (*await self.loop.connect_accepted_socket(factory, ours), theirs)


CARRIERS: dict[str, Callable[[Any, Path], Carrier]] = {
    "tcp-client": TCPClient,
    "tcp-server": TCPServer,
    "unix-client": UnixClient,
    "unix-server": UnixServer,
    "socketpair": SocketPair,
    "accepted": Accepted,
}
