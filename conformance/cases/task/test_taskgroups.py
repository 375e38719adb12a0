"""Tasks that live no longer than a block: entering a ``TaskGroup``, adding to it, and its end when all goes well."""

from __future__ import annotations

import contextvars
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending, names
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.members import fail, wait_for
from conformance.support.turns import settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


def refused(group: Any, coroutine: Any) -> str | None:
    """Offer a coroutine to the group: the state that it is left in, or None where the group took it."""
    try:
        group.create_task(coroutine)
    except RuntimeError:
        state = inspect.getcoroutinestate(coroutine)
        coroutine.close()
        return state
    return None


@requirement("TaskGroup/accepts-no-arguments", "TaskGroup/enters-as-itself")
async def test_a_group_is_made_without_arguments_and_entered_as_itself(aio: Any) -> None:
    group = aio.TaskGroup()
    async with group as entered:
        assert entered is group


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/waits-for-all-tasks", "TaskGroup/results-available-after-exit")
async def test_the_block_ends_when_all_members_have(loop: AbstractEventLoop, aio: Any) -> None:
    gates = [loop.create_future() for _ in range(3)]
    members: list[Any] = []

    async def run() -> list[bool]:
        async with aio.TaskGroup() as group:
            members.extend(group.create_task(wait_for(gate)) for gate in gates)
        return [member.done() for member in members]

    block = loop.create_task(run())
    for number, gate in enumerate(gates):
        await settle(aio)
        assert block.done() is False
        gate.set_result(number)
    assert await block == [True] * 3
    assert [member.result() for member in members] == [0, 1, 2]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/waits-for-all-tasks", "TaskGroup/results-available-after-exit")
async def test_members_that_are_done_before_the_body_ends_count_as_well(loop: AbstractEventLoop, aio: Any) -> None:
    async with aio.TaskGroup() as group:
        members = [group.create_task(aio.sleep(0, number)) for number in range(3)]
        await settle(aio)
        assert [member.result() for member in members] == [0, 1, 2]
        members.append(group.create_task(aio.sleep(0, 3)))
    assert [member.result() for member in members] == [0, 1, 2, 3]
    assert aio.current_task(loop).cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/waits-for-all-tasks")
