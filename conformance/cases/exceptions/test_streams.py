"""The exceptions of stream reads: what they are, when they are raised, and what they tell."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import accepting

if TYPE_CHECKING:
    import socket
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator

# In bytes; less than what the peer sends where it is to be exceeded.
LIMIT = 16


@asynccontextmanager
async def reading(aio: Any, data: bytes, **keywords: Any) -> AsyncIterator[Any]:
    """A stream reader of a connection whose other end sends ``data`` and closes."""

    def serve(connection: socket.socket) -> None:
        connection.sendall(data)

    with accepting(serve) as peer:
        reader, writer = await aio.open_connection(*peer.address, **keywords)
        try:
            yield reader
        finally:
            writer.close()
            # The other end may have closed in whatever way; what became of the connection is no matter here.
            await ending(writer.wait_closed())


@requirement("IncompleteReadError/is-eoferror-subclass")
def test_incompletereaderror_is_an_eoferror(aio: Any) -> None:
    assert issubclass(aio.IncompleteReadError, EOFError)


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("data", [b"", b"abcd"], ids=["nothing", "some"])
@requirement("IncompleteReadError/raised-on-short-read")
async def test_a_read_that_meets_the_end_before_it_is_complete_raises_incompletereaderror(
    loop: AbstractEventLoop, aio: Any, data: bytes
) -> None:
    for read in ("readexactly", "readuntil"):
        async with reading(aio, data) as reader:
            with pytest.raises(aio.IncompleteReadError):
                await getattr(reader, read)({"readexactly": 5, "readuntil": b"\n"}[read])
    assert not loop.is_closed()


@requirement("IncompleteReadError/raised-on-short-read")
async def test_a_read_that_is_complete_as_the_end_is_met_raises_nothing(aio: Any) -> None:
    async with reading(aio, b"abcdefg\n") as reader:
        assert await reader.readexactly(4) == b"abcd"
        # The end comes meanwhile; should it not, then with the next read.
        await aio.sleep(0.01)
        assert await reader.readexactly(4) == b"efg\n"
    async with reading(aio, b"abcd\n") as reader:
        assert await reader.readuntil(b"\n") == b"abcd\n"


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("data", [b"", b"abcd"], ids=["nothing", "some"])
@requirement("IncompleteReadError.expected/holds-expected-byte-count", "IncompleteReadError.partial/holds-bytes-read")
async def test_readexactly_that_meets_the_end_tells_how_much_it_wanted_and_what_came(
    loop: AbstractEventLoop, aio: Any, data: bytes
) -> None:
    async with reading(aio, data) as reader:
        with pytest.raises(aio.IncompleteReadError) as caught:
            await reader.readexactly(10)
    assert (caught.value.expected, caught.value.partial) == (10, data)
    assert (type(caught.value.expected), type(caught.value.partial)) == (int, bytes)
    assert not loop.is_closed()


@requirement("IncompleteReadError.expected/holds-expected-byte-count", "IncompleteReadError.partial/holds-bytes-read")
async def test_only_what_the_failed_read_found_is_told(aio: Any) -> None:
    async with reading(aio, b"abcdefg") as reader:
        assert await reader.readexactly(4) == b"abcd"
        with pytest.raises(aio.IncompleteReadError) as caught:
            await reader.readexactly(4)
    assert (caught.value.expected, caught.value.partial) == (4, b"efg")


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("data", [b"", b"no separator"], ids=["nothing", "some"])
@requirement("IncompleteReadError.expected/holds-expected-byte-count", "IncompleteReadError.partial/holds-bytes-read")
async def test_readuntil_that_meets_the_end_tells_what_came_and_expected_no_number(
    loop: AbstractEventLoop, aio: Any, data: bytes
) -> None:
    async with reading(aio, data) as reader:
        with pytest.raises(aio.IncompleteReadError) as caught:
            await reader.readuntil(b"\r\n")
    assert (caught.value.expected, caught.value.partial) == (None, data)
    assert not loop.is_closed()


@on_loops(PLAIN, DEBUG)
@requirement("LimitOverrunError.consumed/holds-consumable-byte-count")
async def test_a_separator_beyond_the_limit_is_told_with_how_much_there_is_before_it(
    loop: AbstractEventLoop, aio: Any
) -> None:
    before = b"x" * (2 * LIMIT)
    async with reading(aio, before + b"\nrest\n", limit=LIMIT) as reader:
        with pytest.raises(aio.LimitOverrunError) as caught:
            await reader.readuntil(b"\n")
        consumed = caught.value.consumed
        # Everything up to there can be taken out, and none of it is lost.
        assert before.startswith(await reader.readexactly(consumed))
        assert await reader.readexactly(2 * LIMIT - consumed) == before[consumed:]
        assert await reader.readuntil(b"\n") == b"\n"
        assert await reader.readuntil(b"\n") == b"rest\n"
    assert type(consumed) is int
    assert 0 < consumed <= len(before)
    assert not loop.is_closed()


@requirement("LimitOverrunError/raised-when-separator-exceeds-limit")
async def test_no_separator_within_the_limit_is_an_overrun_at_any_length(aio: Any) -> None:
    async with reading(aio, b"x" * (10 * LIMIT), limit=LIMIT) as reader:
        with pytest.raises(aio.LimitOverrunError):
            await reader.readuntil(b"\n")


@requirement("LimitOverrunError/raised-when-separator-exceeds-limit")
async def test_a_separator_within_the_limit_is_no_overrun(aio: Any) -> None:
    line = b"x" * (LIMIT - 1) + b"\n"
    async with reading(aio, line * 5, limit=LIMIT) as reader:
        assert [await reader.readuntil(b"\n") for _ in range(5)] == [line] * 5


@requirement("IncompleteReadError.expected/holds-expected-byte-count", "IncompleteReadError.partial/holds-bytes-read")
def test_incompletereaderror_made_by_hand_keeps_what_it_is_given(aio: Any) -> None:
    error = aio.IncompleteReadError(b"ab", 5)
    assert (error.partial, error.expected) == (b"ab", 5)


@requirement("LimitOverrunError.consumed/holds-consumable-byte-count")
def test_limitoverrunerror_made_by_hand_keeps_what_it_is_given(aio: Any) -> None:
    assert aio.LimitOverrunError("too long", 5).consumed == 5
