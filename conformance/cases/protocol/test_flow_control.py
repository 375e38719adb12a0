"""The write buffer and its marks: ``set_write_buffer_limits()``, ``pause_writing()``, ``resume_writing()``.

How exactly the marks are kept shows only where one buffer holds everything, which is without TLS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from conformance.support.buffers import more_than_fits
from conformance.support.connections import OVER_BOTH, OVER_PLAIN
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.protocols import Recorder
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.connections import Carrier, Remote

# A high mark that nothing here reaches.
UNREACHABLE = 1024**3
# Rounds in which a producer meets full and empty buffers by turns.
ROUNDS = 20


class Watching(Recorder):
    """Notes the size of the buffer whenever it is asked to pause or to resume."""

    def __init__(self) -> None:
        super().__init__()
        self.paused_at: list[int] = []
        self.resumed_at: list[int] = []

    def pause_writing(self) -> None:
        super().pause_writing()
        self.paused_at.append(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self.resumed_at.append(self.transport.get_write_buffer_size())


class Filled(NamedTuple):
    """A connection whose transport was given ``size`` bytes: three times what fits beneath it."""

    transport: Any
    protocol: Watching
    peer: Remote
    size: int


async def fill(stream: Carrier) -> Filled:
    """A connection whose transport has something in its buffer, while its high mark is out of reach."""
    transport, protocol, peer = await stream.connect(Watching)
    much = 3 * more_than_fits(transport, peer)
    transport.set_write_buffer_limits(high=UNREACHABLE)
    transport.write(b"x" * much)
    return Filled(transport, protocol, peer, much)


@requirement("WriteTransport.get_write_buffer_size/returns-buffered-byte-count")
async def test_a_buffer_that_nothing_was_written_to_is_empty(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    assert transport.get_write_buffer_size() == 0


@OVER_PLAIN
@requirement("WriteTransport.get_write_buffer_size/returns-buffered-byte-count")
async def test_the_buffer_holds_what_the_system_does_not_take(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, _, peer, much = await fill(stream)
    size = transport.get_write_buffer_size()
    assert 0 < size <= much
    for number in 1, 10, 1000:
        transport.write(b"y" * number)
        size += number
        assert transport.get_write_buffer_size() == size
    await peer.read(much + 1011)
    await until(loop, lambda: transport.get_write_buffer_size() == 0)


@OVER_PLAIN
@requirement("WriteTransport.get_write_buffer_size/returns-buffered-byte-count")
async def test_the_buffer_shrinks_by_no_more_than_was_read(loop: AbstractEventLoop, stream: Carrier) -> None:
    # Whatever has left the transport is with the system or with the peer; together they lose and invent nothing.
    transport, _, peer, much = await fill(stream)
    await turns(loop, 20)
    before = transport.get_write_buffer_size()
    received = len(await peer.read(much // 3))
    await until(loop, lambda: transport.get_write_buffer_size() < before)
    assert transport.get_write_buffer_size() <= much - received
    await peer.read(much - received)
    await until(loop, lambda: transport.get_write_buffer_size() == 0)


@requirement(
    "WriteTransport.get_write_buffer_limits/returns-low-high-pair",
    "WriteTransport.set_write_buffer_limits/defaults-implementation-specific",
)
async def test_a_transport_begins_with_limits_in_their_order(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    limits = transport.get_write_buffer_limits()
    assert (type(limits), [type(limit) for limit in limits]) == (tuple, [int, int])
    assert 0 <= limits[0] <= limits[1]


@requirement(
    "WriteTransport.get_write_buffer_limits/reflects-set-limits",
    "WriteTransport.get_write_buffer_limits/returns-low-high-pair",
    "WriteTransport.set_write_buffer_limits/accepts-high-and-low",
)
async def test_limits_are_given_in_any_form_and_read_back(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    seen = []
    for positional, keywords in (
        ((1000, 10), {}),
        ((2000,), {"low": 20}),
        ((), {"high": 3000, "low": 30}),
        ((500, 500), {}),
        ((40, 0), {}),
        ((0, 0), {}),
    ):
        transport.set_write_buffer_limits(*positional, **keywords)
        seen.append(transport.get_write_buffer_limits())
    assert seen == [(10, 1000), (20, 2000), (30, 3000), (500, 500), (0, 40), (0, 0)]


@requirement("WriteTransport.set_write_buffer_limits/derives-low-from-high")
async def test_a_missing_low_limit_is_derived_from_the_high_one(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    for high in 1, 3, 4000, 10_000_000:
        transport.set_write_buffer_limits(high=high)
        low, read_back = transport.get_write_buffer_limits()
        assert read_back == high
        assert 0 <= low <= high


@requirement(
    "WriteTransport.set_write_buffer_limits/defaults-implementation-specific",
    "WriteTransport.set_write_buffer_limits/accepts-high-and-low",
)
@pytest.mark.parametrize("arguments", [(), (None,), (None, None)], ids=["nothing", "none", "nones"])
async def test_without_limits_the_loops_own_apply(stream: Carrier, arguments: tuple[None, ...]) -> None:
    # What they are is the loop's affair, but not that of the limits that were set before.
    transport, _, _ = await stream.connect()
    seen = []
    for limits in (7, 3), (10_000_000, 9_000_000):
        transport.set_write_buffer_limits(*limits)
        transport.set_write_buffer_limits(*arguments)
        seen.append(transport.get_write_buffer_limits())
    assert seen[0] == seen[1]
    assert 0 <= seen[0][0] <= seen[0][1]


@pytest.mark.parametrize(("high", "low"), [(10, 11), (0, 1), (65536, 65537)])
@OVER_BOTH
@requirement("WriteTransport.set_write_buffer_limits/rejects-low-above-high")
async def test_a_low_limit_above_the_high_one_is_refused(stream: Carrier, high: int, low: int) -> None:
    transport, _, _ = await stream.connect()
    with pytest.raises(ValueError, match=r".*"):
        transport.set_write_buffer_limits(high=high, low=low)


@pytest.mark.parametrize(
    "limits", [{"high": -1}, {"low": -1}, {"high": 10, "low": -1}, {"high": -1, "low": -2}], ids=repr
)
@OVER_BOTH
@requirement("WriteTransport.set_write_buffer_limits/rejects-negative-limits")
async def test_a_negative_limit_is_refused(stream: Carrier, limits: dict[str, int]) -> None:
    transport, _, _ = await stream.connect()
    with pytest.raises(ValueError, match=r".*"):
        transport.set_write_buffer_limits(**limits)


@on_loops(PLAIN, DEBUG)
@requirement(
    "WriteTransport.set_write_buffer_limits/pauses-once-over-high",
    "BaseProtocol.resume_writing/at-or-below-low-mark",
    "BaseProtocol.resume_writing/paired-with-pause-writing",
)
async def test_a_protocol_that_writes_too_much_is_paused_and_resumed_when_the_peer_reads(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect()
    block = b"x" * more_than_fits(transport, peer)
    written = 0
    # The first blocks may fill only what is beneath the buffer that counts.
    while "pause" not in protocol.events and written < 12 * len(block):
        transport.write(block)
        written += len(block)
    assert protocol.events == ["made", "pause"]
    await turns(loop, 20)
    assert protocol.events == ["made", "pause"]
    assert len(await peer.read(written)) == written
    await until(loop, lambda: "resume" in protocol.events)
    await turns(loop)
    assert protocol.events == ["made", "pause", "resume"]


@requirement("BaseProtocol.resume_writing/paired-with-pause-writing", "BaseProtocol.pause_writing/once-per-crossing")
async def test_a_producer_that_obeys_is_paused_and_resumed_by_turns(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    more_than_fits(transport, peer)
    transport.set_write_buffer_limits(high=100_000, low=20_000)
    reading = loop.create_task(peer.read(ROUNDS * 65536))
    for _ in range(ROUNDS):
        await until(loop, lambda: protocol.events[-1] != "pause")
        transport.write(b"x" * 65536)
    assert (await reading).count(b"x") == ROUNDS * 65536
    await until(loop, lambda: protocol.events[-1] != "pause")
    signals = protocol.events[1:]
    assert signals == ["pause", "resume"] * (len(signals) // 2)


@OVER_PLAIN
@requirement("BaseProtocol.pause_writing/strictly-above-high-mark")
async def test_a_buffer_at_the_high_mark_pauses_nobody_and_one_byte_more_does(stream: Carrier) -> None:
    transport, protocol, _, _ = await fill(stream)
    transport.set_write_buffer_limits(high=transport.get_write_buffer_size() + 10)
    transport.write(b"y" * 9)
    transport.write(b"y")
    assert protocol.events == ["made"]
    transport.write(b"z")
    assert protocol.events == ["made", "pause"]
    assert protocol.paused_at == [transport.get_write_buffer_limits()[1] + 1]


@OVER_PLAIN
@requirement("WriteTransport.set_write_buffer_limits/pauses-once-over-high")
async def test_writelines_pauses_a_protocol_like_write(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    block = b"x" * more_than_fits(transport, peer)
    transport.writelines([block] * 3)
    assert protocol.events == ["made", "pause"]
    await peer.read(3 * len(block))
    await until(loop, lambda: "resume" in protocol.events)


@OVER_PLAIN
@requirement("BaseProtocol.pause_writing/once-per-crossing")
async def test_a_buffer_that_grows_on_pauses_its_protocol_once(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, _, much = await fill(stream)
    transport.set_write_buffer_limits(high=transport.get_write_buffer_size())
    # So much above the mark that what the system still takes brings it not back there.
    transport.write(b"y" * (much // 3))
    for _ in range(5):
        transport.write(b"y" * 1000)
        transport.writelines([b"y"] * 100)
        await turns(loop, 2)
    assert protocol.events == ["made", "pause"]


@OVER_PLAIN
@pytest.mark.parametrize("low", [0, 1000, 100_000])
@requirement(
    "BaseProtocol.resume_writing/at-or-below-low-mark",
    "WriteTransport.set_write_buffer_limits/zero-low-resumes-when-empty",
)
async def test_the_protocol_is_resumed_when_no_more_than_the_low_mark_is_left(
    loop: AbstractEventLoop, stream: Carrier, low: int
) -> None:
    # Between the marks lies more than is sent at once, so that a buffer on its way down is seen there.
    transport, protocol, peer = await stream.connect(Watching)
    block = more_than_fits(transport, peer)
    transport.set_write_buffer_limits(high=2 * block, low=low)
    for _ in range(2):
        transport.write(b"x" * 3 * block)
        await peer.read(3 * block)
        await until(loop, lambda: protocol.events[-1] == "resume")
    assert protocol.events == ["made", *["pause", "resume"] * 2]
    assert max(protocol.resumed_at) <= low


@requirement(
    "BaseProtocol.resume_writing/at-or-below-low-mark",
    "WriteTransport.set_write_buffer_limits/zero-low-resumes-when-empty",
)
async def test_with_a_low_limit_of_zero_nothing_is_buffered_when_writing_resumes(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect(Watching)
    more_than_fits(transport, peer)
    transport.set_write_buffer_limits(high=100_000, low=0)
    reading = loop.create_task(peer.read(ROUNDS * 131_072))
    for _ in range(ROUNDS):
        await until(loop, lambda: protocol.events[-1] != "pause")
        transport.write(b"x" * 65_536)
        transport.write(b"x" * 65_536)
    await reading
    await until(loop, lambda: protocol.events[-1] != "pause")
    assert set(protocol.resumed_at) <= {0}


@OVER_PLAIN
@requirement("WriteTransport.set_write_buffer_limits/zero-high-zeroes-low")
async def test_with_a_high_limit_of_zero_any_buffered_byte_pauses(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect(Watching)
    much = more_than_fits(transport, peer)
    transport.set_write_buffer_limits(high=0)
    assert transport.get_write_buffer_limits() == (0, 0)
    for _ in range(2):
        transport.write(b"x" * much)
        assert protocol.events[-1] == "pause"
        await peer.read(much)
        await until(loop, lambda: protocol.events[-1] == "resume")
    assert (protocol.events, protocol.resumed_at) == (["made", *["pause", "resume"] * 2], [0, 0])


@requirement("WriteTransport.set_write_buffer_limits/zero-high-zeroes-low")
async def test_a_high_limit_of_zero_alone_zeroes_both(stream: Carrier) -> None:
    transport, _, _ = await stream.connect()
    transport.set_write_buffer_limits(0)
    assert transport.get_write_buffer_limits() == (0, 0)


@OVER_PLAIN
@requirement("WriteTransport.set_write_buffer_limits/governs-write-pausing")
async def test_higher_limits_let_a_protocol_write_more_before_it_is_paused(stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    much = 3 * more_than_fits(transport, peer)
    transport.set_write_buffer_limits(high=2 * much)
    transport.write(b"x" * much)
    assert protocol.events == ["made"]
    transport.write(b"x" * 2 * much)
    assert protocol.events == ["made", "pause"]


@requirement("WriteTransport.set_write_buffer_limits/governs-write-pausing")
async def test_limits_set_on_a_filled_transport_pause_its_next_write(stream: Carrier) -> None:
    transport, protocol, _, much = await fill(stream)
    transport.write(b"x" * (much // 3))
    assert protocol.events == ["made"]
    transport.set_write_buffer_limits(high=10)
    transport.write(b"x" * 100)
    assert protocol.events == ["made", "pause"]


@OVER_PLAIN
@requirement(
    "WriteTransport.set_write_buffer_limits/governs-write-pausing", "BaseProtocol.resume_writing/at-or-below-low-mark"
)
async def test_a_raised_low_limit_resumes_a_paused_protocol_earlier(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect(Watching)
    block = more_than_fits(transport, peer)
    transport.set_write_buffer_limits(high=10, low=0)
    transport.write(b"x" * 3 * block)
    assert protocol.events == ["made", "pause"]
    transport.set_write_buffer_limits(high=6 * block, low=2 * block)
    await peer.read(2 * block)
    await until(loop, lambda: "resume" in protocol.events)
    assert len(await peer.read(block)) == block


@OVER_PLAIN
@requirement("BaseProtocol.resume_writing/paired-with-pause-writing", "BaseTransport.close/flushes-buffer-first")
async def test_a_paused_protocol_that_closes_hears_nothing_after_the_end(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect()
    much = more_than_fits(transport, peer)
    transport.write(b"x" * much)
    transport.close()
    assert len(await peer.read_until_eof()) == much
    await until(loop, lambda: protocol.lost)
    await turns(loop)
    assert protocol.events[-1] == "lost"
    assert protocol.events.count("resume") <= protocol.events.count("pause") == 1


@requirement("BaseProtocol.connection_lost/last-callback", "BaseProtocol.resume_writing/paired-with-pause-writing")
async def test_a_paused_protocol_that_aborts_hears_of_the_end_last(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    for _ in range(2):
        transport.write(b"x" * more_than_fits(transport, peer))
    transport.abort()
    await until(loop, lambda: protocol.lost)
    await turns(loop)
    assert (protocol.events[:2], protocol.events[-1]) == (["made", "pause"], "lost")
    assert protocol.events.count("resume") <= 1


@OVER_BOTH
@requirement("BaseProtocol.resume_writing/paired-with-pause-writing", "WriteTransport.write/fifo-order")
async def test_a_protocol_can_write_while_it_is_told_to_pause_or_to_resume(stream: Carrier) -> None:
    class Obstinate(Recorder):
        def pause_writing(self) -> None:
            super().pause_writing()
            self.transport.write(b"<")

        def resume_writing(self) -> None:
            super().resume_writing()
            self.transport.write(b">")

    transport, protocol, peer = await stream.connect(Obstinate)
    much = more_than_fits(transport, peer)
    transport.set_write_buffer_limits(high=100_000, low=0)
    for _ in range(2):
        transport.write(b"x" * much)
    received = await peer.read(2 * much + 2)
    assert (received.count(b"x"), received.translate(None, b"x")) == (2 * much, b"<>")
    assert protocol.events == ["made", "pause", "resume"]
