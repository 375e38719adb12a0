"""Receiving into buffers of the protocol's own: ``BufferedProtocol``."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.buffers import more_than_fits
from conformance.support.connections import OVER_BOTH, OVER_PLAIN
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.protocols import BufferedRecorder
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from conformance.support.connections import Carrier

# No two of its parts are alike, so that nothing can change places unseen.
TEXT = b"".join(b"%05d " % n for n in range(4000))


def viewing(size: int = 1000) -> Any:
    """A recorder whose buffer is a view: over TLS, some interpreters fill nothing else."""
    protocol: Any = BufferedRecorder(size)
    protocol.buffer = memoryview(protocol.buffer)
    return protocol


@on_loops(PLAIN, DEBUG)
@requirement(
    "BufferedProtocol/usable-as-streaming-protocol",
    "BufferedProtocol.buffer_updated/receives-byte-count",
    "BufferedProtocol.get_buffer/called-before-each-receive",
)
async def test_a_buffered_protocol_gets_everything_in_order(loop: AbstractEventLoop, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect(viewing)
    await peer.send(TEXT)
    await until(loop, lambda: len(protocol.data) >= len(TEXT))
    assert protocol.data == TEXT


@OVER_PLAIN
@requirement("BufferedProtocol.get_buffer/called-before-each-receive", "BufferedProtocol/usable-as-streaming-protocol")
async def test_a_bytearray_will_do_for_a_buffer(loop: AbstractEventLoop, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect(BufferedRecorder)
    await peer.send(TEXT)
    await until(loop, lambda: len(protocol.data) >= len(TEXT))
    assert protocol.data == TEXT


@requirement("BufferedProtocol.get_buffer/requires-buffer-protocol")
async def test_a_bytearray_will_do_for_a_buffer_whatever_encrypts(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect(lambda: BufferedRecorder(100))
    # Two messages, which one buffer is filled from.
    transport.pause_reading()
    for piece in b"x" * 40, b"y" * 40:
        await peer.send(piece)
    transport.resume_reading()
    await until(loop, lambda: len(protocol.data) >= 80)
    assert protocol.data == b"x" * 40 + b"y" * 40


@requirement("BufferedProtocol.get_buffer/called-before-each-receive")
async def test_the_hint_is_a_size_or_minus_one(loop: AbstractEventLoop, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect(viewing)
    await peer.send(TEXT)
    await until(loop, lambda: len(protocol.data) >= len(TEXT))
    assert {type(hint) for hint in protocol.hints} == {int}
    assert min(protocol.hints) >= -1


@requirement("BufferedProtocol.buffer_updated/receives-byte-count")
async def test_the_count_is_what_was_written_from_the_buffers_beginning(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    class Clean(BufferedRecorder):
        """Wipes its buffer before each receive and checks what was not to be touched."""

        untouched = True

        def get_buffer(self, sizehint: int) -> Any:
            self.buffer[:] = b"\xff" * len(self.buffer)
            super().get_buffer(sizehint)
            return memoryview(self.buffer)

        def buffer_updated(self, nbytes: int) -> None:
            super().buffer_updated(nbytes)
            self.untouched = self.untouched and not self.buffer[nbytes:].strip(b"\xff")

    _, protocol, peer = await stream.connect(lambda: Clean(500))
    for size in 1, 10, 499, 500, 501, 4000:
        await peer.send(TEXT[:size])
        await until(loop, lambda: len(protocol.data) >= size)  # noqa: B023 - called before the next round
        assert protocol.data == TEXT[:size]
        assert protocol.untouched
        protocol.data.clear()
    assert {type(count) for count in protocol.counts} == {int}
    assert (min(protocol.counts), max(protocol.counts)) == (1, 500)


@requirement(
    "BufferedProtocol.buffer_updated/follows-get-buffer", "BufferedProtocol.eof_received/follows-state-machine"
)
async def test_every_receive_is_told_after_the_call_that_gave_its_buffer(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    _, protocol, peer = await stream.connect(viewing)
    for _ in range(5):
        await peer.send(TEXT[:3000])
        await turns(loop)
    await until(loop, lambda: len(protocol.data) >= 15_000)
    await peer.close()
    await until(loop, lambda: protocol.lost)
    events = protocol.events
    before = {events[at - 1] for at, event in enumerate(events) if event == "updated"}
    assert before == {"get"}
    assert (events[0], events[-1], events.count("eof")) == ("made", "lost", 1)
    assert "updated" not in events[events.index("eof") :]


@requirement("BufferedProtocol.buffer_updated/follows-get-buffer")
async def test_each_receive_fills_the_buffer_given_last(loop: AbstractEventLoop, stream: Carrier) -> None:
    class Alternating(BufferedRecorder):
        """Gives one of two buffers by turns."""

        def __init__(self) -> None:
            super().__init__(50)
            self.other = bytearray(50)

        def get_buffer(self, sizehint: int) -> Any:
            self.buffer, self.other = self.other, self.buffer
            super().get_buffer(sizehint)
            return memoryview(self.buffer)

    _, protocol, peer = await stream.connect(Alternating)
    await peer.send(TEXT)
    await until(loop, lambda: len(protocol.data) >= len(TEXT))
    assert protocol.data == TEXT


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
@requirement("BufferedProtocol.get_buffer/accepts-any-buffer-size")
async def test_a_buffer_may_be_of_any_size(loop: AbstractEventLoop, stream: Carrier, size: int) -> None:
    _, protocol, peer = await stream.connect(lambda: viewing(size))
    await peer.send(TEXT[:2000])
    await until(loop, lambda: len(protocol.data) >= 2000)
    assert protocol.data == TEXT[:2000]
    assert max(protocol.counts) <= size


@OVER_PLAIN
@pytest.mark.parametrize("size", [1, 7, 1_000_000])
@requirement("BufferedProtocol.get_buffer/accepts-any-buffer-size", "BufferedProtocol.eof_received/once-only-and-last")
async def test_a_small_buffer_gets_everything_before_the_end(
    loop: AbstractEventLoop, stream: Carrier, size: int
) -> None:
    _, protocol, peer = await stream.connect(lambda: viewing(size))
    await peer.send(TEXT[:500])
    await peer.close()
    await until(loop, lambda: protocol.lost)
    assert protocol.data == TEXT[:500]


@OVER_PLAIN
@requirement("BufferedProtocol.get_buffer/accepts-any-buffer-size")
async def test_a_buffer_may_change_its_size_with_each_call(loop: AbstractEventLoop, stream: Carrier) -> None:
    class Varying(BufferedRecorder):
        def get_buffer(self, sizehint: int) -> Any:
            self.buffer = bytearray(1 + len(self.hints) % 50)
            return super().get_buffer(sizehint)

    _, protocol, peer = await stream.connect(Varying)
    await peer.send(TEXT)
    await until(loop, lambda: len(protocol.data) >= len(TEXT))
    assert protocol.data == TEXT


BUFFERS: dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(64),
    "memoryview": lambda: memoryview(bytearray(64)),
    "part-of-a-memoryview": lambda: memoryview(bytearray(100))[10:74],
    "array-of-bytes": lambda: array("B", bytes(64)),
    "array-of-words": lambda: array("I", bytes(256)),
}


@OVER_PLAIN
@pytest.mark.parametrize("kind", BUFFERS)
@requirement("BufferedProtocol.get_buffer/requires-buffer-protocol")
async def test_whatever_has_the_buffer_protocol_will_do(loop: AbstractEventLoop, stream: Carrier, kind: str) -> None:
    class Own(BufferedRecorder):
        own: Any

        def get_buffer(self, sizehint: int) -> Any:
            super().get_buffer(sizehint)
            self.own = BUFFERS[kind]()
            return self.own

        def buffer_updated(self, nbytes: int) -> None:
            self.data += memoryview(self.own).cast("B")[:nbytes]

    _, protocol, peer = await stream.connect(Own)
    await peer.send(TEXT[:1000])
    await until(loop, lambda: len(protocol.data) >= 1000)
    assert protocol.data == TEXT[:1000]


async def refuses(loop: AbstractEventLoop, stream: Carrier, buffer: Any, reported: list[dict[str, Any]]) -> None:
    """Whether receiving into ``buffer`` is an error: one that is reported, or that ends the connection."""
    transport, protocol, peer = await stream.connect(BufferedRecorder)
    protocol.buffer = buffer
    await peer.send(b"data")
    await until(loop, lambda: reported or any(protocol.lost))
    await turns(loop, 20)
    assert "updated" not in protocol.events
    transport.abort()
    await until(loop, lambda: protocol.lost)


@OVER_PLAIN
@pytest.mark.parametrize("buffer", [bytearray(), memoryview(bytearray())], ids=["bytearray", "memoryview"])
@requirement("BufferedProtocol.get_buffer/rejects-empty-buffer")
async def test_a_buffer_without_room_is_an_error(
    loop: AbstractEventLoop, stream: Carrier, reported: list[dict[str, Any]], buffer: Any
) -> None:
    await refuses(loop, stream, buffer, reported)


@OVER_BOTH
@pytest.mark.parametrize("buffer", ["text", None, 5, [1, 2, 3]], ids=["str", "none", "int", "list"])
@requirement("BufferedProtocol.get_buffer/requires-buffer-protocol")
async def test_what_is_no_buffer_is_an_error(
    loop: AbstractEventLoop, stream: Carrier, reported: list[dict[str, Any]], buffer: Any
) -> None:
    await refuses(loop, stream, buffer, reported)


@OVER_PLAIN
@requirement("BufferedProtocol.eof_received/once-only-and-last", "BufferedProtocol.eof_received/follows-state-machine")
async def test_the_end_of_the_stream_comes_once_and_last(loop: AbstractEventLoop, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect(viewing)
    await peer.send(b"last words")
    await until(loop, lambda: protocol.data == b"last words")
    await peer.close()
    await until(loop, lambda: protocol.lost)
    await turns(loop)
    assert (protocol.events[-2:], protocol.events.count("eof")) == (["eof", "lost"], 1)
    assert protocol.lost == [None]


@OVER_PLAIN
@requirement("BufferedProtocol.eof_received/once-only-and-last", "BufferedProtocol/usable-as-streaming-protocol")
async def test_a_buffered_protocol_can_keep_its_transport_open(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect(lambda: BufferedRecorder(keep_open=True))
    await peer.end()
    await until(loop, lambda: "eof" in protocol.events)
    await turns(loop, 20)
    assert (protocol.events[-1], transport.is_closing()) == ("eof", False)
    transport.write(b"still here")
    transport.close()
    assert await peer.read_until_eof() == b"still here"
    await until(loop, lambda: protocol.lost)
    assert protocol.events[-2:] == ["eof", "lost"]


@OVER_BOTH
@requirement("BufferedProtocol/usable-as-streaming-protocol", "ReadTransport.pause_reading/stops-data-received")
async def test_a_buffered_protocol_that_pauses_gets_nothing_until_it_resumes(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect(viewing)
    transport.pause_reading()
    await peer.send(b"held")
    await turns(loop, 20)
    assert "updated" not in protocol.events
    transport.resume_reading()
    await until(loop, lambda: protocol.data == b"held")


@OVER_BOTH
@requirement("BufferedProtocol/usable-as-streaming-protocol")
async def test_a_buffered_protocol_writes_and_is_paused_like_any_other(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect(viewing)
    much = 3 * more_than_fits(transport, peer)
    transport.set_write_buffer_limits(high=1000)
    for _ in range(2):
        transport.write(b"x" * much)
    assert "pause" in protocol.events
    await peer.read(2 * much)
    await until(loop, lambda: "resume" in protocol.events)


@OVER_BOTH
@pytest.mark.parametrize("callback", ["get_buffer", "buffer_updated"])
@requirement("BufferedProtocol/usable-as-streaming-protocol", "protocols-general/connection-callbacks-once-only")
async def test_a_buffered_protocol_that_fails_is_reported_and_lost_once(
    loop: AbstractEventLoop, stream: Carrier, reported: list[dict[str, Any]], callback: str
) -> None:
    class Failing(BufferedRecorder):
        failing = ""

        def get_buffer(self, sizehint: int) -> Any:
            if self.failing == "get_buffer":
                raise ZeroDivisionError("on purpose")
            return super().get_buffer(sizehint)

        def buffer_updated(self, nbytes: int) -> None:
            if self.failing == "buffer_updated":
                raise ZeroDivisionError("on purpose")
            super().buffer_updated(nbytes)

    transport, protocol, peer = await stream.connect(Failing)
    protocol.failing = callback
    await peer.send(b"x")
    await until(loop, lambda: reported)
    transport.abort()
    await until(loop, lambda: protocol.lost)
    await turns(loop)
    assert len(protocol.lost) == 1
