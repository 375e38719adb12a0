"""Datagram transports and their protocols."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.datagrams import (
    LARGEST,
    bound,
    connected_to,
    endpoint,
    in_thread,
    nothing_waits,
    receive,
    slow_peer,
    unix_paths,
)
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import HOST, HOST_6, has_ipv6
from conformance.support.waiting import GENEROUS, turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

needs_unix = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="only Unix sockets hold datagrams back")

AF_UNIX = getattr(socket, "AF_UNIX", 0)
# More datagrams than any system lets wait in a Unix socket (Linux: 10 by default, seldom more than 512).
MANY = 2000
# The limit of the buffer, in bytes, and a number of datagrams of one byte that stays below it unless more is counted.
LIMIT = 10_000
BELOW_LIMIT = 9_000


@requirement("DatagramTransport/returned-by-create-datagram-endpoint")
async def test_a_datagram_endpoint_has_a_datagram_transport(loop: AbstractEventLoop, aio: Any) -> None:
    async with endpoint(loop, (HOST, 0)) as (transport, _):
        assert isinstance(transport, aio.DatagramTransport)
        assert isinstance(transport, aio.BaseTransport)


@requirement("DatagramProtocol/base-for-datagram-protocols")
def test_the_base_of_datagram_protocols_has_their_callbacks(aio: Any) -> None:
    assert issubclass(aio.DatagramProtocol, aio.BaseProtocol)
    assert not issubclass(aio.DatagramProtocol, aio.Protocol)
    protocol = aio.DatagramProtocol()
    assert protocol.datagram_received(b"data", (HOST, 9)) is None
    assert protocol.error_received(OSError()) is None
    assert not hasattr(protocol, "data_received")


@on_loops(PLAIN, DEBUG)
@requirement("protocols-general/callbacks-optional")
async def test_a_datagram_protocol_may_leave_out_every_callback(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]]
) -> None:
    with bound() as peer:
        transport, _ = await loop.create_datagram_endpoint(aio.DatagramProtocol, local_addr=(HOST, 0))
        peer.sendto(b"to nobody", transport.get_extra_info("sockname"))
        transport.sendto(bytes(2 * LARGEST), peer.getsockname())
        await turns(loop)
        transport.close()
        await turns(loop)
    assert reported == []


class Duck:
    """A protocol that comes from no class of asyncio's."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []
        self.lost: list[object] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append((data, addr))
        self.transport.sendto(data, addr)

    def connection_lost(self, exc: object) -> None:
        self.lost.append(exc)


@on_loops(PLAIN, DEBUG)
@requirement("protocols-general/accepts-duck-typed-protocol")
async def test_whatever_has_the_callbacks_is_a_datagram_protocol(loop: AbstractEventLoop) -> None:
    with bound() as peer:
        async with endpoint(loop, (HOST, 0), factory=Duck) as (transport, protocol):
            peer.sendto(b"quack", transport.get_extra_info("sockname"))
            await until(loop, lambda: protocol.received)
            assert protocol.received == [(b"quack", peer.getsockname())]
            assert receive(peer, 1) == [b"quack"]
    assert protocol.lost == [None]


@on_loops(PLAIN, DEBUG)
@requirement(
    "DatagramProtocol.datagram_received/receives-data-and-sender",
    "DatagramProtocol.datagram_received/keeps-datagram-boundaries",
)
async def test_each_datagram_comes_by_itself_with_the_address_of_its_sender(loop: AbstractEventLoop) -> None:
    with bound() as one, bound() as two:
        async with endpoint(loop, (HOST, 0)) as (transport, protocol):
            sent = [(one, b"a"), (two, b""), (one, b"b" * LARGEST), (one, b""), (two, b"c"), (two, b"c")]
            for peer, data in sent:
                peer.sendto(data, transport.get_extra_info("sockname"))
            await until(loop, lambda: len(protocol.received) >= len(sent))
            assert protocol.received == [(data, peer.getsockname()) for peer, data in sent]
            assert {type(data) for data, _ in protocol.received} == {bytes}


