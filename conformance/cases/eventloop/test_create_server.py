"""TCP servers that are made: ``loop.create_server()``, what it listens on and with which options."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Coroutine
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.listeners import backlog_of
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.peers import ATTEMPTS, HOST, HOST_6, has_ipv6
from conformance.support.protocols import Recorder
from conformance.support.servers import SOME_TURNS, Accepted, client_of, dial, serving
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

# Turns in which a loop that accepts would have accepted.
ENOUGH_TURNS = 20
BOTH = {socket.AF_INET, socket.AF_INET6}

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")


@contextmanager
def free_port() -> Iterator[int]:
    """A port that was free a moment ago on every interface."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    yield port


async def serve_on_free_port(loop: Any, host: Any, **options: Any) -> tuple[Any, int]:
    """A server on a port with a number that the case chooses; in the rare case that it is taken, on another."""
    for _ in range(ATTEMPTS):
        with free_port() as port:
            try:
                return await loop.create_server(Recorder, host, port, **options), port
            except OSError:
                continue
    raise AssertionError(f"{ATTEMPTS} ports that were free could not be bound")


async def close(loop: AbstractEventLoop, server: Any) -> None:
    """Close a server that has accepted nobody."""
    server.close()
    await turns(loop, SOME_TURNS)


@requirement("loop.create_server/accepts-documented-parameters")
async def test_every_argument_may_be_named_and_given_its_default(loop: Any) -> None:
    server = await loop.create_server(
        protocol_factory=Recorder,
        host=HOST,
        port=0,
        family=socket.AF_UNSPEC,
        flags=socket.AI_PASSIVE,
        sock=None,
        backlog=100,
        ssl=None,
        reuse_address=None,
        reuse_port=None,
    )
    await close(loop, server)


@requirement("loop.create_server/accepts-documented-parameters")
async def test_create_server_takes_three_arguments_by_position(loop: Any) -> None:
    await close(loop, await loop.create_server(Recorder, HOST, 0))
    with pytest.raises(TypeError):
        await loop.create_server(Recorder, HOST, 0, socket.AF_INET)
    with pytest.raises(TypeError):
        await loop.create_server(Recorder, HOST, 0, no_such_argument=None)


@requirement("loop.create_server/accepts-documented-parameters")
async def test_nothing_listens_before_create_server_is_awaited(loop: Any) -> None:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        making = loop.create_server(Recorder, sock=sock)
        assert isinstance(making, Coroutine)
        await turns(loop, ENOUGH_TURNS)
        making.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(sock.getsockname())


@requirement("loop.create_server/accepts-handshake-and-serving-keywords")
async def test_a_server_without_tls_takes_no_handshake_timeout(loop: Any) -> None:
    server = await loop.create_server(Recorder, HOST, 0, ssl_handshake_timeout=None, start_serving=True)
    assert server.is_serving()
    await close(loop, server)


@pytest.mark.parametrize("value", [None, False])
@requirement("loop.create_server/accepts-keep-alive-keyword", "loop.create_server/keep-alive-sets-option")
async def test_connections_are_not_kept_alive_unless_asked(loop: AbstractEventLoop, value: bool | None) -> None:
    accepted = Accepted()
    async with serving(loop, accepted, keep_alive=value) as server, client_of(loop, server):
        sock = (await accepted.first(loop)).transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


@requirement("loop.create_server/keep-alive-sets-option")
async def test_connections_are_kept_alive_on_request(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted, keep_alive=True) as server, client_of(loop, server):
        sock = (await accepted.first(loop)).transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_server/listens-on-host-and-port")
async def test_a_server_listens_on_the_port_of_the_host(loop: AbstractEventLoop) -> None:
    server, port = await serve_on_free_port(loop, HOST)
    (sock,) = server.sockets
    assert (sock.getsockname(), sock.family, sock.type) == ((HOST, port), socket.AF_INET, socket.SOCK_STREAM)
    socket.create_connection((HOST, port)).close()
    await turns(loop, SOME_TURNS)
    await close(loop, server)


