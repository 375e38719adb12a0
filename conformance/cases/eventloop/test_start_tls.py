"""Upgrading a connection in use: ``loop.start_tls()``."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.certificates import careless_context, server_context, trusting_context
from conformance.support.connections import NAME, Remote, TLSRemote, encrypted
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.protocols import Recorder
from conformance.support.servers import SOME_TURNS
from conformance.support.waiting import turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

# Turns in which a call that began without being awaited would show.
ENOUGH_TURNS = 20
# Seconds for a handshake that cannot come.
SHORT = 0.05
OTHER_NAME = "other.invalid"


class Plain:
    """A connection without TLS: the target's ``transport`` and ``protocol``, and the ``peer`` at the other end."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.transport: Any = None
        self.protocol: Any = None
        ours, self._theirs = socket.socketpair()
        self._ours = ours
        self.peer = Remote(loop, self._theirs)

    async def connect(self) -> Plain:
        """Let the target take its end."""
        self.transport, self.protocol = await self.loop.create_connection(Recorder, sock=self._ours)
        return self

    async def upgrade(self, context: ssl.SSLContext, **options: Any) -> Any:
        """``start_tls()``, with the peer's handshake in its thread."""
        shaking = self.loop.create_task(self.shake(server_side=not options.get("server_side", False)))
        try:
            upgraded = await self.loop.start_tls(self.transport, self.protocol, context, **options)
        finally:
            shaken = await shaking
        assert shaken is None, f"the peer failed: {shaken}"
        return upgraded

    async def shake(self, *, server_side: bool) -> OSError | None:
        """Do the peer's handshake; how it failed, if it did."""
        try:
            self.peer.sock = await self.peer.do(partial(encrypted, self._theirs, server_side=server_side))
        except OSError as error:
            return error
        self.peer.__class__ = TLSRemote
        return None

    async def end(self) -> None:
        """Break the connection off and wait until the loop has let go."""
        self.peer.clean_up()
        self.transport.abort()
        await until(self.loop, lambda: self._ours.fileno() == -1)
        await turns(self.loop, SOME_TURNS)


@pytest.fixture
def plain(loop: AbstractEventLoop) -> Iterator[Plain]:
    """A connection, which the case ends."""
    made = Plain(loop)
    yield made
    made.peer.clean_up()


@requirement("loop.start_tls/accepts-documented-parameters")
async def test_every_argument_may_be_named(loop: Any, plain: Plain) -> None:
    await plain.connect()
    shaking = loop.create_task(plain.shake(server_side=True))
    upgraded = await loop.start_tls(
        transport=plain.transport,
        protocol=plain.protocol,
        sslcontext=careless_context(),
        server_side=False,
        server_hostname=None,
        ssl_handshake_timeout=None,
    )
    assert (upgraded is None, await shaking) == (False, None)
    await plain.end()


@requirement("loop.start_tls/accepts-documented-parameters")
async def test_start_tls_takes_three_arguments_by_position(loop: Any, plain: Plain) -> None:
    await plain.connect()
    with pytest.raises(TypeError):
        await loop.start_tls(plain.transport, plain.protocol, careless_context(), False)
    with pytest.raises(TypeError):
        await loop.start_tls(plain.transport, plain.protocol)
    await plain.upgrade(careless_context())
    await plain.end()


@requirement("loop.start_tls/accepts-documented-parameters")
async def test_nothing_is_upgraded_before_start_tls_is_awaited(loop: Any, plain: Plain) -> None:
    await plain.connect()
    upgrading = loop.start_tls(plain.transport, plain.protocol, careless_context())
    assert isinstance(upgrading, Coroutine)
    await turns(loop, ENOUGH_TURNS)
    upgrading.close()
    plain.transport.write(b"plain")
    assert await plain.peer.read(5) == b"plain"
    await plain.end()


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.start_tls/returns-new-transport")
async def test_an_upgrade_gives_another_transport_for_the_same_connection(
    loop: AbstractEventLoop, plain: Plain
) -> None:
    await plain.connect()
    plain.transport.write(b"STARTTLS")
    assert await plain.peer.read(8) == b"STARTTLS"
    upgraded = await plain.upgrade(trusting_context(), server_hostname=NAME)
    assert upgraded is not plain.transport
    upgraded.write(b"question")
    assert await plain.peer.read(8) == b"question"
    await plain.peer.send(b"answer")
    await until(loop, lambda: plain.protocol.data == b"answer")
    # It was made long ago.
    assert plain.protocol.events == ["made", "data"]
    await plain.end()


