"""The ways to a TLS connection, each with a blocking TLS socket at its other end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import trustme

from refloop.tests.io.carriers import GENEROUS, Carrier, Peer, Recorder, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# The name in the server's certificate. Nothing resolves it: connections go to 127.0.0.1 or a path.
NAME = "server.test"


@cache
def authority() -> trustme.CA:
    """Return the authority that all certificates come from."""
    return trustme.CA()


@cache
def server_context() -> ssl.SSLContext:
    """Return a context for a server called `NAME`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority().issue_cert(NAME).configure_cert(context)
    return context


@cache
def client_context() -> ssl.SSLContext:
    """Return a context for a client that trusts the authority and matches names."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


def careless_client_context() -> ssl.SSLContext:
    """Return a context for a client that trusts anybody."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def noting(made: list[Recorder]) -> Callable[[], Recorder]:
    """Return a factory that notes in `made` the protocols that it makes."""

    def factory() -> Recorder:
        made.append(Recorder())
        return made[-1]

    return factory


def shake(
    sock: socket.socket, server_side: bool, context: ssl.SSLContext | None = None, name: str = NAME
) -> ssl.SSLSocket:
    """Do a handshake over a blocking socket, which belongs to the result from now on."""
    sock.settimeout(GENEROUS)
    try:
        if server_side:
            return (context or server_context()).wrap_socket(sock, server_side=True)
        return (context or client_context()).wrap_socket(sock, server_hostname=name)
    except BaseException:
        sock.close()
        raise


class TLSPeer(Peer):
    """A blocking TLS socket that answers a goodbye with its own."""

    async def send(self, data: bytes) -> None:
        """Send all of `data`, unless the other end is gone already: what came with the handshake may have ended it."""
        with suppress(ssl.SSLEOFError, BrokenPipeError):
            await super().send(data)

    def _read(self, number: int | None) -> bytes:
        received = super()._read(number)
        if number is None:
            self.say_goodbye()
        return received

    async def goodbye(self) -> None:
        """Say goodbye and wait for the other end's."""
        await self.loop.run_in_executor(None, self.say_goodbye)

    def say_goodbye(self) -> None:
        """Say goodbye and wait for the other end's, unless it is gone."""
        with suppress(OSError, ValueError):
            self.sock.unwrap().close()  # type: ignore[attr-defined]
        self.sock.close()


class MemoryTLS:
    """TLS over any blocking socket, TLS sockets included, with both directions in the test's hands."""

    def __init__(self, sock: socket.socket, server_side: bool) -> None:
        self.sock = sock
        sock.settimeout(GENEROUS)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        if server_side:
            self.tls = server_context().wrap_bio(self.incoming, self.outgoing, server_side=True)
        else:
            self.tls = client_context().wrap_bio(self.incoming, self.outgoing, server_hostname=NAME)

    def do(self, step: Callable[[], Any]) -> Any:
        """Return what `step()` gives once the other end has sent what it needs."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.flush()
                self.incoming.write(self.sock.recv(100_000))
            finally:
                self.flush()

    def flush(self) -> None:
        """Send what TLS has to say."""
        if self.outgoing.pending:
            self.sock.sendall(self.outgoing.read())

    def say_goodbye(self) -> None:
        """Say goodbye, and do not wait for the other end's."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.flush()

    def read_until_goodbye(self) -> bytes:
        """Return what comes until the other end says goodbye."""
        received = bytearray()
        with suppress(ssl.SSLZeroReturnError):
            while data := self.do(lambda: self.tls.read(100_000)):
                received += data
        return bytes(received)


