"""Blocking calls: run in an executor, so that the loop goes on meanwhile. Name resolution is one of them."""

from __future__ import annotations

import concurrent.futures
import socket
import threading
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from refloop.futures import Future, wrap_future
from refloop.scheduling import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Executors(Scheduler):
    """`run_in_executor()`, the default executor, and what the loop itself runs there."""

    _default_executor: concurrent.futures.ThreadPoolExecutor | None = None
    _executor_was_shut_down: bool = False

    def run_in_executor(  # type: ignore[override]  # a future of refloop's
        self, executor: concurrent.futures.Executor | None, func: Callable[..., T], *args: Any
    ) -> Future[T]:
        """Call `func(*args)` in `executor`, by default the loop's own thread pool; return a future of its outcome.

        `RuntimeError` when the loop is closed or its default executor was shut down.

        Keeps: loop.run_in_executor/runs-func-in-executor, loop.run_in_executor/none-uses-default-executor,
        loop.run_in_executor/default-is-lazy-thread-pool, loop.run_in_executor/default-worker-count-untouched,
        loop.run_in_executor/returns-future, loop.run_in_executor/delivers-result-or-exception,
        loop.run_in_executor/loop-stays-responsive, loop.run_in_executor/raises-on-closed-loop.
        """
        self._check_closed()
        if executor is None:
            executor = self._default_executor or self._make_default_executor()
        return wrap_future(executor.submit(func, *args), loop=self)

    def set_default_executor(  # type: ignore[override]  # any Executor, say the stubs
        self, executor: concurrent.futures.ThreadPoolExecutor
    ) -> None:
        """Make `executor` the default one. `TypeError` unless it is a `ThreadPoolExecutor`.

        Keeps: loop.set_default_executor/used-for-none-executor, loop.set_default_executor/rejects-other-executors,
        loop.set_default_executor/accepts-interpreter-pool.
        """
        if not isinstance(executor, concurrent.futures.ThreadPoolExecutor):
            raise TypeError(f"the default executor must be a ThreadPoolExecutor, not {executor!r}")
        self._default_executor = executor

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Shut the default executor down and wait until its threads have ended, at most `timeout` seconds.

        When the time is up, a `RuntimeWarning` says so and the threads are left to themselves. Afterwards
        `run_in_executor(None, ...)` raises `RuntimeError`.

        Keeps: loop.shutdown_default_executor/waits-for-executor-threads,
        loop.shutdown_default_executor/rejects-later-default-executor-use,
        loop.shutdown_default_executor/none-timeout-waits-forever, loop.shutdown_default_executor/timeout-limits-join,
        loop.shutdown_default_executor/warns-on-timeout.
        """
        self._executor_was_shut_down = True
        executor = self._default_executor
        if executor is None:
            return
        joined: Future[bool] = Future(loop=self)

        def settle(in_time: bool) -> None:
            if not joined.done():
                joined.set_result(in_time)

        def join() -> None:
            executor.shutdown(wait=True)
            if not self._closed:
                self.call_soon_threadsafe(settle, True)

        joiner = threading.Thread(target=join, name="refloop-executor-shutdown")
        joiner.start()
        timer = None if timeout is None else self.call_later(timeout, settle, False)
        try:
            in_time = await joined
        finally:
            if timer is not None:
                timer.cancel()
        if in_time:
            joiner.join()
        else:
            warnings.warn(
                f"The executor did not finish joining its threads within {timeout} seconds.",
                RuntimeWarning,
                stacklevel=2,
            )
            executor.shutdown(wait=False)

    async def getaddrinfo(  # type: ignore[override]
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - documented name
        proto: int = 0,
        flags: int = 0,
    ) -> list[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[str, int] | tuple[str, int, int, int]]]:
        """Return what `socket.getaddrinfo()` does for the same arguments, asked in the default executor.

        Keeps: loop.getaddrinfo/matches-socket-getaddrinfo, loop.getaddrinfo/accepts-family-type-proto-flags,
        loop.getaddrinfo/is-coroutine-function, loop.getaddrinfo/runs-in-default-executor.
        """
        found: Any = await self.run_in_executor(None, socket.getaddrinfo, host, port, family, type, proto, flags)
        return found  # type: ignore[no-any-return]

    async def getnameinfo(
        self, sockaddr: tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int], flags: int = 0
    ) -> tuple[str, str]:
        """Return what `socket.getnameinfo()` does for the same arguments, asked in the default executor.

        Keeps: loop.getnameinfo/matches-socket-getnameinfo, loop.getnameinfo/accepts-documented-parameters,
        loop.getnameinfo/is-coroutine-function, loop.getnameinfo/runs-in-default-executor.
        """
        return await self.run_in_executor(None, socket.getnameinfo, sockaddr, flags)

    def _make_default_executor(self) -> concurrent.futures.ThreadPoolExecutor:
        if self._executor_was_shut_down:
            raise RuntimeError("Executor shutdown has been called")
        self._default_executor = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="refloop")
        return self._default_executor

    def _close_executor(self) -> None:
        """Let the default executor go.

        Keeps: loop.close/shuts-executor-without-waiting.
        """
        executor = self._default_executor
        if executor is not None:
            self._default_executor = None
            executor.shutdown(wait=False)
