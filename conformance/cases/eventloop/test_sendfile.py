"""Sending files over transports: ``sendfile()``."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.connections import PLAIN_CARRIERS, TLS_CARRIERS, Carrier, Connected
from conformance.support.files import CONTENTS, LONG, PARTS, Part, sent_file
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

OVER_PLAIN = pytest.mark.parametrize("stream", PLAIN_CARRIERS, indirect=True)
OVER_TLS = pytest.mark.parametrize("stream", TLS_CARRIERS, indirect=True)
# What a transport cannot send at once.
BEFORE = b"written before " * 100_000


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


async def received(loop: AbstractEventLoop, connected: Connected) -> bytes:
    """Close the transport; what the peer got until then and the end of the connection."""
    transport, protocol, peer = connected
    transport.close()
    data = await peer.read_until_eof()
    await until(loop, lambda: protocol.lost)
    return data


@on_loops(PLAIN, DEBUG)
@requirement("loop.sendfile/accepts-documented-parameters")
async def test_sending_takes_a_transport_a_file_an_offset_a_count_and_a_fallback(
    loop: Any, tcp: Carrier, tmp_path: Path
) -> None:
    connected = await tcp.connect()
    transport = connected.transport
    with sent_file(tmp_path, b"0123456789") as file:
        counts = [
            await loop.sendfile(transport, file),
            await loop.sendfile(transport, file, 0, None, fallback=True),
            await loop.sendfile(transport, file, 7),
            await loop.sendfile(transport=transport, file=file, offset=2, count=3, fallback=False),
        ]
        for arguments in ((), (transport,), (transport, file, 0, None, True)):
            with pytest.raises(TypeError):
                await loop.sendfile(*arguments)
    assert counts == [10, 10, 3, 3]
    assert await received(loop, connected) == b"0123456789" * 2 + b"789" + b"234"


@OVER_PLAIN
@requirement("loop.sendfile/returns-bytes-sent")
async def test_a_file_goes_over_a_transport_and_its_length_is_returned(
    loop: Any, stream: Carrier, file: BinaryIO
) -> None:
    connected = await stream.connect()
    reading = loop.create_task(connected.peer.read(len(CONTENTS)))
    assert await loop.sendfile(connected.transport, file) == len(CONTENTS)
    assert await reading == CONTENTS
    assert await received(loop, connected) == b""


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system does not send files")
@pytest.mark.parametrize("part", PARTS)
@requirement("loop.sendfile/uses-os-sendfile")
async def test_the_system_sends_a_file_without_any_fallback(loop: Any, tcp: Carrier, file: BinaryIO, part: str) -> None:
    offset, count, expected = PARTS[part]
    connected = await tcp.connect()
    reading = loop.create_task(connected.peer.read(len(expected)))
    assert await loop.sendfile(connected.transport, file, offset, count, fallback=False) == len(expected)
    assert await reading == expected
    assert await received(loop, connected) == b""


async def check_part(loop: Any, carrier: Carrier, file: Any, part: Part) -> None:
    """Send a part of ``file``: it arrives, nothing else does, and the file's position is behind it."""
    offset, count, expected = part
    transport, protocol, peer = await carrier.connect()
    reading = loop.create_task(peer.read_until_eof())
    try:
        sent = await loop.sendfile(transport, file, offset, count)
    finally:
        transport.close()
        data = await reading
    await until(loop, lambda: protocol.lost)
    assert (sent, data == expected) == (len(expected), True)
    assert file.tell() == offset + len(expected)


@pytest.mark.parametrize("part", ["from an offset", "the last byte"])
@requirement("loop.sendfile/starts-at-offset")
async def test_a_file_is_sent_from_an_offset_on(loop: Any, tcp: Carrier, file: BinaryIO, part: str) -> None:
    await check_part(loop, tcp, file, PARTS[part])


@pytest.mark.parametrize("part", ["a count", "an offset and a count", "one byte", "more than there is"])
@requirement("loop.sendfile/count-limits-bytes")
async def test_no_more_of_a_file_is_sent_than_was_asked_for(loop: Any, tcp: Carrier, file: BinaryIO, part: str) -> None:
    await check_part(loop, tcp, file, PARTS[part])


@requirement("loop.sendfile/starts-at-offset")
async def test_a_file_is_sent_from_its_beginning_wherever_it_was_before(
    loop: Any, tcp: Carrier, file: BinaryIO
) -> None:
    file.seek(1000)
    await check_part(loop, tcp, file, PARTS["all"])


@requirement("loop.sendfile/count-limits-bytes")
async def test_an_empty_file_is_sent_at_once(loop: Any, tcp: Carrier, tmp_path: Path) -> None:
    connected = await tcp.connect()
    with sent_file(tmp_path, b"") as file:
        assert await loop.sendfile(connected.transport, file) == 0
        assert await loop.sendfile(connected.transport, file, 0, 10) == 0
        connected.transport.write(b"written after")
    assert await received(loop, connected) == b"written after"


@requirement("loop.sendfile/starts-at-offset")
async def test_behind_the_end_of_a_file_there_is_nothing_to_send(loop: Any, tcp: Carrier, file: BinaryIO) -> None:
    connected = await tcp.connect()
    for offset in len(CONTENTS), len(CONTENTS) + 1000:
        assert await loop.sendfile(connected.transport, file, offset) == 0
    assert await received(loop, connected) == b""