class TLSCarrier(Carrier):
    """Makes TLS connections of one kind; `keywords` go to the loop's function."""

    server_side = False
    keywords: dict[str, Any] = {}  # noqa: RUF012 - set on instances only

    async def connect(self, factory: Callable[[], Any] = Recorder) -> tuple[Any, Any, TLSPeer]:
        transport, protocol, sock = await self.make(factory)
        peer = TLSPeer(self.loop, sock)
        self.peers.append(peer)
        self.transports.append(transport)
        return transport, protocol, peer

    @property
    def options(self) -> dict[str, Any]:
        """What asks for TLS on the loop's side."""
        if self.server_side:
            return {"ssl": server_context(), **self.keywords}
        return {"ssl": client_context(), "server_hostname": NAME, **self.keywords}

    def beside(self, sock: socket.socket) -> Any:
        """Do the peer's handshake in another thread."""
        return self.loop.run_in_executor(None, partial(shake, sock, not self.server_side))

    async def both(self, making: Any, sock: socket.socket) -> tuple[Any, Any, socket.socket]:
        """Await the handshake of both ends."""
        theirs = self.beside(sock)
        made = await making
        return (*made, await theirs)


class TLSClient(TLSCarrier):
    """A TCP connection that the loop makes."""

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        with self.listener() as listening:
            address = listening.getsockname()
            accepting = self.loop.run_in_executor(None, lambda: shake(listening.accept()[0], True))
            if self.family == socket.AF_INET:
                made = await self.loop.create_connection(factory, *address, **self.options)
            else:
                made = await self.loop.create_unix_connection(factory, address, **self.options)
            return (*made, await accepting)


class UnixTLSClient(TLSClient):
    """A Unix connection that the loop makes."""

    family = socket.AF_UNIX


class TLSServer(TLSCarrier):
    """A TCP connection that the loop accepts."""

    server_side = True

    async def serve(self, factory: Callable[[], Any]) -> Any:
        return await self.loop.create_server(factory, "127.0.0.1", 0, **self.options)

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        made: list[Any] = []

        def note() -> Any:
            made.append(factory())
            return made[0]

        server = await self.serve(note)
        sock = socket.socket(self.family)
        sock.connect(server.sockets[0].getsockname())
        theirs = await self.beside(sock)
        await until(lambda: made and getattr(made[0], "transport", None))
        server.close()
        return made[0].transport, made[0], theirs


class UnixTLSServer(TLSServer):
    """A Unix connection that the loop accepts."""

    family = socket.AF_UNIX

    async def serve(self, factory: Callable[[], Any]) -> Any:
        return await self.loop.create_unix_server(factory, self.folder / "server", **self.options)


class TLSAccepted(TLSCarrier):
    """A connection accepted elsewhere and given to `connect_accepted_socket()`."""

    server_side = True

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        with self.listener() as listening:
            theirs = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
        return await self.both(self.loop.connect_accepted_socket(factory, ours, **self.options), theirs)


class StartTLSClient(TLSCarrier):
    """A connection that began without TLS and got it by `start_tls()`."""

    family = socket.AF_UNIX

    async def make(self, factory: Callable[[], Any]) -> tuple[Any, Any, socket.socket]:
        ours, theirs = socket.socketpair()
        plain, protocol = await self.loop.create_connection(factory, sock=ours)
        options = self.options
        options["sslcontext"] = options.pop("ssl")
        upgrading = self.loop.start_tls(plain, protocol, server_side=self.server_side, **options)

        async def upgraded() -> tuple[Any, Any]:
            protocol.transport = await upgrading
            return protocol.transport, protocol

        return await self.both(upgraded(), theirs)


class StartTLSServer(StartTLSClient):
    """The same on the server's side."""

    server_side = True


TLS_CARRIERS: dict[str, Callable[[Any, Path], TLSCarrier]] = {
    "client": TLSClient,
    "server": TLSServer,
    "unix-client": UnixTLSClient,
    "unix-server": UnixTLSServer,
    "accepted": TLSAccepted,
    "start-tls-client": StartTLSClient,
    "start-tls-server": StartTLSServer,
}


async def outcome(awaitable: Any) -> Any:
    """Return what `awaitable` gives or the exception that it raises."""
    try:
        return await asyncio.wait_for(awaitable, GENEROUS)
    except Exception as error:
        return error
