"""Errors of the methods that work on the caller's own socket: ``loop.sock_connect()`` and ``loop.sock_sendall()``."""

from __future__ import annotations

import errno
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import (
    HOST,
    MORE_THAN_A_PAIR_HOLDS,
    accepting,
    read_until_eof,
    refusing_path,
    refusing_port,
    socket_pair,
)

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


def nonblocking(family: int = socket.AF_INET) -> socket.socket:
    """An unconnected stream socket as the loop's methods want it."""
    sock = socket.socket(family)
    sock.setblocking(False)
    return sock


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_connect/raises-when-refused")
async def test_a_port_on_which_nobody_listens_refuses_the_socket(
    loop: AbstractEventLoop, reported: list[dict[str, Any]]
) -> None:
    with refusing_port() as port, nonblocking() as sock:
        with pytest.raises(ConnectionRefusedError) as caught:
            await loop.sock_connect(sock, (HOST, port))
    assert caught.value.errno == errno.ECONNREFUSED
    assert reported == []


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this platform has no Unix sockets")
@requirement("loop.sock_connect/raises-when-refused")
async def test_a_path_on_which_nobody_listens_refuses_the_socket(loop: AbstractEventLoop) -> None:
    with refusing_path(stale=True) as path, nonblocking(socket.AF_UNIX) as sock:
        with pytest.raises(ConnectionRefusedError):
            await loop.sock_connect(sock, str(path))


@requirement("loop.sock_connect/raises-when-refused")
async def test_every_one_of_several_sockets_hears_that_it_is_refused(loop: AbstractEventLoop, aio: Any) -> None:
    async def connect(port: int) -> None:
        with nonblocking() as sock:
            await loop.sock_connect(sock, (HOST, port))

    with refusing_port() as port:
        outcomes = await aio.gather(*[connect(port) for _ in range(5)], return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionRefusedError] * 5


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_connect/raises-when-refused")
async def test_after_a_refused_socket_the_next_with_its_number_connects(loop: AbstractEventLoop) -> None:
    with refusing_port() as port, accepting(read_until_eof) as peer:
        for _ in range(3):
            with nonblocking() as sock, pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(sock, (HOST, port))
        with nonblocking() as sock:
            await loop.sock_connect(sock, peer.address)
            await loop.sock_sendall(sock, b"reached")
        assert await peer.outcome(loop) == b"reached"


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_sendall/raises-on-send-error")
async def test_sending_to_a_closed_peer_raises(loop: AbstractEventLoop, reported: list[dict[str, Any]]) -> None:
    with socket_pair() as (ours, theirs):
        theirs.close()
        with pytest.raises(ConnectionError):
            await loop.sock_sendall(ours, bytes(MORE_THAN_A_PAIR_HOLDS))
    assert reported == []


@requirement("loop.sock_sendall/raises-on-send-error")
async def test_sending_after_the_own_end_of_file_raises(loop: AbstractEventLoop) -> None:
    with socket_pair() as (ours, _):
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(BrokenPipeError):
            await loop.sock_sendall(ours, b"x")


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_sendall/raises-on-send-error")
async def test_a_peer_that_closes_midway_ends_the_sending_with_an_error(
    loop: AbstractEventLoop, reported: list[dict[str, Any]]
) -> None:
    def read_a_little(theirs: socket.socket) -> None:
        theirs.recv(1)
        theirs.close()

    with socket_pair() as (ours, theirs), ThreadPoolExecutor(1) as pool:
        job = pool.submit(read_a_little, theirs)
        with pytest.raises(ConnectionError):
            await loop.sock_sendall(ours, bytes(MORE_THAN_A_PAIR_HOLDS))
        job.result()
    assert reported == []


@requirement("loop.sock_sendall/raises-on-send-error")
async def test_after_a_failed_sending_the_next_socket_with_its_number_sends(loop: AbstractEventLoop) -> None:
    for _ in range(3):
        with socket_pair() as (ours, theirs), ThreadPoolExecutor(1) as pool:
            pool.submit(lambda sock=theirs: (sock.recv(1), sock.close()))  # type: ignore[misc]
            with pytest.raises(ConnectionError):
                await loop.sock_sendall(ours, bytes(MORE_THAN_A_PAIR_HOLDS))
    with socket_pair() as (ours, theirs):
        await loop.sock_sendall(ours, b"sent")
        assert theirs.recv(10) == b"sent"
