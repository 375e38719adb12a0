"""Reading up to a separator: ``StreamReader.readuntil()``, and the limit that it keeps to."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.streams import taken

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Iterable

    from conformance.support.streams import StreamMaker

# A limit that data of a case's own choosing reaches exactly.
LIMIT = 16
FULL = b"x" * LIMIT


async def reading_pieces(
    loop: AbstractEventLoop, streams: StreamMaker, separator: bytes | tuple[bytes, ...], pieces: Iterable[bytes]
) -> tuple[Any, Task[bytes]]:
    """A reader, and a task that waits for ``separator`` though each of ``pieces`` has come; the next byte is to end it.

    The last of ``pieces`` is sent and not waited for.
    """
    *early, last = pieces
    reader, writer, peer = await streams.connect(limit=LIMIT)
    reading = loop.create_task(reader.readuntil(separator))
    for piece in early:
        await peer.send(piece)
        await taken(loop, writer)
        assert reading.done() is False, f"it did not wait for {separator!r} after {piece!r}"
    await peer.send(last)
    return reader, reading


@requirement("StreamReader.readuntil/accepts-separator")
def test_readuntil_is_a_coroutine_function_of_a_separator_that_is_a_newline_by_default(aio: Any) -> None:
    _, separator = inspect.signature(aio.StreamReader.readuntil).parameters.values()
    assert (separator.name, separator.default) == ("separator", b"\n")
    assert separator.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert inspect.iscoroutinefunction(aio.StreamReader.readuntil) is True


@requirement("StreamReader.readuntil/accepts-separator", "StreamReader.readuntil/returns-data-through-separator")
async def test_readuntil_returns_the_data_and_the_separator_and_removes_both(tcp_streams: StreamMaker) -> None:
    reader, _, peer = await tcp_streams.connect()
    await peer.send(b"line\nitem;next|<end>rest")
    assert await reader.readuntil() == b"line\n"
    assert await reader.readuntil(b";") == b"item;"
    assert await reader.readuntil(separator=b"<end>") == b"next|<end>"
    assert await reader.read(100) == b"rest"


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize(
    ("separator", "pieces"),
    [
        (b"<end>", (b"data<", b"en", b"en<en", b"d>rest")),
        (b"aab", (b"a", b"a", b"a", b"brest")),
        (b"\r\n\r\n", (b"a\r\n", b"b\r", b"\n\r", b"\nrest")),
    ],
    ids=["end", "overlap", "blank-line"],
)
@requirement("StreamReader.readuntil/returns-data-through-separator")
async def test_a_separator_may_come_in_pieces(
    loop: AbstractEventLoop, tcp_streams: StreamMaker, separator: bytes, pieces: tuple[bytes, ...]
) -> None:
    reader, reading = await reading_pieces(loop, tcp_streams, separator, pieces)
    assert await reading == b"".join(pieces).removesuffix(b"rest")
    assert await reader.read(100) == b"rest"


@pytest.mark.parametrize("separator", [b"\n", b"<end>"], ids=["one-byte", "several-bytes"])
@requirement("StreamReader.readuntil/limit-excludes-separator", "StreamReader.readuntil/raises-when-over-limit")
@requirement("LimitOverrunError/raised-when-separator-exceeds-limit")
async def test_the_limit_counts_the_data_before_the_separator(
    aio: Any, tcp_streams: StreamMaker, separator: bytes
) -> None:
    reader, _, peer = await tcp_streams.connect(limit=LIMIT)
    await peer.send(FULL + separator + FULL + b"y" + separator)
    assert await reader.readuntil(separator) == FULL + separator
    with pytest.raises(aio.LimitOverrunError):
        await reader.readuntil(separator)


@requirement("StreamReader.readuntil/limit-excludes-separator")
async def test_data_of_the_limit_and_part_of_the_separator_is_not_too_much(
    loop: AbstractEventLoop, tcp_streams: StreamMaker
) -> None:
    _, reading = await reading_pieces(loop, tcp_streams, b"<end>", (FULL, b"<en", b"d>"))
    assert await reading == FULL + b"<end>"


@pytest.mark.parametrize("separator", [b"", b"\nz"], ids=["without-separator", "with-separator"])
@requirement("StreamReader.readuntil/raises-when-over-limit", "LimitOverrunError.consumed/holds-consumable-byte-count")
async def test_too_much_data_stays_in_the_buffer_for_another_read(
    loop: AbstractEventLoop, aio: Any, tcp_streams: StreamMaker, separator: bytes
) -> None:
    reader, writer, peer = await tcp_streams.connect(limit=LIMIT)
    await peer.send(FULL + b"y" + separator)
    await taken(loop, writer)
    for _ in range(2):
        with pytest.raises(aio.LimitOverrunError) as caught:
            await reader.readuntil()
    consumed = caught.value.consumed
    assert 0 < consumed <= LIMIT + 1
    assert await reader.readexactly(consumed) == (FULL + b"y")[:consumed]
    assert await reader.readexactly(LIMIT + 1 - consumed + len(separator)) == (FULL + b"y" + separator)[consumed:]


@requirement("LimitOverrunError.consumed/holds-consumable-byte-count", "StreamReader.readuntil/raises-when-over-limit")
async def test_too_much_data_can_be_consumed_up_to_its_separator(aio: Any, tcp_streams: StreamMaker) -> None:
    reader, _, peer = await tcp_streams.connect(limit=LIMIT)
    await peer.send(FULL * 3 + b"<end>rest")
    await peer.end()
    data = b""
    while not data.endswith(b"<end>"):
        try:
            data += await reader.readuntil(b"<end>")
        except aio.LimitOverrunError as error:
            data += await reader.readexactly(error.consumed)
    assert data == FULL * 3 + b"<end>"
    assert await reader.read() == b"rest"


@requirement("StreamReader.readuntil/raises-when-over-limit")
async def test_readuntil_gives_up_on_a_separator_that_comes_too_late(
    loop: AbstractEventLoop, aio: Any, tcp_streams: StreamMaker
) -> None:
    _, reading = await reading_pieces(loop, tcp_streams, b"\n", (FULL, b"y"))
    with pytest.raises(aio.LimitOverrunError):
        await reading


@pytest.mark.parametrize("rest", [b"", b"data", b"data<en"], ids=["nothing", "data", "part-of-separator"])
@requirement("StreamReader.readuntil/raises-on-early-eof", "IncompleteReadError/raised-on-short-read")
@requirement("IncompleteReadError.partial/holds-bytes-read", "IncompleteReadError.expected/holds-expected-byte-count")
async def test_readuntil_raises_with_what_there_is_when_the_end_comes_first(
    aio: Any, tcp_streams: StreamMaker, rest: bytes
) -> None:
    reader, _, peer = await tcp_streams.connect()
    await peer.send(b"first<end>" + rest)
    await peer.end()
    assert await reader.readuntil(b"<end>") == b"first<end>"
    with pytest.raises(aio.IncompleteReadError) as caught:
        await reader.readuntil(b"<end>")
    assert (caught.value.partial, caught.value.expected) == (rest, None)
    assert (await reader.read(), reader.at_eof()) == (b"", True)


@requirement("StreamReader.readuntil/returns-data-through-separator", "StreamReader.feed_eof/marks-end-of-stream")
async def test_what_is_complete_can_be_read_after_the_end(loop: AbstractEventLoop, tcp_streams: StreamMaker) -> None:
    reader, writer, peer = await tcp_streams.connect()
    await peer.send(b"one;two;")
    await taken(loop, writer)
    reader.feed_eof()
    assert [await reader.readuntil(b";") for _ in range(2)] == [b"one;", b"two;"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=["012", "210", "120"])
@requirement("StreamReader.readuntil/accepts-separator-tuple")
async def test_of_several_separators_the_one_that_is_complete_first_counts(
    tcp_streams: StreamMaker, order: tuple[int, ...]
) -> None:
    separators = (b"\r\n", b";", b"\n")
    reader, _, peer = await tcp_streams.connect()
    await peer.send(b"one\r\ntwo;three\nfour\r;\r\n")
    chosen = tuple(separators[index] for index in order)
    assert [await reader.readuntil(chosen) for _ in range(5)] == [b"one\r\n", b"two;", b"three\n", b"four\r;", b"\r\n"]


@requirement("StreamReader.readuntil/accepts-separator-tuple")
async def test_a_separator_that_began_first_and_ends_later_does_not_count(tcp_streams: StreamMaker) -> None:
    reader, _, peer = await tcp_streams.connect()
    await peer.send(b"abcd|rest")
    assert await reader.readuntil((b"abcd", b"c")) == b"abc"
    assert await reader.readuntil((b"|",)) == b"d|"


@on_loops(PLAIN, DEBUG)
@requirement("StreamReader.readuntil/accepts-separator-tuple")
async def test_several_separators_may_come_in_pieces(loop: AbstractEventLoop, tcp_streams: StreamMaker) -> None:
    separators = (b"<end>", b"\r\n", b"!")
    reader, reading = await reading_pieces(loop, tcp_streams, separators, (b"a<en", b"\r", b"<e", b"nd", b">\r\n!"))
    assert await reading == b"a<en\r<end>"
    assert [await reader.readuntil(separators) for _ in range(2)] == [b"\r\n", b"!"]


@requirement("StreamReader.readuntil/accepts-separator-tuple")
async def test_of_several_separators_none_may_come(aio: Any, tcp_streams: StreamMaker) -> None:
    reader, _, peer = await tcp_streams.connect()
    await peer.send(b"data<en")
    await peer.end()
    with pytest.raises(aio.IncompleteReadError) as caught:
        await reader.readuntil((b"<end>", b";"))
    assert (caught.value.partial, caught.value.expected) == (b"data<en", None)


# Both separators end at the same byte: what counts is the data before the shorter one.
@pytest.mark.parametrize("separators", [(b"\r\n", b"\n"), (b"\n", b"\r\n")], ids=["longest-first", "shortest-first"])
@requirement("StreamReader.readuntil/tuple-limit-uses-shortest-separator")
async def test_of_separators_that_end_together_the_shortest_is_counted_off(
    aio: Any, tcp_streams: StreamMaker, separators: tuple[bytes, ...]
) -> None:
    reader, _, peer = await tcp_streams.connect(limit=LIMIT)
    await peer.send(FULL[1:] + b"\r\n" + FULL + b"\r\n")
    assert await reader.readuntil(separators) == FULL[1:] + b"\r\n"
    with pytest.raises(aio.LimitOverrunError):
        await reader.readuntil(separators)


@requirement("StreamReader.readuntil/tuple-limit-uses-shortest-separator")
async def test_a_longer_separator_leaves_the_data_before_a_shorter_one_its_limit(
    aio: Any, tcp_streams: StreamMaker
) -> None:
    reader, _, peer = await tcp_streams.connect(limit=LIMIT)
    await peer.send(FULL + b"\n" + FULL + b"y\n")
    assert await reader.readuntil((b"<end>", b"\n")) == FULL + b"\n"
    with pytest.raises(aio.LimitOverrunError):
        await reader.readuntil((b"<end>", b"\n"))
