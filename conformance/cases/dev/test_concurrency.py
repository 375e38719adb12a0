"""One thread, one callback at a time: the loop among other threads, and what blocks it."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.executors import interpreter_pool
from conformance.support.marks import DEBUG, EAGER, PLAIN, budget, on_loops, requirement
from conformance.support.threads import run_beside
from conformance.support.waiting import GENEROUS, run_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.programs import RunProgram


@on_loops(PLAIN, DEBUG)
@requirement("concurrency/one-callback-at-once")
def test_callbacks_from_many_threads_run_one_at_a_time_in_the_loops_thread(loop: AbstractEventLoop) -> None:
    busy = threading.Lock()
    threads: list[int] = []

    def callback() -> None:
        assert busy.acquire(blocking=False), "two callbacks ran at once"
        time.sleep(0)  # gives other threads the chance to break in
        threads.append(threading.get_ident())
        busy.release()

    def schedule() -> None:
        for _ in range(50):
            loop.call_soon_threadsafe(callback)

    workers = [threading.Thread(target=schedule) for _ in range(4)]
    for worker in workers:
        worker.start()
    run_until(loop, lambda: len(threads) == 200)
    for worker in workers:
        worker.join(GENEROUS)
    assert set(threads) == {threading.get_ident()}


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("concurrency/one-callback-at-once")
async def test_tasks_run_in_the_loops_thread(loop: AbstractEventLoop, aio: Any) -> None:
    async def work() -> set[int]:
        threads = {threading.get_ident()}
        await aio.sleep(0)
        await loop.run_in_executor(None, int)
        return threads | {threading.get_ident()}

    found = await aio.gather(*(loop.create_task(work()) for _ in range(5)))
    assert found == [{threading.get_ident()}] * 5


@requirement("concurrency/one-callback-at-once")
def test_a_task_is_not_interrupted_between_two_awaits(loop: AbstractEventLoop, aio: Any) -> None:
    order: list[str] = []

    async def work(name: str) -> None:
        for _ in range(3):
            order.extend([f"{name} begins", f"{name} ends"])
            await aio.sleep(0)

    async def main() -> None:
        await aio.gather(work("a"), work("b"), work("c"))

    loop.run_until_complete(main())
    assert [first[:2] for first in order[::2]] == [second[:2] for second in order[1::2]]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("concurrency/await-lets-others-run")
async def test_when_a_task_awaits_the_others_run_first(loop: AbstractEventLoop, aio: Any) -> None:
    order: list[str] = []

    async def work(name: str) -> None:
        for n in range(3):
            order.append(f"{name}{n}")
            await aio.sleep(0)

    await aio.gather(loop.create_task(work("a")), loop.create_task(work("b")))
    assert order == ["a0", "b0", "a1", "b1", "a2", "b2"]


@requirement("concurrency/await-lets-others-run")
async def test_a_task_that_waits_for_a_future_lets_others_complete_it(loop: AbstractEventLoop) -> None:
    future = loop.create_future()

    async def complete() -> None:
        future.set_result("completed")

    task = loop.create_task(complete())
    assert await future == "completed"
    await task


@on_loops(PLAIN, DEBUG)
@requirement("concurrency/call-soon-threadsafe-wakes-loop")
def test_a_call_from_another_thread_wakes_an_idle_loop(loop: AbstractEventLoop) -> None:
    called = threading.Event()

    def call_and_wait() -> bool:
        called.clear()
        loop.call_soon_threadsafe(called.set)
        return called.wait(GENEROUS)

    answered = run_beside(loop, lambda: all(call_and_wait() for _ in range(20)))
    assert answered, "the loop was not woken"


@requirement("concurrency/objects-not-thread-safe")
def test_another_thread_cancels_a_future_through_the_loop(loop: AbstractEventLoop) -> None:
    future = loop.create_future()
    cancelled = threading.Event()

    def note(done: Any) -> None:
        if done.cancelled():
            cancelled.set()

    future.add_done_callback(note)

    def work() -> bool:
        loop.call_soon_threadsafe(future.cancel)
        return cancelled.wait(GENEROUS)

    assert run_beside(loop, work), "the cancelled future's callback did not run"


@requirement("concurrency/objects-not-thread-safe")
async def test_a_task_sees_the_cancellation_from_another_thread(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    worker = threading.Thread(target=loop.call_soon_threadsafe, args=(future.cancel,))
    worker.start()
    with pytest.raises(aio.CancelledError):
        await future
    worker.join(GENEROUS)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("concurrency/returns-concurrent-future")
def test_a_coroutine_of_another_thread_gives_it_a_future_with_its_result(loop: AbstractEventLoop, aio: Any) -> None:
    async def work() -> tuple[str, int]:
        return await aio.sleep(0, "result"), threading.get_ident()

    def hand_over() -> tuple[bool, object]:
        future = aio.run_coroutine_threadsafe(work(), loop)
        return isinstance(future, concurrent.futures.Future), future.result(timeout=GENEROUS)

    assert run_beside(loop, hand_over) == (True, ("result", threading.get_ident()))


@requirement("concurrency/returns-concurrent-future")
def test_a_coroutine_of_another_thread_raises_there(loop: AbstractEventLoop, aio: Any) -> None:
    async def work() -> None:
        raise LookupError("in the loop")

    with pytest.raises(LookupError, match="in the loop"):
        run_beside(loop, lambda: aio.run_coroutine_threadsafe(work(), loop).result(GENEROUS))


@requirement("concurrency/returns-concurrent-future")
def test_another_thread_waits_no_longer_than_it_says(loop: AbstractEventLoop, aio: Any) -> None:
    async def work() -> None:
        await loop.create_future()

    def hand_over() -> str:
        future = aio.run_coroutine_threadsafe(work(), loop)
        try:
            future.result(timeout=0.01)
        except concurrent.futures.TimeoutError:
            future.cancel()
            return "timed out"
        return "returned"

    assert run_beside(loop, hand_over) == "timed out"
    run_until(loop, lambda: not aio.all_tasks(loop))


@requirement("concurrency/run-in-executor-frees-loop")
async def test_a_function_in_a_thread_pool_leaves_the_loop_free(loop: AbstractEventLoop) -> None:
    gate = threading.Event()
    loop.call_soon(gate.set)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        opened, thread = await loop.run_in_executor(pool, lambda: (gate.wait(GENEROUS), threading.get_ident()))
    assert opened, "the loop ran no callback while the function blocked"
    assert thread != threading.get_ident()


@on_loops(PLAIN, DEBUG)
@requirement("concurrency/blocking-call-delays-tasks")
def test_a_blocking_callback_delays_timers_and_tasks(loop: AbstractEventLoop) -> None:
    order: list[str] = []

    async def work() -> None:
        order.append("task")

    def block() -> None:
        loop.create_task(work())
        loop.call_soon(order.append, "callback")
        loop.call_later(0.001, order.append, "timer")
        time.sleep(0.01)
        order.append("blocking callback")

    loop.call_soon(block)
    run_until(loop, lambda: len(order) == 4)
    assert order[0] == "blocking callback"
    assert sorted(order[1:]) == ["callback", "task", "timer"]


# An expression that connects to an address and blocks until a byte comes.
BLOCKING = "(lambda sock: (sock.recv(1), sock.close())[0])(__import__('socket').create_connection({}))"


@budget(30, reason="starts a Python process in a Python process")
@requirement("running-blocking-code/executors-keep-loop-responsive")
def test_a_function_that_blocks_another_process_delays_no_task(run_program: RunProgram) -> None:
    # The function blocks until the loop, which is free, accepts its connection and answers.
    program = (
        f"BLOCKING = {BLOCKING!r}"
        + """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import socket

