"""Watching descriptors: ``add_reader()`` and ``add_writer()``."""

from __future__ import annotations

import functools
import os
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.connections import RESET
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import HOST, socket_pair
from conformance.support.readiness import PASSES, empty, fill, run_passes
from conformance.support.waiting import run_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conformance.support.programs import RunProgram


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """The descriptors of a pipe: for reading and for writing."""
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        os.close(reading)
        os.close(writing)


@on_loops(PLAIN, DEBUG)
@requirement("loop.add_reader/calls-callback-when-readable")
def test_a_reader_is_called_when_data_has_come_and_not_before(loop: AbstractEventLoop) -> None:
    calls: list[tuple[object, ...]] = []
    with socket_pair() as (ours, theirs):
        loop.add_reader(ours.fileno(), lambda *args: calls.append(args), 1, "two", None)
        run_passes(loop)
        before = list(calls)
        theirs.send(b"x")
        run_until(loop, lambda: bool(calls))
        loop.remove_reader(ours.fileno())
    assert before == []
    assert calls[0] == (1, "two", None)


@requirement("loop.add_reader/calls-callback-when-readable")
def test_a_reader_wakes_a_loop_that_waits_for_nothing_else(loop: AbstractEventLoop) -> None:
    with socket_pair() as (ours, theirs):
        loop.add_reader(ours.fileno(), loop.stop)
        theirs.send(b"x")
        loop.run_forever()
        loop.remove_reader(ours.fileno())


@on_loops(PLAIN, DEBUG)
@requirement("loop.add_reader/calls-callback-when-readable")
async def test_a_reader_added_while_the_loop_runs_is_called(loop: AbstractEventLoop) -> None:
    called = loop.create_future()

    def read(sock: socket.socket) -> None:
        loop.remove_reader(sock.fileno())
        called.set_result(sock.recv(10))

    with socket_pair() as (ours, theirs):
        loop.add_reader(ours.fileno(), read, ours)
        theirs.send(b"data")
        assert await called == b"data"


@requirement("loop.add_reader/calls-callback-when-readable")
def test_the_end_of_a_stream_is_something_to_read(loop: AbstractEventLoop) -> None:
    received: list[bytes] = []
    with socket_pair() as (ours, theirs):
        loop.add_reader(ours.fileno(), lambda: received.append(ours.recv(10)))
        theirs.close()
        run_until(loop, lambda: bool(received))
        loop.remove_reader(ours.fileno())
    assert received[0] == b""


@requirement("loop.add_reader/calls-callback-when-readable")
def test_a_connection_that_breaks_off_is_something_to_read(loop: AbstractEventLoop) -> None:
    errors: list[OSError] = []

    def read(sock: socket.socket) -> None:
        loop.remove_reader(sock.fileno())
        try:
            sock.recv(10)
        except OSError as error:
            errors.append(error)

    with socket.create_server((HOST, 0)) as listening, socket.create_connection(listening.getsockname()) as ours:
        theirs, _ = listening.accept()
        ours.setblocking(False)
        loop.add_reader(ours.fileno(), read, ours)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        theirs.close()
        run_until(loop, lambda: bool(errors))
    assert isinstance(errors[0], ConnectionResetError)


@requirement("loop.add_reader/calls-callback-when-readable")
def test_a_connection_that_waits_to_be_accepted_is_something_to_read(loop: AbstractEventLoop) -> None:
    accepted: list[socket.socket] = []
    with socket.create_server((HOST, 0)) as listening:
        loop.add_reader(listening.fileno(), lambda: accepted.append(listening.accept()[0]))
        with socket.create_connection(listening.getsockname()):
            run_until(loop, lambda: bool(accepted))
        loop.remove_reader(listening.fileno())
    accepted[0].close()
    assert len(accepted) == 1


@requirement("loop.add_reader/calls-callback-when-readable")
def test_of_many_readers_those_whose_data_came_are_called(loop: AbstractEventLoop) -> None:
    called: set[int] = set()
    pairs = [socket.socketpair() for _ in range(40)]
    for number, (ours, _) in enumerate(pairs):
        loop.add_reader(ours.fileno(), called.add, number)
    for _, theirs in pairs[::3]:
        theirs.send(b"x")
    run_until(loop, lambda: len(called) >= len(pairs[::3]))
    run_passes(loop)
    for ours, theirs in pairs:
        loop.remove_reader(ours.fileno())
        ours.close()
        theirs.close()
    assert called == set(range(0, 40, 3))


@on_loops(PLAIN, DEBUG)
@requirement("loop.add_reader/fires-until-removed")
def test_a_reader_that_leaves_the_data_is_called_in_every_pass(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, theirs):
        loop.add_reader(ours.fileno(), calls.append, "called")
        theirs.send(b"x")
        for _ in range(PASSES):
            before = len(calls)
            run_until(loop, lambda before=before: len(calls) > before)  # type: ignore[misc]
        loop.remove_reader(ours.fileno())


