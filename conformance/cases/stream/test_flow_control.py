"""Flow control both ways: ``drain()`` waits for a slow peer, and an unread reader holds its peer back."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.buffers import more_than_fits
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.streams import PLAIN_KINDS, TCP_KINDS, at_once, held_back, taken
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable

    from conformance.support.streams import StreamMaker

# A reader's limit below any socket buffer.
LIMIT = 1024

# In pieces: what TLS has encrypted counts no more as its own buffer, be it ever so much. Each is more than the system
# takes, so that it is still taking the first when the last is written.
WRITES: dict[str, Callable[[Any, bytes], object]] = {
    "write": lambda writer, piece: [writer.write(piece) for _ in range(PIECES)],
    "writelines": lambda writer, piece: [writer.writelines([piece] * 2) for _ in range(0, PIECES, 2)],
}
PIECES = 4


async def waits(loop: AbstractEventLoop, task: Task[Any]) -> bool:
    """Whether ``task`` has not ended though all that was ready has run."""
    await turns(loop, 20)
    return not task.done()


@requirement("StreamWriter.drain/is-coroutine")
def test_drain_is_a_coroutine_function_without_parameters(aio: Any) -> None:
    assert inspect.iscoroutinefunction(aio.StreamWriter.drain) is True
    assert list(inspect.signature(aio.StreamWriter.drain).parameters) == ["self"]


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("how", WRITES)
@requirement("StreamWriter.drain/waits-until-low-mark", "StreamWriter.drain/lets-loop-flush-data")
async def test_drain_waits_while_the_buffer_is_too_full_and_the_loop_sends(
    loop: AbstractEventLoop, streams: StreamMaker, how: str
) -> None:
    _, writer, peer = await streams.connect()
    low, _ = writer.transport.get_write_buffer_limits()
    piece = b"x" * more_than_fits(writer.transport, peer)
    WRITES[how](writer, piece)
    draining = loop.create_task(writer.drain())
    assert await waits(loop, draining)
    reading = loop.create_task(peer.read(PIECES * len(piece)))
    assert await draining is None
    assert writer.transport.get_write_buffer_size() <= low
    assert await reading == PIECES * piece


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("streams", ["socketpair"], indirect=True)
@requirement("StreamWriter.drain/waits-until-low-mark")
async def test_drain_returns_at_the_low_mark_and_neither_before_nor_long_after(
    loop: AbstractEventLoop, streams: StreamMaker
) -> None:
    _, writer, peer = await streams.connect()
    transport = writer.transport
    much = more_than_fits(transport, peer)
    transport.set_write_buffer_limits(high=2 * much, low=much)
    writer.write(b"x" * 4 * much)
    draining = loop.create_task(writer.drain())
    assert await waits(loop, draining)
    while transport.get_write_buffer_size() > much:
        assert draining.done() is False
        await peer.read(much // 4)
        await turns(loop)
    await until(loop, draining.done)
    # A socket pair's own buffers take far less than what lies between the low mark and none.
    assert 0 < transport.get_write_buffer_size() <= much


@pytest.mark.parametrize("streams", ["socketpair"], indirect=True)
@requirement("StreamWriter.drain/waits-until-low-mark")
async def test_drain_waits_above_the_high_mark_only(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    much = more_than_fits(writer.transport, peer)
    writer.transport.set_write_buffer_limits(high=2 * much, low=much)
    writer.write(b"x" * 2 * much)
    draining = loop.create_task(writer.drain())
    assert not await waits(loop, draining)
    writer.write(b"x" * 3 * much)
    draining = loop.create_task(writer.drain())
    assert await waits(loop, draining)
    assert len(await peer.read(5 * much)) == 5 * much
    await draining


@on_loops(PLAIN, DEBUG)
@requirement("StreamWriter.drain/waits-until-low-mark")
async def test_everybody_who_waits_in_drain_goes_on(
    loop: AbstractEventLoop, aio: Any, tcp_streams: StreamMaker
) -> None:
    _, writer, peer = await tcp_streams.connect()
    much = b"x" * more_than_fits(writer.transport, peer)
    writer.write(much)
    drains = [loop.create_task(writer.drain()) for _ in range(3)]
    await turns(loop)
    drains[1].cancel()
    await aio.wait([drains[1]])
    assert [drain.done() for drain in drains] == [False, True, False]
    reading = loop.create_task(peer.read(len(much)))
    assert [await drains[0], await drains[2]] == [None, None]
    assert await reading == much


# The buffers of a TCP connection grow as its peer reads.
@pytest.mark.parametrize("streams", ["socketpair"], indirect=True)
@requirement("StreamWriter.drain/waits-until-low-mark")
async def test_drain_waits_as_often_as_the_buffer_is_too_full(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    much = b"x" * more_than_fits(writer.transport, peer)
    for _ in range(3):
        writer.write(much)
        draining = loop.create_task(writer.drain())
        assert await waits(loop, draining)
        assert await peer.read(len(much)) == much
        await draining


@requirement("StreamWriter.drain/returns-immediately-when-idle")
async def test_drain_returns_when_nothing_is_to_be_sent(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    _, writer, _ = await streams.connect()
    assert await writer.drain() is None
    writer.write(b"a little")
    draining = loop.create_task(writer.drain())
    assert not await waits(loop, draining)


@requirement("StreamWriter.drain/skips-yield-below-mark")
async def test_drain_below_the_mark_does_not_give_way_to_the_loop(streams: StreamMaker) -> None:
    _, writer, _ = await streams.connect()
    assert at_once(writer.drain()) is None
    writer.write(b"a little")
    assert at_once(writer.drain()) is None


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("streams", TCP_KINDS, indirect=True)
@requirement("StreamWriter.drain/raises-on-lost-connection")
async def test_everybody_who_waits_in_drain_learns_that_the_connection_is_lost(
    loop: AbstractEventLoop, aio: Any, streams: StreamMaker
) -> None:
    _, writer, peer = await streams.connect()
    much = b"x" * more_than_fits(writer.transport, peer)
    writer.write(much)
    drains = [loop.create_task(writer.drain()) for _ in range(2)]
    assert await waits(loop, drains[0])
    await peer.reset()
    outcomes = await aio.gather(*drains, return_exceptions=True)
    assert [isinstance(outcome, ConnectionError) for outcome in outcomes] == [True, True]


@pytest.mark.parametrize("streams", TCP_KINDS, indirect=True)
@requirement("StreamWriter.drain/raises-on-lost-connection")
async def test_drain_raises_after_the_connection_was_lost(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    await peer.reset()
    await until(loop, writer.is_closing)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await writer.drain()


@pytest.mark.parametrize("streams", PLAIN_KINDS, indirect=True)
@requirement("StreamWriter.drain/raises-on-lost-connection")
async def test_drain_of_a_stream_that_was_closed_raises_once_the_connection_is_gone(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    writer.close()
    assert await peer.read_until_eof() == b""
    # Which of the calls is the first to raise is left open: each gives way to the loop, which has something to do.
    with pytest.raises(ConnectionError):  # noqa: PT012
        for _ in range(100):
            await writer.drain()


@on_loops(PLAIN, DEBUG)
@requirement("StreamReader/pauses-transport-over-limit")
async def test_a_peer_is_held_back_while_nobody_reads_and_goes_on_when_somebody_does(
    loop: AbstractEventLoop, streams: StreamMaker
) -> None:
    reader, writer, peer = await streams.connect(limit=LIMIT)
    much = b"x" * more_than_fits(writer.transport, peer)
    sending = loop.create_task(peer.send(much))
    await until(loop, lambda: not writer.transport.is_reading())
    assert await reader.readexactly(len(much)) == much
    await sending
    await until(loop, writer.transport.is_reading)


# The buffers of a TCP connection may grow beyond whatever is sent.
@pytest.mark.parametrize("streams", ["socketpair", "unix-server"], indirect=True)
@requirement("StreamReader/pauses-transport-over-limit")
async def test_a_peer_that_is_held_back_comes_to_a_standstill(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    reader, writer, peer = await streams.connect(limit=LIMIT)
    much = b"x" * more_than_fits(writer.transport, peer)
    sending = loop.create_task(peer.send(much))
    assert await held_back(loop, sending, peer.sock)
    assert await reader.readexactly(len(much)) == much
    await sending


@requirement("StreamReader/pauses-transport-over-limit")
async def test_a_reader_within_its_limit_does_not_hold_its_peer_back(
    loop: AbstractEventLoop, tcp_streams: StreamMaker
) -> None:
    reader, writer, peer = await tcp_streams.connect(limit=LIMIT)
    await peer.send(b"x" * LIMIT)
    await taken(loop, writer)
    assert writer.transport.is_reading() is True
    assert len(await reader.read(LIMIT)) == LIMIT


@pytest.mark.parametrize("how", ["read", "readexactly", "readline", "readuntil"])
@requirement("StreamReader/pauses-transport-over-limit")
async def test_whatever_takes_the_unread_data_lets_the_peer_go_on(
    loop: AbstractEventLoop, tcp_streams: StreamMaker, how: str
) -> None:
    reader, writer, peer = await tcp_streams.connect(limit=LIMIT)
    reads = {
        "read": lambda: reader.read(100),
        "readexactly": lambda: reader.readexactly(100),
        "readline": reader.readline,
        "readuntil": lambda: reader.readuntil(b"x\n"),
    }
    line = b"x" * 99 + b"\n"
    lines = 1000
    sending = loop.create_task(peer.send(line * lines))
    await until(loop, lambda: not writer.transport.is_reading())
    while not writer.transport.is_reading():
        assert await reads[how]() == line
        lines -= 1
    assert await reader.readexactly(lines * len(line)) == line * lines
    await sending


@requirement("StreamReader/pauses-transport-over-limit")
async def test_the_end_is_not_lost_behind_data_that_nobody_read(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    reader, writer, peer = await streams.connect(limit=LIMIT)
    much = b"x" * more_than_fits(writer.transport, peer)
    sending = loop.create_task(peer.send(much))
    await until(loop, lambda: not writer.transport.is_reading())
    reading = loop.create_task(reader.read())
    await sending
    await peer.end()
    assert await reading == much
