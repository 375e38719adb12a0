"""Names of hosts whose addresses the case decides, and sockets that listen at some of these addresses.

A loop written in Python resolves by `socket.getaddrinfo()`, which can be made to answer for a name of the case's own. A
loop that resolves by other means cannot be told: its case is skipped, not failed.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.peers import ATTEMPTS, HOST_6, has_ipv6
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

NAME = "several.addresses.invalid"
"""The host that has the addresses of the case's choice."""

# Loopback addresses, of which Linux has as many as one likes; the IPv6 sockets reach the IPv4 ones behind the prefix.
IPV4 = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
IPV6 = ["::ffff:127.0.0.4", "::ffff:127.0.0.5", "::ffff:127.0.0.6"]
PREFIX = "::ffff:"


@contextmanager
def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[..., list[Any]]) -> Iterator[list[tuple[Any, ...]]]:
    """In the block, `socket.getaddrinfo()` for `NAME` is ``answer(host, port, family, type, proto, flags)``.

    Gives the list of such calls. Skips the case if there was none: this loop asks somebody else, which fails.
    """
    calls: list[tuple[Any, ...]] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:  # noqa: A002
        if host != NAME:
            return real(host, port, family, type, proto, flags)
        calls.append((host, port, family, type, proto, flags))
        return answer(host, port, family, type, proto, flags)

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        try:
            yield calls
        except socket.gaierror:
            if not calls:
                pytest.skip("this loop does not resolve by socket.getaddrinfo()")
            raise


def stream_infos(addresses: Sequence[str], port: int) -> list[Any]:
    """What `socket.getaddrinfo()` says of a host with these addresses, in their order."""
    return [
        (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0))
        if ":" in address
        else (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
        for address in addresses
    ]


@contextmanager
def listening_at(*addresses: str) -> Iterator[int]:
    """Listen at these of the addresses above, on one port that all the others refuse; gives the port.

    Skips the case on a machine without these addresses.
    """
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    for _ in range(ATTEMPTS):
        with ExitStack() as stack:
            try:
                port = _bind_all(stack, addresses)
            except _TakenError:
                continue
            yield port
            return
    raise AssertionError(f"no port is free at all of {IPV4 + IPV6} after {ATTEMPTS} attempts")


class _TakenError(Exception):
    """Some other process has the port at one of the addresses."""


def _bind_all(stack: ExitStack, listening: Sequence[str]) -> int:
    port = 0
    for address in IPV4 + IPV6:
        sock = stack.enter_context(socket.socket())
        try:
            sock.bind((address.removeprefix(PREFIX), port))
        except OSError:
            if port:
                raise _TakenError from None
            pytest.skip(f"this machine has no address {address}")
        if address in listening:
            sock.listen()
        port = sock.getsockname()[1]
    return port


@contextmanager
def loopback_of_both_families() -> Iterator[int]:
    """Listen at the loopback addresses of both families, on one port; gives the port."""
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    for _ in range(ATTEMPTS):
        with socket.create_server((IPV4[0], 0)) as one:
            one.settimeout(GENEROUS)
            port = one.getsockname()[1]
            with suppress(OSError), socket.create_server((HOST_6, port), family=socket.AF_INET6):
                yield port
                return
    raise AssertionError(f"no port is free at both loopback addresses after {ATTEMPTS} attempts")
