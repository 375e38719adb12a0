"""Ending one direction of a connection: ``write_eof()`` here, ``eof_received()`` when the peer does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.buffers import more_than_fits
from conformance.support.connections import OVER_BOTH, OVER_PLAIN, OVER_TLS
from conformance.support.marks import requirement
from conformance.support.peers import MORE_THAN_BUFFERED
from conformance.support.protocols import Recorder
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.connections import Carrier


@OVER_PLAIN
@requirement("WriteTransport.can_write_eof/returns-true-when-supported")
async def test_sockets_can_close_their_write_end(stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    assert transport.can_write_eof() is True
    transport.write_eof()
    assert await peer.read_until_eof() == b""


@OVER_TLS
@requirement(
    "WriteTransport.can_write_eof/returns-false-for-tls",
    "WriteTransport.can_write_eof/returns-true-when-supported",
    "WriteTransport.write_eof/raises-when-half-close-unsupported",
)
async def test_tls_cannot_close_its_write_end_and_stays_open(stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    assert transport.can_write_eof() is False
    with pytest.raises(NotImplementedError):
        transport.write_eof()
    transport.write(b"still open")
    assert await peer.read(10) == b"still open"
    await peer.send(b"both ways")
    assert transport.is_closing() is False


@OVER_PLAIN
@pytest.mark.parametrize("size", [0, 10, MORE_THAN_BUFFERED])
@requirement(
    "WriteTransport.write_eof/closes-write-end-after-flush", "WriteTransport.write_eof/peer-sees-data-then-eof"
)
async def test_the_peer_gets_everything_written_and_then_the_end(stream: Carrier, size: int) -> None:
    transport, protocol, peer = await stream.connect()
    size = min(size, more_than_fits(transport, peer))
    transport.write(b"x" * size)
    transport.write_eof()
    assert (await peer.read_until_eof()).count(b"x") == size
    assert (transport.is_closing(), protocol.events[-1]) == (False, "made" if size < 11 else protocol.events[-1])


@OVER_PLAIN
@requirement("WriteTransport.write_eof/closes-write-end-after-flush")
async def test_the_write_end_stays_open_while_something_is_buffered(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    much = more_than_fits(transport, peer)
    for _ in range(4):
        transport.write(b"x" * much)
    transport.write_eof()
    await turns(loop, 20)
    assert len(await peer.read(much)) == much
    await turns(loop, 20)
    assert len(await peer.read_until_eof()) == 3 * much


@OVER_PLAIN
@requirement("WriteTransport.write_eof/keeps-receiving")
async def test_after_write_eof_the_answer_is_received(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect()
    transport.write(b"question")
    transport.write_eof()
    assert await peer.read_until_eof() == b"question"
    await peer.send(b"first ")
    await until(loop, lambda: protocol.data == b"first ")
    await peer.send(b"second")
    await until(loop, lambda: protocol.data == b"first second")
    await peer.close()
    await until(loop, lambda: protocol.lost)
    assert (protocol.events, protocol.lost) == (["made", "data", "eof", "lost"], [None])


@OVER_PLAIN
@requirement("WriteTransport.write_eof/keeps-receiving")
async def test_what_comes_while_the_rest_is_flushed_before_the_end_is_received(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect()
    much = more_than_fits(transport, peer)
    transport.write(b"x" * much)
    transport.write_eof()
    await peer.send(b"meanwhile")
    await until(loop, lambda: protocol.data == b"meanwhile")
    assert len(await peer.read_until_eof()) == much


@OVER_PLAIN
@pytest.mark.parametrize("size", [0, MORE_THAN_BUFFERED])
@requirement(
    "WriteTransport.write_eof/closes-write-end-after-flush", "BaseTransport.close/calls-connection-lost-after-flush"
)
async def test_closing_after_write_eof_flushes_and_ends(loop: AbstractEventLoop, stream: Carrier, size: int) -> None:
    transport, protocol, peer = await stream.connect()
    size = min(size, more_than_fits(transport, peer))
    transport.write(b"x" * size)
    transport.write_eof()
    transport.close()
    assert len(await peer.read_until_eof()) == size
    await until(loop, lambda: protocol.lost)
    assert protocol.lost == [None]


class Answers(Recorder):
    """Returns ``answer`` from ``eof_received()``."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def eof_received(self) -> Any:
        self.events.append("eof")
        return self.answer