@requirement("loop.add_reader/fires-until-removed")
def test_a_reader_is_called_again_for_data_that_comes_later(loop: AbstractEventLoop) -> None:
    received: list[bytes] = []
    with socket_pair() as (ours, theirs):
        loop.add_reader(ours.fileno(), lambda: received.append(ours.recv(10)))
        for number in range(3):
            theirs.send(b"%d" % number)
            run_until(loop, lambda number=number: len(received) > number)  # type: ignore[misc]
            run_passes(loop)
        loop.remove_reader(ours.fileno())
    assert received == [b"0", b"1", b"2"]


@on_loops(PLAIN, DEBUG)
@requirement("loop.add_reader/replaces-previous-callback")
def test_a_second_reader_takes_the_place_of_the_first(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, theirs):
        loop.add_reader(ours.fileno(), calls.append, "first")
        loop.add_reader(ours.fileno(), calls.append, "second")
        theirs.send(b"x")
        run_until(loop, lambda: len(calls) >= 3)
        loop.remove_reader(ours.fileno())
        seen = set(calls)
        calls.clear()
        run_passes(loop)
    assert (seen, calls) == ({"second"}, [])


@on_loops(PLAIN, DEBUG)
@requirement("loop.add_writer/replaces-previous-callback")
def test_a_second_writer_takes_the_place_of_the_first(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, _):
        loop.add_writer(ours.fileno(), calls.append, "first")
        loop.add_writer(ours.fileno(), calls.append, "second")
        run_until(loop, lambda: len(calls) >= 3)
        loop.remove_writer(ours.fileno())
        seen = set(calls)
        calls.clear()
        run_passes(loop)
    assert (seen, calls) == ({"second"}, [])


@requirement("loop.add_reader/replaces-previous-callback")
def test_a_reader_that_was_replaced_does_not_run_though_its_data_is_there(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, theirs):
        loop.add_reader(ours.fileno(), calls.append, "first")
        theirs.send(b"x")
        loop.call_soon(loop.add_reader, ours.fileno(), calls.append, "second")
        run_until(loop, lambda: bool(calls))
        loop.remove_reader(ours.fileno())
    assert "first" not in calls


@requirement("loop.add_writer/replaces-previous-callback")
def test_a_writer_that_was_replaced_does_not_run_though_there_is_room(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, _):
        loop.add_writer(ours.fileno(), calls.append, "first")
        loop.call_soon(loop.add_writer, ours.fileno(), calls.append, "second")
        run_until(loop, lambda: bool(calls))
        loop.remove_writer(ours.fileno())
    assert "first" not in calls


@requirement("loop.add_reader/replaces-previous-callback", "loop.add_writer/replaces-previous-callback")
def test_the_two_directions_of_a_descriptor_do_not_replace_each_other(loop: AbstractEventLoop) -> None:
    calls: set[str] = set()
    with socket_pair() as (ours, theirs):
        loop.add_reader(ours.fileno(), calls.add, "reader")
        loop.add_writer(ours.fileno(), calls.add, "writer")
        loop.add_reader(ours.fileno(), calls.add, "second reader")
        theirs.send(b"x")
        run_until(loop, lambda: {"second reader", "writer"} <= calls)
        loop.remove_writer(ours.fileno())
        loop.remove_reader(ours.fileno())
    assert calls == {"second reader", "writer"}


@requirement("loop.add_reader/keywords-need-partial")
def test_keywords_reach_a_reader_only_by_partial(loop: Any) -> None:
    calls: list[dict[str, object]] = []

    def note(**keywords: object) -> None:
        calls.append(keywords)

    with socket_pair() as (ours, theirs):
        theirs.send(b"x")
        with pytest.raises(TypeError):
            loop.add_reader(ours.fileno(), note, colour="red")
        loop.add_reader(ours.fileno(), functools.partial(note, colour="red"))
        run_until(loop, lambda: bool(calls))
        loop.remove_reader(ours.fileno())
    assert calls[0] == {"colour": "red"}


@requirement("loop.add_writer/keywords-need-partial")
def test_keywords_reach_a_writer_only_by_partial(loop: Any) -> None:
    calls: list[dict[str, object]] = []

    def note(**keywords: object) -> None:
        calls.append(keywords)

    with socket_pair() as (ours, _):
        with pytest.raises(TypeError):
            loop.add_writer(ours.fileno(), note, colour="red")
        loop.add_writer(ours.fileno(), functools.partial(note, colour="red"))
        run_until(loop, lambda: bool(calls))
        loop.remove_writer(ours.fileno())
    assert calls[0] == {"colour": "red"}


