"""Whose cancellation was it? Time limits that nest, that expire together, and that meet a cancellation from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.endings import ending
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.turns import settle

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Never reached: what waits this long waits for a promise that is broken.
LONG = 3600
# Any delay does: the deadline is met because nothing else ever happens.
SHORT = 0.002


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("timeout/nests-safely")
async def test_an_inner_deadline_leaves_the_outer_block_running(loop: AbstractEventLoop, aio: Any) -> None:
    async with aio.timeout(LONG) as outer:
        with pytest.raises(TimeoutError):
            async with aio.timeout(SHORT) as inner:
                await loop.create_future()
        await settle(aio)
    assert (inner.expired(), outer.expired()) == (True, False)
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("timeout/nests-safely")
async def test_an_outer_deadline_passes_through_the_inner_block_as_a_cancellation(
    loop: AbstractEventLoop, aio: Any
) -> None:
    seen: list[object] = []
    with pytest.raises(TimeoutError):  # noqa: PT012 - the block itself raises
        async with aio.timeout(SHORT) as outer:
            try:
                async with aio.timeout(LONG) as inner:
                    await loop.create_future()
            except BaseException as error:
                seen.append(type(error))
                raise
    assert seen == [aio.CancelledError]
    assert (inner.expired(), outer.expired()) == (False, True)
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("first", ["inner", "outer"])
@requirement("timeout/nests-safely")
async def test_when_both_deadlines_pass_in_one_turn_the_outer_block_raises(
    loop: AbstractEventLoop, aio: Any, first: str
) -> None:
    seen: list[object] = []
    with pytest.raises(TimeoutError):  # noqa: PT012 - the block itself raises
        async with aio.timeout(None) as outer:
            try:
                async with aio.timeout(None) as inner:
                    for limit in (inner, outer) if first == "inner" else (outer, inner):
                        limit.reschedule(loop.time() - 1)
                    await loop.create_future()
            except BaseException as error:
                seen.append(type(error))
                raise
    assert seen == [aio.CancelledError]
    assert (inner.expired(), outer.expired()) == (True, True)
    assert aio.current_task().cancelling() == 0
    await settle(aio)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("timeout/nests-safely")
async def test_an_outer_deadline_that_passes_while_the_inner_block_cleans_up_is_kept(
    loop: AbstractEventLoop, aio: Any
) -> None:
    seen: list[str] = []
    with pytest.raises(TimeoutError):  # noqa: PT012 - the block itself raises
        async with aio.timeout(None) as outer:
            try:
                async with aio.timeout(SHORT):
                    try:
                        await loop.create_future()
                    finally:
                        outer.reschedule(loop.time() - 1)
                        await loop.create_future()
            except TimeoutError:
                seen.append("inner timed out, and the outer deadline is lost")
    assert seen == []
    assert aio.current_task().cancelling() == 0


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Timeout/passes-external-cancellation")
async def test_a_cancellation_from_elsewhere_stays_one(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[object] = []

    async def limited() -> None:
        try:
            async with aio.timeout(LONG) as limit:
                await loop.create_future()
        except BaseException as error:
            seen.append((type(error), error.args, limit.expired(), aio.current_task().cancelling()))
            raise

    task = loop.create_task(limited())
    await settle(aio)
    task.cancel("from elsewhere")
    await settle(aio)
    assert task.cancelled()
    assert seen == [(aio.CancelledError, ("from elsewhere",), False, 1)]


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("first", ["cancel", "expire"])
@requirement("Timeout/passes-external-cancellation")
async def test_a_cancellation_in_the_turn_of_the_expiry_stays_one(
    loop: AbstractEventLoop, aio: Any, first: str
) -> None:
    limits: list[Any] = []

    async def limited() -> None:
        async with aio.timeout(None) as limit:
            limits.append(limit)
            await loop.create_future()

    task = loop.create_task(limited())
    await settle(aio)
    if first == "cancel":
        loop.call_soon(task.cancel)
    # The expiry is due, and happens in a callback of its own.
    limits[0].reschedule(loop.time() - 1)
    if first == "expire":
        loop.call_soon(task.cancel)
    assert isinstance(await ending(task), aio.CancelledError)
    assert task.cancelled()
    assert limits[0].expired() is True
    assert task.cancelling() == 1


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Timeout/passes-external-cancellation")
async def test_a_cancellation_while_an_expired_block_cleans_up_stays_one(loop: AbstractEventLoop, aio: Any) -> None:
    cleaning = loop.create_future()
    steps: list[str] = []

    async def limited() -> None:
        async with aio.timeout(SHORT):
            try:
                await loop.create_future()
            finally:
                steps.append("cleaning up")
                await cleaning

    task = loop.create_task(limited())
    while not steps:
        await aio.sleep(SHORT)
    task.cancel()
    assert isinstance(await ending(task), aio.CancelledError)
    assert (task.cancelled(), task.cancelling()) == (True, 1)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("Timeout/passes-external-cancellation", "timeout/nests-safely")
async def test_a_cancellation_from_elsewhere_passes_through_every_block(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[str] = []

    async def limited() -> None:
        async with aio.timeout(LONG):
            try:
                async with aio.timeout(None):
                    await loop.create_future()
            except TimeoutError:
                seen.append("timed out")

    task = loop.create_task(limited())
    await settle(aio)
    task.cancel()
    await settle(aio)
    assert (task.cancelled(), seen) == (True, [])


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("timeout/raises-timeouterror-on-exit")
async def test_a_limit_works_in_the_clean_up_of_a_cancelled_task(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[object] = []

    async def work() -> None:
        try:
            await loop.create_future()
        finally:
            try:
                async with aio.timeout(SHORT):
                    await loop.create_future()
            except TimeoutError:
                seen.append(aio.current_task().cancelling())

    task = loop.create_task(work())
    await settle(aio)
    task.cancel()
    assert isinstance(await ending(task), aio.CancelledError)
    assert (task.cancelled(), seen) == (True, [1])


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("timeout/raises-timeouterror-on-exit")
async def test_another_exception_of_an_expired_block_passes(loop: AbstractEventLoop, aio: Any) -> None:
    error = ValueError()
    with pytest.raises(ValueError) as caught:  # noqa: PT011, PT012 - compared below
        async with aio.timeout(SHORT):
            try:
                await loop.create_future()
            finally:
                raise error
    assert caught.value is error
    assert aio.current_task().cancelling() == 0
    await settle(aio)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("timeout/raises-timeouterror-on-exit")
async def test_a_block_that_catches_its_cancellation_ends_without_timeouterror(
    loop: AbstractEventLoop, aio: Any
) -> None:
    async with aio.timeout(SHORT) as limit:
        try:
            await loop.create_future()
        except aio.CancelledError:
            result = "caught"
        await aio.sleep(0)
    await settle(aio)
    assert (result, limit.expired(), aio.current_task().cancelling()) == ("caught", True, 0)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("timeout/raises-timeouterror-on-exit")
async def test_awaiting_a_cancelled_future_in_time_is_no_timeout(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    loop.call_soon(future.cancel)
    with pytest.raises(aio.CancelledError):
        async with aio.timeout(LONG) as limit:
            await future
    assert (limit.expired(), aio.current_task().cancelling()) == (False, 0)
