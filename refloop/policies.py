"""Policies: the process-wide choice of how loops are made and which one is current.

Deprecated since 3.14, to be removed in 3.16; `run()`, `Runner` and their `loop_factory` take their place. refloop's
policy is its own: it does not change what asyncio's functions do.
"""

from __future__ import annotations

import os
import threading
import warnings
from typing import Any

from refloop.identity import AbstractEventLoop, AbstractEventLoopPolicy


class DefaultEventLoopPolicy(AbstractEventLoopPolicy):
    """One current loop for each thread, None until it is set.

    Keeps: DefaultEventLoopPolicy/one-loop-per-thread, DefaultEventLoopPolicy/raises-without-loop,
    DefaultEventLoopPolicy/raises-in-other-threads, DefaultEventLoopPolicy/creates-selector-loop-on-unix.
    """

    def __init__(self) -> None:
        self._thread = _ThreadState()
        self._chosen_child_watcher: Any = None
        self._default_child_watcher: Any = None

    def get_event_loop(self) -> AbstractEventLoop:
        """Return the loop set for this thread; `RuntimeError` when there is none.

        Keeps: AbstractEventLoopPolicy.get_event_loop/returns-context-loop,
        AbstractEventLoopPolicy.get_event_loop/raises-without-loop.
        """
        loop = self._thread.loop
        if loop is None:
            raise RuntimeError(f"There is no current event loop in thread {threading.current_thread().name!r}.")
        return loop

    def set_event_loop(self, loop: AbstractEventLoop | None) -> None:
        """Make `loop` the current one of this thread; None for none. `TypeError` for anything else.

        Keeps: AbstractEventLoopPolicy.set_event_loop/sets-context-loop.
        """
        if loop is not None and not isinstance(loop, AbstractEventLoop):
            raise TypeError(f"loop must be an AbstractEventLoop or None, not {type(loop).__name__!r}")
        self._thread.loop = loop
        self._thread.was_set = True
        if self._chosen_child_watcher is not None and threading.current_thread() is threading.main_thread():
            self._chosen_child_watcher.attach_loop(loop)

    def new_event_loop(self) -> AbstractEventLoop:
        """Return a new loop, without making it the current one.

        Keeps: AbstractEventLoopPolicy.new_event_loop/returns-new-unset-loop.
        """
        # Looked up late: the loop is built on modules that ask for the current loop.
        from refloop.loop import EventLoop

        return EventLoop()

    def get_child_watcher(self) -> Any:
        """Return the child watcher that was set, else one that waits in threads. Deprecated.

        It takes part in the starting of children only if it was set; else each loop hears of its own by itself.

        Keeps: AbstractEventLoopPolicy.get_child_watcher/returns-child-watcher,
        AbstractEventLoopPolicy.get_child_watcher/warns-deprecated.
        """
        _warn_no_child_watchers("refloop.AbstractEventLoopPolicy.get_child_watcher")
        if self._chosen_child_watcher is not None:
            return self._chosen_child_watcher
        if self._default_child_watcher is None:
            from refloop.childwatchers import ThreadedChildWatcher

            self._default_child_watcher = ThreadedChildWatcher()
        return self._default_child_watcher

    def set_child_watcher(self, watcher: Any) -> None:
        """Let `watcher` hear of the children that are started from now on; None lets each loop do so again.

        The former one is closed. `TypeError` for what is no child watcher. Deprecated.

        Keeps: AbstractEventLoopPolicy.set_child_watcher/installs-child-watcher,
        AbstractEventLoopPolicy.set_child_watcher/warns-deprecated, windows/lacks-child-watchers.
        """
        _warn_no_child_watchers("refloop.AbstractEventLoopPolicy.set_child_watcher")
        if os.name == "nt":
            raise NotImplementedError("Windows has no child watchers")
        if watcher is not None and not hasattr(watcher, "add_child_handler"):
            raise TypeError(f"watcher must be an AbstractChildWatcher or None, not {type(watcher).__name__!r}")
        if self._chosen_child_watcher is not None and self._chosen_child_watcher is not watcher:
            self._chosen_child_watcher.close()
        self._chosen_child_watcher = watcher


class _ThreadState(threading.local):
    loop: AbstractEventLoop | None = None
    # Whether it was ever set, to None too: what older documentation asks (`legacy`).
    was_set = False


_policy: AbstractEventLoopPolicy | None = None
_creating_policy = threading.Lock()


def current_policy() -> AbstractEventLoopPolicy:
    """Return the policy in force, a `DefaultEventLoopPolicy` unless another was set."""
    global _policy
    if _policy is None:
        with _creating_policy:
            if _policy is None:
                _policy = DefaultEventLoopPolicy()
    return _policy


def chosen_child_watcher() -> Any:
    """Return the child watcher that was set for the policy in force; None leaves its children to each loop."""
    return getattr(current_policy(), "_chosen_child_watcher", None)


def get_event_loop_policy() -> AbstractEventLoopPolicy:
    """Return the policy in force, one for the whole process. Deprecated.

    Keeps: get_event_loop_policy/returns-process-wide-policy, get_event_loop_policy/warns-deprecated.
    """
    _warn_deprecated("refloop.get_event_loop_policy")
    return current_policy()


def set_event_loop_policy(policy: AbstractEventLoopPolicy | None) -> None:
    """Put `policy` in force, or with None the default one. `TypeError` for what is no policy. Deprecated.

    Keeps: set_event_loop_policy/installs-or-restores-policy, set_event_loop_policy/redirects-loop-functions,
    set_event_loop_policy/rejects-non-policy, set_event_loop_policy/warns-deprecated.
    """
    global _policy
    _warn_deprecated("refloop.set_event_loop_policy")
    if policy is not None and not isinstance(policy, AbstractEventLoopPolicy):
        raise TypeError(f"policy must be an AbstractEventLoopPolicy or None, not {type(policy).__name__!r}")
    _policy = policy


def get_child_watcher() -> Any:
    """Return the child watcher of the policy in force. Deprecated.

    Keeps: get_child_watcher/returns-current-watcher, get_child_watcher/warns-deprecated.
    """
    _warn_no_child_watchers("refloop.get_child_watcher")
    policy: Any = current_policy()
    return policy.get_child_watcher()


def set_child_watcher(watcher: Any) -> None:
    """Make `watcher` the child watcher of the policy in force. Deprecated.

    Keeps: set_child_watcher/installs-current-watcher, set_child_watcher/warns-deprecated.
    """
    _warn_no_child_watchers("refloop.set_child_watcher")
    policy: Any = current_policy()
    policy.set_child_watcher(watcher)


def _warn_no_child_watchers(name: str) -> None:
    warnings.warn(
        f"{name!r} is deprecated: Python 3.14 has no child watchers, loops need none", DeprecationWarning, stacklevel=3
    )


def _warn_deprecated(name: str) -> None:
    warnings.warn(f"{name!r} is deprecated and slated for removal in Python 3.16", DeprecationWarning, stacklevel=3)
