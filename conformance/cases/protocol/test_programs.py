"""The page's example programs for streams: an echo client, an echo server, a socket that was connected before."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from conformance.support.marks import requirement
from conformance.support.peers import HOST, accepting, read_once
from conformance.support.threads import in_thread, run_beside
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

MESSAGE = "Hello World!"


@requirement("examples/tcp-echo-client")
def test_an_echo_client_sends_receives_and_waits_for_the_end(loop: AbstractEventLoop, aio: Any) -> None:
    printed: list[str] = []

    class EchoClient(aio.Protocol):  # type: ignore[misc]
        def __init__(self, on_con_lost: Any) -> None:
            self.on_con_lost = on_con_lost

        def connection_made(self, transport: Any) -> None:
            transport.write(MESSAGE.encode())
            printed.append(f"sent {MESSAGE}")

        def data_received(self, data: bytes) -> None:
            printed.append(f"received {data.decode()}")

        def connection_lost(self, _exc: BaseException | None) -> None:
            printed.append("the server closed the connection")
            self.on_con_lost.set_result(True)

    def echo(connection: socket.socket) -> None:
        connection.sendall(read_once(connection))

    async def main(address: Any) -> None:
        on_con_lost = aio.get_running_loop().create_future()
        transport, _ = await aio.get_running_loop().create_connection(lambda: EchoClient(on_con_lost), *address)
        try:
            await on_con_lost
        finally:
            transport.close()

    with accepting(echo) as peer:
        loop.run_until_complete(main(peer.address))
    assert printed == [f"sent {MESSAGE}", f"received {MESSAGE}", "the server closed the connection"]


@requirement("examples/tcp-echo-server")
def test_an_echo_server_answers_its_clients_and_closes_each(loop: AbstractEventLoop, aio: Any) -> None:
    printed: list[str] = []

    class EchoServer(aio.Protocol):  # type: ignore[misc]
        transport: Any

        def connection_made(self, transport: Any) -> None:
            printed.append("connection" if transport.get_extra_info("peername") else "unknown")
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            printed.append(data.decode())
            self.transport.write(data)
            self.transport.close()

    async def start() -> Any:
        server = await aio.get_running_loop().create_server(EchoServer, HOST, 0)
        return server, loop.create_task(serve(server))

    async def serve(server: Any) -> None:
        async with server:
            await server.serve_forever()

    async def stop(serving: Any) -> None:
        serving.cancel()
        await aio.gather(serving, return_exceptions=True)

    def ask(address: Any) -> list[bytes]:
        answers = []
        for number in range(3):
            with socket.create_connection(address, GENEROUS) as client:
                client.sendall(b"message %d" % number)
                answers.append(b"".join(iter(lambda: client.recv(100), b"")))
        return answers

    server, serving = loop.run_until_complete(start())
    address = server.sockets[0].getsockname()
    answers = run_beside(loop, lambda: ask(address))
    loop.run_until_complete(stop(serving))
    assert answers == [b"message 0", b"message 1", b"message 2"]
    assert printed == ["connection", "message 0", "connection", "message 1", "connection", "message 2"]


@requirement("examples/connecting-existing-sockets")
def test_a_socket_that_was_connected_before_gets_a_protocol(loop: AbstractEventLoop, aio: Any) -> None:
    printed: list[str] = []

    class Reads(aio.Protocol):  # type: ignore[misc]
        def __init__(self, on_con_lost: Any) -> None:
            self.on_con_lost = on_con_lost

        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            printed.append(f"received {data.decode()}")
            self.transport.close()

        def connection_lost(self, _exc: BaseException | None) -> None:
            self.on_con_lost.set_result(True)

    async def main() -> None:
        running = aio.get_running_loop()
        on_con_lost = running.create_future()
        rsock, wsock = socket.socketpair()
        transport, _ = await running.create_connection(lambda: Reads(on_con_lost), sock=rsock)
        running.call_soon(wsock.send, b"abc")
        try:
            await on_con_lost
        finally:
            transport.close()
            wsock.close()

    loop.run_until_complete(main())
    assert printed == ["received abc"]
    assert in_thread(lambda: loop.is_running()) is False
