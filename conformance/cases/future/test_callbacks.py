"""Done callbacks: who is called, when, in which order and in which context."""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.futures import FINISHES, finish_with
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.waiting import run_one_pass, run_until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future


@pytest.mark.parametrize("finish", FINISHES)
@on_loops(PLAIN, DEBUG)
@requirement("Future.add_done_callback/calls-back-with-future")
def test_the_callback_gets_the_done_future_and_nothing_else(
    loop: AbstractEventLoop, future: Future[Any], finish: str
) -> None:
    calls: list[tuple[object, ...]] = []
    future.add_done_callback(lambda *arguments: calls.append((*arguments, arguments[0].done())))
    finish_with(future, finish)
    run_until(loop, lambda: bool(calls))
    assert calls == [(future, True)]


@pytest.mark.parametrize("finish", FINISHES)
@requirement("Future.add_done_callback/calls-back-with-future")
def test_the_callback_is_called_once_only(loop: AbstractEventLoop, future: Future[Any], finish: str) -> None:
    calls: list[object] = []
    future.add_done_callback(calls.append)
    finish_with(future, finish)
    for _ in range(3):
        run_one_pass(loop)
    assert calls == [future]


@requirement("Future.add_done_callback/calls-back-with-future")
def test_no_callback_is_called_while_the_future_is_pending(loop: AbstractEventLoop, future: Future[Any]) -> None:
    calls: list[object] = []
    future.add_done_callback(calls.append)
    for _ in range(3):
        run_one_pass(loop)
    assert calls == []


@requirement("Future.add_done_callback/calls-back-with-future")
def test_a_failing_callback_is_reported_and_the_others_are_called(
    loop: AbstractEventLoop, future: Future[Any], reported: list[dict[str, Any]]
) -> None:
    calls: list[object] = []
    error = ValueError("callback")
    future.add_done_callback(partial(fail, error))
    future.add_done_callback(calls.append)
    future.set_result(None)
    run_until(loop, lambda: bool(calls))
    assert calls == [future]
    assert [context.get("exception") for context in reported] == [error]


@pytest.mark.parametrize("finish", FINISHES)
@on_loops(PLAIN, DEBUG)
@requirement("Future.add_done_callback/never-calls-synchronously")
def test_finishing_a_future_calls_no_callback_before_it_returned(
    loop: AbstractEventLoop, future: Future[Any], finish: str
) -> None:
    order: list[str] = []

    def finish_it() -> None:
        finish_with(future, finish)
        order.append("finished")

    future.add_done_callback(lambda _: order.append("called back"))
    loop.call_soon(finish_it)
    run_until(loop, lambda: len(order) == 2)
    assert order == ["finished", "called back"]


@pytest.mark.parametrize("finish", FINISHES)
@on_loops(PLAIN, DEBUG)
@requirement("Future.add_done_callback/never-calls-synchronously")
def test_adding_a_callback_to_a_done_future_schedules_it(
    loop: AbstractEventLoop, future: Future[Any], finish: str
) -> None:
    calls: list[object] = []
    finish_with(future, finish)
    future.add_done_callback(calls.append)
    assert calls == []
    run_until(loop, lambda: bool(calls))
    assert calls == [future]


@requirement("Future.add_done_callback/never-calls-synchronously")
def test_callbacks_go_through_call_soon_behind_what_is_already_scheduled(
    loop: AbstractEventLoop, future: Future[Any]
) -> None:
    order: list[str] = []
    future.add_done_callback(lambda _: order.append("done callback"))
    loop.call_soon(order.append, "scheduled before")
    future.set_result(None)
    loop.call_soon(order.append, "scheduled after")
    run_until(loop, lambda: len(order) == 3)
    assert order == ["scheduled before", "done callback", "scheduled after"]