async def test_a_group_without_members_ends_with_its_body(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    loop.call_soon(future.set_result, "result")
    async with aio.TaskGroup():
        assert await future == "result"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup.create_task/returns-member-task")
async def test_create_task_returns_the_task_that_runs_the_coroutine(loop: AbstractEventLoop, aio: Any) -> None:
    async def who() -> Any:
        await aio.sleep(0)
        return aio.current_task(loop)

    coroutine = who()
    async with aio.TaskGroup() as group:
        task = group.create_task(coroutine)
        assert isinstance(task, aio.Task)
        assert (task.get_loop(), task.done(), task.get_coro()) == (loop, False, coroutine)
    assert task.result() is task


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup.create_task/accepts-documented-arguments")
async def test_a_member_takes_a_name_and_a_context(loop: AbstractEventLoop, aio: Any) -> None:
    context = contextvars.copy_context()
    context.run(colour.set, "red")

    async def look() -> tuple[str, str]:
        await aio.sleep(0)
        return colour.get(), aio.current_task(loop).get_name()

    async with aio.TaskGroup() as group:
        given = group.create_task(look(), name="member", context=context)
        named = group.create_task(coro=look(), name="other")
        neither = group.create_task(look(), name=None, context=None)
    assert (given.result(), named.result()) == (("red", "member"), ("none", "other"))
    assert neither.result()[0] == "none"


@requirement("TaskGroup.create_task/accepts-documented-arguments")
async def test_a_member_takes_its_name_and_context_by_name_only(aio: Any) -> None:
    coroutine = aio.sleep(0)
    async with aio.TaskGroup() as group:
        for arguments in ((), (coroutine, "name"), (coroutine, "name", None)):
            with pytest.raises(TypeError):
                group.create_task(*arguments)
    coroutine.close()


@requirement("TaskGroup.create_task/forwards-extra-keywords")
async def test_create_task_hands_every_keyword_to_the_loop(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[dict[str, Any]] = []

    def factory(loop: AbstractEventLoop, coro: Any, **keywords: Any) -> Any:
        seen.append(keywords)
        return aio.Task(coro, loop=loop)

    loop.set_task_factory(factory)
    async with aio.TaskGroup() as group:
        group.create_task(aio.sleep(0), name="member", colour="red", eager_start=False)
    assert [(one.get("name"), one.get("colour"), one.get("eager_start")) for one in seen] == [("member", "red", False)]


@requirement("TaskGroup.create_task/forwards-extra-keywords")
async def test_a_member_may_be_started_eagerly(aio: Any) -> None:
    steps: list[str] = []

    async def step() -> None:
        steps.append("member")

    async with aio.TaskGroup() as group:
        eager = group.create_task(step(), eager_start=True)
        steps.append("body")
        assert eager.done() is True
        lazy = group.create_task(step(), eager_start=False)
        assert lazy.done() is False
    assert steps == ["member", "body", "member"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/accepts-tasks-while-waiting")
async def test_members_may_add_members_while_the_exit_waits(loop: AbstractEventLoop, aio: Any) -> None:
    ran: list[int] = []
    gate = loop.create_future()

    async def grow(depth: int) -> None:
        await aio.sleep(0)
        if depth:
            group.create_task(grow(depth - 1))
        else:
            await gate
        ran.append(depth)

    loop.call_later(0.005, gate.set_result, None)
    async with aio.TaskGroup() as group:
        group.create_task(grow(4))
    assert sorted(ran) == [0, 1, 2, 3, 4]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/rejects-tasks-after-exit")
async def test_no_member_can_be_added_after_the_end(loop: AbstractEventLoop, aio: Any) -> None:
    async with aio.TaskGroup() as empty:
        pass
    async with aio.TaskGroup() as group:
        member = group.create_task(aio.sleep(0))
    failed = aio.TaskGroup()
    with pytest.raises(ExceptionGroup):
        async with failed:
            raise ValueError
    before = aio.all_tasks(loop)
    assert [refused(one, aio.sleep(0)) is not None for one in (empty, group, failed)] == [True] * 3
    assert aio.all_tasks(loop) == before
    assert member.done()


@requirement("TaskGroup.create_task/raises-before-enter")
async def test_no_member_can_be_added_before_the_group_is_entered(loop: AbstractEventLoop, aio: Any) -> None:
    group, before = aio.TaskGroup(), aio.all_tasks(loop)
    assert refused(group, aio.sleep(0)) is not None
    assert aio.all_tasks(loop) == before
    async with group:
        member = group.create_task(aio.sleep(0, "taken"))
    assert member.result() == "taken"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/rejects-tasks-after-failure")
async def test_no_member_can_be_added_after_a_failure(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[object] = []

    async def add_late() -> None:
        try:
            await loop.create_future()
        finally:
            seen.append(refused(group, aio.sleep(0)) is not None)

    with pytest.raises(ExceptionGroup):  # noqa: PT012 - the block itself raises
        async with aio.TaskGroup() as group:
            group.create_task(add_late())
            await aio.sleep(0)
            group.create_task(fail(ValueError()))
            await loop.create_future()
    assert seen == [True]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup.create_task/closes-rejected-coroutine")
async def test_a_coroutine_that_is_refused_is_closed(loop: AbstractEventLoop, aio: Any) -> None:
    states: list[str | None] = []

    async def add_late() -> None:
        try:
            await loop.create_future()
        finally:
            states.append(refused(group, aio.sleep(0)))

    group = aio.TaskGroup()
    states.append(refused(group, aio.sleep(0)))
    with pytest.raises(ExceptionGroup):  # noqa: PT012 - the block itself raises
        async with group:
            group.create_task(add_late())
            await aio.sleep(0)
            group.create_task(fail(ValueError()))
    states.append(refused(group, aio.sleep(0)))
    assert states == [inspect.CORO_CLOSED] * 3


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/tolerates-cancelled-member")
async def test_a_cancelled_member_is_no_failure(loop: AbstractEventLoop, aio: Any) -> None:
    gate = loop.create_future()
    async with aio.TaskGroup() as group:
        first, second = (group.create_task(wait_for(loop.create_future())) for _ in range(2))
        third = group.create_task(wait_for(gate))
        await aio.sleep(0)
        first.cancel()
        await settle(aio)
        loop.call_soon(second.cancel)
        loop.call_later(0.002, gate.set_result, "went on")
    assert [first.cancelled(), second.cancelled()] == [True, True]
    assert third.result() == "went on"
    assert aio.current_task(loop).cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/tolerates-cancelled-member", "TaskGroup/raises-exception-group")
async def test_a_cancelled_member_is_not_among_the_failures(loop: AbstractEventLoop, aio: Any) -> None:
    async def run() -> None:
        async with aio.TaskGroup() as group:
            cancelled = group.create_task(wait_for(loop.create_future()))
            await aio.sleep(0)
            cancelled.cancel()
            group.create_task(fail(ValueError()))

    assert names(await ending(run())) == ["ValueError"]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TaskGroup/ends-early-by-private-exception")
async def test_a_private_exception_ends_a_group_early(loop: AbstractEventLoop, aio: Any) -> None:
    class Enough(Exception):
        """Nobody else raises it."""

    steps: list[str] = []
    try:
        async with aio.TaskGroup() as group:
            member = group.create_task(wait_for(loop.create_future()))
            await aio.sleep(0)
            group.create_task(fail(Enough()))
            await loop.create_future()
    except* Enough:
        steps.append("ended early")
    await aio.sleep(0)
    assert (steps, member.cancelled()) == (["ended early"], True)
    assert aio.current_task(loop).cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("examples/terminating-a-task-group")
async def test_a_task_that_terminates_its_group_ends_the_longer_job(loop: AbstractEventLoop, aio: Any) -> None:
    class TerminateTaskGroup(Exception):
        """Raised to terminate a group."""

    steps: list[str] = []

    async def job(number: int, seconds: float) -> None:
        steps.append(f"{number}: start")
        await aio.sleep(seconds)
        steps.append(f"{number}: done")

    async def terminate() -> None:
        raise TerminateTaskGroup

    async def main() -> None:
        try:
            async with aio.TaskGroup() as group:
                short = group.create_task(job(1, 0.002))
                group.create_task(job(2, 3600))
                await short
                group.create_task(terminate())
        except* TerminateTaskGroup:
            steps.append("terminated")

    await loop.create_task(main())
    assert steps == ["1: start", "2: start", "1: done", "terminated"]
