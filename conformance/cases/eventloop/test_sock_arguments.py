"""What the ``sock_*`` methods take: their parameters, and sockets that do not block."""

from __future__ import annotations

import socket
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.datagrams import nonblocking_and_plain
from conformance.support.marks import DEBUG, on_loops, requirement
from conformance.support.peers import HOST, socket_pair
from conformance.support.waiting import turns

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from pathlib import Path

# Sockets that block, for ever or for a time.
TIMEOUTS = pytest.mark.parametrize("timeout", [None, 1.0], ids=["blocking", "timeout"])


@requirement("loop.sock_recv/accepts-documented-parameters")
async def test_receiving_takes_a_socket_and_a_number(loop: Any) -> None:
    # The documentation calls the second parameter nbytes, CPython n: only its place is common ground.
    with socket_pair() as (ours, theirs):
        theirs.send(b"hello")
        assert await loop.sock_recv(ours, 2) == b"he"
        for arguments in ((), (ours,), (ours, 1, 2)):
            with pytest.raises(TypeError):
                await loop.sock_recv(*arguments)


@requirement("loop.sock_recv_into/accepts-documented-parameters")
async def test_receiving_into_a_buffer_takes_a_socket_and_a_buffer(loop: Any) -> None:
    buffer = bytearray(3)
    with socket_pair() as (ours, theirs):
        theirs.send(b"hello")
        assert [await loop.sock_recv_into(ours, buffer), await loop.sock_recv_into(sock=ours, buf=buffer)] == [3, 2]
        for arguments in ((), (ours,), (ours, buffer, 1)):
            with pytest.raises(TypeError):
                await loop.sock_recv_into(*arguments)


@requirement("loop.sock_recvfrom/accepts-documented-parameters")
async def test_receiving_a_datagram_takes_a_socket_and_a_size(loop: Any) -> None:
    with nonblocking_and_plain() as (ours, theirs):
        for _ in range(2):
            theirs.sendto(b"hello", ours.getsockname())
        found = [await loop.sock_recvfrom(ours, 2), await loop.sock_recvfrom(sock=ours, bufsize=3)]
        assert [data for data, _ in found] == [b"he", b"hel"]
        for arguments in ((), (ours,), (ours, 1, 2)):
            with pytest.raises(TypeError):
                await loop.sock_recvfrom(*arguments)


@requirement("loop.sock_recvfrom_into/accepts-documented-parameters")
async def test_receiving_a_datagram_into_a_buffer_takes_a_number_of_bytes_as_well(loop: Any) -> None:
    buffer = bytearray(4)
    with nonblocking_and_plain() as (ours, theirs):
        for _ in range(3):
            theirs.sendto(b"hello", ours.getsockname())
        found = [
            await loop.sock_recvfrom_into(ours, buffer),
            await loop.sock_recvfrom_into(ours, buffer, 2),
            await loop.sock_recvfrom_into(sock=ours, buf=buffer, nbytes=3),
        ]
        assert [count for count, _ in found] == [4, 2, 3]
        for arguments in ((), (ours,), (ours, buffer, 1, 2)):
            with pytest.raises(TypeError):
                await loop.sock_recvfrom_into(*arguments)


@requirement("loop.sock_sendall/accepts-documented-parameters")
async def test_sending_takes_a_socket_and_data(loop: Any) -> None:
    with socket_pair() as (ours, theirs):
        await loop.sock_sendall(ours, b"hello ")
        await loop.sock_sendall(sock=ours, data=b"world")
        assert theirs.recv(100) == b"hello world"
        for arguments in ((), (ours,), (ours, b"", 1)):
            with pytest.raises(TypeError):
                await loop.sock_sendall(*arguments)


@requirement("loop.sock_sendto/accepts-documented-parameters")
async def test_sending_a_datagram_takes_a_socket_data_and_an_address(loop: Any) -> None:
    with nonblocking_and_plain() as (ours, theirs):
        await loop.sock_sendto(ours, b"hello", theirs.getsockname())
        await loop.sock_sendto(sock=ours, data=b"world", address=theirs.getsockname())
        assert [theirs.recv(100), theirs.recv(100)] == [b"hello", b"world"]
        for arguments in ((), (ours,), (ours, b""), (ours, b"", theirs.getsockname(), 1)):
            with pytest.raises(TypeError):
                await loop.sock_sendto(*arguments)


