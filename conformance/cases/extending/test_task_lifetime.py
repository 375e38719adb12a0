"""The four functions by which a task implementation makes its tasks known, and when they are called."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable


def make_custom_task(aio: Any, loop: AbstractEventLoop, coroutine: Any) -> Any:
    """A task with stepping code of its own: it tells the namespace of its lifetime as the documentation asks."""

    class Custom(aio.Future):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(loop=loop)
            self.context = contextvars.copy_context()
            loop.call_soon(self.step, context=self.context)
            aio._register_task(self)

        def step(self, _: object = None) -> None:
            aio._enter_task(loop, self)
            try:
                awaited = coroutine.send(None)
            except StopIteration as stop:
                aio._unregister_task(self)
                self.set_result(stop.value)
            else:
                if awaited is None:
                    loop.call_soon(self.step, context=self.context)
                else:
                    awaited._asyncio_future_blocking = False
                    awaited.add_done_callback(self.step, context=self.context)
            finally:
                aio._leave_task(loop, self)

    return Custom()


async def give(value: object = None) -> object:
    return value


@requirement("_register_task/adds-to-all-tasks", "_unregister_task/removes-from-all-tasks")
def test_a_registered_task_is_among_all_tasks_until_it_is_unregistered(loop: AbstractEventLoop, aio: Any) -> None:
    own = Unfinished(loop)
    before = aio.all_tasks(loop)
    aio._register_task(own)
    during = aio.all_tasks(loop)
    aio._unregister_task(own)
    assert (before, during, aio.all_tasks(loop)) == (set(), {own}, set())


@requirement("_register_task/adds-to-all-tasks")
def test_a_registered_task_is_among_the_tasks_of_its_own_loop_alone(
    loop: AbstractEventLoop, aio: Any, target: Any
) -> None:
    other = target.make_loop()
    own = Unfinished(loop)
    aio._register_task(own)
    try:
        assert (aio.all_tasks(loop), aio.all_tasks(other)) == ({own}, set())
    finally:
        aio._unregister_task(own)
        other.close()


@requirement("_unregister_task/removes-from-all-tasks")
def test_unregistering_a_task_leaves_the_others(loop: AbstractEventLoop, aio: Any) -> None:
    tasks = [Unfinished(loop) for _ in range(3)]
    for task in tasks:
        aio._register_task(task)
    aio._unregister_task(tasks[1])
    assert aio.all_tasks(loop) == {tasks[0], tasks[2]}
    for task in tasks:
        aio._unregister_task(task)


@requirement("_enter_task/sets-current-task", "_leave_task/clears-current-task")
def test_a_task_is_current_between_entering_and_leaving(loop: AbstractEventLoop, aio: Any) -> None:
    own, seen = Unfinished(loop), []

    def step() -> None:
        aio._enter_task(loop, own)
        seen.append(aio.current_task(loop))
        aio._leave_task(loop, own)
        seen.append(aio.current_task(loop))
        loop.stop()

    loop.call_soon(step)
    loop.run_forever()
    assert seen == [own, None]


@requirement("_enter_task/rejects-second-current-task")
def test_a_second_task_cannot_be_entered(loop: AbstractEventLoop, aio: Any) -> None:
    first, second = Unfinished(loop), Unfinished(loop)
    outcomes: list[object] = []

    def step() -> None:
        aio._enter_task(loop, first)
        outcomes.append(error_of(lambda: aio._enter_task(loop, second)))
        outcomes.append(aio.current_task(loop))
        aio._leave_task(loop, first)
        loop.stop()

    loop.call_soon(step)
    loop.run_forever()
    assert outcomes == [RuntimeError, first]


@requirement("_enter_task/rejects-second-current-task")
async def test_no_task_can_be_entered_during_a_step_of_another(loop: AbstractEventLoop, aio: Any) -> None:
    with pytest.raises(RuntimeError):
        aio._enter_task(loop, Unfinished(loop))
    assert aio.current_task() is not None


@requirement("_leave_task/rejects-other-task")
def test_only_the_current_task_can_be_left(loop: AbstractEventLoop, aio: Any) -> None:
    first, second = Unfinished(loop), Unfinished(loop)
    outcomes: list[object] = []

    def step() -> None:
        outcomes.append(error_of(lambda: aio._leave_task(loop, first)))
        aio._enter_task(loop, first)
        outcomes.append(error_of(lambda: aio._leave_task(loop, second)))
        outcomes.append(aio.current_task(loop))
        aio._leave_task(loop, first)
        loop.stop()

    loop.call_soon(step)
    loop.run_forever()
    assert outcomes == [RuntimeError, RuntimeError, first]


@requirement("task-lifetime-support/custom-tasks-visible")
def test_a_custom_task_is_seen_like_a_built_in_one(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[tuple[object, set[object]]] = []

    async def look() -> str:
        seen.append((aio.current_task(), aio.all_tasks()))
        future = loop.create_future()
        loop.call_soon(future.set_result, "resumed")
        value: str = await future
        seen.append((aio.current_task(), aio.all_tasks()))
        return value

    task = make_custom_task(aio, loop, look())
    assert aio.all_tasks(loop) == {task}
    assert loop.run_until_complete(task) == "resumed"
    assert seen == [(task, {task}), (task, {task})]
    assert aio.all_tasks(loop) == set()


@requirement("task-lifetime-support/custom-tasks-visible")
async def test_a_built_in_task_and_a_custom_one_are_seen_side_by_side(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[object] = []

    async def look() -> None:
        await aio.sleep(0)
        seen.append(aio.current_task())

    tasks = [make_custom_task(aio, loop, look()), loop.create_task(look())]
    assert aio.all_tasks() == {*tasks, aio.current_task()}
    for task in tasks:
        await task
    assert set(seen) == set(tasks)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("_register_task/called-from-constructor")
def test_a_task_of_the_loop_is_known_before_its_first_step(loop: AbstractEventLoop, aio: Any) -> None:
    task = loop.create_task(give("value"))
    assert aio.all_tasks(loop) == {task}
    assert loop.run_until_complete(task) == "value"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("_unregister_task/called-before-finish")
def test_a_task_of_the_loop_is_unknown_when_its_callbacks_run(loop: AbstractEventLoop, aio: Any) -> None:
    found: list[set[object]] = []
    task = loop.create_task(give())
    task.add_done_callback(lambda _: found.append(aio.all_tasks(loop)))
    loop.run_until_complete(task)
    assert found == [set()]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("_enter_task/called-before-each-step", "_leave_task/called-after-each-step")
def test_a_task_of_the_loop_is_current_in_every_step_and_not_between(loop: AbstractEventLoop, aio: Any) -> None:
    inside: list[object] = []
    between: list[object] = []

    async def step() -> None:
        for _ in range(3):
            inside.append(aio.current_task())
            loop.call_soon(lambda: between.append(aio.current_task()))
            await aio.sleep(0)

    task = loop.create_task(step())
    loop.run_until_complete(task)
    assert inside == [task] * 3
    assert between == [None] * 3


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("_enter_task/called-before-each-step", "_leave_task/called-after-each-step")
async def test_a_task_of_the_loop_is_current_in_a_step_that_begins_with_an_error(
    loop: AbstractEventLoop, aio: Any
) -> None:
    inside: list[object] = []

    async def wait() -> None:
        try:
            await loop.create_future()
        finally:
            inside.append(aio.current_task())

    task = loop.create_task(wait())
    await aio.sleep(0)
    own = aio.current_task()
    task.cancel()
    await aio.wait([task])
    assert inside == [task]
    assert aio.current_task() is own


class Unfinished:
    """The least that ``all_tasks()`` and ``current_task()`` ask of a task."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop

    def get_loop(self) -> AbstractEventLoop:
        return self.loop

    def done(self) -> bool:
        return False


def error_of(call: Callable[[], object]) -> object:
    """The type of the exception that ``call()`` raises, or what it returns."""
    try:
        return call()
    except Exception as error:
        return type(error)
