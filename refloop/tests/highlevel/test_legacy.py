"""The namespace of older documentation. No interpreter supported today has these, so there is no asyncio beside it."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import refloop
import refloop.legacy as aio

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

requirement = pytest.mark.requirement
make_loop: Callable[[], Any] = refloop.EventLoop
PRIMITIVES = ["Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Queue", "PriorityQueue", "LifoQueue"]


@pytest.fixture
def loop() -> Generator[Any]:
    """A loop of refloop's, current and not running."""
    loop = make_loop()
    refloop.set_event_loop(loop)
    yield loop
    refloop.set_event_loop(None)
    loop.close()


@requirement("explicit-loop-argument-sync-queue/loop-keyword-selects-loop")
@requirement("explicit-loop-argument-sync-queue/loop-keyword-warns")
@pytest.mark.parametrize("name", PRIMITIVES)
def test_primitives_take_their_loop_with_a_warning(loop: Any, name: str) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        primitive = getattr(aio, name)(loop=loop)
    assert isinstance(primitive, getattr(refloop, name))
    other = make_loop()
    if name == "Event":
        with pytest.raises(RuntimeError):
            other.run_until_complete(primitive.wait())
    other.close()


def test_the_lock_of_a_condition_belongs_to_the_same_loop(loop: Any) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        condition = aio.Condition(loop=loop)
    other = make_loop()

    async def acquire_twice() -> None:
        await condition.acquire()
        await condition.acquire()

    with pytest.raises(RuntimeError):
        other.run_until_complete(acquire_twice())
    other.close()


@requirement("Lock/supports-legacy-await-and-with", "Lock/legacy-forms-warn")
@pytest.mark.parametrize("name", ["Lock", "Condition", "Semaphore", "BoundedSemaphore"])
def test_a_lock_is_acquired_by_await_and_held_by_a_plain_with(loop: Any, name: str) -> None:
    lock = getattr(aio, name)()

    async def by_await() -> None:
        with pytest.warns(DeprecationWarning, match="deprecated"):
            held = await lock
        with held:
            assert lock.locked()

    with pytest.warns(DeprecationWarning, match="deprecated"):

        @aio.coroutine
        def by_yield_from() -> Generator[Any, Any, str]:
            with pytest.warns(DeprecationWarning, match="deprecated"):
                held = yield from lock
            with held:
                assert lock.locked()
            return "released"

    loop.run_until_complete(by_await())
    assert loop.run_until_complete(by_yield_from()) == "released"
    assert not lock.locked()


@requirement("explicit-loop-argument/loop-keyword-selects-loop", "explicit-loop-argument/loop-keyword-warns")
@pytest.mark.filterwarnings("default::DeprecationWarning")
def test_functions_take_their_loop_with_a_warning(loop: Any) -> None:
    async def give(value: int) -> int:
        return value

    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert loop.run_until_complete(aio.gather(give(1), give(2), loop=loop)) == [1, 2]
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert loop.run_until_complete(aio.gather(loop=loop)) == []
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert loop.run_until_complete(aio.shield(give(3), loop=loop)) == 3
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert loop.run_until_complete(aio.sleep(0, 4, loop=loop)) == 4
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert loop.run_until_complete(aio.wait_for(give(5), 60, loop=loop)) == 5
    with pytest.warns(DeprecationWarning, match="deprecated"):
        done, _ = loop.run_until_complete(aio.wait([give(6)], loop=loop))
    assert [task.result() for task in done] == [6]
    with pytest.warns(DeprecationWarning, match="deprecated"):
        (coro,) = aio.as_completed([give(7)], loop=loop)
    assert loop.run_until_complete(coro) == 7
    with pytest.warns(DeprecationWarning, match="deprecated"), pytest.raises(RuntimeError):
        loop.run_until_complete(aio.sleep(0, loop=object()))


@requirement("wait/wraps-coroutines-in-tasks", "wait/warns-on-coroutine-arguments")
def test_wait_makes_tasks_of_coroutines_with_a_warning(loop: Any) -> None:
    async def give() -> int:
        return 1

    with pytest.warns(DeprecationWarning, match="deprecated"):
        done, pending = loop.run_until_complete(aio.wait([give()]))
    assert [task.result() for task in done] == [1]
    assert not pending


@requirement("coroutine/bridges-generators-and-async-def", "coroutine/generator-runs-as-task")
@requirement("coroutine/optional-on-async-def", "coroutine/warns-deprecated")
@pytest.mark.filterwarnings("ignore:@coroutine")
def test_generators_and_async_functions_await_each_other(loop: Any) -> None:
    async def native(value: int) -> int:
        await refloop.sleep(0)
        return value

    @aio.coroutine
    def generator() -> Any:
        value = yield from native(1)  # type: ignore[misc]
        return value + 1

    @aio.coroutine
    def plain() -> Any:
        return generator()

    async def main() -> Any:
        return await generator() + await plain() + await refloop.create_task(generator())

    assert loop.run_until_complete(main()) == 6
    assert aio.coroutine(native) is native
    assert not hasattr(refloop, "coroutine")


