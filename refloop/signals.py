"""Signal handlers that run as callbacks of the loop.

Python runs a handler of `signal.signal()` in the main thread, between two instructions; ours schedules the loop's
callback. The wake-up descriptor is for a loop that waits: a signal that arrives just before the system call would
otherwise be heard only when the wait ends.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVarTuple

from refloop.coroutines import iscoroutinefunction
from refloop.watching import DescriptorWatching

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

Args = TypeVarTuple("Args")


class SignalCallback(NamedTuple):
    """What to call for a signal."""

    callback: Callable[..., object]
    args: tuple[Any, ...]


class SignalHandling(DescriptorWatching):
    """`add_signal_handler()`."""

    # Made with the first handler, given back with the last: most loops never need them.
    _signal_callbacks: dict[int, SignalCallback] | None = None
    _signal_sockets: tuple[socket.socket, socket.socket] | None = None

    def add_signal_handler(self, signum: int, callback: Callable[[*Args], object], *args: *Args) -> None:
        """Call `callback(*args)` in the loop when signal `signum` arrives. Replaces the signal's former handler.

        Only for the main thread. `ValueError` for a number that is no signal; `RuntimeError` when the handler cannot
        be set up, as for `SIGKILL` or in another thread; `TypeError` for a coroutine or coroutine function.

        Keeps: loop.add_signal_handler/calls-callback-on-signal, loop.add_signal_handler/callback-may-use-loop,
        loop.add_signal_handler/replaces-previous-handler, loop.add_signal_handler/raises-for-invalid-signal,
        loop.add_signal_handler/raises-when-installing-fails, loop.add_signal_handler/main-thread-only.
        """
        _refuse_on_windows()
        if iscoroutinefunction(callback) or not callable(callback):
            raise TypeError(f"a signal's callback must be a plain callable, not {callback!r}")
        _check_signal(signum)
        self._check_closed()
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("signal handlers can be added in the main thread only")
        try:
            self._listen_to_signals()
            signal.signal(signum, self._on_signal)
            # System calls of other code are not to fail because this signal is handled.
            signal.siginterrupt(signum, False)
        except (OSError, ValueError) as error:
            # The system refuses this signal, or Python refuses signals to an interpreter that is not the main one.
            self._forget_signal_sockets_if_unused()
            raise RuntimeError(f"signal {signum} cannot be caught") from error
        if self._signal_callbacks is None:
            self._signal_callbacks = {}
        self._signal_callbacks[signum] = SignalCallback(callback, args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Give signal `sig` its default handling back and return True; False when no handler was set for it.

        Keeps: loop.remove_signal_handler/returns-true-when-removed,
        loop.remove_signal_handler/returns-false-without-handler.
        """
        _refuse_on_windows()
        _check_signal(sig)
        callbacks = self._signal_callbacks or {}
        if sig not in callbacks:
            return False
        signal.signal(sig, signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL)
        del callbacks[sig]
        self._forget_signal_sockets_if_unused()
        return True

    def _on_signal(self, sig: int, _: FrameType | None) -> None:
        """Schedule the callback of `sig`; Python calls this in the main thread, wherever that is."""
        handler = (self._signal_callbacks or {}).get(sig)
        if handler is not None and not self._closed:
            self.call_soon_threadsafe(self._run_signal_callback, sig, handler)

    def _run_signal_callback(self, sig: int, handler: SignalCallback) -> None:
        # A handler that was removed or replaced since the signal arrived does not run.
        if (self._signal_callbacks or {}).get(sig) is handler:
            handler.callback(*handler.args)

    def _listen_to_signals(self) -> None:
        if self._signal_sockets is None:
            receiver, sender = sockets = socket.socketpair()
            receiver.setblocking(False)
            sender.setblocking(False)
            self._signal_sockets = sockets
            self.add_reader(receiver, self._drain_signal_socket)
        signal.set_wakeup_fd(self._signal_sockets[1].fileno(), warn_on_full_buffer=False)

    def _drain_signal_socket(self) -> None:
        """Make the wake-up descriptor unreadable again; what the bytes say, `_on_signal()` has been told."""
        if self._signal_sockets is not None:
            with suppress(BlockingIOError):
                while self._signal_sockets[0].recv(4096):
                    pass

    def _forget_signal_sockets_if_unused(self) -> None:
        if self._signal_sockets is None or self._signal_callbacks:
            return
        receiver, sender = self._signal_sockets
        if threading.current_thread() is threading.main_thread():
            installed = signal.set_wakeup_fd(-1)
            if installed not in (-1, sender.fileno()):
                # Another loop's: it took over after us.
                signal.set_wakeup_fd(installed)
        self._signal_sockets = None
        self.remove_reader(receiver)
        receiver.close()
        sender.close()

    def _close_signals(self) -> None:
        """Give all signals their default handling back; only the main thread can."""
        if threading.current_thread() is threading.main_thread() and not sys.is_finalizing():
            for sig in list(self._signal_callbacks or ()):
                self.remove_signal_handler(sig)
        self._signal_callbacks = None
        self._forget_signal_sockets_if_unused()


def _refuse_on_windows() -> None:
    """Raise `NotImplementedError` where there are no signals for a loop to handle.

    Keeps: loop.add_signal_handler/unsupported-on-windows, loop.remove_signal_handler/unsupported-on-windows.
    """
    if os.name == "nt":
        raise NotImplementedError("Windows has no signals that a loop could handle")


def _check_signal(sig: int) -> None:
    """Raise `TypeError` for what is no integer and `ValueError` for one that is no signal.

    Keeps: loop.add_signal_handler/raises-for-invalid-signal.
    """
    if not isinstance(sig, int):
        raise TypeError(f"sig must be an int, not {sig!r}")
    if sig not in signal.valid_signals():
        raise ValueError(f"invalid signal number {sig}")
