"""Pipes: `connect_read_pipe()` and `connect_write_pipe()`."""

from __future__ import annotations

import asyncio
import os
import socket
import tty
from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.io.carriers import Recorder, turns, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

requirement = pytest.mark.requirement

# More than a pipe holds.
LARGE = 5_000_000


class Ends:
    """The two ends of something that bytes go through, as objects that can be closed."""

    def __init__(self, reading: Any, writing: Any) -> None:
        self.reading = reading
        self.writing = writing

    def close(self) -> None:
        """Close what is still open."""
        for end in (self.reading, self.writing):
            end.close()


def _pipe(_: Path) -> Ends:
    reading, writing = os.pipe()
    return Ends(open(reading, "rb", 0), open(writing, "wb", 0))  # noqa: PTH123 - descriptors


def _fifo(folder: Path) -> Ends:
    os.mkfifo(folder / "fifo")
    reading = os.open(folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(folder / "fifo", os.O_WRONLY)
    os.set_blocking(reading, True)
    return Ends(open(reading, "rb", 0), open(writing, "wb", 0))  # noqa: PTH123 - descriptors


def _sockets(_: Path) -> Ends:
    return Ends(*socket.socketpair())


@pytest.fixture(params=[_pipe, _fifo, _sockets], ids=["pipe", "fifo", "socket"])
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ends]:
    """A pipe, a FIFO, a pair of sockets."""
    made = request.param(tmp_path)
    yield made
    made.close()


def drain(fd: int) -> bytes:
    """Read from a blocking descriptor until the end."""
    received = bytearray()
    while data := os.read(fd, 65536):
        received += data
    return bytes(received)


@requirement(
    "loop.connect_read_pipe/returns-read-transport-pair",
    "loop.connect_read_pipe/protocol-comes-from-factory",
    "loop.connect_read_pipe/makes-pipe-nonblocking",
    "loop.connect_read_pipe/accepts-pipe-socket-character-device",
    "ReadTransport/returned-by-connect-read-pipe",
    "BaseTransport.get_extra_info/offers-pipe-key",
)
async def test_everything_written_to_a_pipe_is_received_and_then_its_end(loop: Any, ends: Ends) -> None:
    made = Recorder()
    transport, protocol = await loop.connect_read_pipe(lambda: made, ends.reading)
    assert protocol is made
    assert isinstance(transport, asyncio.ReadTransport)
    assert not isinstance(transport, asyncio.WriteTransport)
    assert transport.get_extra_info("pipe") is ends.reading
    assert os.get_blocking(ends.reading.fileno()) is False
    data = bytes(range(256)) * 2000

    def write() -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(ends.writing.fileno(), view) :]
        ends.writing.close()

    await loop.run_in_executor(None, write)
    await until(lambda: protocol.lost)
    assert protocol.data == data
    assert protocol.events == ["made", "data", "eof", "lost"]
    assert protocol.lost == [None]
    assert ends.reading.fileno() == -1 if isinstance(ends.reading, socket.socket) else ends.reading.closed


@requirement("ReadTransport.pause_reading/stops-data-received", "ReadTransport.resume_reading/restarts-data-received")
async def test_reading_from_a_pipe_can_be_paused(loop: Any, ends: Ends) -> None:
    transport, protocol = await loop.connect_read_pipe(Recorder, ends.reading)
    await turns(3)
    transport.pause_reading()
    transport.pause_reading()
    assert not transport.is_reading()
    os.write(ends.writing.fileno(), b"wait")
    await turns(20)
    assert not protocol.data
    transport.resume_reading()
    await until(lambda: protocol.data == b"wait")
    transport.close()
    transport.close()
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]


@requirement(
    "loop.connect_write_pipe/returns-write-transport-pair",
    "loop.connect_write_pipe/makes-pipe-nonblocking",
    "loop.connect_write_pipe/accepts-pipe-socket-character-device",
    "WriteTransport/returned-by-connect-write-pipe",
    "BaseTransport.close/flushes-buffer-first",
    "WriteTransport.write_eof/peer-sees-data-then-eof",
    "BaseProtocol.resume_writing/paired-with-pause-writing",
)
@pytest.mark.parametrize("end", ["close", "write_eof"])
async def test_everything_written_to_a_pipe_goes_out_before_it_closes(loop: Any, ends: Ends, end: str) -> None:
    transport, protocol = await loop.connect_write_pipe(Recorder, ends.writing)
    assert isinstance(transport, asyncio.WriteTransport)
    assert transport.get_extra_info("pipe") is ends.writing
    assert os.get_blocking(ends.writing.fileno()) is False
    assert transport.can_write_eof()
    transport.write(b"a" * LARGE)
    transport.writelines([b"b" * 10, bytearray(b"c" * 10)])
    assert transport.get_write_buffer_size() > 0
    getattr(transport, end)()
    getattr(transport, end)()
    assert await loop.run_in_executor(None, drain, ends.reading.fileno()) == b"a" * LARGE + b"b" * 10 + b"c" * 10
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]
    assert protocol.events == ["made", "pause", "resume", "lost"]


