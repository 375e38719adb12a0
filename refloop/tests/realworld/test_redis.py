"""A redis client talks to a real `redis-server`, which the module starts."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("redis", reason="needs the `dev` extra: redis is not installed")

import redis.asyncio
import redis.exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

# A server is ready in some milliseconds; on a busy machine it may wait for its turn.
SECONDS_TO_START = 20
ATTEMPTS_TO_FIND_A_PORT = 5
CLIENTS = 30
MEBIBYTE = bytes(range(256)) * 4096

Client = redis.asyncio.Redis


def start(program: str, folder: Path) -> tuple[subprocess.Popen[bytes], int] | None:
    """Start a server that keeps nothing on disk; give its port, or None when somebody else took that meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = {"bind": "127.0.0.1", "port": str(port), "unixsocket": "redis.sock", "save": "", "dir": str(folder)}
    command = [program, *(word for name, value in arguments.items() for word in (f"--{name}", value))]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    alarm = threading.Timer(SECONDS_TO_START, server.kill)
    alarm.start()
    assert server.stdout is not None
    try:
        for line in server.stdout:
            if b"Ready to accept connections" in line or b"ready to accept connections at" in line:
                return server, port
    finally:
        alarm.cancel()
        alarm.join()
    with server:
        return None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[int, Path]]:
    """The port and the Unix socket of a running server."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian's package of that name has it)")
    folder = tmp_path_factory.mktemp("redis")
    for _ in range(ATTEMPTS_TO_FIND_A_PORT):
        started = start(program, folder)
        if started is not None:
            break
    else:
        pytest.fail("redis-server does not start")
    process, port = started
    with process:
        yield port, folder / "redis.sock"
        process.terminate()


@pytest.fixture(params=["tcp", "unix"])
def connect(request: pytest.FixtureRequest, server: tuple[int, Path]) -> Callable[[], Client]:
    """A way to make clients, each with a pool of its own."""
    port, path = server
    if request.param == "tcp":
        return lambda: Client(host="127.0.0.1", port=port)
    return lambda: Client(unix_socket_path=str(path))


async def test_values_are_kept(connect: Callable[[], Client]) -> None:
    async with connect() as client:
        await client.flushall()
        assert await client.ping()
        assert await client.get("key") is None
        for value in (b"", b"value\r\n", MEBIBYTE):
            await client.set("key", value)
            assert await client.get("key") == value


async def test_a_pipeline_answers_in_order(connect: Callable[[], Client]) -> None:
    async with connect() as client:
        await client.flushall()
        async with client.pipeline(transaction=True) as pipeline:
            for _ in range(200):
                pipeline.incr("counter")
            assert await pipeline.execute() == list(range(1, 201))


async def test_many_tasks_share_a_pool(connect: Callable[[], Client]) -> None:
    async with connect() as client:
        await client.flushall()
        counts = await asyncio.gather(*(client.incr("counter") for _ in range(CLIENTS)))
    assert sorted(counts) == list(range(1, CLIENTS + 1))


async def test_a_blocked_client_is_woken_by_another(connect: Callable[[], Client]) -> None:
    async def pop(client: Client) -> list[bytes | str]:
        return list(await client.blpop(["list"], timeout=20) or ())

    async with connect() as waiting, connect() as pushing:
        await pushing.flushall()
        popping = asyncio.create_task(pop(waiting))
        while (await pushing.info("clients"))["blocked_clients"] == 0:
            pass
        await pushing.rpush("list", "item")
        assert await popping == [b"list", b"item"]


async def test_subscribers_hear_what_is_published(connect: Callable[[], Client]) -> None:
    async with connect() as listener, connect() as speaker, listener.pubsub() as subscription:
        await subscription.subscribe("news")
        messages = subscription.listen()
        assert (await anext(messages))["type"] == "subscribe"
        for number in range(50):
            assert await speaker.publish("news", str(number)) == 1
        heard = [(await anext(messages))["data"] for _ in range(50)]
        assert heard == [b"%d" % number for number in range(50)]
        await messages.aclose()


async def test_a_client_connects_again_after_it_was_thrown_out(connect: Callable[[], Client]) -> None:
    async with connect() as victim, connect() as killer:
        number = await victim.client_id()
        assert await killer.client_kill_filter(_id=str(number)) == 1
        assert await victim.ping()
        assert await victim.client_id() != number


async def test_a_cancelled_command_leaves_the_client_usable(connect: Callable[[], Client]) -> None:
    async with connect() as client:
        await client.flushall()
        with pytest.raises(asyncio.TimeoutError):
            async with asyncio.timeout(0.05):
                await client.blpop(["nothing"], timeout=20)
        assert await client.set("key", "value")
        assert await client.get("key") == b"value"


async def test_a_server_that_is_not_there_is_an_error_of_the_client() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with Client(host="127.0.0.1", port=port, retry=Retry(NoBackoff(), 0)) as client:
        with pytest.raises(redis.exceptions.ConnectionError):
            await client.ping()
