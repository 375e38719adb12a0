"""The kinds of transports and protocols: their base classes, and the methods that each kind has."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.peers import HOST
from conformance.support.protocols import Recorder
from conformance.support.waiting import GENEROUS, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.connections import Carrier

COMMON = ["close", "is_closing", "get_extra_info", "set_protocol", "get_protocol"]
READING = ["is_reading", "pause_reading", "resume_reading"]
WRITING = [
    "abort",
    "can_write_eof",
    "get_write_buffer_size",
    "get_write_buffer_limits",
    "set_write_buffer_limits",
    "write",
    "writelines",
    "write_eof",
]
DATAGRAMS = ["sendto", "abort"]


def lacking(transport: Any, names: list[str]) -> list[str]:
    """The methods that the transport does not have."""
    return [name for name in names if not callable(getattr(transport, name, None))]


@requirement("transports-general/methods-depend-on-kind")
async def test_a_stream_transport_has_the_methods_of_its_kind(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    assert lacking(transport, [*COMMON, *READING, *WRITING]) == []


@requirement("transports-general/methods-depend-on-kind")
async def test_a_datagram_transport_has_the_methods_of_its_kind(loop: AbstractEventLoop, aio: Any) -> None:
    transport, _ = await loop.create_datagram_endpoint(aio.DatagramProtocol, local_addr=(HOST, 0))
    assert lacking(transport, [*COMMON, *DATAGRAMS]) == []
    transport.close()
    await until(loop, transport.is_closing)


@requirement("transports-general/methods-depend-on-kind")
async def test_the_transports_of_pipes_have_the_methods_of_their_kinds(loop: AbstractEventLoop) -> None:
    out, into = os.pipe()
    with closing(os.fdopen(out, "rb", 0)) as reader, closing(os.fdopen(into, "wb", 0)) as writer:
        reading, read = await loop.connect_read_pipe(Recorder, reader)
        writing, written = await loop.connect_write_pipe(Recorder, writer)
        assert lacking(reading, [*COMMON, *READING]) == []
        assert lacking(writing, [*COMMON, *WRITING]) == []
        writing.close()
        await until(loop, lambda: read.lost and written.lost)


@requirement("Transport/returned-by-connection-methods", "Transport/subclasses-read-and-write-transport")
async def test_a_connections_transport_is_a_transport(aio: Any, stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    kinds = [aio.BaseTransport, aio.ReadTransport, aio.WriteTransport, aio.Transport]
    assert [isinstance(transport, kind) for kind in kinds] == [True] * 4


@requirement("Transport/subclasses-read-and-write-transport")
def test_transport_is_both_kinds_at_once(aio: Any) -> None:
    assert issubclass(aio.Transport, aio.ReadTransport)
    assert issubclass(aio.Transport, aio.WriteTransport)


@requirement("BaseTransport/base-of-transports")
@pytest.mark.parametrize(
    "kind", ["ReadTransport", "WriteTransport", "Transport", "DatagramTransport", "SubprocessTransport"]
)
def test_every_kind_of_transport_is_a_base_transport(aio: Any, kind: str) -> None:
    assert issubclass(getattr(aio, kind), aio.BaseTransport)


@pytest.mark.parametrize("stream", ["tcp-client", "tcp-server", "accepted", "tls-client", "tls-server"], indirect=True)
@requirement("transports-general/sets-tcp-nodelay")
async def test_tcp_sends_without_delay(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    assert transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@requirement("BaseProtocol/base-of-protocols")
@pytest.mark.parametrize("kind", ["Protocol", "BufferedProtocol", "DatagramProtocol", "SubprocessProtocol"])
def test_every_kind_of_protocol_is_a_base_protocol(aio: Any, kind: str) -> None:
    assert issubclass(getattr(aio, kind), aio.BaseProtocol)


# callback: arguments that it could be called with
COMMON_CALLBACKS: dict[str, tuple[object, ...]] = {
    "connection_made": (object(),),
    "connection_lost": (None,),
    "pause_writing": (),
    "resume_writing": (),
}
CALLBACKS: dict[str, dict[str, tuple[object, ...]]] = {
    "BaseProtocol": {},
    "Protocol": {"data_received": (b"x",), "eof_received": ()},
    "BufferedProtocol": {"get_buffer": (-1,), "buffer_updated": (1,), "eof_received": ()},
    "DatagramProtocol": {"datagram_received": (b"x", (HOST, 1)), "error_received": (OSError(),)},
    "SubprocessProtocol": {
        "pipe_data_received": (1, b"x"),
        "pipe_connection_lost": (1, None),
        "process_exited": (),
    },
}


@requirement(
    "protocols-general/callbacks-optional",
    "Protocol/base-for-stream-protocols",
    "DatagramProtocol/base-for-datagram-protocols",
    "SubprocessProtocol/base-for-subprocess-protocols",
    "Protocol.eof_received/default-returns-none",
)
@pytest.mark.parametrize("kind", CALLBACKS)
def test_the_callbacks_of_a_base_class_do_nothing(aio: Any, kind: str) -> None:
    class Derived(getattr(aio, kind)):  # type: ignore[misc]
        """Overrides nothing."""

    for name, arguments in (COMMON_CALLBACKS | CALLBACKS[kind]).items():
        for protocol in getattr(aio, kind)(), Derived():
            assert getattr(protocol, name)(*arguments) is None


@requirement("BaseProtocol.connection_made/leaves-transport-storage-to-protocol")
@pytest.mark.parametrize("kind", CALLBACKS)
def test_a_base_class_does_not_keep_the_transport(aio: Any, kind: str) -> None:
    class Derived(getattr(aio, kind)):  # type: ignore[misc]
        """Has room for attributes, unlike its base."""

    protocol = Derived()
    protocol.connection_made(object())
    assert vars(protocol) == {}


class Duck:
    """A datagram protocol by its methods alone."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def connection_made(self, transport: Any) -> None:
        self.events.append("made")
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.events.append(data)
        self.transport.sendto(data, addr)

    def error_received(self, exc: OSError) -> None: ...

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append(exc)


@requirement("protocols-general/accepts-duck-typed-protocol")
async def test_what_has_the_callbacks_is_a_protocol(loop: AbstractEventLoop) -> None:
    transport: Any
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        peer.settimeout(GENEROUS)
        transport, protocol = await loop.create_datagram_endpoint(Duck, local_addr=(HOST, 0))  # type: ignore[type-var]
        peer.sendto(b"quack", transport.get_extra_info("sockname"))
        await until(loop, lambda: len(protocol.events) > 1)
        assert peer.recv(100) == b"quack"
        transport.close()
        await until(loop, lambda: protocol.events[-1] is None)
    assert protocol.events == ["made", b"quack", None]
