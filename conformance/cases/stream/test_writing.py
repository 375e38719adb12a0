"""Writing and closing: ``StreamWriter`` from its first byte to ``wait_closed()``, over every kind of connection."""

from __future__ import annotations

import gc
import inspect
import socket
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.buffers import more_than_fits
from conformance.support.connections import Remote
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import accepting, read_until_eof
from conformance.support.streams import PLAIN_KINDS, TCP_KINDS, TLS_KINDS, readable
from conformance.support.waiting import GENEROUS, turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterable

    from conformance.support.streams import StreamMaker


def blocks(size: int) -> list[bytes]:
    """``size`` bytes or a few more, in forty pieces of which each is another."""
    return [bytes([n]) * (1 + size // 40) for n in range(40)]


@requirement("StreamWriter.write/passes-data-to-transport", "StreamWriter.close/flushes-and-closes-socket")
async def test_closing_flushes_everything_written_in_its_order(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    written = blocks(2 * more_than_fits(writer.transport, peer))
    for block in written:
        writer.write(block)
    writer.close()
    assert await peer.read_until_eof() == b"".join(written)
    await writer.wait_closed()


@requirement("StreamWriter.write/passes-data-to-transport")
async def test_write_returns_nothing_and_sends_small_pieces_in_their_order(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    pieces = [b"%d," % n for n in range(100)]
    assert [writer.write(piece) for piece in pieces] == [None] * 100
    assert await peer.read(len(b"".join(pieces))) == b"".join(pieces)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@requirement("StreamWriter.write/accepts-bytes-like")
async def test_whatever_is_bytes_like_is_written(
    streams: StreamMaker, kind: Callable[[bytes], bytes | bytearray | memoryview]
) -> None:
    _, writer, peer = await streams.connect()
    for data in (b"a", b"", b"bc" * 100_000, b"d"):
        writer.write(kind(data))
    assert await peer.read(200_002) == b"a" + b"bc" * 100_000 + b"d"


@requirement("StreamWriter.write/accepts-bytes-like")
async def test_a_part_of_a_memoryview_is_written_and_no_more(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    writer.write(memoryview(b"0123456789")[2:5])
    writer.close()
    assert await peer.read_until_eof() == b"234"


@pytest.mark.parametrize("streams", PLAIN_KINDS, indirect=True)
@requirement("StreamWriter.write/sends-immediately-when-possible")
async def test_write_sends_within_the_call_what_can_be_sent(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    writer.write(b"now")
    # The loop does not run while this waits.
    assert readable(peer.sock, within=GENEROUS)
    assert peer.sock.recv(3) == b"now"


@pytest.mark.parametrize("streams", PLAIN_KINDS, indirect=True)
@requirement("StreamWriter.writelines/sends-immediately-when-possible")
async def test_writelines_sends_within_the_call_what_can_be_sent(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    writer.writelines([b"n", b"o", b"w"])
    # As above.
    assert readable(peer.sock, within=GENEROUS)
    assert peer.sock.recv(1) == b"n"


@requirement("StreamWriter.write/not-flow-controlled")
async def test_any_amount_is_written_without_waiting(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    much = b"x" * 3 * more_than_fits(writer.transport, peer)
    for _ in range(2):
        writer.write(much)
    assert writer.transport.get_write_buffer_size() > 0
    writer.close()
    assert len(await peer.read_until_eof()) == 2 * len(much)


ITERABLES: dict[str, Callable[[list[bytes]], Iterable[bytes]]] = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "generator": lambda lines: (line for line in lines),
    "dict": dict.fromkeys,
}


@pytest.mark.parametrize("kind", ITERABLES)
@requirement("StreamWriter.writelines/accepts-any-iterable")
async def test_writelines_takes_any_iterable_and_keeps_its_order(streams: StreamMaker, kind: str) -> None:
    _, writer, peer = await streams.connect()
    writer.write(b"first,")
    writer.writelines(ITERABLES[kind]([b"a", b"bc" * 500, b"d"]))
    writer.write(b",last")
    writer.close()
    assert await peer.read_until_eof() == b"first,a" + b"bc" * 500 + b"d,last"


@pytest.mark.parametrize("streams", ["tcp", "tls"], indirect=True)
@pytest.mark.parametrize("kind", ITERABLES)
@requirement("StreamWriter.writelines/accepts-any-iterable")
async def test_writelines_of_nothing_writes_nothing(streams: StreamMaker, kind: str) -> None:
    _, writer, peer = await streams.connect()
    writer.write(b"first")
    writer.writelines(ITERABLES[kind]([]))
    writer.close()
    assert await peer.read_until_eof() == b"first"


@pytest.mark.parametrize("streams", ["tcp", "tls"], indirect=True)
@requirement("StreamWriter.writelines/accepts-any-iterable")
async def test_writelines_passes_over_empty_pieces(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    writer.writelines([b"", b"a", b"", b"b", b""])
    writer.close()
    assert await peer.read_until_eof() == b"ab"


@requirement("StreamWriter.writelines/accepts-any-iterable")
async def test_writelines_sends_more_than_is_sent_at_once(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    lines = blocks(more_than_fits(writer.transport, peer))
    writer.writelines(lines)
    writer.writelines(iter(lines))
    writer.close()
    assert await peer.read_until_eof() == b"".join(lines * 2)


@requirement("StreamWriter.close/flushes-and-closes-socket", "StreamWriter.is_closing/returns-true-once-closing")
async def test_closing_closes_the_socket(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    sock = writer.get_extra_info("socket")
    seen = [writer.is_closing()]
    assert writer.close() is None
    seen.append(writer.is_closing())
    assert await peer.read_until_eof() == b""
    await writer.wait_closed()
    assert [*seen, writer.is_closing()] == [False, True, True]
    assert sock.fileno() == -1


@requirement("StreamWriter.close/flushes-and-closes-socket")
async def test_closing_twice_is_closing_once(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    writer.write(b"data")
    writer.close()
    writer.close()
    assert await peer.read_until_eof() == b"data"
    await writer.wait_closed()
    writer.close()


@requirement("StreamWriter.is_closing/returns-true-once-closing")
async def test_a_stream_that_was_broken_off_is_closing(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    _, writer, _ = await streams.connect()
    writer.transport.abort()
    assert writer.is_closing() is True
    await turns(loop)
    assert writer.is_closing() is True


@pytest.mark.parametrize("streams", PLAIN_KINDS, indirect=True)
@requirement("StreamWriter.is_closing/returns-true-once-closing")
async def test_the_peers_end_alone_does_not_close_a_stream(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    reader, writer, peer = await streams.connect()
    await peer.end()
    assert await reader.read() == b""
    await turns(loop)
    assert writer.is_closing() is False
    writer.write(b"still here")
    assert await peer.read(10) == b"still here"


@pytest.mark.parametrize("streams", TCP_KINDS, indirect=True)
@requirement("StreamWriter.is_closing/returns-true-once-closing")
async def test_a_lost_connection_is_closing(loop: AbstractEventLoop, streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    await peer.reset()
    await until(loop, writer.is_closing)
    assert writer.is_closing() is True


@pytest.mark.parametrize("streams", PLAIN_KINDS, indirect=True)
@requirement("StreamWriter.can_write_eof/returns-transport-answer")
async def test_a_plain_connection_can_close_its_writing_end(streams: StreamMaker) -> None:
    _, writer, _ = await streams.connect()
    assert (writer.can_write_eof(), writer.transport.can_write_eof()) == (True, True)


@pytest.mark.parametrize("streams", TLS_KINDS, indirect=True)
@requirement("StreamWriter.can_write_eof/returns-transport-answer")
async def test_a_tls_connection_cannot_close_its_writing_end(streams: StreamMaker) -> None:
    _, writer, _ = await streams.connect()
    assert (writer.can_write_eof(), writer.transport.can_write_eof()) == (False, False)


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("streams", PLAIN_KINDS, indirect=True)
@requirement("StreamWriter.write_eof/closes-write-end-after-flush")
async def test_after_write_eof_the_peer_reads_all_data_and_the_end_and_can_answer(streams: StreamMaker) -> None:
    reader, writer, peer = await streams.connect()
    written = blocks(2 * more_than_fits(writer.transport, peer))
    for block in written:
        writer.write(block)
    writer.write_eof()
    assert await peer.read_until_eof() == b"".join(written)
    await peer.send(b"answer")
    assert await reader.readexactly(6) == b"answer"
    assert writer.is_closing() is False


@pytest.mark.parametrize("streams", PLAIN_KINDS, indirect=True)
@requirement("StreamWriter.write_eof/closes-write-end-after-flush")
async def test_write_eof_without_data_ends_at_once(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    writer.write_eof()
    assert await peer.read_until_eof() == b""


@requirement("StreamWriter.transport/returns-underlying-transport")
async def test_the_transport_is_the_one_that_the_writer_wraps(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    transport = writer.transport
    assert transport is writer.transport
    transport.write(b"through it")
    writer.write(b", and back")
    assert await peer.read(20) == b"through it, and back"
    transport.close()
    assert writer.is_closing() is True


@requirement("StreamWriter/exposes-transport-methods")
async def test_a_writer_offers_the_methods_of_its_transport(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    writer.write(b"a")
    writer.writelines([b"b", b"c"])
    assert writer.get_extra_info("peername") == writer.transport.get_extra_info("peername")
    if writer.can_write_eof():
        writer.write_eof()
        assert await peer.read_until_eof() == b"abc"
        writer.close()
    else:
        writer.close()
        assert await peer.read_until_eof() == b"abc"
    assert writer.transport.is_closing() is True


@requirement("StreamWriter.get_extra_info/returns-transport-info")
async def test_extra_information_is_that_of_the_transport(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    names = ("peername", "sockname", "sslcontext", "ssl_object", "peercert", "cipher", "compression", "nothing")
    ours = [writer.get_extra_info(name) for name in names]
    assert ours == [writer.transport.get_extra_info(name) for name in names]
    assert ours[:2] == [peer.sock.getsockname(), peer.sock.getpeername()]
    assert writer.get_extra_info("socket").fileno() == writer.transport.get_extra_info("socket").fileno() >= 0


@pytest.mark.parametrize("streams", TLS_KINDS, indirect=True)
@requirement("StreamWriter.get_extra_info/returns-transport-info")
async def test_extra_information_tells_of_tls(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    version = writer.get_extra_info("ssl_object").version()
    assert (version, writer.get_extra_info("cipher")[0]) == (peer.sock.version(), peer.sock.cipher()[0])  # type: ignore[attr-defined]


@requirement("StreamWriter.get_extra_info/accepts-name-and-default")
async def test_what_the_transport_does_not_know_is_the_default(streams: StreamMaker) -> None:
    _, writer, _ = await streams.connect()
    default = object()
    assert writer.get_extra_info("nothing") is None
    assert writer.get_extra_info("nothing", default) is default
    assert writer.get_extra_info(name="nothing", default=default) is default
    assert writer.get_extra_info("socket", default) is not default


@requirement("StreamWriter.wait_closed/is-coroutine")
def test_wait_closed_is_a_coroutine_function_without_parameters(aio: Any) -> None:
    assert inspect.iscoroutinefunction(aio.StreamWriter.wait_closed) is True
    assert list(inspect.signature(aio.StreamWriter.wait_closed).parameters) == ["self"]


@on_loops(PLAIN, DEBUG)
@requirement("StreamWriter.wait_closed/waits-until-closed", "StreamWriter.wait_closed/waits-for-flush")
async def test_wait_closed_returns_once_all_is_flushed_and_the_socket_is_closed(
    loop: AbstractEventLoop, streams: StreamMaker
) -> None:
    _, writer, peer = await streams.connect()
    sock = writer.get_extra_info("socket")
    much = 3 * more_than_fits(writer.transport, peer)
    writer.write(b"x" * much)
    writer.close()
    waiting = [loop.create_task(writer.wait_closed()) for _ in range(2)]
    await turns(loop, 20)
    assert [task.done() for task in waiting] == [False, False]
    assert sock.fileno() != -1
    assert len(await peer.read_until_eof()) == much
    for task in waiting:
        await task
    assert sock.fileno() == -1


@requirement("StreamWriter.wait_closed/waits-until-closed")
async def test_wait_closed_of_a_closed_stream_returns(streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    writer.close()
    assert await peer.read_until_eof() == b""
    assert [await writer.wait_closed() for _ in range(3)] == [None] * 3


@requirement("StreamWriter.wait_closed/waits-until-closed")
async def test_wait_closed_waits_for_a_close_that_has_yet_to_come(
    loop: AbstractEventLoop, streams: StreamMaker
) -> None:
    _, writer, peer = await streams.connect()
    waiting = loop.create_task(writer.wait_closed())
    await turns(loop)
    assert waiting.done() is False
    writer.close()
    assert await peer.read_until_eof() == b""
    await waiting


@pytest.mark.parametrize("streams", TCP_KINDS, indirect=True)
@requirement("StreamWriter.wait_closed/waits-until-closed")
async def test_wait_closed_ends_when_the_connection_is_broken_off(aio: Any, streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    sock = writer.get_extra_info("socket")
    await peer.reset()
    # Whether it raises what broke the connection is left open.
    (outcome,) = await aio.wait_for(aio.gather(writer.wait_closed(), return_exceptions=True), GENEROUS)
    assert outcome is None or isinstance(outcome, ConnectionError)
    assert sock.fileno() == -1


@requirement("StreamWriter.wait_closed/waits-until-closed")
async def test_wait_closed_ends_when_the_stream_is_broken_off(aio: Any, streams: StreamMaker) -> None:
    _, writer, peer = await streams.connect()
    writer.write(b"x" * more_than_fits(writer.transport, peer))
    writer.transport.abort()
    (outcome,) = await aio.wait_for(aio.gather(writer.wait_closed(), return_exceptions=True), GENEROUS)
    assert outcome is None or isinstance(outcome, OSError)


@requirement("StreamWriter/warns-when-collected-open")
async def test_a_writer_that_is_forgotten_open_warns_and_is_closed(loop: AbstractEventLoop, aio: Any) -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await aio.open_connection(sock=ours)
    peer = Remote(loop, theirs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del reader, writer
        gc.collect()
        assert await peer.read_until_eof() == b""
    assert [warning.category for warning in caught] == [ResourceWarning]
    peer.clean_up()


@requirement("StreamWriter/warns-when-collected-open")
async def test_a_writer_that_was_closed_is_forgotten_without_a_warning(loop: AbstractEventLoop, aio: Any) -> None:
    with accepting(read_until_eof) as peer, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, writer = await aio.open_connection(*peer.address)
        writer.close()
        await writer.wait_closed()
        del writer
        gc.collect()
        assert await peer.outcome(loop) == b""
    assert caught == []
