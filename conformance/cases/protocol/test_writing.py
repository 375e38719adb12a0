"""Writing to a stream transport, on every carrier: ``write()`` and ``writelines()``."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.buffers import more_than_fits
from conformance.support.connections import OVER_BOTH
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.protocols import Recorder
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterable

    from conformance.support.connections import Carrier


def blocks(size: int) -> list[bytes]:
    """``size`` bytes or a few more, in forty pieces of which each is another."""
    return [bytes([n]) * (1 + size // 40) for n in range(40)]


@requirement("WriteTransport.write/fifo-order", "BaseTransport.close/flushes-buffer-first")
async def test_closing_flushes_everything_written_in_its_order(stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    written = blocks(2 * more_than_fits(transport, peer))
    for block in written:
        transport.write(block)
    transport.close()
    assert await peer.read_until_eof() == b"".join(written)


@requirement("WriteTransport.write/accepts-bytes")
async def test_every_byte_arrives_as_it_was_written(stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    transport.write(bytes(range(256)))
    assert await peer.read(256) == bytes(range(256))


@requirement("WriteTransport.write/accepts-bytes")
async def test_writing_no_bytes_sends_nothing_and_ends_nothing(stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    transport.write(b"")
    transport.write(b"one")
    transport.write(b"")
    transport.write(b"two")
    assert await peer.read(6) == b"onetwo"
    assert (transport.is_closing(), protocol.events) == (False, ["made"])


@requirement("WriteTransport.write/fifo-order")
async def test_small_writes_arrive_in_the_order_of_the_calls(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    for n in range(300):
        transport.write(b"%04d" % n)
        if n % 100 == 50:
            await turns(loop, 1)
    assert await peer.read(1200) == b"".join(b"%04d" % n for n in range(300))


@requirement("WriteTransport.write/fifo-order")
async def test_small_writes_after_a_large_one_wait_their_turn(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    much = more_than_fits(transport, peer)
    transport.write(bytes(much))
    for n in range(100):
        transport.write(b"%02d" % n)
        if n == 50:
            await turns(loop)
    received = await peer.read(much + 200)
    assert received.count(0) == much
    assert received[much:] == b"".join(b"%02d" % n for n in range(100))


@on_loops(PLAIN, DEBUG)
@requirement("WriteTransport.write/never-blocks")
async def test_writing_returns_before_the_peer_has_read_anything(loop: AbstractEventLoop, stream: Carrier) -> None:
    # Were write() to wait for the peer, it would never return: the peer reads afterwards.
    transport, _, peer = await stream.connect()
    much = more_than_fits(transport, peer)
    transport.write(b"x" * much)
    ran: list[str] = []
    loop.call_soon(ran.append, "callback")
    await turns(loop)
    assert ran == ["callback"]
    assert (await peer.read(much)).count(b"x") == much


@requirement("WriteTransport.write/never-blocks")
async def test_what_cannot_be_sent_yet_is_sent_when_the_peer_reads(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    much = more_than_fits(transport, peer)
    for _ in range(3):
        transport.write(b"y" * much)
        await turns(loop)
    assert (await peer.read(3 * much)).count(b"y") == 3 * much


@requirement("WriteTransport.write/fifo-order")
async def test_a_protocol_echoes_from_within_its_callback(stream: Carrier) -> None:
    class Echo(Recorder):
        def data_received(self, data: bytes) -> None:
            self.transport.write(data)
            self.transport.write(b"")

    _, _, peer = await stream.connect(Echo)
    for n in range(20):
        await peer.send(b"%03d" % n)
        assert await peer.read(3) == b"%03d" % n


@requirement("WriteTransport.write/never-blocks")
async def test_both_ends_can_send_more_than_the_buffers_hold_at_once(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    much = more_than_fits(transport, peer)
    transport.write(b"<" * much)
    await peer.send(b">" * much)
    assert (await peer.read(much)).count(b"<") == much
    await until(loop, lambda: len(protocol.data) == much)
    assert protocol.data.count(b">") == much


ITERABLES: dict[str, Callable[[list[bytes]], Iterable[bytes]]] = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "generator": lambda pieces: (piece for piece in pieces),
    "deque": deque,
    "keys": lambda pieces: dict.fromkeys(pieces).keys(),
}


@OVER_BOTH
@pytest.mark.parametrize("kind", ITERABLES)
@requirement("WriteTransport.writelines/accepts-any-iterable", "WriteTransport.writelines/fifo-order")
async def test_writelines_sends_the_pieces_of_any_iterable(stream: Carrier, kind: str) -> None:
    pieces = [b"%03d" % n for n in range(200)]
    transport, _, peer = await stream.connect()
    transport.writelines(ITERABLES[kind](pieces))
    transport.write(b"end")
    assert await peer.read(603) == b"".join(pieces) + b"end"


@requirement("WriteTransport.writelines/fifo-order", "WriteTransport.writelines/accepts-any-iterable")
async def test_writelines_keeps_its_place_between_writes(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    lines = blocks(2 * more_than_fits(transport, peer))
    everything = b"(" + b"".join(lines) + b")[]"
    transport.write(b"(")
    transport.writelines(lines)
    transport.write(b")")
    transport.writelines([b"", b"[", b"", b"]"])
    await turns(loop)
    assert await peer.read(len(everything)) == everything


@OVER_BOTH
@pytest.mark.parametrize("pieces", [[], [b""], [b"", b""], [b"text", b""], [b"", b"text"]], ids=repr)
@requirement("WriteTransport.writelines/accepts-any-iterable", "BaseTransport.close/calls-connection-lost-after-flush")
async def test_empty_pieces_keep_no_transport_from_closing(
    loop: AbstractEventLoop, stream: Carrier, pieces: list[bytes]
) -> None:
    transport, protocol, peer = await stream.connect()
    transport.writelines(pieces)
    transport.close()
    assert await peer.read_until_eof() == b"".join(pieces)
    await until(loop, lambda: protocol.lost)
    assert protocol.lost == [None]


@requirement("WriteTransport.writelines/accepts-any-iterable")
async def test_writelines_of_pieces_larger_than_the_buffers_never_blocks(stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    much = more_than_fits(transport, peer)
    transport.writelines(b"z" * much for _ in range(2))
    transport.close()
    received: Any = await peer.read_until_eof()
    assert (len(received), received.count(b"z")) == (2 * much, 2 * much)
