"""dnspython's resolver for asyncio asks a small name server, which answers by UDP and TCP on the same loop."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("dns", reason="needs the `dev` extra: dnspython is not installed")

import dns.asyncquery
import dns.asyncresolver
import dns.flags
import dns.message
import dns.nameserver
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

# The longest that a question may go without an answer in a test that expects one.
SECONDS_TO_ANSWER = 20

ATTEMPTS_TO_FIND_A_PORT = 5

RECORDS = {
    ("www.example.", "A"): ["192.0.2.1", "192.0.2.2"],
    ("www.example.", "AAAA"): ["2001:db8::1"],
    ("example.", "MX"): ["10 mail.example."],
    # More than a datagram takes: the answer is cut, and the resolver asks again by TCP.
    ("large.example.", "TXT"): [f'"{number:03} {"x" * 200}"' for number in range(100)],
} | {(f"host{number}.example.", "A"): [f"192.0.2.{number}"] for number in range(100)}

LONGEST_DATAGRAM = 512


def answer(question: bytes, by_datagram: bool) -> bytes:
    """Return the answer to a question, both as they go over the wire."""
    query = dns.message.from_wire(question)
    response = dns.message.make_response(query)
    asked = query.question[0]
    values = RECORDS.get((asked.name.to_text(), dns.rdatatype.to_text(asked.rdtype)))
    if values is None:
        response.set_rcode(dns.rcode.NXDOMAIN)
    else:
        response.answer.append(dns.rrset.from_text(asked.name, 60, "IN", asked.rdtype, *values))
    wire = response.to_wire()
    if by_datagram and len(wire) > LONGEST_DATAGRAM:
        response.answer.clear()
        response.flags |= dns.flags.TC
        wire = response.to_wire()
    return wire


class DatagramResponder(asyncio.DatagramProtocol):
    """Answers questions that come by UDP, or hears them in silence."""

    def __init__(self, silent: bool = False) -> None:
        self.silent = silent
        self.questions = 0

    def connection_made(self, transport: Any) -> None:
        """Keep the transport to answer by."""
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer."""
        self.questions += 1
        if not self.silent:
            self.transport.sendto(answer(data, by_datagram=True), addr)


class StreamResponder:
    """Answers questions that come by TCP."""

    def __init__(self) -> None:
        self.questions = 0
        self.connections: list[asyncio.Task[None]] = []

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        self.connections.append(asyncio.create_task(self.serve(reader, writer)))

    async def finish(self) -> None:
        """Wait until every connection has ended, which the clients see to."""
        await asyncio.gather(*self.connections)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer every question of a connection."""
        try:
            while True:
                try:
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                except asyncio.IncompleteReadError:
                    return
                self.questions += 1
                wire = answer(await reader.readexactly(length), by_datagram=False)
                writer.write(struct.pack("!H", len(wire)) + wire)
                await writer.drain()
        finally:
            writer.close()
            await writer.wait_closed()


@asynccontextmanager
async def name_server() -> AsyncIterator[tuple[int, DatagramResponder, StreamResponder]]:
    """Serve on the same port by UDP and TCP."""
    by_stream = StreamResponder()
    loop = asyncio.get_running_loop()
    for attempt in range(ATTEMPTS_TO_FIND_A_PORT):
        server = await asyncio.start_server(by_stream, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        try:
            transport, by_datagram = await loop.create_datagram_endpoint(DatagramResponder, address)
            break
        except OSError:
            # Somebody else uses the port for datagrams.
            server.close()
            if attempt == ATTEMPTS_TO_FIND_A_PORT - 1:
                raise
    async with server:
        yield address[1], by_datagram, by_stream
        await by_stream.finish()
        transport.close()


def resolver_of(*ports: int) -> dns.asyncresolver.Resolver:
    """Return a resolver that knows the name servers at these ports, and nothing of this machine's configuration."""
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver("127.0.0.1", port) for port in ports]
    resolver.lifetime = SECONDS_TO_ANSWER
    return resolver


async def test_names_have_addresses_and_other_records() -> None:
    async with name_server() as (port, by_datagram, by_stream):
        resolver = resolver_of(port)
        for (name, kind), values in list(RECORDS.items())[:3]:
            found = await resolver.resolve(name, kind)
            assert sorted(record.to_text() for record in found) == values
    assert (by_datagram.questions, by_stream.questions) == (3, 0)


async def test_an_answer_too_large_for_a_datagram_is_asked_for_by_tcp() -> None:
    async with name_server() as (port, by_datagram, by_stream):
        found = await resolver_of(port).resolve("large.example.", "TXT")
    assert sorted(record.to_text() for record in found) == RECORDS["large.example.", "TXT"]
    assert (by_datagram.questions, by_stream.questions) == (1, 1)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_many_questions_are_answered_at_once(tcp: bool) -> None:
    async with name_server() as (port, by_datagram, by_stream):
        resolver = resolver_of(port)
        answers = await asyncio.gather(*(resolver.resolve(f"host{number}.example.", tcp=tcp) for number in range(100)))
    assert [found[0].to_text() for found in answers] == [f"192.0.2.{number}" for number in range(100)]
    assert (by_stream if tcp else by_datagram).questions == 100


async def test_a_name_that_is_not_there_is_an_error() -> None:
    async with name_server() as (port, *_):
        with pytest.raises(dns.resolver.NXDOMAIN):
            await resolver_of(port).resolve("nobody.example.")


async def test_a_silent_server_costs_its_time_and_the_next_one_is_asked() -> None:
    loop = asyncio.get_running_loop()
    transport, silent = await loop.create_datagram_endpoint(lambda: DatagramResponder(True), ("127.0.0.1", 0))
    silent_port = transport.get_extra_info("sockname")[1]
    async with name_server() as (port, *_):
        resolver = resolver_of(silent_port, port)
        resolver.timeout = 0.05
        found = await resolver.resolve("www.example.", lifetime=SECONDS_TO_ANSWER)
        assert len(found) == 2
        with pytest.raises(dns.resolver.LifetimeTimeout):
            await resolver_of(silent_port).resolve("www.example.", lifetime=0.05)
    assert silent.questions == 2
    transport.close()


async def test_a_question_goes_through_tls(server_context: ssl.SSLContext, client_context: ssl.SSLContext) -> None:
    responder = StreamResponder()
    query = dns.message.make_query("www.example.", "A")
    async with await asyncio.start_server(responder, "127.0.0.1", 0, ssl=server_context) as server:
        port = server.sockets[0].getsockname()[1]
        response = await dns.asyncquery.tls(
            query, "127.0.0.1", SECONDS_TO_ANSWER, port, ssl_context=client_context, server_hostname="127.0.0.1"
        )
        await responder.finish()
    assert sorted(record.to_text() for record in response.answer[0]) == ["192.0.2.1", "192.0.2.2"]
    assert responder.questions == 1
