"""Asynchronous generators: the loop knows those first iterated while it runs, and sees to it that they are closed."""

from __future__ import annotations

import sys
import warnings
import weakref
from typing import TYPE_CHECKING, Any

from refloop.spawning import TaskMaking

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class AsyncGenerators(TaskMaking):
    """The hooks that Python calls when an asynchronous generator is first iterated, and when one is abandoned."""

    _asyncgens_were_shut_down: bool = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._asyncgens: weakref.WeakSet[AsyncGenerator[Any, Any]] = weakref.WeakSet()

    async def shutdown_asyncgens(self) -> None:
        """Close every open asynchronous generator of the loop; iterating a further one gets a `ResourceWarning`.

        Keeps: loop.shutdown_asyncgens/closes-open-asyncgens, loop.shutdown_asyncgens/warns-on-later-iteration,
        loop.shutdown_asyncgens/empties-tracked-generators, loop.shutdown_asyncgens/is-coroutine-function,
        loop.shutdown_asyncgens/usable-between-run-and-close, async-generators/closes-generators-on-shutdown.
        """
        self._asyncgens_were_shut_down = True
        closing = {self.create_task(_close(agen)): agen for agen in list(self._asyncgens)}
        self._asyncgens.clear()
        for task, agen in closing.items():
            try:
                await task
            except Exception as error:
                self.call_exception_handler(
                    {
                        "message": f"an error occurred during closing of asynchronous generator {agen!r}",
                        "exception": error,
                        "asyncgen": agen,
                    }
                )

    def _begin_run(self) -> None:
        """Install the hooks; the scheduler puts the former ones back.

        Keeps: async-generators/registers-asyncgen-hooks, async-generators/ignores-earlier-generators.
        """
        super()._begin_run()
        sys.set_asyncgen_hooks(firstiter=self._asyncgen_started, finalizer=self._asyncgen_abandoned)

    def _asyncgen_started(self, agen: AsyncGenerator[Any, Any]) -> None:
        if self._asyncgens_were_shut_down:
            warnings.warn(
                f"asynchronous generator {agen!r} was scheduled after loop.shutdown_asyncgens() call",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )
        self._asyncgens.add(agen)

    def _asyncgen_abandoned(self, agen: AsyncGenerator[Any, Any]) -> None:
        """Close a generator that was left early; the garbage collector may say so in any thread.

        Keeps: async-generators/abandoned-cleanup-deferred.
        """
        self._asyncgens.discard(agen)
        if not self._closed:
            self.call_soon_threadsafe(self._close_abandoned, agen)

    def _close_abandoned(self, agen: AsyncGenerator[Any, Any]) -> None:
        self.create_task(_close(agen))


async def _close(agen: AsyncGenerator[Any, Any]) -> None:
    await agen.aclose()
