"""Ending a stream transport from this side: ``close()``, ``abort()``, ``is_closing()``."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.buffers import more_than_fits
from conformance.support.connections import OVER_BOTH, OVER_PLAIN
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.protocols import Recorder
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.connections import Carrier, Remote

ENDS = ["close", "abort"]


async def read_what_comes(peer: Remote) -> bytes:
    """Read to the end of the stream or to where it breaks off."""
    received = bytearray()

    def read() -> None:
        with suppress(OSError):
            while data := peer.sock.recv(65536):
                received.extend(data)

    await peer.do(read)
    return bytes(received)


@on_loops(PLAIN, DEBUG)
@requirement("BaseTransport.close/flushes-buffer-first")
async def test_what_was_written_just_before_close_reaches_the_peer(stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    transport.write(b"last words")
    transport.close()
    assert await peer.read_until_eof() == b"last words"


@requirement("BaseTransport.close/flushes-buffer-first", "BaseTransport.close/calls-connection-lost-after-flush")
async def test_a_buffer_that_the_peer_empties_slowly_is_flushed_before_the_end(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect()
    piece = 1 + more_than_fits(transport, peer) // 16
    transport.write(b"x" * 16 * piece)
    transport.close()
    for _ in range(16):
        assert (await peer.read(piece)).count(b"x") == piece
    assert await peer.read_until_eof() == b""
    await until(loop, lambda: protocol.lost)
    assert protocol.lost == [None]


@requirement("BaseTransport.close/calls-connection-lost-after-flush")
async def test_the_protocol_is_not_told_of_the_end_before_everything_is_sent(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect()
    much = 3 * more_than_fits(transport, peer)
    transport.write(b"x" * much)
    transport.close()
    await turns(loop, 30)
    assert protocol.lost == []
    assert len(await peer.read_until_eof()) == much
    await until(loop, lambda: protocol.lost)
    assert protocol.lost == [None]


@requirement("BaseTransport.close/calls-connection-lost-after-flush")
async def test_with_nothing_to_send_closing_tells_the_protocol_and_the_peer(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect()
    transport.close()
    assert await peer.read_until_eof() == b""
    await until(loop, lambda: protocol.lost)
    assert (protocol.events[-1], protocol.lost) == ("lost", [None])


@requirement("BaseTransport.close/calls-connection-lost-after-flush", "BaseTransport.close/flushes-buffer-first")
async def test_closing_while_reading_is_paused_flushes_and_ends(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    much = more_than_fits(transport, peer)
    transport.pause_reading()
    transport.write(b"x" * much)
    transport.close()
    assert len(await peer.read_until_eof()) == much
    await until(loop, lambda: protocol.lost)
    assert protocol.lost == [None]


@OVER_PLAIN
@requirement("BaseTransport.close/stops-receiving")
async def test_what_comes_while_the_buffer_is_flushed_is_not_received(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    much = 3 * more_than_fits(transport, peer)
    transport.write(b"x" * much)
    transport.close()
    await peer.send(b"too late")
    await turns(loop, 20)
    # Not all of it perhaps: the kernel breaks a connection off that is closed with something unread.
    await read_what_comes(peer)
    await until(loop, lambda: protocol.lost)
    assert protocol.data == b""


@pytest.mark.parametrize("end", ENDS)
@requirement("BaseTransport.close/stops-receiving", "WriteTransport.abort/stops-receiving")
async def test_what_has_come_but_was_not_received_yet_is_not_received_after_the_end(
    loop: AbstractEventLoop, stream: Carrier, end: str
) -> None:
    transport, protocol, peer = await stream.connect()
    transport.pause_reading()
    await peer.send(b"unread")
    getattr(transport, end)()
    await turns(loop, 20)
    await peer.close()
    await until(loop, lambda: protocol.lost)
    assert (protocol.data, protocol.lost[1:]) == (b"", [])


@OVER_PLAIN
@pytest.mark.parametrize("end", ENDS)
@requirement("BaseTransport.close/stops-receiving", "WriteTransport.abort/stops-receiving")
async def test_a_protocol_that_ends_the_connection_on_the_first_data_gets_no_more(
    loop: AbstractEventLoop, stream: Carrier, end: str
) -> None:
    calls: list[int] = []

    class Satisfied(Recorder):
        def data_received(self, data: bytes) -> None:
            calls.append(len(data))
            getattr(self.transport, end)()

    transport, protocol, peer = await stream.connect(Satisfied)
    much = more_than_fits(transport, peer)

    def send() -> None:
        with suppress(OSError):
            peer.sock.sendall(b"x" * much)

    await peer.do(send)
    await until(loop, lambda: protocol.lost)
    assert len(calls) == 1


@requirement("BaseTransport.close/safe-to-repeat")
async def test_closing_again_does_nothing(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    transport.write(b"once")
    for _ in range(3):
        transport.close()
    assert await peer.read_until_eof() == b"once"
    await until(loop, lambda: protocol.lost)
    transport.close()
    await turns(loop)
    assert protocol.lost == [None]


@requirement("BaseTransport.close/safe-to-repeat")
async def test_closing_again_while_the_buffer_is_flushed_loses_nothing(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect()
    much = 3 * more_than_fits(transport, peer)
    transport.write(b"x" * much)
    for _ in range(3):
        transport.close()
        await turns(loop, 3)
    assert len(await peer.read_until_eof()) == much
    await until(loop, lambda: protocol.lost)
    await turns(loop)
    assert protocol.lost == [None]


@requirement("BaseTransport.close/not-usable-afterwards")
async def test_what_is_written_after_close_reaches_nobody(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    transport.write(b"in time")
    assert await peer.read(7) == b"in time"
    transport.close()
    # To refuse it is as good as to drop it.
    with suppress(Exception):
        transport.write(b"too late")
    assert await peer.read_until_eof() == b""
    await until(loop, lambda: protocol.lost)


@requirement("BaseTransport.is_closing/returns-true-once-closing")
@pytest.mark.parametrize("end", ENDS)
async def test_a_transport_says_that_it_is_closing_from_the_call_that_ends_it(
    loop: AbstractEventLoop, stream: Carrier, end: str
) -> None:
    transport, protocol, peer = await stream.connect()
    transport.write(b"x")
    await peer.read(1)
    seen = [transport.is_closing()]
    getattr(transport, end)()
    seen.append(transport.is_closing())
    await peer.close()
    await until(loop, lambda: protocol.lost)
    seen.append(transport.is_closing())
    assert seen == [False, True, True]


@requirement("BaseTransport.is_closing/returns-true-once-closing")
async def test_a_transport_says_that_it_is_closing_while_it_flushes(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    much = 3 * more_than_fits(transport, peer)
    transport.write(b"x" * much)
    before = transport.is_closing()
    transport.close()
    await turns(loop)
    assert (before, transport.is_closing()) == (False, True)
    await peer.read_until_eof()


@requirement("BaseTransport.is_closing/returns-true-once-closing")
async def test_a_transport_that_the_peer_has_ended_says_so(loop: AbstractEventLoop, stream: Carrier) -> None:
    seen: list[bool] = []

    class Asking(Recorder):
        def eof_received(self) -> bool:
            seen.append(self.transport.is_closing())
            return super().eof_received()

        def connection_lost(self, exc: BaseException | None) -> None:
            super().connection_lost(exc)
            seen.append(self.transport.is_closing())

    _, protocol, peer = await stream.connect(Asking)
    await peer.close()
    await until(loop, lambda: protocol.lost)
    assert seen[-1] is True


@requirement("WriteTransport.abort/discards-buffered-data", "WriteTransport.abort/calls-connection-lost-eventually")
async def test_aborting_discards_what_is_buffered(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    much = 3 * more_than_fits(transport, peer)
    transport.write(b"x" * much)
    transport.abort()
    await until(loop, lambda: protocol.lost)
    assert len(await read_what_comes(peer)) < much
    assert protocol.lost == [None]


@on_loops(PLAIN, DEBUG)
@requirement("WriteTransport.abort/calls-connection-lost-eventually")
async def test_aborting_an_idle_connection_ends_it(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    transport.abort()
    await until(loop, lambda: protocol.lost)
    assert (protocol.events[-1], protocol.lost) == ("lost", [None])
    assert await read_what_comes(peer) == b""


@requirement("WriteTransport.abort/discards-buffered-data", "WriteTransport.abort/calls-connection-lost-eventually")
async def test_aborting_does_not_wait_for_a_flush_that_close_has_begun(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect()
    much = 3 * more_than_fits(transport, peer)
    transport.write(b"x" * much)
    transport.close()
    await turns(loop)
    transport.abort()
    await until(loop, lambda: protocol.lost)
    await turns(loop)
    assert len(await read_what_comes(peer)) < much
    assert len(protocol.lost) == 1


@requirement("WriteTransport.abort/calls-connection-lost-eventually")
async def test_aborting_again_tells_the_protocol_no_second_time(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, _ = await stream.connect()
    for _ in range(3):
        transport.abort()
    await until(loop, lambda: protocol.lost)
    await turns(loop)
    assert protocol.lost == [None]


class EndsIn(Recorder):
    """Ends its connection by ``end`` in the callback ``where``."""

    def __init__(self, end: str, where: str) -> None:
        super().__init__()
        self.end = end
        self.where = where

    def __getattribute__(self, name: str) -> Any:
        callback = super().__getattribute__(name)
        if name != super().__getattribute__("where"):
            return callback

        def call_and_end(*arguments: Any) -> Any:
            result = callback(*arguments)
            getattr(self.transport, self.end)()
            return result

        return call_and_end


@OVER_BOTH
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("where", ["data_received", "eof_received", "connection_lost"])
@requirement("BaseTransport.close/safe-to-repeat", "protocols-general/connection-callbacks-once-only")
async def test_a_protocol_can_end_its_connection_in_each_callback(
    loop: AbstractEventLoop, stream: Carrier, end: str, where: str
) -> None:
    transport, protocol, peer = await stream.connect(lambda: EndsIn(end, where))
    await peer.send(b"x")
    await peer.close()
    await until(loop, lambda: protocol.lost)
    await turns(loop)
    assert (protocol.events.count("lost"), protocol.events[-1]) == (1, "lost")
    assert transport.is_closing()


@pytest.mark.parametrize("end", ENDS)
@requirement("BaseTransport.close/safe-to-repeat", "protocols-general/connection-callbacks-once-only")
async def test_a_protocol_can_end_its_connection_when_it_is_asked_to_pause(
    loop: AbstractEventLoop, stream: Carrier, end: str
) -> None:
    transport, protocol, peer = await stream.connect(lambda: EndsIn(end, "pause_writing"))
    much = 3 * more_than_fits(transport, peer)
    # The first write may fill only what is beneath the buffer that counts.
    for _ in range(2):
        if not transport.is_closing():
            transport.write(b"x" * much)
    assert transport.is_closing()
    received = len(await read_what_comes(peer))
    assert received >= much if end == "close" else received < 2 * much
    await peer.close()
    await until(loop, lambda: protocol.lost)
    await turns(loop)
    assert (protocol.lost, protocol.events[-1]) == ([None], "lost")


@OVER_BOTH
@requirement("BaseTransport.close/flushes-buffer-first", "protocols-general/connection-callbacks-once-only")
async def test_a_protocol_can_close_as_soon_as_it_is_connected(loop: AbstractEventLoop, stream: Carrier) -> None:
    class Brief(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.write(b"bye")
            transport.close()

    transport, protocol, peer = await stream.connect(Brief)
    assert transport.is_closing()
    assert await peer.read_until_eof() == b"bye"
    await until(loop, lambda: protocol.lost)
    assert (protocol.events[0], protocol.events[-1], protocol.lost) == ("made", "lost", [None])
