"""refloop: asyncio, written from its documented promises, for reading.

This package is the namespace: what the documentation calls `asyncio.X` is `refloop.X`. `refloop.EventLoop` is the
loop, which runs standard asyncio programs as well: `asyncio.run(main(), loop_factory=refloop.EventLoop)`.

`README.md` is the reading guide.
"""

from __future__ import annotations

import socket
import warnings
from typing import TYPE_CHECKING, Any

from refloop import subprocess
from refloop.barriers import Barrier
from refloop.callgraph import (
    FrameCallGraphEntry,
    FutureCallGraph,
    capture_call_graph,
    format_call_graph,
    future_add_to_awaited_by,
    future_discard_from_awaited_by,
    print_call_graph,
)
from refloop.conditions import Condition
from refloop.coroutines import iscoroutine
from refloop.coroutines import iscoroutinefunction as _iscoroutinefunction
from refloop.current import get_event_loop, get_running_loop, new_event_loop, set_event_loop
from refloop.flags import Event
from refloop.futures import Future, isfuture, wrap_future
from refloop.gathering import gather
from refloop.handles import Handle, TimerHandle
from refloop.identity import (
    AbstractEventLoop,
    AbstractServer,
    BaseProtocol,
    BaseTransport,
    BrokenBarrierError,
    BufferedProtocol,
    CancelledError,
    DatagramProtocol,
    DatagramTransport,
    IncompleteReadError,
    InvalidStateError,
    LimitOverrunError,
    Protocol,
    QueueEmpty,
    QueueFull,
    QueueShutDown,
    ReadTransport,
    SendfileNotAvailableError,
    SubprocessProtocol,
    SubprocessTransport,
    TimeoutError,  # noqa: A004 - the documented name; it is the builtin
    Transport,
    WriteTransport,
)
from refloop.identity import _enter_task as _enter_task
from refloop.identity import _get_running_loop as _get_running_loop
from refloop.identity import _leave_task as _leave_task
from refloop.identity import _register_task as _register_task
from refloop.identity import _set_running_loop as _set_running_loop
from refloop.identity import _unregister_task as _unregister_task
from refloop.introspection import all_tasks, current_task
from refloop.locks import Lock
from refloop.loop import BaseEventLoop, EventLoop, SelectorEventLoop
from refloop.policies import get_child_watcher, get_event_loop_policy, set_child_watcher, set_event_loop_policy
from refloop.queues import LifoQueue, PriorityQueue, Queue
from refloop.runners import Runner, run
from refloop.semaphores import BoundedSemaphore, Semaphore
from refloop.servers import Server
from refloop.shielding import shield
from refloop.sleeping import sleep
from refloop.spawning import create_eager_task_factory, create_task, eager_task_factory, ensure_future
from refloop.stream_protocol import StreamReaderProtocol
from refloop.stream_reader import StreamReader
from refloop.stream_writer import StreamWriter
from refloop.streams import open_connection, start_server
from refloop.subprocess import create_subprocess_exec, create_subprocess_shell
from refloop.taskgroups import TaskGroup
from refloop.tasks import Task
from refloop.threads import run_coroutine_threadsafe, to_thread
from refloop.timeouts import Timeout, timeout, timeout_at, wait_for
from refloop.waiting import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION, as_completed, wait

if TYPE_CHECKING:
    from refloop.identity import AbstractEventLoopPolicy as AbstractEventLoopPolicy
    from refloop.policies import DefaultEventLoopPolicy as DefaultEventLoopPolicy


def iscoroutinefunction(func: object) -> bool:
    """Return whether calling `func` gives a coroutine object. Deprecated: `inspect.iscoroutinefunction()` is the one.

    Keeps: iscoroutinefunction/warns-deprecated.
    """
    warnings.warn(
        "'refloop.iscoroutinefunction' is deprecated; use inspect.iscoroutinefunction() instead",
        DeprecationWarning,
        stacklevel=2,
    )
    return _iscoroutinefunction(func)


def __getattr__(name: str) -> Any:
    """Give the deprecated classes of policies, and `async`, with a `DeprecationWarning`.

    Keeps: async/aliases-ensure-future, AbstractEventLoopPolicy/warns-deprecated,
    DefaultEventLoopPolicy/warns-deprecated.
    """
    if name == "async":
        warnings.warn("'refloop.async' is deprecated; use ensure_future()", DeprecationWarning, stacklevel=2)
        return ensure_future
    if name not in ("AbstractEventLoopPolicy", "DefaultEventLoopPolicy"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from refloop import policies

    warnings.warn(
        f"'refloop.{name}' is deprecated and slated for removal in Python 3.16", DeprecationWarning, stacklevel=2
    )
    return getattr(policies, name)


__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "AbstractEventLoop",
    "AbstractServer",
    "Barrier",
    "BaseEventLoop",
    "BaseProtocol",
    "BaseTransport",
    "BoundedSemaphore",
    "BrokenBarrierError",
    "BufferedProtocol",
    "CancelledError",
    "Condition",
    "DatagramProtocol",
    "DatagramTransport",
    "Event",
    "EventLoop",
    "FrameCallGraphEntry",
    "Future",
    "FutureCallGraph",
    "Handle",
    "IncompleteReadError",
    "InvalidStateError",
    "LifoQueue",
    "LimitOverrunError",
    "Lock",
    "PriorityQueue",
    "Protocol",
    "Queue",
    "QueueEmpty",
    "QueueFull",
    "QueueShutDown",
    "ReadTransport",
    "Runner",
    "SelectorEventLoop",
    "Semaphore",
    "SendfileNotAvailableError",
    "Server",
    "StreamReader",
    "StreamReaderProtocol",
    "StreamWriter",
    "SubprocessProtocol",
    "SubprocessTransport",
    "Task",
    "TaskGroup",
    "Timeout",
    "TimeoutError",
    "TimerHandle",
    "Transport",
    "WriteTransport",
    "all_tasks",
    "as_completed",
    "capture_call_graph",
    "create_eager_task_factory",
    "create_subprocess_exec",
    "create_subprocess_shell",
    "create_task",
    "current_task",
    "eager_task_factory",
    "ensure_future",
    "format_call_graph",
    "future_add_to_awaited_by",
    "future_discard_from_awaited_by",
    "gather",
    "get_child_watcher",
    "get_event_loop",
    "get_event_loop_policy",
    "get_running_loop",
    "iscoroutine",
    "iscoroutinefunction",
    "isfuture",
    "new_event_loop",
    "open_connection",
    "print_call_graph",
    "run",
    "run_coroutine_threadsafe",
    "set_child_watcher",
    "set_event_loop",
    "set_event_loop_policy",
    "shield",
    "sleep",
    "start_server",
    "subprocess",
    "timeout",
    "timeout_at",
    "to_thread",
    "wait",
    "wait_for",
    "wrap_future",
]

if hasattr(socket, "AF_UNIX"):
    from refloop.childwatchers import AbstractChildWatcher, PidfdChildWatcher, ThreadedChildWatcher
    from refloop.sigchldwatchers import FastChildWatcher, MultiLoopChildWatcher, SafeChildWatcher
    from refloop.streams import open_unix_connection, start_unix_server

    __all__ += ["open_unix_connection", "start_unix_server"]
    __all__ += ["AbstractChildWatcher", "FastChildWatcher", "MultiLoopChildWatcher"]
    __all__ += ["PidfdChildWatcher", "SafeChildWatcher", "ThreadedChildWatcher"]
