"""Datagrams that wait to be sent, and the ends of datagram transports."""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.datagrams import (
    LARGEST,
    Datagrams,
    bound,
    connected_to,
    endpoint,
    in_thread,
    receive,
    slow_peer,
    unix_paths,
)
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import HOST
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

needs_unix = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="only Unix sockets hold datagrams back")

AF_UNIX = getattr(socket, "AF_UNIX", 0)
# More datagrams than any system lets wait in a Unix socket (Linux: 10 by default, seldom more than 512).
MANY = 2000
# The limit of the buffer, in bytes, and a number of datagrams of one byte that stays below it unless more is counted.
LIMIT = 10_000
BELOW_LIMIT = 9_000


@needs_unix
@on_loops(PLAIN, DEBUG)
@requirement("DatagramTransport.sendto/never-blocks")
async def test_datagrams_for_which_there_is_no_room_wait_and_arrive_in_order(loop: AbstractEventLoop) -> None:
    expected = [b"%05d" % number for number in range(MANY)]
    with slow_peer() as peer:
        async with endpoint(loop, sock=connected_to(peer)) as (transport, protocol):
            for data in expected:
                transport.sendto(data)
            assert await in_thread(loop, lambda: receive(peer, MANY)) == expected
            assert protocol.errors == []


@needs_unix
@requirement("DatagramTransport.sendto/never-blocks")
async def test_an_endpoint_receives_while_datagrams_wait_to_be_sent(loop: AbstractEventLoop) -> None:
    with unix_paths() as (one, _), slow_peer() as peer:
        ours = bound(str(one), AF_UNIX)
        ours.connect(peer.getsockname())
        async with endpoint(loop, sock=ours) as (transport, protocol):
            for _ in range(MANY):
                transport.sendto(b"waits")
            peer.sendto(b"comes in", str(one))
            await until(loop, lambda: protocol.received)


@needs_unix
@requirement("DatagramTransport.sendto/sends-empty-datagram")
async def test_empty_datagrams_wait_among_the_others(loop: AbstractEventLoop) -> None:
    expected = [b"%05d" % number if number % 2 else b"" for number in range(MANY)]
    with slow_peer() as peer:
        async with endpoint(loop, sock=connected_to(peer)) as (transport, _):
            for data in expected:
                transport.sendto(data)
            assert await in_thread(loop, lambda: receive(peer, MANY)) == expected


def limited(transport: Any) -> None:
    """Let the protocol pause above `LIMIT`; skips the case where datagram transports have no such method."""
    if not hasattr(transport, "set_write_buffer_limits"):
        pytest.skip("the limit of this transport's buffer is not known")
    transport.set_write_buffer_limits(high=LIMIT)


def send_until_paused(transport: Any, protocol: Datagrams, data: bytes) -> int:
    """Send until the protocol is asked to pause, or `BELOW_LIMIT` times; how many datagrams that took."""
    sent = 0
    while "pause" not in protocol.events and sent < BELOW_LIMIT:
        transport.sendto(data)
        sent += 1
    return sent


@needs_unix
@on_loops(PLAIN, DEBUG)
@requirement("DatagramTransport.sendto/counts-header-in-buffer")
async def test_more_than_its_bytes_is_counted_for_a_datagram_that_waits(loop: AbstractEventLoop) -> None:
    with slow_peer() as peer:
        async with endpoint(loop, sock=connected_to(peer)) as (transport, protocol):
            limited(transport)
            send_until_paused(transport, protocol, b"x")
            assert "pause" in protocol.events


@needs_unix
@requirement("DatagramTransport.sendto/counts-header-in-buffer")
async def test_what_was_counted_for_a_datagram_is_taken_off_when_it_was_sent(loop: AbstractEventLoop) -> None:
    with slow_peer() as peer:
        async with endpoint(loop, sock=connected_to(peer)) as (transport, protocol):
            limited(transport)
            for _ in range(3):
                protocol.events.clear()
                sent = send_until_paused(transport, protocol, b"x")
                assert await in_thread(loop, partial(receive, peer, sent)) == [b"x"] * sent
                await until(loop, lambda: "resume" in protocol.events)
                assert protocol.events == ["pause", "resume"]


