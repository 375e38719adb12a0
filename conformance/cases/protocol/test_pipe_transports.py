"""Read and write transports of pipes: which methods of the loop give them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.children import ECHO, NOTHING, end, spawn
from conformance.support.marks import requirement
from conformance.support.pipes import BASE_METHODS, READ_METHODS, WRITE_METHODS, lacks, pipe
from conformance.support.protocols import Recorder
from conformance.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.support.pipes import Ends

UNIX_PIPES = pytest.mark.skipif(sys.platform == "win32", reason="Windows reads and writes pipes of another make")


@pytest.fixture
def ends(request: pytest.FixtureRequest, loop: Any) -> Iterator[Ends]:  # noqa: ARG001 - closed before the loop is
    """A pipe whose reading or writing end is for the target."""
    made = pipe(reading=request.param)
    yield made
    made.clean_up()


@UNIX_PIPES
@pytest.mark.parametrize("ends", [False], ids=["write"], indirect=True)
@requirement("WriteTransport/returned-by-connect-write-pipe")
async def test_connecting_a_pipe_for_writing_gives_a_write_transport(loop: Any, aio: Any, ends: Ends) -> None:
    transport, protocol = await loop.connect_write_pipe(Recorder, ends.ours)
    assert isinstance(transport, aio.WriteTransport)
    assert lacks(transport, BASE_METHODS, WRITE_METHODS) == []
    transport.close()
    await until(loop, lambda: protocol.lost)


@requirement("WriteTransport/returned-by-connect-write-pipe")
async def test_the_standard_input_of_a_child_is_a_write_transport(loop: Any, aio: Any) -> None:
    transport, protocol = await spawn(loop, ECHO)
    stdin = transport.get_pipe_transport(0)
    assert isinstance(stdin, aio.WriteTransport)
    assert lacks(stdin, BASE_METHODS, WRITE_METHODS) == []
    stdin.close()
    await end(transport, protocol)


@UNIX_PIPES
@pytest.mark.parametrize("ends", [True], ids=["read"], indirect=True)
@requirement("ReadTransport/returned-by-connect-read-pipe")
async def test_connecting_a_pipe_for_reading_gives_a_read_transport(loop: Any, aio: Any, ends: Ends) -> None:
    transport, protocol = await loop.connect_read_pipe(Recorder, ends.ours)
    assert isinstance(transport, aio.ReadTransport)
    assert lacks(transport, BASE_METHODS, READ_METHODS) == []
    os.write(ends.theirs, b"data")
    await until(loop, lambda: protocol.data == b"data")
    transport.close()
    await until(loop, lambda: protocol.lost)


@pytest.mark.parametrize("fd", [1, 2])
@requirement("ReadTransport/returned-by-connect-read-pipe")
async def test_the_outputs_of_a_child_are_read_transports(loop: Any, aio: Any, fd: int) -> None:
    transport, protocol = await spawn(loop, NOTHING)
    output = transport.get_pipe_transport(fd)
    assert isinstance(output, aio.ReadTransport)
    assert lacks(output, BASE_METHODS, READ_METHODS) == []
    await end(transport, protocol)
