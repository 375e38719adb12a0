"""Which loop is meant when none is named: the running one, else the current one of the thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refloop import policies
from refloop.identity import _get_running_loop, get_running_loop

if TYPE_CHECKING:
    from refloop.identity import AbstractEventLoop


def get_event_loop() -> AbstractEventLoop:
    """Return the running loop or, none running in this thread, what the policy calls the current loop.

    With the default policy that is the loop given to `set_event_loop()`; without one, `RuntimeError`.

    Keeps: get_event_loop/delegates-to-policy, get_event_loop/returns-running-loop-in-coroutine,
    get_event_loop/returns-running-loop-in-callback, get_event_loop/raises-without-current-loop,
    get_event_loop/raises-in-bare-other-thread.
    """
    return _get_running_loop() or policies.current_policy().get_event_loop()


def set_event_loop(loop: AbstractEventLoop | None) -> None:
    """Make `loop` the current one of this thread; None leaves the thread without.

    Keeps: set_event_loop/sets-current-loop, set_event_loop/affects-calling-thread-only,
    set_event_loop/accepts-none-to-clear.
    """
    policies.current_policy().set_event_loop(loop)


def new_event_loop() -> AbstractEventLoop:
    """Return a loop that the policy makes, without making it the current one.

    Keeps: new_event_loop/returns-fresh-unset-loop, new_event_loop/follows-custom-policy.
    """
    return policies.current_policy().new_event_loop()


__all__ = ["get_event_loop", "get_running_loop", "new_event_loop", "set_event_loop"]
