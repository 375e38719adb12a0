"""The life of a server: ``Server.start_serving()``, ``serve_forever()``, ``close()`` and what they leave as it is."""

from __future__ import annotations

import socket
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.peers import HOST, socket_path
from conformance.support.protocols import Recorder
from conformance.support.servers import SOME_TURNS, Accepted, dial, ending, serving
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Turns in which a loop that accepts, or a waiter that does not wait, would show.
ENOUGH_TURNS = 20
DOCUMENTED = ["close", "get_loop", "start_serving", "serve_forever", "is_serving", "wait_closed", "sockets"]


@requirement("Server/returned-by-server-factories")
async def test_every_kind_of_tcp_server_is_a_server(loop: AbstractEventLoop, aio: Any) -> None:
    servers = [
        await loop.create_server(Recorder, HOST, 0),
        await aio.start_server(lambda *_: None, HOST, 0),
    ]
    for server in servers:
        assert [name for name in DOCUMENTED if not hasattr(server, name)] == []
        server.close()
        await server.wait_closed()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this platform has no Unix sockets")
@requirement("Server/returned-by-server-factories", "loop.create_unix_server/returns-server")
async def test_every_kind_of_unix_server_is_a_server(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_path() as path:
        for make in (lambda: loop.create_unix_server(Recorder, path), lambda: start_unix_server(aio, path)):
            server = await make()
            assert [name for name in DOCUMENTED if not hasattr(server, name)] == []
            server.close()
            await server.wait_closed()


async def start_unix_server(aio: Any, path: Any) -> Any:
    return await aio.start_unix_server(lambda *_: None, path)


@requirement("Server/exported-as-asyncio-server")
async def test_the_class_of_servers_is_in_the_namespace(loop: AbstractEventLoop, aio: Any) -> None:
    server = await loop.create_server(Recorder, HOST, 0)
    assert isinstance(server, aio.Server)
    server.close()
    await server.wait_closed()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Server/context-manager-closes-server", "Server/async-with-yields-server")
async def test_a_server_is_closed_at_the_end_of_its_block(loop: AbstractEventLoop) -> None:
    server = await loop.create_server(Recorder, HOST, 0)
    async with server as entered:
        assert entered is server
        assert server.is_serving() is True
        address = server.sockets[0].getsockname()
    assert (server.is_serving(), len(server.sockets)) == (False, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


@requirement("Server/context-manager-closes-server")
async def test_a_server_is_closed_when_its_block_fails(loop: AbstractEventLoop) -> None:
    server = await loop.create_server(Recorder, HOST, 0)
    with pytest.raises(ZeroDivisionError):
        async with server:
            raise ZeroDivisionError
    assert server.is_serving() is False


@requirement("Server/context-manager-closes-server")
async def test_a_server_may_be_closed_within_its_block(loop: AbstractEventLoop) -> None:
    async with await loop.create_server(Recorder, HOST, 0) as server:
        server.close()
    assert server.is_serving() is False


@requirement("Server/context-manager-closes-server")
async def test_a_server_that_never_served_can_have_a_block(loop: AbstractEventLoop) -> None:
    async with await loop.create_server(Recorder, HOST, 0, start_serving=False) as server:
        assert server.is_serving() is False
    assert len(server.sockets) == 0


@on_loops(PLAIN, DEBUG)
@requirement("Server.close/closes-listening-sockets", "Server.close/refuses-new-connections")
async def test_closing_closes_every_socket(loop: AbstractEventLoop) -> None:
    listeners = [socket.create_server((HOST, 0)) for _ in range(2)]
    addresses = [sock.getsockname() for sock in listeners]
    for sock in listeners:
        server = await loop.create_server(Recorder, sock=sock)
        server.close()
        assert not server.sockets
        await until(loop, lambda: sock.fileno() == -1)  # noqa: B023 - awaited within the turn
    for address in addresses:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


@requirement("Server.close/closes-listening-sockets", "Server.close/refuses-new-connections")
async def test_closing_closes_the_sockets_of_all_hosts(loop: AbstractEventLoop) -> None:
    server = await loop.create_server(Recorder, None, 0)
    addresses = [(sock.family, sock.getsockname()) for sock in server.sockets]
    server.close()
    await turns(loop, SOME_TURNS)
    for family, address in addresses:
        with socket.socket(family) as client, pytest.raises(ConnectionRefusedError):
            client.connect(address)


@requirement("Server.close/closes-listening-sockets")
async def test_a_server_that_never_served_closes_its_sockets(loop: AbstractEventLoop) -> None:
    sock = socket.create_server((HOST, 0))
    server = await loop.create_server(Recorder, sock=sock, start_serving=False)
    server.close()
    await until(loop, lambda: sock.fileno() == -1)


@requirement("Server.close/finishes-asynchronously")
async def test_closing_returns_at_once_and_waiting_ends_when_it_is_done(loop: AbstractEventLoop) -> None:
    server = await loop.create_server(Recorder, HOST, 0)
    address = server.sockets[0].getsockname()
    assert server.close() is None  # type: ignore[func-returns-value]
    await server.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


@on_loops(PLAIN, DEBUG)
@requirement("Server.close/repeat-call-does-nothing")
async def test_a_server_may_be_closed_again(loop: AbstractEventLoop, reported: list[dict[str, Any]]) -> None:
    server = await loop.create_server(Recorder, HOST, 0)
    for _ in range(3):
        server.close()
    await server.wait_closed()
    server.close()
    await turns(loop, SOME_TURNS)
    assert (server.is_serving(), reported) == (False, [])


@requirement("Server.close/repeat-call-does-nothing")
async def test_closing_again_does_not_close_who_got_the_descriptor_meanwhile(loop: AbstractEventLoop) -> None:
    server = await loop.create_server(Recorder, HOST, 0)
    server.close()
    await server.wait_closed()
    pairs = [socket.socketpair() for _ in range(3)]
    server.close()
    await turns(loop, SOME_TURNS)
    for left, right in pairs:
        with left, right:
            left.sendall(b"open")
            assert right.recv(4) == b"open"


@requirement("Server.get_loop/returns-owning-loop")
async def test_a_server_knows_its_loop(loop: AbstractEventLoop) -> None:
    server = await loop.create_server(Recorder, HOST, 0)
    assert server.get_loop() is loop
    server.close()
    await server.wait_closed()
    assert server.get_loop() is loop


async def check_coroutine_method(loop: AbstractEventLoop, name: str) -> None:
    """Check that a method of a server is a coroutine method without arguments, which does nothing until awaited."""
    server = await loop.create_server(Recorder, HOST, 0, start_serving=False)
    called = getattr(server, name)()
    assert isinstance(called, Coroutine)
    await turns(loop, ENOUGH_TURNS)
    called.close()
    assert server.is_serving() is False
    with pytest.raises(TypeError):
        getattr(server, name)(None)
    server.close()
    await turns(loop, SOME_TURNS)


@requirement("Server.start_serving/is-coroutine-function")
async def test_starting_is_a_coroutine(loop: AbstractEventLoop) -> None:
    await check_coroutine_method(loop, "start_serving")


@requirement("Server.serve_forever/is-coroutine-function")
async def test_serving_for_ever_is_a_coroutine(loop: AbstractEventLoop) -> None:
    await check_coroutine_method(loop, "serve_forever")


@requirement("Server.wait_closed/is-coroutine-function")
async def test_waiting_for_the_end_is_a_coroutine(loop: AbstractEventLoop) -> None:
    await check_coroutine_method(loop, "wait_closed")


@on_loops(PLAIN, DEBUG)
@requirement("Server.start_serving/starts-accepting", "Server.is_serving/reports-serving-state")
async def test_a_server_that_was_started_serves(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted, start_serving=False) as server:
        assert server.is_serving() is False
        assert await server.start_serving() is None
        assert server.is_serving() is True
        with dial(server):
            await accepted.first(loop)


@requirement("Server.start_serving/starts-accepting")
async def test_starting_listens_on_every_socket(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted, None, start_serving=False) as server:
        await server.start_serving()
        number = len(server.sockets)
        addresses = {sock.family: sock.getsockname()[1] for sock in server.sockets}
        for family, port in addresses.items():
            with socket.socket(family) as client:
                client.connect(("localhost" if family == socket.AF_INET else "::1", port))
        await until(loop, lambda: len(accepted.begun) == number)


@on_loops(PLAIN, DEBUG)
@requirement("Server.start_serving/repeat-call-does-nothing")
async def test_starting_again_changes_nothing(loop: AbstractEventLoop, reported: list[dict[str, Any]]) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server:
        for _ in range(3):
            await server.start_serving()
        with dial(server) as one, dial(server) as other:
            await until(loop, lambda: len(accepted.begun) == 2)
            await turns(loop, ENOUGH_TURNS)
            assert {protocol.transport.get_extra_info("peername") for protocol in accepted.protocols} == {
                one.getsockname(),
                other.getsockname(),
            }
        assert len(accepted.protocols) == 2
    assert reported == []


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Server.serve_forever/cancelling-closes-server", "Server.is_serving/reports-serving-state")
async def test_a_server_serves_until_it_is_cancelled_and_is_closed_then(loop: AbstractEventLoop, aio: Any) -> None:
    accepted = Accepted()
    server = await loop.create_server(accepted, HOST, 0, start_serving=False)
    async with ending(loop, accepted, server):
        task = loop.create_task(server.serve_forever())
        await until(loop, server.is_serving)
        address = server.sockets[0].getsockname()
        for _ in range(3):
            dial(server).close()
        await until(loop, lambda: len(accepted.begun) == 3 and all(protocol.lost for protocol in accepted.begun))
        assert task.done() is False
        task.cancel()
        with pytest.raises(aio.CancelledError):
            await task
        assert (server.is_serving(), len(server.sockets)) == (False, 0)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)


@requirement("Server.serve_forever/callable-while-serving")
async def test_a_server_that_accepts_already_can_serve_for_ever(loop: AbstractEventLoop, aio: Any) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server:
        task = loop.create_task(server.serve_forever())
        await turns(loop, ENOUGH_TURNS)
        with dial(server):
            await accepted.first(loop)
            await turns(loop, ENOUGH_TURNS)
            assert (task.done(), len(accepted.protocols)) == (False, 1)
        await until(loop, lambda: accepted.protocols[0].lost)
        task.cancel()
        with pytest.raises(aio.CancelledError):
            await task


@on_loops(PLAIN, DEBUG)
@requirement("Server.is_serving/reports-serving-state")
async def test_a_server_tells_whether_it_serves(loop: AbstractEventLoop) -> None:
    server = await loop.create_server(Recorder, HOST, 0, start_serving=False)
    seen = [server.is_serving()]
    await server.start_serving()
    seen.append(server.is_serving())
    server.close()
    seen.append(server.is_serving())
    await server.wait_closed()
    seen.append(server.is_serving())
    assert seen == [False, True, False, False]


@on_loops(PLAIN, DEBUG)
@requirement("Server.wait_closed/waits-for-close")
async def test_whoever_waits_for_the_end_waits_until_the_server_is_closed(loop: AbstractEventLoop) -> None:
    server = await loop.create_server(Recorder, HOST, 0)
    waiting: list[Any] = [loop.create_task(server.wait_closed()) for _ in range(3)]
    await turns(loop, ENOUGH_TURNS)
    assert [task.done() for task in waiting] == [False] * 3
    server.close()
    await until(loop, lambda: all(task.done() for task in waiting))
    assert [task.result() for task in waiting] == [None] * 3


@requirement("Server.wait_closed/waits-for-close")
async def test_who_gives_up_waiting_leaves_the_others_to_wait(loop: AbstractEventLoop, aio: Any) -> None:
    server = await loop.create_server(Recorder, HOST, 0)
    one, other = (loop.create_task(server.wait_closed()) for _ in range(2))
    await turns(loop, ENOUGH_TURNS)
    one.cancel()
    await aio.wait([one])
    assert (one.cancelled(), other.done(), server.is_serving()) == (True, False, True)
    server.close()
    await until(loop, other.done)


@requirement("Server.sockets/lists-listening-sockets")
async def test_the_sockets_of_a_server_are_there_before_it_serves(loop: AbstractEventLoop) -> None:
    with socket.create_server((HOST, 0)) as sock:
        server = await loop.create_server(Recorder, sock=sock, start_serving=False)
        assert [one.getsockname() for one in server.sockets] == [sock.getsockname()]
        server.close()
        await turns(loop, SOME_TURNS)


@requirement("Server.sockets/is-copy")
async def test_what_is_done_to_the_list_of_sockets_does_nothing_to_the_server(loop: AbstractEventLoop) -> None:
    server: Any = await loop.create_server(Recorder, HOST, 0)
    sockets = server.sockets
    if hasattr(sockets, "clear"):
        sockets.clear()
    assert len(server.sockets) == 1
    address = server.sockets[0].getsockname()
    server.close()
    await server.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


@requirement("Server.sockets/is-copy")
async def test_the_list_of_sockets_stays_as_it_was_asked_for(loop: AbstractEventLoop) -> None:
    server = await loop.create_server(Recorder, HOST, 0)
    sockets = server.sockets
    server.close()
    await turns(loop, SOME_TURNS)
    assert len(sockets) == 1


@requirement("Server.sockets/empty-after-close")
async def test_a_closed_server_has_no_sockets(loop: AbstractEventLoop) -> None:
    server = await loop.create_server(Recorder, HOST, 0)
    server.close()
    assert len(server.sockets) == 0
    await server.wait_closed()
    assert len(server.sockets) == 0


@requirement("Server.sockets/holds-transport-sockets")
async def test_the_sockets_of_a_server_can_be_asked_like_sockets(loop: AbstractEventLoop) -> None:
    server = await loop.create_server(Recorder, HOST, 0)
    (sock,) = server.sockets
    assert (sock.family, sock.type, sock.getsockname()[0]) == (socket.AF_INET, socket.SOCK_STREAM, HOST)
    assert sock.fileno() >= 0
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
    server.close()
    await server.wait_closed()
