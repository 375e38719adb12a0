"""The state of the process that a target may change, and how it is put back after each case."""

from __future__ import annotations

import asyncio
import asyncio.events
import contextlib
import os
import re
import signal
import sys
import threading
import warnings

# The public one looks each answer up among enumerations, fifty times after every case.
from _signal import getsignal  # type: ignore[import-not-found]
from typing import Any

from attrs import frozen

from conformance.harness.surroundings import Surroundings

# Nobody can handle the first two; `faulthandler` owns the next five below Python's view, and readline the last.
NOT_OURS = ("SIGKILL", "SIGSTOP", "SIGSEGV", "SIGFPE", "SIGABRT", "SIGBUS", "SIGILL", "SIGWINCH")
SIGNALS = tuple(sorted(signal.valid_signals() - {getattr(signal, name, None) for name in NOT_OURS}))
STATUS = "/proc/self/status"
STATUS_SIZE = 16384
"""Bytes that are enough for all of it: some 1,500 on a machine with a hundred CPUs."""


MASKS = re.compile(rb"^Sig(?:Ign|Cgt|Blk):\s*([0-9a-f]+)", re.MULTILINE)

OURS = sum(1 << (number - 1) for number in SIGNALS)
"""The signals a program may handle, as the kernel's bit mask: the C library keeps some for itself."""


def kernel_status() -> bytes:
    """What the kernel says of this process; empty where it does not."""
    # Read as bare as can be: this happens after every case.
    try:
        status = os.open(STATUS, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(status, STATUS_SIZE)
    finally:
        os.close(status)


def caught_signals(status: bytes) -> list[int]:
    """The kernel's view of blocked, ignored and caught signals: a handler installed in C shows here, not in Python."""
    return [int(mask, 16) & OURS for mask in MASKS.findall(status)]


def differing_signals(now: list[int], before: list[int]) -> set[int]:
    """The signals that one of the masks has and its counterpart has not."""
    different = 0
    for left, right in zip(now, before, strict=True):
        different |= left ^ right
    return {number for number in SIGNALS if different >> (number - 1) & 1}


@frozen
class ProcessState:
    """A snapshot, and the way back to it."""

    handlers: dict[int, Any]
    kernel: list[int]
    policy: object
    excepthook: Any
    unraisablehook: Any
    threading_excepthook: Any
    asyncgen_hooks: Any
    origin_depth: int
    folder: str
    environment: dict[str, str]
    surroundings: Surroundings

    @classmethod
    def now(cls) -> ProcessState:
        """Take the snapshot."""
        status = kernel_status()
        return cls(
            handlers={number: getsignal(number) for number in SIGNALS},
            kernel=caught_signals(status),
            policy=_policy(),
            excepthook=sys.excepthook,
            unraisablehook=sys.unraisablehook,
            threading_excepthook=threading.excepthook,
            asyncgen_hooks=sys.get_asyncgen_hooks(),
            origin_depth=sys.get_coroutine_origin_tracking_depth(),
            folder=_folder(),
            environment=_environment(),
            surroundings=Surroundings.now(status),
        )

    def restore(self) -> tuple[list[str], bool]:
        """Put everything back; say in a sentence each what had been changed, and whether something cannot be."""
        status = kernel_status()
        changed, spent = self.surroundings.restore(status)
        changed += [*self._restore_signals(status), *self._restore_asyncio()]
        if sys.get_asyncgen_hooks() != self.asyncgen_hooks:
            sys.set_asyncgen_hooks(*self.asyncgen_hooks)
            changed.append("the hooks for asynchronous generators stayed installed")
        if sys.get_coroutine_origin_tracking_depth() != self.origin_depth:
            sys.set_coroutine_origin_tracking_depth(self.origin_depth)
            changed.append("coroutine origin tracking stayed on")
        for owner, name, value in (
            (sys, "excepthook", self.excepthook),
            (sys, "unraisablehook", self.unraisablehook),
            (threading, "excepthook", self.threading_excepthook),
        ):
            if getattr(owner, name) is not value:
                setattr(owner, name, value)
                changed.append(f"{owner.__name__}.{name} stayed replaced")
        if _folder() != self.folder:
            changed.append("the working folder stayed changed")
            try:
                os.chdir(self.folder)
            except OSError:
                spent = True
        if (environment := _environment()) != self.environment:
            for name in environment.keys() - self.environment.keys():
                del os.environ[name]
            os.environ.update(self.environment)
            changed.append("the environment stayed changed")
        return changed, spent

    def _restore_signals(self, status: bytes) -> list[str]:
        if threading.current_thread() is not threading.main_thread():
            return []
        changed = {number for number, handler in self.handlers.items() if getsignal(number) is not handler}
        below = differing_signals(caught_signals(status), self.kernel) - changed
        for number in changed | below:
            handler = self.handlers[number]
            with contextlib.suppress(OSError, ValueError, TypeError):
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if changed or below:
            if hasattr(signal, "pthread_sigmask"):
                signal.pthread_sigmask(signal.SIG_SETMASK, ())
            # What a C library installed before the snapshot cannot be put back from here; from now on it is as it is.
            self.kernel[:] = caught_signals(kernel_status())
        sentences = [f"the handler of {signal.Signals(number).name} stayed replaced" for number in sorted(changed)]
        sentences += [
            f"the handling of {signal.Signals(number).name} stayed changed, below Python's view"
            for number in sorted(below)
        ]
        if signal.set_wakeup_fd(-1) != -1:
            sentences.append("a wake-up descriptor for signals stayed set")
        return sentences

    def _restore_asyncio(self) -> list[str]:
        changed = []
        if asyncio._get_running_loop() is not None:
            asyncio._set_running_loop(None)
            changed.append("a running loop stayed set")
        policy = _policy()
        if policy is not self.policy:
            # The default policy comes into being by being asked for; that is no trace of the target.
            if type(policy).__module__.partition(".")[0] not in ("asyncio", "refloop"):
                changed.append("the event loop policy stayed replaced")
            forget_policy()
        return changed


def forget_policy() -> None:
    """Back to the default policy, fresh: no loop is current in any thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.set_event_loop_policy(None)


def _policy() -> object:
    # Asking through the public function would make the default policy and, from 3.14, warn.
    return getattr(asyncio.events, "_event_loop_policy", None)


def _environment() -> dict[str, str]:
    variables = dict(os.environ)
    # pytest keeps the name of the running test there.
    variables.pop("PYTEST_CURRENT_TEST", None)
    return variables


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a path costs more, after every case
    except OSError:
        # It was deleted.
        return ""
