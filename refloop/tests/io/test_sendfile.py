"""Sending files where no documentation says what is to happen, or the system is different; the cases say the rest."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.io.carriers import GENEROUS, Carrier, Peer, turns, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = bytes(range(256)) * 30_000


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Any]:
    """A file of some megabytes."""
    (tmp_path / "file").write_bytes(CONTENT)
    with (tmp_path / "file").open("rb") as opened:
        yield opened


@pytest.fixture
def pipe() -> Iterator[Any]:
    """A pipe that is open as a file."""
    reading, writing = os.pipe()
    os.write(writing, b"piped")
    os.close(writing)
    with os.fdopen(reading, "rb") as opened:
        yield opened


@pytest.mark.parametrize(("offset", "count"), [(0, None), (1000, 3_000_000)])
async def test_a_system_that_sends_no_files_lets_them_be_copied(
    loop: Any, tcp: Carrier, file: Any, monkeypatch: pytest.MonkeyPatch, offset: int, count: int | None
) -> None:
    monkeypatch.delattr(os, "sendfile")
    expected = CONTENT[offset:] if count is None else CONTENT[offset : offset + count]
    transport, _, peer = await tcp.connect()
    with pytest.raises(asyncio.SendfileNotAvailableError):
        await loop.sendfile(transport, file, offset, count, fallback=False)
    reading = asyncio.ensure_future(peer.read_until_eof())
    assert await loop.sendfile(transport, file, offset, count) == len(expected)
    assert file.tell() == offset + len(expected)
    transport.close()
    assert await reading == expected
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        reading = asyncio.ensure_future(Peer(loop, theirs).read_until_eof())
        file.seek(0)
        assert await loop.sock_sendfile(ours, file, offset, count) == len(expected)
        ours.close()
        assert await reading == expected


@pytest.mark.asyncio_differs("tells a position behind what it has read ahead")
async def test_the_position_is_right_though_the_file_has_read_ahead(loop: Any, tcp: Carrier, file: Any) -> None:
    transport, _, peer = await tcp.connect()
    assert file.read(3) == CONTENT[:3]
    reading = asyncio.ensure_future(peer.read(1000))
    await loop.sendfile(transport, file, 100, 1000)
    assert await reading == CONTENT[100:1100]
    assert (file.tell(), file.read(3)) == (1100, CONTENT[1100:1103])


@pytest.mark.asyncio_differs("goes on waiting")
@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_transport_can_be_ended_while_it_sends_a_file(loop: Any, tcp: Carrier, file: Any, end: str) -> None:
    transport, protocol, peer = await tcp.connect()
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sending = loop.create_task(loop.sendfile(transport, file))
    await turns()
    with pytest.raises(RuntimeError):
        transport.write(b"in between")
    assert not sending.done()
    # From here on nothing depends on the small buffer, in which a few kilobytes wait for each acknowledgement.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(CONTENT))
    getattr(transport, end)()
    if end == "close":
        assert await peer.read_until_eof() == CONTENT
        assert await sending == len(CONTENT)
    else:
        with pytest.raises(ConnectionError):
            await sending
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]


@pytest.mark.asyncio_differs("goes on waiting")
async def test_a_transport_that_is_aborted_when_it_could_send_on_ends_the_sending(
    loop: Any, tcp: Carrier, file: Any
) -> None:
    transport, protocol, peer = await tcp.connect()
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sending = loop.create_task(loop.sendfile(transport, file))
    await turns()
    await peer.read(1_000_000)
    # Aborted in the very turn that finds room, by a callback that runs after the sending's own.
    other, trigger = socket.socketpair()
    with other, trigger:
        trigger.send(b"x")
        loop.add_reader(other, transport.abort)
        with pytest.raises(ConnectionError):
            await sending
        loop.remove_reader(other)
    await until(lambda: protocol.lost)


@pytest.mark.asyncio_differs("moves the file's position too late or not far enough")
async def test_cancelling_leaves_the_transport_usable(loop: Any, tcp: Carrier, file: Any) -> None:
    transport, _, peer = await tcp.connect()
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sending = loop.create_task(loop.sendfile(transport, file))
    await turns()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    sent = file.tell()
    assert sent < len(CONTENT)
    transport.write(b"after")
    assert await peer.read(sent + 5) == CONTENT[:sent] + b"after"


class SlowFile(io.BytesIO):
    """A file in memory that waits in its second read."""

    def __init__(self) -> None:
        super().__init__(CONTENT)
        self.reads = 0
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads == 2:
            self.entered.set()
            assert self.go_on.wait(GENEROUS)
        return super().read(size)


@pytest.mark.asyncio_differs("sets the position while the thread still moves it")
@pytest.mark.parametrize("how", ["sendfile", "sock_sendfile"])
async def test_cancelling_while_a_file_is_read_leaves_its_position_behind_what_was_sent(
    loop: Any, tcp: Carrier, how: str
) -> None:
    transport, _, peer = await tcp.connect()
    ours, theirs = socket.socketpair()
    with ours, theirs, SlowFile() as file:
        ours.setblocking(False)
        receiving = asyncio.ensure_future((peer if how == "sendfile" else Peer(loop, theirs)).read_until_eof())
        sending = loop.create_task(
            loop.sendfile(transport, file) if how == "sendfile" else loop.sock_sendfile(ours, file)
        )
        await until(file.entered.is_set)
        sending.cancel()
        await turns()
        file.go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await sending
        sent = file.tell()
        transport.close()
        ours.close()
        assert await receiving == CONTENT[:sent]
        assert 0 < sent < len(CONTENT)


@pytest.mark.asyncio_differs("takes a pipe for an empty file")
async def test_the_system_does_not_send_a_pipe(loop: Any, tcp: Carrier, pipe: Any) -> None:
    transport, _, peer = await tcp.connect()
    with pytest.raises(asyncio.SendfileNotAvailableError):
        await loop.sendfile(transport, pipe, fallback=False)
    transport.write(b"still there")
    assert await peer.read(11) == b"still there"


@pytest.mark.asyncio_differs("checks the arguments only where the system sends")
@pytest.mark.parametrize(
    ("arguments", "error"),
    [((-1,), ValueError), ((0, 0), ValueError), ((0, -1), ValueError), ((1.0,), TypeError), ((0, 1.0), TypeError)],
)
async def test_impossible_amounts_are_rejected(loop: Any, tcp: Carrier, arguments: Any, error: Any) -> None:
    transport, _, _ = await tcp.connect()
    with pytest.raises(error):
        await loop.sendfile(transport, io.BytesIO(CONTENT), *arguments)
