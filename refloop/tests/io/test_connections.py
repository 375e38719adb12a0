"""Making connections: `create_connection()`, `create_unix_connection()`, `connect_accepted_socket()`."""

from __future__ import annotations

import asyncio
import errno
import inspect
import socket
import ssl
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

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


@requirement("loop.create_connection/connection-steps-order", "loop.create_connection/calls-factory-without-arguments")
async def test_the_protocol_is_made_and_told_before_create_connection_returns(loop: Any) -> None:
    steps: list[str] = []

    class Stepping(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            steps.append("connection_made")

    def factory(*args: Any) -> Recorder:
        assert not args
        steps.append("factory")
        return Stepping()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        transport, protocol = await loop.create_connection(factory, *listening.getsockname())
        steps.append("returned")
        assert protocol.transport is transport
        assert steps == ["factory", "connection_made", "returned"]
        transport.close()
        await until(lambda: protocol.lost)


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


async def test_a_refused_connection_raises_and_leaves_nothing(loop: Any) -> None:
    with pytest.raises(ConnectionRefusedError):
        await loop.create_connection(Recorder, *refused())


@requirement("loop.create_connection/binds-local-address")
async def test_the_local_end_is_bound_to_the_local_address(loop: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        free = refused()
        transport, protocol = await loop.create_connection(Recorder, *listening.getsockname(), local_addr=free)
        assert transport.get_extra_info("sockname") == free
        transport.close()
        await until(lambda: protocol.lost)
        with pytest.raises(OSError) as error:  # noqa: PT011 - the number says which
            await loop.create_connection(Recorder, *listening.getsockname(), local_addr=("192.0.2.1", 0))
        assert error.value.errno == errno.EADDRNOTAVAIL


class Attempts:
    """Stands in for the network: connecting to port 1 hangs, to port 2 fails, to any other succeeds at once."""

    def __init__(self, loop: Any, monkeypatch: pytest.MonkeyPatch, listening: socket.socket) -> None:
        self.loop = loop
        self.tried: list[Any] = []
        self.cancelled: list[Any] = []
        self.address = listening.getsockname()
        self.real = getattr(loop, "_connect", loop.sock_connect)
        monkeypatch.setattr(loop, "sock_connect", self.connect)
        monkeypatch.setattr(loop, "_connect", self.connect, raising=False)

    async def connect(self, sock: socket.socket, address: Any) -> None:
        self.tried.append(address[1])
        if address[1] == 1:
            try:
                await self.loop.create_future()
            except asyncio.CancelledError:
                self.cancelled.append(address[1])
                raise
        elif address[1] == 2:
            raise OSError("no way")
        else:
            await self.real(sock, self.address)


@requirement(
    "loop.create_connection/happy-eyeballs-starts-parallel-attempt",
    "loop.create_connection/first-successful-attempt-wins",
)
async def test_a_slow_attempt_is_overtaken_and_called_off(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        attempts = Attempts(loop, monkeypatch, listening)
        monkeypatch.setattr(loop, "getaddrinfo", answers(("127.0.0.9", 1), ("127.0.0.9", 2), ("127.0.0.1", 3))[0])
        transport, protocol = await loop.create_connection(Recorder, "slow.test", 80, happy_eyeballs_delay=0.01)
        await turns()
        assert attempts.tried == [1, 2, 3]
        assert attempts.cancelled == [1]
        transport.close()
        await until(lambda: protocol.lost)


@requirement("loop.create_connection/happy-eyeballs-starts-parallel-attempt")
async def test_cancelling_happy_eyeballs_calls_all_attempts_off(loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        attempts = Attempts(loop, monkeypatch, listening)
        monkeypatch.setattr(loop, "getaddrinfo", answers(("127.0.0.8", 1), ("127.0.0.9", 1))[0])
        connecting = loop.create_task(loop.create_connection(Recorder, "slow.test", 80, happy_eyeballs_delay=0.001))
        await until(lambda: attempts.tried == [1, 1])
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        await turns()
        assert attempts.cancelled == [1, 1]


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


@requirement(
    "loop.create_unix_connection/accepts-str-path",
    "loop.create_unix_connection/accepts-bytes-path",
    "loop.create_unix_connection/accepts-path-like",
    "loop.create_unix_connection/accepts-abstract-name",
    "loop.create_unix_server/accepts-every-path-form",
)
@pytest.mark.parametrize("form", ["str", "bytes", "path", "abstract", "abstract-bytes"])
async def test_unix_paths_come_in_every_form(loop: Any, tmp_path: Path, form: str) -> None:
    path: Any = {
        "str": str(tmp_path / "s"),
        "bytes": bytes(tmp_path / "s"),
        "path": tmp_path / "s",
        "abstract": f"\0refloop-{tmp_path}",
        "abstract-bytes": b"\0refloop-" + bytes(tmp_path),
    }[form]
    accepted: list[Recorder] = []

    def factory() -> Recorder:
        accepted.append(Recorder())
        return accepted[-1]

    async with await loop.create_unix_server(factory, path):
        transport, protocol = await loop.create_unix_connection(Recorder, path)
        transport.write(b"hello")
        await until(lambda: accepted and accepted[0].data == b"hello")
        transport.close()
        await until(lambda: protocol.lost)


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
