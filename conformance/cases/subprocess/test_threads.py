"""Child processes of loops in other threads than the main one, and child watchers that are not ready for them."""

from __future__ import annotations

import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.children import ECHO, NOTHING, UNTIL_EOF, Program, ends_with, start
from conformance.support.marks import requirement
from conformance.support.threads import in_thread, run_beside
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Coroutine, Iterator

    from conformance.target import Target


def run_on_a_loop_of_its_own(target: Target, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run it on a fresh loop of the target in this thread."""
    loop = target.make_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


async def talk(aio: Any, data: bytes) -> tuple[bytes, int]:
    pipe = aio.subprocess.PIPE
    echo = Program(f"{ECHO.python}\nos._exit({len(data)})", f"cat; exit {len(data)}")
    process = await start(aio, echo, stdin=pipe, stdout=pipe)
    output, _ = await process.communicate(data)
    return output, process.returncode


@requirement("subprocess-and-threads/spawns-from-any-thread")
def test_a_loop_in_another_thread_has_children_while_the_main_thread_has_no_loop(target: Target, aio: Any) -> None:
    talking = talk(aio, b"aside")
    assert in_thread(lambda: run_on_a_loop_of_its_own(target, talking)) == (b"aside", 5)


@requirement("subprocess-and-threads/spawns-from-any-thread")
def test_a_loop_in_another_thread_has_children_while_one_runs_in_the_main_thread(
    loop: AbstractEventLoop, target: Target, aio: Any
) -> None:
    talking = talk(aio, b"beside")
    assert run_beside(loop, lambda: run_on_a_loop_of_its_own(target, talking)) == (b"beside", 6)


@requirement("subprocess-and-threads/spawns-from-any-thread")
def test_loops_in_several_threads_have_children_at_the_same_time(target: Target, aio: Any) -> None:
    all_run = threading.Barrier(3, timeout=GENEROUS)

    async def main(data: bytes) -> list[Any]:
        pipe = aio.subprocess.PIPE
        process = await start(aio, UNTIL_EOF, stdin=pipe, stdout=pipe)
        await process.stdout.readline()
        all_run.wait()
        outputs = await aio.gather(*(talk(aio, data * n) for n in range(1, 4)))
        await process.communicate(b"")
        return [process.returncode, *outputs]

    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(run_on_a_loop_of_its_own, target, main(data)) for data in (b"a", b"b", b"c")]
        results = [job.result() for job in jobs]
    assert results == [[0, *((data * n, n) for n in range(1, 4))] for data in (b"a", b"b", b"c")]


@requirement("subprocess-and-threads/spawns-from-any-thread")
def test_a_child_of_another_threads_loop_takes_signals(target: Target, aio: Any) -> None:
    async def main() -> int:
        process = await start(aio, UNTIL_EOF, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
        await process.stdout.readline()
        process.kill()
        code: int = await process.wait()
        await process.communicate()
        return code

    expected = 1 if sys.platform == "win32" else -9
    assert in_thread(lambda: run_on_a_loop_of_its_own(target, main())) == expected


@pytest.fixture
def inactive_watcher(request: pytest.FixtureRequest, aio: Any) -> Iterator[Any]:
    """A child watcher, of the class named by the parameter, that is in force and has no loop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        watcher = getattr(aio, request.param)()
        aio.set_child_watcher(watcher)
        yield watcher
        aio.set_child_watcher(None)
    watcher.close()


@pytest.mark.parametrize(
    "inactive_watcher", ["SafeChildWatcher", "FastChildWatcher", "MultiLoopChildWatcher"], indirect=True
)
@requirement("subprocess-and-threads/raises-on-inactive-watcher")
async def test_nothing_is_started_while_the_child_watcher_is_inactive(aio: Any, inactive_watcher: Any) -> None:
    assert inactive_watcher.is_active() is False
    with pytest.raises(RuntimeError):
        await start(aio, NOTHING)
    with pytest.raises(RuntimeError):
        await aio.create_subprocess_shell("exit 0")


@pytest.mark.parametrize("inactive_watcher", ["SafeChildWatcher"], indirect=True)
@requirement("subprocess-and-threads/raises-on-inactive-watcher")
async def test_once_its_loop_runs_the_child_watcher_is_active(
    loop: AbstractEventLoop, aio: Any, inactive_watcher: Any
) -> None:
    inactive_watcher.attach_loop(loop)
    assert inactive_watcher.is_active() is True
    assert await (await start(aio, ends_with(8))).wait() == 8
    inactive_watcher.attach_loop(None)