@requirement("loop.sock_connect/accepts-documented-parameters")
async def test_connecting_takes_a_socket_and_an_address(loop: Any) -> None:
    with socket.create_server((HOST, 0)) as listening, socket.socket() as one, socket.socket() as two:
        address = listening.getsockname()
        one.setblocking(False)
        two.setblocking(False)
        await loop.sock_connect(one, address)
        await loop.sock_connect(sock=two, address=address)
        assert [one.getpeername(), two.getpeername()] == [address, address]
        for arguments in ((), (one,), (one, address, 1)):
            with pytest.raises(TypeError):
                await loop.sock_connect(*arguments)


@requirement("loop.sock_accept/accepts-documented-parameters")
async def test_accepting_takes_a_socket(loop: Any) -> None:
    with socket.create_server((HOST, 0)) as listening, socket.socket() as one, socket.socket() as two:
        listening.setblocking(False)
        one.connect(listening.getsockname())
        two.connect(listening.getsockname())
        accepted = [await loop.sock_accept(listening), await loop.sock_accept(sock=listening)]
        for connection, _ in accepted:
            connection.close()
        for arguments in ((), (listening, 1)):
            with pytest.raises(TypeError):
                await loop.sock_accept(*arguments)


@requirement("loop.sock_recv/is-coroutine-function")
async def test_receiving_is_a_coroutine_that_does_nothing_before_it_is_awaited(loop: Any) -> None:
    with socket_pair() as (ours, theirs):
        theirs.send(b"x")
        receiving = loop.sock_recv(ours, 10)
        assert isinstance(receiving, Coroutine)
        await turns(loop)
        assert ours.recv(10, socket.MSG_PEEK) == b"x"
        assert await receiving == b"x"


@requirement("loop.sock_sendall/is-coroutine-function")
async def test_sending_is_a_coroutine_that_does_nothing_before_it_is_awaited(loop: Any) -> None:
    with socket_pair() as (ours, theirs):
        sending = loop.sock_sendall(ours, b"x")
        assert isinstance(sending, Coroutine)
        await turns(loop)
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(10)
        await sending
        assert theirs.recv(10) == b"x"


@requirement("loop.sock_accept/is-coroutine-function")
async def test_accepting_is_a_coroutine_that_does_nothing_before_it_is_awaited(loop: Any) -> None:
    with socket.create_server((HOST, 0)) as listening, socket.socket() as client:
        listening.setblocking(False)
        client.connect(listening.getsockname())
        accepting = loop.sock_accept(listening)
        assert isinstance(accepting, Coroutine)
        await turns(loop)
        listening.accept()[0].close()
        waiting = loop.create_task(accepting)
        await turns(loop)
        assert not waiting.done()
        with socket.create_connection(listening.getsockname()):
            (await waiting)[0].close()


@TIMEOUTS
@on_loops(DEBUG)
@requirement("loop.sock_recv/rejects-blocking-socket")
async def test_in_debug_mode_receiving_refuses_a_socket_that_blocks(loop: Any, timeout: float | None) -> None:
    with socket_pair() as (ours, theirs):
        theirs.send(b"x")
        ours.settimeout(timeout)
        with pytest.raises(ValueError):  # noqa: PT011 - the documentation promises no message
            await loop.sock_recv(ours, 1)
        assert ours.recv(1) == b"x"


@TIMEOUTS
@on_loops(DEBUG)
@requirement("loop.sock_recv_into/rejects-blocking-socket")
async def test_in_debug_mode_a_buffer_is_not_filled_from_a_socket_that_blocks(loop: Any, timeout: float | None) -> None:
    with socket_pair() as (ours, theirs):
        theirs.send(b"x")
        ours.settimeout(timeout)
        with pytest.raises(ValueError):  # noqa: PT011 - as above
            await loop.sock_recv_into(ours, bytearray(1))
        assert ours.recv(1) == b"x"


