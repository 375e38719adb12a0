"""The `websockets` library on both ends of an encrypted connection."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("websockets", reason="needs the `dev` extra: websockets is not installed")

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

CLIENTS = 20
MEBIBYTE = bytes(range(256)) * 4096


@pytest.fixture
def contexts(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's context and the client's."""
    return server_context, client_context


Contexts = tuple["ssl.SSLContext", "ssl.SSLContext"]


@asynccontextmanager
async def serving(
    handler: Callable[[ServerConnection], Awaitable[None]], contexts: Contexts
) -> AsyncIterator[Callable[[], connect]]:
    """Serve; give a way to connect."""
    async with serve(handler, "127.0.0.1", 0, ssl=contexts[0], max_size=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield lambda: connect(f"wss://127.0.0.1:{port}", ssl=contexts[1], max_size=None, proxy=None)


async def parrot(connection: ServerConnection) -> None:
    """Repeat every message."""
    async for message in connection:
        await connection.send(message)


async def test_messages_come_back(contexts: Contexts) -> None:
    async with serving(parrot, contexts) as connecting, connecting() as client:
        for message in ("Grüße", b"\0\1\2", "", MEBIBYTE):
            await client.send(message)
            assert await client.recv() == message


async def test_both_ends_send_without_waiting_for_each_other(contexts: Contexts) -> None:
    async def talk(connection: ServerConnection | ClientConnection) -> list[str | bytes]:
        async def speak() -> None:
            for number in range(200):
                await connection.send(f"{number} ".ljust(5000, "."))

        async with asyncio.TaskGroup() as group:
            group.create_task(speak())
            listening = group.create_task(listen(connection))
        return listening.result()

    async def listen(connection: ServerConnection | ClientConnection) -> list[str | bytes]:
        return [await connection.recv() for _ in range(200)]

    heard = asyncio.get_running_loop().create_future()

    async def serve_talk(connection: ServerConnection) -> None:
        heard.set_result(await talk(connection))

    async with serving(serve_talk, contexts) as connecting, connecting() as client:
        for messages in (await talk(client), await heard):
            assert [int(message.split()[0]) for message in messages] == list(range(200))


async def test_a_fragmented_message_is_put_together(contexts: Contexts) -> None:
    async def pieces() -> AsyncIterator[str]:
        for piece in ("frag", "men", "ted"):
            yield piece
            await asyncio.sleep(0)

    async with serving(parrot, contexts) as connecting, connecting() as client:
        await client.send(pieces())
        assert await client.recv() == "fragmented"


async def test_a_ping_is_answered(contexts: Contexts) -> None:
    async with serving(parrot, contexts) as connecting, connecting() as client:
        answered = await client.ping(b"are you there?")
        assert await answered >= 0


@pytest.mark.parametrize("closing", ["client", "server"])
async def test_either_end_closes_with_a_reason(closing: str, contexts: Contexts) -> None:
    seen_by_server = asyncio.get_running_loop().create_future()

    async def close_or_wait(connection: ServerConnection) -> None:
        if closing == "server":
            await connection.close(4001, "enough")
        await connection.wait_closed()
        seen_by_server.set_result((connection.close_code, connection.close_reason))

    async with serving(close_or_wait, contexts) as connecting, connecting() as client:
        if closing == "client":
            await client.close(4001, "enough")
        else:
            with pytest.raises(ConnectionClosedError):
                await client.recv()
        assert (client.close_code, client.close_reason) == await seen_by_server == (4001, "enough")


async def test_an_aborted_connection_is_an_abnormal_end(contexts: Contexts) -> None:
    async def abort(connection: ServerConnection) -> None:
        connection.transport.abort()
        await connection.wait_closed()

    async with serving(abort, contexts) as connecting, connecting() as client:
        with pytest.raises(ConnectionClosedError):
            await client.recv()
        assert client.close_code == 1006


async def test_many_clients_hear_a_broadcast(contexts: Contexts) -> None:
    members = set[ServerConnection]()
    everybody_is_here = asyncio.Event()

    async def join(connection: ServerConnection) -> None:
        members.add(connection)
        if len(members) == CLIENTS:
            everybody_is_here.set()
        await connection.wait_closed()

    async def listen(connecting: Callable[[], connect]) -> str | bytes:
        async with connecting() as client:
            message = await client.recv()
            with pytest.raises(ConnectionClosedOK):
                await client.recv()
        return message

    async with serving(join, contexts) as connecting:
        async with asyncio.TaskGroup() as group:
            listeners = [group.create_task(listen(connecting)) for _ in range(CLIENTS)]
            await everybody_is_here.wait()
            broadcast(members, "hear, hear")
            for member in members:
                group.create_task(member.close())
    assert [listener.result() for listener in listeners] == ["hear, hear"] * CLIENTS
