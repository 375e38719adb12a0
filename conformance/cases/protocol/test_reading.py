"""Receiving on a stream transport: ``data_received()``, ``pause_reading()``, ``resume_reading()``, ``is_reading()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.connections import OVER_BOTH, OVER_PLAIN
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.protocols import Recorder
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.connections import Carrier

# No two of its parts are alike, so that nothing can change places unseen; more than what is received at once.
TEXT = b"".join(b"%07d " % n for n in range(100_000))
PIECE = 8000


class Noting(Recorder):
    """Keeps each piece of data as it came."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[Any] = []

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.pieces.append(data)


@on_loops(PLAIN, DEBUG)
@requirement("Protocol.data_received/receives-non-empty-bytes")
async def test_data_is_bytes_and_never_empty(loop: AbstractEventLoop, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect(Noting)
    for piece in b"a", b"\0", TEXT[:100_000]:
        await peer.send(piece)
        await turns(loop)
    await peer.end()
    await until(loop, lambda: protocol.lost)
    assert {type(piece) for piece in protocol.pieces} == {bytes}
    assert b"" not in protocol.pieces


@requirement("Protocol.data_received/fifo-order", "Protocol.data_received/chunking-unspecified")
async def test_one_large_message_arrives_whole_and_in_order(loop: AbstractEventLoop, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect()
    await peer.send(TEXT)
    await until(loop, lambda: len(protocol.data) >= len(TEXT))
    assert protocol.data == TEXT


@requirement("Protocol.data_received/fifo-order", "Protocol.data_received/chunking-unspecified")
async def test_many_small_messages_arrive_whole_and_in_order(loop: AbstractEventLoop, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect()

    def send() -> None:
        for n in range(500):
            peer.sock.sendall(b"%04d" % n)

    await peer.do(send)
    await until(loop, lambda: len(protocol.data) >= 2000)
    assert protocol.data == b"".join(b"%04d" % n for n in range(500))


@requirement("Protocol.data_received/called-any-number-of-times", "Protocol.eof_received/once-only-at-peer-eof")
async def test_a_peer_that_sends_nothing_causes_no_data(loop: AbstractEventLoop, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect(Noting)
    await turns(loop, 20)
    assert protocol.events == ["made"]
    await peer.close()
    await until(loop, lambda: protocol.lost)
    assert (protocol.pieces, protocol.events) == ([], ["made", "eof", "lost"])


@requirement("Protocol.data_received/called-any-number-of-times", "protocols-general/callbacks-invoked-by-transport")
async def test_data_is_handed_over_each_time_that_some_has_come(loop: AbstractEventLoop, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect(Noting)
    for n in range(1, 30):
        await peer.send(b"x")
        await until(loop, lambda: len(protocol.pieces) >= n)  # noqa: B023 - called before the next round
    assert protocol.pieces == [b"x"] * 29


@requirement("Protocol.data_received/never-after-eof", "Protocol.eof_received/follows-state-machine")
async def test_all_data_comes_before_the_end_of_the_stream(loop: AbstractEventLoop, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect()
    await peer.send(TEXT)
    await peer.close()
    await until(loop, lambda: protocol.lost)
    await turns(loop)
    assert (protocol.events, protocol.lost) == (["made", "data", "eof", "lost"], [None])
    assert protocol.data == TEXT


@OVER_PLAIN
@requirement("Protocol.data_received/never-after-eof", "Protocol.eof_received/once-only-at-peer-eof")
async def test_nothing_comes_after_the_end_of_a_stream_that_is_kept_open(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect(lambda: Recorder(keep_open=True))
    await peer.send(b"all")
    await peer.end()
    await until(loop, lambda: "eof" in protocol.events)
    transport.write(b"answer")
    assert await peer.read(6) == b"answer"
    await turns(loop, 20)
    assert protocol.events == ["made", "data", "eof"]


@requirement("ReadTransport.is_reading/returns-true-while-reading")
async def test_a_transport_says_whether_it_is_reading(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    seen = [transport.is_reading()]
    transport.pause_reading()
    seen.append(transport.is_reading())
    transport.resume_reading()
    seen.append(transport.is_reading())
    assert seen == [True, False, True]


@on_loops(PLAIN, DEBUG)
@requirement("ReadTransport.pause_reading/stops-data-received", "ReadTransport.pause_reading/loses-no-data")
async def test_pausing_holds_data_back_and_resuming_delivers_it(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    transport.pause_reading()
    await peer.send(b"patience")
    await turns(loop, 30)
    assert protocol.events == ["made"]
    transport.resume_reading()
    await until(loop, lambda: protocol.data)
    assert protocol.data == b"patience"


@requirement("ReadTransport.resume_reading/restarts-data-received", "ReadTransport.pause_reading/loses-no-data")
async def test_data_that_comes_after_resuming_is_delivered_as_well(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    for n in range(5):
        transport.pause_reading()
        await peer.send(b"<%d" % n)
        await turns(loop)
        transport.resume_reading()
        await peer.send(b"%d>" % n)
        await until(loop, lambda: protocol.data.endswith(b">"))
        await turns(loop, 3)
    assert protocol.data == b"<00><11><22><33><44>"


@requirement("ReadTransport.pause_reading/idempotent-when-paused", "ReadTransport.pause_reading/stops-data-received")
async def test_pausing_twice_needs_one_resume(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    transport.pause_reading()
    transport.pause_reading()
    assert transport.is_reading() is False
    await peer.send(b"once")
    await turns(loop, 20)
    assert protocol.data == b""
    transport.resume_reading()
    assert transport.is_reading() is True
    await until(loop, lambda: protocol.data)
    assert protocol.data == b"once"


@requirement("ReadTransport.resume_reading/idempotent-while-reading")
async def test_resuming_twice_needs_one_pause(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    transport.resume_reading()
    transport.resume_reading()
    await peer.send(b"first")
    await until(loop, lambda: protocol.data)
    transport.pause_reading()
    assert transport.is_reading() is False
    await peer.send(b"second")
    await turns(loop, 20)
    assert protocol.data == b"first"
    transport.resume_reading()
    transport.resume_reading()
    await until(loop, lambda: len(protocol.data) > 5)
    assert protocol.data == b"firstsecond"


@pytest.mark.parametrize("end", ["close", "abort"])
@requirement("ReadTransport.pause_reading/idempotent-when-paused")
async def test_pausing_a_closed_transport_changes_nothing(loop: AbstractEventLoop, stream: Carrier, end: str) -> None:
    transport, protocol, peer = await stream.connect()
    getattr(transport, end)()
    transport.pause_reading()
    await peer.close()
    await until(loop, lambda: protocol.lost)
    transport.pause_reading()
    await turns(loop)
    assert protocol.lost == [None]


@requirement("ReadTransport.pause_reading/stops-data-received", "ReadTransport.pause_reading/loses-no-data")
async def test_a_protocol_that_pauses_with_each_piece_gets_one_for_each_resume(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    class Sipping(Noting):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    transport, protocol, peer = await stream.connect(Sipping)
    sending = loop.create_task(peer.send(TEXT))
    while len(protocol.data) < len(TEXT):
        had = len(protocol.pieces)
        await until(loop, lambda: len(protocol.pieces) > had)  # noqa: B023 - called before the next round
        await turns(loop, 5)
        assert len(protocol.pieces) == had + 1
        transport.resume_reading()
    await sending
    assert protocol.data == TEXT


@OVER_PLAIN
@requirement("ReadTransport.pause_reading/stops-data-received", "ReadTransport.resume_reading/restarts-data-received")
async def test_a_protocol_can_pause_as_soon_as_it_is_connected(loop: AbstractEventLoop, stream: Carrier) -> None:
    class Reserved(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.pause_reading()

    transport, protocol, peer = await stream.connect(Reserved)
    assert transport.is_reading() is False
    await peer.send(b"hello")
    await turns(loop, 20)
    assert protocol.events == ["made"]
    transport.resume_reading()
    await until(loop, lambda: protocol.data)
    assert protocol.data == b"hello"


@OVER_PLAIN
@requirement("ReadTransport.pause_reading/loses-no-data", "Protocol.data_received/never-after-eof")
async def test_what_came_before_the_peers_end_is_delivered_first_after_a_pause(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect()
    transport.pause_reading()
    await peer.send(b"last words")
    await peer.close()
    await turns(loop, 20)
    assert "data" not in protocol.events
    transport.resume_reading()
    await until(loop, lambda: protocol.lost)
    assert (protocol.data, protocol.events) == (b"last words", ["made", "data", "eof", "lost"])


@requirement("ReadTransport.pause_reading/stops-data-received")
async def test_a_paused_transport_still_writes(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    transport.pause_reading()
    await peer.send(b"held")
    transport.write(TEXT)
    assert await peer.read(len(TEXT)) == TEXT
    await turns(loop)
    assert protocol.data == b""
    transport.resume_reading()
    await until(loop, lambda: protocol.data == b"held")


@OVER_BOTH
@requirement("ReadTransport.pause_reading/loses-no-data", "ReadTransport.resume_reading/restarts-data-received")
async def test_pausing_and_resuming_at_once_loses_nothing(loop: AbstractEventLoop, stream: Carrier) -> None:
    class Wavering(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            for _ in range(2):
                self.transport.pause_reading()
                self.transport.resume_reading()

    transport, protocol, peer = await stream.connect(Wavering)
    for start in range(0, 10 * PIECE, PIECE):
        transport.pause_reading()
        transport.resume_reading()
        await peer.send(TEXT[start : start + PIECE])
    await until(loop, lambda: len(protocol.data) >= 10 * PIECE)
    assert protocol.data == TEXT[: 10 * PIECE]


@OVER_BOTH
@requirement("coroutines-and-protocols/tasks-not-awaited-or-ordered")
async def test_the_protocol_does_not_wait_for_tasks_that_its_callbacks_start(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    never = loop.create_future()
    tasks: list[Any] = []

    async def wait() -> None:
        await never

    class Starting(Noting):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            tasks.append(loop.create_task(wait()))

    _, protocol, peer = await stream.connect(Starting)
    for number in 1, 2, 3:
        await peer.send(b"x")
        await until(loop, lambda: len(protocol.pieces) >= number)  # noqa: B023 - called before the next round
    assert [task.done() for task in tasks] == [False] * 3
    never.set_result(None)
    for task in tasks:
        await task
