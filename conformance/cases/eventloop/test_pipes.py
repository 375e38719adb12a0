"""``loop.connect_read_pipe()`` and ``loop.connect_write_pipe()``."""

from __future__ import annotations

import inspect
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.pipes import BASE_METHODS, KINDS, READ_METHODS, WRITE_METHODS, Ends, lacks
from conformance.support.protocols import Recorder
from conformance.support.threads import beside
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# More than a pipe holds, also one that was made as large as an ordinary user may.
LARGE = bytes(range(256)) * (3 * 4096)

if sys.platform == "win32":
    pytest.skip("pipes of Windows have to be made for overlapped operation", allow_module_level=True)


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    """Where the other end does what may take its time."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def source(request: pytest.FixtureRequest, loop: Any, thread: Any) -> Iterator[Ends]:  # noqa: ARG001 - order of the end
    """What the target reads from: a pipe, or the kind that the parameter names."""
    ends = KINDS[getattr(request, "param", "pipe")](reading=True)
    yield ends
    ends.clean_up()


@pytest.fixture
def sink(request: pytest.FixtureRequest, loop: Any, thread: Any) -> Iterator[Ends]:  # noqa: ARG001 - order of the end
    """What the target writes to: a pipe, or the kind that the parameter names."""
    ends = KINDS[getattr(request, "param", "pipe")](reading=False)
    yield ends
    ends.clean_up()


def every(fixture: str) -> pytest.MarkDecorator:
    """On a pipe, a FIFO and a socket."""
    return pytest.mark.parametrize(fixture, ["pipe", "fifo", "socket"], indirect=True)


def is_closed(end: Any) -> bool:
    """Whether a file or a socket has been closed."""
    return bool(end.closed if hasattr(end, "closed") else end.fileno() == -1)


async def closed(loop: Any, transport: Any, protocol: Recorder) -> None:
    """Close the transport and wait for the end."""
    transport.close()
    await until(loop, lambda: protocol.lost)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.connect_read_pipe/returns-read-transport-pair")
async def test_a_read_pipe_gives_a_read_transport_and_the_protocol_that_was_told_of_it(loop: Any, source: Ends) -> None:
    transport, protocol = await loop.create_task(loop.connect_read_pipe(Recorder, source.ours))
    assert lacks(transport, BASE_METHODS, READ_METHODS) == []
    assert (protocol.events, protocol.transport) == (["made"], transport)
    source.write(b"hello")
    await until(loop, lambda: protocol.data == b"hello")
    await closed(loop, transport, protocol)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.connect_write_pipe/returns-write-transport-pair")
async def test_a_write_pipe_gives_a_write_transport_and_the_protocol_that_was_told_of_it(loop: Any, sink: Ends) -> None:
    transport, protocol = await loop.create_task(loop.connect_write_pipe(Recorder, sink.ours))
    assert lacks(transport, BASE_METHODS, WRITE_METHODS) == []
    assert (protocol.events, protocol.transport) == (["made"], transport)
    transport.write(b"hello")
    assert sink.read(5) == b"hello"
    await closed(loop, transport, protocol)


@requirement("loop.connect_read_pipe/accepts-documented-parameters")
async def test_reading_takes_a_factory_and_a_pipe_by_keyword(loop: Any, source: Ends) -> None:
    coroutine = loop.connect_read_pipe(protocol_factory=Recorder, pipe=source.ours)
    assert inspect.isawaitable(coroutine)
    await closed(loop, *await coroutine)


@requirement("loop.connect_write_pipe/accepts-documented-parameters")
async def test_writing_takes_a_factory_and_a_pipe_by_keyword(loop: Any, sink: Ends) -> None:
    coroutine = loop.connect_write_pipe(protocol_factory=Recorder, pipe=sink.ours)
    assert inspect.isawaitable(coroutine)
    await closed(loop, *await coroutine)


@requirement("loop.connect_read_pipe/accepts-documented-parameters")
@requirement("loop.connect_write_pipe/accepts-documented-parameters")
@pytest.mark.parametrize("method", ["connect_read_pipe", "connect_write_pipe"])
async def test_neither_takes_more_or_less(loop: Any, source: Ends, method: str) -> None:
    with pytest.raises(TypeError):
        await getattr(loop, method)(Recorder)
    with pytest.raises(TypeError):
        await getattr(loop, method)(Recorder, source.ours, None)


@requirement("loop.connect_read_pipe/protocol-comes-from-factory")
async def test_the_protocol_of_a_read_pipe_is_what_the_factory_made_once(loop: Any, source: Ends) -> None:
    made: list[Recorder] = []

    def factory() -> Recorder:
        made.append(Recorder(keep_open=True))
        return made[-1]

    transport, protocol = await loop.connect_read_pipe(factory, source.ours)
    assert made == [protocol]
    await closed(loop, transport, protocol)


@every("source")
@requirement("loop.connect_read_pipe/makes-pipe-nonblocking")
async def test_a_pipe_that_is_read_does_not_block(loop: Any, source: Ends) -> None:
    assert os.get_blocking(source.ours.fileno()) is True
    transport, protocol = await loop.connect_read_pipe(Recorder, source.ours)
    assert os.get_blocking(source.ours.fileno()) is False
    await closed(loop, transport, protocol)


@every("sink")
@requirement("loop.connect_write_pipe/makes-pipe-nonblocking")
async def test_a_pipe_that_is_written_to_does_not_block(loop: Any, sink: Ends) -> None:
    assert os.get_blocking(sink.ours.fileno()) is True
    transport, protocol = await loop.connect_write_pipe(Recorder, sink.ours)
    assert os.get_blocking(sink.ours.fileno()) is False
    transport.write(LARGE)
    assert transport.get_write_buffer_size() > 0
    transport.abort()
    await until(loop, lambda: protocol.lost)


@every("source")
@requirement("loop.connect_read_pipe/returns-read-transport-pair", "loop.connect_read_pipe/works-with-plain-protocol")
async def test_everything_written_to_a_pipe_is_received_and_then_its_end(
    loop: Any, source: Ends, thread: ThreadPoolExecutor
) -> None:
    _, protocol = await loop.connect_read_pipe(Recorder, source.ours)
    await beside(loop, thread, lambda: source.write_all(LARGE))
    await until(loop, lambda: protocol.lost)
    assert protocol.data == LARGE
    assert (protocol.events, protocol.lost) == (["made", "data", "eof", "lost"], [None])
    await turns(loop)
    assert is_closed(source.ours)


@every("source")
@requirement("loop.connect_read_pipe/returns-read-transport-pair")
async def test_what_a_pipe_held_when_it_was_connected_is_received(loop: Any, source: Ends) -> None:
    source.write(b"before")
    source.close_theirs()
    _, protocol = await loop.connect_read_pipe(Recorder, source.ours)
    await until(loop, lambda: protocol.lost)
    assert (protocol.data, protocol.events, protocol.lost) == (b"before", ["made", "data", "eof", "lost"], [None])


@requirement("loop.connect_read_pipe/returns-read-transport-pair")
async def test_the_end_of_a_pipe_ends_its_transport_whatever_the_protocol_answers(loop: Any, source: Ends) -> None:
    transport, protocol = await loop.connect_read_pipe(lambda: Recorder(keep_open=True), source.ours)
    source.close_theirs()
    # Closing it makes no difference to a transport that has closed itself.
    await until(loop, lambda: "eof" in protocol.events)
    await closed(loop, transport, protocol)
    assert (protocol.events, protocol.lost) == (["made", "eof", "lost"], [None])


@every("source")
@requirement("loop.connect_read_pipe/returns-read-transport-pair")
async def test_closing_a_read_pipe_leaves_what_is_not_read_and_closes_the_descriptor(loop: Any, source: Ends) -> None:
    transport, protocol = await loop.connect_read_pipe(Recorder, source.ours)
    source.write(b"unread")
    transport.close()
    transport.close()
    assert (transport.is_closing(), protocol.lost) == (True, [])
    await until(loop, lambda: protocol.lost)
    await turns(loop)
    assert (protocol.events, protocol.lost, is_closed(source.ours)) == (["made", "lost"], [None], True)


@every("source")
@requirement("loop.connect_read_pipe/returns-read-transport-pair")
async def test_a_paused_read_pipe_gives_nothing_until_it_goes_on(loop: Any, source: Ends) -> None:
    transport, protocol = await loop.connect_read_pipe(Recorder, source.ours)
    source.write(b"one ")
    await until(loop, lambda: protocol.data == b"one ")
    transport.pause_reading()
    assert transport.is_reading() is False
    source.write(b"two ")
    source.close_theirs()
    await turns(loop)
    assert (protocol.data, protocol.events) == (b"one ", ["made", "data"])
    transport.resume_reading()
    assert transport.is_reading() is True
    await until(loop, lambda: protocol.lost)
    assert (protocol.data, protocol.lost) == (b"one two ", [None])


@requirement("loop.connect_read_pipe/works-with-plain-protocol")
async def test_a_protocol_that_overrides_nothing_can_read(loop: Any, aio: Any, source: Ends) -> None:
    transport, _ = await loop.connect_read_pipe(aio.Protocol, source.ours)
    source.write(b"for nobody")
    source.close_theirs()
    await until(loop, transport.is_closing)
    await until(loop, lambda: is_closed(source.ours))


@requirement("loop.connect_write_pipe/works-with-base-protocol")
async def test_a_protocol_that_overrides_nothing_can_write(
    loop: Any, aio: Any, sink: Ends, thread: ThreadPoolExecutor
) -> None:
    transport, protocol = await loop.connect_write_pipe(aio.BaseProtocol, sink.ours)
    assert type(protocol) is aio.BaseProtocol
    transport.write(LARGE)
    transport.close()
    assert await beside(loop, thread, sink.read_until_eof) == LARGE
    await until(loop, lambda: is_closed(sink.ours))


@every("sink")
@requirement("loop.connect_write_pipe/returns-write-transport-pair")
async def test_what_is_written_to_a_pipe_comes_in_order(loop: Any, sink: Ends, thread: ThreadPoolExecutor) -> None:
    transport, protocol = await loop.connect_write_pipe(Recorder, sink.ours)
    pieces = [b"%d " % n for n in range(100)]
    for piece in pieces[:50]:
        transport.write(piece)
    transport.write(LARGE)
    transport.write(bytearray(b"array"))
    transport.write(memoryview(b"view"))
    transport.writelines(pieces[50:])
    transport.close()
    expected = b"".join([*pieces[:50], LARGE, b"array", b"view", *pieces[50:]])
    assert await beside(loop, thread, sink.read_until_eof) == expected
    await until(loop, lambda: protocol.lost)
    assert protocol.lost == [None]


@every("sink")
@pytest.mark.parametrize("method", ["close", "write_eof"])
@requirement("loop.connect_write_pipe/returns-write-transport-pair")
async def test_everything_written_to_a_pipe_goes_out_before_it_ends(
    loop: Any, sink: Ends, thread: ThreadPoolExecutor, method: str
) -> None:
    transport, protocol = await loop.connect_write_pipe(Recorder, sink.ours)
    assert transport.can_write_eof() is True
    transport.write(LARGE)
    getattr(transport, method)()
    assert await beside(loop, thread, sink.read_until_eof) == LARGE
    transport.close()
    await until(loop, lambda: protocol.lost)
    await turns(loop)
    assert (protocol.lost, is_closed(sink.ours)) == ([None], True)


@every("sink")
@requirement("loop.connect_write_pipe/returns-write-transport-pair")
async def test_a_write_pipe_holds_its_protocol_back_and_lets_it_go_on(
    loop: Any, sink: Ends, thread: ThreadPoolExecutor
) -> None:
    transport, protocol = await loop.connect_write_pipe(Recorder, sink.ours)
    transport.write(LARGE)
    assert protocol.events == ["made", "pause"]
    assert await beside(loop, thread, lambda: sink.read(len(LARGE))) == LARGE
    await until(loop, lambda: protocol.events == ["made", "pause", "resume"])
    assert transport.get_write_buffer_size() == 0
    await closed(loop, transport, protocol)


@every("sink")
@requirement("loop.connect_write_pipe/returns-write-transport-pair")
async def test_aborting_a_write_pipe_drops_what_is_buffered(loop: Any, sink: Ends, thread: ThreadPoolExecutor) -> None:
    transport, protocol = await loop.connect_write_pipe(Recorder, sink.ours)
    transport.write(LARGE)
    transport.abort()
    await until(loop, lambda: protocol.lost)
    assert protocol.lost == [None]
    await turns(loop)
    assert len(await beside(loop, thread, sink.read_until_eof)) < len(LARGE)


@every("sink")
@requirement("loop.connect_write_pipe/returns-write-transport-pair")
async def test_a_reader_that_goes_away_ends_an_idle_write_pipe(loop: Any, sink: Ends) -> None:
    transport, protocol = await loop.connect_write_pipe(Recorder, sink.ours)
    sink.close_theirs()
    await until(loop, lambda: protocol.lost)
    assert (transport.is_closing(), len(protocol.lost)) == (True, 1)


@every("sink")
@requirement("loop.connect_write_pipe/returns-write-transport-pair")
async def test_a_reader_that_goes_away_from_what_was_written_is_an_error(
    loop: Any, sink: Ends, reported: list[dict[str, Any]]
) -> None:
    _, protocol = await loop.connect_write_pipe(Recorder, sink.ours)
    protocol.transport.write(LARGE)
    sink.close_theirs()
    await until(loop, lambda: protocol.lost)
    assert isinstance(protocol.lost[0], OSError)
    assert reported == []


@pytest.mark.parametrize("source", KINDS, indirect=True)
@requirement("loop.connect_read_pipe/accepts-pipe-socket-character-device")
async def test_pipes_fifos_sockets_and_terminals_can_be_read(loop: Any, source: Ends) -> None:
    transport, protocol = await loop.connect_read_pipe(Recorder, source.ours)
    for expected in b"one", b"onetwo":
        source.write(expected[-3:])
        await until(loop, lambda: protocol.data == expected)  # noqa: B023 - waited for within this turn
    await closed(loop, transport, protocol)
    assert (protocol.events, protocol.lost) == (["made", "data", "lost"], [None])


@pytest.mark.parametrize("sink", KINDS, indirect=True)
@requirement("loop.connect_write_pipe/accepts-pipe-socket-character-device")
async def test_pipes_fifos_sockets_and_terminals_can_be_written_to(loop: Any, sink: Ends) -> None:
    transport, protocol = await loop.connect_write_pipe(Recorder, sink.ours)
    for piece in b"one", b"two":
        transport.write(piece)
        assert sink.read(3) == piece
    await closed(loop, transport, protocol)
    assert (protocol.events, protocol.lost) == (["made", "lost"], [None])


@pytest.mark.parametrize("sink", ["terminal"], indirect=True)
@requirement("loop.connect_write_pipe/accepts-pipe-socket-character-device")
async def test_what_is_typed_into_a_terminal_does_not_end_writing_to_it(loop: Any, sink: Ends) -> None:
    transport, protocol = await loop.connect_write_pipe(Recorder, sink.ours)
    sink.write(b"typed")
    await turns(loop)
    transport.write(b"shown")
    assert sink.read(5) == b"shown"
    await closed(loop, transport, protocol)
    assert protocol.events == ["made", "lost"]


@requirement("loop.connect_read_pipe/accepts-pipe-socket-character-device")
async def test_a_terminal_is_read_until_its_program_hangs_up(loop: Any) -> None:
    controller, program = os.openpty()
    transport, protocol = await loop.connect_read_pipe(Recorder, open(controller, "rb", 0))  # noqa: ASYNC230, PTH123, SIM115
    os.write(program, b"prompt")
    await until(loop, lambda: protocol.data == b"prompt")
    os.close(program)
    await until(loop, lambda: protocol.lost)
    assert transport.is_closing()


@pytest.mark.parametrize("mode", ["rb", "wb"])
@requirement("loop.connect_read_pipe/rejects-regular-files", "loop.connect_write_pipe/rejects-regular-files")
async def test_regular_files_are_no_pipes(loop: Any, tmp_path: Path, mode: str) -> None:
    (tmp_path / "file").write_bytes(b"content")
    connect: Callable[..., Any] = loop.connect_read_pipe if mode == "rb" else loop.connect_write_pipe
    with (tmp_path / "file").open(mode) as file:
        # The documentation names no exception, and epoll has its own (an OSError) for files.
        with pytest.raises((ValueError, OSError)):
            await connect(Recorder, file)
        assert not file.closed