@on_loops(PLAIN, DEBUG)
@OVER_PLAIN
@requirement("loop.sendfile/earlier-writes-go-first")
async def test_what_was_written_before_goes_before_the_file_and_what_comes_after_it_after(
    loop: Any, stream: Carrier, file: BinaryIO
) -> None:
    connected = await stream.connect()
    reading = loop.create_task(connected.peer.read(len(BEFORE) + len(CONTENTS) + 13))
    connected.transport.write(BEFORE)
    assert await loop.sendfile(connected.transport, file) == len(CONTENTS)
    connected.transport.write(b"written after")
    assert await reading == BEFORE + CONTENTS + b"written after"
    assert await received(loop, connected) == b""


@requirement("loop.sendfile/earlier-writes-go-first")
async def test_two_files_go_one_after_the_other(loop: Any, tcp: Carrier, file: BinaryIO) -> None:
    connected = await tcp.connect()
    reading = loop.create_task(connected.peer.read(2 * len(CONTENTS) + 1))
    await loop.sendfile(connected.transport, file)
    connected.transport.write(b"|")
    await loop.sendfile(connected.transport, file)
    assert await reading == CONTENTS + b"|" + CONTENTS
    assert await received(loop, connected) == b""


@requirement("loop.sendfile/returns-bytes-sent")
async def test_a_transport_receives_after_it_sent_a_file(loop: Any, tcp: Carrier, file: BinaryIO) -> None:
    connected = await tcp.connect()
    reading = loop.create_task(connected.peer.read(len(CONTENTS)))
    await loop.sendfile(connected.transport, file)
    await reading
    await connected.peer.send(b"thank you")
    await until(loop, lambda: connected.protocol.data == b"thank you")
    assert await received(loop, connected) == b""


@requirement("loop.sendfile/returns-bytes-sent")
async def test_other_tasks_run_while_a_file_waits_for_its_peer(loop: Any, tcp: Carrier, long_file: BinaryIO) -> None:
    connected = await tcp.connect()
    sending = loop.create_task(loop.sendfile(connected.transport, long_file))
    await turns(loop)
    assert not sending.done()
    assert await connected.peer.read(len(LONG)) == LONG
    assert await sending == len(LONG)


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("part", ["all", "from an offset", "an offset and a count"])
@requirement("loop.sendfile/updates-file-position")
async def test_afterwards_the_file_is_positioned_behind_what_was_sent(
    loop: Any, tcp: Carrier, file: BinaryIO, part: str
) -> None:
    await check_part(loop, tcp, file, PARTS[part])


@requirement("loop.sendfile/updates-file-position")
async def test_when_the_peer_goes_away_the_position_tells_how_much_was_sent(
    loop: Any, tcp: Carrier, long_file: BinaryIO
) -> None:
    transport, protocol, peer = await tcp.connect()
    sending = loop.create_task(loop.sendfile(transport, long_file))
    await peer.read(100_000)
    await peer.reset()
    with pytest.raises(OSError):  # noqa: PT011 - systems differ in the number
        await sending
    assert 100_000 <= long_file.tell() < len(LONG)
    transport.abort()
    await until(loop, lambda: protocol.lost)


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("part", PARTS)
@requirement("loop.sendfile/fallback-copies-manually")
async def test_what_the_system_cannot_send_is_read_and_written(loop: Any, tcp: Carrier, part: str) -> None:
    await check_part(loop, tcp, io.BytesIO(CONTENTS), PARTS[part])


@requirement("loop.sendfile/fallback-copies-manually")
async def test_what_is_read_and_written_begins_at_the_offset_wherever_the_file_was_before(
    loop: Any, tcp: Carrier
) -> None:
    memory = io.BytesIO(CONTENTS)
    memory.seek(1000)
    await check_part(loop, tcp, memory, PARTS["all"])


@requirement("loop.sendfile/fallback-copies-manually", "loop.sendfile/earlier-writes-go-first")
async def test_what_is_read_and_written_comes_after_what_was_written_before(loop: Any, tcp: Carrier) -> None:
    connected = await tcp.connect()
    reading = loop.create_task(connected.peer.read(len(BEFORE) + len(CONTENTS) + 13))
    connected.transport.write(BEFORE)
    assert await loop.sendfile(connected.transport, io.BytesIO(CONTENTS)) == len(CONTENTS)
    connected.transport.write(b"written after")
    assert await reading == BEFORE + CONTENTS + b"written after"
    assert await received(loop, connected) == b""


@OVER_TLS
@requirement("loop.sendfile/works-over-tls", "loop.sendfile/fallback-copies-manually")
async def test_over_tls_a_file_is_read_and_written(loop: Any, stream: Carrier, file: BinaryIO) -> None:
    connected = await stream.connect()
    reading = loop.create_task(connected.peer.read(6 + len(CONTENTS) - 1000 + 5))
    connected.transport.write(b"before")
    assert await loop.sendfile(connected.transport, file, 1000) == len(CONTENTS) - 1000
    connected.transport.write(b"after")
    assert await reading == b"before" + CONTENTS[1000:] + b"after"
    assert file.tell() == len(CONTENTS)
    assert await received(loop, connected) == b""


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("fallback", [True, False], ids=["fallback", "system"])
@requirement("loop.sendfile/requires-regular-binary-file")
async def test_a_text_file_is_not_sent(loop: Any, tcp: Carrier, tmp_path: Path, fallback: bool) -> None:
    connected = await tcp.connect()
    with sent_file(tmp_path, b"text") as file, open(file.name, encoding="ascii") as text:  # noqa: ASYNC230, PTH123
        with pytest.raises(ValueError):  # noqa: PT011 - the documentation promises no message
            await loop.sendfile(connected.transport, text, fallback=fallback)
    connected.transport.write(b"written after")
    assert await received(loop, connected) == b"written after"
