"""What a transport tells about itself: ``get_extra_info()``."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.connections import OVER_PLAIN, OVER_TLS, RESET
from conformance.support.marks import requirement
from conformance.support.peers import HOST
from conformance.support.protocols import Recorder
from conformance.support.waiting import GENEROUS, turns, until, wait_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

    from conformance.support.connections import Carrier

ADDRESSES = ["peername", "sockname", "socket"]
TLS_KEYS = ["cipher", "peercert", "sslcontext", "ssl_object"]
OVER_TLS_CLIENTS = pytest.mark.parametrize(
    "stream", ["tls-client", "tls-unix-client", "start-tls-client"], indirect=True
)
"""Where the peer shows its certificate."""


@requirement(
    "BaseTransport.get_extra_info/accepts-name-and-default",
    "BaseTransport.get_extra_info/returns-default-when-unavailable",
)
async def test_a_name_that_nobody_knows_gives_the_default(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    default = object()
    assert transport.get_extra_info("no-such-name") is None
    assert transport.get_extra_info("no-such-name", default) is default
    assert transport.get_extra_info("no-such-name", default=default) is default
    assert transport.get_extra_info(name="no-such-name", default=5) == 5
    assert transport.get_extra_info("no-such-name", None) is None


@OVER_PLAIN
@requirement("BaseTransport.get_extra_info/returns-default-when-unavailable")
async def test_a_transport_without_tls_gives_the_default_for_what_tls_knows(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    assert [transport.get_extra_info(name, "default") for name in TLS_KEYS] == ["default"] * len(TLS_KEYS)
    assert transport.get_extra_info("pipe", "default") == "default"
    assert transport.get_extra_info("subprocess", "default") == "default"


@requirement("BaseTransport.get_extra_info/offers-socket-keys", "BaseTransport.get_extra_info/accepts-name-and-default")
async def test_what_is_known_comes_instead_of_the_default(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    default = object()
    for name in ADDRESSES:
        assert transport.get_extra_info(name) is not None
        assert transport.get_extra_info(name, default) is not default


@requirement(
    "BaseTransport.get_extra_info/offers-socket-keys", "BaseTransport.get_extra_info/returns-own-address-sockname"
)
async def test_the_names_are_the_addresses_of_both_ends(stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    assert transport.get_extra_info("sockname") == peer.sock.getpeername()
    assert transport.get_extra_info("peername") == peer.sock.getsockname()
    assert transport.get_extra_info("sockname") == transport.get_extra_info("socket").getsockname()


@requirement("BaseTransport.get_extra_info/offers-socket-keys")
async def test_the_addresses_are_known_in_connection_made(stream: Carrier) -> None:
    class Asking(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.known = [transport.get_extra_info(name) for name in ("sockname", "peername")]

    _, protocol, peer = await stream.connect(Asking)
    assert protocol.known == [peer.sock.getpeername(), peer.sock.getsockname()]


@requirement("BaseTransport.get_extra_info/returns-queryable-socket")
async def test_the_socket_can_be_asked_for_its_addresses_and_options(stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    sock = transport.get_extra_info("socket")
    assert sock.family == peer.sock.family
    assert sock.type == socket.SOCK_STREAM
    assert sock.fileno() >= 0
    assert sock.getsockname() == peer.sock.getpeername()
    assert sock.getpeername() == peer.sock.getsockname()
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM


@requirement("BaseTransport.get_extra_info/returns-queryable-socket")
async def test_options_set_on_the_socket_are_the_connections_own(stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    seen = []
    for value in 1, 0:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, value)
        seen.append(bool(transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)))
    assert seen == [True, False]
    transport.write(b"unharmed")
    assert await peer.read(8) == b"unharmed"


def lost_its_peer(sock: socket.socket) -> bool:
    """Whether the system does not know any more whom the socket is connected to."""
    try:
        sock.getpeername()
    except OSError:
        return True
    return False


@pytest.fixture
def orphan() -> Iterator[socket.socket]:
    """A socket that was connected until its peer broke the connection off."""
    with socket.create_server((HOST, 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    with ours:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        theirs.close()
        wait_until(lambda: lost_its_peer(ours))
        ours.setblocking(False)
        yield ours


@requirement("BaseTransport.get_extra_info/returns-none-peername-on-error")
async def test_a_peer_whose_address_is_not_known_any_more_is_none(
    loop: AbstractEventLoop, orphan: socket.socket
) -> None:
    transport: Any
    transport, protocol = await loop.create_connection(Recorder, sock=orphan)
    assert transport.get_extra_info("peername") is None
    transport.abort()
    await until(loop, lambda: protocol.lost)


@OVER_TLS
@requirement("BaseTransport.get_extra_info/offers-tls-keys")
async def test_a_tls_transport_knows_its_tls_object(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    ssl_object = transport.get_extra_info("ssl_object")
    assert isinstance(ssl_object, (ssl.SSLObject, ssl.SSLSocket))
    assert ssl_object.server_side is stream.server_side  # type: ignore[attr-defined]
    assert ssl_object.version() == transport.get_extra_info("cipher")[1]


@OVER_TLS
@requirement("BaseTransport.get_extra_info/offers-tls-keys", "BaseTransport.get_extra_info/returns-three-item-cipher")
async def test_the_cipher_is_its_name_its_protocol_and_its_secret_bits(stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    cipher = transport.get_extra_info("cipher")
    assert (type(cipher), [type(item) for item in cipher]) == (tuple, [str, str, int])
    assert cipher == peer.sock.cipher()  # type: ignore[attr-defined]


@OVER_TLS
@requirement(
    "BaseTransport.get_extra_info/offers-tls-keys", "BaseTransport.get_extra_info/returns-none-when-uncompressed"
)
async def test_a_connection_without_compression_says_none(stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    compression = transport.get_extra_info("compression")
    assert compression == peer.sock.compression()  # type: ignore[attr-defined]
    assert compression is None or type(compression) is str


@OVER_TLS_CLIENTS
@requirement("BaseTransport.get_extra_info/offers-tls-keys", "BaseTransport.get_extra_info/returns-peercert-dict")
async def test_the_peers_certificate_is_a_dict(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    certificate = transport.get_extra_info("peercert")
    assert certificate == transport.get_extra_info("ssl_object").getpeercert()
    assert type(certificate) is dict
    assert certificate["subject"] == ((("commonName", "asyncio-conformance"),),)


@OVER_TLS
@requirement("BaseTransport.get_extra_info/offers-tls-keys", "BaseTransport.get_extra_info/returns-sslcontext-in-use")
async def test_the_tls_context_is_the_one_given(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    assert transport.get_extra_info("sslcontext") is stream.context  # type: ignore[attr-defined]


@OVER_TLS
@requirement("BaseTransport.get_extra_info/offers-tls-keys")
async def test_what_tls_knows_is_known_in_connection_made(loop: AbstractEventLoop, stream: Carrier) -> None:
    class Asking(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.known = {name: transport.get_extra_info(name) for name in TLS_KEYS}

    transport, protocol, _ = await stream.connect(Asking)
    # Where TLS came later, the protocol was told of the connection before.
    if any(protocol.known.values()):
        assert protocol.known == {name: transport.get_extra_info(name) for name in TLS_KEYS}
    await turns(loop)
    assert None not in [transport.get_extra_info(name) for name in ("cipher", "sslcontext", "ssl_object")]


@requirement("BaseTransport.get_extra_info/offers-pipe-key")
async def test_a_pipes_transport_knows_its_pipe(loop: AbstractEventLoop, aio: Any) -> None:
    out, into = os.pipe()
    with closing(os.fdopen(out, "rb", 0)) as reader, closing(os.fdopen(into, "wb", 0)) as writer:
        reading, _ = await loop.connect_read_pipe(aio.Protocol, reader)
        writing, protocol = await loop.connect_write_pipe(Recorder, writer)
        assert reading.get_extra_info("pipe") is reader
        assert writing.get_extra_info("pipe", "default") is writer
        writing.close()
        reading.close()
        await until(loop, lambda: protocol.lost)
        await turns(loop)


class Child(Recorder):
    """Notes when the child has ended."""

    def pipe_data_received(self, fd: int, data: bytes) -> None: ...

    def pipe_connection_lost(self, fd: int, exc: BaseException | None) -> None: ...

    def process_exited(self) -> None: ...


@requirement("BaseTransport.get_extra_info/offers-subprocess-key")
async def test_a_childs_transport_knows_its_popen_object(loop: AbstractEventLoop) -> None:
    quiet = subprocess.DEVNULL
    transport, protocol = await loop.subprocess_exec(
        Child, sys.executable, "-S", "-c", "", stdin=quiet, stdout=quiet, stderr=quiet
    )
    popen = transport.get_extra_info("subprocess")
    assert isinstance(popen, subprocess.Popen)
    assert popen.pid == transport.get_pid()
    await until(loop, lambda: protocol.lost, bound=GENEROUS)
    transport.close()
