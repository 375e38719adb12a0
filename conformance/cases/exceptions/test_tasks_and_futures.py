"""The exceptions of futures, tasks, cancellation and deadlines: what they are and when they are raised."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Any delay does: the deadline is met because nothing else ever happens.
DEADLINE = 0.002


async def wait_for_ever(loop: AbstractEventLoop) -> None:
    await loop.create_future()


@requirement("TimeoutError/differs-from-builtin")
def test_timeouterror_is_a_class_of_its_own(aio: Any) -> None:
    assert aio.TimeoutError is not builtins.TimeoutError
    assert issubclass(aio.TimeoutError, Exception)


@requirement("TimeoutError/aliases-builtin-timeouterror")
def test_timeouterror_is_the_builtin_one(aio: Any) -> None:
    assert aio.TimeoutError is builtins.TimeoutError


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TimeoutError/raised-when-deadline-passes")
async def test_wait_for_raises_timeouterror_when_its_deadline_passed(loop: AbstractEventLoop, aio: Any) -> None:
    with pytest.raises(aio.TimeoutError):
        await aio.wait_for(wait_for_ever(loop), DEADLINE)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TimeoutError/raised-when-deadline-passes")
async def test_as_completed_raises_timeouterror_when_its_deadline_passed(loop: AbstractEventLoop, aio: Any) -> None:
    first = next(iter(aio.as_completed([loop.create_future()], timeout=DEADLINE)))
    with pytest.raises(aio.TimeoutError):
        await first


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("TimeoutError/raised-when-deadline-passes")
async def test_timeout_raises_timeouterror_when_its_deadline_passed(loop: AbstractEventLoop, aio: Any) -> None:
    with pytest.raises(aio.TimeoutError):
        async with aio.timeout(DEADLINE):
            await wait_for_ever(loop)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("CancelledError/raised-on-cancellation")
async def test_cancellederror_is_raised_in_the_coroutine_and_to_who_awaits_the_task(
    loop: AbstractEventLoop, aio: Any
) -> None:
    inside: list[object] = []

    async def wait() -> None:
        try:
            await loop.create_future()
        except BaseException as error:
            inside.append(type(error))
            raise

    task = loop.create_task(wait())
    await aio.sleep(0)
    task.cancel()
    with pytest.raises(aio.CancelledError):
        await task
    assert inside == [aio.CancelledError]


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("CancelledError/raised-on-cancellation")
async def test_cancellederror_is_raised_to_who_awaits_a_cancelled_future(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    loop.call_soon(future.cancel)
    for _ in range(2):
        with pytest.raises(aio.CancelledError):
            await future


@requirement("CancelledError/is-exception-subclass")
def test_cancellederror_is_an_exception(aio: Any) -> None:
    assert issubclass(aio.CancelledError, Exception)


@requirement("CancelledError/is-baseexception-subclass-only")
def test_cancellederror_is_a_baseexception_and_no_exception(aio: Any) -> None:
    assert issubclass(aio.CancelledError, BaseException)
    assert not issubclass(aio.CancelledError, Exception)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("CancelledError/catchable-for-cleanup")
async def test_a_coroutine_cleans_up_and_raises_it_on(loop: AbstractEventLoop, aio: Any) -> None:
    cleaned: list[str] = []

    async def work() -> None:
        try:
            await loop.create_future()
        except aio.CancelledError:
            await aio.sleep(0)
            cleaned.append("cleaned up")
            raise

    task = loop.create_task(work())
    await aio.sleep(0)
    task.cancel()
    await aio.wait([task])
    assert cleaned == ["cleaned up"]
    assert task.cancelled() is True


@requirement("InvalidStateError/raised-for-forbidden-state")
def test_a_second_result_is_an_invalid_state(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    future.set_result("first")
    with pytest.raises(aio.InvalidStateError):
        future.set_result("second")
    with pytest.raises(aio.InvalidStateError):
        future.set_exception(ValueError())


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("InvalidStateError/raised-for-forbidden-state")
async def test_a_result_not_yet_there_is_an_invalid_state(loop: AbstractEventLoop, aio: Any) -> None:
    task = loop.create_task(aio.sleep(0))
    for unfinished in (loop.create_future(), task):
        with pytest.raises(aio.InvalidStateError):
            unfinished.result()
    await task
