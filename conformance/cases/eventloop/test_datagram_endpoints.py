"""Making datagram endpoints: ``create_datagram_endpoint()``."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.datagrams import Datagrams, bound, endpoint, nothing_waits, receive
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.peers import HOST, HOST_6, has_ipv6
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
needs_unix = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this platform has no Unix sockets")

AF_UNIX = getattr(socket, "AF_UNIX", 0)


@requirement("loop.create_datagram_endpoint/accepts-documented-parameters")
async def test_an_endpoint_takes_every_documented_parameter(loop: Any) -> None:
    defaults: dict[str, Any] = {"proto": 0, "flags": 0, "reuse_port": None, "allow_broadcast": None, "sock": None}
    with bound() as peer:
        async with endpoint(loop, None, peer.getsockname()) as (transport, _):
            transport.sendto(b"by position")
        everything: dict[str, Any] = {"local_addr": (HOST, 0), "remote_addr": peer.getsockname(), "family": 0}
        async with endpoint(loop, **everything, **defaults) as (transport, _):
            transport.sendto(b"by name")
        transport, protocol = await loop.create_datagram_endpoint(protocol_factory=Datagrams, local_addr=(HOST, 0))
        transport.abort()
        await until(loop, lambda: protocol.lost)
        assert receive(peer, 2) == [b"by position", b"by name"]
    for arguments in ((), (Datagrams, None, (HOST, 9), socket.AF_INET)):
        with pytest.raises(TypeError):
            await loop.create_datagram_endpoint(*arguments)


@pytest.mark.parametrize("value", [None, False, True])
@requirement("loop.create_datagram_endpoint/rejects-reuse-address-keyword")
async def test_no_endpoint_is_made_with_reuse_address(loop: Any, value: bool | None) -> None:
    with pytest.raises(TypeError):
        await loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0), reuse_address=value)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement(
    "loop.create_datagram_endpoint/returns-transport-protocol-pair",
    "loop.create_datagram_endpoint/calls-factory-and-connection-made",
)
async def test_the_factory_is_called_once_and_its_protocol_is_told_of_the_transport(loop: Any) -> None:
    calls: list[tuple[object, ...]] = []
    protocol = Datagrams()

    def factory(*arguments: object) -> Datagrams:
        calls.append(arguments)
        return protocol

    made = await loop.create_datagram_endpoint(factory, local_addr=(HOST, 0))
    assert (type(made), len(made)) == (tuple, 2)
    assert made[1] is protocol
    assert protocol.transport is made[0]
    assert (calls, protocol.events) == ([()], ["made"])
    made[0].abort()
    await until(loop, lambda: protocol.lost)


@requirement("loop.create_datagram_endpoint/calls-factory-and-connection-made")
async def test_any_callable_serves_as_a_factory_and_is_called_for_each_endpoint(loop: Any) -> None:
    protocols = [Datagrams(), Datagrams()]
    waiting = iter(protocols)
    async with endpoint(loop, (HOST, 0), factory=lambda: next(waiting)) as (_, one):
        async with endpoint(loop, (HOST, 0), factory=waiting.__next__) as (_, two):
            assert [one, two] == protocols


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_datagram_endpoint/transport-is-datagram-transport")
async def test_the_transport_does_what_datagram_transports_do(loop: Any) -> None:
    with bound() as peer:
        transport, protocol = await loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0))
        transport.sendto(b"one", peer.getsockname())
        assert receive(peer, 1) == [b"one"]
        assert (transport.get_protocol(), transport.is_closing()) == (protocol, False)
        assert transport.get_extra_info("nothing of the kind", "default") == "default"
        transport.close()
        assert transport.is_closing() is True
        transport.abort()
        await until(loop, lambda: protocol.lost)


@requirement("loop.create_datagram_endpoint/creates-datagram-socket")
async def test_an_ipv4_address_makes_an_ipv4_datagram_socket(loop: AbstractEventLoop) -> None:
    async with endpoint(loop, (HOST, 0)) as (transport, _):
        sock = transport.get_extra_info("socket")
        assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_DGRAM)


@needs_ipv6
@pytest.mark.parametrize("which", ["local_addr", "remote_addr"])
@requirement("loop.create_datagram_endpoint/creates-datagram-socket")
async def test_an_ipv6_address_makes_an_ipv6_datagram_socket(loop: AbstractEventLoop, which: str) -> None:
    with bound((HOST_6, 0), socket.AF_INET6) as peer:
        port = 0 if which == "local_addr" else peer.getsockname()[1]
        given: dict[str, Any] = {which: (HOST_6, port)}
        async with endpoint(loop, **given) as (transport, protocol):
            sock = transport.get_extra_info("socket")
            assert (sock.family, sock.type) == (socket.AF_INET6, socket.SOCK_DGRAM)
            if which == "remote_addr":
                transport.sendto(b"question")
            else:
                transport.sendto(b"question", peer.getsockname())
            data, address = peer.recvfrom(100)
            peer.sendto(data.upper(), address)
            await until(loop, lambda: protocol.received)
            assert protocol.received == [(b"QUESTION", peer.getsockname())]


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("host", [HOST, "localhost"])
@requirement("loop.create_datagram_endpoint/binds-local-address")
async def test_an_endpoint_is_bound_to_its_local_address(loop: AbstractEventLoop, host: str) -> None:
    with bound() as peer:
        # A port that was free a moment ago.
        with bound() as other:
            port = other.getsockname()[1]
        async with endpoint(loop, (host, port), family=socket.AF_INET) as (transport, protocol):
            assert transport.get_extra_info("sockname") == (HOST, port)
            peer.sendto(b"found", (HOST, port))
            await until(loop, lambda: protocol.received)
            assert protocol.received == [(b"found", peer.getsockname())]


@requirement("loop.create_datagram_endpoint/binds-local-address")
async def test_with_port_zero_the_system_chooses_one(loop: AbstractEventLoop) -> None:
    async with endpoint(loop, (HOST, 0)) as (one, _), endpoint(loop, (HOST, 0)) as (two, _):
        ports = [transport.get_extra_info("sockname")[1] for transport in (one, two)]
    assert 0 not in ports
    assert ports[0] != ports[1]


@requirement("loop.create_datagram_endpoint/binds-local-address")
async def test_two_endpoints_cannot_have_one_address(loop: AbstractEventLoop) -> None:
    with bound() as other:
        with pytest.raises(OSError):  # noqa: PT011 - the documentation promises no number
            await loop.create_datagram_endpoint(Datagrams, local_addr=other.getsockname())


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("host", [HOST, "localhost"])
@requirement("loop.create_datagram_endpoint/connects-remote-address")
async def test_an_endpoint_is_connected_to_its_remote_address(loop: AbstractEventLoop, host: str) -> None:
    with bound() as peer:
        remote = (host, peer.getsockname()[1])
        async with endpoint(loop, remote_addr=remote, family=socket.AF_INET) as (transport, _):
            assert transport.get_extra_info("peername") == peer.getsockname()
            assert transport.get_extra_info("socket").getpeername() == peer.getsockname()


@requirement(
    "loop.create_datagram_endpoint/connects-remote-address", "loop.create_datagram_endpoint/binds-local-address"
)
async def test_an_endpoint_can_have_both_addresses(loop: AbstractEventLoop) -> None:
    with bound() as peer:
        async with endpoint(loop, (HOST, 0), peer.getsockname()) as (transport, protocol):
            transport.sendto(b"hello")
            data, address = peer.recvfrom(100)
            assert (data, address) == (b"hello", transport.get_extra_info("sockname"))
            peer.sendto(b"and back", address)
            await until(loop, lambda: protocol.received)
            assert protocol.received == [(b"and back", peer.getsockname())]


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_datagram_endpoint/connected-endpoint-needs-no-address")
async def test_a_connected_endpoint_sends_to_its_peer_and_hears_nobody_else(loop: AbstractEventLoop) -> None:
    with bound() as peer, bound() as stranger:
        async with endpoint(loop, remote_addr=peer.getsockname()) as (transport, protocol):
            transport.sendto(b"hello")
            _, address = peer.recvfrom(100)
            stranger.sendto(b"hello?", address)
            peer.sendto(b"hello", address)
            await until(loop, lambda: protocol.received)
            await turns(loop)
            assert protocol.received == [(b"hello", peer.getsockname())]


@requirement("loop.create_datagram_endpoint/family-alone-suffices")
async def test_with_a_family_alone_an_endpoint_is_neither_bound_nor_connected(loop: AbstractEventLoop) -> None:
    with bound() as one, bound() as two:
        async with endpoint(loop, family=socket.AF_INET) as (transport, protocol):
            sock = transport.get_extra_info("socket")
            assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_DGRAM)
            assert sock.getsockname()[1] == 0
            assert transport.get_extra_info("peername") is None
            for peer in one, two:
                transport.sendto(b"who is there?", peer.getsockname())
                _, address = peer.recvfrom(100)
                peer.sendto(b"me", (HOST, address[1]))
            await until(loop, lambda: len(protocol.received) == 2)
            assert protocol.received == [(b"me", one.getsockname()), (b"me", two.getsockname())]


@needs_ipv6
@requirement("loop.create_datagram_endpoint/family-alone-suffices")
async def test_the_family_that_stands_alone_may_be_ipv6(loop: AbstractEventLoop) -> None:
    with bound((HOST_6, 0), socket.AF_INET6) as peer:
        async with endpoint(loop, family=socket.AF_INET6) as (transport, _):
            transport.sendto(b"six", peer.getsockname())
            assert receive(peer, 1) == [b"six"]


@requirement("loop.create_datagram_endpoint/rejects-missing-address-and-family")
async def test_an_endpoint_needs_an_address_a_family_or_a_socket(loop: AbstractEventLoop) -> None:
    for options in ({}, {"local_addr": None, "remote_addr": None, "family": 0, "sock": None}):
        with pytest.raises(ValueError):  # noqa: PT011 - the documentation promises no message
            await loop.create_datagram_endpoint(Datagrams, **options)  # type: ignore[arg-type]


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="this platform shares no ports")
@on_loops(PLAIN, DEBUG)
@requirement("loop.create_datagram_endpoint/reuse-port-shares-port")
async def test_endpoints_that_all_say_so_share_a_port(loop: AbstractEventLoop) -> None:
    async with endpoint(loop, (HOST, 0), reuse_port=True) as (one, _):
        address = one.get_extra_info("sockname")
        async with endpoint(loop, address, reuse_port=True) as (two, _):
            assert two.get_extra_info("sockname") == address
            assert two.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="this platform shares no ports")
@pytest.mark.parametrize("value", [None, False])
@requirement("loop.create_datagram_endpoint/reuse-port-shares-port")
async def test_an_endpoint_that_does_not_say_so_shares_no_port(loop: AbstractEventLoop, value: bool | None) -> None:
    async with endpoint(loop, (HOST, 0), reuse_port=True) as (one, _):
        address = one.get_extra_info("sockname")
        with pytest.raises(OSError):  # noqa: PT011 - as above
            await loop.create_datagram_endpoint(Datagrams, local_addr=address, reuse_port=value)


@requirement("loop.create_datagram_endpoint/rejects-unavailable-reuse-port")
async def test_where_no_ports_are_shared_the_wish_is_refused(loop: AbstractEventLoop) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the documentation promises no message
        await loop.create_datagram_endpoint(Datagrams, local_addr=(HOST, 0), reuse_port=True)


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("allowed", [True, False, None])
@requirement("loop.create_datagram_endpoint/allow-broadcast-permits-broadcast")
async def test_an_endpoint_may_broadcast_only_when_it_was_allowed_to(
    loop: AbstractEventLoop, allowed: bool | None
) -> None:
    async with endpoint(loop, ("0.0.0.0", 0), allow_broadcast=allowed) as (transport, protocol):
        sock = transport.get_extra_info("socket")
        assert bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)) is bool(allowed)
        if allowed:
            transport.sendto(b"to all", ("127.255.255.255", 9))
            await turns(loop)
            # A machine without a network has nobody to send to; it is not for lack of permission.
            assert [error for error in protocol.errors if isinstance(error, PermissionError)] == []


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_datagram_endpoint/uses-given-socket")
async def test_an_endpoint_uses_the_socket_that_it_is_given(loop: AbstractEventLoop) -> None:
    with bound() as peer:
        ours = bound()
        number, address = ours.fileno(), ours.getsockname()
        async with endpoint(loop, sock=ours) as (transport, protocol):
            assert transport.get_extra_info("socket").fileno() == number
            transport.sendto(b"hello", peer.getsockname())
            assert peer.recvfrom(100) == (b"hello", address)
            peer.sendto(b"hello", address)
            await until(loop, lambda: protocol.received)


@requirement("loop.create_datagram_endpoint/uses-given-socket")
async def test_a_given_socket_that_is_connected_needs_no_address(loop: AbstractEventLoop) -> None:
    with bound() as peer:
        ours = bound()
        ours.connect(peer.getsockname())
        async with endpoint(loop, sock=ours) as (transport, _):
            assert transport.get_extra_info("peername") == peer.getsockname()
            transport.sendto(b"hello")
            assert receive(peer, 1) == [b"hello"]


@needs_unix
@requirement("loop.create_datagram_endpoint/uses-given-socket")
async def test_a_given_socket_may_be_one_of_a_unix_pair(loop: AbstractEventLoop) -> None:
    ours, theirs = socket.socketpair(AF_UNIX, socket.SOCK_DGRAM)
    with theirs:
        async with endpoint(loop, sock=ours) as (_, protocol):
            theirs.send(b"through the pair")
            await until(loop, lambda: protocol.received)
            assert protocol.received[0][0] == b"through the pair"


@pytest.mark.parametrize("extra", [{"local_addr": (HOST, 0)}, {"remote_addr": (HOST, 9)}], ids=["local", "remote"])
@requirement("loop.create_datagram_endpoint/rejects-sock-with-address")
async def test_a_socket_and_an_address_are_too_much(loop: Any, extra: dict[str, Any]) -> None:
    with bound() as ours, pytest.raises(ValueError):  # noqa: PT011 - the documentation promises no message
        await loop.create_datagram_endpoint(Datagrams, sock=ours, **extra)


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("ending", ["close", "abort"])
@requirement("loop.create_datagram_endpoint/transport-owns-given-socket")
async def test_the_end_of_a_transport_closes_the_socket_that_it_was_given(loop: Any, ending: str) -> None:
    ours = bound()
    transport, protocol = await loop.create_datagram_endpoint(Datagrams, sock=ours)
    getattr(transport, ending)()
    await until(loop, lambda: protocol.lost and ours.fileno() == -1)


@requirement("loop.create_datagram_endpoint/connects-remote-address")
async def test_an_endpoint_that_broadcasts_sends_to_its_remote_address_by_default(loop: AbstractEventLoop) -> None:
    with bound() as peer, bound() as other:
        remote = peer.getsockname()
        async with endpoint(loop, remote_addr=remote, allow_broadcast=True) as (transport, _):
            transport.sendto(b"to the remote address")
            assert receive(peer, 1) == [b"to the remote address"]
            assert nothing_waits(other)


@requirement("loop.create_datagram_endpoint/supported-on-windows-proactor")
async def test_on_windows_proactor_loops_have_datagrams(loop: AbstractEventLoop, aio: Any) -> None:
    if not isinstance(loop, aio.ProactorEventLoop):
        pytest.skip("this is no proactor loop")
    with bound() as peer:
        async with endpoint(loop, (HOST, 0)) as (transport, protocol):
            peer.sendto(b"hello", transport.get_extra_info("sockname"))
            await until(loop, lambda: protocol.received)


@requirement("loop.create_datagram_endpoint/proactor-needs-local-address")
async def test_on_windows_an_endpoint_of_a_proactor_loop_needs_a_local_address(
    loop: AbstractEventLoop, aio: Any
) -> None:
    if not isinstance(loop, aio.ProactorEventLoop):
        pytest.skip("this is no proactor loop")
    assert sys.platform == "win32"
    with pytest.raises(OSError):  # noqa: PT011 - Windows's own error
        await loop.create_datagram_endpoint(Datagrams, family=socket.AF_INET)
