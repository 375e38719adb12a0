"""A loop that has nothing else to do wakes when what it watches is ready, and when a function in a thread ends."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from conformance.support.datagrams import bound
from conformance.support.idling import woken_by
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import HOST, MORE_THAN_A_PAIR_HOLDS, read_until_eof, socket_pair
from conformance.support.readiness import empty, fill
from conformance.support.waiting import GENEROUS


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_recv/returns-received-bytes", "loop.sock_recv_into/returns-byte-count")
@pytest.mark.parametrize(
    ("method", "where", "received"),
    [("sock_recv", 100, b"wake"), ("sock_recv_into", bytearray(100), 4)],
    ids=["sock_recv", "sock_recv_into"],
)
async def test_data_wakes_a_loop_in_which_one_socket_waits_for_it(
    loop: Any, method: str, where: Any, received: Any
) -> None:
    with socket_pair() as (ours, theirs):
        waiting = getattr(loop, method)(ours, where)
        assert await woken_by(loop, lambda: theirs.send(b"wake"), waiting) == received


@requirement("loop.sock_recvfrom/returns-data-and-address", "loop.sock_recvfrom_into/returns-count-and-address")
@pytest.mark.parametrize(
    ("method", "where", "received"),
    [("sock_recvfrom", 100, b"wake"), ("sock_recvfrom_into", bytearray(100), 4)],
    ids=["sock_recvfrom", "sock_recvfrom_into"],
)
async def test_a_datagram_wakes_a_loop_in_which_one_socket_waits_for_it(
    loop: Any, method: str, where: Any, received: Any
) -> None:
    with bound() as ours, bound() as theirs:
        ours.setblocking(False)
        send = partial(theirs.sendto, b"wake", ours.getsockname())
        result = await woken_by(loop, send, getattr(loop, method)(ours, where))
        assert result == (received, theirs.getsockname())


@requirement("loop.sock_recv/returns-empty-at-eof")
async def test_the_end_wakes_a_loop_in_which_one_socket_waits_for_data(loop: Any) -> None:
    with socket_pair() as (ours, theirs):
        assert await woken_by(loop, theirs.close, loop.sock_recv(ours, 100)) == b""


@requirement("loop.sock_accept/returns-connection-and-address")
async def test_a_connection_wakes_a_loop_in_which_one_socket_accepts(loop: Any) -> None:
    with socket.create_server((HOST, 0)) as listener, socket.socket() as theirs:
        listener.setblocking(False)
        connect = partial(theirs.connect, listener.getsockname())
        connection, address = await woken_by(loop, connect, loop.sock_accept(listener))
        with connection:
            assert address == theirs.getsockname()


@requirement("loop.sock_sendall/sends-beyond-socket-buffer")
async def test_room_wakes_a_loop_in_which_one_socket_sends(loop: Any) -> None:
    data = bytes(MORE_THAN_A_PAIR_HOLDS)
    received: list[bytes] = []
    with socket_pair() as (ours, theirs):

        async def send() -> None:
            await loop.sock_sendall(ours, data)
            ours.shutdown(socket.SHUT_WR)

        await woken_by(loop, lambda: received.append(read_until_eof(theirs)), send())
    assert received == [data]


@requirement("loop.add_reader/calls-callback-when-readable")
async def test_a_readable_descriptor_wakes_a_loop_that_watches_it_alone(loop: Any) -> None:
    with socket_pair() as (ours, theirs):
        readable = loop.create_future()

        def note() -> None:
            loop.remove_reader(ours)
            readable.set_result(ours.recv(100))

        loop.add_reader(ours, note)
        assert await woken_by(loop, lambda: theirs.send(b"wake"), readable) == b"wake"


@requirement("loop.add_writer/calls-callback-when-writable")
async def test_a_writable_descriptor_wakes_a_loop_that_watches_it_alone(loop: Any) -> None:
    with socket_pair() as (ours, theirs):
        writable = loop.create_future()

        def note() -> None:
            loop.remove_writer(ours)
            writable.set_result(ours.send(b"there is room"))

        fill(ours)
        loop.add_writer(ours, note)
        assert await woken_by(loop, lambda: empty(theirs), writable) > 0


@requirement("loop.run_in_executor/delivers-result-or-exception")
async def test_a_result_wakes_a_loop_that_waits_for_one_function(loop: Any) -> None:
    go = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        assert await woken_by(loop, go.set, loop.run_in_executor(pool, go.wait, GENEROUS)) is True
