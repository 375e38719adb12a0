"""What a future holds: its state, its result and its exception."""

from __future__ import annotations

import gc
from concurrent.futures import wait as wait_for_threads
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.futures import FINISHES, finish_with, outcome
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement

if TYPE_CHECKING:
    import logging
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable

# None, False and the empty string are results like any other: a future is not "still pending" because of one.
RESULTS = [None, False, 0, "", "text", ("a", "tuple"), ValueError("an exception as a mere value")]


@pytest.mark.parametrize("value", RESULTS, ids=repr)
@requirement("Future.result/returns-set-result", "Future.set_result/marks-done-with-result")
def test_result_is_the_very_object_that_was_set(future: Future[Any], value: object) -> None:
    future.set_result(value)
    assert future.done()
    assert future.result() is value


@requirement("Future.result/returns-set-result")
def test_result_can_be_read_again_and_again(future: Future[Any]) -> None:
    future.set_result("kept")
    assert [future.result() for _ in range(3)] == ["kept"] * 3


@requirement("Future.result/raises-set-exception", "Future.set_exception/marks-done-with-exception")
def test_result_raises_the_very_exception_that_was_set(future: Future[Any]) -> None:
    error = ValueError("set")
    future.set_exception(error)
    assert future.done()
    for _ in range(2):
        with pytest.raises(ValueError, match="set") as caught:
            future.result()
        assert caught.value is error


@requirement("Future.exception/returns-set-exception")
def test_exception_returns_the_very_exception_that_was_set(future: Future[Any]) -> None:
    error = ValueError("set")
    future.set_exception(error)
    assert future.exception() is error
    assert future.exception() is error


@requirement("Future.exception/returns-none-after-result")
def test_exception_is_none_after_a_result(future: Future[Any]) -> None:
    future.set_result(ValueError("not raised, only stored"))
    assert future.exception() is None


@requirement("Future.result/raises-invalidstateerror-while-pending", "InvalidStateError/raised-for-forbidden-state")
def test_reading_the_result_of_a_pending_future_is_an_invalid_state(future: Future[Any], aio: Any) -> None:
    with pytest.raises(aio.InvalidStateError):
        future.result()
    assert not future.done()


@requirement("Future.exception/raises-invalidstateerror-while-pending")
def test_reading_the_exception_of_a_pending_future_is_an_invalid_state(future: Future[Any], aio: Any) -> None:
    with pytest.raises(aio.InvalidStateError):
        future.exception()
    assert not future.done()


@requirement("Future.result/raises-cancellederror-when-cancelled")
def test_result_of_a_cancelled_future_raises_cancellederror_each_time(future: Future[Any], aio: Any) -> None:
    future.cancel()
    for _ in range(2):
        with pytest.raises(aio.CancelledError):
            future.result()


@requirement("Future.exception/raises-cancellederror-when-cancelled")
def test_exception_of_a_cancelled_future_raises_cancellederror_each_time(future: Future[Any], aio: Any) -> None:
    future.cancel()
    for _ in range(2):
        with pytest.raises(aio.CancelledError):
            future.exception()


@requirement("Future.done/returns-false-while-pending", "Future.cancelled/returns-false-otherwise")
def test_a_fresh_future_is_neither_done_nor_cancelled(future: Future[Any]) -> None:
    assert future.done() is False
    assert future.cancelled() is False


@pytest.mark.parametrize("finish", FINISHES)
@requirement("Future.done/returns-true-when-finished")
def test_a_future_is_done_as_soon_as_it_was_finished(future: Future[Any], finish: str) -> None:
    finish_with(future, finish)
    assert future.done() is True


@pytest.mark.parametrize("finish", ["set_result", "set_exception"])
@requirement("Future.cancelled/returns-false-otherwise")
def test_a_finished_future_is_not_cancelled(future: Future[Any], finish: str) -> None:
    finish_with(future, finish)
    assert future.cancelled() is False


