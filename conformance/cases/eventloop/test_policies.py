"""The current loop: ``get_event_loop()``, ``set_event_loop()`` and ``new_event_loop()``, with and without a policy."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.policies import deprecated_api, in_force
from conformance.support.threads import in_thread

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

    from conformance.support.programs import RunProgram
    from conformance.target import Target


class Policy:
    """Records the calls that an installed policy gets; its loops are put into it beforehand."""

    def __init__(self) -> None:
        self.current: AbstractEventLoop | None = None
        self.fresh: AbstractEventLoop | None = None
        self.calls: list[str] = []

    def get_event_loop(self) -> AbstractEventLoop | None:
        self.calls.append("get_event_loop")
        return self.current

    def set_event_loop(self, loop: AbstractEventLoop | None) -> None:
        self.calls.append("set_event_loop")
        self.current = loop

    def new_event_loop(self) -> AbstractEventLoop | None:
        self.calls.append("new_event_loop")
        return self.fresh


@pytest.fixture
def policy(aio: Any) -> Iterator[Policy]:
    """The policy in force during the case."""
    with deprecated_api():
        installed: Any = type("InstalledPolicy", (Policy, aio.AbstractEventLoopPolicy), {})()
    with in_force(aio, installed):
        yield installed


@pytest.fixture
def no_current_loop(aio: Any) -> Iterator[None]:
    """A thread without a current loop, and whatever the case sets is forgotten."""
    aio.set_event_loop(None)
    yield
    aio.set_event_loop(None)


@requirement("get_event_loop/delegates-to-policy")
def test_get_event_loop_returns_what_the_policy_does(loop: AbstractEventLoop, aio: Any, policy: Policy) -> None:
    policy.current = loop
    found = aio.get_event_loop()
    assert (found is loop, policy.calls) == (True, ["get_event_loop"])


@requirement("get_event_loop/delegates-to-policy")
def test_get_event_loop_asks_the_policy_in_every_thread(loop: AbstractEventLoop, aio: Any, policy: Policy) -> None:
    policy.current = loop
    assert in_thread(aio.get_event_loop) is loop


@requirement("get_event_loop/returns-running-loop-in-coroutine")
async def test_in_a_coroutine_the_running_loop_is_found_without_the_policy(
    loop: AbstractEventLoop, aio: Any, policy: Policy
) -> None:
    found = aio.get_event_loop()
    assert (found is loop, policy.calls) == (True, [])


@pytest.mark.usefixtures("no_current_loop")
@requirement("get_event_loop/returns-running-loop-in-coroutine", "get_event_loop/returns-running-loop-in-callback")
def test_the_running_loop_is_found_even_if_another_is_current(
    loop: AbstractEventLoop, aio: Any, target: Target
) -> None:
    found: list[AbstractEventLoop] = []

    async def look() -> None:
        found.append(aio.get_event_loop())

    with contextlib.closing(target.make_loop()) as other:
        aio.set_event_loop(other)
        loop.run_until_complete(look())
        loop.call_soon(lambda: found.append(aio.get_event_loop()))
        loop.call_soon_threadsafe(lambda: found.append(aio.get_event_loop()))
        loop.call_later(0.001, lambda: found.append(aio.get_event_loop()))
        loop.call_later(0.003, loop.stop)
        loop.run_forever()
        found.append(aio.get_event_loop())
    assert [each is loop for each in found] == [True, True, True, True, False]


CREATE_IN_MAIN_THREAD = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    loop = aio.get_event_loop()
print(isinstance(loop, aio.AbstractEventLoop), loop.is_closed(), loop.is_running(), aio.get_event_loop() is loop)
print([warning.category.__name__ for warning in caught])
loop.close()
"""


@requirement("get_event_loop/creates-loop-in-main-thread")
def test_in_the_main_thread_get_event_loop_makes_a_loop_and_keeps_it(run_program: RunProgram) -> None:
    finished = run_program(CREATE_IN_MAIN_THREAD)
    assert finished.stdout.splitlines()[:1] == ["True False False True"], finished.stderr


@requirement("get_event_loop/warns-when-creating-loop")
def test_get_event_loop_warns_when_it_makes_a_loop(run_program: RunProgram) -> None:
    finished = run_program(CREATE_IN_MAIN_THREAD)
    assert finished.stdout.splitlines()[1:] == ["['DeprecationWarning']"], finished.stderr


@pytest.mark.usefixtures("no_current_loop")
@requirement("get_event_loop/warns-when-creating-loop")
def test_get_event_loop_does_not_warn_when_a_loop_is_set(loop: AbstractEventLoop, aio: Any) -> None:
    aio.set_event_loop(loop)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = aio.get_event_loop()
    assert (found is loop, [str(warning.message) for warning in caught]) == (True, [])


