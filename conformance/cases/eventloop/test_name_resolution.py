"""Names of hosts: ``getaddrinfo()``, ``getnameinfo()``, and the hints that other methods hand on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Coroutine
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.datagrams import Datagrams, bound, endpoint
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import HOST, HOST_6, has_ipv6
from conformance.support.protocols import Recorder
from conformance.support.resolving import (
    IPV4,
    IPV6,
    NAME,
    answering,
    listening_at,
    loopback_of_both_families,
    stream_infos,
)
from conformance.support.waiting import GENEROUS, turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Nothing here asks a name server: numbers, the machine itself, and what fails before anybody is asked.
QUESTIONS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "number": ((HOST, 80), {}),
    "name": (("localhost", 80), {}),
    "bytes": ((b"127.0.0.1", 80), {}),
    "no host": ((None, 80), {}),
    "no port": ((HOST, None), {}),
    "port as text": ((HOST, "8080"), {}),
    "ipv6": ((HOST_6, 80), {}),
    "family": (("localhost", 80), {"family": socket.AF_INET}),
    "type": (("localhost", 80), {"type": socket.SOCK_DGRAM}),
    "proto": (("localhost", 80), {"proto": socket.IPPROTO_TCP}),
    "passive": ((None, 80), {"type": socket.SOCK_STREAM, "flags": socket.AI_PASSIVE}),
    "canonical name": (("localhost", 80), {"type": socket.SOCK_STREAM, "flags": socket.AI_CANONNAME}),
    "numeric only": (("localhost", 80), {"flags": socket.AI_NUMERICHOST}),
    "wrong family": ((HOST_6, 80), {"family": socket.AF_INET}),
    "impossible": ((HOST, 80), {"type": socket.SOCK_STREAM, "proto": socket.IPPROTO_UDP}),
}

# Hints with which the address of the host cannot be found, each for a reason of its own: a hint that is not handed on
# lets it be found.
IMPOSSIBLE_STREAM: dict[str, dict[str, int]] = {
    "family": {"family": socket.AF_INET6},
    "proto": {"proto": socket.IPPROTO_UDP},
    "flags": {"flags": socket.AI_NUMERICHOST},
}
IMPOSSIBLE_DATAGRAM = {**IMPOSSIBLE_STREAM, "proto": {"proto": socket.IPPROTO_TCP}}


def host_for(hint: str) -> str:
    """A host that has an address, but none with that hint. A name may have one of each family, a number has not."""
    return HOST if hint == "family" else "localhost"


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("question", QUESTIONS)
@requirement("loop.getaddrinfo/matches-socket-getaddrinfo", "loop.getaddrinfo/accepts-family-type-proto-flags")
async def test_the_loop_resolves_as_the_socket_module_does(loop: AbstractEventLoop, question: str) -> None:
    arguments, hints = QUESTIONS[question]
    try:
        expected: Any = socket.getaddrinfo(*arguments, **hints)
    except socket.gaierror as error:
        expected = error.errno
    try:
        found: Any = await loop.getaddrinfo(*arguments, **hints)
    except socket.gaierror as error:
        found = error.errno
    assert found == expected


@requirement("loop.getaddrinfo/accepts-family-type-proto-flags")
async def test_the_hints_are_keywords_and_zero_by_default(loop: Any) -> None:
    explicit = await loop.getaddrinfo(host="localhost", port=80, family=0, type=0, proto=0, flags=0)
    assert explicit == await loop.getaddrinfo("localhost", 80)
    with pytest.raises(TypeError):
        await loop.getaddrinfo("localhost", 80, socket.AF_INET)
    with pytest.raises(TypeError):
        await loop.getaddrinfo("localhost")


@requirement("loop.getaddrinfo/is-coroutine-function")
def test_resolving_is_a_coroutine(loop: AbstractEventLoop) -> None:
    resolving = loop.getaddrinfo(HOST, 80)
    assert isinstance(resolving, Coroutine)
    assert loop.run_until_complete(resolving) == socket.getaddrinfo(HOST, 80)


@on_loops(PLAIN, DEBUG)
@requirement("loop.getaddrinfo/matches-socket-getaddrinfo")
async def test_the_loop_goes_on_while_a_name_is_resolved(
    loop: AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    went_on = threading.Event()

    def answer(*_: Any) -> list[Any]:
        assert went_on.wait(GENEROUS)
        return stream_infos(IPV4, 80)

    with answering(monkeypatch, answer):
        resolving = loop.create_task(loop.getaddrinfo(NAME, 80))
        await turns(loop)
        went_on.set()
        assert await resolving == stream_infos(IPV4, 80)


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize(
    "flags", [socket.NI_NUMERICHOST | socket.NI_NUMERICSERV, socket.NI_NUMERICSERV, socket.NI_NUMERICHOST]
)
@requirement("loop.getnameinfo/matches-socket-getnameinfo")
async def test_the_loop_names_an_address_as_the_socket_module_does(loop: AbstractEventLoop, flags: int) -> None:
    assert await loop.getnameinfo((HOST, 80), flags) == socket.getnameinfo((HOST, 80), flags)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("further", [(), (0, 0)], ids=["2", "4"])
@requirement("loop.getnameinfo/matches-socket-getnameinfo")
async def test_the_loop_names_an_ipv6_address(loop: Any, further: tuple[int, ...]) -> None:
    found = await loop.getnameinfo((HOST_6, 8080, *further), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    assert found == (HOST_6, "8080")


@on_loops(PLAIN, DEBUG)
@requirement("loop.getnameinfo/matches-socket-getnameinfo")
async def test_an_address_that_cannot_be_named_is_the_error_of_the_socket_module(loop: Any) -> None:
    address = ("no.number.invalid", 80)
    flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    with pytest.raises(TypeError):
        await loop.getnameinfo("no tuple", flags)
    with suppress(socket.gaierror):
        expected = socket.getnameinfo(address, flags)
        pytest.fail(f"the case needs an address that is none: {expected}")
    with pytest.raises(socket.gaierror):
        await loop.getnameinfo(address, flags)


@requirement("loop.getnameinfo/accepts-documented-parameters")
async def test_naming_takes_an_address_and_flags_that_are_zero_by_default(loop: Any) -> None:
    expected = socket.getnameinfo((HOST, 80), 0)
    assert await loop.getnameinfo((HOST, 80)) == expected
    assert await loop.getnameinfo(sockaddr=(HOST, 80), flags=0) == expected
    for arguments in ((), ((HOST, 80), 0, 0)):
        with pytest.raises(TypeError):
            await loop.getnameinfo(*arguments)


@requirement("loop.getnameinfo/is-coroutine-function")
def test_naming_is_a_coroutine(loop: AbstractEventLoop) -> None:
    flags = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    naming = loop.getnameinfo((HOST, 80), flags)
    assert isinstance(naming, Coroutine)
    assert loop.run_until_complete(naming) == (HOST, "80")


@pytest.mark.parametrize("hint", IMPOSSIBLE_STREAM)
@requirement("loop.create_connection/passes-address-hints-to-getaddrinfo")
async def test_a_connection_is_made_only_to_what_the_hints_allow(loop: Any, hint: str) -> None:
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(socket.gaierror):
            await loop.create_connection(Recorder, host_for(hint), port, **IMPOSSIBLE_STREAM[hint])


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])
@requirement("loop.create_connection/passes-address-hints-to-getaddrinfo")
async def test_of_both_loopback_addresses_the_one_of_the_family_is_connected_to(loop: Any, family: int) -> None:
    with loopback_of_both_families() as port:
        transport, protocol = await loop.create_connection(Recorder, None, port, family=family)
        peername = transport.get_extra_info("peername")
        transport.abort()
        await until(loop, lambda: protocol.lost)
    assert peername[:2] == ({socket.AF_INET: HOST, socket.AF_INET6: HOST_6}[socket.AddressFamily(family)], port)


@requirement("loop.create_connection/passes-address-hints-to-getaddrinfo")
async def test_the_hints_of_a_connection_are_those_that_the_resolver_is_asked_with(
    loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hints = {"family": socket.AF_INET, "proto": socket.IPPROTO_TCP, "flags": socket.AI_ADDRCONFIG}
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
        with answering(monkeypatch, lambda *_: stream_infos([HOST], port)) as calls:
            transport, protocol = await loop.create_connection(Recorder, NAME, port, **hints)
            transport.abort()
            await until(loop, lambda: protocol.lost)
    assert calls == [(NAME, port, socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, socket.AI_ADDRCONFIG)]


@requirement("loop.create_server/passes-flags-to-getaddrinfo")
async def test_a_server_listens_only_where_the_flags_allow(loop: Any) -> None:
    with pytest.raises(socket.gaierror):
        await loop.create_server(Recorder, "localhost", 0, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST)
    server = await loop.create_server(Recorder, HOST, 0, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST)
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("hint", IMPOSSIBLE_DATAGRAM)
@pytest.mark.parametrize("which", ["local_addr", "remote_addr"])
@requirement("loop.create_datagram_endpoint/passes-address-hints-to-getaddrinfo")
async def test_a_datagram_endpoint_has_only_addresses_that_the_hints_allow(loop: Any, which: str, hint: str) -> None:
    with bound() as peer:
        port = 0 if which == "local_addr" else peer.getsockname()[1]
        with pytest.raises(socket.gaierror):
            await loop.create_datagram_endpoint(
                Datagrams, **{which: (host_for(hint), port)}, **IMPOSSIBLE_DATAGRAM[hint]
            )


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@requirement("loop.create_datagram_endpoint/passes-address-hints-to-getaddrinfo")
async def test_a_datagram_endpoint_is_of_the_family_that_is_asked_for(loop: Any) -> None:
    for family, host in ((socket.AF_INET, HOST), (socket.AF_INET6, HOST_6)):
        async with endpoint(loop, (None, 0), family=family, flags=0) as (transport, _):
            assert transport.get_extra_info("sockname")[0] == host


async def reached(
    loop: Any, monkeypatch: pytest.MonkeyPatch, addresses: list[str], *open_to: str, **options: Any
) -> str:
    """Connect to a host with these addresses, of which all but ``open_to`` refuse: the one that is connected to."""
    with listening_at(*open_to) as port:
        with answering(monkeypatch, lambda *_: stream_infos(addresses, port)):
            transport, protocol = await loop.create_connection(Recorder, NAME, port, **options)
        found: str = transport.get_extra_info("peername")[0]
        transport.abort()
        await until(loop, lambda: protocol.lost)
    return found


async def order_of_attempts(
    loop: Any, monkeypatch: pytest.MonkeyPatch, addresses: list[str], expected: list[str], **options: Any
) -> list[str]:
    """``expected``, if the attempts come in that order: of two neighbours that listen, the former is connected to."""
    order = [
        await reached(loop, monkeypatch, addresses, former, latter, **options) for former, latter in pairwise(expected)
    ]
    return [*order, await reached(loop, monkeypatch, addresses, expected[-1], **options)]


# An attempt that fails is followed by the next at once: the delay never passes.
NEVER = 3600.0
IN_TURN: list[dict[str, Any]] = [{}, {"interleave": 0}, {"happy_eyeballs_delay": NEVER, "interleave": 0}]


@pytest.mark.parametrize("options", IN_TURN, ids=["default", "zero", "happy-eyeballs-zero"])
@requirement("loop.create_connection/tries-addresses-in-resolved-order")
async def test_addresses_are_tried_in_the_order_in_which_they_were_resolved(
    loop: Any, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    addresses = [IPV4[1], IPV4[0], IPV6[0], IPV6[1], IPV4[2]]
    assert await order_of_attempts(loop, monkeypatch, addresses, addresses, **options) == addresses


@requirement("loop.create_connection/tries-addresses-in-resolved-order")
async def test_of_both_loopback_addresses_the_one_that_is_resolved_first_is_connected_to(loop: Any) -> None:
    with loopback_of_both_families() as port:
        first = socket.getaddrinfo(None, port, type=socket.SOCK_STREAM)[0][4]
        transport, protocol = await loop.create_connection(Recorder, None, port)
        peername = transport.get_extra_info("peername")
        transport.abort()
        await until(loop, lambda: protocol.lost)
    assert peername == first


INTERLEAVED: dict[int, list[str]] = {
    1: [IPV4[0], IPV6[0], IPV4[1], IPV6[1], IPV4[2]],
    2: [IPV4[0], IPV4[1], IPV6[0], IPV4[2], IPV6[1]],
    3: [IPV4[0], IPV4[1], IPV4[2], IPV6[0], IPV6[1]],
}


@pytest.mark.parametrize("delay", [None, NEVER], ids=["in-turn", "happy-eyeballs"])
@pytest.mark.parametrize("number", INTERLEAVED)
@requirement("loop.create_connection/interleaves-address-families")
async def test_families_alternate_after_so_many_addresses_of_the_first(
    loop: Any, monkeypatch: pytest.MonkeyPatch, number: int, delay: float | None
) -> None:
    addresses, expected = [*IPV4, *IPV6[:2]], INTERLEAVED[number]
    options = {"interleave": number, "happy_eyeballs_delay": delay}
    assert await order_of_attempts(loop, monkeypatch, addresses, expected, **options) == expected


@requirement("loop.create_connection/interleaves-address-families")
async def test_the_first_family_is_that_of_the_address_that_was_resolved_first(
    loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [*IPV6, *IPV4]
    expected = [IPV6[0], IPV4[0], IPV6[1], IPV4[1], IPV6[2], IPV4[2]]
    assert await order_of_attempts(loop, monkeypatch, addresses, expected, interleave=1) == expected


@requirement("loop.create_connection/default-interleave-follows-happy-eyeballs")
async def test_with_happy_eyeballs_families_alternate_by_default(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses, expected = [*IPV4, *IPV6[:2]], INTERLEAVED[1]
    found = await order_of_attempts(loop, monkeypatch, addresses, expected, happy_eyeballs_delay=NEVER)
    assert found == expected


@requirement("loop.create_connection/default-interleave-follows-happy-eyeballs")
async def test_without_happy_eyeballs_families_do_not_alternate_by_default(
    loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [*IPV4[:2], *IPV6[:2]]
    assert await order_of_attempts(loop, monkeypatch, addresses, addresses) == addresses
