"""Loops in several threads at once, with the global interpreter lock and without it."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from conformance.support.marks import requirement
from conformance.support.threads import run_beside
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from conformance.support.programs import RunProgram
    from conformance.target import Target

T = TypeVar("T")

THREADS = 4
# Enough for threads that are not kept apart to meet in most runs, and a few milliseconds of work.
CALLS = 200


def in_threads(work: Callable[[int], T], count: int = THREADS) -> list[T]:
    """Run ``work(0)``, ``work(1)`` … in threads of their own at the same time; what they gave, in this order."""
    everybody_is_there = threading.Barrier(count)

    def begin_together(number: int) -> T:
        everybody_is_there.wait(GENEROUS)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin_together, range(count)))


@requirement("free-threading/loops-run-in-parallel")
def test_loops_in_several_threads_run_at_the_same_time(target: Target) -> None:
    all_within_a_callback = threading.Barrier(THREADS)

    def run_a_loop(_number: int) -> int:
        loop = target.make_loop()
        places: list[int] = []
        loop.call_soon(lambda: places.append(all_within_a_callback.wait(GENEROUS)))
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
        return places[0]

    assert sorted(in_threads(run_a_loop)) == list(range(THREADS))


@requirement("free-threading/loops-run-in-parallel")
def test_each_thread_sees_the_loop_that_runs_in_it(aio: Any, target: Target) -> None:
    all_are_running = threading.Barrier(THREADS)

    async def look() -> AbstractEventLoop:
        await aio.sleep(0)
        all_are_running.wait(GENEROUS)
        found: AbstractEventLoop = aio.get_running_loop()
        return found

    def run_a_loop(_number: int) -> tuple[bool, int]:
        loop = target.make_loop()
        found = loop.run_until_complete(look())
        loop.close()
        return found is loop, id(loop)

    results = in_threads(run_a_loop)
    assert [is_own for is_own, _ in results] == [True] * THREADS


@requirement("free-threading/safe-in-free-threaded-build", "free-threading/loops-run-in-parallel")
def test_tasks_futures_and_timers_of_loops_in_several_threads_do_not_mix(aio: Any, target: Target) -> None:
    async def work(number: int, step: int) -> tuple[int, int]:
        future = aio.get_running_loop().create_future()
        aio.get_running_loop().call_later(step % 3 * 0.001, future.set_result, (number, step))
        await aio.sleep(0)
        found: tuple[int, int] = await future
        return found

    def run_a_loop(number: int) -> list[tuple[int, int]]:
        async def main() -> list[tuple[int, int]]:
            tasks = [loop.create_task(work(number, step)) for step in range(CALLS)]
            return [await task for task in tasks]

        loop = target.make_loop()
        try:
            return loop.run_until_complete(main())
        finally:
            loop.close()

    assert in_threads(run_a_loop) == [[(number, step) for step in range(CALLS)] for number in range(THREADS)]


@requirement("free-threading/safe-in-free-threaded-build", "free-threading/threadsafe-calls-run-once")
def test_loops_that_call_each_other_lose_no_call(target: Target) -> None:
    loops = [target.make_loop() for _ in range(THREADS)]
    received: list[list[tuple[int, int]]] = [[] for _ in loops]

    def receive(receiver: int, sender: int, step: int) -> None:
        received[receiver].append((sender, step))
        if len(received[receiver]) == CALLS * THREADS:
            loops[receiver].stop()

    def send(sender: int) -> None:
        for step in range(CALLS):
            for receiver, loop in enumerate(loops):
                loop.call_soon_threadsafe(receive, receiver, sender, step)

    def run_a_loop(number: int) -> None:
        # A loop that loses a call ends nevertheless, and the case fails below.
        rescue = loops[number].call_later(GENEROUS, loops[number].stop)
        loops[number].call_soon(send, number)
        loops[number].run_forever()
        rescue.cancel()

    in_threads(run_a_loop)
    for loop in loops:
        loop.close()
    for calls in received:
        # Each sender's calls come once, and in its own order.
        assert [[step for sender, step in calls if sender == each] for each in range(THREADS)] == [
            list(range(CALLS))
        ] * THREADS


@requirement("free-threading/threadsafe-calls-run-once")
def test_every_call_from_several_threads_runs_once_in_the_loops_thread(loop: AbstractEventLoop) -> None:
    ran: list[tuple[int, int]] = []
    threads: set[int] = set()

    def run(number: int, step: int) -> None:
        ran.append((number, step))
        threads.add(threading.get_ident())

    def call_from_threads() -> None:
        in_threads(lambda number: [loop.call_soon_threadsafe(run, number, step) for step in range(CALLS)])

    run_beside(loop, call_from_threads)
    assert sorted(ran) == [(number, step) for number in range(THREADS) for step in range(CALLS)]
    assert threads == {threading.get_ident()}


@requirement("free-threading/threadsafe-calls-run-once")
def test_every_coroutine_from_several_threads_runs_once_and_gives_its_result(loop: AbstractEventLoop, aio: Any) -> None:
    ran: list[tuple[int, int]] = []

    async def run(number: int, step: int) -> tuple[int, int]:
        ran.append((number, step))
        await aio.sleep(0)
        return number, step

    def submit(number: int) -> list[tuple[int, int]]:
        futures = [aio.run_coroutine_threadsafe(run(number, step), loop) for step in range(CALLS)]
        return [future.result(GENEROUS) for future in futures]

    results = run_beside(loop, lambda: in_threads(submit))
    assert results == [[(number, step) for step in range(CALLS)] for number in range(THREADS)]
    assert sorted(ran) == sorted(pair for each in results for pair in each)


@requirement("free-threading/asyncio-run-works-per-thread")
def test_run_gives_each_of_several_threads_a_loop_of_its_own(aio: Any, target: Target) -> None:
    all_are_running = threading.Barrier(THREADS)

    async def main(number: int) -> tuple[int, AbstractEventLoop]:
        all_are_running.wait(GENEROUS)
        task = aio.create_task(aio.sleep(0.001, number))
        return await task, aio.get_running_loop()

    results = in_threads(lambda number: aio.run(main(number), loop_factory=target.make_loop))
    loops = [loop for _, loop in results]
    assert [number for number, _ in results] == list(range(THREADS))
    assert len({id(loop) for loop in loops}) == THREADS
    assert [loop.is_closed() for loop in loops] == [True] * THREADS


WORKERS = """
import threading
from concurrent.futures import ThreadPoolExecutor

