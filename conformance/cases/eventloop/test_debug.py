"""Debug mode: how it is switched, and what it shows of slow callbacks, partials and forgotten loops."""

from __future__ import annotations

import functools
import gc
import logging
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.waiting import run_one_pass

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from subprocess import CompletedProcess

    from conformance.support.programs import RunProgram
    from conformance.target import Target

# A callback that blocks for BLOCK seconds is slow by a threshold of SLOW, and no callback ever is by one of NEVER.
BLOCK = 0.005
SLOW = 0.001
NEVER = 60.0

PRINT_DEBUG = "loop = make_loop(); print(loop.get_debug()); loop.close()"
SWITCH_OFF = "loop = make_loop(); loop.set_debug(False); print(loop.get_debug()); loop.close()"


def said(ended: CompletedProcess[str]) -> str:
    """What a program printed, or why it did not."""
    return ended.stdout.strip() or ended.stderr


def block() -> None:
    """Keep the thread busy for ``BLOCK`` seconds."""
    end = time.monotonic() + BLOCK
    while time.monotonic() < end:
        pass


def seen(records: list[logging.LogRecord]) -> list[str]:
    """The log at INFO, which the documentation calls the default level."""
    return [record.getMessage() for record in records if record.levelno >= logging.INFO]


def warnings_of_collecting(loops: list[AbstractEventLoop]) -> list[str]:
    """Drop the loops; the ResourceWarnings that this causes, but for those of their sockets."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loops.clear()
        gc.collect()
    return [
        str(warning.message)
        for warning in caught
        if issubclass(warning.category, ResourceWarning) and "<socket.socket" not in str(warning.message)
    ]


@pytest.mark.parametrize("enabled", [True, False])
@requirement("loop.get_debug/returns-bool", "loop.set_debug/switches-debug-mode", "debug-mode/enabled-by-set-debug")
def test_debug_mode_is_what_it_was_set_to(loop: AbstractEventLoop, enabled: bool) -> None:
    loop.set_debug(enabled)
    assert loop.get_debug() is enabled


@requirement("loop.set_debug/switches-debug-mode")
def test_debug_mode_can_be_switched_on_and_off_again(loop: AbstractEventLoop) -> None:
    modes = []
    for enabled in True, False, True, False:
        loop.set_debug(enabled)
        modes.append(loop.get_debug())
    assert modes == [True, False, True, False]


@requirement("loop.set_debug/switches-debug-mode")
async def test_debug_mode_can_be_switched_while_the_loop_runs(loop: AbstractEventLoop) -> None:
    modes = []
    for enabled in True, False, True:
        loop.set_debug(enabled)
        modes.append(loop.get_debug())
    assert modes == [True, False, True]


@requirement("loop.set_debug/switches-debug-mode")
def test_debug_mode_lasts_from_one_run_to_the_next(loop: AbstractEventLoop) -> None:
    loop.call_soon(loop.set_debug, True)
    run_one_pass(loop)
    run_one_pass(loop)
    assert loop.get_debug() is True


@requirement("loop.set_debug/switches-debug-mode")
def test_debug_mode_belongs_to_one_loop(loop: AbstractEventLoop, target: Target) -> None:
    other = target.make_loop()
    for enabled in (True, False):
        other.set_debug(not enabled)
        loop.set_debug(enabled)
        assert (loop.get_debug(), other.get_debug()) == (enabled, not enabled)
    other.close()


@requirement("loop.set_debug/accepts-enabled-bool")
def test_set_debug_takes_a_parameter_named_enabled(loop: AbstractEventLoop) -> None:
    loop.set_debug(enabled=True)
    assert loop.get_debug() is True


@requirement("loop.set_debug/accepts-enabled-bool")
def test_set_debug_takes_exactly_one_argument(loop: Any) -> None:
    with pytest.raises(TypeError):
        loop.set_debug()
    with pytest.raises(TypeError):
        loop.set_debug(True, True)


@requirement("loop.get_debug/returns-bool", "loop.get_debug/default-follows-environment")
def test_debug_mode_is_off_by_default(run_program: RunProgram) -> None:
    assert said(run_program(PRINT_DEBUG)) == "False"


@pytest.mark.parametrize(
    ("value", "expected"), [("1", "True"), ("yes", "True"), ("", "False")], ids=["1", "other", "empty"]
)
@requirement("loop.get_debug/default-follows-environment", "debug-mode/enabled-by-environment-variable")
def test_the_environment_switches_debug_mode_on(run_program: RunProgram, value: str, expected: str) -> None:
    assert said(run_program(PRINT_DEBUG, env={"PYTHONASYNCIODEBUG": value})) == expected


@requirement("loop.get_debug/default-follows-environment")
def test_debug_mode_can_be_switched_off_against_the_environment(run_program: RunProgram) -> None:
    assert said(run_program(SWITCH_OFF, env={"PYTHONASYNCIODEBUG": "1"})) == "False"


@requirement("loop.get_debug/default-follows-dev-mode", "debug-mode/enabled-by-development-mode")
def test_the_development_mode_switches_debug_mode_on(run_program: RunProgram) -> None:
    assert said(run_program(PRINT_DEBUG, "-X", "dev")) == "True"


@requirement("loop.get_debug/default-follows-dev-mode", "debug-mode/enabled-by-development-mode")
def test_the_environments_development_mode_switches_debug_mode_on(run_program: RunProgram) -> None:
    assert said(run_program(PRINT_DEBUG, env={"PYTHONDEVMODE": "1"})) == "True"


@requirement("loop.slow_callback_duration/default-hundred-milliseconds")
def test_a_callback_is_slow_after_a_tenth_of_a_second_by_default(loop: AbstractEventLoop) -> None:
    assert loop.slow_callback_duration == 0.1


@requirement("loop.slow_callback_duration/slow-callback-threshold")
def test_the_threshold_of_slow_callbacks_can_be_set(loop: AbstractEventLoop) -> None:
    loop.slow_callback_duration = 0.25
    assert loop.slow_callback_duration == 0.25


@on_loops(DEBUG)
@requirement("loop.slow_callback_duration/slow-callback-threshold", "debug-mode/logs-slow-callbacks")
def test_a_slow_callback_is_logged(loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]) -> None:
    loop.slow_callback_duration = SLOW
    loop.call_soon(block)
    run_one_pass(loop)
    assert len(seen(asyncio_log)) >= 1


@on_loops(DEBUG)
@requirement("loop.slow_callback_duration/slow-callback-threshold", "debug-mode/logs-slow-callbacks")
def test_a_slow_timer_is_logged(loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]) -> None:
    loop.slow_callback_duration = SLOW
    loop.call_later(0.001, block)
    loop.call_later(0.002, loop.stop)
    loop.run_forever()
    assert len(seen(asyncio_log)) >= 1


@on_loops(DEBUG)
@requirement("loop.slow_callback_duration/slow-callback-threshold", "debug-mode/logs-slow-callbacks")
async def test_a_slow_step_of_a_task_is_logged(
    loop: AbstractEventLoop, aio: Any, asyncio_log: list[logging.LogRecord]
) -> None:
    async def work() -> None:
        await aio.sleep(0)
        block()

    loop.slow_callback_duration = SLOW
    await loop.create_task(work())
    await aio.sleep(0)
    assert len(seen(asyncio_log)) >= 1


@on_loops(DEBUG)
@requirement("loop.slow_callback_duration/slow-callback-threshold")
def test_every_callback_is_slow_by_a_threshold_of_zero(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    loop.slow_callback_duration = 0
    for _ in range(3):
        loop.call_soon(int)
    run_one_pass(loop)
    assert len(seen(asyncio_log)) >= 3


@on_loops(DEBUG)
@requirement("loop.slow_callback_duration/slow-callback-threshold")
def test_a_callback_below_the_threshold_is_not_logged(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    loop.slow_callback_duration = NEVER
    loop.call_soon(block)
    run_one_pass(loop)
    assert seen(asyncio_log) == []


@on_loops(DEBUG)
@requirement("loop.slow_callback_duration/slow-callback-threshold")
def test_the_threshold_can_change_while_the_loop_runs(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    loop.slow_callback_duration = NEVER
    loop.call_soon(block)
    run_one_pass(loop)
    before = len(seen(asyncio_log))
    loop.call_soon(setattr, loop, "slow_callback_duration", SLOW)
    loop.call_soon(block)
    run_one_pass(loop)
    assert (before, len(seen(asyncio_log)) >= 1) == (0, True)


@requirement("loop.slow_callback_duration/slow-callback-threshold")
def test_without_debug_mode_a_slow_callback_is_not_logged(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    loop.set_debug(False)
    loop.slow_callback_duration = SLOW
    loop.call_soon(block)
    run_one_pass(loop)
    assert seen(asyncio_log) == []


@on_loops(DEBUG)
@requirement("loop.slow_callback_duration/slow-callback-threshold", "loop.set_debug/switches-debug-mode")
def test_once_debug_mode_is_off_a_slow_callback_is_not_logged(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    loop.slow_callback_duration = SLOW
    loop.set_debug(False)
    loop.call_soon(block)
    run_one_pass(loop)
    assert seen(asyncio_log) == []


@on_loops(DEBUG)
@requirement("loop.slow_callback_duration/slow-callback-threshold", "loop.call_soon/shows-partial-arguments")
def test_the_log_of_a_slow_partial_shows_its_function_and_arguments(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    def paint(*_: object, **__: object) -> None:
        block()

    loop.slow_callback_duration = SLOW
    loop.call_soon(functools.partial(paint, 1234, colour="purple"))
    run_one_pass(loop)
    text = "\n".join(seen(asyncio_log))
    assert [word for word in ("paint", "1234", "colour", "purple") if word not in text] == [], text


@on_loops(DEBUG)
@requirement("loop.call_soon/shows-partial-arguments")
def test_the_report_of_a_failed_partial_shows_its_function_and_arguments(
    loop: AbstractEventLoop, asyncio_log: list[logging.LogRecord]
) -> None:
    def spill(*_: object, **__: object) -> None:
        raise LookupError

    loop.call_soon(functools.partial(spill, 1234, colour="purple"))
    run_one_pass(loop)
    text = "\n".join(seen(asyncio_log))
    assert [word for word in ("spill", "1234", "colour", "purple") if word not in text] == [], text


@on_loops(PLAIN, DEBUG)
@requirement("loop.close/warns-when-collected-unclosed", "debug-mode/warns-about-unclosed-resources")
def test_collecting_a_loop_that_was_not_closed_warns(loop: AbstractEventLoop, target: Target) -> None:
    other = target.make_loop()
    other.set_debug(loop.get_debug())
    loops = [other]
    del other
    assert len(warnings_of_collecting(loops)) == 1


@requirement("loop.close/warns-when-collected-unclosed", "debug-mode/warns-about-unclosed-resources")
def test_collecting_a_loop_that_has_run_and_was_not_closed_warns(target: Target) -> None:
    loops = [target.make_loop()]
    run_one_pass(loops[0])
    assert len(warnings_of_collecting(loops)) == 1


@requirement("loop.close/warns-when-collected-unclosed", "debug-mode/warns-about-unclosed-resources")
def test_collecting_a_closed_loop_does_not_warn(target: Target) -> None:
    loops = [target.make_loop()]
    run_one_pass(loops[0])
    loops[0].close()
    assert warnings_of_collecting(loops) == []
