"""Servers: what they listen on, whom they accept, and how they end."""

from __future__ import annotations

import asyncio
import socket
from contextvars import ContextVar
from typing import Any

import pytest

from refloop.tests.io.carriers import Recorder, turns, until

requirement = pytest.mark.requirement


class Accepted:
    """A protocol factory that keeps what it made."""

    def __init__(self) -> None:
        self.protocols: list[Recorder] = []

    def __call__(self) -> Recorder:
        self.protocols.append(Recorder())
        return self.protocols[-1]

    @property
    def made(self) -> list[Recorder]:
        """The protocols whose connection began."""
        return [protocol for protocol in self.protocols if protocol.events]


def dial(server: Any) -> socket.socket:
    """Connect to a server with a plain socket."""
    address = server.sockets[0].getsockname()
    sock = socket.socket(server.sockets[0].family)
    sock.settimeout(10)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


@requirement(
    "Server.serve_forever/cancelling-closes-server",
    "Server.serve_forever/callable-while-serving",
)
@pytest.mark.parametrize("started", [True, False])
async def test_cancelling_serve_forever_closes_the_server(loop: Any, started: bool) -> None:
    accepted = Accepted()
    server = await loop.create_server(accepted, "127.0.0.1", 0, start_serving=started)
    serving = loop.create_task(server.serve_forever())
    await turns()
    assert server.is_serving()
    dial(server).close()
    await until(lambda: accepted.made and accepted.made[0].lost)
    with pytest.raises(RuntimeError):
        await server.serve_forever()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert not server.is_serving()
    with pytest.raises(RuntimeError):
        await server.serve_forever()


@pytest.mark.asyncio_differs("waits for clients for ever, in the releases before it closes them", until=(3, 14))
async def test_an_idle_client_does_not_keep_a_cancelled_server_from_ending(loop: Any) -> None:
    accepted = Accepted()
    async with await loop.create_server(accepted, "127.0.0.1", 0) as server:
        serving = loop.create_task(server.serve_forever())
        with dial(server):
            await until(lambda: accepted.made)
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
            assert accepted.made[0].lost == [None]


async def test_an_address_that_is_taken_raises_and_leaves_no_socket(loop: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError, match=str(taken.getsockname()[1])):
            await loop.create_server(Accepted(), ["127.0.0.2", "127.0.0.1"], taken.getsockname()[1])


@pytest.mark.asyncio_differs("keeps it to itself outside debug mode")
async def test_a_failing_factory_costs_one_connection_only(loop: Any, reported: list[dict[str, Any]]) -> None:
    accepted = Accepted()
    failures = [ZeroDivisionError("on purpose")]

    def factory() -> Recorder:
        if failures:
            raise failures.pop()
        return accepted()

    async with await loop.create_server(factory, "127.0.0.1", 0) as server:
        with dial(server) as first, dial(server):
            await until(lambda: accepted.made)
            assert await loop.run_in_executor(None, first.recv, 1) == b""
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


@pytest.mark.asyncio_differs("says that it serves, or trips over itself")
async def test_a_server_that_cannot_listen_or_is_closed_does_not_serve(loop: Any) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        server = await loop.create_server(Accepted(), *taken.getsockname(), start_serving=False)
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            await server.start_serving()
        assert not server.is_serving()
    server.close()
    with pytest.raises(RuntimeError):
        await server.start_serving()


async def test_what_one_connection_does_to_context_variables_reaches_no_other(loop: Any) -> None:
    number: ContextVar[int] = ContextVar("number", default=0)
    seen: list[int] = []

    class Counting(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            seen.append(number.get())

    def factory() -> Counting:
        number.set(number.get() + 1)
        return Counting()

    async with await loop.create_server(factory, "127.0.0.1", 0) as server:
        with dial(server), dial(server), dial(server):
            await until(lambda: len(seen) == 3)
    assert seen == [1, 1, 1]
    assert number.get() == 0