@requirement("DatagramProtocol.datagram_received/keeps-datagram-boundaries")
async def test_datagrams_that_come_over_time_stay_apart(loop: AbstractEventLoop) -> None:
    with bound() as peer:
        async with endpoint(loop, (HOST, 0)) as (transport, protocol):
            for number in range(50):
                peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
                await until(loop, lambda number=number: len(protocol.received) > number)  # type: ignore[misc]
            assert [data for data, _ in protocol.received] == [b"%d" % number for number in range(50)]


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@requirement("DatagramProtocol.datagram_received/address-format-per-family")
async def test_ipv6_addresses_have_four_items(loop: AbstractEventLoop) -> None:
    with bound((HOST_6, 0), socket.AF_INET6) as peer:
        async with endpoint(loop, (HOST_6, 0)) as (transport, protocol):
            peer.sendto(b"six", transport.get_extra_info("sockname"))
            await until(loop, lambda: protocol.received)
    ((_, address),) = protocol.received
    assert (type(address), len(address), address) == (tuple, 4, (HOST_6, address[1], 0, 0))


@requirement("DatagramProtocol.datagram_received/address-format-per-family")
async def test_ipv4_addresses_have_two_items(loop: AbstractEventLoop) -> None:
    with bound() as peer:
        async with endpoint(loop, (HOST, 0)) as (transport, protocol):
            peer.sendto(b"four", transport.get_extra_info("sockname"))
            await until(loop, lambda: protocol.received)
            ((_, address),) = protocol.received
            assert (type(address), address) == (tuple, peer.getsockname())


@needs_unix
@requirement("DatagramProtocol.datagram_received/address-format-per-family")
async def test_addresses_of_unix_sockets_are_paths(loop: AbstractEventLoop) -> None:
    with unix_paths() as (one, two), bound(str(two), AF_UNIX) as peer:
        async with endpoint(loop, sock=bound(str(one), AF_UNIX)) as (_, protocol):
            peer.sendto(b"unix", str(one))
            await until(loop, lambda: protocol.received)
            assert protocol.received == [(b"unix", str(two))]


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@requirement("DatagramTransport.sendto/sends-to-given-address")
async def test_a_datagram_goes_to_the_address_it_is_sent_to(
    loop: AbstractEventLoop, kind: Callable[[bytes], bytes | bytearray | memoryview]
) -> None:
    with bound() as one, bound() as two:
        async with endpoint(loop, (HOST, 0)) as (transport, _):
            for number in range(3):
                transport.sendto(kind(b"one %d" % number), one.getsockname())
                transport.sendto(kind(b"two %d" % number), two.getsockname())
            transport.sendto(kind(b"x" * LARGEST), one.getsockname())
            assert one.recvfrom(100) == (b"one 0", transport.get_extra_info("sockname"))
            assert receive(one, 3) == [b"one 1", b"one 2", b"x" * LARGEST]
            assert receive(two, 3) == [b"two 0", b"two 1", b"two 2"]


@requirement("DatagramTransport.sendto/accepts-data-and-addr")
async def test_sending_takes_data_and_an_address_that_may_be_none(loop: AbstractEventLoop) -> None:
    with bound() as peer:
        async with endpoint(loop, remote_addr=peer.getsockname()) as (transport, _):
            assert transport.sendto(b"1") is None
            transport.sendto(b"2", None)
            transport.sendto(data=b"3", addr=None)
            transport.sendto(b"4", peer.getsockname())
            assert receive(peer, 4) == [b"1", b"2", b"3", b"4"]
            for arguments in ((), (b"5", None, 0)):
                with pytest.raises(TypeError):
                    transport.sendto(*arguments)


@on_loops(PLAIN, DEBUG)
@requirement("DatagramTransport.sendto/none-address-uses-remote")
async def test_without_an_address_a_datagram_goes_to_the_remote_one(loop: AbstractEventLoop) -> None:
    with bound() as peer, bound() as other:
        async with endpoint(loop, (HOST, 0), peer.getsockname()) as (transport, _):
            transport.sendto(b"to my peer")
            assert peer.recvfrom(100) == (b"to my peer", transport.get_extra_info("sockname"))
            assert nothing_waits(other)


