"""Connecting and accepting with the caller's own socket: ``sock_connect()`` and ``sock_accept()``."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.peers import HOST, HOST_6, accepting, has_ipv6, read_until_eof, socket_path
from conformance.support.waiting import GENEROUS, turns

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable


def nonblocking(family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A socket as the loop's methods want it."""
    sock = socket.socket(family, kind)
    sock.setblocking(False)
    return sock


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.sock_connect/connects-to-address")
async def test_a_socket_connects_to_an_address(loop: Any) -> None:
    with accepting(read_until_eof) as peer, nonblocking() as sock:
        assert await loop.sock_connect(sock, peer.address) is None
        assert sock.getpeername() == peer.address
        sock.sendall(b"connected")
        sock.shutdown(socket.SHUT_WR)
        assert await peer.outcome(loop) == b"connected"


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("items", [2, 4])
@requirement("loop.sock_connect/connects-to-address")
async def test_a_socket_connects_to_an_ipv6_address_of_two_items_or_four(loop: AbstractEventLoop, items: int) -> None:
    with socket.create_server((HOST_6, 0), family=socket.AF_INET6) as listening:
        with nonblocking(socket.AF_INET6) as sock:
            await loop.sock_connect(sock, listening.getsockname()[:items])
            assert sock.getpeername() == listening.getsockname()


@requirement("loop.sock_connect/connects-to-address")
async def test_several_sockets_connect_at_once(loop: AbstractEventLoop, aio: Any) -> None:
    with socket.create_server((HOST, 0)) as listening:
        socks = [nonblocking() for _ in range(5)]
        await aio.gather(*[loop.sock_connect(sock, listening.getsockname()) for sock in socks])
        assert [sock.getpeername() for sock in socks] == [listening.getsockname()] * 5
        for sock in socks:
            sock.close()


@requirement("loop.sock_connect/connects-to-address")
async def test_a_datagram_socket_connects_too(loop: AbstractEventLoop) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as peer, nonblocking(kind=socket.SOCK_DGRAM) as sock:
        peer.bind((HOST, 0))
        await loop.sock_connect(sock, peer.getsockname())
        assert sock.getpeername() == peer.getsockname()


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_connect/resolves-unresolved-names")
async def test_connecting_resolves_the_name_of_a_host(loop: AbstractEventLoop) -> None:
    with socket.create_server((HOST, 0)) as listening, nonblocking() as sock:
        await loop.sock_connect(sock, ("localhost", listening.getsockname()[1]))
        assert sock.getpeername() == listening.getsockname()


@requirement("loop.sock_connect/resolves-unresolved-names")
async def test_a_host_without_an_address_of_the_sockets_family_is_a_gaierror(loop: AbstractEventLoop) -> None:
    with nonblocking() as sock, pytest.raises(socket.gaierror):
        await loop.sock_connect(sock, (HOST_6, 80))


@requirement("loop.sock_connect/resolves-unresolved-names")
async def test_a_name_is_resolved_to_an_address_of_the_sockets_family(loop: AbstractEventLoop) -> None:
    try:
        (found, *_) = socket.getaddrinfo("localhost", 0, socket.AF_INET6, socket.SOCK_STREAM)
        listening = socket.create_server(found[4][:2], family=socket.AF_INET6)
    except OSError:
        pytest.skip("localhost has no IPv6 address here")
    with listening, nonblocking(socket.AF_INET6) as sock:
        await loop.sock_connect(sock, ("localhost", listening.getsockname()[1]))
        assert sock.getpeername() == listening.getsockname()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this platform has no Unix sockets")
@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("convert", [str, lambda path: str(path).encode()], ids=["str", "bytes"])
@requirement("loop.sock_connect/accepts-unix-path")
async def test_a_unix_socket_connects_to_a_path(loop: AbstractEventLoop, convert: Callable[[Any], str | bytes]) -> None:
    with socket_path() as path, socket.socket(socket.AF_UNIX) as listening, nonblocking(socket.AF_UNIX) as sock:
        listening.bind(str(path))
        listening.listen()
        await loop.sock_connect(sock, convert(path))
        assert sock.getpeername() == str(path)


