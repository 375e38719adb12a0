"""What every stream transport keeps, whatever carries it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import socket
from array import array
from functools import cache
from typing import Any

import pytest

from refloop.tests.io.carriers import BufferedRecorder, Carrier, Recorder, turns, until

requirement = pytest.mark.requirement

# More than any socket buffer of a test machine holds.
LARGE = 20_000_000


@requirement("BaseTransport.close/not-usable-afterwards")
@pytest.mark.asyncio_differs("sends what is written after close() as long as it has something else to send")
async def test_what_is_written_after_close_reaches_nobody(carrier: Carrier) -> None:
    transport, _, peer = await carrier.connect()
    transport.write(b"x" * LARGE)
    transport.close()
    transport.write(b"too late")
    assert await peer.read_until_eof() == b"x" * LARGE


@requirement("WriteTransport.write/fifo-order")
@pytest.mark.asyncio_differs("keeps, from 3.12 on, the caller's buffer itself")
async def test_what_was_written_does_not_change_when_its_owner_changes_the_buffer(tcp: Carrier) -> None:
    transport, _, peer = await tcp.connect()
    data = bytearray(b"a" * LARGE)
    transport.write(data)
    data[:] = b"b" * LARGE
    transport.write(memoryview(data)[:10])
    assert set(await peer.read(LARGE)) == set(b"a")
    assert await peer.read(10) == b"b" * 10


@pytest.mark.parametrize("data", ["text", 5, None, [1]])
async def test_only_bytes_can_be_written(carrier: Carrier, data: Any) -> None:
    transport, _, _ = await carrier.connect()
    with pytest.raises(TypeError):
        transport.write(data)
    assert not transport.is_closing()


@requirement("Protocol.eof_received/once-only-at-peer-eof")
@pytest.mark.asyncio_differs("reads the end of the stream again when reading is resumed after it")
async def test_pausing_and_resuming_after_the_end_of_the_stream_tells_of_it_no_second_time(tcp: Carrier) -> None:
    transport, protocol, peer = await tcp.connect(lambda: Recorder(keep_open=True))
    peer.sock.shutdown(socket.SHUT_WR)
    await until(lambda: "eof" in protocol.events)
    transport.pause_reading()
    transport.resume_reading()
    await turns()
    assert protocol.events.count("eof") == 1


async def test_a_protocol_can_pause_reading_from_each_callback(carrier: Carrier) -> None:
    class Pausing(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.pause_reading()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    transport, protocol, peer = await carrier.connect(Pausing)
    peer.sock.sendall(b"one")
    await turns(20)
    assert not protocol.data
    transport.resume_reading()
    await until(lambda: protocol.data == b"one")
    assert not transport.is_reading()
    transport.resume_reading()
    peer.sock.sendall(b"two")
    await until(lambda: protocol.data == b"onetwo")


@requirement(
    "BufferedProtocol.get_buffer/called-before-each-receive",
    "BufferedProtocol.get_buffer/accepts-any-buffer-size",
    "BufferedProtocol.buffer_updated/receives-byte-count",
    "BufferedProtocol.buffer_updated/follows-get-buffer",
    "BufferedProtocol.eof_received/once-only-and-last",
    "BufferedProtocol.eof_received/follows-state-machine",
    "BufferedProtocol/usable-as-streaming-protocol",
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_a_buffered_protocol_gets_everything_into_its_own_buffers(carrier: Carrier, size: int) -> None:
    _, protocol, peer = await carrier.connect(lambda: BufferedRecorder(size))
    sent = bytes(range(200))
    await peer.send(sent)
    peer.sock.shutdown(socket.SHUT_WR)
    await until(lambda: protocol.lost)
    assert protocol.data == sent
    assert all(hint == -1 or hint > 0 for hint in protocol.hints)
    assert protocol.events[-2:] == ["eof", "lost"]
    assert protocol.events.count("eof") == 1


@requirement("BufferedProtocol.get_buffer/rejects-empty-buffer", "BufferedProtocol.get_buffer/requires-buffer-protocol")
@pytest.mark.parametrize("buffer", [bytearray(), "text", b"read-only"], ids=["empty", "no-buffer", "read-only"])
async def test_a_buffer_that_cannot_take_data_is_an_error(
    tcp: Carrier, buffer: Any, reported: list[dict[str, Any]]
) -> None:
    transport, protocol, peer = await tcp.connect(BufferedRecorder)
    protocol.buffer = buffer
    await peer.send(b"data")
    await until(lambda: protocol.lost)
    assert isinstance(protocol.lost[0], (RuntimeError, TypeError, BufferError))
    assert transport.is_closing()
    assert reported


async def test_the_peer_is_known_when_the_connection_is_lost(tcp: Carrier) -> None:
    class Late(Recorder):
        def connection_lost(self, exc: BaseException | None) -> None:
            super().connection_lost(exc)
            self.peer = self.transport.get_extra_info("peername")

    _, protocol, peer = await tcp.connect(Late)
    address = peer.sock.getsockname()
    peer.reset()
    await until(lambda: protocol.lost)
    assert protocol.peer == address


@requirement("transports-general/sets-tcp-nodelay", "loop.create_connection/sets-tcp-nodelay")
async def test_tcp_sends_without_delay(carrier: Carrier, maker: str) -> None:
    transport, _, _ = await carrier.connect()
    sock = transport.get_extra_info("socket")
    # asyncio passes over sockets that were made without naming the protocol.
    if carrier.family == socket.AF_INET and (sock.proto or maker != "asyncio"):
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@cache
def view_and_bytes(shape: str) -> tuple[memoryview, bytes | memoryview, bytes]:
    """Return a large view, what to write after it, and the bytes of both, which take longer to get than to send."""
    data = memoryview(bytes(range(256)) * (LARGE // 256))
    view = (
        data.cast("I") if shape == "words" else data.cast("B", (len(data) // 64, 64)) if shape == "rows" else data[::2]
    )
    last = view[:1] if shape != "rows" else b"end!"
    return view, last, view.tobytes() + bytes(last)


@pytest.mark.asyncio_differs("cuts views of wider items by items and not by bytes, and refuses those with gaps")
@pytest.mark.parametrize("shape", ["words", "rows", "gaps"])
async def test_a_view_is_written_byte_by_byte_whatever_its_items_are(carrier: Carrier, shape: str) -> None:
    transport, _, peer = await carrier.connect()
    view, last, expected = view_and_bytes(shape)
    transport.write(view)
    transport.write(last)
    assert await peer.read(len(expected)) == expected


@pytest.mark.asyncio_differs("counts the items of a buffer over TLS")
async def test_a_buffer_of_wide_items_is_filled_byte_by_byte(carrier: Carrier) -> None:
    class Wide(BufferedRecorder):
        def get_buffer(self, sizehint: int) -> Any:
            super().get_buffer(sizehint)
            self.words = array("I", bytes(200))
            return self.words

        def buffer_updated(self, nbytes: int) -> None:
            self.data += memoryview(self.words).cast("B")[:nbytes]

    _, protocol, peer = await carrier.connect(Wide)
    sent = bytes(range(250))
    for _ in range(4):
        await peer.send(sent)
    await until(lambda: len(protocol.data) >= 1000)
    assert protocol.data == sent * 4


@pytest.mark.asyncio_differs("receives into the buffer of a protocol that has paused or closed meanwhile")
@pytest.mark.parametrize("end", ["pause_reading", "close", "abort"])
async def test_a_protocol_that_stops_reading_while_it_is_asked_for_a_buffer_gets_no_more(
    carrier: Carrier, end: str
) -> None:
    class Reluctant(BufferedRecorder):
        def get_buffer(self, sizehint: int) -> Any:
            getattr(self.transport, end)()
            return super().get_buffer(sizehint)

    transport, protocol, peer = await carrier.connect(Reluctant)
    await peer.send(b"unwanted")
    await until(lambda: "get" in protocol.events)
    await turns(20)
    assert not protocol.data
    transport.abort()
    await until(lambda: protocol.lost)


async def test_new_limits_for_an_ended_transport_call_nobody(carrier: Carrier, reported: list[dict[str, Any]]) -> None:
    transport, protocol, _ = await carrier.connect()
    transport.write(b"x" * LARGE)
    transport.write(b"x" * LARGE)
    transport.abort()
    await until(lambda: protocol.lost)
    transport.set_write_buffer_limits()
    transport.set_write_buffer_limits(high=0)
    assert protocol.events[-1] == "lost"
    assert reported == []


async def test_nobody_is_resumed_with_more_than_the_low_mark_buffered(carrier: Carrier) -> None:
    sizes = []

    class Watching(Recorder):
        def resume_writing(self) -> None:
            super().resume_writing()
            sizes.append(self.transport.get_write_buffer_size())

    transport, protocol, peer = await carrier.connect(Watching)
    transport.set_write_buffer_limits(high=400_000, low=0)
    reading = asyncio.ensure_future(peer.read(LARGE // 500_000 * 500_000))
    for _ in range(LARGE // 500_000):
        await until(lambda: protocol.events[-1] != "pause")
        transport.write(b"x" * 500_000)
    await reading
    await until(lambda: protocol.events[-1] != "pause")
    assert set(sizes) <= {0}


@pytest.mark.asyncio_differs("resumes in the context of whoever wrote last")
async def test_a_protocol_is_resumed_in_the_context_of_whoever_connected(tcp: Carrier) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    class Looking(Recorder):
        def resume_writing(self) -> None:
            super().resume_writing()
            seen.append(variable.get())

    variable.set("mine")
    transport, _, peer = await tcp.connect(Looking)
    variable.set("later")
    transport.write(b"x" * LARGE)
    await peer.read(LARGE)
    await until(lambda: seen)
    assert seen == ["mine"]


async def test_callbacks_run_in_the_context_of_whoever_connected(tcp: Carrier) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    class Looking(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            seen.append(variable.get())
            variable.set("changed")

        def connection_lost(self, exc: BaseException | None) -> None:
            super().connection_lost(exc)
            seen.append(variable.get())

    variable.set("mine")
    _, protocol, peer = await tcp.connect(Looking)
    await peer.send(b"x")
    await until(lambda: protocol.data)
    assert variable.get() == "mine"
    peer.sock.close()
    await until(lambda: protocol.lost)
    assert seen[0] == "mine"


@requirement("loop.call_exception_handler/callback-error-keeps-loop-running")
@pytest.mark.parametrize("callback", ["data_received", "eof_received"])
async def test_a_protocol_that_fails_loses_its_connection_and_is_reported(
    carrier: Carrier, reported: list[dict[str, Any]], callback: str
) -> None:
    error = ZeroDivisionError("on purpose")

    def fail(*_: object) -> None:
        raise error

    transport, protocol, peer = await carrier.connect()
    setattr(protocol, callback, fail)
    peer.sock.sendall(b"x")
    peer.sock.shutdown(socket.SHUT_WR)
    await until(lambda: protocol.lost)
    assert protocol.lost == [error]
    assert [context["exception"] for context in reported] == [error]
    assert reported[0]["transport"] is transport
    assert reported[0]["protocol"] is protocol


async def test_failing_flow_control_callbacks_cost_no_connection(tcp: Carrier, reported: list[dict[str, Any]]) -> None:
    class Failing(Recorder):
        def pause_writing(self) -> None:
            raise ZeroDivisionError

        def resume_writing(self) -> None:
            raise ZeroDivisionError

    transport, _, peer = await tcp.connect(Failing)
    transport.write(b"x" * LARGE)
    assert await peer.read(LARGE) == b"x" * LARGE
    await until(lambda: len(reported) == 2)
    assert not transport.is_closing()


@requirement("debug-mode/warns-about-unclosed-resources")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_a_transport_that_is_forgotten_warns_and_closes_its_socket(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    await turns(3)
    transport.pause_reading()
    await turns(3)
    held = [transport, ours]
    del transport, ours

    def forget() -> None:
        held.clear()
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed transport"):
        forget()
    assert theirs.recv(1) == b""
    theirs.close()


async def test_the_sockets_of_a_transport_cannot_be_made_to_block(tcp: Carrier) -> None:
    transport, _, _ = await tcp.connect()
    sock = transport.get_extra_info("socket")
    assert sock.gettimeout() == 0
    with pytest.raises(ValueError, match=r".*"):
        sock.setblocking(True)
    with pytest.raises(ValueError, match=r".*"):
        sock.settimeout(1)
    assert str(sock.fileno()) in repr(sock)
    for private in ("recv", "send", "accept", "close"):
        assert not hasattr(sock, private)


@pytest.mark.parametrize("action", ["close", "abort", "write_eof"])
def test_a_transport_can_be_ended_in_connection_made(loop: Any, tcp: Carrier, action: str) -> None:
    class Brief(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.write(b"bye")
            getattr(transport, action)()

    async def main() -> None:
        _, protocol, peer = await tcp.connect(Brief)
        received = await peer.read_until_eof()
        assert received == b"bye"
        peer.sock.close()
        await until(lambda: protocol.lost)
        assert protocol.events[-1] == "lost"

    loop.run_until_complete(main())
