"""What loop methods raise when they are called at the wrong time or with the wrong thing."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.threads import in_thread, run_beside
from conformance.support.waiting import run_one_pass

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from conformance.target import Target


class Interrupted(BaseException):
    """An exception that is no Exception."""


@requirement("get_running_loop/raises-without-running-loop")
def test_outside_of_any_run_there_is_no_running_loop(aio: Any) -> None:
    with pytest.raises(RuntimeError):
        aio.get_running_loop()


@requirement("get_running_loop/raises-without-running-loop")
def test_a_loop_that_does_not_run_is_no_running_loop(loop: AbstractEventLoop, aio: Any) -> None:
    aio.set_event_loop(loop)
    with pytest.raises(RuntimeError):
        aio.get_running_loop()
    aio.set_event_loop(None)


@on_loops(PLAIN, DEBUG)
@requirement("get_running_loop/raises-without-running-loop")
def test_once_the_loop_has_stopped_there_is_no_running_loop(loop: AbstractEventLoop, aio: Any) -> None:
    run_one_pass(loop)
    with pytest.raises(RuntimeError):
        aio.get_running_loop()


@requirement("get_running_loop/raises-without-running-loop")
def test_after_a_run_that_raised_there_is_no_running_loop(loop: AbstractEventLoop, aio: Any) -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        loop.run_until_complete(fail())
    with pytest.raises(RuntimeError):
        aio.get_running_loop()


@requirement("get_running_loop/raises-without-running-loop")
def test_a_loop_that_runs_in_another_thread_is_no_running_loop(loop: AbstractEventLoop, aio: Any) -> None:
    with pytest.raises(RuntimeError):
        run_beside(loop, aio.get_running_loop)


@requirement("get_event_loop/raises-without-current-loop")
def test_without_a_current_loop_there_is_none_to_get(aio: Any) -> None:
    aio.set_event_loop(None)
    with pytest.raises(RuntimeError):
        aio.get_event_loop()


@requirement("get_event_loop/raises-without-current-loop")
def test_making_a_loop_makes_it_nobodys_current_loop(aio: Any) -> None:
    with closing(aio.new_event_loop()), pytest.raises(RuntimeError):
        in_thread(aio.get_event_loop)


@requirement("get_event_loop/raises-in-bare-other-thread")
def test_another_thread_has_no_current_loop(aio: Any) -> None:
    with pytest.raises(RuntimeError):
        in_thread(aio.get_event_loop)


@requirement("get_event_loop/raises-in-bare-other-thread")
def test_the_current_loop_of_one_thread_is_not_that_of_another(loop: AbstractEventLoop, aio: Any) -> None:
    aio.set_event_loop(loop)
    with pytest.raises(RuntimeError):
        in_thread(aio.get_event_loop)
    aio.set_event_loop(None)


@requirement("get_event_loop/raises-in-bare-other-thread")
def test_a_loop_that_runs_in_one_thread_is_not_the_current_one_of_another(loop: AbstractEventLoop, aio: Any) -> None:
    with pytest.raises(RuntimeError):
        run_beside(loop, aio.get_event_loop)


@pytest.mark.parametrize("kind", [LookupError, Interrupted])
@requirement("loop.run_until_complete/raises-future-exception")
def test_the_very_exception_of_a_future_is_raised(loop: AbstractEventLoop, kind: type[BaseException]) -> None:
    error = kind("of the future")
    future = loop.create_future()
    loop.call_soon(future.set_exception, error)
    with pytest.raises(kind) as caught:
        loop.run_until_complete(future)
    assert caught.value is error


@on_loops(PLAIN, DEBUG, EAGER)
@requirement("loop.run_until_complete/raises-future-exception")
def test_the_very_exception_of_a_coroutine_is_raised(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]]
) -> None:
    error = LookupError("of the coroutine")

    async def fail() -> None:
        await aio.sleep(0)
        raise error

    with pytest.raises(LookupError) as caught:
        loop.run_until_complete(fail())
    assert caught.value is error
    assert reported == []


@pytest.mark.parametrize("kind", [Interrupted, SystemExit, KeyboardInterrupt])
@requirement("loop.run_until_complete/raises-future-exception")
def test_a_coroutine_that_ends_with_any_base_exception_ends_the_run_with_it(
    loop: AbstractEventLoop, aio: Any, kind: type[BaseException]
) -> None:
    async def fail() -> None:
        await aio.sleep(0)
        raise kind("of the coroutine")

    with pytest.raises(kind, match="of the coroutine"):
        loop.run_until_complete(fail())
    assert not loop.is_running()


@requirement("loop.run_until_complete/raises-future-exception")
def test_the_exception_of_a_future_that_is_done_already_is_raised(loop: AbstractEventLoop) -> None:
    future = loop.create_future()
    future.set_exception(LookupError("of the future"))
    with pytest.raises(LookupError, match="of the future"):
        loop.run_until_complete(future)


@requirement("loop.run_until_complete/raises-future-exception")
def test_a_cancelled_future_raises_cancelled_error(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    loop.call_soon(future.cancel)
    with pytest.raises(aio.CancelledError):
        loop.run_until_complete(future)


@requirement("loop.run_until_complete/raises-future-exception")
def test_after_a_run_that_raised_the_loop_runs_again(loop: AbstractEventLoop, aio: Any) -> None:
    future = loop.create_future()
    future.set_exception(LookupError())
    with pytest.raises(LookupError):
        loop.run_until_complete(future)
    assert loop.run_until_complete(aio.sleep(0, "again")) == "again"


@requirement("loop.run_until_complete/raises-when-stopped-early")
def test_a_run_that_is_stopped_before_its_future_is_done_raises(loop: AbstractEventLoop) -> None:
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError):
        loop.run_until_complete(loop.create_future())


@requirement("loop.run_until_complete/raises-when-stopped-early")
def test_a_run_that_was_stopped_early_can_be_resumed(loop: AbstractEventLoop) -> None:
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError):
        loop.run_until_complete(future)
    loop.call_soon(future.set_result, "done")
    assert loop.run_until_complete(future) == "done"


@requirement("loop.run_until_complete/raises-when-stopped-early")
def test_after_a_run_that_was_stopped_early_its_future_stops_no_other_run(loop: AbstractEventLoop) -> None:
    order: list[str] = []
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError):
        loop.run_until_complete(future)
    future.set_result(None)

    def end() -> None:
        order.append("timer")
        loop.stop()

    loop.call_later(0.005, end)
    loop.run_forever()
    assert order == ["timer"], "run_forever() ended although nobody called stop()"


def run_nested(outer: AbstractEventLoop, run: Callable[[], object]) -> None:
    """Call ``run()`` in a callback of ``outer``: it must raise RuntimeError, and ``outer`` must go on."""
    raised: list[str] = []

    def nest() -> None:
        try:
            run()
        except BaseException as error:
            raised.append(type(error).__name__)
        else:
            raised.append("nothing")
        outer.call_later(0.001, outer.stop)

    outer.call_soon(nest)
    outer.run_forever()
    assert raised == ["RuntimeError"]


@on_loops(PLAIN, DEBUG)
@requirement("loop.run_until_complete/rejects-nested-running-loop")
def test_a_running_loop_cannot_be_run_until_something_completes(loop: AbstractEventLoop) -> None:
    future = loop.create_future()
    run_nested(loop, lambda: loop.run_until_complete(future))


@on_loops(PLAIN, DEBUG)
@requirement("loop.run_until_complete/rejects-nested-running-loop")
def test_no_other_loop_runs_within_a_running_one(loop: AbstractEventLoop, target: Target) -> None:
    with closing(target.make_loop()) as other:
        future = other.create_future()
        future.set_result(None)
        run_nested(loop, lambda: other.run_until_complete(future))


@requirement("loop.run_until_complete/rejects-nested-running-loop")
def test_a_loop_that_was_refused_to_run_runs_later(loop: AbstractEventLoop, target: Target, aio: Any) -> None:
    with closing(target.make_loop()) as other:
        future = other.create_future()
        future.set_result("later")
        run_nested(loop, lambda: other.run_until_complete(future))
        assert not other.is_running()
        assert other.run_until_complete(future) == "later"
    assert loop.run_until_complete(aio.sleep(0, "again")) == "again"


@requirement("loop.run_until_complete/rejects-nested-running-loop")
def test_a_loop_cannot_be_run_in_two_threads_at_once(loop: AbstractEventLoop) -> None:
    future = loop.create_future()
    with pytest.raises(RuntimeError):
        run_beside(loop, lambda: loop.run_until_complete(future))


@on_loops(PLAIN, DEBUG)
@requirement("loop.close/rejects-running-loop")
def test_a_running_loop_cannot_be_closed(loop: AbstractEventLoop) -> None:
    run_nested(loop, loop.close)
    assert not loop.is_closed()


@requirement("loop.close/rejects-running-loop")
async def test_a_loop_that_could_not_be_closed_still_works(loop: AbstractEventLoop) -> None:
    future = loop.create_future()
    loop.call_later(0.001, future.set_result, "still works")
    with pytest.raises(RuntimeError):
        loop.close()
    assert await future == "still works"
    assert await loop.run_in_executor(None, divmod, 7, 2) == (3, 1)


@on_loops(PLAIN, DEBUG)
@requirement("loop.call_soon_threadsafe/raises-on-closed-loop")
def test_a_closed_loop_takes_no_callback_from_its_own_thread(loop: AbstractEventLoop) -> None:
    loop.close()
    with pytest.raises(RuntimeError):
        loop.call_soon_threadsafe(print)


@on_loops(PLAIN, DEBUG)
@requirement("loop.call_soon_threadsafe/raises-on-closed-loop")
def test_a_closed_loop_takes_no_callback_from_another_thread(loop: AbstractEventLoop) -> None:
    run_one_pass(loop)
    loop.close()
    with pytest.raises(RuntimeError):
        in_thread(lambda: loop.call_soon_threadsafe(print))


@pytest.mark.parametrize("factory", [object(), "factory", 1], ids=["object", "str", "int"])
@requirement("loop.set_task_factory/rejects-non-callable-factory")
def test_a_task_factory_must_be_callable(loop: Any, factory: object) -> None:
    with pytest.raises(TypeError):
        loop.set_task_factory(factory)


@requirement("loop.set_task_factory/rejects-non-callable-factory")
def test_a_refused_task_factory_leaves_the_former_in_use(loop: Any, aio: Any) -> None:
    def factory(loop: AbstractEventLoop, coro: Any, **kwargs: Any) -> Any:
        return aio.Task(coro, loop=loop, **kwargs)

    loop.set_task_factory(factory)
    with pytest.raises(TypeError):
        loop.set_task_factory(object())
    assert loop.get_task_factory() is factory
    assert loop.run_until_complete(aio.sleep(0, "made")) == "made"


@pytest.mark.parametrize("handler", [object(), "handler", 0], ids=["object", "str", "zero"])
@requirement("loop.set_exception_handler/rejects-non-callable-handler")
def test_an_exception_handler_must_be_callable(loop: Any, handler: object) -> None:
    with pytest.raises(TypeError):
        loop.set_exception_handler(handler)


@requirement("loop.set_exception_handler/rejects-non-callable-handler")
def test_a_refused_exception_handler_leaves_the_former_in_use(loop: Any) -> None:
    contexts: list[dict[str, Any]] = []

    def handler(_loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        contexts.append(context)

    loop.set_exception_handler(handler)
    with pytest.raises(TypeError):
        loop.set_exception_handler(object())
    loop.call_exception_handler({"message": "an error"})
    assert loop.get_exception_handler() is handler
    assert len(contexts) == 1