@on_loops(PLAIN, DEBUG)
@requirement("DatagramTransport.sendto/sends-empty-datagram")
async def test_an_empty_datagram_is_sent(loop: AbstractEventLoop) -> None:
    with bound() as peer:
        async with endpoint(loop, (HOST, 0)) as (transport, _):
            transport.sendto(b"", peer.getsockname())
            transport.sendto(b"after it", peer.getsockname())
            assert peer.recvfrom(100) == (b"", transport.get_extra_info("sockname"))
            assert receive(peer, 1) == [b"after it"]
        async with endpoint(loop, remote_addr=peer.getsockname()) as (transport, _):
            transport.sendto(bytearray())
            assert receive(peer, 1) == [b""]


@requirement("DatagramProtocol.error_received/receives-oserror")
async def test_that_the_peer_is_not_there_is_an_error_and_no_end(loop: AbstractEventLoop) -> None:
    with bound() as gone:
        address = gone.getsockname()
    async with endpoint(loop, remote_addr=address) as (transport, protocol):
        deadline = time.monotonic() + GENEROUS
        # The system tells of a datagram that nobody took when it comes to it; another one asks again.
        while not protocol.errors and time.monotonic() < deadline:
            transport.sendto(b"anyone?")
            await turns(loop)
        assert isinstance(protocol.errors[0], ConnectionRefusedError)
        assert (transport.is_closing(), protocol.lost) == (False, [])
        with bound(address) as peer:
            transport.sendto(b"now")
            peer.sendto(b"yes", transport.get_extra_info("sockname"))
            await until(loop, lambda: protocol.received)
            assert protocol.received == [(b"yes", address)]


@on_loops(PLAIN, DEBUG)
@requirement("DatagramProtocol.error_received/receives-oserror")
async def test_a_datagram_that_is_too_large_is_an_error_and_no_end(
    loop: AbstractEventLoop, reported: list[dict[str, Any]]
) -> None:
    with bound() as peer:
        async with endpoint(loop, (HOST, 0)) as (transport, protocol):
            transport.sendto(bytes(2 * LARGEST), peer.getsockname())
            transport.sendto(b"small enough", peer.getsockname())
            await until(loop, lambda: protocol.errors)
            assert [isinstance(error, OSError) for error in protocol.errors] == [True]
            assert receive(peer, 1) == [b"small enough"]
            assert (transport.is_closing(), protocol.lost) == (False, [])
    assert reported == []


@needs_unix
@requirement("DatagramProtocol.error_received/receives-oserror")
async def test_an_error_of_a_datagram_that_waited_is_told_and_the_others_are_sent(loop: AbstractEventLoop) -> None:
    with slow_peer() as peer:
        async with endpoint(loop, sock=connected_to(peer)) as (transport, protocol):
            sent = send_until_waiting(transport)
            # A Unix socket takes no datagram that is larger than its buffer.
            transport.sendto(bytes(4 * 1024 * 1024))
            transport.sendto(b"after it")
            received = await in_thread(loop, lambda: receive(peer, sent + 1))
            assert received[-1] == b"after it"
            await until(loop, lambda: protocol.errors)
            assert [isinstance(error, OSError) for error in protocol.errors] == [True]
            assert protocol.lost == []


def send_until_waiting(transport: Any) -> int:
    """Send more than the peer's queue takes; how many datagrams."""
    for number in range(MANY):
        transport.sendto(b"%05d" % number)
    return MANY


@requirement(
    "BaseTransport.get_extra_info/offers-socket-keys",
    "BaseTransport.get_extra_info/returns-own-address-sockname",
    "BaseTransport.get_extra_info/returns-queryable-socket",
)
async def test_a_connected_endpoint_knows_its_socket_and_both_addresses(loop: AbstractEventLoop) -> None:
    with bound() as peer:
        async with endpoint(loop, (HOST, 0), peer.getsockname()) as (transport, _):
            transport.sendto(b"hello")
            _, address = peer.recvfrom(100)
            sock = transport.get_extra_info("socket")
            assert transport.get_extra_info("sockname") == sock.getsockname() == address
            assert transport.get_extra_info("peername") == sock.getpeername() == peer.getsockname()
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_DGRAM


