"""Child watchers, of documentation up to 3.13: how a policy chose the way in which the end of children is noticed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.children import LONG_LIVED, UNTIL_EOF, Program, is_child, line_of, start
from conformance.support.marks import requirement
from conformance.support.threads import in_thread, run_beside
from conformance.support.waiting import until, wait_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

    from conformance.target import Target

if sys.platform == "win32":
    pytest.skip("Windows has no child watchers", allow_module_level=True)

BY_SIGNAL = ["SafeChildWatcher", "FastChildWatcher", "MultiLoopChildWatcher"]
"""Those that handle SIGCHLD from ``attach_loop()`` on."""
EVERY = [*BY_SIGNAL, "ThreadedChildWatcher", *(["PidfdChildWatcher"] if hasattr(os, "pidfd_open") else [])]

# How long the main thread sleeps at most where nothing but a signal is to wake it.
TICK = 0.005


@contextmanager
def quietly() -> Iterator[None]:
    """Without the warnings that child watchers are deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@pytest.fixture
def watcher(request: pytest.FixtureRequest, aio: Any, loop: AbstractEventLoop) -> Iterator[Any]:
    """A child watcher of the class that the parameter names, in force and attached to ``loop``."""
    with quietly():
        made = getattr(aio, request.param)()
        aio.set_child_watcher(made)
        made.attach_loop(loop)
        yield made
        made.attach_loop(None)
        aio.set_child_watcher(None)
        made.close()


def on(*names: str) -> pytest.MarkDecorator:
    """With a child watcher of each of these classes."""
    return pytest.mark.parametrize("watcher", names, indirect=True)


def spawn_unheard(program: str | Program) -> int:
    """Start a child that no loop knows of; its process id."""
    line = line_of(program)
    if hasattr(os, "posix_spawn"):
        return os.posix_spawn(line[0], line, os.environ)
    return os.spawnve(os.P_NOWAIT, line[0], line, os.environ)


