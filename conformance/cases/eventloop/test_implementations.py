"""The loop classes: ``AbstractEventLoop``, ``SelectorEventLoop``, ``ProactorEventLoop`` and ``EventLoop``."""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.threads import run_beside

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.programs import RunProgram

# What the page has listed since 3.6; every method that came later has requirements of its own.
METHODS = [
    "run_forever",
    "run_until_complete",
    "is_running",
    "stop",
    "is_closed",
    "close",
    "shutdown_asyncgens",
    "call_soon",
    "call_soon_threadsafe",
    "call_later",
    "call_at",
    "time",
    "create_future",
    "create_task",
    "set_task_factory",
    "get_task_factory",
    "create_connection",
    "create_datagram_endpoint",
    "create_server",
    "add_reader",
    "remove_reader",
    "add_writer",
    "remove_writer",
    "sock_recv",
    "sock_sendall",
    "sock_connect",
    "sock_accept",
    "getaddrinfo",
    "getnameinfo",
    "connect_read_pipe",
    "connect_write_pipe",
    "run_in_executor",
    "set_default_executor",
    "set_exception_handler",
    "get_exception_handler",
    "default_exception_handler",
    "call_exception_handler",
    "get_debug",
    "set_debug",
    "subprocess_exec",
    "subprocess_shell",
]
# Unix only, as documented.
UNIX_METHODS = ["create_unix_connection", "create_unix_server", "add_signal_handler", "remove_signal_handler"]
SELECTORS = [
    name
    for name in ("SelectSelector", "PollSelector", "EpollSelector", "DevpollSelector", "KqueueSelector")
    if hasattr(selectors, name)
]
OPEN_FILES = Path("/proc/self/fd")


@requirement("AbstractEventLoop/lists-required-methods")
def test_a_loop_is_an_abstract_event_loop(loop: AbstractEventLoop, aio: Any) -> None:
    assert isinstance(loop, aio.AbstractEventLoop)


@requirement("AbstractEventLoop/lists-required-methods")
def test_the_abstract_event_loop_has_every_documented_method(aio: Any) -> None:
    assert [name for name in METHODS + UNIX_METHODS if not callable(getattr(aio.AbstractEventLoop, name, None))] == []


@pytest.mark.parametrize("name", METHODS if sys.platform == "win32" else METHODS + UNIX_METHODS)
@requirement("AbstractEventLoop/lists-required-methods")
def test_a_loop_defines_the_method(loop: AbstractEventLoop, aio: Any, name: str) -> None:
    defined = getattr(type(loop), name, None)
    assert callable(defined)
    assert defined is not getattr(aio.AbstractEventLoop, name)


@requirement("SelectorEventLoop/uses-best-selector")
def test_a_selector_event_loop_is_an_event_loop(aio: Any) -> None:
    assert issubclass(aio.SelectorEventLoop, aio.AbstractEventLoop)


def kinds_of_open_files() -> list[str]:
    """What this process has open, by kind: ``anon_inode:[eventpoll]`` is an epoll object."""
    kinds = []
    for entry in OPEN_FILES.iterdir():
        with contextlib.suppress(OSError):
            kinds.append(str(entry.readlink()).partition("[")[2] or "file")
    return kinds


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="the platform does not say which selector a process has open")
@requirement("SelectorEventLoop/uses-best-selector")
def test_without_a_selector_the_loop_opens_the_one_that_selectors_calls_best(aio: Any) -> None:
    before = kinds_of_open_files().count("eventpoll]")
    with selectors.DefaultSelector():
        expected = kinds_of_open_files().count("eventpoll]") - before
    with contextlib.closing(aio.SelectorEventLoop()):
        opened = kinds_of_open_files().count("eventpoll]") - before
    assert opened == expected


