"""What a program gets to see of the socket that a transport or a server owns: everything but reading and writing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import socket


class TransportSocket:
    """A socket whose options and addresses can be looked at and set, while the bytes are the transport's.

    Keeps: BaseTransport.get_extra_info/returns-queryable-socket, Server.sockets/holds-transport-sockets.
    """

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    @property
    def family(self) -> int:
        """The address family, as `socket.AF_INET`."""
        return self._sock.family

    @property
    def type(self) -> int:
        """The kind, as `socket.SOCK_STREAM`."""
        return self._sock.type

    @property
    def proto(self) -> int:
        """The protocol number."""
        return self._sock.proto

    def fileno(self) -> int:
        """Return the descriptor, -1 once the socket is closed."""
        return self._sock.fileno()

    def dup(self) -> socket.socket:
        """Return a socket of the caller's own for the same connection."""
        return self._sock.dup()

    def get_inheritable(self) -> bool:
        """Return whether child processes inherit the descriptor."""
        return self._sock.get_inheritable()

    def getsockname(self) -> Any:
        """Return the socket's own address."""
        return self._sock.getsockname()

    def getpeername(self) -> Any:
        """Return the other end's address."""
        return self._sock.getpeername()

    def getsockopt(self, *args: Any) -> Any:
        """Return the value of an option; see `socket.socket.getsockopt()`."""
        return self._sock.getsockopt(*args)

    def setsockopt(self, *args: Any) -> None:
        """Set an option; see `socket.socket.setsockopt()`."""
        self._sock.setsockopt(*args)

    def shutdown(self, how: int) -> None:
        """Shut one direction of the connection or both; what the transport has buffered for it is lost."""
        self._sock.shutdown(how)

    def gettimeout(self) -> float:
        """Return 0.0: it never blocks."""
        return 0.0

    def settimeout(self, value: float | None) -> None:
        """Accept 0 only; `ValueError` for a time to block."""
        if value != 0:
            raise ValueError("the socket of a transport cannot be made to block: only a timeout of 0 is possible")

    def setblocking(self, flag: bool) -> None:
        """Accept False only; `ValueError` for True."""
        if flag:
            raise ValueError("the socket of a transport cannot be made to block")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a transport's socket cannot be pickled or copied")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TransportSocket) and other._sock is self._sock

    def __hash__(self) -> int:
        return hash(self._sock)

    def __repr__(self) -> str:
        shown = f"{type(self).__name__} fd={self.fileno()} family={self.family!s} type={self.type!s} proto={self.proto}"
        for word, ask in (("laddr", self.getsockname), ("raddr", self.getpeername)):
            try:
                shown += f" {word}={ask()}"
            except OSError:
                pass
        return f"<{shown}>"


def socket_info(sock: socket.socket, name: str) -> Any:
    """Return what `get_extra_info()` says of a socket under `name`: None when unknown or when the system has no answer.

    Keeps: BaseTransport.get_extra_info/offers-socket-keys, BaseTransport.get_extra_info/returns-none-peername-on-error,
    BaseTransport.get_extra_info/returns-own-address-sockname.
    """
    if name == "socket":
        return TransportSocket(sock)
    try:
        if name == "sockname":
            return sock.getsockname()
        if name == "peername":
            return sock.getpeername()
    except OSError:
        pass
    return None
