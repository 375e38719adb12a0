"""Making connections: `create_connection()`, `create_unix_connection()`, `connect_accepted_socket()`."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from refloop.racing import first_to_succeed
from refloop.tests.io.carriers import Recorder, turns, until

if TYPE_CHECKING:
    from pathlib import Path

requirement = pytest.mark.requirement


def refused() -> tuple[str, int]:
    """Return an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address: tuple[str, int] = listening.getsockname()
        return address


def answers(*addresses: tuple[str, int]) -> Any:
    """Return a `getaddrinfo()` that knows these addresses only, and what it was asked."""
    asked: list[Any] = []

    async def getaddrinfo(host: Any, port: Any, **hints: Any) -> Any:
        asked.append((host, port, hints))
        return [
            (
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (*address, 0, 0))
                if ":" in address[0]
                else (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
            )
            for address in addresses
        ]

    return getaddrinfo, asked


@requirement("loop.create_connection/falls-through-to-next-address")
async def test_addresses_are_tried_until_one_connects(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        getaddrinfo, asked = answers(refused(), refused(), listening.getsockname())
        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        transport, protocol = await loop.create_connection(
            Recorder, "somewhere.test", 80, family=socket.AF_INET, proto=6, flags=socket.AI_ADDRCONFIG
        )
        assert transport.get_extra_info("peername") == listening.getsockname()
        assert asked == [
            (
                "somewhere.test",
                80,
                {"family": socket.AF_INET, "type": socket.SOCK_STREAM, "proto": 6, "flags": socket.AI_ADDRCONFIG},
            )
        ]
        transport.close()
        await until(lambda: protocol.lost)


@requirement("loop.create_connection/accepts-all-errors-keyword")
@pytest.mark.since((3, 12))
@pytest.mark.parametrize("delay", [None, 0.05])
async def test_all_errors_are_raised_in_a_group_on_request(
    loop: Any, monkeypatch: pytest.MonkeyPatch, delay: float | None
) -> None:
    addresses = [refused(), refused()]
    monkeypatch.setattr(loop, "getaddrinfo", answers(*addresses)[0])
    with pytest.raises(ExceptionGroup) as group:
        await loop.create_connection(Recorder, "nowhere.test", 80, all_errors=True, happy_eyeballs_delay=delay)
    assert [type(error) for error in group.value.exceptions] == [ConnectionRefusedError] * 2
    with pytest.raises(OSError, match=str(addresses[1][1])):
        await loop.create_connection(Recorder, "nowhere.test", 80, happy_eyeballs_delay=delay)


SIX = [("::1", 101), ("::1", 102), ("::1", 103)]
FOUR = [("127.0.0.1", 201), ("127.0.0.1", 202)]


@requirement(
    "loop.create_connection/interleaves-address-families",
    "loop.create_connection/default-interleave-follows-happy-eyeballs",
    "loop.create_connection/tries-addresses-in-resolved-order",
)
@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        ({}, [101, 102, 103, 201, 202]),
        ({"interleave": 0}, [101, 102, 103, 201, 202]),
        ({"interleave": 1}, [101, 201, 102, 202, 103]),
        ({"interleave": 2}, [101, 102, 201, 103, 202]),
        ({"happy_eyeballs_delay": 5}, [101, 201, 102, 202, 103]),
        ({"happy_eyeballs_delay": 5, "interleave": 0}, [101, 102, 103, 201, 202]),
    ],
)
async def test_addresses_are_tried_in_the_documented_order(
    loop: Any, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], order: list[int]
) -> None:
    tried: list[int] = []

    async def fail(_: Any, address: Any) -> None:
        tried.append(address[1])
        raise OSError(f"not {address[1]}")

    monkeypatch.setattr(loop, "sock_connect", fail)
    monkeypatch.setattr(loop, "_connect", fail, raising=False)
    monkeypatch.setattr(loop, "getaddrinfo", answers(*SIX, *FOUR)[0])
    with pytest.raises(OSError, match="not 101"):
        await loop.create_connection(Recorder, "many.test", 80, **arguments)
    assert tried == order


@requirement("loop.create_connection/rejects-sock-with-address")
async def test_contradictory_arguments_are_rejected(loop: Any) -> None:
    with socket.socket() as sock, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        for arguments in (
            {"host": "127.0.0.1", "port": 80, "sock": sock},
            {},
            {"sock": datagrams},
            {"host": "127.0.0.1", "port": 80, "server_hostname": "x"},
            {"host": "127.0.0.1", "port": 80, "ssl_handshake_timeout": 1},
            {"host": "127.0.0.1", "port": 80, "ssl_shutdown_timeout": 1},
            {"sock": sock, "ssl": True},
        ):
            with pytest.raises(ValueError, match=r".*"):
                await loop.create_connection(Recorder, **arguments)