class CountingSelector(selectors.SelectSelector):
    """Notes what it is asked to watch and how often it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: list[object] = []
        self.waits = 0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        self.watched.append(fileobj if isinstance(fileobj, int) else fileobj.fileno())
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.waits += 1
        return super().select(timeout)


@requirement("SelectorEventLoop/accepts-selector-argument")
def test_the_loop_polls_the_selector_that_it_is_given(aio: Any) -> None:
    selector = CountingSelector()
    ours, peers = socket.socketpair()
    with ours, peers, contextlib.closing(aio.SelectorEventLoop(selector)) as loop:
        loop.add_reader(ours.fileno(), loop.stop)
        peers.send(b"x")
        loop.run_forever()
        loop.remove_reader(ours.fileno())
        assert (ours.fileno() in selector.watched, selector.waits > 0) == (True, True)


@requirement("SelectorEventLoop/accepts-selector-argument")
def test_none_for_a_selector_means_the_default_one(aio: Any) -> None:
    with contextlib.closing(aio.SelectorEventLoop(None)) as loop:
        loop.call_later(0.001, loop.stop)
        loop.run_forever()
        assert loop.is_running() is False


@pytest.mark.parametrize("name", SELECTORS)
@requirement("SelectorEventLoop/works-with-each-selector")
def test_a_loop_works_with_the_selector(aio: Any, name: str) -> None:
    ours, peers = socket.socketpair()
    ours.setblocking(False)

    async def echo() -> bytes:
        block: bytes = await loop.sock_recv(ours, 100)
        await loop.sock_sendall(ours, block)
        return block

    with ours, peers, contextlib.closing(aio.SelectorEventLoop(getattr(selectors, name)())) as loop:
        peers.send(b"ping")
        assert loop.run_until_complete(echo()) == b"ping"
        assert peers.recv(100) == b"ping"
        loop.call_later(0.002, loop.stop)
        loop.run_forever()
        assert run_beside(loop, lambda: "woken") == "woken"


@requirement("ProactorEventLoop/uses-completion-ports")
def test_a_proactor_event_loop_is_an_event_loop_that_reads_without_a_selector(aio: Any) -> None:
    assert issubclass(aio.ProactorEventLoop, aio.AbstractEventLoop)
    ours, peers = socket.socketpair()
    ours.setblocking(False)
    with ours, peers, contextlib.closing(aio.ProactorEventLoop()) as loop:
        with pytest.raises(NotImplementedError):
            loop.add_reader(ours.fileno(), int)
        peers.send(b"ping")
        assert loop.run_until_complete(loop.sock_recv(ours, 100)) == b"ping"


@requirement("EventLoop/aliases-platform-loop")
def test_event_loop_is_the_loop_class_of_the_platform(aio: Any) -> None:
    expected = aio.ProactorEventLoop if sys.platform == "win32" else aio.SelectorEventLoop
    assert aio.EventLoop is expected


@requirement("EventLoop/usable-as-loop-factory")
def test_event_loop_can_be_the_factory_of_run_and_of_a_runner(aio: Any) -> None:
    async def kind() -> bool:
        return isinstance(aio.get_running_loop(), aio.EventLoop)

    with aio.Runner(loop_factory=aio.EventLoop) as runner:
        assert [aio.run(kind(), loop_factory=aio.EventLoop), runner.run(kind())] == [True, True]


CHOSEN_SELECTOR = """
import selectors

class Chosen(selectors.SelectSelector):
    used = False

    def select(self, timeout=None):
        Chosen.used = True
        return super().select(timeout)

async def main():
    await aio.sleep(0.001)
    print("ran on", type(aio.get_running_loop()).__name__)

loop = aio.SelectorEventLoop(Chosen())
aio.set_event_loop(loop)
try:
    loop.run_until_complete(main())
finally:
    aio.set_event_loop(None)
    loop.close()
print("selector used:", Chosen.used)
"""


@requirement("examples/selectoreventloop-example")
def test_the_program_with_a_chosen_selector_runs_on_it(run_program: RunProgram) -> None:
    finished = run_program(CHOSEN_SELECTOR)
    lines = finished.stdout.splitlines()
    assert (len(lines), lines[-1:], finished.returncode) == (2, ["selector used: True"], 0), finished.stderr
