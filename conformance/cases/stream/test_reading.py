"""Reading by count, by line and to the end: ``read()``, ``readexactly()``, ``readline()``, ``at_eof()``."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.streams import at_once, taken
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.streams import StreamMaker

# More than a connection's buffers and a reader's default limit hold.
MUCH = bytes(range(256)) * 4096
BY_DEFAULT = pytest.mark.parametrize("arguments", [(), (-1,)], ids=["default", "-1"])


@BY_DEFAULT
@requirement("StreamReader.read/reads-until-eof-by-default")
async def test_read_waits_for_the_end_and_returns_everything(
    loop: AbstractEventLoop, tcp_streams: StreamMaker, arguments: tuple[int, ...]
) -> None:
    reader, writer, peer = await tcp_streams.connect(limit=64)
    reading = loop.create_task(reader.read(*arguments))
    for piece in (b"a" * 100, b"\n", b"b"):
        await peer.send(piece)
        await taken(loop, writer)
        assert reading.done() is False
    await peer.end()
    assert await reading == b"a" * 100 + b"\nb"


@requirement("StreamReader.read/reads-until-eof-by-default", "open_connection/returns-reader-writer-pair")
async def test_read_returns_every_byte_that_the_peer_sent_in_its_order(
    loop: AbstractEventLoop, streams: StreamMaker
) -> None:
    reader, _, peer = await streams.connect()
    reading = loop.create_task(reader.read())
    await peer.send(MUCH)
    await peer.end()
    assert await reading == MUCH


@BY_DEFAULT
@requirement("StreamReader.read/returns-empty-bytes-at-eof")
async def test_after_the_end_read_returns_nothing_however_often_it_is_called(
    streams: StreamMaker, arguments: tuple[int, ...]
) -> None:
    reader, _, peer = await streams.connect()
    await peer.send(b"all")
    await peer.end()
    assert await reader.read(*arguments) == b"all"
    assert [await reader.read(*arguments), await reader.read(5), await reader.read(*arguments)] == [b"", b"", b""]


@requirement("StreamReader.read/zero-returns-empty-immediately")
async def test_read_of_zero_bytes_returns_at_once_and_takes_nothing(
    loop: AbstractEventLoop, tcp_streams: StreamMaker
) -> None:
    reader, writer, peer = await tcp_streams.connect()
    assert at_once(reader.read(0)) == b""
    await peer.send(b"here")
    await taken(loop, writer)
    assert at_once(reader.read(0)) == b""
    assert await reader.read(100) == b"here"


@on_loops(PLAIN, DEBUG)
@requirement("StreamReader.read/returns-available-up-to-n")
async def test_read_returns_what_there_is_up_to_n_bytes(loop: AbstractEventLoop, tcp_streams: StreamMaker) -> None:
    reader, writer, peer = await tcp_streams.connect()
    await peer.send(b"abcdef")
    await taken(loop, writer)
    assert [await reader.read(4), await reader.read(1), await reader.read(100)] == [b"abcd", b"e", b"f"]


@requirement("StreamReader.read/returns-available-up-to-n")
async def test_read_returns_as_soon_as_one_byte_is_there(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    reader, _, peer = await streams.connect()
    reading = loop.create_task(reader.read(100))
    await turns(loop)
    assert reading.done() is False
    await peer.send(b"x")
    assert await reading == b"x"


@requirement("StreamReader.read/eof-while-waiting-returns-empty")
async def test_a_read_that_waits_returns_nothing_when_the_end_comes(
    loop: AbstractEventLoop, streams: StreamMaker
) -> None:
    reader, _, peer = await streams.connect()
    reading = loop.create_task(reader.read(4))
    await turns(loop)
    await peer.end()
    assert await reading == b""


@requirement("StreamReader.readline/returns-line-with-newline")
async def test_lines_come_one_by_one_with_their_newline(tcp_streams: StreamMaker) -> None:
    reader, _, peer = await tcp_streams.connect()
    await peer.send(b"one\n\ntwo\r\n\rthree\nfour")
    lines = [await reader.readline() for _ in range(4)]
    assert lines == [b"one\n", b"\n", b"two\r\n", b"\rthree\n"]


@on_loops(PLAIN, DEBUG)
@requirement("StreamReader.readline/returns-line-with-newline")
async def test_a_line_may_come_in_pieces(loop: AbstractEventLoop, tcp_streams: StreamMaker) -> None:
    reader, writer, peer = await tcp_streams.connect()
    reading = loop.create_task(reader.readline())
    for piece in (b"a", b"line", b" in pieces"):
        await peer.send(piece)
        await taken(loop, writer)
        assert reading.done() is False
    await peer.send(b"\nnext")
    assert await reading == b"aline in pieces\n"
    assert await reader.read(100) == b"next"


@requirement("StreamReader.readline/returns-partial-line-at-eof", "StreamReader.readline/returns-empty-bytes-at-eof")
async def test_at_the_end_comes_the_rest_of_a_line_and_then_nothing(tcp_streams: StreamMaker) -> None:
    reader, _, peer = await tcp_streams.connect()
    await peer.send(b"line\nrest")
    await peer.end()
    assert [await reader.readline() for _ in range(4)] == [b"line\n", b"rest", b"", b""]


@requirement("StreamReader.readline/returns-empty-bytes-at-eof")
async def test_after_a_complete_last_line_there_is_none(tcp_streams: StreamMaker) -> None:
    reader, _, peer = await tcp_streams.connect()
    await peer.send(b"line\n")
    await peer.end()
    assert [await reader.readline() for _ in range(2)] == [b"line\n", b""]


# The longest line that the default limit allows, and a short one of a short limit.
@pytest.mark.parametrize(("options", "limit"), [({}, 65536), ({"limit": 16}, 16)], ids=["default", "16"])
@requirement("StreamReader.readline/raises-when-over-limit")
async def test_a_line_beyond_the_limit_is_a_valueerror_and_one_of_its_length_is_not(
    tcp_streams: StreamMaker, options: dict[str, int], limit: int
) -> None:
    reader, _, peer = await tcp_streams.connect(**options)
    await peer.send(b"x" * limit + b"\n" + b"y" * (limit + 1) + b"\n")
    assert await reader.readline() == b"x" * limit + b"\n"
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        await reader.readline()


@requirement("StreamReader.readline/raises-when-over-limit")
async def test_a_line_that_has_no_end_yet_is_a_valueerror_once_it_is_too_long(
    loop: AbstractEventLoop, tcp_streams: StreamMaker
) -> None:
    reader, _, peer = await tcp_streams.connect(limit=16)
    reading = loop.create_task(reader.readline())
    await peer.send(b"x" * 17)
    with pytest.raises(ValueError):  # noqa: PT011 - no text is promised
        await reading


@on_loops(PLAIN, DEBUG)
@requirement("StreamReader.readexactly/returns-exactly-n-bytes")
async def test_readexactly_waits_until_there_are_n_bytes(loop: AbstractEventLoop, tcp_streams: StreamMaker) -> None:
    reader, writer, peer = await tcp_streams.connect()
    reading = loop.create_task(reader.readexactly(6))
    for piece in (b"ab", b"cde"):
        await peer.send(piece)
        await taken(loop, writer)
        assert reading.done() is False
    await peer.send(b"fgh")
    assert await reading == b"abcdef"
    assert [await reader.readexactly(2), await reader.readexactly(0)] == [b"gh", b""]


@requirement("StreamReader.readexactly/returns-exactly-n-bytes")
async def test_readexactly_takes_its_bytes_out_of_many(streams: StreamMaker) -> None:
    reader, _, peer = await streams.connect()
    await peer.send(b"0123456789" * 100)
    assert [await reader.readexactly(n) for n in (1, 9, 980, 10)] == [
        b"0", b"123456789", b"0123456789" * 98, b"0123456789",
    ]  # fmt: skip


@requirement("StreamReader.readexactly/limit-does-not-apply")
async def test_readexactly_returns_more_bytes_than_the_limit(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    reader, _, peer = await streams.connect(limit=16)
    reading = loop.create_task(reader.readexactly(len(MUCH)))
    await peer.send(MUCH)
    assert await reading == MUCH


@pytest.mark.parametrize("partial", [b"", b"abc"], ids=["nothing", "something"])
@requirement("StreamReader.readexactly/raises-on-early-eof", "IncompleteReadError/raised-on-short-read")
@requirement("IncompleteReadError.partial/holds-bytes-read", "IncompleteReadError.expected/holds-expected-byte-count")
async def test_readexactly_raises_with_what_there_is_when_the_end_comes_first(
    loop: AbstractEventLoop, aio: Any, tcp_streams: StreamMaker, partial: bytes
) -> None:
    reader, _, peer = await tcp_streams.connect()
    reading = loop.create_task(reader.readexactly(5))
    await peer.send(partial)
    await peer.end()
    with pytest.raises(aio.IncompleteReadError) as caught:
        await reading
    assert (caught.value.partial, caught.value.expected) == (partial, 5)


@requirement("IncompleteReadError/is-eoferror-subclass")
def test_incompletereaderror_is_an_eoferror(aio: Any) -> None:
    assert issubclass(aio.IncompleteReadError, EOFError)


@requirement("StreamReader/async-iteration-yields-lines")
async def test_iterating_yields_the_lines_until_the_end(loop: AbstractEventLoop, tcp_streams: StreamMaker) -> None:
    reader, writer, peer = await tcp_streams.connect()

    async def collect() -> list[bytes]:
        return [line async for line in reader]

    collecting = loop.create_task(collect())
    await peer.send(b"one\n\ntw")
    await taken(loop, writer)
    assert collecting.done() is False
    await peer.send(b"o\nthree")
    await peer.end()
    assert await collecting == [b"one\n", b"\n", b"two\n", b"three"]


@requirement("StreamReader/async-iteration-yields-lines", "StreamReader.readline/raises-when-over-limit")
async def test_iterating_over_a_line_beyond_the_limit_is_a_valueerror(tcp_streams: StreamMaker) -> None:
    reader, _, peer = await tcp_streams.connect(limit=16)
    await peer.send(b"line\n" + b"x" * 17 + b"\n")
    seen = []
    with pytest.raises(ValueError):  # noqa: PT011, PT012 - no text is promised
        async for line in reader:
            seen.append(line)  # noqa: PERF401 - what came before the error counts
    assert seen == [b"line\n"]


@requirement("StreamReader.at_eof/returns-true-when-drained", "StreamReader.feed_eof/marks-end-of-stream")
async def test_at_eof_is_true_once_the_end_was_marked_and_the_buffer_is_empty(
    loop: AbstractEventLoop, tcp_streams: StreamMaker
) -> None:
    reader, writer, peer = await tcp_streams.connect()
    seen = [reader.at_eof()]
    await peer.send(b"xy")
    await taken(loop, writer)
    seen.append(reader.at_eof())
    reader.feed_eof()
    seen.append(reader.at_eof())
    assert await reader.read(1) == b"x"
    seen.append(reader.at_eof())
    assert await reader.read(1) == b"y"
    assert [*seen, reader.at_eof()] == [False, False, False, False, True]


@requirement("StreamReader.at_eof/returns-true-when-drained")
async def test_at_eof_is_false_when_all_is_read_and_more_may_come(streams: StreamMaker) -> None:
    reader, _, peer = await streams.connect()
    await peer.send(b"x")
    assert await reader.readexactly(1) == b"x"
    assert reader.at_eof() is False


@requirement("StreamReader.at_eof/returns-true-when-drained")
async def test_at_eof_is_true_when_the_peer_has_ended(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    reader, _, peer = await streams.connect()
    await peer.end()
    await until(loop, reader.at_eof)
    assert reader.at_eof() is True


@pytest.mark.parametrize("waiting", ["read", "read-some", "readline", "async-for"])
@requirement("StreamReader.feed_eof/marks-end-of-stream")
async def test_feed_eof_wakes_a_read_that_waits(
    loop: AbstractEventLoop, tcp_streams: StreamMaker, waiting: str
) -> None:
    reader, writer, peer = await tcp_streams.connect()
    reads = {
        "read": reader.read,
        "read-some": lambda: reader.read(4),
        "readline": reader.readline,
        "async-for": lambda: anext(reader, b""),
    }

    async def read() -> object:
        return await reads[waiting]()

    reading = loop.create_task(read())
    if waiting != "read-some":
        await peer.send(b"rest")
    await taken(loop, writer)
    assert reading.done() is False
    reader.feed_eof()
    assert await reading == (b"" if waiting == "read-some" else b"rest")


@requirement("StreamReader.feed_eof/marks-end-of-stream")
async def test_feed_eof_ends_a_read_that_cannot_be_complete_any_more(
    loop: AbstractEventLoop, aio: Any, tcp_streams: StreamMaker
) -> None:
    reader, writer, peer = await tcp_streams.connect()
    reading = loop.create_task(reader.readexactly(5))
    await peer.send(b"rest")
    await taken(loop, writer)
    reader.feed_eof()
    with pytest.raises(aio.IncompleteReadError):
        await reading


@requirement("StreamReader.readexactly/returns-exactly-n-bytes", "StreamReader.read/returns-available-up-to-n")
@requirement("StreamReader.readline/returns-line-with-newline", "StreamReader.read/reads-until-eof-by-default")
def test_the_reading_methods_are_coroutine_functions(aio: Any) -> None:
    methods = [getattr(aio.StreamReader, name) for name in ("read", "readexactly", "readline", "readuntil")]
    assert [inspect.iscoroutinefunction(method) for method in methods] == [True] * 4
