"""TCP connections that are made: ``loop.create_connection()`` without TLS, to one address."""

from __future__ import annotations

import socket
import sys
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.connections import Remote
from conformance.support.listeners import has_connection, overfull, twins
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.peers import ATTEMPTS, HOST, HOST_6, accepting, has_ipv6, read_once, refusing_port
from conformance.support.protocols import Recorder
from conformance.support.servers import Accepted
from conformance.support.waiting import bounded, turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

    from conformance.support.connections import Carrier

ADDRESS_OF = {socket.AF_INET: HOST, socket.AF_INET6: HOST_6}
# Turns in which a call that began without being awaited would show.
ENOUGH_TURNS = 20


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket: connections to it are complete without being accepted."""
    with socket.create_server((HOST, 0)) as listening:
        yield listening


async def end(loop: AbstractEventLoop, transport: Any, protocol: Any) -> None:
    """Break a connection off and wait for its end."""
    transport.abort()
    await until(loop, lambda: protocol.lost)


@requirement("loop.create_connection/accepts-documented-parameters")
async def test_every_argument_may_be_named_and_given_its_default(loop: Any, listener: socket.socket) -> None:
    host, port = listener.getsockname()
    made = await loop.create_connection(
        protocol_factory=Recorder,
        host=host,
        port=port,
        ssl=None,
        family=0,
        proto=0,
        flags=0,
        sock=None,
        local_addr=None,
        server_hostname=None,
    )
    await end(loop, *made)


@requirement("loop.create_connection/accepts-documented-parameters")
async def test_create_connection_takes_three_arguments_by_position(loop: Any, listener: socket.socket) -> None:
    await end(loop, *await loop.create_connection(Recorder, *listener.getsockname()))
    with pytest.raises(TypeError):
        await loop.create_connection(Recorder, *listener.getsockname(), None)
    with pytest.raises(TypeError):
        await loop.create_connection(Recorder, *listener.getsockname(), no_such_argument=None)


@requirement("loop.create_connection/accepts-documented-parameters")
async def test_host_and_port_may_be_left_out_beside_a_socket(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        await end(loop, *await loop.create_connection(Recorder, sock=ours))


@requirement("loop.create_connection/accepts-documented-parameters")
async def test_nothing_is_connected_before_create_connection_is_awaited(loop: Any, listener: socket.socket) -> None:
    made = Accepted()
    connecting = loop.create_connection(made, *listener.getsockname())
    assert isinstance(connecting, Coroutine)
    await turns(loop, ENOUGH_TURNS)
    connecting.close()
    assert (made.protocols, has_connection(listener)) == ([], False)


@requirement("loop.create_connection/accepts-happy-eyeballs-interleave-keywords")
async def test_happy_eyeballs_and_interleaving_are_none_by_default(loop: Any, listener: socket.socket) -> None:
    options = {"happy_eyeballs_delay": None, "interleave": None}
    await end(loop, *await loop.create_connection(Recorder, *listener.getsockname(), **options))


@requirement("loop.create_connection/accepts-happy-eyeballs-interleave-keywords")
async def test_happy_eyeballs_and_interleaving_do_no_harm_to_a_host_with_one_address(
    loop: Any, listener: socket.socket
) -> None:
    options = {"happy_eyeballs_delay": 0.25, "interleave": 1}
    await end(loop, *await loop.create_connection(Recorder, *listener.getsockname(), **options))


@pytest.mark.parametrize("value", [True, False])
@requirement("loop.create_connection/accepts-all-errors-keyword")
async def test_wishes_about_errors_do_no_harm_to_a_connection(loop: Any, listener: socket.socket, value: bool) -> None:
    await end(loop, *await loop.create_connection(Recorder, *listener.getsockname(), all_errors=value))


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
@requirement("loop.create_connection/opens-stream-connection")
async def test_the_host_decides_on_the_family_of_a_stream_socket(loop: AbstractEventLoop, family: int) -> None:
    if family == socket.AF_INET6 and not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback address")
    with socket.create_server((ADDRESS_OF[socket.AddressFamily(family)], 0), family=family) as listening:
        transport, protocol = await loop.create_connection(Recorder, *listening.getsockname()[:2])
        sock = transport.get_extra_info("socket")
        assert (sock.family, sock.type) == (family, socket.SOCK_STREAM)
        await end(loop, transport, protocol)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
@requirement("loop.create_connection/opens-stream-connection")
async def test_family_chooses_among_the_addresses_of_a_host(loop: AbstractEventLoop, family: int) -> None:
    with twins() as both:
        both.first.listen()
        transport, protocol = await loop.create_connection(Recorder, both.host, both.port, family=family)
        assert transport.get_extra_info("socket").family == family
        assert [has_connection(sock) for sock in both[2:]] == [sock.family == family for sock in both[2:]]
        await end(loop, transport, protocol)


@requirement("loop.create_connection/opens-stream-connection")
async def test_a_port_may_be_a_text(loop: AbstractEventLoop, listener: socket.socket) -> None:
    host, port = listener.getsockname()
    transport, protocol = await loop.create_connection(Recorder, host, str(port))  # type: ignore[call-overload]
    assert transport.get_extra_info("peername") == (host, port)
    await end(loop, transport, protocol)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_connection/returns-transport-protocol-pair")
async def test_a_connection_is_a_pair_of_transport_and_protocol(loop: Any, listener: socket.socket) -> None:
    accepted = Accepted()
    pair = await loop.create_connection(accepted, *listener.getsockname())
    transport, protocol = pair
    assert isinstance(pair, tuple)
    assert accepted.protocols == [protocol]
    assert protocol.transport is transport
    await end(loop, transport, protocol)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_connection/connection-steps-order", "loop.create_connection/calls-factory-without-arguments")
async def test_the_steps_of_a_connection_come_in_order(loop: Any, listener: socket.socket) -> None:
    steps: list[Any] = []

    class Stepping(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            steps.append("connection_made")

    def factory(*args: Any, **keywords: Any) -> Recorder:
        steps.append((args, keywords, has_connection(listener)))
        return Stepping()

    transport, protocol = await loop.create_connection(factory, *listener.getsockname())
    assert steps == [((), {}, True), "connection_made"]
    assert protocol.events == ["made"]
    await end(loop, transport, protocol)


@requirement("loop.create_connection/connection-steps-order")
async def test_no_protocol_is_made_for_a_connection_that_is_refused(loop: AbstractEventLoop) -> None:
    made = Accepted()
    with refusing_port() as port, pytest.raises(ConnectionRefusedError):
        await loop.create_connection(made, HOST, port)
    assert made.protocols == []


@requirement("loop.create_connection/connection-steps-order")
async def test_what_the_factory_raises_comes_out_of_create_connection(loop: Any) -> None:
    def factory() -> Any:
        raise ZeroDivisionError

    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ZeroDivisionError):
        await loop.create_connection(factory, sock=ours)


class Maker:
    """Makes protocols in every way in which something can be called."""

    def __init__(self) -> None:
        self.protocol = Recorder()

    def __call__(self) -> Recorder:
        return self.protocol

    def make(self) -> Recorder:
        return self.protocol


@pytest.mark.parametrize("kind", ["class", "function", "method", "partial", "object"])
@requirement("loop.create_connection/accepts-any-factory-callable")
async def test_whatever_can_be_called_is_a_factory(loop: Any, listener: socket.socket, kind: str) -> None:
    maker = Maker()
    factory: Any = {
        "class": Recorder,
        "function": lambda: maker.protocol,
        "method": maker.make,
        "partial": partial(getattr, maker, "protocol"),
        "object": maker,
    }[kind]
    transport, protocol = await loop.create_connection(factory, *listener.getsockname())
    assert (protocol is maker.protocol, protocol.events) == (kind != "class", ["made"])
    await end(loop, transport, protocol)


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_connection/transport-is-bidirectional")
async def test_a_connection_sends_and_receives(loop: AbstractEventLoop, tcp: Carrier) -> None:
    transport, protocol, peer = await tcp.connect()
    transport.write(b"question")
    assert await peer.read(8) == b"question"
    await peer.send(b"answer")
    await until(loop, lambda: protocol.data == b"answer")


@pytest.mark.parametrize("ssl", [{}, {"ssl": None}, {"ssl": False}], ids=["missing", "none", "false"])
@requirement("loop.create_connection/plain-without-ssl")
async def test_without_ssl_the_bytes_go_as_they_are(loop: Any, ssl: dict[str, Any]) -> None:
    with accepting(read_once) as peer:
        transport, protocol = await loop.create_connection(Recorder, *peer.address, **ssl)
        transport.write(b"in the clear")
        assert await peer.outcome(loop) == b"in the clear"
        assert transport.get_extra_info("sslcontext") is None
        await end(loop, transport, protocol)


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_connection/uses-given-socket")
async def test_a_given_socket_carries_the_connection(loop: Any, listener: socket.socket) -> None:
    ours = socket.create_connection(listener.getsockname())
    ours.setblocking(False)
    local = ours.getsockname()
    transport, protocol = await loop.create_connection(Recorder, sock=ours)
    peer = Remote(loop, listener.accept()[0])
    assert transport.get_extra_info("sockname") == local
    transport.write(b"through it")
    assert await peer.read(10) == b"through it"
    assert has_connection(listener) is False
    await end(loop, transport, protocol)
    peer.clean_up()


@pytest.mark.parametrize(
    "where",
    [{"host": HOST, "port": 1}, {"host": HOST}, {"port": 1}, {"host": "", "port": 0}],
    ids=["host-and-port", "host", "port", "empty"],
)
@requirement("loop.create_connection/rejects-sock-with-address")
async def test_a_socket_and_an_address_are_too_much(loop: Any, where: dict[str, Any]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with pytest.raises(ValueError, match=r"."):
            await loop.create_connection(Recorder, sock=ours, **where)
        # It is still the caller's.
        ours.sendall(b"usable")
        assert theirs.recv(10) == b"usable"


@pytest.mark.parametrize("end_with", ["close", "abort"])
@requirement("loop.create_connection/transport-owns-given-socket")
async def test_a_given_socket_is_closed_with_its_transport(loop: Any, end_with: str) -> None:
    ours, theirs = socket.socketpair()
    peer = Remote(loop, theirs)
    transport, protocol = await loop.create_connection(Recorder, sock=ours)
    getattr(transport, end_with)()
    assert await peer.read_until_eof() == b""
    await until(loop, lambda: protocol.lost and ours.fileno() == -1)
    peer.clean_up()


async def connect_from(loop: Any, listener: socket.socket, local: str) -> tuple[Any, Any, int]:
    """Connect from a port that was free a moment ago; in the rare case that it is taken by now, from another one."""
    for _ in range(ATTEMPTS):
        with socket.socket() as probe:
            probe.bind((local, 0))
            port = probe.getsockname()[1]
        try:
            made = await loop.create_connection(Recorder, *listener.getsockname(), local_addr=(local, port))
        except OSError:
            continue
        return (*made, port)
    raise AssertionError(f"{ATTEMPTS} ports that were free could not be bound")


@pytest.mark.parametrize("name", [HOST, "localhost"])
@requirement("loop.create_connection/binds-local-address")
async def test_a_connection_comes_from_the_local_address_it_is_told(
    loop: Any, listener: socket.socket, name: str
) -> None:
    transport, protocol, port = await connect_from(loop, listener, name)
    connection, address = listener.accept()
    connection.close()
    assert address == transport.get_extra_info("sockname") == (HOST, port)
    await end(loop, transport, protocol)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has more than one IPv4 loopback address")
@requirement("loop.create_connection/binds-local-address")
async def test_a_local_address_with_port_zero_leaves_the_port_open(loop: Any, listener: socket.socket) -> None:
    made = await loop.create_connection(Recorder, *listener.getsockname(), local_addr=("127.0.0.2", 0))
    connection, address = listener.accept()
    connection.close()
    assert (address[0], address[1] > 0) == ("127.0.0.2", True)
    await end(loop, *made)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")
@requirement("loop.create_connection/binds-local-address")
async def test_the_local_address_may_be_ipv6(loop: Any) -> None:
    with socket.create_server((HOST_6, 0), family=socket.AF_INET6) as listening:
        made = await loop.create_connection(Recorder, *listening.getsockname()[:2], local_addr=(HOST_6, 0))
        assert made[0].get_extra_info("sockname")[0] == HOST_6
        await end(loop, *made)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
@requirement("loop.create_connection/sets-tcp-nodelay")
async def test_small_pieces_are_sent_without_delay(loop: AbstractEventLoop, family: int) -> None:
    if family == socket.AF_INET6 and not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback address")
    with socket.create_server((ADDRESS_OF[socket.AddressFamily(family)], 0), family=family) as listening:
        transport, protocol = await loop.create_connection(Recorder, *listening.getsockname()[:2])
        assert transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        await end(loop, transport, protocol)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.create_connection/other-tasks-run-meanwhile")
async def test_others_run_while_a_connection_is_being_made(loop: AbstractEventLoop, aio: Any) -> None:
    with socket.socket() as full:
        full.bind((HOST, 0))
        with overfull(full):
            connecting = loop.create_task(loop.create_connection(Recorder, *full.getsockname()))
            other = loop.create_task(aio.sleep(0, "ran"))
            assert await bounded(loop, aio.wait_for(other, None)) == "ran"
            assert connecting.done() is False
            connecting.cancel()
            with pytest.raises(aio.CancelledError):
                await connecting


@requirement("loop.create_connection/other-tasks-run-meanwhile")
async def test_many_connections_are_made_at_once(loop: AbstractEventLoop, aio: Any, listener: socket.socket) -> None:
    with socket.socket() as full:
        full.bind((HOST, 0))
        with overfull(full):
            stuck = [loop.create_task(loop.create_connection(Recorder, *full.getsockname())) for _ in range(5)]
            await turns(loop, ENOUGH_TURNS)
            made = await bounded(loop, loop.create_connection(Recorder, *listener.getsockname()))
            assert [task.done() for task in stuck] == [False] * 5
            for task in stuck:
                task.cancel()
            await aio.wait(stuck)
            await end(loop, *made)
