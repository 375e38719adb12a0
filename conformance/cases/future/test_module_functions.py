"""``isfuture()``, ``ensure_future()`` and ``wrap_future()``."""

from __future__ import annotations

import concurrent.futures
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable, Generator

pytestmark = pytest.mark.usefixtures("loop")


class FutureLike:
    """What the documentation calls Future-like: it only has the attribute that ``isfuture()`` looks at."""

    _asyncio_future_blocking = False


class Awaitable:
    """An awaitable that is neither coroutine nor future; suspends once, on ``future``."""

    def __init__(self, future: Future[Any]) -> None:
        self.future = future

    def __await__(self) -> Generator[Any, None, object]:
        value: object = yield from self.future.__await__()
        return "awaited", value


async def answer(value: object = 42) -> object:
    return value


@requirement("isfuture/returns-true-for-futures")
def test_a_future_is_a_future(aio: Any, future: Future[Any]) -> None:
    assert aio.isfuture(future) is True
    future.cancel()
    assert aio.isfuture(future) is True


@on_loops(PLAIN, EAGER)
@requirement("isfuture/returns-true-for-futures")
async def test_a_task_is_a_future(loop: AbstractEventLoop, aio: Any) -> None:
    tasks = [loop.create_task(answer()), aio.Task(answer(), loop=loop)]
    assert [aio.isfuture(task) for task in tasks] == [True, True]
    assert [await task for task in tasks] == [42, 42]


@requirement("isfuture/returns-true-for-future-likes")
def test_an_object_whose_class_marks_it_future_like_is_a_future(aio: Any) -> None:
    assert aio.isfuture(FutureLike()) is True


@requirement("isfuture/returns-true-for-future-likes")
def test_an_attribute_that_is_none_does_not_make_a_future(aio: Any) -> None:
    class Undecided:
        _asyncio_future_blocking = None

    assert aio.isfuture(Undecided()) is False


@requirement("isfuture/returns-true-for-future-likes")
def test_an_attribute_of_the_instance_alone_does_not_make_a_future(aio: Any) -> None:
    class Plain:
        pass

    plain = Plain()
    plain._asyncio_future_blocking = False  # type: ignore[attr-defined]
    assert aio.isfuture(plain) is False


@requirement("isfuture/returns-false-otherwise")
def test_everything_else_is_no_future(aio: Any, loop: AbstractEventLoop) -> None:
    coroutine = answer()
    others = [coroutine, answer, concurrent.futures.Future(), loop, None, 1, object(), Awaitable(loop.create_future())]
    assert [aio.isfuture(other) for other in others] == [False] * len(others)
    coroutine.close()


@requirement("ensure_future/accepts-documented-arguments")
def test_ensure_future_takes_loop_by_keyword_only(aio: Any, loop: AbstractEventLoop, future: Future[Any]) -> None:
    assert aio.ensure_future(future, loop=loop) is future
    assert aio.ensure_future(future, loop=None) is future
    with pytest.raises(TypeError):
        aio.ensure_future(future, loop)


@requirement("ensure_future/returns-futures-unchanged")
def test_ensure_future_returns_a_future_as_it_is(aio: Any, future: Future[Any]) -> None:
    assert aio.ensure_future(future) is future


@requirement("ensure_future/returns-futures-unchanged")
async def test_ensure_future_returns_a_task_as_it_is(aio: Any, loop: AbstractEventLoop) -> None:
    task = loop.create_task(answer())
    assert aio.ensure_future(task) is task
    assert await task == 42
    assert aio.ensure_future(task) is task


