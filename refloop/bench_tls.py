"""The rows of `refloop.bench` about TLS: the loop serves, and a process of its own plays the clients.

Only the serving process's CPU time counts. Needs `trustme`, of the `dev` extra, for a certificate.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import socket
import ssl
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from refloop.bench import Bench

CLIENTS = 20

SMALL = 1024
LARGE = 100 * 1024


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


def tls_echo(bench: Bench, size: int) -> None:
    """`size` bytes to and fro, 20 clients."""
    loop = bench.loop
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    importlib.import_module("trustme").CA().issue_cert("localhost").configure_cert(context)
    left = [None] * CLIENTS
    server = loop.run_until_complete(loop.create_server(lambda: Echo(loop, left), "127.0.0.1", 0, ssl=context))
    port = server.sockets[0].getsockname()[1]
    clients = subprocess.Popen(
        [sys.executable, "-m", "refloop.bench_tls", *map(str, (port, CLIENTS, size, bench.operations // CLIENTS))]
    )
    loop.run_forever()
    server.close()
    clients.wait()


ROWS: dict[str, tuple[Callable[[Bench], float | None], int]] = {}
if importlib.util.find_spec("trustme"):
    ROWS["TLS echo 1 KiB"] = (partial(tls_echo, size=SMALL), 20_000)
    ROWS["TLS echo 100 KiB"] = (partial(tls_echo, size=LARGE), 2_000)


def play_echo(port: int, number: int, size: int, rounds: int) -> None:
    """Send and receive `size` bytes over each of `number` connections in turn, `rounds` times."""
    message = b"x" * size
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    opened = []
    for _ in range(number):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.append(context.wrap_socket(sock))
    for _ in range(rounds):
        for client in opened:
            client.sendall(message)
        for client in opened:
            left = size
            while left:
                left -= len(client.recv(left))
    for client in opened:
        client.unwrap().close()


if __name__ == "__main__":
    play_echo(*map(int, sys.argv[1:]))