@requirement("Future.add_done_callback/never-calls-synchronously")
def test_a_callback_added_by_a_callback_runs_after_those_already_scheduled(
    loop: AbstractEventLoop, future: Future[Any]
) -> None:
    order: list[str] = []

    def first(done: Future[Any]) -> None:
        done.add_done_callback(lambda _: order.append("added"))
        order.append("first")

    future.add_done_callback(first)
    future.add_done_callback(lambda _: order.append("second"))
    future.set_result(None)
    run_until(loop, lambda: len(order) == 3)
    assert order == ["first", "second", "added"]


@pytest.mark.parametrize("finish", FINISHES)
@on_loops(PLAIN, DEBUG)
@requirement("Future.add_done_callback/fifo-order")
def test_callbacks_run_in_the_order_they_were_added(loop: AbstractEventLoop, future: Future[Any], finish: str) -> None:
    order: list[str] = []
    names = [f"callback {n}" for n in range(20)]
    for name in names:
        future.add_done_callback(partial(note, order, name))
    finish_with(future, finish)
    run_until(loop, lambda: len(order) == len(names))
    assert order == names


@requirement("Future.add_done_callback/fifo-order")
def test_callbacks_added_before_and_after_completion_keep_their_order(
    loop: AbstractEventLoop, future: Future[Any]
) -> None:
    order: list[str] = []
    future.add_done_callback(lambda _: order.append("before"))
    future.set_result(None)
    future.add_done_callback(lambda _: order.append("after"))
    run_until(loop, lambda: len(order) == 2)
    assert order == ["before", "after"]


@requirement("Future.add_done_callback/runs-repeated-callback-each-time")
def test_a_callback_added_three_times_runs_three_times_in_its_places(
    loop: AbstractEventLoop, future: Future[Any]
) -> None:
    order: list[str] = []
    twice, once = partial(note, order, "twice"), partial(note, order, "once")
    for callback in (twice, twice, once, twice):
        future.add_done_callback(callback)
    future.set_result(None)
    run_until(loop, lambda: len(order) >= 4)
    run_one_pass(loop)
    assert order == ["twice", "twice", "once", "twice"]


@requirement("Future.add_done_callback/accepts-partial-callbacks")
def test_a_partial_passes_its_own_arguments_before_the_future(loop: AbstractEventLoop, future: Future[Any]) -> None:
    calls: list[tuple[object, ...]] = []

    def callback(*arguments: object, **keywords: object) -> None:
        calls.append((*arguments, keywords))

    future.add_done_callback(partial(callback, "bound", keyword="too"))
    future.set_result(None)
    run_until(loop, lambda: bool(calls))
    assert calls == [("bound", future, {"keyword": "too"})]


@pytest.mark.parametrize("done_first", [False, True], ids=["pending", "done"])
@requirement("Future.add_done_callback/accepts-context-keyword")
def test_a_callback_runs_in_the_context_it_was_given(
    loop: AbstractEventLoop, future: Future[Any], done_first: bool
) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="untouched")
    given = Context()

    def callback(_: Future[Any]) -> None:
        variable.set("set by the callback")

    if done_first:
        future.set_result(None)
    future.add_done_callback(callback, context=given)
    if not done_first:
        future.set_result(None)
    run_until(loop, lambda: variable in given)
    assert given[variable] == "set by the callback"
    assert variable.get() == "untouched"


@pytest.mark.parametrize("done_first", [False, True], ids=["pending", "done"])
@requirement("Future.add_done_callback/accepts-context-keyword")
def test_a_callback_without_context_runs_in_the_one_it_was_added_in(
    loop: AbstractEventLoop, future: Future[Any], done_first: bool
) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="neither")
    seen: list[str] = []
    adding, finishing = copy_context(), copy_context()
    adding.run(variable.set, "context of add_done_callback")
    finishing.run(variable.set, "context of set_result")
    if done_first:
        finishing.run(future.set_result, None)
    adding.run(future.add_done_callback, lambda _: seen.append(variable.get()))
    if not done_first:
        finishing.run(future.set_result, None)
    run_until(loop, lambda: bool(seen))
    assert seen == ["context of add_done_callback"]


