"""Streams put together by hand, as the 3.6 documentation shows, and what a namespace alone answers for.

The transport is a stand-in that writes down what it is asked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.streams import at_once
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

READS: dict[str, Callable[[Any], Any]] = {
    "read": lambda reader: reader.read(),
    "read-some": lambda reader: reader.read(1),
    "readline": lambda reader: reader.readline(),
    "readexactly": lambda reader: reader.readexactly(1),
    "readuntil": lambda reader: reader.readuntil(b";"),
}


class StandIn(asyncio.Transport):
    """Writes down what it is asked, and does nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[object] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def write(self, data: Any) -> None:
        self.calls.append(data)

    def writelines(self, list_of_data: Any) -> None:
        self.calls.append(list(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.calls.append("eof")

    def is_closing(self) -> bool:
        return "close" in self.calls

    def close(self) -> None:
        self.calls.append("close")


@requirement("StreamReader/accepts-documented-arguments")
async def test_a_reader_takes_a_limit(loop: AbstractEventLoop, aio: Any) -> None:
    for reader in (aio.StreamReader(16), aio.StreamReader(limit=16), aio.StreamReader(16, loop)):
        reader.feed_data(b"x" * 17)
        with pytest.raises(aio.LimitOverrunError):
            await reader.readuntil(b";")


@requirement("StreamReader/accepts-documented-arguments")
async def test_the_limit_of_a_reader_is_64_kib_by_default(loop: AbstractEventLoop, aio: Any) -> None:
    for reader in (aio.StreamReader(), aio.StreamReader(loop=loop)):
        reader.feed_data(b"x" * 65536 + b";" + b"x" * 65537)
        assert len(await reader.readuntil(b";")) == 65537
        with pytest.raises(aio.LimitOverrunError):
            await reader.readuntil(b";")


@pytest.mark.parametrize("count", [-1, -2, -100])
@requirement("StreamReader.readexactly/rejects-negative-count")
async def test_readexactly_of_a_negative_number_is_a_valueerror(aio: Any, count: int) -> None:
    reader = aio.StreamReader()
    reader.feed_data(b"data")
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        await reader.readexactly(count)
    assert await reader.readexactly(4) == b"data"


@requirement("StreamReader.readuntil/rejects-empty-separator")
async def test_an_empty_separator_is_a_valueerror(aio: Any) -> None:
    reader = aio.StreamReader()
    reader.feed_data(b"data")
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        await reader.readuntil(b"")
    assert await reader.readexactly(4) == b"data"


@requirement("StreamReader.readuntil/accepts-separator-tuple", "StreamReader.readuntil/rejects-empty-separator")
async def test_an_empty_one_among_several_separators_is_a_valueerror(aio: Any) -> None:
    reader = aio.StreamReader()
    reader.feed_data(b"data;")
    for separators in ((), (b";", b""), (b"",)):
        with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
            await reader.readuntil(separators)
    assert await reader.readuntil((b";",)) == b"data;"


@requirement("StreamReader.feed_data/appends-and-wakes-readers")
async def test_what_is_fed_is_appended_and_wakes_a_read_that_waits(loop: AbstractEventLoop, aio: Any) -> None:
    reader = aio.StreamReader(loop=loop)
    reader.feed_data(b"ab")
    reading = loop.create_task(reader.readexactly(6))
    await turns(loop)
    for piece in (b"cd", b"", bytearray(b"efgh")):
        assert reading.done() is False
        reader.feed_data(piece)
        await turns(loop)
    assert await reading == b"abcdef"
    assert at_once(reader.read(100)) == b"gh"


@pytest.mark.parametrize("how", READS)
@requirement("StreamReader.set_exception/raises-in-later-reads")
async def test_a_stored_exception_is_raised_by_later_reads(aio: Any, how: str) -> None:
    reader = aio.StreamReader()
    reader.feed_data(b"data;")
    error = ZeroDivisionError()
    reader.set_exception(error)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError) as caught:
            await READS[how](reader)
        assert caught.value is error


@pytest.mark.parametrize("how", READS)
@requirement("StreamReader.set_exception/raises-in-later-reads")
async def test_a_stored_exception_is_raised_by_the_read_that_waits(loop: AbstractEventLoop, aio: Any, how: str) -> None:
    reader = aio.StreamReader(loop=loop)
    reading = loop.create_task(READS[how](reader))
    await turns(loop)
    error = ZeroDivisionError()
    reader.set_exception(error)
    with pytest.raises(ZeroDivisionError) as caught:
        await reading
    assert caught.value is error


@requirement("StreamReader.exception/returns-stored-exception")
async def test_exception_is_the_one_stored_or_none(aio: Any) -> None:
    reader = aio.StreamReader()
    assert reader.exception() is None
    error = ZeroDivisionError()
    reader.set_exception(error)
    assert [reader.exception(), reader.exception()] == [error, error]


@requirement("StreamReader.set_transport/attaches-transport")
async def test_the_transport_of_a_reader_is_paused_above_its_limit_and_resumed_as_data_is_read(aio: Any) -> None:
    reader, transport = aio.StreamReader(16), StandIn()
    reader.set_transport(transport)
    reader.feed_data(b"x" * 16)
    assert transport.calls == []
    reader.feed_data(b"x" * 100)
    assert transport.calls == ["pause"]
    reader.feed_data(b"x")
    assert transport.calls == ["pause"]
    assert await reader.readexactly(117) == b"x" * 117
    assert transport.calls == ["pause", "resume"]


@requirement("StreamReader.set_transport/attaches-transport")
async def test_a_read_of_more_than_the_limit_resumes_the_transport(loop: AbstractEventLoop, aio: Any) -> None:
    reader, transport = aio.StreamReader(16, loop), StandIn()
    reader.set_transport(transport)
    reader.feed_data(b"x" * 100)
    reading = loop.create_task(reader.readexactly(101))
    await turns(loop)
    assert transport.calls == ["pause", "resume"]
    reader.feed_data(b"x")
    assert await reading == b"x" * 101


def put_together(loop: AbstractEventLoop, aio: Any, callback: Any = None) -> tuple[Any, Any, StandIn]:
    """A reader, its protocol and the transport that the protocol was connected to."""
    reader, transport = aio.StreamReader(limit=100, loop=loop), StandIn()
    protocol = aio.StreamReaderProtocol(reader, client_connected_cb=callback, loop=loop)
    protocol.connection_made(transport)
    return reader, protocol, transport


@requirement("StreamWriter/accepts-documented-arguments")
async def test_a_writer_hands_what_it_is_asked_to_its_transport(loop: AbstractEventLoop, aio: Any) -> None:
    reader, protocol, transport = put_together(loop, aio)
    for writer in (
        aio.StreamWriter(transport, protocol, reader, loop),
        aio.StreamWriter(transport=transport, protocol=protocol, reader=reader, loop=loop),
    ):
        transport.calls.clear()
        assert writer.transport is transport
        writer.write(b"a")
        writer.writelines([b"b", b"c"])
        assert writer.can_write_eof() is True
        writer.write_eof()
        assert writer.get_extra_info("nothing", "default") == "default"
        writer.close()
        assert transport.calls == [b"a", [b"b", b"c"], "eof", "close"]


@requirement("StreamReaderProtocol/adapts-protocol-to-reader")
async def test_the_protocol_feeds_its_reader(loop: AbstractEventLoop, aio: Any) -> None:
    reader, protocol, _ = put_together(loop, aio)
    assert isinstance(protocol, aio.Protocol)
    protocol.data_received(b"line\n")
    protocol.data_received(b"rest")
    assert await reader.readline() == b"line\n"
    protocol.eof_received()
    assert await reader.read() == b"rest"
    protocol.connection_lost(None)
    assert reader.at_eof() is True


@requirement("StreamReaderProtocol/adapts-protocol-to-reader")
async def test_the_protocol_gives_its_reader_the_error_that_ended_the_connection(
    loop: AbstractEventLoop, aio: Any
) -> None:
    reader, protocol, _ = put_together(loop, aio)
    error = ConnectionResetError()
    protocol.connection_lost(error)
    assert reader.exception() is error


@requirement("StreamReaderProtocol/adapts-protocol-to-reader")
async def test_the_protocol_calls_its_callback_with_a_reader_and_a_writer(loop: AbstractEventLoop, aio: Any) -> None:
    calls: list[tuple[Any, ...]] = []
    reader, protocol, transport = put_together(loop, aio, lambda *arguments: calls.append(arguments))
    ((given_reader, writer),) = calls
    assert (given_reader, type(writer), writer.transport) == (reader, aio.StreamWriter, transport)
    protocol.data_received(b"data")
    assert await reader.readexactly(4) == b"data"
    writer.close()
    protocol.connection_lost(None)
    await writer.wait_closed()


@requirement("StreamReaderProtocol/adapts-protocol-to-reader")
async def test_the_protocol_runs_a_callback_that_is_a_coroutine_function_as_a_task(
    loop: AbstractEventLoop, aio: Any
) -> None:
    seen: list[object] = []

    async def serve(reader: Any, writer: Any) -> None:
        seen.append(isinstance(aio.current_task(), aio.Task))
        seen.append(await reader.readexactly(4))
        writer.close()

    _, protocol, transport = put_together(loop, aio, serve)
    protocol.data_received(b"data")
    await until(loop, lambda: "close" in transport.calls)
    protocol.connection_lost(None)
    assert seen == [True, b"data"]


@requirement("StreamReaderProtocol/adapts-protocol-to-reader")
async def test_the_protocol_lets_drain_wait_between_pause_and_resume(loop: AbstractEventLoop, aio: Any) -> None:
    reader, protocol, transport = put_together(loop, aio)
    writer = aio.StreamWriter(transport, protocol, reader, loop)
    protocol.pause_writing()
    draining = loop.create_task(writer.drain())
    await turns(loop)
    assert draining.done() is False
    protocol.resume_writing()
    assert await draining is None
    writer.close()
    protocol.connection_lost(None)
