"""Listening sockets that answer as a case needs: at two addresses of one host, or too full for connecting to end."""

from __future__ import annotations

import select
import socket
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from conformance.support.peers import ATTEMPTS, HOST, HOST_6, host_of_both_families

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESSES = {socket.AF_INET: HOST, socket.AF_INET6: HOST_6}
# The state of a connection that nobody has answered yet, as Linux numbers it in /proc/net/tcp and /proc/net/tcp6.
SYN_SENT = "02"
# Offset of tcpi_sacked in Linux's struct tcp_info: of a listening socket, how many connections may wait.
BACKLOG_AT = 28


class Twins(NamedTuple):
    """Two sockets bound to one port, at the two addresses of ``host``: ``first`` is the one that resolving puts first.

    ``second`` listens. The case decides what ``first`` does: nothing yet, so that it refuses.
    """

    host: Any
    port: int
    first: socket.socket
    second: socket.socket


@contextmanager
def twins() -> Iterator[Twins]:
    """Make them; skips the case on a machine without a host of two families."""
    try:
        host = host_of_both_families()
    except LookupError as error:
        pytest.skip(str(error))
    found = socket.getaddrinfo(host, 1, type=socket.SOCK_STREAM)
    families = list(dict.fromkeys(family for family, *_ in found))
    for _ in range(ATTEMPTS):
        with ExitStack() as stack:
            first, second = (stack.enter_context(socket.socket(family)) for family in families)
            first.bind((ADDRESSES[first.family], 0))
            port = first.getsockname()[1]
            try:
                second.bind((ADDRESSES[second.family], port))
            except OSError:
                continue
            second.listen()
            yield Twins(host, port, first, second)
            return
    raise AssertionError(f"no port is free at both addresses of {host!r} after {ATTEMPTS} attempts")


@contextmanager
def overfull(sock: socket.socket) -> Iterator[None]:
    """Let a bound socket listen, with its queue filled: whoever connects now waits until the block ends.

    Skips the case where systems are not known to let them wait.
    """
    if sys.platform != "linux":
        pytest.skip("only Linux is known to let connections to a full queue wait")
    sock.listen(0)
    with ExitStack() as fillers:
        # A queue takes one more than it is said to, and PyPy says one where it is told none.
        for _ in range(backlog_of(sock) + 1):
            fillers.enter_context(socket.create_connection(sock.getsockname()[:2]))
        yield


def has_connection(listener: socket.socket) -> bool:
    """Whether a connection waits to be accepted."""
    return bool(select.select([listener], [], [], 0)[0])


def attempts_under_way(port: int) -> int:
    """How many connections to ``port`` are being made on this machine and unanswered. On Linux only."""
    lines = [line for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    rows = [line.split() for line in lines]
    # The list is not read in one piece: one that others' connections come into and leave may name the same twice.
    return len({(row[1], row[2]) for row in rows if row[3] == SYN_SENT and int(row[2].rpartition(":")[2], 16) == port})


def backlog_of(sock: Any) -> int:
    """How many connections may wait to be accepted by a listening TCP socket. On Linux only."""
    info: bytes = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, BACKLOG_AT + 4)
    return int.from_bytes(info[BACKLOG_AT:], sys.byteorder)
