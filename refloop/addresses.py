"""Addresses: which ones a host and a port stand for, and in which order to try them."""

from __future__ import annotations

import socket
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

PROTOCOLS = {socket.SOCK_STREAM: socket.IPPROTO_TCP, socket.SOCK_DGRAM: socket.IPPROTO_UDP}


class AddressInfo(NamedTuple):
    """One answer of `socket.getaddrinfo()`."""

    family: int
    type: int
    proto: int
    canonical_name: str
    address: Any


async def resolve(
    loop: Any,
    address: tuple[Any, ...],
    *,
    family: int = 0,
    type: int,  # noqa: A002 - getaddrinfo()'s name for it
    proto: int = 0,
    flags: int = 0,
) -> list[AddressInfo]:
    """Return what the `(host, port, ...)` of `address` stands for.

    A numeric address stands for itself; any other host is asked for with `loop.getaddrinfo()`. `OSError` when there is
    no answer.

    Keeps: loop.create_connection/passes-address-hints-to-getaddrinfo,
    loop.create_server/passes-flags-to-getaddrinfo, loop.create_datagram_endpoint/passes-address-hints-to-getaddrinfo.
    """
    host, port = address[:2]
    numeric = numeric_address(host, port, family, type, proto, address[2:])
    if numeric is not None:
        return [numeric]
    found = [
        AddressInfo(*info)
        for info in await loop.getaddrinfo(host, port, family=family, type=type, proto=proto, flags=flags)
    ]
    if not found:
        raise OSError(f"getaddrinfo() returned no address for {host!r}")
    if len(address) > 2:
        found = [info._replace(address=with_further(info.address, address[2:])) for info in found]
    return found


def with_further(found: Any, given: tuple[Any, ...]) -> Any:
    """Return an IPv6 address with the flow information and scope that the caller gave, where that is not zero."""
    if len(found) == 2:
        return found
    return (*found[:2], *(mine or its for mine, its in zip_longest(given[:2], found[2:], fillvalue=0)))


def numeric_address(
    host: Any, port: Any, family: int, kind: int, proto: int, further: tuple[Any, ...] = ()
) -> AddressInfo | None:
    """Return what an IP address given in digits stands for; None when the system has to be asked.

    Asking takes a thread; for most programs that connect to an address in digits it would be their only one.
    """
    if not host or kind not in PROTOCOLS or proto not in (0, PROTOCOLS[socket.SocketKind(kind)]):
        return None
    if isinstance(port, (bytes, bytearray, str)):
        if not port.isdigit():
            return None
        port = int(port)
    elif port is None:
        port = 0
    if isinstance(host, bytes):
        try:
            host = host.decode("ascii")
        except UnicodeDecodeError:
            return None
    if "%" in host:
        # A scope by name.
        return None
    for candidate in (socket.AF_INET, socket.AF_INET6):
        if family in (0, candidate) and is_numeric(candidate, host):
            if candidate == socket.AF_INET:
                return AddressInfo(candidate, kind, PROTOCOLS[socket.SocketKind(kind)], "", (host, port))
            further = (*further, 0, 0)[:2] if len(further) < 2 else further[:2]
            return AddressInfo(candidate, kind, PROTOCOLS[socket.SocketKind(kind)], "", (host, port, *further))
    return None


def is_numeric(family: int, host: Any) -> bool:
    """Return whether `host` is an IP address of `family` in digits; no other thing than a text is."""
    try:
        socket.inet_pton(family, host)
    except (OSError, TypeError, ValueError):
        return False
    return True


def interleave(infos: Iterable[AddressInfo], first_family_count: int) -> list[AddressInfo]:
    """Return the addresses with families alternating, after the first `first_family_count` of the first family.

    Each family keeps its order (RFC 8305, section 4).

    Keeps: loop.create_connection/interleaves-address-families.
    """
    by_family: dict[int, list[AddressInfo]] = {}
    for info in infos:
        by_family.setdefault(info.family, []).append(info)
    families = list(by_family.values())
    more = max(first_family_count - 1, 0)
    ahead, families[0] = families[0][:more], families[0][more:]
    return ahead + [info for info in chain.from_iterable(zip_longest(*families)) if info is not None]