@requirement("BaseProtocol.connection_lost/receives-exception-on-error")
async def test_a_reader_that_goes_away_ends_the_write_pipe(loop: Any, ends: Ends) -> None:
    transport, protocol = await loop.connect_write_pipe(Recorder, ends.writing)
    ends.reading.close()
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]
    assert transport.is_closing()
    transport.write(b"ignored")


@requirement("BaseProtocol.connection_lost/receives-exception-on-error")
async def test_a_reader_that_goes_away_from_unread_data_is_an_error(loop: Any, ends: Ends) -> None:
    transport, protocol = await loop.connect_write_pipe(Recorder, ends.writing)
    transport.write(b"x" * LARGE)
    ends.reading.close()
    await until(lambda: protocol.lost)
    assert isinstance(protocol.lost[0], OSError)


@requirement("WriteTransport.abort/discards-buffered-data")
async def test_aborting_a_write_pipe_drops_what_is_buffered(loop: Any, ends: Ends) -> None:
    transport, protocol = await loop.connect_write_pipe(Recorder, ends.writing)
    transport.write(b"x" * LARGE)
    transport.abort()
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]
    assert len(await loop.run_in_executor(None, drain, ends.reading.fileno())) < LARGE


@pytest.mark.asyncio_differs("takes anything that the peer sends for its end")
async def test_a_peer_that_sends_does_not_end_a_write_pipe_over_a_socket(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    transport, protocol = await loop.connect_write_pipe(Recorder, ours)
    theirs.sendall(b"not for us")
    await turns(20)
    assert not transport.is_closing()
    transport.write(b"still here")
    assert theirs.recv(100) == b"still here"
    transport.close()
    await until(lambda: protocol.lost)
    theirs.close()


@requirement("loop.connect_write_pipe/works-with-base-protocol")
async def test_a_write_pipe_needs_a_base_protocol_only(loop: Any, ends: Ends) -> None:
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, ends.writing)
    transport.write(b"hello")
    transport.close()
    assert await loop.run_in_executor(None, drain, ends.reading.fileno()) == b"hello"
    await turns()


@requirement("loop.connect_read_pipe/rejects-regular-files", "loop.connect_write_pipe/rejects-regular-files")
async def test_regular_files_are_no_pipes(loop: Any, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        for method in (loop.connect_read_pipe, loop.connect_write_pipe):
            with pytest.raises(ValueError, match=r".*"):
                await method(Recorder, file)
        assert not file.closed


@requirement("loop.connect_read_pipe/accepts-pipe-socket-character-device")
async def test_a_terminal_is_read_until_its_program_hangs_up(loop: Any) -> None:
    controller, terminal = os.openpty()
    transport, protocol = await loop.connect_read_pipe(Recorder, open(controller, "rb", 0))  # noqa: PTH123, SIM115, ASYNC230
    os.write(terminal, b"prompt")
    await until(lambda: protocol.data == b"prompt")
    os.close(terminal)
    await until(lambda: protocol.lost)
    assert transport.is_closing()


@requirement("loop.connect_write_pipe/accepts-pipe-socket-character-device")
async def test_a_terminal_is_written_to(loop: Any) -> None:
    controller, terminal = os.openpty()
    # Raw, so that it does not show what is typed as well.
    tty.setraw(terminal)
    transport, protocol = await loop.connect_write_pipe(Recorder, open(terminal, "wb", 0))  # noqa: PTH123, SIM115, ASYNC230
    os.write(controller, b"typed\n")
    transport.write(b"shown")
    await turns(20)
    assert not transport.is_closing()
    assert b"shown" in await loop.run_in_executor(None, os.read, controller, 100)
    transport.close()
    await until(lambda: protocol.lost)
    os.close(controller)
