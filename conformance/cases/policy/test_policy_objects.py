"""What a policy does: ``AbstractEventLoopPolicy``, ``DefaultEventLoopPolicy`` and the policies of Windows."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.policies import default_policy, deprecated_api, warns_deprecated
from conformance.support.threads import in_thread
from conformance.support.waiting import GENEROUS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from conformance.support.programs import RunProgram
    from conformance.target import Target

METHODS = ["get_event_loop", "set_event_loop", "new_event_loop"]


@requirement("AbstractEventLoopPolicy/base-of-policies")
def test_the_default_policy_is_derived_from_the_abstract_one(aio: Any) -> None:
    with deprecated_api():
        base, derived = aio.AbstractEventLoopPolicy, aio.DefaultEventLoopPolicy
    assert issubclass(derived, base)
    # The base class promises the methods, the default policy supplies them.
    assert [getattr(derived, name) is getattr(base, name) for name in METHODS] == [False] * 3


@requirement("AbstractEventLoopPolicy/warns-deprecated", "DefaultEventLoopPolicy/warns-deprecated")
@pytest.mark.parametrize("name", ["AbstractEventLoopPolicy", "DefaultEventLoopPolicy"])
def test_looking_the_class_up_warns_each_time(aio: Any, name: str) -> None:
    assert [warns_deprecated(lambda: getattr(aio, name)) for _ in range(2)] == [True, True]


@requirement(
    "AbstractEventLoopPolicy.set_event_loop/sets-context-loop",
    "AbstractEventLoopPolicy.get_event_loop/returns-context-loop",
)
def test_a_policy_gives_the_loop_that_was_set_last(loop: AbstractEventLoop, default: Any, target: Target) -> None:
    with contextlib.closing(target.make_loop()) as other:
        found = []
        for each in (loop, other, loop):
            default.set_event_loop(each)
            found.append(default.get_event_loop() is each)
    assert found == [True] * 3


@requirement("AbstractEventLoopPolicy.get_event_loop/returns-context-loop")
def test_a_policy_gives_the_loop_as_often_as_it_is_asked(loop: AbstractEventLoop, default: Any) -> None:
    default.set_event_loop(loop)
    assert [default.get_event_loop() is loop for _ in range(3)] == [True] * 3
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert default.get_event_loop() is loop


@requirement("AbstractEventLoopPolicy.set_event_loop/sets-context-loop")
def test_two_policies_have_loops_of_their_own(loop: AbstractEventLoop, aio: Any, default: Any, target: Target) -> None:
    second = default_policy(aio)
    with contextlib.closing(target.make_loop()) as other:
        default.set_event_loop(loop)
        second.set_event_loop(other)
        assert [default.get_event_loop() is loop, second.get_event_loop() is other] == [True, True]


@requirement("AbstractEventLoopPolicy.get_event_loop/returns-running-loop-in-coroutine")
async def test_in_a_coroutine_a_policy_gives_the_loop_that_was_set_and_runs(
    loop: AbstractEventLoop, default: Any
) -> None:
    default.set_event_loop(loop)
    assert default.get_event_loop() is loop


@requirement(
    "AbstractEventLoopPolicy.get_event_loop/raises-without-loop",
    "AbstractEventLoopPolicy.set_event_loop/sets-context-loop",
)
def test_a_policy_whose_loop_was_cleared_raises(loop: AbstractEventLoop, default: Any) -> None:
    default.set_event_loop(loop)
    default.set_event_loop(None)
    with pytest.raises(RuntimeError):
        default.get_event_loop()


@requirement("AbstractEventLoopPolicy.new_event_loop/returns-new-unset-loop")
def test_a_policy_makes_a_loop_at_every_call(aio: Any, default: Any) -> None:
    with contextlib.closing(default.new_event_loop()) as one, contextlib.closing(default.new_event_loop()) as two:
        assert one is not two
        assert [isinstance(each, aio.AbstractEventLoop) for each in (one, two)] == [True, True]
        assert [each.is_running() or each.is_closed() for each in (one, two)] == [False, False]


@requirement("AbstractEventLoopPolicy.new_event_loop/returns-new-unset-loop")
def test_making_a_loop_leaves_the_one_that_is_set(loop: AbstractEventLoop, default: Any) -> None:
    default.set_event_loop(loop)
    default.new_event_loop().close()
    assert default.get_event_loop() is loop


@requirement(
    "AbstractEventLoopPolicy.new_event_loop/returns-new-unset-loop",
    "AbstractEventLoopPolicy.get_event_loop/raises-without-loop",
)
def test_making_a_loop_does_not_set_it(default: Any) -> None:
    default.set_event_loop(None)
    with contextlib.closing(default.new_event_loop()), pytest.raises(RuntimeError):
        default.get_event_loop()


@requirement("DefaultEventLoopPolicy/one-loop-per-thread")
def test_every_thread_gets_the_loop_that_it_set_itself(loop: AbstractEventLoop, default: Any, target: Target) -> None:
    everybody_has_set = threading.Barrier(4)

    def set_then_get(own: AbstractEventLoop) -> bool:
        default.set_event_loop(own)
        everybody_has_set.wait(GENEROUS)
        return default.get_event_loop() is own

    loops = [target.make_loop() for _ in range(3)]
    default.set_event_loop(loop)
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(set_then_get, each) for each in loops]
        everybody_has_set.wait(GENEROUS)
        found = [job.result(GENEROUS) for job in jobs]
    for each in loops:
        each.close()
    assert [*found, default.get_event_loop() is loop] == [True] * 4


@requirement("DefaultEventLoopPolicy/one-loop-per-thread")
def test_clearing_the_loop_of_one_thread_leaves_that_of_another(loop: AbstractEventLoop, default: Any) -> None:
    default.set_event_loop(loop)
    in_thread(lambda: default.set_event_loop(None))
    assert default.get_event_loop() is loop


@requirement("DefaultEventLoopPolicy/raises-in-other-threads")
def test_in_another_thread_there_is_no_loop_though_the_main_thread_has_one(
    loop: AbstractEventLoop, default: Any
) -> None:
    default.set_event_loop(loop)
    with pytest.raises(RuntimeError):
        in_thread(default.get_event_loop)


@requirement("DefaultEventLoopPolicy/raises-without-loop")
def test_a_policy_in_which_no_loop_was_set_raises_in_the_main_thread(default: Any) -> None:
    with pytest.raises(RuntimeError):
        default.get_event_loop()


MAIN_THREAD = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
policy = aio.DefaultEventLoopPolicy()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    loop = policy.get_event_loop()
print(isinstance(loop, aio.AbstractEventLoop), loop.is_closed(), policy.get_event_loop() is loop)
print(sorted({warning.category.__name__ for warning in caught}))
loop.close()
"""


