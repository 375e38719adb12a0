"""What no platform can do: watch a regular file, or use one as a pipe."""

from __future__ import annotations

import sys
import tempfile
from typing import IO, TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.peers import socket_pair
from conformance.support.waiting import run_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

# The page does not say with which error; NotImplementedError stays what it is: the loop has no such feature.
REFUSALS = (OSError, ValueError, TypeError)
# select() and kqueue call a regular file always ready instead.
REFUSES_FILES = pytest.mark.skipif(sys.platform != "linux", reason="only epoll refuses to watch a regular file")


@pytest.fixture
def file() -> Iterator[IO[bytes]]:
    """A regular file with something in it, open for reading and writing."""
    with tempfile.TemporaryFile() as opened:
        opened.write(b"content")
        opened.flush()
        opened.seek(0)
        yield opened


@REFUSES_FILES
@pytest.mark.parametrize("by_number", [True, False], ids=["number", "object"])
@pytest.mark.parametrize("add", ["add_reader", "add_writer"])
@requirement("all-platforms/rejects-watching-regular-files")
def test_a_regular_file_cannot_be_watched(
    loop: AbstractEventLoop, file: IO[bytes], add: str, *, by_number: bool
) -> None:
    with pytest.raises(REFUSALS):
        getattr(loop, add)(file.fileno() if by_number else file, int)


@REFUSES_FILES
@pytest.mark.parametrize("add", ["add_reader", "add_writer"])
@requirement("all-platforms/rejects-watching-regular-files")
def test_after_a_regular_file_was_refused_the_loop_watches_a_socket(
    loop: AbstractEventLoop, file: IO[bytes], add: str
) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, theirs):
        with pytest.raises(REFUSALS):
            getattr(loop, add)(file.fileno(), calls.append, "file")
        theirs.send(b"x")
        loop.add_reader(ours, lambda: calls.append(ours.recv(10).decode()))
        run_until(loop, lambda: bool(calls))
        loop.remove_reader(ours)
    assert calls == ["x"]


@pytest.mark.parametrize("connect", ["connect_read_pipe", "connect_write_pipe"])
@requirement("all-platforms/rejects-regular-file-pipes")
async def test_a_regular_file_is_no_pipe(loop: AbstractEventLoop, aio: Any, file: IO[bytes], connect: str) -> None:
    with pytest.raises(REFUSALS):
        await getattr(loop, connect)(aio.Protocol, file)


@pytest.mark.parametrize("connect", ["connect_read_pipe", "connect_write_pipe"])
@requirement("all-platforms/rejects-regular-file-pipes")
async def test_a_regular_file_that_was_refused_is_neither_read_nor_written(
    loop: AbstractEventLoop, aio: Any, file: IO[bytes], connect: str
) -> None:
    with pytest.raises(REFUSALS):
        await getattr(loop, connect)(aio.Protocol, file)
    for _ in range(3):
        await aio.sleep(0)
    assert (file.tell(), file.read()) == (0, b"content")