class Owner:
    """Some object of a program's own that has a descriptor."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        return self._sock.fileno()


NAMES: dict[str, Callable[[socket.socket], Any]] = {
    "number": lambda sock: sock.fileno(),
    "socket": lambda sock: sock,
    "object": Owner,
}


@pytest.mark.parametrize("added", NAMES)
@pytest.mark.parametrize("removed", NAMES)
@requirement("loop.add_reader/accepts-int-or-fileno-object")
def test_a_descriptor_is_a_number_or_something_that_has_one(loop: AbstractEventLoop, added: str, removed: str) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, theirs):
        loop.add_reader(NAMES[added](ours), calls.append, "reader")
        loop.add_writer(NAMES[added](ours), calls.append, "writer")
        theirs.send(b"x")
        run_until(loop, lambda: {"reader", "writer"} <= set(calls))
        loop.remove_reader(NAMES[removed](ours))
        loop.remove_writer(NAMES[removed](ours))
        calls.clear()
        run_passes(loop)
    assert calls == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows watches sockets only")
@requirement("loop.add_reader/accepts-int-or-fileno-object", "loop.add_reader/calls-callback-when-readable")
def test_the_reading_end_of_a_pipe_can_be_watched(loop: AbstractEventLoop) -> None:
    received: list[bytes] = []
    with pipe() as (reading, writing):
        loop.add_reader(reading, lambda: received.append(os.read(reading, 10)))
        os.write(writing, b"piped")
        run_until(loop, lambda: bool(received))
        loop.remove_reader(reading)
    assert received == [b"piped"]


@pytest.mark.skipif(sys.platform != "linux", reason="only epoll is known to refuse them")
@requirement("loop.add_reader/rejects-regular-files")
def test_a_regular_file_cannot_be_watched(loop: AbstractEventLoop, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"contents")
    with path.open("rb") as file:
        with pytest.raises(PermissionError):
            loop.add_reader(file.fileno(), lambda: None)
        with pytest.raises(PermissionError):
            loop.add_writer(file.fileno(), lambda: None)
        # Nothing of the attempt is left: neither can be removed.
        assert not loop.remove_reader(file.fileno())
        assert not loop.remove_writer(file.fileno())


@on_loops(PLAIN, DEBUG)
@requirement("loop.add_writer/calls-callback-when-writable")
def test_a_writer_is_called_when_there_is_room_and_not_before(loop: AbstractEventLoop) -> None:
    calls: list[tuple[object, ...]] = []
    with socket_pair() as (ours, theirs):
        fill(ours)
        loop.add_writer(ours.fileno(), lambda *args: calls.append(args), 1, "two", None)
        run_passes(loop)
        before = list(calls)
        empty(theirs)
        run_until(loop, lambda: bool(calls))
        loop.remove_writer(ours.fileno())
    assert before == []
    assert calls[0] == (1, "two", None)


@requirement("loop.add_writer/calls-callback-when-writable")
def test_a_writer_is_called_again_while_there_is_room(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, _):
        loop.add_writer(ours.fileno(), calls.append, "called")
        run_until(loop, lambda: len(calls) >= 3)
        loop.remove_writer(ours.fileno())


@requirement("loop.add_writer/calls-callback-when-writable")
def test_a_writer_hears_that_the_peer_has_gone(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, theirs):
        fill(ours)
        loop.add_writer(ours.fileno(), calls.append, "called")
        theirs.close()
        run_until(loop, lambda: bool(calls))
        loop.remove_writer(ours.fileno())


@requirement("loop.add_reader/limited-on-windows")
def test_on_windows_only_sockets_of_a_selector_loop_can_be_watched(loop: AbstractEventLoop, aio: Any) -> None:
    expected: type[Exception] = NotImplementedError if isinstance(loop, aio.ProactorEventLoop) else OSError
    with pipe() as (reading, _), pytest.raises(expected):
        loop.add_reader(reading, lambda: None)


WATCHING = """
from socket import socketpair

rsock, wsock = socketpair()
loop = make_loop()

def reader():
    data = rsock.recv(100)
    print("Received:", data.decode())
    loop.remove_reader(rsock)
    loop.stop()

loop.add_reader(rsock, reader)
loop.call_soon(wsock.send, "abc".encode())
try:
    loop.run_forever()
finally:
    rsock.close()
    wsock.close()
    loop.close()
"""


@requirement("examples/watch-a-file-descriptor-for-read-events")
def test_the_program_that_watches_a_socket_prints_what_it_received(run_program: RunProgram) -> None:
    finished = run_program(WATCHING)
    assert (finished.stdout, finished.stderr, finished.returncode) == ("Received: abc\n", "", 0)
