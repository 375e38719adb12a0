"""Work in another thread beside a running loop, so that a broken wake-up ends a case instead of hanging it."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

T = TypeVar("T")

# A loop that nobody can wake is stopped by a timer: later than any wait in the thread, before the case's ten seconds.
RESCUE = 1.5 * GENEROUS


def run_beside(loop: AbstractEventLoop, work: Callable[[], T]) -> T:
    """Run ``work()`` in a thread while ``loop`` runs in this one; stop the loop when it ends and give its result.

    The thread starts from a callback, so ``work()`` meets a running loop. Its exception is raised here. Where it waits
    for the loop it is to wait for ``GENEROUS`` seconds at most, so that it fails before the loop is stopped for it.
    """
    jobs: list[Future[T]] = []

    def work_then_stop() -> T:
        try:
            return work()
        finally:
            loop.call_soon_threadsafe(loop.stop)

    with ThreadPoolExecutor(1) as pool:
        loop.call_soon(lambda: jobs.append(pool.submit(work_then_stop)))
        rescue = loop.call_later(RESCUE, loop.stop)
        loop.run_forever()
        rescue.cancel()
        return jobs[0].result(GENEROUS)


def in_thread(work: Callable[[], T]) -> T:
    """Run ``work()`` in a thread of its own, without a loop; give its result or raise its exception."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


async def beside(loop: AbstractEventLoop, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """Call ``work()`` in ``thread`` while ``loop`` runs; give its result or raise its exception.

    It uses no executor of the loop's: a loop whose executor is broken is not to fail here.
    """
    return await result_of(loop, thread.submit(work))


async def result_of(loop: AbstractEventLoop, job: Future[T]) -> T:
    """Wait, while ``loop`` runs, until ``job`` has ended: a loop may need its turns to send what the job waits for."""
    ended = loop.create_future()

    def settle() -> None:
        if not ended.done():
            ended.set_result(None)

    def tell(_: object) -> None:
        # A case that gave up has closed its loop.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(settle)

    job.add_done_callback(tell)
    await ended
    return job.result()
