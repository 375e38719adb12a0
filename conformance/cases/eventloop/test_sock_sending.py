"""Sending with the caller's own socket: ``sock_sendall()`` and ``sock_sendto()``."""

from __future__ import annotations

import socket
from array import array
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.datagrams import bound, in_thread, nonblocking_and_plain, receive, slow_peer
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.peers import HOST_6, MORE_THAN_A_PAIR_HOLDS, has_ipv6, read_until_eof, socket_pair
from conformance.support.waiting import turns

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

# Blocks that differ from their neighbours, so that one that is lost, repeated or moved is seen.
LONG = array("I", range(MORE_THAN_A_PAIR_HOLDS // 4)).tobytes()


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@requirement("loop.sock_sendall/sends-everything")
async def test_what_is_sent_arrives_and_the_call_returns_nothing(
    loop: Any, kind: Callable[[bytes], bytes | bytearray | memoryview]
) -> None:
    with socket_pair() as (ours, theirs):
        assert await loop.sock_sendall(ours, kind(b"hello ")) is None
        assert await loop.sock_sendall(ours, kind(b"")) is None
        assert await loop.sock_sendall(ours, kind(b"world")) is None
        ours.close()
        assert read_until_eof(theirs) == b"hello world"


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@requirement("loop.sock_sendall/sends-beyond-socket-buffer", "loop.sock_sendall/sends-everything")
async def test_more_than_the_socket_takes_at_once_arrives_complete_and_in_order(
    loop: Any, kind: Callable[[bytes], bytes | bytearray | memoryview]
) -> None:
    with socket_pair() as (ours, theirs):
        reading = loop.create_task(in_thread(loop, lambda: read_until_eof(theirs)))
        assert await loop.sock_sendall(ours, kind(LONG)) is None
        ours.close()
        assert await reading == LONG


@requirement("loop.sock_sendall/sends-beyond-socket-buffer", "loop.sock_sendall/sends-everything")
async def test_the_call_does_not_return_before_the_last_byte_has_been_taken(loop: AbstractEventLoop) -> None:
    with socket_pair() as (ours, theirs):
        sending = loop.create_task(loop.sock_sendall(ours, LONG))
        await turns(loop)
        assert not sending.done()
        # All but what can wait in the two sockets, which is less than half of it.
        await in_thread(loop, lambda: theirs.recv(len(LONG) // 2, socket.MSG_WAITALL))
        await turns(loop)
        rest = loop.create_task(in_thread(loop, lambda: read_until_eof(theirs)))
        await sending
        ours.close()
        assert LONG.endswith(await rest)


@requirement("loop.sock_sendall/sends-beyond-socket-buffer")
async def test_two_sockets_under_pressure_send_independently(loop: AbstractEventLoop) -> None:
    with socket_pair() as (one, from_one), socket_pair() as (two, from_two):
        stuck = loop.create_task(loop.sock_sendall(one, LONG))
        await turns(loop)
        reading = loop.create_task(in_thread(loop, lambda: read_until_eof(from_two)))
        await loop.sock_sendall(two, LONG)
        two.close()
        assert await reading == LONG
        assert not stuck.done()
        reading = loop.create_task(in_thread(loop, lambda: read_until_eof(from_one)))
        await stuck
        one.close()
        assert await reading == LONG


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_sendall/rejects-blocking-or-unconnected-socket")
async def test_a_socket_that_is_not_connected_cannot_send(loop: AbstractEventLoop) -> None:
    with socket.socket() as sock:
        sock.setblocking(False)
        with pytest.raises(OSError) as caught:  # noqa: PT011 - systems differ in the number
            await loop.sock_sendall(sock, b"x")
    assert not isinstance(caught.value, BlockingIOError)


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_recv/cancelling-frees-socket")
async def test_a_cancelled_sending_stops_and_leaves_the_socket_to_the_next(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_pair() as (ours, theirs):
        sending = loop.create_task(loop.sock_sendall(ours, LONG))
        await turns(loop)
        sending.cancel()
        with pytest.raises(aio.CancelledError):
            await sending
        assert not loop.remove_writer(ours.fileno())
        reading = loop.create_task(in_thread(loop, lambda: read_until_eof(theirs)))
        await loop.sock_sendall(ours, b"next")
        ours.close()
        received = await reading
    assert received.endswith(b"next")
    assert len(received) < len(LONG)
    assert LONG.startswith(received.removesuffix(b"next"))


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@requirement("loop.sock_sendto/returns-bytes-sent")
async def test_a_datagram_goes_to_the_address_and_its_length_is_returned(
    loop: AbstractEventLoop, kind: Callable[[bytes], bytes | bytearray | memoryview]
) -> None:
    with nonblocking_and_plain() as (ours, theirs), bound() as other:
        sent = [
            await loop.sock_sendto(ours, kind(data), peer.getsockname())
            for data, peer in ((b"hello", theirs), (b"", theirs), (b"you", other), (b"again", theirs))
        ]
        assert sent == [5, 0, 3, 5]
        assert theirs.recvfrom(100) == (b"hello", ours.getsockname())
        assert receive(theirs, 2) == [b"", b"again"]
        assert receive(other, 1) == [b"you"]


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@requirement("loop.sock_sendto/returns-bytes-sent")
async def test_a_datagram_goes_to_an_ipv6_address(loop: AbstractEventLoop) -> None:
    with bound((HOST_6, 0), socket.AF_INET6) as ours, bound((HOST_6, 0), socket.AF_INET6) as theirs:
        ours.setblocking(False)
        assert await loop.sock_sendto(ours, b"six", theirs.getsockname()) == 3
        assert theirs.recvfrom(100) == (b"six", ours.getsockname())


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="only Unix sockets hold datagrams back")
@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_sendto/returns-bytes-sent")
async def test_a_datagram_for_which_there_is_no_room_yet_is_sent_later(loop: AbstractEventLoop) -> None:
    with slow_peer() as theirs, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.setblocking(False)
        sent = 0
        while True:
            sending = loop.create_task(loop.sock_sendto(ours, b"%05d" % sent, theirs.getsockname()))
            await turns(loop)
            if not sending.done():
                break
            assert await sending == 5
            sent += 1
        reading = loop.create_task(in_thread(loop, lambda: receive(theirs, sent + 1)))
        assert await sending == 5
        assert await reading == [b"%05d" % number for number in range(sent + 1)]