@requirement("Future.add_done_callback/accepts-context-keyword")
def test_each_callback_has_its_own_context(loop: AbstractEventLoop, future: Future[Any]) -> None:
    variable: ContextVar[int] = ContextVar("variable")
    seen: list[int] = []
    for n in range(4):
        context = Context()
        context.run(variable.set, n)
        future.add_done_callback(lambda _: seen.append(variable.get()), context=context)
    future.set_result(None)
    run_until(loop, lambda: len(seen) == 4)
    assert seen == [0, 1, 2, 3]


@requirement("Future.add_done_callback/accepts-context-keyword")
def test_context_is_keyword_only(future: Future[Any]) -> None:
    with pytest.raises(TypeError):
        future.add_done_callback(print, Context())  # type: ignore[call-arg]


@requirement(
    "Future.remove_done_callback/removes-every-occurrence", "Future.remove_done_callback/returns-removed-count"
)
def test_removing_a_callback_removes_every_registration_and_leaves_the_others(
    loop: AbstractEventLoop, future: Future[Any]
) -> None:
    order: list[str] = []
    gone, first, last = partial(note, order, "gone"), partial(note, order, "first"), partial(note, order, "last")
    for callback in (gone, first, gone, gone, last, gone):
        future.add_done_callback(callback)
    assert future.remove_done_callback(gone) == 4
    future.set_result(None)
    run_until(loop, lambda: len(order) >= 2)
    run_one_pass(loop)
    assert order == ["first", "last"]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@requirement("Future.remove_done_callback/returns-removed-count")
def test_removing_returns_how_many_registrations_there_were(future: Future[Any], count: int) -> None:
    for _ in range(count):
        future.add_done_callback(print)
    assert future.remove_done_callback(print) == count
    assert future.remove_done_callback(print) == 0


@requirement("Future.remove_done_callback/removes-every-occurrence")
def test_a_bound_method_is_removed_by_naming_it_again(loop: AbstractEventLoop, future: Future[Any]) -> None:
    calls: list[object] = []
    # Each access makes another, equal method object: removal compares, it does not ask for identity.
    future.add_done_callback(calls.append)
    assert future.remove_done_callback(calls.append) == 1
    future.set_result(None)
    run_one_pass(loop)
    assert calls == []


@requirement("Future.remove_done_callback/removes-every-occurrence")
def test_registrations_in_other_contexts_are_removed_too(future: Future[Any]) -> None:
    future.add_done_callback(print)
    future.add_done_callback(print, context=Context())
    assert future.remove_done_callback(print) == 2


@requirement("Future.remove_done_callback/removes-every-occurrence")
def test_a_removed_callback_can_be_added_again(loop: AbstractEventLoop, future: Future[Any]) -> None:
    calls: list[object] = []
    future.add_done_callback(calls.append)
    future.remove_done_callback(calls.append)
    future.add_done_callback(calls.append)
    future.set_result(None)
    run_until(loop, lambda: bool(calls))
    run_one_pass(loop)
    assert calls == [future]


@requirement("Future.remove_done_callback/returns-zero-for-unknown")
def test_removing_a_callback_that_was_never_added_returns_zero(loop: AbstractEventLoop, future: Future[Any]) -> None:
    calls: list[object] = []
    assert future.remove_done_callback(print) == 0
    future.add_done_callback(calls.append)
    assert future.remove_done_callback(print) == 0
    future.set_result(None)
    run_until(loop, lambda: bool(calls))
    assert calls == [future]


def note(order: list[str], name: str, _: Future[Any]) -> None:
    """A done callback, once its first two arguments are bound: append ``name`` to ``order``."""
    order.append(name)


def fail(error: Exception, _: Future[Any]) -> None:
    """A done callback, once its first argument is bound: raise it."""
    raise error