async def main(loop, listener):
    blocking = BLOCKING.format(listener.getsockname())
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        future = loop.run_in_executor(pool, eval, blocking)
        connection = (await loop.run_in_executor(None, listener.accept))[0]
        for _ in range(100):
            await aio.sleep(0)
        print(future.done())
        with connection:
            connection.sendall(b"x")
            print(await future)

with socket.create_server(("127.0.0.1", 0)) as listener, aio.Runner(loop_factory=make_loop) as runner:
    runner.run(main(runner.get_loop(), listener))
"""
    )
    ended = run_program(program)
    assert (ended.stdout, ended.stderr) == ("False\nb'x'\n", "")


@requirement("running-blocking-code/executors-keep-loop-responsive", "loop.run_in_executor/supports-interpreter-pools")
async def test_a_function_that_blocks_another_interpreter_delays_no_task(loop: Any, aio: Any) -> None:
    from socket import create_server

    with interpreter_pool() as pool, create_server(("127.0.0.1", 0)) as listener:
        blocking = BLOCKING.format(listener.getsockname())
        future = loop.run_in_executor(pool, eval, blocking)
        with (await loop.run_in_executor(None, listener.accept))[0] as connection:
            for _ in range(100):
                await aio.sleep(0)
            blocked = not future.done()
            connection.sendall(b"x")
            assert await future == b"x"
    assert blocked


@requirement("cancellation-dev/raises-on-cancelled-future")
def test_a_cancelled_future_takes_neither_result_nor_exception(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    future.cancel()
    with pytest.raises(aio.InvalidStateError):
        future.set_result(None)
    with pytest.raises(aio.InvalidStateError):
        future.set_exception(LookupError())
    assert future.cancelled()


@requirement("cancellation-dev/scheduled-set-result-unsafe")
def test_a_result_that_comes_after_a_cancellation_is_an_error_that_is_reported(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]]
) -> None:
    future = loop.create_future()
    loop.call_soon(future.set_result, "too late")
    future.cancel()
    run_until(loop, lambda: bool(reported))
    assert [type(context.get("exception")) for context in reported] == [aio.InvalidStateError]
