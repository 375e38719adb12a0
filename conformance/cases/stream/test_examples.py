"""What the example programs of the stream page do, done by programs of our own against plain blocking sockets."""

from __future__ import annotations

import socket
import urllib.parse
from typing import TYPE_CHECKING, Any

from conformance.support.certificates import over_tls, trusting_context
from conformance.support.connections import NAME, Remote
from conformance.support.marks import requirement
from conformance.support.peers import HOST, accepting, read_until_eof
from conformance.support.waiting import turns

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

MESSAGE = "Hello World!"
# Of a message of the examples; what is longer than that is cut.
LONGEST_MESSAGE = 100


def echo_once(connection: socket.socket) -> bytes:
    """Send the first message back, and take what comes after it."""
    connection.sendall(connection.recv(LONGEST_MESSAGE))
    return read_until_eof(connection)


async def send_and_receive(aio: Any, address: tuple[str, int], message: str) -> str:
    """The example client: send a message, print the answer, close."""
    reader, writer = await aio.open_connection(*address)
    writer.write(message.encode())
    await writer.drain()
    data = await reader.read(LONGEST_MESSAGE)
    writer.close()
    await writer.wait_closed()
    return str(data.decode())


@requirement("examples/stream-page")
async def test_the_introductory_client_gets_its_message_back(loop: AbstractEventLoop, aio: Any) -> None:
    with accepting(echo_once) as peer:
        assert await send_and_receive(aio, peer.address, MESSAGE) == MESSAGE
        assert await peer.outcome(loop) == b""


@requirement("examples/tcp-echo-client-using-streams")
def test_the_echo_client_runs_from_beginning_to_end(loop: AbstractEventLoop, aio: Any) -> None:
    with accepting(echo_once) as peer:
        main = send_and_receive(aio, peer.address, MESSAGE)
        assert loop.run_until_complete(main) == MESSAGE
        assert loop.run_until_complete(peer.outcome(loop)) == b""


@requirement("examples/tcp-echo-server-using-streams")
async def test_the_echo_server_serves_for_ever_until_it_is_stopped(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[tuple[bytes, Any]] = []

    async def handle_echo(reader: Any, writer: Any) -> None:
        data = await reader.read(LONGEST_MESSAGE)
        seen.append((data, writer.get_extra_info("peername")))
        writer.write(data)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await aio.start_server(handle_echo, HOST, 0)
    addresses = [sock.getsockname() for sock in server.sockets]

    async def serve() -> None:
        async with server:
            await server.serve_forever()

    serving = loop.create_task(serve())
    clients = []
    for number in range(3):
        client = Remote(loop, socket.create_connection(addresses[0]))
        message = b"%s %d" % (MESSAGE.encode(), number)
        clients.append((message, client.sock.getsockname()))
        await client.send(message)
        assert await client.read_until_eof() == message
        client.clean_up()
    assert seen == clients
    assert serving.done() is False
    serving.cancel()
    await aio.wait([serving])
    assert (serving.cancelled(), server.is_serving()) == (True, False)
    await turns(loop)


HEADERS = ["HTTP/1.1 200 OK", "Content-Type: text/plain", "Content-Length: 4"]


def answer_head(connection: socket.socket) -> bytes:
    """Answer an HTTP request with headers and a body."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += connection.recv(LONGEST_MESSAGE)
    connection.sendall("".join(f"{line}\r\n" for line in HEADERS).encode() + b"\r\nbody")
    return request


async def http_headers(aio: Any, url: str, **options: Any) -> list[str]:
    """The example client: the lines of the answer's head."""
    parts = urllib.parse.urlsplit(url)
    reader, writer = await aio.open_connection(parts.hostname, parts.port, **options)
    writer.write(f"HEAD {parts.path or '/'} HTTP/1.0\r\nHost: {parts.hostname}\r\n\r\n".encode("latin-1"))
    lines = []
    while line := (await reader.readline()).decode("latin-1").rstrip():
        lines.append(line)
    # The body is of no interest.
    writer.close()
    await writer.wait_closed()
    return lines


@requirement("examples/get-http-headers")
async def test_the_headers_of_an_http_answer_are_read(loop: AbstractEventLoop, aio: Any) -> None:
    with accepting(answer_head) as peer:
        assert await http_headers(aio, f"http://{HOST}:{peer.address[1]}/path") == HEADERS
        assert await peer.outcome(loop) == f"HEAD /path HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode()


@requirement("examples/get-http-headers", "open_connection/accepts-ssl-handshake-timeout-keyword")
async def test_the_headers_of_an_https_answer_are_read(loop: AbstractEventLoop, aio: Any) -> None:
    with accepting(over_tls(answer_head)) as peer:
        url = f"https://{HOST}:{peer.address[1]}/path"
        options = {"ssl": trusting_context(), "server_hostname": NAME, "ssl_handshake_timeout": 60.0}
        assert await http_headers(aio, url, **options) == HEADERS
        assert await peer.outcome(loop) == f"HEAD /path HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode()


@requirement("examples/register-an-open-socket-to-wait-for-data-using-streams")
async def test_data_is_awaited_on_a_socket_that_is_open_already(loop: AbstractEventLoop, aio: Any) -> None:
    read_end, write_end = socket.socketpair()
    with write_end:
        reader, writer = await aio.open_connection(sock=read_end)
        # The data comes while the reader waits.
        loop.call_soon(write_end.send, b"abc")
        assert await reader.read(100) == b"abc"
        writer.close()
        await writer.wait_closed()
        assert read_end.fileno() == -1
