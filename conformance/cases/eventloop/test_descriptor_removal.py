"""The end of watching descriptors: ``remove_reader()`` and ``remove_writer()``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import socket_pair
from conformance.support.readiness import empty, fill, run_passes
from conformance.support.waiting import run_until, turns

if TYPE_CHECKING:
    import socket
    from asyncio import AbstractEventLoop


@on_loops(PLAIN, DEBUG)
@requirement("loop.remove_reader/stops-watching")
def test_data_that_comes_after_the_removal_calls_nobody(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, theirs):
        loop.add_reader(ours.fileno(), calls.append, "called")
        run_passes(loop)
        loop.remove_reader(ours.fileno())
        theirs.send(b"x")
        run_passes(loop)
    assert calls == []


@requirement("loop.remove_reader/stops-watching", "loop.remove_writer/stops-watching")
def test_removing_one_direction_leaves_the_other(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, theirs):
        loop.add_reader(ours.fileno(), calls.append, "reader")
        loop.add_writer(ours.fileno(), calls.append, "writer")
        theirs.send(b"x")
        run_until(loop, lambda: set(calls) == {"reader", "writer"})
        loop.remove_writer(ours.fileno())
        calls.clear()
        run_until(loop, lambda: bool(calls))
        assert set(calls) == {"reader"}
        loop.add_writer(ours.fileno(), calls.append, "writer")
        loop.remove_reader(ours.fileno())
        calls.clear()
        run_until(loop, lambda: bool(calls))
        assert set(calls) == {"writer"}
        loop.remove_writer(ours.fileno())


@requirement("loop.remove_reader/stops-watching")
def test_a_descriptor_can_be_watched_again_after_its_removal(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, theirs):
        theirs.send(b"x")
        for number in range(3):
            loop.add_reader(ours.fileno(), calls.append, f"reader {number}")
            run_until(loop, lambda: bool(calls))
            loop.remove_reader(ours.fileno())
            assert set(calls) == {f"reader {number}"}
            calls.clear()


@requirement("loop.remove_reader/stops-watching")
def test_a_socket_that_gets_the_number_of_a_closed_one_is_watched_for_itself(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (first, _):
        number = first.fileno()
        loop.add_reader(first.fileno(), calls.append, "first")
        loop.add_writer(first.fileno(), calls.append, "first")
        loop.remove_reader(first.fileno())
        loop.remove_writer(first.fileno())
    with socket_pair() as (ours, theirs):
        if ours.fileno() != number:
            os.dup2(ours.fileno(), number)
        loop.add_reader(number, calls.append, "second")
        run_passes(loop)
        before = list(calls)
        theirs.send(b"x")
        run_until(loop, lambda: bool(calls))
        loop.remove_reader(number)
        if ours.fileno() != number:
            os.close(number)
    assert before == []
    assert set(calls) == {"second"}


@on_loops(PLAIN, DEBUG)
@requirement("loop.remove_reader/returns-whether-watched")
def test_removing_a_reader_tells_whether_there_was_one(loop: AbstractEventLoop) -> None:
    with socket_pair() as (ours, _):
        never = loop.remove_reader(ours.fileno())
        loop.add_writer(ours.fileno(), lambda: None)
        only_writing = loop.remove_reader(ours.fileno())
        loop.add_reader(ours.fileno(), lambda: None)
        watched = loop.remove_reader(ours.fileno())
        again = loop.remove_reader(ours.fileno())
        loop.remove_writer(ours.fileno())
    assert watched is True
    assert [bool(never), bool(only_writing), bool(again)] == [False] * 3


@on_loops(PLAIN, DEBUG)
@requirement("loop.remove_writer/returns-whether-watched")
def test_removing_a_writer_tells_whether_there_was_one(loop: AbstractEventLoop) -> None:
    with socket_pair() as (ours, _):
        never = loop.remove_writer(ours.fileno())
        loop.add_reader(ours.fileno(), lambda: None)
        only_reading = loop.remove_writer(ours.fileno())
        loop.add_writer(ours.fileno(), lambda: None)
        watched = loop.remove_writer(ours.fileno())
        again = loop.remove_writer(ours.fileno())
        loop.remove_reader(ours.fileno())
    assert watched is True
    assert [bool(never), bool(only_reading), bool(again)] == [False] * 3


@on_loops(PLAIN, DEBUG)
@requirement("loop.remove_writer/stops-watching")
def test_room_that_comes_after_the_removal_calls_nobody(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, theirs):
        fill(ours)
        loop.add_writer(ours.fileno(), calls.append, "called")
        run_passes(loop)
        loop.remove_writer(ours.fileno())
        empty(theirs)
        run_passes(loop)
    assert calls == []


@on_loops(PLAIN, DEBUG)
@requirement("loop.remove_reader/callback-never-runs-afterwards")
async def test_of_two_readers_that_are_ready_the_one_that_the_other_removes_does_not_run(
    loop: AbstractEventLoop,
) -> None:
    calls: list[str] = []

    def call(name: str, other: socket.socket) -> None:
        calls.append(name)
        loop.remove_reader(other.fileno())

    with socket_pair() as (one, to_one), socket_pair() as (two, to_two):
        loop.add_reader(one.fileno(), call, "one", two)
        loop.add_reader(two.fileno(), call, "two", one)
        to_one.send(b"x")
        to_two.send(b"x")
        await turns(loop)
        loop.remove_reader(one.fileno())
        loop.remove_reader(two.fileno())
    # Which of them comes first is the loop's own business.
    assert len(set(calls)) == 1


@on_loops(PLAIN, DEBUG)
@requirement("loop.remove_writer/callback-never-runs-afterwards")
async def test_of_two_writers_that_are_ready_the_one_that_the_other_removes_does_not_run(
    loop: AbstractEventLoop,
) -> None:
    calls: list[str] = []

    def call(name: str, other: socket.socket) -> None:
        calls.append(name)
        loop.remove_writer(other.fileno())

    with socket_pair() as (one, two):
        two.setblocking(False)
        loop.add_writer(one.fileno(), call, "one", two)
        loop.add_writer(two.fileno(), call, "two", one)
        await turns(loop)
        loop.remove_writer(one.fileno())
        loop.remove_writer(two.fileno())
    assert len(set(calls)) == 1


@requirement("loop.remove_reader/callback-never-runs-afterwards", "loop.remove_writer/callback-never-runs-afterwards")
async def test_of_both_directions_of_a_descriptor_the_one_that_the_other_removes_does_not_run(
    loop: AbstractEventLoop,
) -> None:
    calls: list[str] = []

    def read(sock: socket.socket) -> None:
        calls.append("reader")
        loop.remove_writer(sock.fileno())

    def write(sock: socket.socket) -> None:
        calls.append("writer")
        loop.remove_reader(sock.fileno())

    with socket_pair() as (ours, theirs):
        theirs.send(b"x")
        loop.add_reader(ours.fileno(), read, ours)
        loop.add_writer(ours.fileno(), write, ours)
        await turns(loop)
        loop.remove_reader(ours.fileno())
        loop.remove_writer(ours.fileno())
    assert len(set(calls)) == 1


@on_loops(PLAIN, DEBUG)
@requirement("loop.remove_reader/callback-never-runs-afterwards")
def test_a_reader_removed_in_the_pass_that_finds_its_data_does_not_run(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, theirs):
        loop.add_reader(ours.fileno(), calls.append, "called")
        theirs.send(b"x")
        loop.call_soon(loop.remove_reader, ours.fileno())
        run_passes(loop)
    assert calls == []


@on_loops(PLAIN, DEBUG)
@requirement("loop.remove_writer/callback-never-runs-afterwards")
def test_a_writer_removed_in_the_pass_that_finds_room_does_not_run(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    with socket_pair() as (ours, _):
        loop.add_writer(ours.fileno(), calls.append, "called")
        loop.call_soon(loop.remove_writer, ours.fileno())
        run_passes(loop)
    assert calls == []


@on_loops(PLAIN, DEBUG)
@requirement("loop.remove_reader/callback-never-runs-afterwards", "loop.remove_writer/callback-never-runs-afterwards")
async def test_callbacks_that_remove_themselves_run_once(loop: AbstractEventLoop) -> None:
    calls: list[str] = []

    def read(sock: socket.socket) -> None:
        calls.append("reader")
        loop.remove_reader(sock.fileno())

    def write(sock: socket.socket) -> None:
        calls.append("writer")
        loop.remove_writer(sock.fileno())

    with socket_pair() as (ours, theirs):
        theirs.send(b"x")
        loop.add_reader(ours.fileno(), read, ours)
        await turns(loop)
        loop.add_writer(ours.fileno(), write, ours)
        await turns(loop)
    assert calls == ["reader", "writer"]
