"""A loop that has nothing else to do wakes for whatever a protocol is to be told."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from functools import partial
from subprocess import DEVNULL
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.buffers import more_than_fits
from conformance.support.children import until_eof
from conformance.support.connections import OVER_PLAIN
from conformance.support.datagrams import bound, endpoint
from conformance.support.idling import hears, woken_by
from conformance.support.marks import requirement
from conformance.support.peers import HOST, MORE_THAN_BUFFERED, socket_path
from conformance.support.pipes import pipe
from conformance.support.protocols import BufferedRecorder, Recorder
from conformance.support.waiting import until

if TYPE_CHECKING:
    from conformance.support.connections import Carrier

needs_unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither Unix sockets nor these pipes")


@requirement("Protocol.data_received/receives-non-empty-bytes")
async def test_data_wakes_a_loop_that_has_one_connection(loop: Any, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect()
    await woken_by(loop, lambda: peer.sock.sendall(b"wake"), hears(loop, protocol, "data"))
    assert protocol.data == b"wake"


@requirement("BufferedProtocol.buffer_updated/receives-byte-count")
async def test_data_for_a_buffer_wakes_a_loop_that_has_one_connection(loop: Any, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect(BufferedRecorder)
    await woken_by(loop, lambda: peer.sock.sendall(b"wake"), hears(loop, protocol, "updated"))
    assert protocol.data == b"wake"


@requirement("Protocol.eof_received/once-only-at-peer-eof", "Protocol.eof_received/false-result-closes-transport")
@OVER_PLAIN
async def test_the_end_wakes_a_loop_that_has_one_connection(loop: Any, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect()
    await woken_by(loop, lambda: peer.sock.shutdown(socket.SHUT_WR), hears(loop, protocol, "lost"))
    assert protocol.events == ["made", "eof", "lost"]


@requirement("BaseProtocol.resume_writing/at-or-below-low-mark")
@OVER_PLAIN
async def test_room_wakes_a_loop_that_has_one_connection(loop: Any, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    much = more_than_fits(transport, peer)
    transport.write(bytes(much))
    assert protocol.events == ["made", "pause"]
    await woken_by(loop, partial(peer.receive, much), hears(loop, protocol, "resume"))
    assert protocol.events == ["made", "pause", "resume"]


@requirement("BaseTransport.close/calls-connection-lost-after-flush")
async def test_room_wakes_a_loop_that_has_one_connection_to_close(loop: Any, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    much = more_than_fits(transport, peer)
    transport.write(bytes(much))
    transport.close()
    await woken_by(loop, partial(peer.receive, None), hears(loop, protocol, "lost"))
    assert protocol.lost == [None]


@requirement("BaseProtocol.connection_made/receives-transport", "loop.create_server/calls-factory-per-connection")
@pytest.mark.parametrize("kind", ["tcp", pytest.param("unix", marks=needs_unix)])
async def test_a_connection_wakes_a_loop_that_has_one_server(loop: Any, kind: str) -> None:
    made = loop.create_future()

    class Tells(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            made.set_result(self)

    with socket_path() as path, socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET) as theirs:
        if kind == "unix":
            server = await loop.create_unix_server(Tells, str(path))
        else:
            server = await loop.create_server(Tells, HOST, 0)
        protocol = await woken_by(loop, partial(theirs.connect, server.sockets[0].getsockname()), made)
        server.close()
        protocol.transport.abort()
        await until(loop, lambda: protocol.lost)
    assert protocol.events == ["made", "lost"]


@requirement("DatagramProtocol.datagram_received/receives-data-and-sender")
async def test_a_datagram_wakes_a_loop_that_has_one_endpoint(loop: Any) -> None:
    with bound() as peer:
        async with endpoint(loop, (HOST, 0)) as (transport, protocol):
            send = partial(peer.sendto, b"wake", transport.get_extra_info("sockname"))
            await woken_by(loop, send, hears(loop, protocol, "datagram"))
            assert protocol.received == [(b"wake", peer.getsockname())]


@needs_unix
@requirement("loop.connect_read_pipe/returns-read-transport-pair", "Protocol.data_received/receives-non-empty-bytes")
async def test_data_wakes_a_loop_that_has_one_pipe(loop: Any) -> None:
    ends = pipe(reading=True)
    try:
        transport, protocol = await loop.connect_read_pipe(Recorder, ends.ours)
        await woken_by(loop, lambda: ends.write(b"wake"), hears(loop, protocol, "data"))
        assert protocol.data == b"wake"
        await woken_by(loop, ends.close_theirs, hears(loop, protocol, "lost"))
        transport.close()
    finally:
        ends.clean_up()


@needs_unix
@requirement(
    "BaseProtocol.resume_writing/at-or-below-low-mark", "BaseProtocol.connection_lost/receives-exception-on-error"
)
async def test_room_in_its_pipe_and_the_loss_of_the_reader_wake_a_loop(loop: Any) -> None:
    ends = pipe(reading=False)
    try:
        transport, protocol = await loop.connect_write_pipe(Recorder, ends.ours)
        transport.write(bytes(MORE_THAN_BUFFERED))
        assert protocol.events == ["made", "pause"]
        await woken_by(loop, partial(ends.read, MORE_THAN_BUFFERED), hears(loop, protocol, "resume"))
        assert protocol.events == ["made", "pause", "resume"]
        await woken_by(loop, ends.close_theirs, hears(loop, protocol, "lost"))
        assert len(protocol.lost) == 1
        transport.close()
    finally:
        ends.clean_up()


@needs_unix
@requirement("SubprocessProtocol.process_exited/called-after-child-exit")
async def test_the_end_of_its_child_wakes_a_loop(loop: Any) -> None:
    exited = loop.create_future()

    class Tells(asyncio.SubprocessProtocol):
        def process_exited(self) -> None:
            exited.set_result(transport.get_returncode())

    reading, writing = os.pipe()
    program = until_eof(7)
    try:
        transport, _ = await loop.subprocess_exec(Tells, *program.line, stdin=reading, stdout=DEVNULL, stderr=None)
        assert await woken_by(loop, partial(os.close, writing), exited) == 7
        transport.close()
    finally:
        os.close(reading)
