"""What every stream transport keeps, whatever carries it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import socket
from typing import Any

import pytest

from refloop.tests.io.carriers import BufferedRecorder, Carrier, Recorder, turns, until

requirement = pytest.mark.requirement

# More than any socket buffer of a test machine holds.
LARGE = 20_000_000


@requirement(
    "WriteTransport.write/fifo-order",
    "BaseTransport.close/flushes-buffer-first",
    "BaseTransport.close/calls-connection-lost-after-flush",
    "WriteTransport.write/accepts-bytes",
)
async def test_closing_flushes_everything_written_in_order(carrier: Carrier) -> None:
    transport, protocol, peer = await carrier.connect()
    blocks: list[Any] = [bytes([n]) * 300_000 for n in range(20)]
    blocks[3] = bytearray(blocks[3])
    blocks[4] = memoryview(blocks[4])
    reading = asyncio.ensure_future(peer.read_until_eof())
    for block in blocks:
        transport.write(block)
    transport.close()
    assert transport.is_closing()
    assert await reading == b"".join(map(bytes, blocks))
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]
    assert protocol.events[-1] == "lost"


@requirement("BaseTransport.close/not-usable-afterwards")
@pytest.mark.asyncio_differs("sends what is written after close() as long as it has something else to send")
async def test_what_is_written_after_close_reaches_nobody(carrier: Carrier) -> None:
    transport, _, peer = await carrier.connect()
    transport.write(b"x" * LARGE)
    transport.close()
    transport.write(b"too late")
    assert await peer.read_until_eof() == b"x" * LARGE


@requirement("WriteTransport.write/never-blocks", "WriteTransport.get_write_buffer_size/returns-buffered-byte-count")
async def test_writing_more_than_the_system_takes_returns_at_once_and_counts_the_rest(carrier: Carrier) -> None:
    transport, _, peer = await carrier.connect()
    assert transport.get_write_buffer_size() == 0
    transport.write(b"x" * LARGE)
    first = transport.get_write_buffer_size()
    assert 0 < first < LARGE
    transport.write(b"y" * 1000)
    assert transport.get_write_buffer_size() == first + 1000
    assert await peer.read(LARGE + 1000) == b"x" * LARGE + b"y" * 1000
    await until(lambda: transport.get_write_buffer_size() == 0)


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


@requirement("WriteTransport.writelines/accepts-any-iterable", "WriteTransport.writelines/fifo-order")
@pytest.mark.parametrize("make", [list, tuple, iter], ids=["list", "tuple", "generator"])
async def test_writelines_writes_the_pieces_of_any_iterable(tcp: Carrier, make: Any) -> None:
    transport, _, peer = await tcp.connect()
    transport.writelines(make([b"ab", bytearray(b"cd"), memoryview(b"ef")]))
    assert await peer.read(6) == b"abcdef"


@pytest.mark.parametrize("data", ["text", 5, None, [1]])
async def test_only_bytes_can_be_written(carrier: Carrier, data: Any) -> None:
    transport, _, _ = await carrier.connect()
    with pytest.raises(TypeError):
        transport.write(data)
    assert not transport.is_closing()


@requirement(
    "WriteTransport.write_eof/closes-write-end-after-flush",
    "WriteTransport.write_eof/keeps-receiving",
    "WriteTransport.write_eof/peer-sees-data-then-eof",
    "WriteTransport.can_write_eof/returns-true-when-supported",
)
async def test_after_write_eof_the_peer_gets_everything_and_can_still_answer(carrier: Carrier) -> None:
    transport, protocol, peer = await carrier.connect()
    assert transport.can_write_eof() is True
    transport.write(b"q" * LARGE)
    transport.write_eof()
    transport.write_eof()
    with pytest.raises(RuntimeError):
        transport.write(b"more")
    assert await peer.read_until_eof() == b"q" * LARGE
    await peer.send(b"answer")
    await until(lambda: protocol.data == b"answer")
    assert not transport.is_closing()
    peer.sock.close()
    await until(lambda: protocol.lost)
    assert protocol.events[-2:] == ["eof", "lost"]
    assert protocol.lost == [None]


@requirement("BaseTransport.close/safe-to-repeat", "BaseTransport.is_closing/returns-true-once-closing")
async def test_closing_again_does_nothing(carrier: Carrier) -> None:
    transport, protocol, _ = await carrier.connect()
    assert transport.is_closing() is False
    for _ in range(3):
        transport.close()
        assert transport.is_closing() is True
    assert not protocol.lost
    await until(lambda: protocol.lost)
    transport.close()
    transport.abort()
    await turns()
    assert protocol.lost == [None]


@requirement(
    "WriteTransport.abort/discards-buffered-data",
    "WriteTransport.abort/calls-connection-lost-eventually",
    "BaseProtocol.connection_lost/receives-none-on-clean-end",
)
async def test_abort_discards_what_is_buffered(carrier: Carrier) -> None:
    transport, protocol, peer = await carrier.connect()
    transport.write(b"x" * LARGE)
    transport.abort()
    assert transport.is_closing()
    assert not protocol.lost
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]
    try:
        received = await peer.read_until_eof()
    except ConnectionResetError:
        return
    assert len(received) < LARGE


@requirement("BaseTransport.close/stops-receiving", "WriteTransport.abort/stops-receiving")
@pytest.mark.parametrize("end", ["close", "abort"])
async def test_nothing_is_received_after_the_end(carrier: Carrier, end: str) -> None:
    transport, protocol, peer = await carrier.connect()
    peer.sock.sendall(b"unread")
    getattr(transport, end)()
    await until(lambda: protocol.lost)
    assert not protocol.data


@requirement(
    "Protocol.data_received/fifo-order",
    "Protocol.data_received/receives-non-empty-bytes",
    "Protocol.data_received/never-after-eof",
    "Protocol.eof_received/once-only-at-peer-eof",
    "Protocol.eof_received/false-result-closes-transport",
    "Protocol.eof_received/follows-state-machine",
    "protocols-general/connection-callbacks-once-only",
    "BaseProtocol.connection_made/precedes-other-callbacks",
)
async def test_everything_that_the_peer_sends_arrives_and_then_the_end(carrier: Carrier) -> None:
    transport, protocol, peer = await carrier.connect()
    sent = bytes(range(256)) * 20_000
    await peer.send(sent)
    peer.sock.shutdown(socket.SHUT_WR)
    await until(lambda: protocol.lost)
    assert protocol.data == sent
    assert protocol.events == ["made", "data", "eof", "lost"]
    assert protocol.lost == [None]
    assert transport.is_closing()


@requirement("Protocol.eof_received/true-result-keeps-transport-open")
async def test_a_protocol_that_wants_to_go_on_writing_can(carrier: Carrier) -> None:
    transport, protocol, peer = await carrier.connect(lambda: Recorder(keep_open=True))
    peer.sock.shutdown(socket.SHUT_WR)
    await until(lambda: "eof" in protocol.events)
    await turns()
    assert not transport.is_closing()
    transport.write(b"still here")
    transport.close()
    assert await peer.read_until_eof() == b"still here"
    await until(lambda: protocol.lost)
    assert protocol.events == ["made", "eof", "lost"]


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


@requirement("BaseProtocol.connection_lost/receives-exception-on-error")
async def test_a_reset_by_the_peer_reaches_connection_lost_as_an_exception(tcp: Carrier) -> None:
    transport, protocol, peer = await tcp.connect()
    peer.reset()
    await until(lambda: protocol.lost)
    assert isinstance(protocol.lost[0], ConnectionResetError)
    assert protocol.events == ["made", "lost"]
    assert transport.is_closing()


@requirement("BaseProtocol.connection_lost/receives-exception-on-error")
async def test_a_reset_while_much_is_buffered_ends_the_connection_once(tcp: Carrier) -> None:
    transport, protocol, peer = await tcp.connect()
    transport.write(b"x" * LARGE)
    transport.close()
    peer.reset()
    await until(lambda: protocol.lost)
    assert isinstance(protocol.lost[0], OSError)
    assert transport.get_write_buffer_size() == 0
    for _ in range(10):
        transport.write(b"ignored")
    await turns()
    assert len(protocol.lost) == 1


@requirement(
    "ReadTransport.pause_reading/stops-data-received",
    "ReadTransport.pause_reading/loses-no-data",
    "ReadTransport.resume_reading/restarts-data-received",
    "ReadTransport.is_reading/returns-true-while-reading",
    "ReadTransport.pause_reading/idempotent-when-paused",
    "ReadTransport.resume_reading/idempotent-while-reading",
)
async def test_pausing_holds_data_back_and_resuming_delivers_it(carrier: Carrier) -> None:
    transport, protocol, peer = await carrier.connect()
    assert transport.is_reading()
    transport.resume_reading()
    for _ in range(2):
        transport.pause_reading()
        assert not transport.is_reading()
    peer.sock.sendall(b"patience")
    await turns(20)
    assert not protocol.data
    for _ in range(2):
        transport.resume_reading()
    assert transport.is_reading()
    await until(lambda: protocol.data == b"patience")
    transport.close()
    transport.pause_reading()
    transport.resume_reading()
    assert not transport.is_reading()
    await until(lambda: protocol.lost)


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
    "WriteTransport.set_write_buffer_limits/defaults-implementation-specific",
    "WriteTransport.set_write_buffer_limits/derives-low-from-high",
    "WriteTransport.set_write_buffer_limits/zero-high-zeroes-low",
    "WriteTransport.set_write_buffer_limits/accepts-high-and-low",
    "WriteTransport.get_write_buffer_limits/reflects-set-limits",
    "WriteTransport.get_write_buffer_limits/returns-low-high-pair",
    "WriteTransport.set_write_buffer_limits/rejects-low-above-high",
    "WriteTransport.set_write_buffer_limits/rejects-negative-limits",
)
async def test_the_write_buffer_has_limits_that_can_be_set_and_asked_for(tcp: Carrier) -> None:
    transport, _, _ = await tcp.connect()
    default = transport.get_write_buffer_limits()
    assert 0 <= default[0] <= default[1]
    transport.set_write_buffer_limits(high=1000, low=10)
    assert transport.get_write_buffer_limits() == (10, 1000)
    transport.set_write_buffer_limits(4000)
    assert 0 <= transport.get_write_buffer_limits()[0] <= 4000
    transport.set_write_buffer_limits(0)
    assert transport.get_write_buffer_limits() == (0, 0)
    transport.set_write_buffer_limits(low=50)
    assert transport.get_write_buffer_limits()[0] == 50
    transport.set_write_buffer_limits()
    assert transport.get_write_buffer_limits() == default
    for high, low in ((10, 11), (-1, None), (10, -1)):
        with pytest.raises(ValueError, match="low"):
            transport.set_write_buffer_limits(high, low)


@requirement(
    "BaseProtocol.pause_writing/once-per-crossing",
    "BaseProtocol.resume_writing/paired-with-pause-writing",
    "BaseProtocol.resume_writing/at-or-below-low-mark",
    "WriteTransport.set_write_buffer_limits/governs-write-pausing",
    "WriteTransport.set_write_buffer_limits/zero-low-resumes-when-empty",
    "WriteTransport.set_write_buffer_limits/pauses-once-over-high",
)
async def test_the_protocol_is_paused_once_above_the_high_mark_and_resumed_once_below_the_low_one(
    carrier: Carrier,
) -> None:
    sizes = []

    class Watching(Recorder):
        def resume_writing(self) -> None:
            super().resume_writing()
            sizes.append(self.transport.get_write_buffer_size())

    transport, protocol, peer = await carrier.connect(Watching)
    transport.set_write_buffer_limits(high=1000, low=0)
    transport.write(b"x" * LARGE)
    transport.write(b"x" * LARGE)
    assert protocol.events == ["made", "pause"]
    await peer.read(2 * LARGE)
    await until(lambda: "resume" in protocol.events)
    assert protocol.events == ["made", "pause", "resume"]
    assert sizes == [0]


@requirement("BaseProtocol.pause_writing/strictly-above-high-mark")
async def test_a_buffer_exactly_at_the_high_mark_pauses_nobody(tcp: Carrier) -> None:
    transport, protocol, _ = await tcp.connect()
    transport.set_write_buffer_limits(high=2 * LARGE)
    transport.write(b"x" * LARGE)
    transport.set_write_buffer_limits(high=transport.get_write_buffer_size() + 10)
    transport.write(b"y" * 10)
    assert "pause" not in protocol.events
    transport.write(b"z")
    assert "pause" in protocol.events


@requirement("BaseTransport.set_protocol/redirects-callbacks", "BaseTransport.get_protocol/returns-current-protocol")
async def test_a_protocol_that_takes_over_gets_all_further_callbacks(carrier: Carrier) -> None:
    transport, first, peer = await carrier.connect()
    assert transport.get_protocol() is first
    second = BufferedRecorder(3)
    transport.set_protocol(second)
    assert transport.get_protocol() is second
    await peer.send(b"0123456789")
    await until(lambda: second.data == b"0123456789")
    third = Recorder()
    third.events.append("made")
    transport.set_protocol(third)
    await peer.send(b"abc")
    await until(lambda: third.data == b"abc")
    peer.sock.close()
    await until(lambda: third.lost)
    assert first.events == ["made"]
    assert "eof" not in second.events


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


@requirement(
    "BaseTransport.get_extra_info/offers-socket-keys",
    "BaseTransport.get_extra_info/accepts-name-and-default",
    "BaseTransport.get_extra_info/returns-default-when-unavailable",
    "BaseTransport.get_extra_info/returns-own-address-sockname",
    "BaseTransport.get_extra_info/returns-queryable-socket",
)
async def test_extra_info_tells_of_the_socket(carrier: Carrier) -> None:
    transport, _, peer = await carrier.connect()
    sock = transport.get_extra_info("socket")
    assert sock.family == carrier.family
    assert sock.type == socket.SOCK_STREAM
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
    assert transport.get_extra_info("sockname") == sock.getsockname() == peer.sock.getpeername()
    assert transport.get_extra_info("peername") == peer.sock.getsockname()
    assert transport.get_extra_info("socket") is sock
    assert transport.get_extra_info("nothing") is None
    assert transport.get_extra_info("nothing", default=5) == 5
    assert transport.get_extra_info("sslcontext", "no") == "no"


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


@requirement("Transport/subclasses-read-and-write-transport", "Transport/returned-by-connection-methods")
async def test_a_connection_has_a_transport_that_reads_and_writes(carrier: Carrier) -> None:
    transport, _, _ = await carrier.connect()
    assert isinstance(transport, asyncio.Transport)
    assert isinstance(transport, asyncio.ReadTransport)
    assert isinstance(transport, asyncio.WriteTransport)


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
@pytest.mark.filterwarnings("default")
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