@needs_unix
@on_loops(PLAIN, DEBUG)
@requirement("BaseTransport.close/flushes-buffer-first", "BaseProtocol.connection_lost/receives-none-on-clean-end")
async def test_closing_sends_the_datagrams_that_wait_and_then_tells_the_protocol(loop: AbstractEventLoop) -> None:
    expected = [b"%05d" % number for number in range(MANY)]
    with slow_peer() as peer:
        async with endpoint(loop, sock=connected_to(peer)) as (transport, protocol):
            for data in expected:
                transport.sendto(data)
            transport.close()
            await turns(loop)
            assert (transport.is_closing(), protocol.lost) == (True, [])
            assert await in_thread(loop, lambda: receive(peer, MANY)) == expected
            await until(loop, lambda: protocol.lost)
            assert (protocol.lost, protocol.events[-1]) == ([None], "lost")


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("ending", ["close", "abort"])
@requirement(
    "BaseProtocol.connection_lost/receives-none-on-clean-end",
    "protocols-general/connection-callbacks-once-only",
    "DatagramTransport.abort/calls-connection-lost-eventually",
)
async def test_an_endpoint_that_is_ended_tells_its_protocol_once(loop: AbstractEventLoop, ending: str) -> None:
    async with endpoint(loop, (HOST, 0)) as (transport, protocol):
        for end in (ending, "close", "abort", ending):
            getattr(transport, end)()
            assert transport.is_closing()
        await until(loop, lambda: protocol.lost)
        await turns(loop)
        assert protocol.events == ["made", "lost"]
        assert protocol.lost == [None]


@needs_unix
@on_loops(PLAIN, DEBUG)
@requirement(
    "DatagramTransport.abort/discards-buffered-datagrams", "DatagramTransport.abort/calls-connection-lost-eventually"
)
async def test_aborting_drops_the_datagrams_that_wait(loop: AbstractEventLoop) -> None:
    with slow_peer() as peer:
        async with endpoint(loop, sock=connected_to(peer)) as (transport, protocol):
            for number in range(MANY):
                transport.sendto(b"%05d" % number)
            transport.abort()
            # Nobody has read anything: an endpoint that waits for that to happen waits for ever.
            await until(loop, lambda: protocol.lost)
            assert protocol.lost == [None]
        received: list[bytes] = []
        while not nothing_waits_but_keep(peer, received):
            await turns(loop)
    assert received == [b"%05d" % number for number in range(len(received))]
    assert len(received) < MANY


def nothing_waits_but_keep(peer: socket.socket, received: list[bytes]) -> bool:
    """Take a datagram if there is one; whether there was none."""
    peer.setblocking(False)
    try:
        received.append(peer.recv(LARGEST))
    except BlockingIOError:
        return True
    return False


@needs_unix
@requirement("DatagramTransport.abort/discards-buffered-datagrams")
async def test_aborting_drops_what_a_closing_endpoint_has_still_to_send(loop: AbstractEventLoop) -> None:
    with slow_peer() as peer:
        async with endpoint(loop, sock=connected_to(peer)) as (transport, protocol):
            for _ in range(MANY):
                transport.sendto(b"waits")
            transport.close()
            await turns(loop)
            transport.abort()
            await until(loop, lambda: protocol.lost)
            assert protocol.lost == [None]


@on_loops(PLAIN, DEBUG)
@requirement("DatagramTransport.abort/stops-receiving", "BaseProtocol.connection_lost/last-callback")
async def test_after_aborting_no_datagram_comes_though_it_waits_already(loop: AbstractEventLoop) -> None:
    with bound() as peer:
        async with endpoint(loop, (HOST, 0)) as (transport, protocol):
            peer.sendto(b"too late", transport.get_extra_info("sockname"))
            transport.abort()
            await until(loop, lambda: protocol.lost)
            await turns(loop)
            assert protocol.events == ["made", "lost"]


@requirement("DatagramTransport.abort/stops-receiving")
async def test_an_endpoint_that_is_aborted_by_its_protocol_receives_nothing_more(loop: AbstractEventLoop) -> None:
    class Aborts(Datagrams):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            self.transport.abort()

    with bound() as peer:
        async with endpoint(loop, (HOST, 0), factory=Aborts) as (transport, protocol):
            for number in range(5):
                peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
            await until(loop, lambda: protocol.lost)
            assert [data for data, _ in protocol.received] == [b"0"]
            assert protocol.events == ["made", "datagram", "lost"]
