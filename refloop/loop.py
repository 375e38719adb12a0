"""The event loop, put together from its parts.

Each part keeps one subject and stands on the scheduler:

    errors.ErrorReporting                 what nobody catches goes to the exception handler
      scheduling.Scheduler                ready queue, timers, the run
        spawning.TaskMaking               futures and tasks
          asyncgens.AsyncGenerators       asynchronous generators are closed in the end
          debug.DebugMode                 checks and records, on request
          tls.TLSStarting                 TLS on a connection in use
        executors.Executors               blocking calls, name resolution
        watching.DescriptorWatching       callbacks for descriptors
          signals.SignalHandling          callbacks for signals
          sockcalls.SocketCalls           `sock_recv()` and its siblings
            connecting.Connecting         stream connections
              listening.ServerMaking      servers
            datagrams.DatagramEndpoints   datagrams
            sendfile.FileSending          files
          pipes.PipeConnecting            pipes
          processes.ProcessStarting       child processes
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from refloop.asyncgens import AsyncGenerators
from refloop.datagrams import DatagramEndpoints
from refloop.debug import DebugMode, debug_by_default
from refloop.executors import Executors
from refloop.futures import Future, isfuture
from refloop.listening import ServerMaking
from refloop.pipes import PipeConnecting
from refloop.polling import SelectorPoller, default_poller
from refloop.processes import ProcessStarting
from refloop.sendfile import FileSending
from refloop.signals import SignalHandling
from refloop.spawning import ensure_future
from refloop.tasks import Task
from refloop.tls import TLSStarting

if TYPE_CHECKING:
    import selectors
    from collections.abc import Awaitable, Generator

    from refloop.polling import Poller

T = TypeVar("T")


class BaseEventLoop(
    DebugMode,
    AsyncGenerators,
    TLSStarting,
    ServerMaking,
    DatagramEndpoints,
    FileSending,
    PipeConnecting,
    ProcessStarting,
    SignalHandling,
    Executors,
):
    """Everything of a loop but the say in what polls for it.

    Keeps: BaseEventLoop/supplies-common-methods.
    """

    def __init__(self, poller: Poller | None = None) -> None:
        super().__init__(default_poller() if poller is None else poller)
        if debug_by_default():
            self.set_debug(True)

    def run_until_complete(self, future: Awaitable[T] | Generator[Any, None, T]) -> T:
        """Run until `future` is done; return its result or raise its exception. A coroutine is run as a task.

        `RuntimeError` when the loop is stopped before, is closed or runs already, or another runs in this thread.

        Keeps: loop.run_until_complete/runs-until-future-done, loop.run_until_complete/returns-future-result,
        loop.run_until_complete/raises-future-exception, loop.run_until_complete/wraps-coroutine-in-task,
        loop.run_until_complete/uses-future-as-is, loop.run_until_complete/raises-when-stopped-early,
        loop.run_until_complete/callable-repeatedly, Future/wakes-run-until-complete.
        """
        self._check_runnable()
        made_here = not isfuture(future)
        awaited = ensure_future(future, loop=self)
        if made_here and isinstance(awaited, Task):
            # The caller hears of it if the run ends early; collecting the task later is no further news.
            awaited._log_destroy_pending = False
        awaited.add_done_callback(self._stop_when_done)
        try:
            self.run_forever()
        except BaseException:
            if made_here and awaited.done() and not awaited.cancelled():
                # The exception that ends the run is the task's own: it need not be reported as well.
                awaited.exception()
            raise
        finally:
            awaited.remove_done_callback(self._stop_when_done)
        if not awaited.done():
            raise RuntimeError("Event loop stopped before Future completed.")
        return awaited.result()

    def _stop_when_done(self, future: Future[Any]) -> None:
        if not future.cancelled() and isinstance(future.exception(), (KeyboardInterrupt, SystemExit)):
            # It has ended the run already; stopping would end the next one.
            return
        self.stop()

    def close(self) -> None:
        """Close the loop: drop what is scheduled, let the executor go, give descriptors and signals back.

        Closing again does nothing. `RuntimeError` while the loop runs.

        Keeps: loop.close/rejects-running-loop, loop.close/repeat-call-does-nothing, loop.close/close-is-irreversible,
        loop.close/drops-pending-callbacks, loop.close/shuts-executor-without-waiting.
        """
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self._closed:
            return
        self._close_signals()
        self._close_scheduler()
        self._close_executor()
        self._close_children()

    def __del__(self) -> None:
        """Close a loop that its owner forgot, with a `ResourceWarning`.

        Keeps: loop.close/warns-when-collected-unclosed, debug-mode/warns-about-unclosed-resources.
        """
        if self._closed or not hasattr(self, "_waker"):
            return
        warnings.warn(f"unclosed event loop {self!r}", ResourceWarning, source=self, stacklevel=2)
        if not self.is_running():
            self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} running={self.is_running()} closed={self.is_closed()} debug={self.get_debug()}>"


class SelectorEventLoop(BaseEventLoop):
    """The loop that asks a selector, by default the system's most efficient one, which descriptors are ready.

    Keeps: SelectorEventLoop/uses-best-selector, SelectorEventLoop/accepts-selector-argument,
    AbstractEventLoop/lists-required-methods, EventLoop/usable-as-loop-factory.
    """

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__(None if selector is None else SelectorPoller(selector))


# Keeps: EventLoop/aliases-platform-loop.
EventLoop = SelectorEventLoop