@pytest.mark.parametrize("answer", [None, False, 0, ""], ids=repr)
@OVER_BOTH
@requirement("Protocol.eof_received/false-result-closes-transport")
async def test_a_false_result_closes_the_transport(loop: AbstractEventLoop, stream: Carrier, answer: Any) -> None:
    transport, protocol, peer = await stream.connect(lambda: Answers(answer))
    await peer.end()
    await until(loop, lambda: protocol.lost)
    assert (protocol.events, protocol.lost) == (["made", "eof", "lost"], [None])
    assert transport.is_closing()
    assert await peer.read_until_eof() == b""


@requirement("Protocol.eof_received/false-result-closes-transport", "Protocol.eof_received/once-only-at-peer-eof")
async def test_the_peers_end_closes_every_kind_of_transport(loop: AbstractEventLoop, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect()
    await peer.send(b"all")
    await peer.end()
    await until(loop, lambda: protocol.lost)
    assert (protocol.data, protocol.events, protocol.lost) == (b"all", ["made", "data", "eof", "lost"], [None])


@OVER_PLAIN
@requirement("Protocol.eof_received/false-result-closes-transport", "BaseTransport.close/flushes-buffer-first")
async def test_the_close_after_a_false_result_flushes_what_is_buffered(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect()
    much = more_than_fits(transport, peer)
    transport.write(b"x" * much)
    await peer.end()
    await until(loop, transport.is_closing)
    assert len(await peer.read_until_eof()) == much
    await until(loop, lambda: protocol.lost)
    assert protocol.lost == [None]


@OVER_PLAIN
@pytest.mark.parametrize("answer", [True, 1, "yes"], ids=repr)
@requirement("Protocol.eof_received/true-result-keeps-transport-open")
async def test_a_true_result_leaves_it_to_the_protocol_to_write_on_and_to_close(
    loop: AbstractEventLoop, stream: Carrier, answer: Any
) -> None:
    transport, protocol, peer = await stream.connect(lambda: Answers(answer))
    await peer.end()
    await until(loop, lambda: "eof" in protocol.events)
    await turns(loop, 20)
    assert (transport.is_closing(), protocol.lost) == (False, [])
    transport.write(b"still here")
    assert await peer.read(10) == b"still here"
    transport.write(b", and gone")
    transport.close()
    assert await peer.read_until_eof() == b", and gone"
    await until(loop, lambda: protocol.lost)
    assert (protocol.events, protocol.lost) == (["made", "eof", "lost"], [None])


@OVER_PLAIN
@requirement("Protocol.eof_received/true-result-keeps-transport-open", "Protocol.eof_received/once-only-at-peer-eof")
async def test_a_transport_kept_open_flushes_much_after_the_peers_end_and_hears_it_once(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect(lambda: Answers(True))
    much = more_than_fits(transport, peer)
    await peer.end()
    await until(loop, lambda: "eof" in protocol.events)
    transport.write(b"x" * much)
    assert len(await peer.read(much)) == much
    transport.write_eof()
    assert await peer.read_until_eof() == b""
    transport.close()
    await until(loop, lambda: protocol.lost)
    assert (protocol.events.count("eof"), protocol.lost) == (1, [None])


@OVER_PLAIN
@requirement("Protocol.eof_received/true-result-keeps-transport-open")
async def test_a_transport_kept_open_can_be_aborted(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, protocol, peer = await stream.connect(lambda: Answers(True))
    await peer.end()
    await until(loop, lambda: "eof" in protocol.events)
    transport.abort()
    await until(loop, lambda: protocol.lost)
    assert protocol.lost == [None]


@OVER_TLS
@pytest.mark.parametrize("answer", [True, False], ids=repr)
@requirement("Protocol.eof_received/tls-closes-regardless")
async def test_tls_closes_whatever_the_result(loop: AbstractEventLoop, stream: Carrier, answer: Any) -> None:
    transport, protocol, peer = await stream.connect(lambda: Answers(answer))
    await peer.send(b"last words")
    await peer.end()
    await until(loop, lambda: protocol.lost)
    assert (protocol.data, protocol.events) == (b"last words", ["made", "data", "eof", "lost"])
    assert transport.is_closing()


@OVER_BOTH
@requirement("Protocol.eof_received/default-returns-none")
async def test_a_protocol_that_says_nothing_about_the_end_is_closed(
    loop: AbstractEventLoop, aio: Any, stream: Carrier
) -> None:
    class Silent(aio.Protocol):  # type: ignore[misc]
        lost: Any = None

        def connection_lost(self, exc: BaseException | None) -> None:
            self.lost = [exc]

    transport, protocol, peer = await stream.connect(Silent)
    await peer.end()
    await until(loop, lambda: protocol.lost)
    assert (protocol.lost, transport.is_closing()) == ([None], True)
    assert aio.Protocol().eof_received() is None
