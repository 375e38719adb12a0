"""What becomes of a server's connections: when it closes, when they are closed or aborted, and who waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import MORE_THAN_BUFFERED
from conformance.support.protocols import Recorder
from conformance.support.servers import SOME_TURNS, Accepted, client_of, dial, serving
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Turns in which a loop that accepts, or a waiter that does not wait, would show.
ENOUGH_TURNS = 20


class Filling(Recorder):
    """Writes more than the system buffers as soon as it can."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.write(bytes(MORE_THAN_BUFFERED))


@on_loops(PLAIN, DEBUG)
@requirement("Server.close/keeps-client-connections")
async def test_connections_outlive_their_server(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server, client_of(loop, server) as client:
        protocol = await accepted.first(loop)
        server.close()
        await turns(loop, ENOUGH_TURNS)
        await client.send(b"still here?")
        await until(loop, lambda: protocol.data == b"still here?")
        protocol.transport.write(b"still here")
        assert await client.read(10) == b"still here"
        assert protocol.lost == []


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
@requirement("Server.close_clients/closes-client-transports")
async def test_closing_the_clients_closes_every_connection(loop: AbstractEventLoop, closed: bool) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server:
        async with client_of(loop, server) as one, client_of(loop, server) as other:
            await until(loop, lambda: len(accepted.begun) == 2)
            if closed:
                server.close()
            assert server.close_clients() is None
            assert [protocol.transport.is_closing() for protocol in accepted.begun] == [True, True]
            assert [await client.read_until_eof() for client in (one, other)] == [b"", b""]
            await until(loop, lambda: all(protocol.lost for protocol in accepted.begun))
        assert [protocol.lost for protocol in accepted.begun] == [[None], [None]]


@requirement("Server.close_clients/closes-client-transports")
async def test_closing_the_clients_sends_them_what_was_written(loop: AbstractEventLoop) -> None:
    accepted = Accepted(Filling)
    async with serving(loop, accepted) as server, client_of(loop, server) as client:
        await accepted.first(loop)
        server.close_clients()
        assert len(await client.read_until_eof()) == MORE_THAN_BUFFERED


@requirement("Server.close_clients/closes-client-transports")
async def test_closing_the_clients_leaves_the_server_open(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server:
        with dial(server):
            await accepted.first(loop)
            server.close_clients()
            assert server.is_serving() is True
            with dial(server):
                await until(loop, lambda: len(accepted.begun) == 2)
                assert accepted.begun[1].transport.is_closing() is False


@requirement("Server.close_clients/closes-client-transports", "Server.abort_clients/aborts-client-transports")
async def test_a_server_without_clients_has_none_to_end(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server:
        server.close_clients()
        server.abort_clients()
        with dial(server):
            await accepted.first(loop)
        await until(loop, lambda: accepted.protocols[0].lost)
        server.close_clients()
        server.abort_clients()
        await turns(loop, SOME_TURNS)
        assert accepted.protocols[0].events == ["made", "eof", "lost"]


@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
@requirement("Server.abort_clients/aborts-client-transports")
async def test_aborting_the_clients_aborts_every_connection(loop: AbstractEventLoop, closed: bool) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server, client_of(loop, server), client_of(loop, server):
        await until(loop, lambda: len(accepted.begun) == 2)
        if closed:
            server.close()
        assert server.abort_clients() is None
        assert [protocol.transport.is_closing() for protocol in accepted.begun] == [True, True]
        await until(loop, lambda: all(protocol.lost for protocol in accepted.begun))
        assert [protocol.lost for protocol in accepted.begun] == [[None], [None]]


@requirement("Server.abort_clients/drops-pending-data")
async def test_aborting_the_clients_waits_for_nobody_to_read(loop: AbstractEventLoop) -> None:
    accepted = Accepted(Filling)
    async with serving(loop, accepted) as server, client_of(loop, server) as client:
        protocol = await accepted.first(loop)
        server.abort_clients()
        await until(loop, lambda: protocol.lost)
        assert protocol.transport.get_write_buffer_size() == 0
        received = len(await client.read_until_eof())
        assert received < MORE_THAN_BUFFERED


@pytest.mark.parametrize("end", ["close_clients", "abort_clients"])
@requirement("Server.close_clients/call-after-close", "Server.abort_clients/call-after-close")
async def test_once_the_server_is_closed_ending_its_clients_ends_all(loop: AbstractEventLoop, end: str) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server:
        with dial(server), dial(server), dial(server):
            await until(loop, lambda: len(accepted.begun) == 3)
            server.close()
            getattr(server, end)()
            await until(loop, lambda: all(protocol.lost for protocol in accepted.begun))
            await turns(loop, ENOUGH_TURNS)
            assert len(accepted.protocols) == 3


@on_loops(PLAIN, DEBUG)
@requirement("Server.wait_closed/waits-for-active-connections")
async def test_the_end_is_when_the_last_connection_has_ended(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server:
        with dial(server) as one, dial(server) as other:
            await until(loop, lambda: len(accepted.begun) == 2)
            server.close()
            waiting = loop.create_task(server.wait_closed())
            one.close()
            await until(loop, lambda: any(protocol.lost for protocol in accepted.begun))
            await turns(loop, ENOUGH_TURNS)
            assert waiting.done() is False
            other.close()
            await until(loop, waiting.done)
            assert [protocol.lost for protocol in accepted.begun] == [[None], [None]]


@requirement("Server.wait_closed/ignores-active-connections")
async def test_waiting_for_a_closed_server_does_not_wait_for_connections(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server:
        with dial(server):
            protocol = await accepted.first(loop)
            server.close()
            waiting = loop.create_task(server.wait_closed())
            await until(loop, waiting.done)
            assert protocol.lost == []
