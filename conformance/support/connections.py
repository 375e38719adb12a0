"""Stream connections of every kind, each with a plain blocking socket at its other end.

One contract, many carriers: what is promised of every stream transport is checked on all of them, by a case that takes
the fixture ``stream``:

    transport, protocol, peer = await stream.connect()
    transport.write(b"hello")
    assert await peer.read(5) == b"hello"

`TLS_CARRIERS` encrypt with the standard library's blocking TLS sockets at the other end.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import pytest

from conformance.support.certificates import peers_context, server_context, trusting_context
from conformance.support.peers import HOST, send_at_once
from conformance.support.protocols import Recorder
from conformance.support.threads import beside, result_of
from conformance.support.waiting import GENEROUS, turns, until

if TYPE_CHECKING:
    import ssl
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

CHUNK = 64 * 1024
# What the peer's side of a connection holds unread, in bytes.
WINDOW = 256 * 1024
# Linger for no time: close() then sends a reset instead of the goodbye.
RESET = b"\1\0\0\0\0\0\0\0"
# The name in the certificate of `conformance.support.certificates`.
NAME = "localhost"


class Remote:
    """A blocking socket whose calls are made, one after the other, in a thread of its own."""

    def __init__(self, loop: AbstractEventLoop, sock: socket.socket) -> None:
        self.loop = loop
        self.sock = sock
        sock.settimeout(GENEROUS)
        # A window that grows while the peer reads would hold more than any case counts with: Linux goes up to 32 MiB.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        send_at_once(sock)
        self._thread = ThreadPoolExecutor(1)

    async def do(self, work: Callable[[], T]) -> T:
        """Call ``work()`` in the thread while the loop runs."""
        return await beside(self.loop, self._thread, work)

    async def send(self, data: bytes) -> None:
        """Send all of ``data``."""
        await self.do(partial(self.sock.sendall, data))

    async def read(self, number: int) -> bytes:
        """Read exactly ``number`` bytes."""
        return await self.do(partial(self.receive, number))

    async def read_until_eof(self) -> bytes:
        """Read until the other end has said that there is no more."""
        return await self.do(partial(self.receive, None))

    async def end(self) -> None:
        """Say that no more comes, and read on."""
        await self.do(partial(self.sock.shutdown, socket.SHUT_WR))

    async def close(self) -> None:
        """Close the connection; over TLS with a goodbye."""
        await self.do(self.sock.close)

    async def reset(self) -> None:
        """Break the connection off, so that the other end gets an error. Only TCP can."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        await self.do(self.sock.close)

    def clean_up(self) -> None:
        """Close the socket and end the thread, whatever state they are in."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self._thread.shutdown()
        self.sock.close()

    def receive(self, number: int | None) -> bytes:
        """Read exactly ``number`` bytes, or until the end, in the calling thread."""
        received = bytearray()
        while number is None or len(received) < number:
            data = self.sock.recv(CHUNK if number is None else min(CHUNK, number - len(received)))
            if not data:
                assert number is None, f"the connection ended after {len(received)} of {number} bytes"
                break
            received += data
        return bytes(received)


class TLSRemote(Remote):
    """A blocking TLS socket that answers a goodbye with its own."""

    async def end(self) -> None:
        """Say goodbye: TLS ends in both directions or in none."""
        await self.do(self._say_goodbye)

    async def close(self) -> None:
        await self.do(self._say_goodbye)
        await super().close()

    def receive(self, number: int | None) -> bytes:
        received = super().receive(number)
        if number is None:
            self._say_goodbye()
        return received

    def _say_goodbye(self) -> None:
        # The other end may be gone already.
        with suppress(OSError, ValueError):
            self.sock = self.sock.unwrap()  # type: ignore[attr-defined]


class Connected(NamedTuple):
    """What a carrier makes."""

    transport: Any
    protocol: Any
    peer: Remote


class Carrier:
    """Makes connections of one kind; what it makes is closed when the case has ended."""

    family: ClassVar[int] = socket.AF_INET
    half_closes: ClassVar[bool] = True
    """whether one direction can be closed alone"""
    resets: ClassVar[bool] = True
    """whether a peer can break the connection off"""
    remote: ClassVar[type[Remote]] = Remote

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop: Any = loop
        self.keywords: dict[str, Any] = {}
        """what a case adds to the `options` of a connection over TLS"""
        self._folder: Path | None = None
        self._made: list[Connected] = []

    async def connect(self, factory: Callable[[], Any] = Recorder) -> Connected:
        """Make a connection whose protocol comes from ``factory()``."""
        transport, protocol, sock = await self.make(factory)
        made = Connected(transport, protocol, self.remote(self.loop, sock))
        self._made.append(made)
        return made

    def make(self, factory: Callable[[], Any]) -> Awaitable[tuple[Any, Any, socket.socket]]:
        """Make a transport and its protocol; with them the socket at the other end."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """Keywords for the loop's method."""
        return {}

    def listener(self) -> socket.socket:
        """A listening socket of the carrier's family."""
        if self.family == socket.AF_INET:
            return socket.create_server((HOST, 0))
        listening = socket.socket(self.family)
        path = self.folder() / "listener"
        # Of the connection before.
        path.unlink(missing_ok=True)
        listening.bind(str(path))
        listening.listen()
        return listening

    def folder(self) -> Path:
        """Where its Unix sockets are."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="conformance-"))
        return self._folder

    def clean_up(self) -> None:
        """Close what the case has left open; no part of what is checked."""
        for transport, _, peer in self._made:
            peer.clean_up()
            # A transport that has ended need not take it.
            with suppress(Exception):
                transport.abort()
        self._made.clear()
        if not (self.loop.is_closed() or self.loop.is_running()):
            self.loop.run_until_complete(turns(self.loop, 3))
        if self._folder is not None:
            shutil.rmtree(self._folder)


class TCPClient(Carrier):
    """A TCP connection that the loop makes."""

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        with self.listener() as listening:
            transport, protocol = await self.loop.create_connection(factory, *listening.getsockname())
            return transport, protocol, listening.accept()[0]


class UnixClient(Carrier):
    """A Unix connection that the loop makes."""

    family = getattr(socket, "AF_UNIX", 0)
    resets = False

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        with self.listener() as listening:
            transport, protocol = await self.loop.create_unix_connection(factory, listening.getsockname())
            return transport, protocol, listening.accept()[0]


class TCPServer(Carrier):
    """A TCP connection that the loop accepts."""

    async def serve(self, factory: Callable[[], Any]) -> Any:
        """Start the server."""
        return await self.loop.create_server(factory, HOST, 0, **self.options())

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        protocols: list[Any] = []

        def note() -> Any:
            protocols.append(factory())
            return protocols[-1]

        server = await self.serve(note)
        try:
            sock = socket.socket(self.family)
            sock.connect(server.sockets[0].getsockname())
            theirs = await self.shake(sock)
            await until(self.loop, lambda: protocols and protocols[0].transport)
        finally:
            server.close()
        return protocols[0].transport, protocols[0], theirs

    async def shake(self, sock: socket.socket) -> socket.socket:
        """Do what comes between connecting and the protocol's first callback."""
        return sock