@requirement("loop.start_tls/returns-new-transport")
async def test_an_upgraded_transport_knows_of_its_encryption(plain: Plain) -> None:
    await plain.connect()
    before = plain.transport.get_extra_info("sslcontext")
    context = trusting_context()
    upgraded = await plain.upgrade(context, server_hostname=NAME)
    assert (before, upgraded.get_extra_info("sslcontext") is context) == (None, True)
    await plain.end()


@requirement("loop.start_tls/returns-new-transport")
async def test_what_came_before_the_upgrade_and_what_comes_after_arrives(loop: AbstractEventLoop, plain: Plain) -> None:
    await plain.connect()
    await plain.peer.send(b"in the clear, ")
    await until(loop, lambda: plain.protocol.data == b"in the clear, ")
    await plain.upgrade(trusting_context(), server_hostname=NAME)
    await plain.peer.send(b"encrypted")
    await until(loop, lambda: plain.protocol.data == b"in the clear, encrypted")
    await plain.end()


@requirement("loop.start_tls/server-side-handshake")
async def test_what_the_client_sends_right_behind_its_handshake_arrives(loop: Any, plain: Plain) -> None:
    await plain.connect()

    async def shake_and_send() -> None:
        assert await plain.shake(server_side=False) is None
        await plain.peer.send(b"at once")

    sending = loop.create_task(shake_and_send())
    await loop.start_tls(plain.transport, plain.protocol, server_context(), server_side=True)
    await until(loop, lambda: plain.protocol.data == b"at once")
    await sending
    await plain.end()


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("server_side", [True, False], ids=["server", "client"])
@requirement("loop.start_tls/server-side-handshake")
async def test_either_side_of_the_handshake_can_be_done(
    loop: AbstractEventLoop, plain: Plain, server_side: bool
) -> None:
    await plain.connect()
    upgraded = await plain.upgrade(server_context() if server_side else careless_context(), server_side=server_side)
    upgraded.write(b"question")
    assert await plain.peer.read(8) == b"question"
    await plain.peer.send(b"answer")
    await until(loop, lambda: plain.protocol.data == b"answer")
    await plain.end()


@requirement("loop.start_tls/server-side-handshake")
async def test_without_a_word_about_it_the_client_side_is_done(plain: Plain) -> None:
    await plain.connect()
    await plain.upgrade(careless_context())
    assert plain.peer.sock.server_side is True  # type: ignore[attr-defined]
    await plain.end()


@requirement("loop.start_tls/server-hostname-overrides-host")
async def test_the_certificate_is_matched_against_the_server_hostname(loop: Any, plain: Plain) -> None:
    await plain.connect()
    shaking = loop.create_task(plain.shake(server_side=True))
    with pytest.raises(ssl.SSLCertVerificationError):
        await loop.start_tls(plain.transport, plain.protocol, trusting_context(), server_hostname=OTHER_NAME)
    assert isinstance(await shaking, OSError)
    await plain.end()


@on_loops(PLAIN, DEBUG)
@requirement("loop.start_tls/inserts-tls-layer")
async def test_a_layer_stands_between_transport_and_protocol(loop: AbstractEventLoop, plain: Plain) -> None:
    await plain.connect()
    upgraded = await plain.upgrade(trusting_context(), server_hostname=NAME)
    assert upgraded.get_protocol() is plain.protocol
    assert plain.transport.get_protocol() is not plain.protocol
    upgraded.close()
    await plain.peer.close()
    await until(loop, lambda: plain.protocol.lost)
    assert (plain.transport.is_closing(), plain.protocol.lost) == (True, [None])
    await plain.end()


@requirement("loop.start_tls/may-return-none")
async def test_a_transport_that_is_closing_is_not_upgraded(loop: Any, plain: Plain) -> None:
    await plain.connect()
    plain.transport.close()
    try:
        upgraded = await loop.start_tls(
            plain.transport, plain.protocol, careless_context(), ssl_handshake_timeout=SHORT
        )
    except OSError:
        # To fail is another way not to upgrade.
        upgraded = None
    assert upgraded is None or upgraded.is_closing()
    await plain.end()