@requirement("coroutine/logs-never-run-coroutine")
def test_in_debug_mode_a_generator_that_never_ran_is_logged() -> None:
    program = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import refloop.legacy as asyncio\n"
        "@asyncio.coroutine\n"
        "def never():\n    yield\n"
        "@asyncio.coroutine\n"
        "def once():\n    yield from asyncio.sleep(0)\n"
        "asyncio.run(once())\n"
        "never()\n"
    )
    ran = subprocess.run([sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, check=True)
    assert "never() at" in ran.stderr
    assert "once() at" not in ran.stderr


@requirement("Task.all_tasks/returns-all-live-tasks", "Task.all_tasks/deprecated-classmethod")
@requirement("Task.current_task/returns-running-task-or-none", "Task.current_task/deprecated-classmethod")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_class_methods_of_task_know_finished_tasks_too(loop: Any) -> None:
    async def current() -> object:
        return aio.Task.current_task()

    finished, pending = loop.create_task(current()), loop.create_task(refloop.sleep(60))
    assert isinstance(finished, aio.Task)
    assert loop.run_until_complete(finished) is finished
    assert {finished, pending} <= aio.Task.all_tasks()
    assert aio.Task.current_task(loop) is None
    with pytest.warns(DeprecationWarning, match="deprecated"):
        aio.Task.all_tasks(loop)
    pending.cancel()
    with pytest.raises(refloop.CancelledError):
        loop.run_until_complete(pending)


def test_a_task_class_of_ones_own_has_only_its_own_instances(loop: Any) -> None:
    class Own(aio.Task):
        pass

    async def nothing() -> None: ...

    own, other = Own(nothing(), loop=loop), loop.create_task(nothing())
    assert [isinstance(own, aio.Task), isinstance(own, Own), isinstance(other, Own)] == [True, True, False]
    loop.run_until_complete(own)


def test_a_child_is_started_in_the_loop_that_is_given_with_a_warning(loop: Any) -> None:
    arguments = (sys.executable, "-S", "-c", "print('child')")

    async def run() -> tuple[bytes | None, int | None]:
        with pytest.warns(DeprecationWarning, match="deprecated"):
            process = await aio.create_subprocess_exec(*arguments, stdout=aio.subprocess.PIPE, loop=loop)
        output, _ = await process.communicate()
        return output, process.returncode

    assert loop.run_until_complete(run()) == (b"child\n", 0)


MAIN_THREAD = """
import threading, warnings
import refloop.legacy as asyncio

def loops():
    try:
        return [asyncio.get_event_loop() for _ in range(2)]
    except RuntimeError:
        return "none"

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    thread = threading.Thread(target=lambda: print(loops()))
    thread.start()
    thread.join()
    one, two = loops()
    print(one is two, one.is_closed(), [(each.category.__name__, each.filename) for each in caught])
    one.close()
    asyncio.set_event_loop(None)
    print(loops())
"""


@requirement("DefaultEventLoopPolicy/creates-main-thread-loop", "DefaultEventLoopPolicy/warns-when-creating-loop")
def test_the_main_thread_is_given_a_loop_with_a_warning() -> None:
    ran = subprocess.run([sys.executable, "-c", MAIN_THREAD], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["none", "True False [('DeprecationWarning', '<string>')]", "none"]


def test_every_policy_is_an_instance_of_the_old_classes() -> None:
    own: Any = type("Own", (aio.AbstractEventLoopPolicy,), {})()
    default = aio.DefaultEventLoopPolicy()
    policies = [own, default, refloop.policies.DefaultEventLoopPolicy()]
    assert [isinstance(each, aio.AbstractEventLoopPolicy) for each in policies] == [True] * 3
    assert [isinstance(each, aio.DefaultEventLoopPolicy) for each in policies] == [False, True, True]
    with pytest.raises(NotImplementedError):
        own.get_child_watcher()


@requirement("async/aliases-ensure-future")
@pytest.mark.parametrize("namespace", [refloop, aio])
def test_async_is_ensure_future_by_its_old_name(namespace: Any) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert getattr(namespace, "async") is refloop.ensure_future


def test_everything_else_is_refloops(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        for name in refloop.__all__:
            assert getattr(aio, name) is not None
    assert aio.TaskGroup is refloop.TaskGroup