class UnixServer(TCPServer):
    """A Unix connection that the loop accepts."""

    family = getattr(socket, "AF_UNIX", 0)
    resets = False

    async def serve(self, factory: Callable[[], Any]) -> Any:
        return await self.loop.create_unix_server(factory, str(self.folder() / "server"), **self.options())


class SocketPair(Carrier):
    """One socket of a pair, given to ``create_connection()``."""

    resets = False

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        ours, theirs = socket.socketpair()
        return (*await self.loop.create_connection(factory, sock=ours), theirs)


class Accepted(Carrier):
    """A TCP connection accepted elsewhere and given to ``connect_accepted_socket()``."""

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        with self.listener() as listening:
            theirs = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
        return (*await self.loop.connect_accepted_socket(factory, ours), theirs)


class TLS(Carrier):
    """Adds TLS to a kind of connection."""

    half_closes = False
    remote = TLSRemote
    server_side: ClassVar[bool] = False
    context: ssl.SSLContext
    """what the target was given last"""

    def options(self) -> dict[str, Any]:
        if self.server_side:
            self.context = server_context()
            return {"ssl": self.context, **self.keywords}
        self.context = trusting_context()
        return {"ssl": self.context, "server_hostname": NAME, **self.keywords}

    async def both(self, making: Awaitable[tuple[Any, Any]], sock: socket.socket) -> tuple[Any, Any, socket.socket]:
        """Do the handshake at both ends."""
        with ThreadPoolExecutor(1) as thread:
            theirs = thread.submit(encrypted, sock, server_side=not self.server_side)
            transport, protocol = await making
            return transport, protocol, await result_of(self.loop, theirs)