@requirement("loop.create_server/listens-on-host-and-port")
async def test_the_port_of_a_server_may_be_a_text(loop: Any) -> None:
    for _ in range(ATTEMPTS):
        with free_port() as port:
            try:
                server = await loop.create_server(Recorder, HOST, str(port))
            except OSError:
                continue
        assert server.sockets[0].getsockname()[1] == port
        await close(loop, server)
        return
    raise AssertionError("no port is free")


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_server/returns-server", "Server.sockets/lists-listening-sockets")
async def test_a_servers_sockets_are_those_that_listen(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server:
        assert [sock.getsockname()[0] for sock in server.sockets] == [HOST]
        async with client_of(loop, server) as client:
            protocol = await accepted.first(loop)
            assert protocol.transport.get_extra_info("sockname") == server.sockets[0].getsockname()
            assert client.sock.getpeername() == server.sockets[0].getsockname()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_server/calls-factory-per-connection")
async def test_the_factory_is_called_once_for_each_connection_without_arguments(loop: AbstractEventLoop) -> None:
    calls: list[Any] = []
    accepted = Accepted()

    def factory(*args: Any, **keywords: Any) -> Any:
        calls.append((args, keywords))
        return accepted()

    server = await loop.create_server(factory, HOST, 0)
    assert calls == []
    clients = [dial(server) for _ in range(5)]
    await until(loop, lambda: len(accepted.begun) == 5)
    await turns(loop, ENOUGH_TURNS)
    assert calls == [((), {})] * 5
    for client in clients:
        client.close()
    server.close()
    await accepted.end(loop)


@requirement("loop.create_server/calls-factory-per-connection")
async def test_more_connections_than_may_wait_are_all_accepted(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted, backlog=2) as server:
        clients = []
        for number in range(1, 11):
            clients.append(dial(server))
            await until(loop, lambda: len(accepted.begun) == number)  # noqa: B023 - awaited within the turn
        for client in clients:
            client.close()
        await until(loop, lambda: all(protocol.lost for protocol in accepted.protocols))


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_server/connection-gets-own-transport")
async def test_each_protocol_is_told_of_the_transport_of_its_own_connection(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server:
        clients = [dial(server) for _ in range(5)]
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number)
        await until(loop, lambda: len(accepted.begun) == 5 and all(protocol.data for protocol in accepted.begun))
        told = {protocol.transport.get_extra_info("peername"): bytes(protocol.data) for protocol in accepted.protocols}
        assert told == {client.getsockname(): b"%d" % number for number, client in enumerate(clients)}
        assert [protocol.events for protocol in accepted.protocols] == [["made", "data"]] * 5
        for protocol in accepted.protocols:
            protocol.transport.write(bytes(protocol.data))
        assert [client.recv(10) for client in clients] == [b"%d" % number for number in range(5)]
        for client in clients:
            client.close()


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_server/peername-known-on-connection")
async def test_the_peer_is_known_from_the_first_callback(loop: AbstractEventLoop) -> None:
    peers: list[Any] = []

    class Asking(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            peers.append(transport.get_extra_info("peername"))

    accepted = Accepted(Asking)
    async with serving(loop, accepted) as server, client_of(loop, server) as client:
        await accepted.first(loop)
        assert peers == [client.sock.getsockname()]


@requirement("loop.create_server/peername-known-on-connection")
async def test_the_peer_is_known_although_it_is_gone(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server:
        with dial(server) as client:
            address = client.getsockname()
        protocol = await accepted.first(loop)
        assert protocol.transport.get_extra_info("peername") == address


@requirement("loop.create_server/str-host-binds-one-interface")
async def test_a_host_is_the_only_interface_that_is_bound(loop: AbstractEventLoop) -> None:
    server = await loop.create_server(Recorder, HOST, 0)
    assert [sock.getsockname()[0] for sock in server.sockets] == [HOST]
    await close(loop, server)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more than one IPv4 loopback address")
@requirement("loop.create_server/str-host-binds-one-interface")
async def test_other_interfaces_than_the_host_are_not_served(loop: AbstractEventLoop) -> None:
    server = await loop.create_server(Recorder, "127.0.0.2", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port))
    await close(loop, server)


@needs_ipv6
@pytest.mark.parametrize("kind", [list, tuple])
@requirement("loop.create_server/host-sequence-binds-each")
async def test_each_host_of_several_is_bound(loop: AbstractEventLoop, kind: type) -> None:
    accepted = Accepted()
    async with serving(loop, accepted, kind([HOST, HOST_6])) as server:
        assert sorted(sock.getsockname()[0] for sock in server.sockets) == sorted([HOST, HOST_6])
        with dial(server, 0), dial(server, 1):
            await until(loop, lambda: len(accepted.begun) == 2)


@requirement("loop.create_server/host-sequence-binds-each")
async def test_a_sequence_of_one_host_binds_that(loop: Any) -> None:
    server = await loop.create_server(Recorder, [HOST], 0)
    assert [sock.getsockname()[0] for sock in server.sockets] == [HOST]
    await close(loop, server)


@pytest.mark.parametrize("host", ["", None], ids=["empty", "none"])
@requirement("loop.create_server/empty-host-binds-all-interfaces")
async def test_without_a_host_all_interfaces_are_bound(loop: AbstractEventLoop, host: str | None) -> None:
    server = await loop.create_server(Recorder, host, 0)
    bound = {sock.family: sock.getsockname()[0] for sock in server.sockets}
    assert bound[socket.AF_INET] == "0.0.0.0"
    assert bound.get(socket.AF_INET6, "::") == "::"
    await close(loop, server)


@needs_ipv6
@pytest.mark.parametrize("host", ["", None], ids=["empty", "none"])
@requirement("loop.create_server/empty-host-binds-all-interfaces")
async def test_without_a_host_each_family_is_served(loop: AbstractEventLoop, host: str | None) -> None:
    accepted = Accepted()
    server, port = await serve_on_free_port(loop, host)
    server.close()
    await turns(loop, SOME_TURNS)
    async with serving(loop, accepted, host, port):
        with socket.create_connection((HOST, port)), socket.create_connection((HOST_6, port)):
            await until(loop, lambda: len(accepted.begun) == 2)


@needs_ipv6
@pytest.mark.parametrize("port", [0, None], ids=["zero", "none"])
@requirement("loop.create_server/zero-port-picks-random-port")
async def test_without_a_port_each_interface_gets_a_free_one_of_its_own(loop: Any, port: int | None) -> None:
    server = await loop.create_server(Recorder, [HOST, HOST_6], port)
    ports = [sock.getsockname()[1] for sock in server.sockets]
    # The system picks among thousands; that it picks the same number twice for different families can happen.
    assert (len(ports), all(ports)) == (2, True)
    await close(loop, server)


@requirement("loop.create_server/zero-port-picks-random-port")
async def test_two_servers_without_a_port_do_not_meet(loop: AbstractEventLoop) -> None:
    servers = [await loop.create_server(Recorder, HOST, 0) for _ in range(5)]
    assert len({server.sockets[0].getsockname()[1] for server in servers} - {0}) == 5
    for server in servers:
        await close(loop, server)


@needs_ipv6
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("host", ["", None], ids=["empty", "none"])
@requirement("loop.create_server/family-forces-ip-version")
async def test_a_family_leaves_the_other_one_out(loop: Any, family: int, host: str | None) -> None:
    server = await loop.create_server(Recorder, host, 0, family=family)
    assert {sock.family for sock in server.sockets} == {family}
    await close(loop, server)


@needs_ipv6
@pytest.mark.parametrize("host", [HOST, HOST_6], ids=["ipv4", "ipv6"])
@requirement("loop.create_server/family-forces-ip-version")
async def test_without_a_family_the_host_decides(loop: AbstractEventLoop, host: str) -> None:
    server = await loop.create_server(Recorder, host, 0)
    assert {sock.family for sock in server.sockets} == {socket.AF_INET6 if ":" in host else socket.AF_INET}
    await close(loop, server)


@pytest.mark.parametrize("listening", [True, False], ids=["listening", "bound"])
@requirement("loop.create_server/uses-given-socket")
async def test_a_given_socket_is_served(loop: AbstractEventLoop, listening: bool) -> None:
    accepted = Accepted()
    sock = socket.socket()
    sock.bind((HOST, 0))
    if listening:
        sock.listen()
    address = sock.getsockname()
    async with serving(loop, accepted, sock=sock) as server:
        assert [one.getsockname() for one in server.sockets] == [address]
        with socket.create_connection(address):
            await accepted.first(loop)


@pytest.mark.parametrize(
    "where", [{"host": HOST, "port": 0}, {"host": HOST}, {"port": 0}], ids=["host-and-port", "host", "port"]
)
@requirement("loop.create_server/rejects-sock-with-address")
async def test_a_socket_and_an_address_are_too_much(loop: Any, where: dict[str, Any]) -> None:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        with pytest.raises(ValueError, match=r"."):
            await loop.create_server(Recorder, sock=sock, **where)
        # It is still the caller's.
        assert sock.getsockname()[0] == HOST


@requirement("loop.create_server/server-owns-given-socket")
async def test_a_given_socket_is_closed_with_the_server(loop: AbstractEventLoop) -> None:
    sock = socket.create_server((HOST, 0))
    address = sock.getsockname()
    server = await loop.create_server(Recorder, sock=sock)
    server.close()
    await until(loop, lambda: sock.fileno() == -1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many connections may wait")
@pytest.mark.parametrize(("options", "number"), [({}, 100), ({"backlog": 7}, 7), ({"backlog": 1}, 1)])
@pytest.mark.parametrize("started", [True, False], ids=["at-once", "later"])
@requirement("loop.create_server/passes-backlog-to-listen")
async def test_as_many_connections_may_wait_as_were_asked_for(
    loop: Any, options: dict[str, int], number: int, started: bool
) -> None:
    sock = socket.socket()
    sock.bind((HOST, 0))
    server = await loop.create_server(Recorder, sock=sock, start_serving=started, **options)
    await server.start_serving()
    assert backlog_of(sock) == number
    await close(loop, server)


@pytest.mark.parametrize("value", [True, False])
@requirement("loop.create_server/reuse-address-sets-option")
async def test_the_address_may_be_used_again_on_request(loop: AbstractEventLoop, value: bool) -> None:
    server = await loop.create_server(Recorder, HOST, 0, reuse_address=value)
    assert bool(server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)) is value
    await close(loop, server)


@pytest.mark.parametrize("options", [{}, {"reuse_address": None}], ids=["missing", "none"])
@requirement("loop.create_server/reuse-address-defaults-true")
async def test_on_unix_the_address_may_be_used_again_by_default(loop: Any, options: dict[str, Any]) -> None:
    server = await loop.create_server(Recorder, HOST, 0, **options)
    assert server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) != 0
    await close(loop, server)


@requirement("loop.create_server/reuse-address-defaults-true")
async def test_a_port_whose_connection_was_just_closed_can_be_served_again(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted) as server:
        address = server.sockets[0].getsockname()
        async with client_of(loop, server) as client:
            # Who closes first keeps the address for a while.
            (await accepted.first(loop)).transport.close()
            assert await client.read_until_eof() == b""
    await close(loop, await loop.create_server(Recorder, *address))


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="this platform has no SO_REUSEPORT")
@requirement("loop.create_server/reuse-port-shares-port")
async def test_servers_that_all_share_a_port_can_bind_it(loop: AbstractEventLoop) -> None:
    servers = [await loop.create_server(Recorder, HOST, 0, reuse_port=True)]
    address = servers[0].sockets[0].getsockname()
    servers += [await loop.create_server(Recorder, *address, reuse_port=True) for _ in range(2)]
    assert [server.sockets[0].getsockname() for server in servers] == [address] * 3
    assert all(server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) for server in servers)
    for server in servers:
        await close(loop, server)


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="this platform has no SO_REUSEPORT")
@pytest.mark.parametrize("options", [{}, {"reuse_port": None}, {"reuse_port": False}], ids=["missing", "none", "false"])
@requirement("loop.create_server/reuse-port-shares-port")
async def test_a_port_is_not_shared_unless_asked(loop: Any, options: dict[str, Any]) -> None:
    server = await loop.create_server(Recorder, HOST, 0, **options)
    assert server.sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
    await close(loop, server)


