"""Receiving with the caller's own socket: ``sock_recv()`` and its siblings."""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.connections import RESET
from conformance.support.datagrams import bound, nonblocking_and_plain, unix_paths
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.peers import HOST, HOST_6, MORE_THAN_A_PAIR_HOLDS, has_ipv6, read_until_eof, socket_pair
from conformance.support.waiting import turns

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Coroutine

# Whether data waits when the call is made, or the call waits for data: most loops have a way of their own for each.
EARLY_AND_LATE = pytest.mark.parametrize("early", [True, False], ids=["early", "late"])


async def meeting(loop: AbstractEventLoop, receive: Callable[[], Any], send: Callable[[], object], early: bool) -> Any:
    """What ``receive()`` gives when ``send()`` comes before it or, not ``early``, once it waits."""
    if early:
        send()
        return await receive()
    waiting = loop.create_task(receive())
    await turns(loop)
    if waiting.done():
        pytest.fail(f"the call gave {await waiting!r} before anything was sent")
    send()
    return await waiting


@EARLY_AND_LATE
@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.sock_recv/returns-received-bytes")
async def test_receiving_gives_what_the_peer_sent(loop: AbstractEventLoop, early: bool) -> None:
    with socket_pair() as (ours, theirs):
        data = await meeting(loop, lambda: loop.sock_recv(ours, 100), lambda: theirs.send(b"hello"), early)
    assert (type(data), data) == (bytes, b"hello")


@EARLY_AND_LATE
@requirement("loop.sock_recv/returns-received-bytes")
async def test_receiving_gives_no_more_than_was_asked_for_and_leaves_the_rest(
    loop: AbstractEventLoop, early: bool
) -> None:
    with socket_pair() as (ours, theirs):
        first = await meeting(loop, lambda: loop.sock_recv(ours, 3), lambda: theirs.send(b"hello"), early)
        assert [first, await loop.sock_recv(ours, 1), await loop.sock_recv(ours, 100)] == [b"hel", b"l", b"o"]