class TLSClient(TLS):
    """A TLS connection that the loop makes."""

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        with self.listener() as listening:
            address = listening.getsockname()
            # The kernel connects before anybody accepts.
            return await self.both_ends(factory, address, listening)

    async def both_ends(
        self, factory: Callable[[], Any], address: Any, listening: socket.socket
    ) -> tuple[Any, Any, socket.socket]:
        """Connect, and accept in a thread meanwhile."""
        listening.settimeout(GENEROUS)
        with ThreadPoolExecutor(1) as thread:
            theirs = thread.submit(lambda: encrypted(listening.accept()[0], server_side=True))
            transport, protocol = await self.open(factory, address)
            return transport, protocol, await result_of(self.loop, theirs)

    async def open(self, factory: Callable[[], Any], address: Any) -> tuple[Any, Any]:
        """Connect to ``address``."""
        transport, protocol = await self.loop.create_connection(factory, *address, **self.options())
        return transport, protocol


class UnixTLSClient(TLSClient):
    """The same over a Unix socket."""

    family = getattr(socket, "AF_UNIX", 0)
    resets = False

    async def open(self, factory: Callable[[], Any], address: Any) -> tuple[Any, Any]:
        transport, protocol = await self.loop.create_unix_connection(factory, address, **self.options())
        return transport, protocol


class TLSServer(TLS, TCPServer):
    """A TLS connection that the loop accepts."""

    server_side = True

    async def shake(self, sock: socket.socket) -> socket.socket:
        with ThreadPoolExecutor(1) as thread:
            return await beside(self.loop, thread, partial(encrypted, sock, server_side=False))


class UnixTLSServer(TLSServer, UnixServer):
    """The same over a Unix socket."""


class TLSAccepted(TLS):
    """A connection accepted elsewhere and given to ``connect_accepted_socket()``."""

    server_side = True

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        with self.listener() as listening:
            theirs = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
        protocols: list[Any] = []

        def note() -> Any:
            protocols.append(factory())
            return protocols[-1]

        accepting = self.loop.connect_accepted_socket(note, ours, **self.options())
        transport, _, sock = await self.both(accepting, theirs)
        # That it is the other half of what the loop gives has a case of its own.
        return transport, protocols[0], sock


class StartTLSClient(TLS):
    """A connection that began without TLS and got it by ``start_tls()``."""

    resets = False

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        ours, theirs = socket.socketpair()
        plain, protocol = await self.loop.create_connection(factory, sock=ours)

        async def upgrade() -> tuple[Any, Any]:
            options = self.options()
            context = options.pop("ssl")
            transport = await self.loop.start_tls(plain, protocol, context, server_side=self.server_side, **options)
            protocol.transport = transport
            return transport, protocol

        return await self.both(upgrade(), theirs)


class StartTLSServer(StartTLSClient):
    """The same on the server's side."""

    server_side = True


PLAIN_CARRIERS: dict[str, type[Carrier]] = {
    "tcp-client": TCPClient,
    "tcp-server": TCPServer,
    "unix-client": UnixClient,
    "unix-server": UnixServer,
    "socketpair": SocketPair,
    "accepted": Accepted,
}
TLS_CARRIERS: dict[str, type[Carrier]] = {
    "tls-client": TLSClient,
    "tls-server": TLSServer,
    "tls-unix-client": UnixTLSClient,
    "tls-unix-server": UnixTLSServer,
    "tls-accepted": TLSAccepted,
    "start-tls-client": StartTLSClient,
    "start-tls-server": StartTLSServer,
}
CARRIERS = {**PLAIN_CARRIERS, **TLS_CARRIERS}

OVER_PLAIN = pytest.mark.parametrize("stream", list(PLAIN_CARRIERS), indirect=True)
"""Only where nothing encrypts; over TLS, buffers belong to several layers."""
OVER_TLS = pytest.mark.parametrize("stream", list(TLS_CARRIERS), indirect=True)
OVER_BOTH = pytest.mark.parametrize("stream", ["tcp-client", "tls-client"], indirect=True)
"""One of each, for a case with many variants of its own."""
OVER_RESETTABLE = pytest.mark.parametrize(
    "stream", [name for name, one in CARRIERS.items() if one.resets], indirect=True
)
"""Where the peer can break the connection off."""


def encrypted(sock: socket.socket, *, server_side: bool) -> ssl.SSLSocket:
    """Do a handshake over a blocking socket, which belongs to the result from then on."""
    sock.settimeout(GENEROUS)
    send_at_once(sock)
    try:
        context = peers_context(server_side=server_side)
        return context.wrap_socket(sock, server_side=server_side, server_hostname=None if server_side else NAME)
    except BaseException:
        sock.close()
        raise
