"""The rows of `refloop.bench` about connections: the loop serves, and a process of its own plays the clients.

Only the serving process's CPU time counts.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import selectors
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from refloop.bench import Bench

CLIENTS = 100

# Connections that a client opens before it closes them.
CONNECTIONS_AT_ONCE = 50

# Connections that may wait; clients that find no room try again after a second.
ROOM = 4096

SMALL = 1024
LARGE = 100 * 1024

# Datagrams under way at once: few enough for the socket's buffer, which drops what it has no room for.
DATAGRAM_CLIENTS = 20


def start_clients(kind: str, address: Any, *numbers: int) -> subprocess.Popen[bytes]:
    """Start a process that plays the clients `kind`."""
    return subprocess.Popen([sys.executable, "-m", "refloop.bench_io", kind, str(address[1]), *map(str, numbers)])


class Echo(asyncio.Protocol):
    """Sends back what it receives; the loop stops with the last connection."""

    def __init__(self, loop: Any, left: list[None]) -> None:
        self.loop = loop
        self.left = left

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, exc: BaseException | None) -> None:  # noqa: ARG002 - documented name
        self.left.pop()
        if not self.left:
            self.loop.stop()


def _tcp_echo(bench: Bench, size: int) -> None:
    loop = bench.loop
    left = [None] * CLIENTS
    server = loop.run_until_complete(loop.create_server(lambda: Echo(loop, left), "127.0.0.1", 0))
    clients = start_clients("echo", server.sockets[0].getsockname(), CLIENTS, size, bench.operations // CLIENTS)
    loop.run_forever()
    server.close()
    clients.wait()


def tcp_echo_small(bench: Bench) -> None:
    """1 KiB to and fro, 100 clients."""
    _tcp_echo(bench, SMALL)


def tcp_echo_large(bench: Bench) -> None:
    """100 KiB to and fro, 100 clients."""
    _tcp_echo(bench, LARGE)


def streams_echo(bench: Bench) -> None:
    """1 KiB to and fro through a stream reader and writer, 100 clients."""
    loop = bench.loop
    left = CLIENTS

    async def serve(reader: Any, writer: Any) -> None:
        nonlocal left
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
        left -= 1
        if not left:
            loop.stop()

    async def start() -> Any:
        return await bench.aio.start_server(serve, "127.0.0.1", 0)

    server = loop.run_until_complete(start())
    clients = start_clients("echo", server.sockets[0].getsockname(), CLIENTS, SMALL, bench.operations // CLIENTS)
    loop.run_forever()
    server.close()
    clients.wait()


def sock_echo(bench: Bench) -> None:
    """1 KiB to and fro through `sock_recv()` and `sock_sendall()`, 100 clients."""
    loop = bench.loop

    async def serve(sock: socket.socket) -> None:
        with sock:
            while data := await loop.sock_recv(sock, 65536):
                await loop.sock_sendall(sock, data)

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            clients = start_clients("echo", listening.getsockname(), CLIENTS, SMALL, bench.operations // CLIENTS)
            tasks = [loop.create_task(serve((await loop.sock_accept(listening))[0])) for _ in range(CLIENTS)]
            for task in tasks:
                await task
            clients.wait()

    loop.run_until_complete(main())


def udp_echo(bench: Bench) -> None:
    """Datagrams of 1 KiB to and fro, 20 clients."""
    loop = bench.loop

    class EchoDatagrams(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            if data == b"stop":
                loop.stop()
            self.transport.sendto(data, addr)

    making = loop.create_datagram_endpoint(EchoDatagrams, local_addr=("127.0.0.1", 0))
    transport, _ = loop.run_until_complete(making)
    clients = start_clients(
        "datagrams",
        transport.get_extra_info("sockname"),
        DATAGRAM_CLIENTS,
        SMALL,
        bench.operations // DATAGRAM_CLIENTS,
    )
    loop.run_forever()
    transport.abort()
    loop.run_until_complete(asyncio.sleep(0))
    clients.wait()


def new_connections(bench: Bench) -> None:
    """Connections that begin and end."""
    loop = bench.loop
    left = [None] * (bench.operations // CONNECTIONS_AT_ONCE * CONNECTIONS_AT_ONCE)
    server = loop.run_until_complete(loop.create_server(lambda: Echo(loop, left), "127.0.0.1", 0, backlog=ROOM))
    clients = start_clients("connect", server.sockets[0].getsockname(), len(left))
    loop.run_forever()
    server.close()
    clients.wait()


def memory_per_connection(bench: Bench) -> float:
    """Bytes of memory that an idle connection takes."""
    loop = bench.loop
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    begun = 0

    class Idle(asyncio.Protocol):
        __slots__ = ("transport",)

        def connection_made(self, transport: Any) -> None:
            nonlocal begun
            self.transport = transport
            begun += 1
            if begun == bench.operations:
                loop.stop()

    server = loop.run_until_complete(loop.create_server(Idle, "127.0.0.1", 0, backlog=ROOM))
    gc.collect()
    before = resident()
    clients = start_clients("idle", server.sockets[0].getsockname(), bench.operations)
    loop.run_forever()
    loop.run_until_complete(asyncio.sleep(0.1))
    gc.collect()
    taken = (resident() - before) / bench.operations
    clients.kill()
    clients.wait()
    server.close()
    loop.run_until_complete(asyncio.sleep(0.5))
    return taken


def resident() -> int:
    """Return the bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