@requirement("loop.create_server/rejects-reuse-port-on-windows")
async def test_on_windows_ports_cannot_be_shared(loop: AbstractEventLoop) -> None:
    assert os.name == "nt"
    with pytest.raises(ValueError, match=r"."):
        await loop.create_server(Recorder, HOST, 0, reuse_port=True)


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("options", [{}, {"start_serving": True}], ids=["default", "true"])
@requirement("loop.create_server/starts-serving-at-once")
async def test_connections_are_accepted_from_the_beginning(loop: Any, options: dict[str, Any]) -> None:
    accepted = Accepted()
    async with serving(loop, accepted, **options) as server:
        assert server.is_serving() is True
        with dial(server):
            await accepted.first(loop)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_server/deferred-until-started")
async def test_nobody_is_accepted_before_the_server_is_started(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    async with serving(loop, accepted, start_serving=False) as server:
        with pytest.raises(ConnectionRefusedError):
            dial(server)
        await turns(loop, ENOUGH_TURNS)
        assert (server.is_serving(), accepted.protocols) == (False, [])
        await server.start_serving()
        with dial(server):
            await accepted.first(loop)


@requirement("loop.create_server/deferred-until-started")
async def test_who_waits_on_a_given_socket_is_accepted_when_the_server_is_started(loop: AbstractEventLoop) -> None:
    accepted = Accepted()
    sock = socket.create_server((HOST, 0))
    async with serving(loop, accepted, sock=sock, start_serving=False) as server:
        with socket.create_connection(sock.getsockname()):
            await turns(loop, ENOUGH_TURNS)
            assert accepted.protocols == []
            await server.start_serving()
            await accepted.first(loop)


@requirement("loop.create_server/deferred-until-started")
async def test_serving_for_ever_starts_a_server(loop: AbstractEventLoop, aio: Any) -> None:
    accepted = Accepted()
    async with serving(loop, accepted, start_serving=False) as server:
        task = loop.create_task(server.serve_forever())
        await until(loop, server.is_serving)
        with dial(server):
            await accepted.first(loop)
        await until(loop, lambda: accepted.protocols[0].lost)
        task.cancel()
        await aio.wait([task])


@needs_ipv6
@pytest.mark.parametrize("host", [HOST, HOST_6], ids=["ipv4", "ipv6"])
@requirement("loop.create_server/sets-tcp-nodelay")
async def test_accepted_connections_send_small_pieces_without_delay(loop: AbstractEventLoop, host: str) -> None:
    accepted = Accepted()
    async with serving(loop, accepted, host) as server, client_of(loop, server):
        sock = (await accepted.first(loop)).transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