@requirement("loop.sock_connect/proactor-rejects-host-name")
async def test_on_windows_a_proactor_loop_does_not_resolve_names(loop: AbstractEventLoop, aio: Any) -> None:
    if not isinstance(loop, aio.ProactorEventLoop):
        pytest.skip("only proactor loops are said to")
    with socket.create_server((HOST, 0)) as listening, nonblocking() as sock:
        with pytest.raises(OSError):  # noqa: PT011 - Windows's own error
            await loop.sock_connect(sock, ("localhost", listening.getsockname()[1]))


@pytest.mark.parametrize("early", [True, False], ids=["early", "late"])
@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.sock_accept/returns-connection-and-address")
async def test_accepting_gives_a_nonblocking_socket_and_the_peers_address(
    loop: AbstractEventLoop, aio: Any, early: bool
) -> None:
    with socket.create_server((HOST, 0)) as listening, socket.socket() as client:
        listening.setblocking(False)
        if early:
            client.connect(listening.getsockname())
        waiting = aio.ensure_future(loop.sock_accept(listening))
        await turns(loop)
        assert waiting.done() is early
        if not early:
            client.connect(listening.getsockname())
        connection, address = await waiting
        with connection:
            assert isinstance(connection, socket.socket)
            assert connection.fileno() not in (listening.fileno(), client.fileno())
            assert connection.gettimeout() == 0
            assert (address, connection.getpeername()) == (client.getsockname(), client.getsockname())


@requirement("loop.sock_accept/returns-connection-and-address")
async def test_connections_are_accepted_in_the_order_in_which_they_came(loop: AbstractEventLoop) -> None:
    with socket.create_server((HOST, 0)) as listening:
        listening.setblocking(False)
        clients = [socket.create_connection(listening.getsockname()) for _ in range(3)]
        accepted = [await loop.sock_accept(listening) for _ in clients]
        assert [address for _, address in accepted] == [client.getsockname() for client in clients]
        for sock in (*clients, *(connection for connection, _ in accepted)):
            sock.close()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this platform has no Unix sockets")
@requirement("loop.sock_accept/returns-connection-and-address")
async def test_a_unix_socket_accepts(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_path() as path, socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as client:
        listening.bind(str(path))
        listening.listen()
        listening.setblocking(False)
        waiting = aio.ensure_future(loop.sock_accept(listening))
        await turns(loop)
        client.connect(str(path))
        connection, _ = await waiting
        with connection:
            assert (connection.gettimeout(), connection.getsockname()) == (0, str(path))


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_accept/connection-sends-and-receives")
async def test_an_accepted_connection_sends_and_receives(loop: AbstractEventLoop) -> None:
    with socket.create_server((HOST, 0)) as listening, socket.socket() as client:
        listening.setblocking(False)
        client.settimeout(GENEROUS)
        client.connect(listening.getsockname())
        connection, _ = await loop.sock_accept(listening)
        with connection:
            receiving = loop.create_task(loop.sock_recv(connection, 100))
            await turns(loop)
            client.sendall(b"question")
            assert await receiving == b"question"
            await loop.sock_sendall(connection, b"answer")
            assert client.recv(100) == b"answer"


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_accept/rejects-blocking-or-nonlistening-socket")
async def test_a_socket_that_does_not_listen_accepts_nothing(loop: AbstractEventLoop) -> None:
    with nonblocking() as sock:
        sock.bind((HOST, 0))
        with pytest.raises(OSError) as caught:  # noqa: PT011 - systems differ in the number
            await loop.sock_accept(sock)
    assert not isinstance(caught.value, BlockingIOError)


@on_loops(PLAIN, DEBUG)
@requirement("loop.sock_recv/cancelling-frees-socket")
async def test_after_a_cancelled_accepting_the_next_gets_the_connection(loop: AbstractEventLoop, aio: Any) -> None:
    with socket.create_server((HOST, 0)) as listening, socket.socket() as client:
        listening.setblocking(False)
        waiting = aio.ensure_future(loop.sock_accept(listening))
        await turns(loop)
        waiting.cancel()
        with pytest.raises(aio.CancelledError):
            await waiting
        assert not loop.remove_reader(listening.fileno())
        client.connect(listening.getsockname())
        await turns(loop)
        connection, address = await loop.sock_accept(listening)
        connection.close()
        assert address == client.getsockname()
