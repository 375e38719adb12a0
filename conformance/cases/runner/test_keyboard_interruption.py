"""What SIGINT does while ``Runner.run()`` or ``run()`` is at work: each case has a program in a process of its own."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from conformance.support.marks import requirement

if TYPE_CHECKING:
    from conformance.support.programs import RunProgram

# A child of a background job inherits an ignored SIGINT; an interactive program starts with Python's own handler.
PRELUDE = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt():
    signal.raise_signal(signal.SIGINT)

def handler():
    return "default" if signal.getsignal(signal.SIGINT) is signal.default_int_handler else "other"

def run(main):
    try:
        with aio.Runner(loop_factory=make_loop) as runner:
            print("returned", runner.run(main))
    except BaseException as error:
        print("raised", type(error).__name__)
"""

FIRST_INTERRUPT_FROM_A_CALLBACK = """
async def main():
    aio.get_running_loop().call_soon(interrupt)
    try:
        await aio.sleep(3600)
    except aio.CancelledError:
        print("cancelled")
        await aio.sleep(0.001)
        print("cleaned up")
        raise

run(main())
"""

FIRST_INTERRUPT_FROM_THE_MAIN_TASK = """
async def main():
    interrupt()
    print("goes on until it waits")
    try:
        await aio.sleep(3600)
    finally:
        print("clean-up")

run(main())
"""

# The signal may arrive just before the loop begins to wait in its poll and be noticed only after it: a short timer
# ends each wait.
FIRST_INTERRUPT_WHILE_THE_LOOP_WAITS = """
def interrupt_main_thread():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

async def main():
    threading.Thread(target=interrupt_main_thread).start()
    try:
        while True:
            await aio.sleep(0.05)
    except aio.CancelledError:
        print("cancelled")
        raise

run(main())
"""

CANCELS_NO_OTHER_TASK = """
async def wait(future):
    try:
        await future
    except aio.CancelledError:
        print("other task cancelled")

async def main():
    loop = aio.get_running_loop()
    other = loop.create_task(wait(loop.create_future()))
    loop.call_soon(interrupt)
    try:
        await aio.sleep(3600)
    finally:
        await aio.sleep(0)
        print("main task cancelled, other done:", other.done())

run(main())
"""

SECOND_INTERRUPT = """
cancellations = []

async def main():
    loop = aio.get_running_loop()
    loop.call_soon(interrupt)
    try:
        await aio.sleep(3600)
    except aio.CancelledError:
        cancellations.append("first")
        loop.call_soon(interrupt)
    try:
        await aio.sleep(3600)
    except aio.CancelledError:
        cancellations.append("second")

runner = aio.Runner(loop_factory=make_loop)
try:
    runner.run(main())
except KeyboardInterrupt:
    print("KeyboardInterrupt after cancellations:", cancellations)
runner.close()
"""

SECOND_INTERRUPT_IN_A_TIGHT_LOOP = """
async def main():
    interrupt()
    try:
        interrupt()
    except KeyboardInterrupt:
        print("KeyboardInterrupt at once")
        raise
    print("not reached")

run(main())
"""

HANDLERS = """
async def main():
    seen.append(handler())
    await aio.sleep(0)
    seen.append(handler())

async def fail():
    seen.append(handler())
    raise LookupError

seen = []
with aio.Runner(loop_factory=make_loop) as runner:
    seen.append(handler())
    runner.run(main())
    seen.append(handler())
    try:
        runner.run(fail())
    except LookupError:
        seen.append(handler())
print(seen)
"""

INTERRUPTED_HANDLER = """
async def main():
    interrupt()
    await aio.sleep(3600)

run(main())
print(handler())
"""

RUN_FUNCTION = """
async def main():
    aio.get_running_loop().call_soon(interrupt)
    try:
        await aio.sleep(3600)
    except aio.CancelledError:
        print("cancelled")
        raise

try:
    aio.run(main())
except KeyboardInterrupt:
    print("KeyboardInterrupt")
print(handler())
"""

UNINTERRUPTED_CANCELLATION = """
async def main():
    aio.current_task().cancel()
    await aio.sleep(0)

run(main())
"""

EACH_RUN_COUNTS_ANEW = """
async def main():
    aio.get_running_loop().call_soon(interrupt)
    try:
        await aio.sleep(3600)
    finally:
        print("clean-up")

with aio.Runner(loop_factory=make_loop) as runner:
    for _ in range(3):
        try:
            runner.run(main())
        except KeyboardInterrupt:
            print("KeyboardInterrupt")
"""