@requirement("DefaultEventLoopPolicy/creates-main-thread-loop")
def test_in_the_main_thread_a_policy_makes_a_loop_and_keeps_it(run_program: RunProgram) -> None:
    finished = run_program(MAIN_THREAD)
    assert finished.stdout.splitlines()[:1] == ["True False True"], finished.stderr


@requirement("DefaultEventLoopPolicy/warns-when-creating-loop")
def test_a_policy_warns_when_it_makes_a_loop_unasked(run_program: RunProgram) -> None:
    finished = run_program(MAIN_THREAD)
    assert finished.stdout.splitlines()[1:] == ["['DeprecationWarning']"], finished.stderr


def loops_made_by(policy: Any, kind: type) -> bool:
    """Whether the policy makes loops of this class."""
    with contextlib.closing(policy.new_event_loop()) as loop:
        return isinstance(loop, kind)


@requirement("DefaultEventLoopPolicy/creates-selector-loop-on-unix")
def test_on_unix_the_default_policy_makes_selector_event_loops(aio: Any, default: Any) -> None:
    assert loops_made_by(default, aio.SelectorEventLoop)


@requirement("DefaultEventLoopPolicy/creates-proactor-loop-on-windows")
def test_on_windows_the_default_policy_makes_proactor_event_loops(aio: Any, default: Any) -> None:
    assert loops_made_by(default, aio.ProactorEventLoop)


@requirement("WindowsSelectorEventLoopPolicy/creates-selector-loop")
def test_the_selector_policy_of_windows_makes_selector_event_loops(aio: Any) -> None:
    with deprecated_api():
        policy = aio.WindowsSelectorEventLoopPolicy()
    assert loops_made_by(policy, aio.SelectorEventLoop)


@requirement("WindowsProactorEventLoopPolicy/creates-proactor-loop")
def test_the_proactor_policy_of_windows_makes_proactor_event_loops(aio: Any) -> None:
    with deprecated_api():
        policy = aio.WindowsProactorEventLoopPolicy()
    assert loops_made_by(policy, aio.ProactorEventLoop)


@requirement("WindowsSelectorEventLoopPolicy/warns-deprecated", "WindowsProactorEventLoopPolicy/warns-deprecated")
@pytest.mark.parametrize("name", ["WindowsSelectorEventLoopPolicy", "WindowsProactorEventLoopPolicy"])
def test_looking_a_policy_of_windows_up_warns_each_time(aio: Any, name: str) -> None:
    assert [warns_deprecated(lambda: getattr(aio, name)) for _ in range(2)] == [True, True]
