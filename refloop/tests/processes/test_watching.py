"""How loops hear of the end of children: from any thread, without SIGCHLD, with or without process descriptors."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

import refloop
from refloop import childexits, childwatchers, sigchldwatchers
from refloop.tests.processes.conftest import eventually, has_children, make_refloop, open_descriptors
from refloop.tests.processes.programs import FOREVER, PYTHON, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

requirement = pytest.mark.requirement


@pytest.mark.own_loop("asyncio before 3.12 waits in threads")
async def test_signals_are_left_alone_and_descriptors_given_back(aio: Any, world: str) -> None:
    before = signal.getsignal(signal.SIGCHLD)
    threads = threading.active_count()
    processes = [await aio.create_subprocess_exec(*PYTHON, FOREVER) for _ in range(3)]
    assert signal.getsignal(signal.SIGCHLD) == before
    assert threading.active_count() - threads == (3 if world == "refloop-by-threads" else 0)
    descriptors = len(open_descriptors())
    for process in processes:
        process.kill()
        await process.wait()
    assert threading.active_count() == threads
    assert len(open_descriptors()) == descriptors - (0 if world == "refloop-by-threads" else 3)
    assert not has_children()


def test_a_system_that_has_no_descriptors_left_gets_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)

    async def main() -> int:
        return await (await refloop.create_subprocess_shell("exit 4")).wait()

    assert refloop.run(main(), loop_factory=make_refloop) == 4


def spawn(command: str, stdin: int = 0) -> int:
    """Start a shell that no loop knows of; return its process id."""
    return os.posix_spawn("/bin/sh", ["sh", "-c", command], {}, file_actions=[(os.POSIX_SPAWN_DUP2, stdin, 0)])


@pytest.fixture(params=["threads", "pidfd", "safe", "fast", "multi"])
def watcher(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A child watcher that is in force, until the test is over."""
    makers: dict[str, Callable[[], Any]] = {
        "threads": childwatchers.ThreadedChildWatcher,
        "pidfd": childwatchers.PidfdChildWatcher,
        "safe": sigchldwatchers.SafeChildWatcher,
        "fast": sigchldwatchers.FastChildWatcher,
        "multi": sigchldwatchers.MultiLoopChildWatcher,
    }
    before = signal.getsignal(signal.SIGCHLD)
    if request.param in ("safe", "fast", "multi"):
        with pytest.warns(DeprecationWarning, match="child watchers"):
            watcher = makers[request.param]()
    else:
        watcher = makers[request.param]()
    with pytest.warns(DeprecationWarning, match="child watchers"):
        refloop.set_child_watcher(watcher)
    yield watcher
    with pytest.warns(DeprecationWarning, match="child watchers"):
        refloop.set_child_watcher(None)
    assert signal.getsignal(signal.SIGCHLD) in (before, signal.SIG_DFL)
    assert not has_children()


def run_with(watcher: Any, main: Any) -> Any:
    """Run it in a loop to which the watcher is attached."""
    with refloop.Runner(loop_factory=make_refloop) as runner:
        watcher.attach_loop(runner.get_loop())
        try:
            return runner.run(main)
        finally:
            watcher.attach_loop(None)


@requirement("AbstractChildWatcher.add_child_handler/calls-back-on-exit")
@requirement("AbstractChildWatcher.remove_child_handler/returns-whether-removed")
@requirement("AbstractChildWatcher.is_active/returns-readiness", "PidfdChildWatcher/watches-through-pidfd")
def test_a_handler_is_called_once_unless_replaced_or_removed(watcher: Any) -> None:
    calls: list[tuple[Any, ...]] = []

    async def main() -> tuple[int, int]:
        assert watcher.is_active()
        with watcher:
            first = spawn("read x; exit 3", reader)
            second = spawn("exit 4")
            watcher.add_child_handler(first, lambda *args: calls.append(args), "replaced")
            watcher.add_child_handler(first, lambda *args: calls.append(args), "kept")
            watcher.add_child_handler(second, lambda *args: calls.append(args), "other")
        os.write(writer, b"\n")
        while len(calls) < 2:
            await refloop.sleep(0.001)
        assert watcher.remove_child_handler(first) is False
        return first, second

    reader, writer = os.pipe()
    first, second = run_with(watcher, main())
    os.close(reader)
    os.close(writer)
    assert sorted(calls) == sorted([(first, 3, "kept"), (second, 4, "other")])


@requirement("AbstractChildWatcher.remove_child_handler/returns-whether-removed")
def test_a_removed_handler_is_not_called(watcher: Any) -> None:
    calls: list[tuple[Any, ...]] = []

    async def main() -> None:
        with watcher:
            pid = spawn("exec sleep 1000")
            watcher.add_child_handler(pid, lambda *args: calls.append(args))
        assert watcher.remove_child_handler(pid) is True
        assert watcher.remove_child_handler(pid) is False
        os.kill(pid, signal.SIGKILL)
        if isinstance(watcher, refloop.FastChildWatcher):
            while has_children():
                await refloop.sleep(0.001)
        else:
            assert childwatchers.reap(pid) == -signal.SIGKILL

    run_with(watcher, main())
    assert not calls


def test_closing_the_transport_of_a_child_that_has_ended_leaves_it_to_the_watcher(watcher: Any) -> None:
    async def main() -> int | None:
        loop: Any = refloop.get_running_loop()
        transport, protocol = await loop.subprocess_exec(lambda: Recorder(loop), "true")
        # It ends while the loop does not turn, so the loop has not heard of it.
        childexits.wait_without_reaping(transport.get_pid())
        transport.close()
        await protocol.lost
        code: int | None = transport.get_returncode()
        return code

    assert run_with(watcher, main()) == 0


@requirement("AbstractChildWatcher.close/releases-resources")
def test_closing_gives_descriptors_back() -> None:
    before = open_descriptors()
    watcher = refloop.PidfdChildWatcher()

    async def main() -> int:
        pid = spawn("exec sleep 1000")
        watcher.add_child_handler(pid, print)
        watcher.close()
        return pid

    pid = refloop.run(main(), loop_factory=make_refloop)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    eventually(lambda: open_descriptors() <= before)
