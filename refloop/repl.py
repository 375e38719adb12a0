"""The interactive prompt: a loop in the main thread, and beside it a thread that reads, compiles and prints.

What is typed is run by the loop, so `await` works at top level and tasks go on while the prompt waits.
"""

from __future__ import annotations

import ast
import code
import concurrent.futures
import contextlib
import contextvars
import inspect
import os
import sys
import threading
import types
from typing import TYPE_CHECKING, Any

import refloop
from refloop.loop import EventLoop
from refloop.runners import cancel_leftover_tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from refloop.tasks import Task

EXIT_MESSAGE = "exiting asyncio REPL..."


class AwaitingConsole(code.InteractiveConsole):
    """A console whose statements run in a loop of another thread.

    Keeps: python-m-asyncio/allows-top-level-await.
    """

    def __init__(self, loop: Any, names: dict[str, Any]) -> None:
        super().__init__(names)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._loop = loop
        # What one statement sets, the next one finds.
        self._context = contextvars.copy_context()
        self._running: Task[Any] | None = None
        self.exit_code: Any = 0

    def runcode(self, code: types.CodeType) -> None:
        """Run one statement in the loop and wait until it, and what it awaits, is done."""
        outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._loop.call_soon_threadsafe(self._run, code, outcome, context=self._context)
        try:
            outcome.result()
        except SystemExit as error:
            self.exit_code = error.code
            raise
        except (concurrent.futures.CancelledError, KeyboardInterrupt):
            self.write("\nKeyboardInterrupt\n")
        except BaseException:
            self.showtraceback()

    def _run(self, code: types.CodeType, outcome: concurrent.futures.Future[Any]) -> None:
        function = types.FunctionType(code, self.locals)
        try:
            result = function()
            if not inspect.iscoroutine(result):
                outcome.set_result(result)
                return
            self._running = self._loop.create_task(result, context=self._context)
        except BaseException as error:
            outcome.set_exception(error)
            return
        assert self._running is not None
        self._running.add_done_callback(lambda task: self._settle(task, outcome))

    def _settle(self, task: Any, outcome: concurrent.futures.Future[Any]) -> None:
        self._running = None
        if task.cancelled():
            outcome.set_exception(concurrent.futures.CancelledError())
        elif task.exception() is not None:
            outcome.set_exception(task.exception())
        else:
            outcome.set_result(task.result())

    def interrupt(self) -> None:
        """Cancel what the prompt waits for; called in the loop's thread."""
        if self._running is not None:
            self._running.cancel()


def run_repl() -> int:
    """Read, run and print until the end of the input or `exit()`; return the exit code.

    Keeps: python-m-asyncio/imports-asyncio-and-greets, python-m-asyncio/raises-audit-event,
    python-m-asyncio/uses-pyrepl-and-startup, python-m-asyncio/limited-basic-repl-support.
    """
    sys.audit("cpython.run_stdin")
    loop = EventLoop()
    refloop.set_event_loop(loop)
    names = {
        "asyncio": refloop,
        "refloop": refloop,
        "__name__": "__main__",
        "__package__": None,
        "__doc__": None,
        "__builtins__": __builtins__,
    }
    console = AwaitingConsole(loop, names)
    if sys.stdin.isatty():
        with contextlib.suppress(ImportError):
            # Line editing where the terminal's own does not do it.
            import readline  # noqa: F401
    reader = threading.Thread(target=_read, args=(console, loop), name="refloop-repl", daemon=True)
    reader.start()
    while True:
        try:
            loop.run_forever()
            break
        except KeyboardInterrupt:
            console.interrupt()
    reader.join()
    cancel_leftover_tasks(loop)
    loop.close()
    refloop.set_event_loop(None)
    if isinstance(console.exit_code, int) or console.exit_code is None:
        return console.exit_code or 0
    print(console.exit_code, file=sys.stderr)
    return 1


def _read(console: AwaitingConsole, loop: EventLoop) -> None:
    prompt = getattr(sys, "ps1", ">>> ")
    banner = (
        f"asyncio REPL {sys.version} on {sys.platform}\n"
        'Use "await" directly instead of "asyncio.run()".\n'
        'Type "help", "copyright", "credits" or "license" for more information.\n'
        f"{prompt}import refloop as asyncio"
    )
    try:
        console.write(banner + "\n")
        _run_startup_file(console)
        interact = _pyrepl_interaction()
        if interact is None:
            console.interact(banner="", exitmsg="")
        else:
            interact(console)
        console.write(EXIT_MESSAGE + "\n")
    except SystemExit:
        # `exit()`, whose code the console has kept.
        pass
    finally:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(loop.stop)


def _pyrepl_interaction() -> Callable[[Any], None] | None:
    """Return the interpreter's own line editor, of 3.13 and later, if the terminal can have it.

    It is an internal part of Python, so anything unexpected of it means doing without.
    """
    if os.getenv("PYTHON_BASIC_REPL") or not sys.stdin.isatty():
        return None
    try:
        from _pyrepl.main import CAN_USE_PYREPL  # type: ignore[import-not-found, unused-ignore]
        from _pyrepl.simple_interact import (  # type: ignore[import-not-found, unused-ignore]
            run_multiline_interactive_console,
        )
    except Exception:
        return None
    return run_multiline_interactive_console if CAN_USE_PYREPL else None


def _run_startup_file(console: AwaitingConsole) -> None:
    path = os.getenv("PYTHONSTARTUP")
    if not path or sys.flags.ignore_environment:
        return
    sys.audit("cpython.run_startup", path)
    import tokenize

    try:
        with tokenize.open(path) as file:
            exec(compile(file.read(), path, "exec"), console.locals)
    except SystemExit:
        raise
    except BaseException:
        console.showtraceback()
