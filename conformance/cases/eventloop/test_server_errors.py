"""Servers that cannot be made or served twice: ``loop.create_server()`` and ``Server.serve_forever()``."""

from __future__ import annotations

import errno
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import HOST, HOST_6, has_ipv6
from conformance.support.waiting import POLL

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Server, Task
    from collections.abc import AsyncIterator

IN_USE = {errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE)}


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_server/raises-when-address-in-use")
async def test_a_port_on_which_another_listens_is_in_use(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]]
) -> None:
    with socket.create_server((HOST, 0)) as other:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what counts
            await loop.create_server(aio.Protocol, *other.getsockname())
    assert caught.value.errno in IN_USE
    assert reported == []


@requirement("loop.create_server/raises-when-address-in-use")
async def test_a_port_of_another_server_of_the_same_loop_is_in_use(loop: AbstractEventLoop, aio: Any) -> None:
    server = await loop.create_server(aio.Protocol, HOST, 0)
    address = server.sockets[0].getsockname()
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what counts
        await loop.create_server(aio.Protocol, *address)
    assert caught.value.errno in IN_USE
    assert server.is_serving()
    server.close()
    await server.wait_closed()


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="this platform has no SO_REUSEPORT")
@requirement("loop.create_server/raises-when-address-in-use")
async def test_a_port_that_another_would_share_is_in_use_for_who_does_not_share(
    loop: AbstractEventLoop, aio: Any
) -> None:
    with socket.create_server((HOST, 0), reuse_port=True) as other:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what counts
            await loop.create_server(aio.Protocol, *other.getsockname())
    assert caught.value.errno in IN_USE


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")
@pytest.mark.parametrize("hosts", [[HOST, HOST_6], [HOST_6, HOST]], ids=["last", "first"])
@requirement("loop.create_server/raises-when-address-in-use")
async def test_one_address_in_use_is_enough(loop: AbstractEventLoop, aio: Any, hosts: list[str]) -> None:
    with socket.create_server((HOST_6, 0), family=socket.AF_INET6) as other:
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what counts
            await loop.create_server(aio.Protocol, hosts, other.getsockname()[1])
    assert caught.value.errno in IN_USE


@requirement("loop.create_server/raises-when-address-in-use")
async def test_a_port_is_free_again_once_the_other_has_closed(loop: AbstractEventLoop, aio: Any) -> None:
    with socket.create_server((HOST, 0)) as other:
        address = other.getsockname()
        for _ in range(3):
            with pytest.raises(OSError):  # noqa: PT011 - the number is looked at elsewhere
                await loop.create_server(aio.Protocol, *address)
    server = await loop.create_server(aio.Protocol, *address)
    assert [sock.getsockname() for sock in server.sockets] == [address]
    server.close()
    await server.wait_closed()


@asynccontextmanager
async def serving(loop: AbstractEventLoop, aio: Any, factory: Any) -> AsyncIterator[tuple[Server, Task[None]]]:
    """A server, and the task in which its ``serve_forever()`` runs."""
    server = await loop.create_server(factory, HOST, 0, start_serving=False)
    task = loop.create_task(server.serve_forever())
    while not (server.is_serving() or task.done()):
        await aio.sleep(POLL)
    try:
        yield server, task
    finally:
        task.cancel()
        await aio.wait([task])


@on_loops(PLAIN, DEBUG)
@requirement("Server.serve_forever/rejects-second-call")
async def test_while_a_server_serves_forever_it_cannot_be_told_to_again(loop: AbstractEventLoop, aio: Any) -> None:
    async with serving(loop, aio, aio.Protocol) as (server, task):
        for _ in range(2):
            with pytest.raises(RuntimeError):
                await server.serve_forever()
        assert (task.done(), server.is_serving()) == (False, True)


@requirement("Server.serve_forever/rejects-second-call")
async def test_another_task_cannot_serve_the_same_server_forever(loop: AbstractEventLoop, aio: Any) -> None:
    async with serving(loop, aio, aio.Protocol) as (server, task):
        second = loop.create_task(server.serve_forever())
        await aio.wait([second])
        assert isinstance(second.exception(), RuntimeError)
        assert task.done() is False


@requirement("Server.serve_forever/rejects-second-call")
async def test_a_server_that_refused_to_serve_twice_still_accepts(loop: AbstractEventLoop, aio: Any) -> None:
    accepted = loop.create_future()

    class Greeter(aio.Protocol):  # type: ignore[misc]
        def connection_made(self, transport: Any) -> None:
            transport.close()

        def connection_lost(self, _: Exception | None) -> None:
            accepted.set_result("accepted")

    async with serving(loop, aio, Greeter) as (server, _):
        with pytest.raises(RuntimeError):
            await server.serve_forever()
        with socket.create_connection(server.sockets[0].getsockname()):
            assert await accepted == "accepted"


@requirement("Server.serve_forever/rejects-second-call")
async def test_two_servers_of_a_loop_may_both_serve_forever(loop: AbstractEventLoop, aio: Any) -> None:
    async with serving(loop, aio, aio.Protocol) as one, serving(loop, aio, aio.Protocol) as other:
        assert [task.done() for _, task in (one, other)] == [False, False]