@requirement("ensure_future/returns-futures-unchanged")
def test_ensure_future_returns_a_future_like_object_as_it_is(aio: Any) -> None:
    like = FutureLike()
    assert aio.ensure_future(like) is like


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("ensure_future/wraps-coroutine-in-task")
async def test_ensure_future_makes_a_scheduled_task_of_a_coroutine(aio: Any, loop: AbstractEventLoop) -> None:
    started = loop.create_future()

    async def start() -> str:
        started.set_result(aio.current_task())
        await aio.sleep(0)
        return "ran"

    task = aio.ensure_future(start())
    assert isinstance(task, aio.Task)
    # The coroutine runs without anybody awaiting the task.
    assert await started is task
    assert await task == "ran"


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("ensure_future/wraps-awaitable-in-task")
async def test_ensure_future_makes_a_task_of_any_other_awaitable(aio: Any, loop: AbstractEventLoop) -> None:
    future = loop.create_future()
    task = aio.ensure_future(Awaitable(future))
    assert isinstance(task, aio.Task)
    loop.call_soon(future.set_result, "value")
    assert await task == ("awaited", "value")


@on_loops(PLAIN, EAGER)
@requirement("ensure_future/wraps-awaitable-in-task")
async def test_the_task_of_an_awaitable_ends_with_its_exception(aio: Any, loop: AbstractEventLoop) -> None:
    future, error = loop.create_future(), ValueError("awaitable")
    future.set_exception(error)
    task = aio.ensure_future(Awaitable(future))
    with pytest.raises(ValueError, match="awaitable") as caught:
        await task
    assert caught.value is error