ROWS: dict[str, tuple[Callable[[Bench], float | None], int]] = {
    "TCP echo 1 KiB": (tcp_echo_small, 60_000),
    "TCP echo 100 KiB": (tcp_echo_large, 10_000),
    "streams echo": (streams_echo, 40_000),
    "sock_* echo": (sock_echo, 40_000),
    "UDP echo": (udp_echo, 40_000),
    "new connections": (new_connections, 5_000),
    "memory per idle connection": (memory_per_connection, 10_000),
}


# The clients


def play_echo(port: int, number: int, size: int, rounds: int) -> None:
    """Send and receive `size` bytes over each of `number` connections, `rounds` times."""
    message = b"x" * size
    selector = selectors.DefaultSelector()
    for _ in range(number):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(message)
        selector.register(sock, selectors.EVENT_READ, [size, rounds])
    while selector.get_map():
        for key, _ in selector.select():
            ready, state = key.fileobj, key.data
            assert isinstance(ready, socket.socket)
            state[0] -= len(ready.recv(state[0]))
            if not state[0]:
                state[:] = [size, state[1] - 1]
                if state[1]:
                    ready.sendall(message)
                else:
                    selector.unregister(ready)
                    ready.close()


def play_datagrams(port: int, number: int, size: int, rounds: int) -> None:
    """Send a datagram from each of `number` sockets and wait for them to come back, `rounds` times."""
    message = b"x" * size
    socks = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(number)]
    for sock in socks:
        sock.connect(("127.0.0.1", port))
    for _ in range(rounds):
        for sock in socks:
            sock.send(message)
        for sock in socks:
            sock.recv(65536)
    socks[0].send(b"stop")
    for sock in socks:
        sock.close()


def play_connect(port: int, number: int) -> None:
    """Open and close connections."""
    for _ in range(number // CONNECTIONS_AT_ONCE):
        opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS_AT_ONCE)]
        for sock in opened:
            sock.close()


def play_idle(port: int, number: int) -> None:
    """Open connections and do nothing with them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(number)]
    opened[0].recv(1)


if __name__ == "__main__":
    roles: dict[str, Callable[..., None]] = {
        "echo": play_echo, "datagrams": play_datagrams, "connect": play_connect, "idle": play_idle,
    }  # fmt: skip
    roles[sys.argv[1]](*map(int, sys.argv[2:]))
