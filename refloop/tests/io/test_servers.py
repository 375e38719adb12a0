"""Servers: what they listen on, whom they accept, and how they end."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.io.carriers import Recorder, turns, until

if TYPE_CHECKING:
    from pathlib import Path

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
    "loop.create_server/calls-factory-per-connection",
    "loop.create_server/connection-gets-own-transport",
    "loop.create_server/peername-known-on-connection",
    "loop.create_server/starts-serving-at-once",
)
async def test_each_connection_has_its_protocol_and_transport(loop: Any) -> None:
    accepted = Accepted()
    async with await loop.create_server(accepted, "127.0.0.1", 0) as server:
        clients = [dial(server) for _ in range(20)]
        await until(lambda: len(accepted.made) == 20)
        transports = {protocol.transport for protocol in accepted.protocols}
        assert len(transports) == 20
        assert {transport.get_extra_info("peername") for transport in transports} == {
            client.getsockname() for client in clients
        }
        for client in clients:
            client.close()


@requirement(
    "Server.close/closes-listening-sockets",
    "Server.close/keeps-client-connections",
    "Server.close/refuses-new-connections",
    "Server.close/repeat-call-does-nothing",
    "Server.sockets/empty-after-close",
    "Server.is_serving/reports-serving-state",
    "Server.get_loop/returns-owning-loop",
)
async def test_closing_stops_listening_and_keeps_connections(loop: Any) -> None:
    accepted = Accepted()
    server = await loop.create_server(accepted, "127.0.0.1", 0)
    assert server.get_loop() is loop
    assert server.is_serving()
    address = server.sockets[0].getsockname()
    with dial(server) as client:
        await until(lambda: accepted.made)
        server.close()
        server.close()
        assert not server.is_serving()
        assert not server.sockets
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        client.sendall(b"still here")
        await until(lambda: accepted.made[0].data == b"still here")
        # Older asyncio trips over it.
        with pytest.raises((RuntimeError, TypeError)):
            await server.start_serving()
    await until(lambda: accepted.made[0].lost)


@requirement("Server.wait_closed/waits-for-close", "Server.wait_closed/waits-for-active-connections")
@pytest.mark.since((3, 12, 1))
async def test_wait_closed_waits_for_close_and_for_every_connection(loop: Any) -> None:
    accepted = Accepted()
    server = await loop.create_server(accepted, "127.0.0.1", 0)
    waiting = loop.create_task(server.wait_closed())
    with dial(server):
        await until(lambda: accepted.made)
        assert not waiting.done()
        server.close()
        await turns()
        assert not waiting.done()
    await until(waiting.done)
    assert accepted.made[0].lost == [None]
    await server.wait_closed()


@requirement(
    "Server.close_clients/closes-client-transports",
    "Server.abort_clients/aborts-client-transports",
    "Server.abort_clients/drops-pending-data",
    "Server.close_clients/call-after-close",
)
@pytest.mark.since((3, 13))
@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
async def test_all_connections_can_be_ended_at_once(loop: Any, method: str) -> None:
    accepted = Accepted()
    server = await loop.create_server(accepted, "127.0.0.1", 0)
    clients = [dial(server) for _ in range(5)]
    await until(lambda: len(accepted.made) == 5)
    for protocol in accepted.made:
        protocol.transport.write(b"x" * 20_000_000)
    server.close()
    getattr(server, method)()
    assert all(protocol.transport.is_closing() for protocol in accepted.made)
    if method == "abort_clients":
        await server.wait_closed()
        assert all(protocol.lost == [None] for protocol in accepted.made)
    else:
        await turns()
        assert not any(protocol.lost for protocol in accepted.made)
    for client in clients:
        client.close()
    await server.wait_closed()


@requirement(
    "loop.create_server/deferred-until-started",
    "Server.start_serving/starts-accepting",
    "Server.start_serving/repeat-call-does-nothing",
)
async def test_serving_can_be_started_later(loop: Any) -> None:
    accepted = Accepted()
    server = await loop.create_server(accepted, "127.0.0.1", 0, start_serving=False)
    assert not server.is_serving()
    with pytest.raises(ConnectionRefusedError):
        dial(server)
    for _ in range(2):
        await server.start_serving()
        assert server.is_serving()
    dial(server).close()
    await until(lambda: accepted.made and accepted.made[0].lost)
    server.close()


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


@requirement("Server/context-manager-closes-server", "Server/async-with-yields-server")
async def test_a_server_is_its_own_context_manager(loop: Any) -> None:
    server = await loop.create_server(Accepted(), "127.0.0.1", 0)
    async with server as entered:
        assert entered is server
        assert server.is_serving()
    assert not server.is_serving()


@requirement(
    "Server.sockets/lists-listening-sockets", "Server.sockets/is-copy", "Server.sockets/holds-transport-sockets"
)
async def test_sockets_are_shown_and_not_given_away(loop: Any) -> None:
    with closing(await loop.create_server(Accepted(), "127.0.0.1", 0)) as server:
        sockets = server.sockets
        assert sockets is not server.sockets
        assert sockets[0].getsockname()[0] == "127.0.0.1"
        assert not hasattr(sockets[0], "accept")


@requirement(
    "loop.create_server/host-sequence-binds-each",
    "loop.create_server/empty-host-binds-all-interfaces",
    "loop.create_server/zero-port-picks-random-port",
    "loop.create_server/str-host-binds-one-interface",
    "loop.create_server/family-forces-ip-version",
)
async def test_hosts_are_bound_as_named(loop: Any) -> None:
    with closing(await loop.create_server(Accepted(), ["127.0.0.1", "127.0.0.2"], 0)) as server:
        assert {sock.getsockname()[0] for sock in server.sockets} == {"127.0.0.1", "127.0.0.2"}
        assert len({sock.getsockname()[1] for sock in server.sockets}) == 2
    for host in ("", None):
        with closing(await loop.create_server(Accepted(), host, 0)) as server:
            assert socket.AF_INET in {sock.family for sock in server.sockets}
            assert all(sock.getsockname()[1] for sock in server.sockets)
    with closing(await loop.create_server(Accepted(), None, 0, family=socket.AF_INET)) as server:
        assert {sock.family for sock in server.sockets} == {socket.AF_INET}


@requirement("loop.create_server/rejects-sock-with-address", "loop.create_server/uses-given-socket")
async def test_a_given_socket_is_used_and_closed(loop: Any) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    with pytest.raises(ValueError, match=r".*"):
        await loop.create_server(Accepted(), "127.0.0.1", 0, sock=sock)
    with pytest.raises(ValueError, match=r".*"):
        await loop.create_server(Accepted())
    server = await loop.create_server(Accepted(), sock=sock)
    assert server.sockets[0].fileno() == sock.fileno()
    server.close()
    await until(lambda: sock.fileno() == -1)


@requirement(
    "loop.create_server/reuse-address-sets-option",
    "loop.create_server/reuse-address-defaults-true",
    "loop.create_server/reuse-port-shares-port",
    "loop.create_server/keep-alive-sets-option",
)
async def test_options_are_set_on_the_sockets(loop: Any, maker: str) -> None:
    with closing(await loop.create_server(Accepted(), "127.0.0.1", 0)) as server:
        assert server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    with closing(await loop.create_server(Accepted(), "127.0.0.1", 0, reuse_address=False)) as server:
        assert not server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
    with closing(await loop.create_server(Accepted(), "127.0.0.1", 0, reuse_port=True)) as first:
        address = first.sockets[0].getsockname()
        with closing(await loop.create_server(Accepted(), *address, reuse_port=True)) as second:
            assert second.sockets[0].getsockname() == address
    if maker != "asyncio":
        accepted = Accepted()
        async with await loop.create_server(accepted, "127.0.0.1", 0, keep_alive=True) as server:
            with dial(server):
                await until(lambda: accepted.made)
                sock = accepted.made[0].transport.get_extra_info("socket")
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


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


@requirement("loop.create_unix_server/replaces-existing-socket-file")
async def test_a_stale_socket_file_is_replaced_and_other_files_are_not(loop: Any, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with closing(await loop.create_unix_server(Accepted(), path)) as server:
        dial(server).close()
    await turns()
    path.unlink(missing_ok=True)
    path.write_text("precious")
    with pytest.raises(OSError, match="in use"):
        await loop.create_unix_server(Accepted(), path)
    assert path.read_text() == "precious"


@requirement(
    "loop.create_unix_server/cleanup-removes-socket-file",
    "loop.create_unix_server/cleanup-spares-replaced-file",
    "loop.create_unix_server/cleanup-disabled-keeps-file",
)
@pytest.mark.since((3, 13))
async def test_the_socket_file_is_removed_with_the_server_unless_it_is_another_one(loop: Any, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = await loop.create_unix_server(Accepted(), path)
    assert path.is_socket()
    server.close()
    assert not path.exists()
    kept = await loop.create_unix_server(Accepted(), path, cleanup_socket=False)
    kept.close()
    assert path.is_socket()
    first = await loop.create_unix_server(Accepted(), path)
    second = await loop.create_unix_server(Accepted(), path)
    first.close()
    assert path.is_socket()
    dial(second).close()
    second.close()
    assert not path.exists()
    gone = await loop.create_unix_server(Accepted(), path)
    path.unlink()
    gone.close()
    await turns()
