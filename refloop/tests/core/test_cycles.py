"""What ends leaves no reference cycle behind: memory goes at once, and reports of lost exceptions come in time."""

from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import refloop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# Enough for a cycle per round to stand out from what a first call makes once.
ROUNDS = 10


async def fail() -> None:
    await refloop.sleep(0)
    raise LookupError


def fail_in_thread() -> None:
    raise LookupError


async def cancelled_wait() -> None:
    task = refloop.create_task(refloop.Queue[int]().get())
    await refloop.sleep(0)
    task.cancel()
    await task


async def group() -> None:
    async with refloop.TaskGroup() as tasks:
        tasks.create_task(fail())
        tasks.create_task(refloop.sleep(1))


async def completed_in_turn() -> None:
    for each in refloop.as_completed([fail(), refloop.sleep(0)]):
        await each


async def time_limit() -> None:
    async with refloop.timeout(0.001):
        await refloop.sleep(1)


async def cancelled_receive() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        task = refloop.create_task(loop().sock_recv(ours, 10))
        await refloop.sleep(0)
        task.cancel()
        await task


async def early_end_of_stream() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await refloop.open_connection(sock=ours)
    theirs.close()
    try:
        await reader.readexactly(10)
    finally:
        writer.close()
        await writer.wait_closed()


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def loop() -> Any:
    return refloop.get_running_loop()


WAYS_TO_END: dict[str, Callable[[], Awaitable[object]]] = {
    "executor": lambda: loop().run_in_executor(None, int),
    "failure in executor": lambda: loop().run_in_executor(None, fail_in_thread),
    "failure in thread": lambda: refloop.to_thread(fail_in_thread),
    "threadsafe": lambda: refloop.wrap_future(refloop.run_coroutine_threadsafe(refloop.sleep(0), loop())),
    "threadsafe failure": lambda: refloop.wrap_future(refloop.run_coroutine_threadsafe(fail(), loop())),
    "unknown name": lambda: refloop.open_connection("no.such.invalid", 1, flags=socket.AI_NUMERICHOST),
    "refused": lambda: refloop.open_connection("127.0.0.1", refused_port()),
    "all refused": lambda: refloop.open_connection("localhost", refused_port(), happy_eyeballs_delay=0.01),
    "cancelled wait": cancelled_wait,
    "cancelled receive": cancelled_receive,
    "time limit": time_limit,
    "wait_for in time": lambda: refloop.wait_for(fail(), 1),
    "wait_for too late": lambda: refloop.wait_for(refloop.sleep(1), 0.001),
    "gather": lambda: refloop.gather(fail(), refloop.sleep(0)),
    "gather exceptions": lambda: refloop.gather(fail(), refloop.sleep(0), return_exceptions=True),
    "shield": lambda: refloop.shield(fail()),
    "as_completed": completed_in_turn,
    "group": group,
    "end of stream": early_end_of_stream,
    "no such program": lambda: refloop.create_subprocess_exec("/nonexistent/program"),
}


async def end(way: Callable[[], Awaitable[object]]) -> None:
    with suppress(Exception, asyncio.CancelledError):
        await way()


@pytest.mark.parametrize("way", WAYS_TO_END)
def test_what_ends_leaves_no_cycle(way: str) -> None:
    async def main() -> int:
        await end(WAYS_TO_END[way])
        gc.collect()
        gc.disable()
        try:
            for _ in range(ROUNDS):
                await end(WAYS_TO_END[way])
            await refloop.sleep(0)
            return gc.collect()
        finally:
            gc.enable()

    assert refloop.run(main()) < ROUNDS
