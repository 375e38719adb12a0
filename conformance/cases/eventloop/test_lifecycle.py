"""Running, stopping and closing a loop."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import weakref
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.threads import run_beside
from conformance.support.waiting import GENEROUS, run_one_pass

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable
    from typing import TypeAlias

    from conformance.target import Target

    Schedule: TypeAlias = Callable[[AbstractEventLoop, Callable[[], object]], object]

# A deadline that no case waits for: a loop that slept until then would be ended by its case's time budget.
FAR = 3600.0


async def finish_with(result: object) -> object:
    return result


def schedule_soon(loop: AbstractEventLoop, callback: Callable[[], object]) -> object:
    return loop.call_soon(callback)


def schedule_threadsafe(loop: AbstractEventLoop, callback: Callable[[], object]) -> object:
    return loop.call_soon_threadsafe(callback)


def schedule_timer(loop: AbstractEventLoop, callback: Callable[[], object]) -> object:
    return loop.call_later(0.001, callback)


def schedule_task(loop: AbstractEventLoop, callback: Callable[[], object]) -> object:
    async def call() -> None:
        callback()

    return loop.create_task(call())


def schedule_done_callback(loop: AbstractEventLoop, callback: Callable[[], object]) -> object:
    future = loop.create_future()
    future.add_done_callback(lambda _: callback())
    future.set_result(None)
    return future


from_everywhere = pytest.mark.parametrize(
    "schedule", [schedule_soon, schedule_threadsafe, schedule_timer, schedule_task, schedule_done_callback]
)


@from_everywhere
@requirement("get_running_loop/returns-running-loop", "get_running_loop/works-in-coroutine-and-callback")
def test_whatever_the_loop_calls_finds_it_running(loop: AbstractEventLoop, aio: Any, schedule: Schedule) -> None:
    seen: list[AbstractEventLoop] = []

    def look() -> None:
        seen.append(aio.get_running_loop())
        loop.stop()

    schedule(loop, look)
    loop.run_forever()
    assert seen == [loop]


@requirement("get_running_loop/works-in-coroutine-and-callback")
async def test_the_running_loop_stays_the_same_after_an_await(loop: AbstractEventLoop, aio: Any) -> None:
    await aio.sleep(0)
    assert aio.get_running_loop() is loop


@requirement("get_running_loop/returns-running-loop")
def test_of_two_loops_the_one_that_runs_is_found(loop: AbstractEventLoop, target: Target, aio: Any) -> None:
    seen: list[AbstractEventLoop] = []
    with contextlib.closing(target.make_loop()) as other:
        for each in (loop, other, loop):
            each.call_soon(lambda: seen.append(aio.get_running_loop()))
            run_one_pass(each)
    assert [found is each for found, each in zip(seen, (loop, other, loop), strict=True)] == [True] * 3


@requirement("get_running_loop/returns-running-loop")
def test_no_loop_is_found_running_after_run_forever(loop: AbstractEventLoop, aio: Any) -> None:
    run_one_pass(loop)
    with pytest.raises(RuntimeError):
        aio.get_running_loop()


@requirement("get_running_loop/returns-running-loop", "loop.is_running/reports-running-state")
def test_a_loop_left_by_a_keyboard_interrupt_runs_no_longer(loop: AbstractEventLoop, aio: Any) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    loop.call_soon(interrupt)
    loop.call_soon(loop.stop)
    with contextlib.suppress(KeyboardInterrupt):
        loop.run_forever()
    assert loop.is_running() is False
    with pytest.raises(RuntimeError):
        aio.get_running_loop()


@requirement("loop.run_until_complete/runs-until-future-done")
def test_run_until_complete_returns_no_sooner_than_its_future_is_done(loop: AbstractEventLoop) -> None:
    future = loop.create_future()
    loop.call_later(0.003, future.set_result, None)
    loop.run_until_complete(future)
    assert future.done()


@requirement("loop.run_until_complete/runs-until-future-done")
def test_run_until_complete_waits_for_a_future_that_a_thread_completes(loop: AbstractEventLoop) -> None:
    future: Future[str] = loop.create_future()
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(future.set_result, "from the thread"))
    loop.call_soon(thread.start)
    result = loop.run_until_complete(future)
    thread.join(GENEROUS)
    assert result == "from the thread"


@requirement("loop.run_until_complete/runs-until-future-done", "loop.run_until_complete/returns-future-result")
def test_run_until_complete_returns_the_result_of_a_future_done_beforehand(loop: AbstractEventLoop) -> None:
    future = loop.create_future()
    future.set_result("done before")
    assert loop.run_until_complete(future) == "done before"


@requirement("loop.run_until_complete/runs-until-future-done")
def test_run_until_complete_does_not_wait_for_anything_else(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    other = loop.create_future()
    timer = loop.call_later(FAR, calls.append, "timer")
    loop.run_until_complete(loop.create_task(finish_with("result")))
    timer.cancel()
    assert (calls, other.done()) == ([], False)


@pytest.mark.parametrize("result", [None, 0, "", object()], ids=["None", "0", "empty", "object"])
@requirement("loop.run_until_complete/returns-future-result")
def test_run_until_complete_returns_the_very_object(loop: AbstractEventLoop, result: object) -> None:
    future = loop.create_future()
    loop.call_soon(future.set_result, result)
    assert loop.run_until_complete(future) is result
    assert loop.run_until_complete(finish_with(result)) is result


@requirement("loop.run_until_complete/callable-repeatedly")
def test_run_until_complete_works_again_after_it_returned(loop: AbstractEventLoop) -> None:
    assert [loop.run_until_complete(finish_with(n)) for n in range(3)] == [0, 1, 2]


@requirement("loop.run_until_complete/callable-repeatedly")
def test_run_until_complete_works_again_after_it_raised(loop: AbstractEventLoop) -> None:
    future = loop.create_future()
    future.set_exception(LookupError("expected"))
    with pytest.raises(LookupError):
        loop.run_until_complete(future)
    assert loop.run_until_complete(finish_with("second")) == "second"


@requirement("loop.run_until_complete/callable-repeatedly")
def test_run_until_complete_takes_up_a_future_again_that_was_stopped_early(loop: AbstractEventLoop) -> None:
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError):
        loop.run_until_complete(future)
    loop.call_soon(future.set_result, "late")
    assert loop.run_until_complete(future) == "late"


@requirement("loop.run_forever/runs-until-stop")
def test_run_forever_goes_on_while_there_is_nothing_to_do(loop: AbstractEventLoop) -> None:
    said: SimpleQueue[str] = SimpleQueue()
    heard: list[str] = []

    def let_it_idle() -> None:
        # Between two of these nothing is scheduled, no timer either.
        while len(heard) < 20 and "run_forever() has returned" not in heard:
            loop.call_soon_threadsafe(said.put, "a callback ran")
            heard.append(said.get(timeout=GENEROUS))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=let_it_idle)
    loop.call_soon(thread.start)
    loop.run_forever()
    said.put("run_forever() has returned")
    thread.join()
    assert heard == ["a callback ran"] * 20


@requirement("loop.run_forever/runs-until-stop")
def test_run_forever_goes_on_while_only_a_timer_is_left(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_later(0.003, calls.append, "timer")
    loop.call_later(0.006, loop.stop)
    loop.run_forever()
    assert calls == ["timer"]


@requirement("loop.run_forever/runs-until-stop")
def test_a_future_of_an_earlier_run_does_not_stop_run_forever(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError):
        loop.run_until_complete(future)
    future.set_result(None)
    loop.call_later(0.003, calls.append, "before stop()")
    loop.call_later(0.006, loop.stop)
    loop.run_forever()
    assert calls == ["before stop()"]


@requirement("loop.run_forever/stop-beforehand-runs-one-pass")
def test_stopped_beforehand_the_loop_runs_the_callbacks_already_scheduled(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_soon(calls.append, "scheduled before stop()")
    loop.stop()
    loop.call_soon(calls.append, "scheduled after stop()")
    loop.run_forever()
    assert calls == ["scheduled before stop()", "scheduled after stop()"]


@requirement("loop.run_forever/stop-beforehand-runs-one-pass", "loop.run_forever/stop-defers-newly-scheduled-callbacks")
def test_stopped_beforehand_the_loop_makes_one_pass_only(loop: AbstractEventLoop) -> None:
    calls: list[str] = []

    def schedule_another() -> None:
        calls.append("first")
        loop.call_soon(calls.append, "second")

    loop.call_soon(schedule_another)
    loop.stop()
    loop.run_forever()
    assert calls == ["first"]


@requirement("loop.run_forever/stop-beforehand-runs-one-pass")
def test_stopped_beforehand_the_loop_polls_io_once(loop: AbstractEventLoop) -> None:
    received: list[bytes] = []
    ours, peers = socket.socketpair()
    with ours, peers:
        peers.send(b"x")
        loop.add_reader(ours.fileno(), lambda: received.append(ours.recv(10)))
        loop.stop()
        loop.run_forever()
        loop.remove_reader(ours.fileno())
    assert received == [b"x"]


@requirement("loop.run_forever/stop-beforehand-runs-one-pass")
def test_stopped_beforehand_the_loop_does_not_wait_for_a_timer(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    timer = loop.call_later(FAR, calls.append, "timer")
    loop.stop()
    loop.run_forever()
    timer.cancel()
    assert calls == []


@requirement("loop.run_forever/stop-beforehand-runs-one-pass")
def test_stopped_beforehand_an_idle_loop_returns(loop: AbstractEventLoop) -> None:
    loop.stop()
    loop.run_forever()
    assert loop.is_running() is False


@pytest.mark.parametrize("times", [1, 3])
@requirement("loop.run_forever/stop-beforehand-runs-one-pass", "loop.run_forever/rerunnable-after-stop")
def test_stopping_beforehand_ends_one_run_only(loop: AbstractEventLoop, times: int) -> None:
    calls: list[str] = []
    for _ in range(times):
        loop.stop()
    loop.run_forever()
    loop.call_later(0.002, calls.append, "in the second run")
    loop.call_later(0.004, loop.stop)
    loop.run_forever()
    assert calls == ["in the second run"]


@on_loops(PLAIN, DEBUG)
@requirement("loop.run_forever/stop-finishes-current-batch", "loop.stop/ends-run-forever")
def test_the_batch_in_which_stop_is_called_runs_to_its_end(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_soon(calls.append, "before")
    loop.call_soon(loop.stop)
    loop.call_soon(calls.append, "behind")
    loop.call_soon_threadsafe(calls.append, "last")
    loop.run_forever()
    assert calls == ["before", "behind", "last"]


@pytest.mark.parametrize("schedule", [schedule_soon, schedule_threadsafe])
@requirement("loop.run_forever/stop-defers-newly-scheduled-callbacks")
def test_what_a_final_callback_schedules_waits_for_the_next_run_forever(
    loop: AbstractEventLoop, schedule: Schedule
) -> None:
    calls: list[str] = []
    loop.call_soon(lambda: schedule(loop, lambda: calls.append("by an earlier callback")))
    loop.call_soon(loop.stop)
    loop.call_soon(lambda: schedule(loop, lambda: calls.append("by a later callback")))
    loop.run_forever()
    assert calls == []
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert calls == ["by an earlier callback", "by a later callback"]


@requirement("loop.run_forever/stop-defers-newly-scheduled-callbacks")
def test_a_callback_scheduled_right_after_stop_waits_for_the_next_run(loop: AbstractEventLoop) -> None:
    calls: list[str] = []

    def stop_and_schedule() -> None:
        loop.stop()
        loop.call_soon(calls.append, "scheduled right after stop()")

    loop.call_soon(stop_and_schedule)
    loop.run_forever()
    assert calls == []


@requirement("loop.run_forever/stop-defers-newly-scheduled-callbacks")
def test_what_a_final_callback_schedules_runs_in_the_next_run_until_complete(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_soon(loop.stop)
    loop.call_soon(lambda: loop.call_soon(calls.append, "deferred"))
    loop.run_forever()
    loop.run_until_complete(finish_with(None))
    assert calls == ["deferred"]


@requirement("loop.run_forever/rerunnable-after-stop")
def test_run_forever_works_again_and_again(loop: AbstractEventLoop) -> None:
    calls: list[int] = []
    for n in range(5):
        loop.call_soon(calls.append, n)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert calls == [0, 1, 2, 3, 4]


@requirement("loop.run_forever/rerunnable-after-stop")
def test_a_timer_set_in_one_run_fires_in_the_next(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_later(0.003, calls.append, "timer of the first run")
    run_one_pass(loop)
    loop.call_later(0.006, loop.stop)
    loop.run_forever()
    assert calls == ["timer of the first run"]


@from_everywhere
@requirement("loop.stop/ends-run-forever", "loop.stop/callable-from-callback")
def test_stop_ends_the_run_from_whatever_the_loop_calls(loop: AbstractEventLoop, schedule: Schedule) -> None:
    calls: list[str] = []
    timer = loop.call_later(FAR, calls.append, "timer")
    schedule(loop, loop.stop)
    loop.run_forever()
    timer.cancel()
    assert (calls, loop.is_running()) == ([], False)


@requirement("loop.stop/ends-run-forever")
def test_stop_called_several_times_in_one_batch_ends_one_run(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    for _ in range(3):
        loop.call_soon(loop.stop)
    loop.run_forever()
    loop.call_later(0.002, calls.append, "in the second run")
    loop.call_later(0.004, loop.stop)
    loop.run_forever()
    assert calls == ["in the second run"]


@on_loops(PLAIN, DEBUG)
@requirement("loop.is_running/reports-running-state")
def test_is_running_is_true_only_while_the_loop_runs(loop: AbstractEventLoop) -> None:
    seen = [loop.is_running()]
    loop.call_soon(lambda: seen.append(loop.is_running()))
    run_one_pass(loop)
    seen.append(loop.is_running())
    assert seen == [False, True, False]


@requirement("loop.is_running/reports-running-state")
def test_is_running_stays_true_between_stop_and_the_end_of_the_batch(loop: AbstractEventLoop) -> None:
    seen: list[bool] = []
    loop.call_soon(loop.stop)
    loop.call_soon(lambda: seen.append(loop.is_running()))
    loop.run_forever()
    assert seen == [True]


@requirement("loop.is_running/reports-running-state")
def test_is_running_is_true_for_other_threads_too(loop: AbstractEventLoop) -> None:
    assert run_beside(loop, loop.is_running) is True


@requirement("loop.is_running/reports-running-state")
def test_is_running_is_false_after_run_until_complete_raised(loop: AbstractEventLoop) -> None:
    async def fail() -> bool:
        raise LookupError(loop.is_running())

    with pytest.raises(LookupError) as caught:
        loop.run_until_complete(fail())
    assert (caught.value.args, loop.is_running()) == ((True,), False)


@requirement("loop.is_closed/reports-closed-state")
def test_is_closed_turns_true_with_close_and_with_nothing_before(loop: AbstractEventLoop) -> None:
    seen = [loop.is_closed()]
    loop.call_soon(lambda: seen.append(loop.is_closed()))
    run_one_pass(loop)
    seen.append(loop.is_closed())
    loop.close()
    seen.append(loop.is_closed())
    assert seen == [False, False, False, True]


@pytest.mark.parametrize("schedule", [schedule_soon, schedule_threadsafe, schedule_timer, schedule_done_callback])
@requirement("loop.close/drops-pending-callbacks", "loop.close/clears-queues")
def test_closing_runs_none_of_the_pending_callbacks(loop: AbstractEventLoop, schedule: Schedule) -> None:
    calls: list[str] = []
    schedule(loop, lambda: calls.append("called"))
    loop.close()
    assert calls == []


@requirement("loop.close/drops-pending-callbacks")
def test_closing_drops_a_timer_whose_time_has_come(loop: AbstractEventLoop) -> None:
    calls: list[str] = []
    loop.call_at(loop.time() - 1, calls.append, "called")
    loop.close()
    assert calls == []


@pytest.mark.parametrize("schedule", [schedule_soon, schedule_threadsafe, schedule_timer])
@requirement("loop.close/clears-queues")
def test_a_closed_loop_holds_no_callback(loop: AbstractEventLoop, schedule: Schedule) -> None:
    class Callback:
        def __call__(self) -> None: ...

    callback = Callback()
    released = weakref.ref(callback)
    schedule(loop, callback)
    loop.close()
    del callback
    gc.collect()
    assert released() is None


@requirement("loop.close/repeat-call-does-nothing")
def test_closing_again_does_nothing(loop: AbstractEventLoop) -> None:
    run_one_pass(loop)
    for _ in range(3):
        loop.close()
    assert loop.is_closed() is True


@requirement("loop.close/repeat-call-does-nothing")
def test_a_loop_that_never_ran_can_be_closed_twice(loop: AbstractEventLoop) -> None:
    loop.close()
    loop.close()
    assert loop.is_closed() is True


@pytest.mark.parametrize("schedule", [schedule_soon, schedule_threadsafe, schedule_timer])
@requirement("loop.close/close-is-irreversible")
def test_a_closed_loop_refuses_callbacks(loop: AbstractEventLoop, schedule: Schedule) -> None:
    loop.close()
    with pytest.raises(RuntimeError):
        schedule(loop, lambda: None)


@requirement("loop.close/close-is-irreversible")
def test_a_closed_loop_refuses_a_timer_with_a_deadline(loop: AbstractEventLoop) -> None:
    deadline = loop.time() + FAR
    loop.close()
    with pytest.raises(RuntimeError):
        loop.call_at(deadline, lambda: None)


@requirement("loop.close/close-is-irreversible")
def test_a_closed_loop_refuses_to_run_forever(loop: AbstractEventLoop) -> None:
    loop.close()
    with pytest.raises(RuntimeError):
        loop.run_forever()
    assert (loop.is_closed(), loop.is_running()) == (True, False)


@requirement("loop.close/close-is-irreversible")
def test_a_closed_loop_refuses_to_run_until_a_future_is_done(loop: AbstractEventLoop) -> None:
    future = loop.create_future()
    future.set_result(None)
    loop.close()
    with pytest.raises(RuntimeError):
        loop.run_until_complete(future)
    assert (loop.is_closed(), loop.is_running()) == (True, False)


@requirement("loop.close/close-is-irreversible")
def test_a_closed_loop_refuses_tasks(loop: AbstractEventLoop) -> None:
    coroutine = finish_with(None)
    loop.close()
    with contextlib.closing(coroutine), pytest.raises(RuntimeError):
        loop.create_task(coroutine)