@TIMEOUTS
@on_loops(DEBUG)
@requirement("loop.sock_recvfrom/rejects-blocking-socket")
async def test_in_debug_mode_no_datagram_comes_from_a_socket_that_blocks(loop: Any, timeout: float | None) -> None:
    with nonblocking_and_plain() as (ours, theirs):
        theirs.sendto(b"x", ours.getsockname())
        ours.settimeout(timeout)
        with pytest.raises(ValueError):  # noqa: PT011 - as above
            await loop.sock_recvfrom(ours, 1)


@TIMEOUTS
@on_loops(DEBUG)
@requirement("loop.sock_recvfrom_into/rejects-blocking-socket")
async def test_in_debug_mode_no_datagram_goes_into_a_buffer_from_a_socket_that_blocks(
    loop: Any, timeout: float | None
) -> None:
    with nonblocking_and_plain() as (ours, theirs):
        theirs.sendto(b"x", ours.getsockname())
        ours.settimeout(timeout)
        with pytest.raises(ValueError):  # noqa: PT011 - as above
            await loop.sock_recvfrom_into(ours, bytearray(1))


@TIMEOUTS
@on_loops(DEBUG)
@requirement("loop.sock_sendall/rejects-blocking-or-unconnected-socket")
async def test_in_debug_mode_sending_refuses_a_socket_that_blocks(loop: Any, timeout: float | None) -> None:
    with socket_pair() as (ours, theirs):
        ours.settimeout(timeout)
        with pytest.raises(ValueError):  # noqa: PT011 - as above
            await loop.sock_sendall(ours, b"refused")
        ours.sendall(b"sent")
        assert theirs.recv(100) == b"sent"


@TIMEOUTS
@on_loops(DEBUG)
@requirement("loop.sock_sendto/rejects-blocking-socket")
async def test_in_debug_mode_no_datagram_is_sent_with_a_socket_that_blocks(loop: Any, timeout: float | None) -> None:
    with nonblocking_and_plain() as (ours, theirs):
        ours.settimeout(timeout)
        with pytest.raises(ValueError):  # noqa: PT011 - as above
            await loop.sock_sendto(ours, b"refused", theirs.getsockname())
        ours.sendto(b"sent", theirs.getsockname())
        assert theirs.recv(100) == b"sent"


@TIMEOUTS
@on_loops(DEBUG)
@requirement("loop.sock_connect/rejects-blocking-socket")
async def test_in_debug_mode_connecting_refuses_a_socket_that_blocks(loop: Any, timeout: float | None) -> None:
    with socket.create_server((HOST, 0)) as listening, socket.socket() as sock:
        sock.settimeout(timeout)
        with pytest.raises(ValueError):  # noqa: PT011 - as above
            await loop.sock_connect(sock, listening.getsockname())


@TIMEOUTS
@on_loops(DEBUG)
@requirement("loop.sock_accept/rejects-blocking-or-nonlistening-socket")
async def test_in_debug_mode_accepting_refuses_a_socket_that_blocks(loop: Any, timeout: float | None) -> None:
    with socket.create_server((HOST, 0)) as listening, socket.create_connection(listening.getsockname()):
        listening.settimeout(timeout)
        with pytest.raises(ValueError):  # noqa: PT011 - as above
            await loop.sock_accept(listening)


@TIMEOUTS
@on_loops(DEBUG)
@requirement("loop.sock_sendfile/rejects-blocking-or-nonstream-socket")
async def test_in_debug_mode_no_file_is_sent_with_a_socket_that_blocks(
    loop: AbstractEventLoop, tmp_path: Path, timeout: float | None
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"refused")
    with socket_pair() as (ours, theirs), path.open("rb") as file:
        ours.settimeout(timeout)
        with pytest.raises(ValueError):  # noqa: PT011 - as above
            await loop.sock_sendfile(ours, file)
        ours.sendall(b"sent")
        assert theirs.recv(100) == b"sent"