@pytest.mark.parametrize("finish", FINISHES)
@requirement("Future.set_result/raises-invalidstateerror-when-done", "InvalidStateError/raised-for-forbidden-state")
def test_a_done_future_takes_no_further_result(future: Future[Any], aio: Any, finish: str) -> None:
    finish_with(future, finish)
    before = outcome(future, aio)
    with pytest.raises(aio.InvalidStateError):
        future.set_result("second")
    assert outcome(future, aio) == before


@pytest.mark.parametrize("finish", FINISHES)
@requirement("Future.set_exception/raises-invalidstateerror-when-done", "InvalidStateError/raised-for-forbidden-state")
def test_a_done_future_takes_no_further_exception(future: Future[Any], aio: Any, finish: str) -> None:
    finish_with(future, finish)
    before = outcome(future, aio)
    with pytest.raises(aio.InvalidStateError):
        future.set_exception(ValueError("second"))
    assert outcome(future, aio) == before


@requirement("Future.set_exception/never-stores-stopiteration")
def test_a_stopiteration_is_refused_or_wrapped(future: Future[Any]) -> None:
    stop = StopIteration("would end the coroutine that awaits the future")
    try:
        future.set_exception(stop)
    except TypeError:
        assert not future.done()
    else:
        stored = future.exception()
        assert type(stored) is RuntimeError
        assert stored.__cause__ is stop


@on_loops(PLAIN, DEBUG)
@requirement("Future.set_exception/logs-unretrieved-exception")
def test_an_exception_nobody_retrieved_is_reported_when_the_future_is_collected(
    new_future: Callable[[], Future[Any]], reported: list[dict[str, Any]]
) -> None:
    error = ValueError("overlooked")
    new_future().set_exception(error)
    gc.collect()
    assert [context.get("exception") for context in reported] == [error]


@requirement("Future.set_exception/logs-unretrieved-exception")
def test_an_exception_nobody_retrieved_ends_as_an_error_in_the_log(
    new_future: Callable[[], Future[Any]], asyncio_log: list[logging.LogRecord]
) -> None:
    error = ValueError("overlooked")
    new_future().set_exception(error)
    gc.collect()
    errors = [record for record in asyncio_log if record.levelname == "ERROR"]
    assert [record.exc_info and record.exc_info[1] for record in errors] == [error]


@pytest.mark.parametrize("retrieve", ["result", "exception", "await"])
@requirement("Future.set_exception/logs-unretrieved-exception")
def test_a_retrieved_exception_is_not_reported(
    loop: AbstractEventLoop,
    new_future: Callable[[], Future[Any]],
    reported: list[dict[str, Any]],
    retrieve: str,
) -> None:
    future = new_future()
    future.set_exception(ValueError("seen"))
    if retrieve == "exception":
        future.exception()
    else:
        with pytest.raises(ValueError, match="seen"):
            future.result() if retrieve == "result" else loop.run_until_complete(future)
    del future
    gc.collect()
    assert reported == []


@requirement("Future.get_loop/returns-bound-loop")
def test_get_loop_returns_the_loop_the_future_is_bound_to(future: Future[Any], loop: AbstractEventLoop) -> None:
    assert future.get_loop() is loop


@pytest.mark.parametrize("read", ["result", "exception"])
@requirement("Future/rejects-timeout-argument")
def test_result_and_exception_take_no_timeout_by_position(future: Future[Any], read: str) -> None:
    future.set_result(None)
    with pytest.raises(TypeError):
        getattr(future, read)(1)


@pytest.mark.parametrize("read", ["result", "exception"])
@requirement("Future/rejects-timeout-argument")
def test_result_and_exception_take_no_timeout_by_keyword(future: Future[Any], read: str) -> None:
    future.set_result(None)
    with pytest.raises(TypeError):
        getattr(future, read)(timeout=1)


@requirement("Future/unfit-for-concurrent-waiting")
def test_waiting_of_threads_does_not_take_the_future(future: Future[Any]) -> None:
    with pytest.raises((AttributeError, TypeError)):
        wait_for_threads([future], timeout=0)  # type: ignore[arg-type]
