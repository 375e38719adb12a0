"""``Future`` itself: how it is constructed and what the expression ``Future[...]`` means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future


@requirement("Future/accepts-documented-arguments")
def test_the_constructor_takes_loop_by_keyword_only(aio: Any, loop: AbstractEventLoop) -> None:
    assert aio.Future(loop=loop).get_loop() is loop
    with pytest.raises(TypeError):
        aio.Future(loop)


@requirement("Future/accepts-documented-arguments")
def test_the_constructor_takes_no_other_argument(aio: Any, loop: AbstractEventLoop) -> None:
    with pytest.raises(TypeError):
        aio.Future(loop=loop, result=1)


@requirement("Future/create-future-makes-instances")
def test_create_future_makes_a_future_bound_to_the_loop(aio: Any, loop: AbstractEventLoop) -> None:
    future: Future[Any] = loop.create_future()
    assert aio.isfuture(future)
    assert future.get_loop() is loop


@requirement("Future/create-future-makes-instances")
async def test_create_future_belongs_to_its_loop_whichever_loop_runs(
    aio: Any, loop: AbstractEventLoop, target: Any
) -> None:
    other = target.make_loop()
    try:
        assert other.create_future().get_loop() is other
        assert aio.Future(loop=other).get_loop() is other
        assert loop.create_future().get_loop() is loop
    finally:
        other.close()


@requirement("Future/supports-generic-subscription")
def test_future_can_be_subscripted(aio: Any) -> None:
    assert aio.Future[int].__origin__ is aio.Future
    assert aio.Future[int].__args__ == (int,)
