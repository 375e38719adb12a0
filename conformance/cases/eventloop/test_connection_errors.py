"""Connections that cannot be made: ``create_connection()``, ``create_unix_connection()``, ``getaddrinfo()``."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import (
    HOST,
    UNRESOLVABLE,
    accepting,
    host_of_both_families,
    read_once,
    refusing_path,
    refusing_port,
    socket_path,
)

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from pathlib import Path


def several() -> Any:
    """A host with several addresses; skips the case on a machine that has none."""
    try:
        return host_of_both_families()
    except LookupError as error:
        pytest.skip(str(error))


@on_loops(PLAIN, DEBUG)
@requirement("loop.create_connection/raises-oserror-when-unreachable")
async def test_a_port_on_which_nobody_listens_refuses_the_connection(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]]
) -> None:
    with refusing_port() as port, pytest.raises(ConnectionRefusedError) as caught:
        await loop.create_connection(aio.Protocol, HOST, port)
    assert caught.value.errno == errno.ECONNREFUSED
    assert reported == []


@requirement("loop.create_connection/raises-oserror-when-unreachable")
async def test_a_host_of_whose_addresses_none_answers_is_an_oserror(loop: AbstractEventLoop, aio: Any) -> None:
    with refusing_port() as port, pytest.raises(OSError):  # noqa: PT011 - the documentation promises no message
        await loop.create_connection(aio.Protocol, several(), port)


@requirement("loop.create_connection/raises-oserror-when-unreachable")
async def test_without_a_free_local_address_there_is_no_connection(loop: AbstractEventLoop, aio: Any) -> None:
    with socket.create_server((HOST, 0)) as listener, pytest.raises(OSError):  # noqa: PT011 - as above
        await loop.create_connection(aio.Protocol, *listener.getsockname(), local_addr=listener.getsockname())


@requirement("loop.create_connection/raises-oserror-when-unreachable")
async def test_after_a_refused_connection_others_are_made(loop: AbstractEventLoop, aio: Any) -> None:
    with refusing_port() as port, accepting(read_once) as peer:
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                await loop.create_connection(aio.Protocol, HOST, port)
        transport, _ = await loop.create_connection(aio.Protocol, *peer.address)
        transport.write(b"reached")
        transport.close()
        assert await peer.outcome(loop) == b"reached"


@pytest.mark.parametrize("options", [{}, {"all_errors": False}], ids=["default", "false"])
@requirement("loop.create_connection/raises-single-error-by-default")
async def test_the_only_error_is_raised_by_itself(loop: Any, aio: Any, options: dict[str, Any]) -> None:
    with refusing_port() as port, pytest.raises(ConnectionRefusedError):
        await loop.create_connection(aio.Protocol, HOST, port, **options)


@pytest.mark.parametrize("options", [{}, {"happy_eyeballs_delay": 0.25}], ids=["in-turn", "happy-eyeballs"])
@requirement("loop.create_connection/raises-exception-group")
async def test_with_all_errors_the_only_error_comes_in_a_group(loop: Any, aio: Any, options: dict[str, Any]) -> None:
    with refusing_port() as port, pytest.raises(ExceptionGroup) as caught:
        await loop.create_connection(aio.Protocol, HOST, port, all_errors=True, **options)
    assert [type(error) for error in caught.value.exceptions] == [ConnectionRefusedError]


async def errors_of_all_addresses(loop: Any, aio: Any, port: int, **options: Any) -> list[Exception]:
    """What ``create_connection()`` raises with ``all_errors`` for a host with several addresses."""
    with pytest.raises(ExceptionGroup) as caught:
        await loop.create_connection(aio.Protocol, several(), port, all_errors=True, **options)
    return list(caught.value.exceptions)


@pytest.mark.parametrize("options", [{}, {"happy_eyeballs_delay": 0.25}], ids=["in-turn", "happy-eyeballs"])
@requirement("loop.create_connection/raises-exception-group", "loop.create_connection/raises-oserror-when-unreachable")
async def test_with_all_errors_the_group_has_one_error_for_each_address(
    loop: Any, aio: Any, options: dict[str, Any]
) -> None:
    with refusing_port() as port:
        errors = await errors_of_all_addresses(loop, aio, port, **options)
        addresses = socket.getaddrinfo(several(), port, type=socket.SOCK_STREAM)
    assert [isinstance(error, OSError) for error in errors] == [True] * len(addresses)


# From an IPv4 address no IPv6 address can be reached, which is not the error of a port that refuses.
@pytest.mark.parametrize("local", [{}, {"local_addr": (HOST, 0)}], ids=["any-local", "ipv4-local"])
@pytest.mark.parametrize("options", [{}, {"all_errors": False}], ids=["default", "false"])
@requirement("loop.create_connection/raises-single-error-by-default", "loop.create_connection/raises-combined-oserror")
async def test_different_messages_are_joined_and_equal_ones_give_the_first_error(
    loop: Any, aio: Any, local: dict[str, Any], options: dict[str, Any]
) -> None:
    with refusing_port() as port:
        messages = [str(error) for error in await errors_of_all_addresses(loop, aio, port, **local)]
        with pytest.raises(OSError) as caught:  # noqa: PT011 - the messages are the loop's own
            await loop.create_connection(aio.Protocol, several(), port, **local, **options)
    if len(set(messages)) == 1:
        assert str(caught.value) == messages[0]
    else:
        assert [message for message in messages if message not in str(caught.value)] == []


@pytest.mark.parametrize("case", UNRESOLVABLE)
@requirement("loop.create_connection/raises-oserror-when-unresolvable")
async def test_a_host_without_an_address_is_a_gaierror(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]], case: str
) -> None:
    host, hints = UNRESOLVABLE[case]
    with pytest.raises(socket.gaierror):
        await loop.create_connection(aio.Protocol, host, 80, **hints)
    assert reported == []


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("case", UNRESOLVABLE)
@requirement("loop.getaddrinfo/raises-gaierror-for-unknown-name")
async def test_a_name_that_cannot_be_resolved_is_a_gaierror(
    loop: AbstractEventLoop, reported: list[dict[str, Any]], case: str
) -> None:
    host, hints = UNRESOLVABLE[case]
    with pytest.raises(socket.gaierror) as expected:
        socket.getaddrinfo(host, 80, **hints)
    with pytest.raises(socket.gaierror) as caught:
        await loop.getaddrinfo(host, 80, **hints)
    assert caught.value.errno == expected.value.errno
    assert reported == []


@requirement("loop.getaddrinfo/raises-gaierror-for-unknown-name")
async def test_after_an_unknown_name_others_are_resolved(loop: AbstractEventLoop) -> None:
    host, hints = UNRESOLVABLE["name"]
    for _ in range(3):
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo(host, 80, **hints)
    (found,) = await loop.getaddrinfo(HOST, 80, type=socket.SOCK_STREAM)
    assert found[4] == (HOST, 80)


@pytest.mark.parametrize("kind", ["path", "str"])
@requirement("loop.create_unix_connection/raises-oserror-when-unreachable")
async def test_a_path_that_does_not_exist_is_not_found(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]], kind: str
) -> None:
    convert: Callable[[Path], Any] = str if kind == "str" else lambda path: path
    with socket_path() as path, pytest.raises(FileNotFoundError):
        await loop.create_unix_connection(aio.Protocol, convert(path))
    assert reported == []


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("stale", [True, False], ids=["stale", "unheard"])
@requirement("loop.create_unix_connection/raises-oserror-when-unreachable")
async def test_a_path_on_which_nobody_listens_refuses_the_connection(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]], stale: bool
) -> None:
    with refusing_path(stale=stale) as path, pytest.raises(ConnectionRefusedError):
        await loop.create_unix_connection(aio.Protocol, str(path))
    assert reported == []


@requirement("loop.create_unix_connection/raises-oserror-when-unreachable")
async def test_after_a_refused_path_others_are_reached(loop: AbstractEventLoop, aio: Any) -> None:
    with refusing_path(stale=True) as path, pytest.raises(ConnectionRefusedError):
        await loop.create_unix_connection(aio.Protocol, str(path))
    with socket_path() as path, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with accepting(read_once, listener) as peer:
            transport, _ = await loop.create_unix_connection(aio.Protocol, str(path))
            transport.write(b"reached")
            transport.close()
            assert await peer.outcome(loop) == b"reached"
