"""The other end of a connection: plain blocking sockets in threads, addresses that refuse, names that do not resolve.

Nothing here uses a loop or the network: every address is the machine's own. What waits does so for ``GENEROUS`` seconds
at most, so a target that never comes or never goes ends its case, and no thread outlives its ``with`` block.
"""

from __future__ import annotations

import socket
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from conformance.support.threads import result_of
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

T = TypeVar("T")

HOST = "127.0.0.1"
HOST_6 = "::1"
# More than the kernel buffers for a socket pair or a local connection, so that a sender has to wait for its peer.
MORE_THAN_BUFFERED = 8 * 1024 * 1024
# The same for `socket_pair`, whose buffers are asked to have a sixteenth of it each; Linux makes that an eighth.
MORE_THAN_A_PAIR_HOLDS = 1024 * 1024
CHUNK = 64 * 1024
# Two sockets of different families are to get the same port; some other process may have one half of it.
ATTEMPTS = 20

# Host and keywords with which getaddrinfo() fails at once and without asking any server: a name where only a number
# may stand, and a number of the wrong family.
UNRESOLVABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "name": ("no.such.name.invalid", {"flags": socket.AI_NUMERICHOST}),
    "family": (HOST_6, {"family": socket.AF_INET}),
}


class Peer(Generic[T]):
    """A thread that accepts one connection on ``address`` and serves it."""

    def __init__(self, listener: socket.socket, serve: Callable[[socket.socket], T]) -> None:
        self.address = listener.getsockname()
        self._listener = listener
        self._serve = serve
        self._connection: socket.socket | None = None
        self._pool = ThreadPoolExecutor(1)
        self._job: Future[T] = self._pool.submit(self._work)

    def _work(self) -> T:
        self._connection, _ = self._listener.accept()
        with self._connection as connection:
            connection.settimeout(GENEROUS)
            send_at_once(connection)
            return self._serve(connection)

    async def outcome(self, loop: AbstractEventLoop) -> T:
        """Wait, while ``loop`` runs, until the connection has been served; what the service gave or raised."""
        return await result_of(loop, self._job)

    def end(self) -> None:
        """End the thread: at once, also when a target that failed leaves it waiting."""
        for sock in self._listener, self._connection:
            if sock is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        self._pool.shutdown()


@contextmanager
def accepting(serve: Callable[[socket.socket], T], listener: socket.socket | None = None) -> Iterator[Peer[T]]:
    """Accept one connection in a thread and call ``serve(connection)`` there; its socket is closed when that returns.

    ``listener`` is a listening socket; without one, the peer listens on a free port of 127.0.0.1.
    """
    with listener or socket.create_server((HOST, 0)) as listening:
        listening.settimeout(GENEROUS)
        peer = Peer(listening, serve)
        try:
            yield peer
        finally:
            peer.end()


def send_at_once(sock: socket.socket) -> None:
    """Keep a peer from holding its second small message back until the first is acknowledged: that takes TCP 40 ms."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def read_once(connection: socket.socket) -> bytes:
    """The next bytes that come: all of a short message, whether or not the other end knows how to close."""
    return connection.recv(CHUNK)


def read_until_eof(connection: socket.socket) -> bytes:
    """Everything that the other end sends until it closes."""
    return b"".join(iter(lambda: connection.recv(CHUNK), b""))


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port of the loopback addresses on which nobody listens, and nobody else can begin to, in the block."""
    for _ in range(ATTEMPTS):
        with socket.socket() as holder:
            holder.bind((HOST, 0))
            port = holder.getsockname()[1]
            try:
                other = _hold_ipv6(port)
            except OSError:
                continue
            with other:
                yield port
                return
    raise AssertionError(f"no port is free on both {HOST} and {HOST_6} after {ATTEMPTS} attempts")


def _hold_ipv6(port: int) -> socket.socket:
    """A socket bound to the IPv6 loopback address; an unbound one on a machine without."""
    if not has_ipv6():
        return socket.socket()
    holder = socket.socket(socket.AF_INET6)
    try:
        holder.bind((HOST_6, port))
    except OSError:
        holder.close()
        raise
    return holder


def has_ipv6() -> bool:
    """Whether this machine has the IPv6 loopback address."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind((HOST_6, 0))
    except OSError:
        return False
    return True


def host_of_both_families() -> Any:
    """A host with an IPv4 and an IPv6 address, both of this machine; raises LookupError where there is none.

    ``localhost`` if it has both; else ``None``, for which getaddrinfo() gives the loopback address of every family.
    """
    for host in "localhost", None:
        with suppress(OSError):
            found = {family for family, *_ in socket.getaddrinfo(host, 1, type=socket.SOCK_STREAM)}
            if {socket.AF_INET, socket.AF_INET6} <= found:
                return host
    raise LookupError("this machine has no name with an IPv4 and an IPv6 address")


@contextmanager
def socket_path() -> Iterator[Path]:
    """A path in a fresh folder, short enough for a Unix socket (108 bytes, pytest's own folders may exceed them)."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        yield Path(folder) / "socket"


@contextmanager
def refusing_path(*, stale: bool) -> Iterator[Path]:
    """The path of a Unix socket on which nobody listens; ``stale``: the socket that made it is closed already."""
    with socket_path() as path, socket.socket(socket.AF_UNIX) as holder:
        holder.bind(str(path))
        if stale:
            holder.close()
        yield path


@contextmanager
def socket_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected stream sockets: the first non-blocking, for the target; the second for the case, with a timeout."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for sock in ours, theirs:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MORE_THAN_A_PAIR_HOLDS // 16)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MORE_THAN_A_PAIR_HOLDS // 16)
        ours.setblocking(False)
        theirs.settimeout(GENEROUS)
        yield ours, theirs