@pytest.mark.usefixtures("no_current_loop")
@requirement("get_event_loop/ignores-policy-once-removed")
def test_without_policies_the_loop_that_was_set_is_current(loop: AbstractEventLoop, aio: Any) -> None:
    async def look() -> bool:
        return aio.get_event_loop() is loop

    assert loop.run_until_complete(look())
    aio.set_event_loop(loop)
    assert aio.get_event_loop() is loop


@pytest.mark.usefixtures("no_current_loop")
@requirement("set_event_loop/sets-current-loop")
def test_the_loop_set_last_is_the_current_one(loop: AbstractEventLoop, aio: Any, target: Target) -> None:
    with contextlib.closing(target.make_loop()) as other:
        aio.set_event_loop(other)
        aio.set_event_loop(loop)
        assert aio.get_event_loop() is loop


@pytest.mark.usefixtures("no_current_loop")
@requirement("set_event_loop/sets-current-loop")
def test_running_another_loop_leaves_the_current_one(loop: AbstractEventLoop, aio: Any, target: Target) -> None:
    with contextlib.closing(target.make_loop()) as other:
        aio.set_event_loop(loop)
        other.call_soon(other.stop)
        other.run_forever()
    assert aio.get_event_loop() is loop


@pytest.mark.usefixtures("no_current_loop")
@requirement("set_event_loop/sets-current-loop")
def test_the_loop_may_be_set_while_another_runs(loop: AbstractEventLoop, aio: Any, target: Target) -> None:
    with contextlib.closing(target.make_loop()) as other:
        other.call_soon(aio.set_event_loop, loop)
        other.call_soon(other.stop)
        other.run_forever()
    assert aio.get_event_loop() is loop


@requirement("set_event_loop/sets-current-loop")
def test_a_thread_may_have_a_current_loop_of_its_own(loop: AbstractEventLoop, aio: Any) -> None:
    def set_and_get() -> AbstractEventLoop:
        aio.set_event_loop(loop)
        found: AbstractEventLoop = aio.get_event_loop()
        return found

    assert in_thread(set_and_get) is loop


@pytest.mark.usefixtures("no_current_loop")
@requirement("set_event_loop/accepts-none-to-clear")
def test_after_none_was_set_there_is_no_current_loop(loop: AbstractEventLoop, aio: Any) -> None:
    aio.set_event_loop(loop)
    aio.set_event_loop(None)
    with pytest.raises(RuntimeError):
        aio.get_event_loop()


@requirement("set_event_loop/accepts-none-to-clear")
def test_a_thread_may_clear_its_current_loop(loop: AbstractEventLoop, aio: Any) -> None:
    def set_clear_and_get() -> None:
        aio.set_event_loop(loop)
        aio.set_event_loop(None)
        aio.get_event_loop()

    with pytest.raises(RuntimeError):
        in_thread(set_clear_and_get)


@pytest.mark.usefixtures("no_current_loop")
@requirement("new_event_loop/returns-fresh-unset-loop")
def test_new_event_loop_leaves_the_current_loop(loop: AbstractEventLoop, aio: Any) -> None:
    aio.set_event_loop(loop)
    aio.new_event_loop().close()
    assert aio.get_event_loop() is loop


@requirement("new_event_loop/returns-fresh-unset-loop")
def test_each_new_event_loop_is_another_that_neither_runs_nor_is_closed(aio: Any) -> None:
    with contextlib.closing(aio.new_event_loop()) as one, contextlib.closing(aio.new_event_loop()) as two:
        assert one is not two
        assert [each.is_running() or each.is_closed() for each in (one, two)] == [False, False]


@requirement("new_event_loop/returns-fresh-unset-loop")
def test_new_event_loop_works_while_a_loop_runs(loop: AbstractEventLoop, aio: Any) -> None:
    made: list[AbstractEventLoop] = []
    loop.call_soon(lambda: made.append(aio.new_event_loop()))
    loop.call_soon(loop.stop)
    loop.run_forever()
    made[0].close()
    assert made[0] is not loop


@requirement("new_event_loop/follows-custom-policy")
def test_new_event_loop_returns_what_the_policy_makes(loop: AbstractEventLoop, aio: Any, policy: Policy) -> None:
    policy.fresh = loop
    made = aio.new_event_loop()
    assert (made is loop, policy.calls) == (True, ["new_event_loop"])


@requirement("new_event_loop/follows-custom-policy")
def test_set_and_get_event_loop_act_through_the_policy(loop: AbstractEventLoop, aio: Any, policy: Policy) -> None:
    aio.set_event_loop(loop)
    found = aio.get_event_loop()
    aio.set_event_loop(None)
    assert (found is loop, policy.current) == (True, None)
    assert policy.calls == ["set_event_loop", "get_event_loop", "set_event_loop"]