@pytest.mark.parametrize("options", [{}, {"allow_broadcast": True}], ids=["bound", "broadcasting"])
@requirement("BaseTransport.get_extra_info/returns-none-peername-on-error")
async def test_an_endpoint_that_is_not_connected_has_no_peername(
    loop: AbstractEventLoop, options: dict[str, Any]
) -> None:
    with bound() as peer:
        # One that may broadcast is not connected to its remote address.
        remote = {"remote_addr": peer.getsockname()} if options else {}
        async with endpoint(loop, (HOST, 0), **remote, **options) as (transport, _):
            try:
                expected = transport.get_extra_info("socket").getpeername()
            except OSError:
                expected = None
            assert transport.get_extra_info("peername") == expected


ECHO_SERVER = """
import os
import socket
import sys
from threading import Thread

class EchoServerProtocol:
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        message = data.decode()
        print(f"Received {message!r} from {addr[0]}")
        print(f"Send {message!r} to {addr[0]}")
        self.transport.sendto(data, addr)

def ask(address, loop, served):
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        try:
            client.sendto(b"Hello World!", address)
            print("Answered", client.recv(100))
        finally:
            loop.call_soon_threadsafe(served.set_result, None)

async def main():
    loop = aio.get_running_loop()
    print("Starting UDP server")
    transport, protocol = await loop.create_datagram_endpoint(EchoServerProtocol, local_addr=("127.0.0.1", 0))
    served = loop.create_future()
    client = Thread(target=ask, args=(transport.get_extra_info("sockname"), loop, served))
    client.start()
    await served
    client.join()
    # The documented server sleeps for an hour now, and closes its transport then; this one just ends.
    sys.stdout.flush()
    os._exit(0)

make_loop().run_until_complete(main())
"""

ECHO_CLIENT = """
import socket
from threading import Thread

class EchoClientProtocol:
    def __init__(self, message, on_con_lost):
        self.message = message
        self.on_con_lost = on_con_lost
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport
        print("Send:", self.message)
        self.transport.sendto(self.message.encode())

    def datagram_received(self, data, addr):
        print("Received:", data.decode())
        print("Close the socket")
        self.transport.close()

    def error_received(self, exc):
        print("Error received:", exc)

    def connection_lost(self, exc):
        print("Connection closed")
        self.on_con_lost.set_result(True)

def echo(server):
    data, address = server.recvfrom(100)
    server.sendto(data, address)

async def main(address):
    loop = aio.get_running_loop()
    on_con_lost = loop.create_future()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: EchoClientProtocol("Hello World!", on_con_lost), remote_addr=address
    )
    try:
        await on_con_lost
    finally:
        transport.close()

with socket.socket(type=socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", 0))
    server.settimeout(5)
    answering = Thread(target=echo, args=(server,))
    answering.start()
    loop = make_loop()
    loop.run_until_complete(main(server.getsockname()))
    loop.close()
    answering.join()
"""


@requirement("examples/udp-echo-server")
def test_the_echo_server_of_the_documentation_sends_back_what_it_received(run_program: Any) -> None:
    finished = run_program(ECHO_SERVER)
    assert finished.stderr == ""
    assert sorted(finished.stdout.splitlines()) == sorted(
        [
            "Starting UDP server",
            "Received 'Hello World!' from 127.0.0.1",
            "Send 'Hello World!' to 127.0.0.1",
            "Answered b'Hello World!'",
        ]
    )


@requirement("examples/udp-echo-client")
def test_the_echo_client_of_the_documentation_closes_when_it_has_its_answer(run_program: Any) -> None:
    finished = run_program(ECHO_CLIENT)
    assert finished.stderr == ""
    assert finished.stdout.splitlines() == [
        "Send: Hello World!",
        "Received: Hello World!",
        "Close the socket",
        "Connection closed",
    ]
