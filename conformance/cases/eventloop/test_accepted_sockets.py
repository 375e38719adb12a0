"""Connections accepted elsewhere: ``loop.connect_accepted_socket()``."""

from __future__ import annotations

import socket
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.connections import Remote
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.peers import HOST
from conformance.support.protocols import Recorder
from conformance.support.servers import Accepted
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

# Turns in which a call that began without being awaited would show.
ENOUGH_TURNS = 20


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection: the socket that was accepted, and the one that connected."""
    with socket.create_server((HOST, 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    with ours, theirs:
        yield ours, theirs


async def end(loop: AbstractEventLoop, transport: Any, protocol: Any) -> None:
    """Break a connection off and wait for its end."""
    transport.abort()
    await until(loop, lambda: protocol.lost)


@requirement("loop.connect_accepted_socket/accepts-documented-parameters")
async def test_every_argument_may_be_named_and_given_its_default(
    loop: Any, pair: tuple[socket.socket, socket.socket]
) -> None:
    await end(loop, *await loop.connect_accepted_socket(protocol_factory=Recorder, sock=pair[0], ssl=None))


@requirement("loop.connect_accepted_socket/accepts-documented-parameters")
async def test_factory_and_socket_may_be_given_by_position_and_nothing_else(
    loop: Any, pair: tuple[socket.socket, socket.socket]
) -> None:
    with pytest.raises(TypeError):
        await loop.connect_accepted_socket(Recorder, pair[0], None)
    with pytest.raises(TypeError):
        await loop.connect_accepted_socket(Recorder)
    await end(loop, *await loop.connect_accepted_socket(Recorder, pair[0]))


@requirement("loop.connect_accepted_socket/accepts-documented-parameters")
async def test_nothing_happens_before_the_call_is_awaited(loop: Any, pair: tuple[socket.socket, socket.socket]) -> None:
    made = Accepted()
    connecting = loop.connect_accepted_socket(made, pair[0])
    assert isinstance(connecting, Coroutine)
    await turns(loop, ENOUGH_TURNS)
    connecting.close()
    assert made.protocols == []


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.connect_accepted_socket/returns-transport-protocol-pair")
async def test_an_accepted_connection_is_a_pair_of_transport_and_protocol(
    loop: AbstractEventLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    address = theirs.getsockname()
    peer = Remote(loop, theirs)
    made = await loop.connect_accepted_socket(Recorder, ours)
    transport, protocol = made
    assert isinstance(made, tuple)
    assert transport.get_extra_info("peername") == address
    transport.write(b"question")
    assert await peer.read(8) == b"question"
    await peer.send(b"answer")
    await until(loop, lambda: protocol.data == b"answer")
    await end(loop, transport, protocol)
    peer.clean_up()


@requirement("loop.connect_accepted_socket/returns-transport-protocol-pair")
async def test_what_came_before_the_socket_was_handed_over_arrives(
    loop: AbstractEventLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    theirs.sendall(b"early")
    theirs.shutdown(socket.SHUT_WR)
    _, protocol = await loop.connect_accepted_socket(Recorder, ours)
    await until(loop, lambda: protocol.lost)
    assert protocol.data == b"early"
    assert protocol.events == ["made", "data", "eof", "lost"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.connect_accepted_socket/calls-connection-made")
async def test_the_protocol_knows_of_its_transport_when_the_call_returns(
    loop: AbstractEventLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    made = Accepted()
    transport, protocol = await loop.connect_accepted_socket(made, pair[0])
    assert made.protocols == [protocol]
    assert (protocol.events, protocol.transport is transport) == (["made"], True)
    await end(loop, transport, protocol)


@pytest.mark.parametrize("end_with", ["close", "abort"])
@requirement("loop.connect_accepted_socket/transport-owns-given-socket")
async def test_an_accepted_socket_is_closed_with_its_transport(
    loop: AbstractEventLoop, pair: tuple[socket.socket, socket.socket], end_with: str
) -> None:
    ours, theirs = pair
    peer = Remote(loop, theirs)
    transport, protocol = await loop.connect_accepted_socket(Recorder, ours)
    getattr(transport, end_with)()
    assert await peer.read_until_eof() == b""
    await until(loop, lambda: protocol.lost and ours.fileno() == -1)
    peer.clean_up()
