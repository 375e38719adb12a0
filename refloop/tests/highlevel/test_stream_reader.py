"""StreamReader: reading by count, line and separator; limits; ends; back pressure."""

from __future__ import annotations

from typing import Any

import pytest

from refloop.tests.highlevel.steps import outcome, settle

requirement = pytest.mark.requirement


def reader_of(aio: Any, data: bytes = b"", *, eof: bool = False, limit: int = 64) -> Any:
    reader = aio.StreamReader(limit)
    if data:
        reader.feed_data(data)
    if eof:
        reader.feed_eof()
    return reader


class RecordingTransport:
    """A transport that notes when it is paused and resumed."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


@requirement("StreamReader.read/reads-until-eof-by-default", "StreamReader.read/returns-empty-bytes-at-eof")
async def test_read_waits_for_the_end_and_returns_everything(aio: Any, loop: Any) -> None:
    for arguments in ((), (-1,)):
        reader = reader_of(aio, b"a" * 100)
        reading = loop.create_task(reader.read(*arguments))
        await settle(4)
        assert not reading.done()
        reader.feed_data(b"b" * 100)
        reader.feed_eof()
        assert await reading == b"a" * 100 + b"b" * 100
        assert await reader.read(*arguments) == b""
        assert await reader.read(5) == b""


@requirement("StreamReader.read/returns-available-up-to-n", "StreamReader.read/zero-returns-empty-immediately")
@requirement("StreamReader.feed_data/appends-and-wakes-readers")
async def test_read_n_returns_what_there_is_up_to_n(aio: Any, loop: Any) -> None:
    reader = reader_of(aio)
    assert await reader.read(0) == b""
    reading = loop.create_task(reader.read(4))
    await settle(2)
    assert not reading.done()
    reader.feed_data(b"abcdef")
    assert await reading == b"abcd"
    assert await reader.read(4) == b"ef"


@requirement("StreamReader.read/eof-while-waiting-returns-empty", "StreamReader.feed_eof/marks-end-of-stream")
async def test_the_end_wakes_a_read_that_waits(aio: Any, loop: Any) -> None:
    reader = reader_of(aio)
    reading = loop.create_task(reader.read(4))
    await settle(2)
    reader.feed_eof()
    assert await reading == b""


@requirement("StreamReader.at_eof/returns-true-when-drained")
async def test_at_eof_is_true_when_the_end_was_marked_and_the_buffer_is_empty(aio: Any) -> None:
    reader = reader_of(aio, b"x")
    assert reader.at_eof() is False
    reader.feed_eof()
    assert reader.at_eof() is False
    await reader.read(1)
    assert reader.at_eof() is True


@requirement("StreamReader.readline/returns-line-with-newline", "StreamReader.readline/returns-partial-line-at-eof")
@requirement("StreamReader.readline/returns-empty-bytes-at-eof", "StreamReader/async-iteration-yields-lines")
async def test_lines_come_one_by_one(aio: Any) -> None:
    data = b"one\n\ntwo\nthree"
    reader = reader_of(aio, data, eof=True)
    assert [await reader.readline() for _ in range(5)] == [b"one\n", b"\n", b"two\n", b"three", b""]
    assert [line async for line in reader_of(aio, data, eof=True)] == [b"one\n", b"\n", b"two\n", b"three"]


@requirement("StreamReader.readline/raises-when-over-limit")
@pytest.mark.parametrize("complete", [True, False])
async def test_a_line_beyond_the_limit_raises_valueerror(aio: Any, complete: bool) -> None:
    reader = reader_of(aio, b"x" * 65 + (b"\nnext\n" if complete else b""))
    assert isinstance(await outcome(reader.readline()), ValueError)
    if complete:
        assert await reader.readline() == b"next\n"


@requirement("StreamReader.readexactly/returns-exactly-n-bytes", "StreamReader.readexactly/limit-does-not-apply")
async def test_readexactly_waits_for_n_bytes_however_many(aio: Any, loop: Any) -> None:
    reader = reader_of(aio, limit=4)
    reader.set_transport(RecordingTransport())
    reading = loop.create_task(reader.readexactly(100))
    for _ in range(10):
        await settle(2)
        assert not reading.done()
        reader.feed_data(b"x" * 11)
    assert await reading == b"x" * 100
    assert await reader.read(100) == b"x" * 10
    assert await reader.readexactly(0) == b""


@requirement("StreamReader.readexactly/raises-on-early-eof", "StreamReader.readexactly/rejects-negative-count")
@requirement("IncompleteReadError/raised-on-short-read", "IncompleteReadError.partial/holds-bytes-read")
@requirement("IncompleteReadError.expected/holds-expected-byte-count", "IncompleteReadError/is-eoferror-subclass")
async def test_readexactly_raises_what_there_is_when_the_end_comes_first(aio: Any) -> None:
    reader = reader_of(aio, b"abc", eof=True)
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        await reader.readexactly(-1)
    error = await outcome(reader.readexactly(5))
    assert isinstance(error, aio.IncompleteReadError)
    assert issubclass(aio.IncompleteReadError, EOFError)
    assert (error.partial, error.expected) == (b"abc", 5)
    assert reader.at_eof()


@requirement("StreamReader.readuntil/returns-data-through-separator", "StreamReader.readuntil/accepts-separator")
async def test_readuntil_finds_a_separator_that_arrives_in_pieces(aio: Any, loop: Any) -> None:
    reader = reader_of(aio)
    reading = loop.create_task(reader.readuntil(separator=b"<end>"))
    for piece in (b"data<", b"en", b"en<en", b"d>rest\n"):
        await settle(2)
        assert not reading.done()
        reader.feed_data(piece)
    assert await reading == b"data<enen<end>"
    assert await reader.readuntil() == b"rest\n"


@requirement("StreamReader.readuntil/raises-on-early-eof", "StreamReader.readuntil/rejects-empty-separator")
async def test_readuntil_raises_what_there_is_when_the_end_comes_first(aio: Any) -> None:
    reader = reader_of(aio, b"data<en", eof=True)
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        await reader.readuntil(b"")
    error = await outcome(reader.readuntil(b"<end>"))
    assert isinstance(error, aio.IncompleteReadError)
    assert (error.partial, error.expected) == (b"data<en", None)
    assert reader.at_eof()


@requirement("StreamReader.readuntil/raises-when-over-limit", "StreamReader.readuntil/limit-excludes-separator")
@requirement("LimitOverrunError.consumed/holds-consumable-byte-count")
@requirement("LimitOverrunError/raised-when-separator-exceeds-limit")
async def test_readuntil_counts_the_data_before_the_separator_against_the_limit(aio: Any) -> None:
    reader = reader_of(aio, b"x" * 64 + b"<>" + b"y" * 65 + b"<>")
    assert await reader.readuntil(b"<>") == b"x" * 64 + b"<>"
    error = await outcome(reader.readuntil(b"<>"))
    assert isinstance(error, aio.LimitOverrunError)
    assert await reader.readexactly(error.consumed) == b"y" * error.consumed
    assert await reader.read(100) == b"y" * (65 - error.consumed) + b"<>"


@requirement("StreamReader.readuntil/raises-when-over-limit")
async def test_readuntil_gives_up_on_a_separator_that_does_not_come(aio: Any) -> None:
    reader = reader_of(aio, b"x" * 70)
    error = await outcome(reader.readuntil(b"<>"))
    assert isinstance(error, aio.LimitOverrunError)
    assert 0 < error.consumed <= 70
    assert await reader.read(100) == b"x" * 70


@requirement("StreamReader.readuntil/accepts-separator-tuple")
@pytest.mark.since((3, 13))
async def test_of_several_separators_the_one_complete_first_counts(aio: Any) -> None:
    reader = reader_of(aio, b"one\r\ntwo;three\n", eof=True)
    separators = (b"\r\n", b";", b"\n")
    assert [await reader.readuntil(separators) for _ in range(3)] == [b"one\r\n", b"two;", b"three\n"]
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        await reader.readuntil(())


@requirement("StreamReader.readuntil/tuple-limit-uses-shortest-separator")
@pytest.mark.since((3, 13))
async def test_of_several_separators_the_shortest_is_counted_off_against_the_limit(aio: Any) -> None:
    reader = reader_of(aio, b"x" * 64 + b"\n")
    assert await reader.readuntil((b"\n", b"<end>")) == b"x" * 64 + b"\n"


@requirement("StreamReader.set_exception/raises-in-later-reads", "StreamReader.exception/returns-stored-exception")
async def test_a_stored_exception_is_raised_by_the_read_that_waits_and_by_all_later_ones(aio: Any, loop: Any) -> None:
    reader = reader_of(aio)
    assert reader.exception() is None
    reading = loop.create_task(reader.read(1))
    await settle(2)
    error = ZeroDivisionError()
    reader.set_exception(error)
    assert reader.exception() is error
    assert await outcome(reading) is error
    for later in (reader.read(1), reader.readline(), reader.readexactly(1), reader.readuntil()):
        assert await outcome(later) is error


@requirement("StreamReader/pauses-transport-over-limit", "StreamReader.set_transport/attaches-transport")
async def test_the_transport_is_paused_while_too_much_is_unread(aio: Any) -> None:
    reader, transport = reader_of(aio), RecordingTransport()
    reader.set_transport(transport)
    reader.feed_data(b"x" * 128)
    assert transport.calls == []
    reader.feed_data(b"x")
    assert transport.calls == ["pause"]
    await reader.readexactly(64)
    assert transport.calls == ["pause"]
    await reader.readexactly(1)
    assert transport.calls == ["pause", "resume"]


@requirement("StreamReader.feed_data/appends-and-wakes-readers")
async def test_a_cancelled_read_loses_nothing(aio: Any, loop: Any) -> None:
    reader = reader_of(aio)
    reading = loop.create_task(reader.readexactly(4))
    await settle(2)
    reader.feed_data(b"ab")
    reading.cancel()
    assert isinstance(await outcome(reading), aio.CancelledError)
    reader.feed_data(b"cd")
    assert await reader.readexactly(4) == b"abcd"


async def test_a_second_task_that_waits_for_data_is_refused(aio: Any, loop: Any) -> None:
    reader = reader_of(aio)
    reading = loop.create_task(reader.read(1))
    await settle(2)
    assert isinstance(await outcome(reader.read(1)), RuntimeError)
    reader.feed_data(b"x")
    assert await reading == b"x"
