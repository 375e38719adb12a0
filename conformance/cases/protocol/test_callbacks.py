"""The life of a stream protocol: which callbacks it gets, in which order, how often and with what."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.buffers import more_than_fits
from conformance.support.connections import OVER_BOTH, OVER_PLAIN, OVER_RESETTABLE
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.protocols import BufferedRecorder, Recorder
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.connections import Carrier


@on_loops(PLAIN, DEBUG)
@requirement(
    "protocols-general/connection-callbacks-once-only",
    "Protocol.eof_received/follows-state-machine",
    "BaseProtocol.connection_made/precedes-other-callbacks",
    "BaseProtocol.connection_lost/last-callback",
)
async def test_the_callbacks_of_a_connection_come_in_their_order(loop: AbstractEventLoop, stream: Carrier) -> None:
    _, protocol, peer = await stream.connect()
    await peer.send(b"first")
    await until(loop, lambda: protocol.data)
    await peer.send(b"second")
    await peer.close()
    await until(loop, lambda: protocol.lost)
    await turns(loop, 20)
    assert protocol.events == ["made", "data", "eof", "lost"]


@requirement("BaseProtocol.connection_made/receives-transport", "transports-general/created-by-loops-only")
async def test_the_protocol_is_given_its_transport_and_nothing_else(stream: Carrier) -> None:
    made: list[tuple[Any, ...]] = []

    class Noting(Recorder):
        def connection_made(self, *arguments: Any) -> None:
            made.append(arguments)
            super().connection_made(*arguments)

    transport, protocol, _ = await stream.connect(Noting)
    assert len(made) == 1
    (told,) = made[0]
    assert told.get_protocol() is protocol or told is not transport
    assert protocol.transport is transport


@OVER_BOTH
@requirement("BaseProtocol.connection_made/receives-transport", "BaseProtocol.connection_made/precedes-other-callbacks")
async def test_the_transport_can_be_used_in_connection_made(loop: AbstractEventLoop, stream: Carrier) -> None:
    class Greeting(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.write(b"welcome")

    _, protocol, peer = await stream.connect(Greeting)
    assert await peer.read(7) == b"welcome"
    await peer.send(b"thanks")
    await until(loop, lambda: protocol.data == b"thanks")


@requirement("BaseProtocol.connection_made/precedes-other-callbacks")
async def test_a_peer_that_sends_and_leaves_at_once_changes_nothing_in_the_order(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    _, protocol, peer = await stream.connect()

    def send_and_leave() -> None:
        peer.sock.sendall(b"hasty")

    await peer.do(send_and_leave)
    await peer.close()
    await until(loop, lambda: protocol.lost)
    assert protocol.events == ["made", "data", "eof", "lost"]


@OVER_BOTH
@requirement("transports-general/created-by-loops-only", "protocols-general/connection-callbacks-once-only")
async def test_every_connection_has_a_transport_and_a_protocol_of_its_own(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    connections = [await stream.connect() for _ in range(3)]
    for number, (transport, protocol, peer) in enumerate(connections):
        assert transport.get_protocol() is protocol
        transport.write(b"%d" % number)
        assert await peer.read(1) == b"%d" % number
        await peer.send(b"%d" % number)
    await until(loop, lambda: all(protocol.data for _, protocol, _ in connections))
    assert [bytes(protocol.data) for _, protocol, _ in connections] == [b"0", b"1", b"2"]
    assert len({id(transport) for transport, _, _ in connections}) == 3
    connections[1].transport.abort()
    await until(loop, lambda: connections[1].protocol.lost)
    assert [protocol.events[-1] for _, protocol, _ in connections] == ["data", "lost", "data"]


@pytest.mark.parametrize("end", ["close", "abort", "peer"])
@requirement(
    "BaseProtocol.connection_lost/receives-none-on-clean-end", "protocols-general/connection-callbacks-once-only"
)
async def test_a_connection_that_ends_well_is_lost_once_with_none(
    loop: AbstractEventLoop, stream: Carrier, end: str
) -> None:
    transport, protocol, peer = await stream.connect()
    transport.write(b"x" * 1000)
    await peer.read(1000)
    if end != "peer":
        getattr(transport, end)()
    await peer.close()
    await until(loop, lambda: protocol.lost)
    await turns(loop, 20)
    assert (protocol.lost, protocol.events.count("made")) == ([None], 1)


@OVER_RESETTABLE
@requirement("BaseProtocol.connection_lost/receives-exception-on-error")
async def test_a_connection_that_the_peer_breaks_off_is_lost_with_an_exception(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    _, protocol, peer = await stream.connect()
    await peer.reset()
    await until(loop, lambda: protocol.lost)
    await turns(loop)
    assert [isinstance(error, ConnectionResetError) for error in protocol.lost] == [True]
    assert protocol.events[-1] == "lost"


@OVER_RESETTABLE
@requirement(
    "BaseProtocol.connection_lost/receives-exception-on-error", "protocols-general/connection-callbacks-once-only"
)
async def test_a_connection_broken_off_while_much_is_buffered_is_lost_once_with_an_exception(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect()
    much = 3 * more_than_fits(transport, peer)
    transport.write(b"x" * much)
    await turns(loop)
    await peer.reset()
    await until(loop, lambda: protocol.lost)
    for _ in range(10):
        with suppress(Exception):
            transport.write(b"ignored")
    await turns(loop, 20)
    assert [isinstance(error, OSError) for error in protocol.lost] == [True]
    assert protocol.events[-1] == "lost"


@OVER_PLAIN
@requirement("protocols-general/connection-callbacks-once-only", "BaseProtocol.connection_lost/last-callback")
async def test_writing_to_a_peer_that_is_gone_loses_the_connection_once(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, protocol, peer = await stream.connect(lambda: Recorder(keep_open=True))
    await peer.close()
    await until(loop, lambda: "eof" in protocol.events)
    for _ in range(1000):
        if protocol.lost:
            break
        transport.write(b"x" * 10_000)
        await turns(loop, 1)
    await until(loop, lambda: protocol.lost)
    await turns(loop, 20)
    assert (len(protocol.lost), protocol.events[-1]) == (1, "lost")


@pytest.mark.parametrize("end", ["close", "abort", "peer"])
@requirement("BaseProtocol.connection_lost/last-callback")
async def test_nothing_that_is_asked_of_an_ended_transport_calls_its_protocol(
    loop: AbstractEventLoop, stream: Carrier, end: str, reported: list[dict[str, Any]]
) -> None:
    transport, protocol, peer = await stream.connect()
    if end != "peer":
        getattr(transport, end)()
    await peer.close()
    await until(loop, lambda: protocol.lost)
    before = list(protocol.events)
    for method in "pause_reading", "resume_reading", "close", "abort", "is_closing", "get_write_buffer_size":
        # Whether an ended transport takes it is its own affair.
        with suppress(Exception):
            getattr(transport, method)()
    await turns(loop, 20)
    assert protocol.events == before
    assert reported == []


CALLBACKS = ["data_received", "eof_received", "pause_writing", "connection_lost"]


@OVER_BOTH
@pytest.mark.parametrize("callback", CALLBACKS)
@requirement("protocols-general/connection-callbacks-once-only", "BaseProtocol.connection_lost/last-callback")
async def test_a_protocol_that_fails_in_a_callback_is_reported_and_lost_once(
    loop: AbstractEventLoop, stream: Carrier, reported: list[dict[str, Any]], callback: str
) -> None:
    error = ZeroDivisionError("on purpose")

    class Failing(Recorder):
        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name != callback:
                return found

            def call_and_fail(*arguments: Any) -> None:
                found(*arguments)
                raise error

            return call_and_fail

    transport, protocol, peer = await stream.connect(Failing)
    much = 3 * more_than_fits(transport, peer)
    for _ in range(2 if callback == "pause_writing" else 0):
        transport.write(b"x" * much)
    if callback == "pause_writing":
        transport.abort()
    with suppress(OSError):
        await peer.send(b"x")
        await peer.close()
    await until(loop, lambda: protocol.lost)
    await turns(loop, 20)
    assert protocol.events.count("lost") == 1
    assert protocol.events[-1] == "lost"
    assert error in [context.get("exception") for context in reported]


@requirement("BaseTransport.get_protocol/returns-current-protocol", "BaseTransport.set_protocol/redirects-callbacks")
async def test_a_protocol_that_takes_over_gets_all_further_callbacks(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, first, peer = await stream.connect()
    assert transport.get_protocol() is first
    await peer.send(b"first")
    await until(loop, lambda: first.data == b"first")
    second = Recorder()
    transport.set_protocol(second)
    assert transport.get_protocol() is second
    await peer.send(b"second")
    await until(loop, lambda: second.data == b"second")
    await peer.close()
    await until(loop, lambda: second.lost)
    assert first.events == ["made", "data"]
    assert (first.data, first.lost) == (b"first", [])
    assert (second.events, second.lost) == (["data", "eof", "lost"], [None])


@OVER_BOTH
@requirement("BaseTransport.set_protocol/redirects-callbacks")
async def test_a_protocol_that_takes_over_is_the_one_that_is_paused_and_resumed(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, first, peer = await stream.connect()
    much = 3 * more_than_fits(transport, peer)
    transport.set_protocol(second := Recorder())
    for _ in range(2):
        transport.write(b"x" * much)
    await peer.read(2 * much)
    await until(loop, lambda: second.events[-1:] == ["resume"])
    assert (first.events, second.events) == (["made"], ["pause", "resume"])


@OVER_BOTH
@requirement("BaseTransport.set_protocol/redirects-callbacks")
async def test_a_protocol_can_hand_over_in_the_middle_of_a_callback(loop: AbstractEventLoop, stream: Carrier) -> None:
    second = Recorder()

    class GivingWay(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.set_protocol(second)

    _, first, peer = await stream.connect(GivingWay)
    await peer.send(b"mine")
    await until(loop, lambda: first.data == b"mine")
    await peer.send(b"yours")
    await until(loop, lambda: second.data == b"yours")
    await peer.close()
    await until(loop, lambda: second.lost)
    assert (first.events, second.events) == (["made", "data"], ["data", "eof", "lost"])


def buffered() -> BufferedRecorder:
    """A buffered protocol with a view for its buffer, which every carrier can fill."""
    protocol: Any = BufferedRecorder()
    protocol.buffer = memoryview(protocol.buffer)
    return protocol  # type: ignore[no-any-return]


@requirement("BaseTransport.set_protocol/redirects-callbacks", "BufferedProtocol/usable-as-streaming-protocol")
async def test_buffered_and_other_protocols_can_take_turns(loop: AbstractEventLoop, stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    protocols: list[Any] = [buffered(), Recorder(), buffered()]
    for number, protocol in enumerate(protocols):
        transport.set_protocol(protocol)
        await peer.send(b"%d" % number)
        await until(loop, lambda: protocol.data)  # noqa: B023 - called before the next round
    assert [bytes(protocol.data) for protocol in protocols] == [b"0", b"1", b"2"]
    await peer.close()
    await until(loop, lambda: protocols[-1].lost)
    assert [protocol.lost for protocol in protocols] == [[], [], [None]]


@OVER_PLAIN
@requirement("BaseTransport.set_protocol/redirects-callbacks")
async def test_a_protocol_that_takes_over_while_reading_is_paused_gets_what_has_come(
    loop: AbstractEventLoop, stream: Carrier
) -> None:
    transport, first, peer = await stream.connect()
    transport.pause_reading()
    await peer.send(b"held")
    await turns(loop)
    for protocol in Recorder(), buffered():
        transport.set_protocol(protocol)
    transport.resume_reading()
    await until(loop, lambda: protocol.data == b"held")
    assert first.events == ["made"]


@OVER_BOTH
@requirement("protocols-general/callbacks-optional", "protocols-general/callbacks-invoked-by-transport")
async def test_a_protocol_that_overrides_nothing_lives_through_a_connection(
    loop: AbstractEventLoop, aio: Any, stream: Carrier, reported: list[dict[str, Any]]
) -> None:
    transport, _, peer = await stream.connect(lambda: Holder(aio))
    much = 3 * more_than_fits(transport, peer)
    transport.set_protocol(aio.Protocol())
    await peer.send(b"unheard")
    for _ in range(2):
        transport.write(b"x" * much)
    await peer.read(2 * much)
    await peer.close()
    await until(loop, transport.is_closing)
    await turns(loop, 20)
    assert reported == []


def Holder(aio: Any) -> Any:  # noqa: N802 - makes a class's instance
    """A protocol of ``aio`` that only keeps its transport."""

    class Keeping(aio.Protocol):  # type: ignore[misc]
        transport: Any = None

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

    return Keeping()


@OVER_BOTH
@requirement("protocols-general/callbacks-optional")
@pytest.mark.parametrize("callback", ["data_received", "connection_lost"])
async def test_a_protocol_may_override_one_callback_only(
    loop: AbstractEventLoop, aio: Any, stream: Carrier, reported: list[dict[str, Any]], callback: str
) -> None:
    calls: list[Any] = []
    protocol = Holder(aio)
    setattr(protocol, callback, calls.append)
    _, _, peer = await stream.connect(lambda: protocol)
    await peer.send(b"x")
    await peer.close()
    await until(loop, lambda: calls)
    await turns(loop, 20)
    assert calls == [b"x" if callback == "data_received" else None]
    assert reported == []
