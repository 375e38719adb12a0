"""Sending files with the caller's own socket: ``sock_sendfile()``."""

from __future__ import annotations

import io
import socket
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.datagrams import in_thread
from conformance.support.files import CONTENTS, LONG, PARTS, Part, sent_file
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import HOST, read_until_eof, socket_pair
from conformance.support.waiting import GENEROUS, turns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO


@pytest.fixture
def file(tmp_path: Path) -> Iterator[BinaryIO]:
    """A file that takes several turns to send."""
    with sent_file(tmp_path) as opened:
        yield opened


@pytest.fixture
def long_file(tmp_path: Path) -> Iterator[BinaryIO]:
    """A file that cannot be sent before its peer reads."""
    with sent_file(tmp_path, LONG) as opened:
        yield opened


async def check_part(loop: Any, file: Any, part: Part, **options: Any) -> None:
    """Send a part of ``file``: it arrives, nothing else does, and the file's position is behind it."""
    offset, count, expected = part
    with socket_pair() as (ours, theirs):
        reading = loop.create_task(in_thread(loop, lambda: read_until_eof(theirs)))
        try:
            sent = await loop.sock_sendfile(ours, file, offset, count, **options)
        finally:
            ours.close()
            data = await reading
    assert (sent, data == expected) == (len(expected), True)
    assert file.tell() == offset + len(expected)


@requirement("loop.sock_sendfile/accepts-documented-parameters")
async def test_sending_takes_a_socket_a_file_an_offset_a_count_and_a_fallback(loop: Any, tmp_path: Path) -> None:
    with socket_pair() as (ours, theirs), sent_file(tmp_path, b"0123456789") as file:
        counts = [
            await loop.sock_sendfile(ours, file),
            await loop.sock_sendfile(ours, file, 0, None, fallback=True),
            await loop.sock_sendfile(ours, file, 7),
            await loop.sock_sendfile(sock=ours, file=file, offset=2, count=3, fallback=False),
        ]
        for arguments in ((), (ours,), (ours, file, 0, None, True)):
            with pytest.raises(TypeError):
                await loop.sock_sendfile(*arguments)
        ours.close()
        assert counts == [10, 10, 3, 3]
        assert read_until_eof(theirs) == b"0123456789" * 2 + b"789" + b"234"


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("options", [{}, {"fallback": False}], ids=["default", "system"])
@requirement("loop.sock_sendfile/returns-bytes-sent")
async def test_a_file_goes_to_a_socket_and_its_length_is_returned(
    loop: Any, file: BinaryIO, options: dict[str, Any]
) -> None:
    await check_part(loop, file, PARTS["all"], **options)


@requirement("loop.sock_sendfile/returns-bytes-sent")
async def test_a_file_goes_over_a_tcp_connection(loop: Any, file: BinaryIO) -> None:
    with socket.create_server((HOST, 0)) as listening, socket.create_connection(listening.getsockname()) as ours:
        theirs, _ = listening.accept()
        with theirs:
            theirs.settimeout(GENEROUS)
            ours.setblocking(False)
            reading = loop.create_task(in_thread(loop, lambda: read_until_eof(theirs)))
            assert await loop.sock_sendfile(ours, file) == len(CONTENTS)
            ours.close()
            assert await reading == CONTENTS


@requirement("loop.sock_sendfile/returns-bytes-sent")
async def test_an_empty_file_is_sent_at_once(loop: Any, tmp_path: Path) -> None:
    with socket_pair() as (ours, theirs), sent_file(tmp_path, b"") as file:
        assert [await loop.sock_sendfile(ours, file), await loop.sock_sendfile(ours, file, 0, 10)] == [0, 0]
        ours.close()
        assert read_until_eof(theirs) == b""


@requirement("loop.sock_sendfile/returns-bytes-sent")
async def test_other_tasks_run_while_a_file_waits_for_its_peer(loop: Any, long_file: BinaryIO) -> None:
    with socket_pair() as (ours, theirs):
        sending = loop.create_task(loop.sock_sendfile(ours, long_file))
        await turns(loop)
        assert not sending.done()
        reading = loop.create_task(in_thread(loop, lambda: read_until_eof(theirs)))
        assert await sending == len(LONG)
        ours.close()
        assert await reading == LONG