everybody = threading.Barrier(4)
loops = []

async def fetch(name):
    await aio.sleep(0.001)
    return name.upper()

async def worker(names):
    loops.append(aio.get_running_loop())
    # All four have begun before one of them goes on.
    everybody.wait(5)
    async with aio.TaskGroup() as group:
        tasks = [group.create_task(fetch(name)) for name in names]
    return [task.result() for task in tasks]

def run_worker(names):
    return aio.run(worker(names), loop_factory=make_loop)

jobs = [["a", "b"], ["c"], ["d", "e", "f"], []]
with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(run_worker, jobs)), len(set(map(id, loops))))
"""


@requirement("examples/using-asyncio-with-threads")
def test_the_program_with_four_workers_runs_them_at_the_same_time(run_program: RunProgram) -> None:
    finished = run_program(WORKERS)
    assert finished.stdout == "[['A', 'B'], ['C'], ['D', 'E', 'F'], []] 4\n", finished.stderr
    assert (finished.stderr, finished.returncode) == ("", 0)


PRODUCER_AND_CONSUMER = """
import queue
import threading

items = queue.Queue(maxsize=3)

def produce():
    for n in range(20):
        items.put(n)
    items.shutdown()

async def consume():
    consumed = []
    loop = aio.get_running_loop()
    while True:
        try:
            consumed.append(await loop.run_in_executor(None, items.get))
        except queue.ShutDown:
            return consumed
        await aio.sleep(0)

producer = threading.Thread(target=produce)
producer.start()
print(aio.run(consume(), loop_factory=make_loop) == list(range(20)))
producer.join()
"""


@pytest.mark.skipif(not hasattr(queue, "ShutDown"), reason="queue.Queue.shutdown() came with 3.13")
@requirement("examples/producer-consumer-across-threads")
def test_the_program_with_a_producer_thread_consumes_every_item_and_ends(run_program: RunProgram) -> None:
    finished = run_program(PRODUCER_AND_CONSUMER)
    assert (finished.stdout, finished.stderr, finished.returncode) == ("True\n", "", 0)