@pytest.mark.parametrize("value", [None, 42, "text", answer, object(), [], int], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("loop_given", [False, True], ids=["no loop", "loop"])
@requirement("ensure_future/rejects-non-awaitables")
async def test_ensure_future_refuses_what_cannot_be_awaited(
    aio: Any, loop: AbstractEventLoop, value: object, loop_given: bool
) -> None:
    with pytest.raises(TypeError):
        aio.ensure_future(value, loop=loop if loop_given else None)


@requirement("ensure_future/rejects-non-awaitables")
def test_ensure_future_refuses_a_future_of_threads(aio: Any, loop: AbstractEventLoop) -> None:
    with pytest.raises(TypeError):
        aio.ensure_future(concurrent.futures.Future(), loop=loop)


@pytest.mark.parametrize("wrap", ["coroutine", "awaitable"])
@requirement("ensure_future/accepts-loop-keyword")
def test_the_task_is_scheduled_on_the_loop_given(aio: Any, loop: AbstractEventLoop, wrap: str) -> None:
    future = loop.create_future()
    future.set_result("value")
    task = aio.ensure_future(answer("value") if wrap == "coroutine" else Awaitable(future), loop=loop)
    assert task.get_loop() is loop
    assert not task.done()
    assert loop.run_until_complete(task) in ("value", ("awaited", "value"))


@requirement("ensure_future/accepts-loop-keyword")
def test_ensure_future_uses_the_task_factory_of_the_loop_given(aio: Any, loop: AbstractEventLoop) -> None:
    made: list[object] = []

    def factory(loop: AbstractEventLoop, coroutine: Any, **keywords: Any) -> Any:
        made.append(aio.Task(coroutine, loop=loop, **keywords))
        return made[-1]

    loop.set_task_factory(factory)
    task = aio.ensure_future(answer(), loop=loop)
    assert made == [task]
    assert loop.run_until_complete(task) == 42


@requirement("ensure_future/deprecates-call-without-loop")
def test_ensure_future_needs_a_loop_for_a_coroutine(aio: Any) -> None:
    coroutine = answer()
    assert error_without_any_loop(lambda: aio.ensure_future(coroutine)) == "RuntimeError"
    coroutine.close()


@requirement("wrap_future/deprecates-call-without-loop")
def test_wrap_future_needs_a_loop(aio: Any) -> None:
    assert error_without_any_loop(lambda: aio.wrap_future(concurrent.futures.Future())) == "RuntimeError"


@requirement("Future/deprecates-creation-without-loop")
def test_a_future_needs_a_loop(aio: Any) -> None:
    assert error_without_any_loop(aio.Future) == "RuntimeError"


@requirement("wrap_future/accepts-documented-arguments")
def test_wrap_future_takes_loop_by_keyword_only(aio: Any, loop: AbstractEventLoop) -> None:
    wrapped = aio.wrap_future(concurrent.futures.Future(), loop=loop)
    assert wrapped.get_loop() is loop
    with pytest.raises(TypeError):
        aio.wrap_future(concurrent.futures.Future(), loop)


@requirement("wrap_future/accepts-documented-arguments")
async def test_wrap_future_uses_the_running_loop_when_none_is_given(aio: Any, loop: AbstractEventLoop) -> None:
    assert aio.wrap_future(concurrent.futures.Future()).get_loop() is loop


@requirement("wrap_future/returns-chained-asyncio-future")
def test_a_wrapped_future_is_a_pending_asyncio_future(aio: Any, loop: AbstractEventLoop) -> None:
    wrapped = aio.wrap_future(concurrent.futures.Future(), loop=loop)
    assert aio.isfuture(wrapped)
    assert not wrapped.done()


@pytest.mark.parametrize("done_first", [True, False], ids=["done before", "done after"])
@requirement("wrap_future/returns-chained-asyncio-future")
async def test_a_wrapped_future_takes_over_the_result(aio: Any, done_first: bool) -> None:
    value, source = object(), concurrent.futures.Future[object]()
    if done_first:
        source.set_result(value)
    wrapped = aio.wrap_future(source)
    if not done_first:
        source.set_result(value)
    assert await wrapped is value


@pytest.mark.parametrize("done_first", [True, False], ids=["done before", "done after"])
@requirement("wrap_future/returns-chained-asyncio-future")
async def test_a_wrapped_future_takes_over_the_exception(aio: Any, done_first: bool) -> None:
    source = concurrent.futures.Future[object]()
    if done_first:
        source.set_exception(ZeroDivisionError("in the thread"))
    wrapped = aio.wrap_future(source)
    if not done_first:
        source.set_exception(ZeroDivisionError("in the thread"))
    with pytest.raises(ZeroDivisionError, match="in the thread"):
        await wrapped


@pytest.mark.parametrize("done_first", [True, False], ids=["done before", "done after"])
@requirement("wrap_future/returns-chained-asyncio-future")
async def test_a_wrapped_future_takes_over_the_cancellation(aio: Any, done_first: bool) -> None:
    source = concurrent.futures.Future[object]()
    if done_first:
        cancel_as_an_executor(source)
    wrapped = aio.wrap_future(source)
    if not done_first:
        cancel_as_an_executor(source)
    with pytest.raises(aio.CancelledError):
        await wrapped
    assert wrapped.cancelled()


@on_loops(PLAIN, DEBUG)
@requirement("wrap_future/delivers-in-loop-thread")
async def test_a_completion_in_another_thread_wakes_the_waiter_in_the_loop_s_thread(
    aio: Any, loop: AbstractEventLoop
) -> None:
    source = concurrent.futures.Future[str]()
    wrapped = aio.wrap_future(source)
    called_in: list[int] = []
    wrapped.add_done_callback(lambda _: called_in.append(threading.get_ident()))
    thread = threading.Thread(target=source.set_result, args=("from the thread",))
    loop.call_soon(thread.start)
    # Nothing else is scheduled: only the thread can wake the loop from its poll.
    assert await wrapped == "from the thread"
    thread.join()
    assert called_in == [threading.get_ident()]


@requirement("wrap_future/delivers-in-loop-thread")
async def test_completions_from_many_threads_all_arrive(aio: Any) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        wrapped = [aio.wrap_future(pool.submit(str, n)) for n in range(50)]
        assert [await each for each in wrapped] == [str(n) for n in range(50)]


def cancel_as_an_executor(source: concurrent.futures.Future[Any]) -> None:
    """Cancel ``source`` and tell its waiters, as an executor does."""
    source.cancel()
    source.set_running_or_notify_cancel()


def error_without_any_loop(call: Callable[[], object]) -> str:
    """The type of the exception of ``call()`` in a thread without any loop; its deprecation warnings do not count."""
    outcomes: list[str] = []

    def work() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                call()
            except Exception as error:
                outcomes.append(type(error).__name__)
            else:
                outcomes.append("no exception")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return outcomes[0]