@requirement("loop.sock_recv/returns-received-bytes")
async def test_receiving_no_bytes_takes_none(loop: AbstractEventLoop) -> None:
    with socket_pair() as (ours, theirs):
        theirs.send(b"hello")
        assert [await loop.sock_recv(ours, 0), await loop.sock_recv(ours, 100)] == [b"", b"hello"]


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_recv/returns-received-bytes")
async def test_a_long_stream_comes_complete_and_in_order(loop: AbstractEventLoop, aio: Any) -> None:
    sent = bytes(range(256)) * (2 * MORE_THAN_A_PAIR_HOLDS // 256)
    received = bytearray()
    with socket_pair() as (ours, theirs):
        sending = aio.ensure_future(loop.run_in_executor(None, theirs.sendall, sent))
        while len(received) < len(sent):
            received += await loop.sock_recv(ours, 50_000)
        await sending
    assert received == sent


@EARLY_AND_LATE
@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_recv/returns-empty-at-eof")
async def test_at_the_end_of_the_stream_receiving_gives_empty_bytes(loop: AbstractEventLoop, early: bool) -> None:
    with socket_pair() as (ours, theirs):
        end = partial(theirs.shutdown, socket.SHUT_WR)
        first = await meeting(loop, lambda: loop.sock_recv(ours, 100), end, early)
        assert [first, await loop.sock_recv(ours, 100)] == [b"", b""]


@requirement("loop.sock_recv/returns-empty-at-eof")
async def test_what_came_before_the_end_of_the_stream_comes_first(loop: AbstractEventLoop) -> None:
    with socket_pair() as (ours, theirs):
        theirs.send(b"last words")
        theirs.close()
        assert [await loop.sock_recv(ours, 100), await loop.sock_recv(ours, 100)] == [b"last words", b""]


@EARLY_AND_LATE
@requirement("loop.sock_recv/returns-received-bytes")
async def test_a_connection_that_breaks_off_raises_its_error(
    loop: AbstractEventLoop, early: bool, reported: list[dict[str, Any]]
) -> None:
    with socket.create_server((HOST, 0)) as listening, socket.create_connection(listening.getsockname()) as ours:
        theirs, _ = listening.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        ours.setblocking(False)
        with pytest.raises(ConnectionResetError):
            await meeting(loop, lambda: loop.sock_recv(ours, 100), theirs.close, early)
    assert reported == []


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.sock_recv/other-tasks-run-meanwhile")
async def test_other_tasks_and_timers_run_while_one_waits_for_data(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_pair() as (ours, theirs):

        async def answer() -> None:
            for _ in range(3):
                await aio.sleep(0)
            await aio.sleep(0.001)
            theirs.send(b"from another task")

        answering = loop.create_task(answer())
        assert await loop.sock_recv(ours, 100) == b"from another task"
        await answering


@requirement("loop.sock_recv/other-tasks-run-meanwhile")
async def test_each_of_several_waiting_calls_gets_the_data_of_its_own_socket(loop: AbstractEventLoop) -> None:
    with socket_pair() as (one, to_one), socket_pair() as (two, to_two), socket_pair() as (three, to_three):
        waiting = [loop.create_task(loop.sock_recv(sock, 10)) for sock in (one, two, three)]
        await turns(loop)
        to_three.send(b"three")
        to_one.send(b"one")
        assert [await waiting[2], await waiting[0], waiting[1].done()] == [b"three", b"one", False]
        to_two.send(b"two")
        assert await waiting[1] == b"two"


async def cancelled(loop: AbstractEventLoop, aio: Any, call: Coroutine[Any, Any, Any]) -> None:
    """Let a call wait and cancel it."""
    waiting = loop.create_task(call)
    await turns(loop)
    waiting.cancel()
    with pytest.raises(aio.CancelledError):
        await waiting


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_recv/cancelling-frees-socket")
async def test_after_a_cancelled_call_the_next_gets_all_the_data(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_pair() as (ours, theirs):
        for number in range(3):
            await cancelled(loop, aio, loop.sock_recv(ours, 100))
            theirs.send(b"data %d" % number)
            await turns(loop)
            assert await loop.sock_recv(ours, 100) == b"data %d" % number


@requirement("loop.sock_recv/cancelling-frees-socket")
async def test_after_a_timeout_the_next_call_waits_and_gets_the_data(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_pair() as (ours, theirs):
        with pytest.raises(TimeoutError):
            await aio.wait_for(loop.sock_recv(ours, 100), 0.001)
        assert (
            await meeting(loop, lambda: loop.sock_recv(ours, 9), lambda: theirs.send(b"late"), early=False) == b"late"
        )


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_recv/cancelling-frees-socket")
async def test_a_cancelled_call_leaves_nothing_watching_the_socket(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_pair() as (ours, _):
        await cancelled(loop, aio, loop.sock_recv(ours, 100))
        assert not loop.remove_reader(ours.fileno())


@requirement("loop.sock_recv/cancelling-frees-socket")
async def test_a_cancelled_call_leaves_the_other_direction_alone(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_pair() as (ours, theirs):
        sending = loop.create_task(loop.sock_sendall(ours, bytes(MORE_THAN_A_PAIR_HOLDS)))
        await cancelled(loop, aio, loop.sock_recv(ours, 100))
        assert not sending.done()
        reading = loop.run_in_executor(None, read_until_eof, theirs)
        await sending
        ours.shutdown(socket.SHUT_WR)
        assert len(await reading) == MORE_THAN_A_PAIR_HOLDS
        theirs.send(b"answer")
        assert await loop.sock_recv(ours, 100) == b"answer"


@requirement("loop.sock_recv/cancelling-frees-socket")
async def test_a_reader_can_be_added_after_a_cancelled_call(loop: AbstractEventLoop, aio: Any) -> None:
    called = loop.create_future()

    def read(sock: socket.socket) -> None:
        loop.remove_reader(sock.fileno())
        called.set_result(sock.recv(100))

    with socket_pair() as (ours, theirs):
        await cancelled(loop, aio, loop.sock_recv(ours, 100))
        loop.add_reader(ours.fileno(), read, ours)
        theirs.send(b"read")
        assert await called == b"read"


@requirement("loop.sock_recv/cancelling-frees-socket")
async def test_a_socket_with_the_number_of_a_cancelled_one_receives(loop: AbstractEventLoop, aio: Any) -> None:
    for number in range(3):
        with socket_pair() as (ours, theirs):
            receiving, send = partial(loop.sock_recv, ours, 100), partial(theirs.send, b"%d" % number)
            assert await meeting(loop, receiving, send, early=False) == b"%d" % number
            await cancelled(loop, aio, loop.sock_recv(ours, 100))


@EARLY_AND_LATE
@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_recv_into/returns-byte-count")
async def test_receiving_into_a_buffer_fills_its_beginning(loop: AbstractEventLoop, early: bool) -> None:
    buffer = bytearray(b"........")
    with socket_pair() as (ours, theirs):
        count = await meeting(loop, lambda: loop.sock_recv_into(ours, buffer), lambda: theirs.send(b"abc"), early)
    assert (count, bytes(buffer)) == (3, b"abc.....")


@EARLY_AND_LATE
@requirement("loop.sock_recv_into/returns-byte-count")
async def test_receiving_into_a_part_of_a_buffer_leaves_the_rest_to_later_calls(
    loop: AbstractEventLoop, early: bool
) -> None:
    buffer = bytearray(b"........")
    part = memoryview(buffer)[2:5]
    with socket_pair() as (ours, theirs):
        count = await meeting(loop, lambda: loop.sock_recv_into(ours, part), lambda: theirs.send(b"abcdef"), early)
        assert (count, bytes(buffer)) == (3, b"..abc...")
        assert await loop.sock_recv_into(ours, buffer) == 3
        assert buffer == b"defbc..."


@EARLY_AND_LATE
@requirement("loop.sock_recv_into/returns-byte-count")
async def test_at_the_end_of_the_stream_no_bytes_go_into_the_buffer(loop: AbstractEventLoop, early: bool) -> None:
    buffer = bytearray(b"....")
    with socket_pair() as (ours, theirs):
        end = partial(theirs.shutdown, socket.SHUT_WR)
        assert await meeting(loop, lambda: loop.sock_recv_into(ours, buffer), end, early) == 0
    assert buffer == b"...."


@EARLY_AND_LATE
@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_recvfrom/returns-data-and-address", "loop.sock_recvfrom/address-is-sender")
async def test_a_datagram_comes_with_the_address_of_its_sender(loop: AbstractEventLoop, early: bool) -> None:
    with nonblocking_and_plain() as (ours, theirs), bound() as other:
        send = partial(theirs.sendto, b"hello", ours.getsockname())
        found = await meeting(loop, lambda: loop.sock_recvfrom(ours, 100), send, early)
        assert found == (b"hello", theirs.getsockname())
        other.sendto(b"me too", ours.getsockname())
        assert await loop.sock_recvfrom(ours, 100) == (b"me too", other.getsockname())


@EARLY_AND_LATE
@requirement("loop.sock_recvfrom/returns-data-and-address")
async def test_each_call_receives_one_datagram_and_no_more_of_it_than_was_asked_for(
    loop: AbstractEventLoop, early: bool
) -> None:
    with nonblocking_and_plain() as (ours, theirs):

        def send() -> None:
            for data in (b"first", b"", b"third"):
                theirs.sendto(data, ours.getsockname())

        first, _ = await meeting(loop, lambda: loop.sock_recvfrom(ours, 3), send, early)
        second, _ = await loop.sock_recvfrom(ours, 100)
        third, _ = await loop.sock_recvfrom(ours, 100)
    assert [type(first), first, second, third] == [bytes, b"fir", b"", b"third"]


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@requirement("loop.sock_recvfrom/address-is-sender")
async def test_over_ipv6_the_senders_address_has_four_items(loop: AbstractEventLoop) -> None:
    with bound((HOST_6, 0), socket.AF_INET6) as ours, bound((HOST_6, 0), socket.AF_INET6) as theirs:
        ours.setblocking(False)
        theirs.sendto(b"six", ours.getsockname())
        assert await loop.sock_recvfrom(ours, 100) == (b"six", theirs.getsockname())
        assert len(theirs.getsockname()) == 4


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this platform has no Unix sockets")
@EARLY_AND_LATE
@requirement("loop.sock_recvfrom/address-is-sender")
async def test_over_a_unix_socket_the_senders_address_is_its_path(loop: AbstractEventLoop, early: bool) -> None:
    with unix_paths() as (one, two):
        with bound(str(one), socket.AF_UNIX) as ours, bound(str(two), socket.AF_UNIX) as theirs:
            ours.setblocking(False)
            send = partial(theirs.sendto, b"unix", str(one))
            found = await meeting(loop, lambda: loop.sock_recvfrom(ours, 100), send, early)
    assert found == (b"unix", str(two))


@EARLY_AND_LATE
@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_recvfrom_into/returns-count-and-address")
async def test_a_datagram_goes_into_a_buffer_as_far_as_was_asked_for(loop: AbstractEventLoop, early: bool) -> None:
    buffer = bytearray(b"........")
    with nonblocking_and_plain() as (ours, theirs):
        send = partial(theirs.sendto, b"hello", ours.getsockname())
        found = await meeting(loop, lambda: loop.sock_recvfrom_into(ours, buffer, 3), send, early)
        assert (found, bytes(buffer)) == ((3, theirs.getsockname()), b"hel.....")
        theirs.sendto(b"ab", ours.getsockname())
        assert await loop.sock_recvfrom_into(ours, buffer, 5) == (2, theirs.getsockname())
        assert buffer == b"abl....."


@EARLY_AND_LATE
@pytest.mark.parametrize("given", [(), (0,)], ids=["default", "zero"])
@requirement("loop.sock_recvfrom_into/zero-nbytes-uses-buffer-length")
async def test_without_a_number_of_bytes_the_whole_buffer_is_used(
    loop: AbstractEventLoop, early: bool, given: tuple[int, ...]
) -> None:
    buffer = bytearray(5)
    with nonblocking_and_plain() as (ours, theirs):
        send = partial(theirs.sendto, b"hello world", ours.getsockname())
        found = await meeting(loop, lambda: loop.sock_recvfrom_into(ours, buffer, *given), send, early)
        assert (found, bytes(buffer)) == ((5, theirs.getsockname()), b"hello")
        theirs.sendto(b"next", ours.getsockname())
        assert await loop.sock_recvfrom_into(ours, buffer, *given) == (4, theirs.getsockname())
        assert buffer == b"nexto"


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("method", ["sock_recv_into", "sock_recvfrom", "sock_recvfrom_into"])
@requirement("loop.sock_recv/cancelling-frees-socket")
async def test_every_receiving_call_can_be_cancelled_without_loss(
    loop: AbstractEventLoop, aio: Any, method: str
) -> None:
    with nonblocking_and_plain() as (ours, theirs):
        argument = 10 if method == "sock_recvfrom" else bytearray(10)
        await cancelled(loop, aio, getattr(loop, method)(ours, argument))
        theirs.sendto(b"kept", ours.getsockname())
        await turns(loop)
        assert (await loop.sock_recvfrom(ours, 10))[0] == b"kept"
        assert not loop.remove_reader(ours.fileno())