def has_ended(pid: int) -> bool:
    """Whether the child has ended; it stays to be reaped."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def reap(pid: int) -> int:
    """Wait for the child; its return code."""
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def run_on_a_loop_of_its_own(target: Target, coroutine: Any) -> Any:
    loop = target.make_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


@pytest.mark.parametrize("name", EVERY)
@requirement("AbstractChildWatcher/base-of-watchers")
def test_every_child_watcher_is_an_abstract_one(aio: Any, name: str) -> None:
    assert issubclass(getattr(aio, name), aio.AbstractChildWatcher)


@requirement("AbstractChildWatcher/base-of-watchers")
def test_a_child_watcher_can_be_a_programs_own(loop: AbstractEventLoop, aio: Any) -> None:
    added: list[int] = []

    with quietly():

        class Mine(aio.ThreadedChildWatcher):  # type: ignore[misc]
            def add_child_handler(self, pid: int, callback: Any, *args: Any) -> None:
                added.append(pid)
                super().add_child_handler(pid, callback, *args)

        async def main() -> tuple[int, int]:
            process = await start(aio, "import sys; sys.exit(3)")
            return process.pid, await process.wait()

        aio.set_child_watcher(Mine())
        pid, code = loop.run_until_complete(main())
        aio.set_child_watcher(None)
    assert (added, code) == ([pid], 3)


@requirement("AbstractChildWatcher/warns-deprecated")
def test_subclassing_the_abstract_child_watcher_warns(aio: Any) -> None:
    with pytest.warns(DeprecationWarning):  # noqa: PT030 - no text is promised
        type("Mine", (aio.AbstractChildWatcher,), {})


@requirement("get_child_watcher/returns-current-watcher", "set_child_watcher/installs-current-watcher")
def test_the_child_watcher_that_was_set_is_the_current_one(aio: Any) -> None:
    with quietly():
        before, mine = aio.get_child_watcher(), aio.ThreadedChildWatcher()
        aio.set_child_watcher(mine)
        assert aio.get_child_watcher() is mine
        assert aio.get_event_loop_policy().get_child_watcher() is mine
        aio.set_child_watcher(None)
    assert before is not mine


@requirement("AbstractEventLoopPolicy.get_child_watcher/returns-child-watcher")
@requirement("AbstractEventLoopPolicy.set_child_watcher/installs-child-watcher")
def test_a_policy_has_a_child_watcher_and_takes_another(aio: Any) -> None:
    with quietly():
        policy = aio.get_event_loop_policy()
        first = policy.get_child_watcher()
        assert isinstance(first, aio.AbstractChildWatcher)
        assert policy.get_child_watcher() is first
        second = aio.ThreadedChildWatcher()
        policy.set_child_watcher(second)
        assert policy.get_child_watcher() is second
        policy.set_child_watcher(None)


@requirement("get_child_watcher/returns-current-watcher")
def test_each_policy_has_a_child_watcher_of_its_own(aio: Any) -> None:
    with quietly():
        policies = [aio.DefaultEventLoopPolicy(), aio.DefaultEventLoopPolicy()]
        watchers = []
        for policy in policies:
            aio.set_event_loop_policy(policy)
            watchers.append(aio.get_child_watcher())
        assert watchers == [policy.get_child_watcher() for policy in policies]
        aio.set_event_loop_policy(None)
    assert watchers[0] is not watchers[1]


@requirement("get_child_watcher/warns-deprecated")
def test_asking_for_the_child_watcher_warns(aio: Any) -> None:
    with pytest.warns(DeprecationWarning):  # noqa: PT030 - no text is promised
        aio.get_child_watcher()


@requirement("set_child_watcher/warns-deprecated")
def test_setting_the_child_watcher_warns(aio: Any) -> None:
    with pytest.warns(DeprecationWarning):  # noqa: PT030 - no text is promised
        aio.set_child_watcher(None)


@requirement("AbstractEventLoopPolicy.get_child_watcher/warns-deprecated")
def test_asking_a_policy_for_its_child_watcher_warns(aio: Any) -> None:
    with quietly():
        policy = aio.get_event_loop_policy()
    with pytest.warns(DeprecationWarning):  # noqa: PT030 - no text is promised
        policy.get_child_watcher()


@requirement("AbstractEventLoopPolicy.set_child_watcher/warns-deprecated")
def test_setting_a_policys_child_watcher_warns(aio: Any) -> None:
    with quietly():
        policy = aio.get_event_loop_policy()
    with pytest.warns(DeprecationWarning):  # noqa: PT030 - no text is promised
        policy.set_child_watcher(None)


@on(*EVERY)
@requirement("set_child_watcher/installs-current-watcher", "AbstractChildWatcher.is_active/returns-readiness")
async def test_children_end_by_every_child_watcher(aio: Any, watcher: Any) -> None:
    assert watcher.is_active() is True

    async def run(n: int) -> tuple[bytes, int]:
        process = await start(aio, f"print({n}, end=''); raise SystemExit({n})", stdout=aio.subprocess.PIPE)
        output, _ = await process.communicate()
        return output, process.returncode

    assert await aio.gather(*map(run, range(5))) == [(b"%d" % n, n) for n in range(5)]
    killed = await start(aio, LONG_LIVED)
    killed.kill()
    assert await killed.wait() == -signal.SIGKILL


@on(*EVERY)
@requirement("AbstractChildWatcher.add_child_handler/calls-back-on-exit")
async def test_a_handler_is_called_with_the_return_code_and_its_arguments(
    loop: AbstractEventLoop, watcher: Any
) -> None:
    calls: list[tuple[object, ...]] = []
    with watcher:
        ends = spawn_unheard("raise SystemExit(7)")
        watcher.add_child_handler(ends, lambda *call: calls.append(call), "one", 2)
        is_killed = spawn_unheard(LONG_LIVED)
        watcher.add_child_handler(is_killed, lambda *call: calls.append(call))
    os.kill(is_killed, signal.SIGTERM)
    await until(loop, lambda: len(calls) == 2)
    assert sorted(calls) == sorted([(ends, 7, "one", 2), (is_killed, -signal.SIGTERM)])
    assert [is_child(ends), is_child(is_killed)] == [False, False]


@on(*BY_SIGNAL)
@requirement("AbstractChildWatcher.add_child_handler/calls-back-on-exit")
async def test_a_second_handler_replaces_the_first(loop: AbstractEventLoop, watcher: Any) -> None:
    calls: list[tuple[object, ...]] = []
    with watcher:
        pid = spawn_unheard(LONG_LIVED)
        watcher.add_child_handler(pid, lambda *call: calls.append(call), "first")
        watcher.add_child_handler(pid, lambda *call: calls.append(call), "second")
    os.kill(pid, signal.SIGTERM)
    await until(loop, lambda: calls)
    assert calls == [(pid, -signal.SIGTERM, "second")]


@on(*BY_SIGNAL)
@requirement("AbstractChildWatcher.remove_child_handler/returns-whether-removed")
async def test_removing_a_handler_says_whether_there_was_one(loop: AbstractEventLoop, watcher: Any) -> None:
    calls: list[tuple[object, ...]] = []
    with watcher:
        removed, kept = spawn_unheard(LONG_LIVED), spawn_unheard(LONG_LIVED)
        for pid in removed, kept:
            watcher.add_child_handler(pid, lambda *call: calls.append(call))
    assert [watcher.remove_child_handler(removed) for _ in range(2)] == [True, False]
    os.kill(removed, signal.SIGTERM)
    os.kill(kept, signal.SIGTERM)
    await until(loop, lambda: calls)
    assert calls == [(kept, -signal.SIGTERM)]
    assert watcher.remove_child_handler(kept) is False
    if is_child(removed):
        assert reap(removed) == -signal.SIGTERM


@on("SafeChildWatcher", "FastChildWatcher")
@requirement("AbstractChildWatcher.attach_loop/reattaches-to-loop")
def test_attaching_another_loop_leaves_the_first(
    loop: AbstractEventLoop, target: Target, aio: Any, watcher: Any
) -> None:
    async def main() -> int:
        code: int = await (await start(aio, "raise SystemExit(4)")).wait()
        return code

    other = target.make_loop()
    watcher.attach_loop(other)
    assert loop.remove_signal_handler(signal.SIGCHLD) is False
    assert other.run_until_complete(main()) == 4
    watcher.attach_loop(loop)
    assert other.remove_signal_handler(signal.SIGCHLD) is False
    other.close()
    assert loop.run_until_complete(main()) == 4
    watcher.attach_loop(None)
    assert loop.remove_signal_handler(signal.SIGCHLD) is False


@on("SafeChildWatcher", "FastChildWatcher")
@requirement("AbstractChildWatcher.is_active/returns-readiness")
def test_a_child_watcher_that_needs_a_loop_is_active_while_that_runs(loop: AbstractEventLoop, watcher: Any) -> None:
    async def ask() -> object:
        return watcher.is_active()

    answers = [watcher.is_active(), loop.run_until_complete(ask()), watcher.is_active()]
    watcher.attach_loop(None)
    assert [*answers, loop.run_until_complete(ask())] == [False, True, False, False]


@requirement("AbstractChildWatcher.is_active/returns-readiness")
def test_a_child_watcher_that_needs_no_loop_is_always_active(aio: Any) -> None:
    watcher = aio.ThreadedChildWatcher()
    assert watcher.is_active() is True
    watcher.close()


@pytest.mark.parametrize("name", BY_SIGNAL)
@requirement("AbstractChildWatcher.close/releases-resources")
def test_closing_gives_the_signal_back(loop: AbstractEventLoop, aio: Any, name: str) -> None:
    before = signal.getsignal(signal.SIGCHLD)
    with quietly():
        watcher = getattr(aio, name)()
    watcher.attach_loop(loop)
    assert signal.getsignal(signal.SIGCHLD) != before
    watcher.close()
    assert signal.getsignal(signal.SIGCHLD) == before
    assert watcher.is_active() is False


@on("ThreadedChildWatcher")
@requirement("ThreadedChildWatcher/waits-in-thread-per-child")
async def test_one_thread_waits_for_each_child(aio: Any, watcher: Any) -> None:
    assert watcher.is_active()
    before = threading.active_count()
    processes = [await start(aio, UNTIL_EOF, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE) for _ in range(3)]
    waiting = threading.active_count()
    await aio.gather(*(process.communicate(b"") for process in processes))
    assert waiting == before + 3
    wait_until(lambda: threading.active_count() == before)


@on("ThreadedChildWatcher")
@requirement("ThreadedChildWatcher/waits-in-thread-per-child")
def test_waiting_in_threads_serves_loops_of_any_thread(target: Target, aio: Any, watcher: Any) -> None:
    async def main() -> int:
        code: int = await (await start(aio, "raise SystemExit(5)")).wait()
        return code

    assert watcher.is_active()
    assert in_thread(lambda: run_on_a_loop_of_its_own(target, main())) == 5


@on("MultiLoopChildWatcher")
@requirement("MultiLoopChildWatcher/polls-children-on-sigchld")
def test_one_signal_handler_serves_loops_of_any_thread(
    loop: AbstractEventLoop, target: Target, aio: Any, watcher: Any
) -> None:
    async def main() -> list[int]:
        processes = [await start(aio, f"raise SystemExit({n})") for n in range(3)]
        return [await process.wait() for process in processes]

    def tick() -> None:
        ticking.append(loop.call_later(TICK, tick))

    assert watcher.is_active()
    assert signal.getsignal(signal.SIGCHLD) not in (signal.SIG_DFL, signal.SIG_IGN)
    # The system interrupts the thread that started the child, and the main thread, where the handler runs, sleeps on.
    ticking = [loop.call_later(TICK, tick)]
    assert run_beside(loop, lambda: run_on_a_loop_of_its_own(target, main())) == [0, 1, 2]
    ticking[-1].cancel()


@on("SafeChildWatcher", "MultiLoopChildWatcher")
@requirement("SafeChildWatcher/polls-children-through-main-loop", "MultiLoopChildWatcher/polls-children-on-sigchld")
async def test_children_that_are_not_watched_are_left_to_their_owners(loop: AbstractEventLoop, watcher: Any) -> None:
    calls: list[tuple[object, ...]] = []
    not_watched = spawn_unheard("raise SystemExit(9)")
    wait_until(lambda: has_ended(not_watched))
    watched = spawn_unheard("raise SystemExit(8)")
    watcher.add_child_handler(watched, lambda *call: calls.append(call))
    await until(loop, lambda: calls)
    assert calls == [(watched, 8)]
    assert reap(not_watched) == 9


@on("SafeChildWatcher")
@requirement("SafeChildWatcher/polls-children-through-main-loop")
def test_the_main_loop_hears_of_the_children_of_a_loop_in_another_thread(
    loop: AbstractEventLoop, target: Target, aio: Any, watcher: Any
) -> None:
    async def main() -> int:
        code: int = await (await start(aio, "raise SystemExit(6)")).wait()
        return code

    assert not watcher.is_active()
    assert run_beside(loop, lambda: run_on_a_loop_of_its_own(target, main())) == 6


@on("SafeChildWatcher")
@requirement("SafeChildWatcher/raises-without-main-loop")
def test_without_a_main_loop_that_runs_no_other_thread_starts_children(target: Target, aio: Any, watcher: Any) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError):
            await start(aio, "")

    assert not watcher.is_active()
    in_thread(lambda: run_on_a_loop_of_its_own(target, main()))


@on("FastChildWatcher")
@requirement("FastChildWatcher/reaps-all-children")
async def test_every_child_that_ends_is_reaped_watched_or_not(loop: AbstractEventLoop, watcher: Any) -> None:
    calls: list[tuple[object, ...]] = []
    with watcher:
        watched = spawn_unheard("raise SystemExit(8)")
        watcher.add_child_handler(watched, lambda *call: calls.append(call))
    not_watched = spawn_unheard("raise SystemExit(9)")
    await until(loop, lambda: calls and not is_child(not_watched))
    assert calls == [(watched, 8)]


@on("FastChildWatcher")
@requirement("FastChildWatcher/reaps-all-children")
async def test_a_child_that_was_reaped_before_it_was_watched_is_remembered(
    loop: AbstractEventLoop, watcher: Any
) -> None:
    calls: list[tuple[object, ...]] = []
    with watcher:
        pid = spawn_unheard("raise SystemExit(8)")
        await until(loop, lambda: not is_child(pid))
        watcher.add_child_handler(pid, lambda *call: calls.append(call))
    await until(loop, lambda: calls)
    assert calls == [(pid, 8)]


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this interpreter has no process descriptors")
@on("PidfdChildWatcher")
@requirement("PidfdChildWatcher/watches-through-pidfd")
async def test_watching_by_process_descriptors_needs_neither_signals_nor_threads(aio: Any, watcher: Any) -> None:
    assert watcher.is_active()
    before = threading.active_count(), signal.getsignal(signal.SIGCHLD)
    process = await start(aio, UNTIL_EOF, stdin=aio.subprocess.PIPE, stdout=aio.subprocess.PIPE)
    await process.stdout.readline()
    assert (threading.active_count(), signal.getsignal(signal.SIGCHLD)) == before
    await process.communicate(b"")
    assert await process.wait() == 0