@requirement("loop.create_server/ssl-context-enables-tls")
async def test_a_server_takes_a_context_only(loop: Any) -> None:
    with pytest.raises(TypeError):
        await loop.create_server(Recorder, "127.0.0.1", 0, ssl=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with pytest.raises(ValueError, match=r".*"):
        await loop.create_server(Recorder, "127.0.0.1", 0, ssl_handshake_timeout=5)
    with closing(await loop.create_server(Recorder, "127.0.0.1", 0, ssl=context)) as server:
        assert server.is_serving()


@pytest.mark.asyncio_differs("leaves the socket to the garbage collector")
async def test_a_failing_factory_fails_the_connection_and_leaves_no_socket(loop: Any) -> None:
    def factory() -> Any:
        raise ZeroDivisionError

    with socket.create_server(("127.0.0.1", 0)) as listening:
        with pytest.raises(ZeroDivisionError):
            await loop.create_connection(factory, *listening.getsockname())
        conn, _ = listening.accept()
        with conn:
            conn.settimeout(10)
            assert conn.recv(1) == b""


@pytest.mark.asyncio_differs("leaves it to the caller, in the releases before it closes it")
@pytest.mark.parametrize("method", ["create_connection", "create_unix_connection", "connect_accepted_socket"])
async def test_a_given_socket_is_closed_by_a_failing_factory(loop: Any, method: str) -> None:
    def factory() -> Any:
        raise ZeroDivisionError

    ours, theirs = socket.socketpair()
    with theirs:
        with pytest.raises(ZeroDivisionError):
            await getattr(loop, method)(factory, sock=ours)
        assert ours.fileno() == -1


async def test_cancelling_an_attempt_while_others_are_called_off_leaves_no_socket(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    called_off, released = asyncio.Event(), asyncio.Event()

    async def stubborn() -> socket.socket:
        try:
            await loop.create_future()
        except asyncio.CancelledError:
            called_off.set()
            await released.wait()
        return theirs

    async def win() -> socket.socket:
        return ours

    racing = loop.create_task(first_to_succeed(loop, [stubborn, win], 0.001, socket.socket.close))
    await called_off.wait()
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    released.set()
    await turns()
    assert (ours.fileno(), theirs.fileno()) == (-1, -1)


@requirement("loop.create_unix_connection/requires-path-or-sock", "loop.create_unix_server/requires-path-or-sock")
async def test_unix_calls_need_a_path_or_a_socket(loop: Any, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock, socket.socket() as tcp:
        for method in (loop.create_unix_connection, loop.create_unix_server):
            for arguments in ({}, {"path": tmp_path / "x", "sock": sock}, {"sock": tcp}):
                with pytest.raises(ValueError, match=r".*"):
                    await method(Recorder, **arguments)


@requirement(
    "loop.create_connection/accepts-documented-parameters",
    "loop.create_connection/accepts-happy-eyeballs-interleave-keywords",
    "loop.create_server/accepts-documented-parameters",
    "loop.create_unix_server/accepts-cleanup-socket-keyword",
    "loop.create_datagram_endpoint/accepts-documented-parameters",
)
@pytest.mark.since((3, 13))
@pytest.mark.parametrize(
    ("method", "signature"),
    [
        (
            "create_connection",
            "(protocol_factory, host=None, port=None, *, ssl=None, family=0, proto=0, flags=0, sock=None, "
            "local_addr=None, server_hostname=None, ssl_handshake_timeout=None, ssl_shutdown_timeout=None, "
            "happy_eyeballs_delay=None, interleave=None, all_errors=False)",
        ),
        (
            "create_unix_connection",
            "(protocol_factory, path=None, *, ssl=None, sock=None, server_hostname=None, "
            "ssl_handshake_timeout=None, ssl_shutdown_timeout=None)",
        ),
        (
            "create_unix_server",
            "(protocol_factory, path=None, *, sock=None, backlog=100, ssl=None, ssl_handshake_timeout=None, "
            "ssl_shutdown_timeout=None, start_serving=True, cleanup_socket=True)",
        ),
        (
            "connect_accepted_socket",
            "(protocol_factory, sock, *, ssl=None, ssl_handshake_timeout=None, ssl_shutdown_timeout=None)",
        ),
        (
            "create_datagram_endpoint",
            "(protocol_factory, local_addr=None, remote_addr=None, *, family=0, proto=0, flags=0, reuse_port=None, "
            "allow_broadcast=None, sock=None)",
        ),
        ("sendfile", "(transport, file, offset=0, count=None, *, fallback=True)"),
        ("sock_sendfile", "(sock, file, offset=0, count=None, *, fallback=True)"),
        ("connect_read_pipe", "(protocol_factory, pipe)"),
        ("connect_write_pipe", "(protocol_factory, pipe)"),
    ],
)
def test_signatures_are_the_documented_ones(loop: Any, method: str, signature: str) -> None:
    bare = inspect.signature(getattr(loop, method))
    parameters = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in bare.parameters.values()]
    assert str(inspect.Signature(parameters)) == signature
    assert inspect.iscoroutinefunction(getattr(loop, method))


def test_create_server_has_the_documented_defaults(loop: Any) -> None:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(loop.create_server).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    assert defaults["family"] == socket.AF_UNSPEC
    assert defaults["flags"] == socket.AI_PASSIVE
    assert defaults["backlog"] == 100
    assert defaults["start_serving"] is True