@requirement("loop.sock_sendfile/returns-bytes-sent")
async def test_after_a_file_the_socket_sends_and_receives(loop: Any, tmp_path: Path) -> None:
    with socket_pair() as (ours, theirs), sent_file(tmp_path, b"file ") as file:
        await loop.sock_sendfile(ours, file)
        await loop.sock_sendall(ours, b"and more")
        theirs.send(b"received")
        assert await loop.sock_recv(ours, 100) == b"received"
        ours.close()
        assert read_until_eof(theirs) == b"file and more"


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("part", PARTS)
@requirement("loop.sock_sendfile/honours-offset-count-position")
async def test_a_part_of_a_file_is_sent_and_the_position_is_behind_it(loop: Any, file: BinaryIO, part: str) -> None:
    await check_part(loop, file, PARTS[part])


@requirement("loop.sock_sendfile/honours-offset-count-position")
async def test_a_file_is_sent_from_its_beginning_wherever_it_was_before(loop: Any, file: BinaryIO) -> None:
    file.seek(1000)
    await check_part(loop, file, PARTS["all"])


@requirement("loop.sock_sendfile/honours-offset-count-position")
async def test_behind_the_end_of_a_file_there_is_nothing_to_send(loop: Any, file: BinaryIO) -> None:
    with socket_pair() as (ours, theirs):
        for offset in len(CONTENTS), len(CONTENTS) + 1000:
            assert await loop.sock_sendfile(ours, file, offset) == 0
        ours.close()
        assert read_until_eof(theirs) == b""


@requirement("loop.sock_sendfile/honours-offset-count-position")
async def test_when_the_peer_goes_away_the_position_tells_how_much_was_sent(loop: Any, long_file: BinaryIO) -> None:
    with socket_pair() as (ours, theirs):
        sending = loop.create_task(loop.sock_sendfile(ours, long_file))
        await in_thread(loop, lambda: theirs.recv(100_000, socket.MSG_WAITALL))
        theirs.close()
        with pytest.raises(OSError):  # noqa: PT011 - systems differ in the number
            await sending
    assert 100_000 <= long_file.tell() < len(LONG)


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("part", PARTS)
@requirement("loop.sock_sendfile/fallback-copies-manually")
async def test_what_the_system_cannot_send_is_read_and_sent(loop: Any, part: str) -> None:
    await check_part(loop, io.BytesIO(CONTENTS), PARTS[part])


@requirement("loop.sock_sendfile/fallback-copies-manually")
async def test_what_is_read_and_sent_begins_at_the_offset_wherever_the_file_was_before(loop: Any) -> None:
    memory = io.BytesIO(CONTENTS)
    memory.seek(1000)
    await check_part(loop, memory, PARTS["all"])


@requirement("loop.sock_sendfile/rejects-blocking-or-nonstream-socket")
async def test_a_datagram_socket_takes_no_file(loop: Any, file: BinaryIO) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock, socket.socket(type=socket.SOCK_DGRAM) as peer:
        peer.bind((HOST, 0))
        sock.connect(peer.getsockname())
        sock.setblocking(False)
        with pytest.raises(ValueError):  # noqa: PT011 - the documentation promises no message
            await loop.sock_sendfile(sock, file)


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("fallback", [True, False], ids=["fallback", "system"])
@requirement("loop.sock_sendfile/requires-regular-binary-file")
async def test_a_text_file_is_not_sent(loop: Any, tmp_path: Path, fallback: bool) -> None:
    with socket_pair() as (ours, theirs):
        with sent_file(tmp_path, b"text") as file, open(file.name, encoding="ascii") as text:  # noqa: ASYNC230, PTH123
            with pytest.raises(ValueError):  # noqa: PT011 - the documentation promises no message
                await loop.sock_sendfile(ours, text, fallback=fallback)
        ours.close()
        assert read_until_eof(theirs) == b""
