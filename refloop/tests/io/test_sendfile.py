"""Sending files over transports and sockets."""

from __future__ import annotations

import asyncio
import io
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.io.carriers import Carrier, Peer, turns, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

requirement = pytest.mark.requirement

CONTENT = bytes(range(256)) * 30_000


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Any]:
    """A file of some megabytes."""
    (tmp_path / "file").write_bytes(CONTENT)
    with (tmp_path / "file").open("rb") as opened:
        yield opened


@pytest.fixture(params=["by-system", "by-copying"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the system sends, or has no call for it."""
    name: str = request.param
    if name == "by-copying":
        monkeypatch.delattr(os, "sendfile")
    return name


@requirement(
    "loop.sendfile/returns-bytes-sent",
    "loop.sendfile/uses-os-sendfile",
    "loop.sendfile/starts-at-offset",
    "loop.sendfile/count-limits-bytes",
    "loop.sendfile/updates-file-position",
    "loop.sendfile/fallback-copies-manually",
    "loop.sendfile/earlier-writes-go-first",
)
@pytest.mark.parametrize(
    ("offset", "count", "expected"),
    [
        (0, None, CONTENT),
        (1000, None, CONTENT[1000:]),
        (5, 300_000, CONTENT[5:300_005]),
        (100, 10**9, CONTENT[100:]),
    ],
)
async def test_a_file_goes_over_a_transport_after_what_was_written(
    loop: Any, tcp: Carrier, file: Any, way: str, offset: int, count: int | None, expected: bytes
) -> None:
    transport, _, peer = await tcp.connect()
    before = b"before" * 500_000
    transport.write(before)
    reading = asyncio.ensure_future(peer.read_until_eof())
    assert await loop.sendfile(transport, file, offset, count, fallback=way == "by-copying") == len(expected)
    assert file.tell() == offset + len(expected)
    transport.write(b"after")
    transport.close()
    assert await reading == before + expected + b"after"


@requirement(
    "loop.sock_sendfile/returns-bytes-sent",
    "loop.sock_sendfile/honours-offset-count-position",
    "loop.sock_sendfile/fallback-copies-manually",
)
@pytest.mark.parametrize(("offset", "count"), [(0, None), (1000, 3_000_000)])
async def test_a_file_goes_over_a_socket(loop: Any, file: Any, way: str, offset: int, count: int | None) -> None:
    expected = CONTENT[offset:] if count is None else CONTENT[offset : offset + count]
    ours, theirs = socket.socketpair()
    peer = Peer(loop, theirs)
    with ours, theirs:
        ours.setblocking(False)
        reading = asyncio.ensure_future(peer.read_until_eof())
        assert await loop.sock_sendfile(ours, file, offset, count, fallback=way == "by-copying") == len(expected)
        assert file.tell() == offset + len(expected)
        ours.close()
        assert await reading == expected


async def test_without_fallback_the_lack_of_a_system_call_is_an_error(loop: Any, tcp: Carrier) -> None:
    transport, _, peer = await tcp.connect()
    memory = io.BytesIO(CONTENT)
    with pytest.raises(asyncio.SendfileNotAvailableError):
        await loop.sendfile(transport, memory, fallback=False)
    assert not transport.is_closing()
    reading = asyncio.ensure_future(peer.read(len(CONTENT)))
    assert await loop.sendfile(transport, memory) == len(CONTENT)
    assert await reading == CONTENT


@requirement("loop.sendfile/updates-file-position")
@pytest.mark.usefixtures("way")
async def test_a_peer_that_goes_away_ends_sending_with_an_error(loop: Any, tcp: Carrier, file: Any) -> None:
    transport, protocol, peer = await tcp.connect()
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sending = loop.create_task(loop.sendfile(transport, file))
    await peer.read(100_000)
    peer.reset()
    with pytest.raises(OSError, match=r".*"):
        await sending
    assert 0 < file.tell() < len(CONTENT)
    transport.abort()
    await until(lambda: protocol.lost)


@pytest.mark.asyncio_differs("goes on waiting")
@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_transport_can_be_ended_while_it_sends_a_file(loop: Any, tcp: Carrier, file: Any, end: str) -> None:
    transport, protocol, peer = await tcp.connect()
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sending = loop.create_task(loop.sendfile(transport, file))
    await turns()
    with pytest.raises(RuntimeError):
        transport.write(b"in between")
    assert not sending.done()
    getattr(transport, end)()
    if end == "close":
        assert await peer.read_until_eof() == CONTENT
        assert await sending == len(CONTENT)
    else:
        with pytest.raises(ConnectionError):
            await sending
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]


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


@requirement(
    "loop.sendfile/requires-regular-binary-file",
    "loop.sock_sendfile/requires-regular-binary-file",
    "loop.sock_sendfile/rejects-blocking-or-nonstream-socket",
)
async def test_wrong_arguments_are_rejected(loop: Any, tcp: Carrier, file: Any, tmp_path: Path) -> None:
    transport, _, _ = await tcp.connect()
    with (tmp_path / "file").open() as text:
        with pytest.raises(ValueError, match="binary"):
            await loop.sendfile(transport, text)
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.setblocking(False)
        with pytest.raises(ValueError, match=r".*"):
            await loop.sock_sendfile(datagrams, file)
    loop.set_debug(True)
    with socket.socket() as blocking:
        with pytest.raises(ValueError, match="non-blocking"):
            await loop.sock_sendfile(blocking, file)
    transport.close()
    with pytest.raises(RuntimeError):
        await loop.sendfile(transport, file)