PROGRAMS = [
    PRELUDE + program
    for program in (
        FIRST_INTERRUPT_FROM_A_CALLBACK,
        FIRST_INTERRUPT_FROM_THE_MAIN_TASK,
        FIRST_INTERRUPT_WHILE_THE_LOOP_WAITS,
        CANCELS_NO_OTHER_TASK,
        UNINTERRUPTED_CANCELLATION,
        RUN_FUNCTION,
        EACH_RUN_COUNTS_ANEW,
        SECOND_INTERRUPT,
        SECOND_INTERRUPT_IN_A_TIGHT_LOOP,
        HANDLERS,
        INTERRUPTED_HANDLER,
    )
]


def lines_printed(run_program: RunProgram, program: str) -> list[str]:
    finished = run_program(PRELUDE + program, among=PROGRAMS)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


@requirement(
    "keyboard-interruption/first-sigint-cancels-main-task",
    "keyboard-interruption/raises-keyboardinterrupt-after-cancellation",
)
def test_sigint_cancels_the_main_task_lets_it_clean_up_and_raises_keyboard_interrupt(run_program: RunProgram) -> None:
    expected = ["cancelled", "cleaned up", "raised KeyboardInterrupt"]
    assert lines_printed(run_program, FIRST_INTERRUPT_FROM_A_CALLBACK) == expected


@requirement("keyboard-interruption/first-sigint-cancels-main-task")
def test_sigint_cancels_a_main_task_that_is_running_where_it_waits_next(run_program: RunProgram) -> None:
    expected = ["goes on until it waits", "clean-up", "raised KeyboardInterrupt"]
    assert lines_printed(run_program, FIRST_INTERRUPT_FROM_THE_MAIN_TASK) == expected


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="the platform sends no signal to a thread")
@requirement("keyboard-interruption/first-sigint-cancels-main-task")
def test_sigint_from_outside_cancels_the_main_task_while_the_loop_waits(run_program: RunProgram) -> None:
    expected = ["cancelled", "raised KeyboardInterrupt"]
    assert lines_printed(run_program, FIRST_INTERRUPT_WHILE_THE_LOOP_WAITS) == expected


@requirement("keyboard-interruption/first-sigint-cancels-main-task")
def test_sigint_cancels_the_main_task_only(run_program: RunProgram) -> None:
    expected = ["main task cancelled, other done: False", "other task cancelled", "raised KeyboardInterrupt"]
    assert lines_printed(run_program, CANCELS_NO_OTHER_TASK) == expected


@requirement("keyboard-interruption/raises-keyboardinterrupt-after-cancellation")
def test_a_cancellation_without_sigint_stays_a_cancellation(run_program: RunProgram) -> None:
    assert lines_printed(run_program, UNINTERRUPTED_CANCELLATION) == ["raised CancelledError"]


@requirement("keyboard-interruption/raises-keyboardinterrupt-after-cancellation")
def test_run_treats_sigint_like_a_runner(run_program: RunProgram) -> None:
    assert lines_printed(run_program, RUN_FUNCTION) == ["cancelled", "KeyboardInterrupt", "default"]


@requirement("keyboard-interruption/raises-keyboardinterrupt-after-cancellation")
def test_the_first_sigint_of_each_run_cancels_its_main_task(run_program: RunProgram) -> None:
    assert lines_printed(run_program, EACH_RUN_COUNTS_ANEW) == ["clean-up", "KeyboardInterrupt"] * 3


@requirement("keyboard-interruption/second-sigint-raises-keyboardinterrupt")
def test_a_second_sigint_raises_keyboard_interrupt_and_cancels_nothing(run_program: RunProgram) -> None:
    assert lines_printed(run_program, SECOND_INTERRUPT) == ["KeyboardInterrupt after cancellations: ['first']"]


@requirement("keyboard-interruption/second-sigint-raises-keyboardinterrupt")
def test_a_second_sigint_interrupts_a_main_task_that_never_waits(run_program: RunProgram) -> None:
    expected = ["KeyboardInterrupt at once", "raised KeyboardInterrupt"]
    assert lines_printed(run_program, SECOND_INTERRUPT_IN_A_TIGHT_LOOP) == expected


@requirement("keyboard-interruption/installs-temporary-sigint-handler")
def test_another_sigint_handler_is_in_place_during_each_run_and_only_then(run_program: RunProgram) -> None:
    assert lines_printed(run_program, HANDLERS) == ["['default', 'other', 'other', 'default', 'other', 'default']"]


@requirement("keyboard-interruption/installs-temporary-sigint-handler")
def test_the_sigint_handler_is_removed_after_an_interrupted_run(run_program: RunProgram) -> None:
    assert lines_printed(run_program, INTERRUPTED_HANDLER) == ["raised KeyboardInterrupt", "default"]
