"""The policy of the process: ``get_event_loop_policy()``, ``set_event_loop_policy()``, and policies of one's own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.policies import deprecated_api, in_force, subclass, warns_deprecated
from conformance.support.threads import in_thread

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

    from conformance.support.programs import RunProgram
    from conformance.target import Target


@pytest.fixture
def restored(aio: Any) -> Iterator[None]:
    """The case may set policies; afterwards the one before it is in force again."""
    with deprecated_api():
        before = aio.get_event_loop_policy()
    with in_force(aio, before):
        yield


def policy_in_force(aio: Any) -> Any:
    with deprecated_api():
        return aio.get_event_loop_policy()


def install(aio: Any, policy: Any) -> None:
    with deprecated_api():
        aio.set_event_loop_policy(policy)


@requirement("get_event_loop_policy/returns-process-wide-policy")
def test_there_is_one_policy_for_every_call_and_every_thread(aio: Any) -> None:
    policy = policy_in_force(aio)
    with deprecated_api():
        elsewhere = in_thread(aio.get_event_loop_policy)
    assert [policy_in_force(aio) is policy, elsewhere is policy] == [True, True]


@requirement("get_event_loop_policy/returns-process-wide-policy")
async def test_the_policy_is_the_same_while_a_loop_runs(loop: AbstractEventLoop, aio: Any) -> None:
    with deprecated_api():
        elsewhere = await loop.run_in_executor(None, aio.get_event_loop_policy)
    assert policy_in_force(aio) is elsewhere


@requirement("get_event_loop_policy/returns-process-wide-policy", "AbstractEventLoopPolicy/base-of-policies")
def test_the_policy_in_force_is_a_policy(aio: Any) -> None:
    with deprecated_api():
        assert isinstance(aio.get_event_loop_policy(), aio.AbstractEventLoopPolicy)


@pytest.mark.usefixtures("restored")
@requirement("set_event_loop_policy/installs-or-restores-policy", "get_event_loop_policy/returns-process-wide-policy")
def test_the_policy_that_is_set_is_in_force_in_every_thread(aio: Any) -> None:
    for policy in (subclass(aio, "AbstractEventLoopPolicy"), subclass(aio, "DefaultEventLoopPolicy")):
        install(aio, policy)
        with deprecated_api():
            elsewhere = in_thread(aio.get_event_loop_policy)
        assert [policy_in_force(aio) is policy, elsewhere is policy] == [True, True]


@pytest.mark.usefixtures("restored")
@requirement("set_event_loop_policy/installs-or-restores-policy")
def test_another_thread_may_set_the_policy(aio: Any) -> None:
    policy = subclass(aio, "AbstractEventLoopPolicy")
    with deprecated_api():
        in_thread(lambda: aio.set_event_loop_policy(policy))
    assert policy_in_force(aio) is policy


@pytest.mark.usefixtures("restored")
@requirement("set_event_loop_policy/installs-or-restores-policy")
def test_none_for_a_policy_restores_the_default_one(aio: Any) -> None:
    policy = subclass(aio, "DefaultEventLoopPolicy")
    install(aio, policy)
    install(aio, None)
    restored = policy_in_force(aio)
    with deprecated_api():
        assert isinstance(restored, aio.DefaultEventLoopPolicy)
    assert [restored is policy, policy_in_force(aio) is restored] == [False, True]


@pytest.mark.usefixtures("restored")
@requirement("set_event_loop_policy/installs-or-restores-policy")
def test_the_restored_default_policy_makes_working_loops(aio: Any) -> None:
    install(aio, subclass(aio, "AbstractEventLoopPolicy"))
    install(aio, None)
    with contextlib.closing(aio.new_event_loop()) as made:
        assert made.run_until_complete(aio.sleep(0, "ran")) == "ran"


class Calls(list[str]):
    """The names of the methods of a policy that were called; ``loop`` is what it answers with."""

    def __init__(self, loop: AbstractEventLoop | None = None) -> None:
        super().__init__()
        self.loop = loop

    def methods(self) -> dict[str, Any]:
        """The methods for a policy's class."""

        def get_event_loop(_policy: Any) -> AbstractEventLoop | None:
            self.append("get_event_loop")
            return self.loop

        def set_event_loop(_policy: Any, loop: AbstractEventLoop | None) -> None:
            self.append("set_event_loop")
            self.loop = loop

        def new_event_loop(_policy: Any) -> AbstractEventLoop | None:
            self.append("new_event_loop")
            return self.loop

        return {each.__name__: each for each in (get_event_loop, set_event_loop, new_event_loop)}


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("base", ["AbstractEventLoopPolicy", "DefaultEventLoopPolicy"])
@requirement("set_event_loop_policy/redirects-loop-functions")
def test_the_loop_functions_act_through_the_installed_policy(loop: AbstractEventLoop, aio: Any, base: str) -> None:
    calls = Calls(loop)
    install(aio, subclass(aio, base, **calls.methods()))
    assert [aio.get_event_loop() is loop, aio.new_event_loop() is loop] == [True, True]
    aio.set_event_loop(None)
    assert (calls, calls.loop) == (["get_event_loop", "new_event_loop", "set_event_loop"], None)


@pytest.mark.usefixtures("restored")
@requirement("set_event_loop_policy/redirects-loop-functions")
def test_the_loop_functions_act_through_it_in_every_thread(loop: AbstractEventLoop, aio: Any) -> None:
    calls = Calls()
    install(aio, subclass(aio, "AbstractEventLoopPolicy", **calls.methods()))
    in_thread(lambda: aio.set_event_loop(loop))
    assert [in_thread(aio.get_event_loop) is loop, in_thread(aio.new_event_loop) is loop] == [True, True]
    assert calls == ["set_event_loop", "get_event_loop", "new_event_loop"]


@pytest.mark.usefixtures("restored")
@requirement("set_event_loop_policy/redirects-loop-functions")
def test_the_loop_functions_act_through_the_policy_that_was_set_last(
    loop: AbstractEventLoop, aio: Any, target: Target
) -> None:
    with contextlib.closing(target.make_loop()) as other:
        first, second = Calls(loop), Calls(other)
        install(aio, subclass(aio, "AbstractEventLoopPolicy", **first.methods()))
        found = [aio.get_event_loop() is loop]
        install(aio, subclass(aio, "AbstractEventLoopPolicy", **second.methods()))
        found.append(aio.get_event_loop() is other)
    assert (found, first, second) == ([True, True], ["get_event_loop"], ["get_event_loop"])


@pytest.mark.usefixtures("restored")
@requirement("set_event_loop_policy/installs-or-restores-policy", "set_event_loop_policy/redirects-loop-functions")
def test_after_none_was_set_the_loop_functions_leave_the_former_policy_alone(loop: AbstractEventLoop, aio: Any) -> None:
    calls = Calls(loop)
    install(aio, subclass(aio, "AbstractEventLoopPolicy", **calls.methods()))
    install(aio, None)
    aio.set_event_loop(loop)
    found = aio.get_event_loop()
    aio.set_event_loop(None)
    assert (found is loop, calls) == (True, [])


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("wrong", ["policy", 0, object(), list], ids=["str", "int", "object", "class"])
@requirement("set_event_loop_policy/rejects-non-policy")
def test_what_is_no_policy_is_refused_and_the_policy_stays(aio: Any, wrong: object) -> None:
    policy = subclass(aio, "AbstractEventLoopPolicy")
    install(aio, policy)
    with deprecated_api(), pytest.raises(TypeError):
        aio.set_event_loop_policy(wrong)
    assert policy_in_force(aio) is policy


@pytest.mark.usefixtures("restored")
@requirement("set_event_loop_policy/rejects-non-policy")
def test_the_class_of_a_policy_is_no_policy(aio: Any) -> None:
    with deprecated_api(), pytest.raises(TypeError):
        aio.set_event_loop_policy(aio.DefaultEventLoopPolicy)


@pytest.mark.usefixtures("restored")
@requirement("custom-policies/honours-overridden-methods")
def test_get_event_loop_calls_the_method_that_a_policy_overrides(loop: AbstractEventLoop, aio: Any) -> None:
    seen: list[AbstractEventLoop] = []

    def get_event_loop(policy: Any) -> AbstractEventLoop:
        current: AbstractEventLoop = super(type(policy), policy).get_event_loop()
        seen.append(current)
        return current

    install(aio, subclass(aio, "DefaultEventLoopPolicy", get_event_loop=get_event_loop))
    aio.set_event_loop(loop)
    found = aio.get_event_loop()
    aio.set_event_loop(None)
    assert [found is loop, [each is loop for each in seen]] == [True, [True]]


@requirement("get_event_loop_policy/warns-deprecated")
def test_asking_for_the_policy_warns_each_time(aio: Any) -> None:
    assert [warns_deprecated(aio.get_event_loop_policy) for _ in range(2)] == [True, True]


@pytest.mark.usefixtures("restored")
@requirement("set_event_loop_policy/warns-deprecated")
def test_setting_a_policy_warns_each_time(aio: Any) -> None:
    policy = subclass(aio, "AbstractEventLoopPolicy")
    warned = [warns_deprecated(lambda each=each: aio.set_event_loop_policy(each)) for each in (policy, None)]  # type: ignore[misc]
    assert warned == [True, True]


CUSTOM_POLICY = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
calls = []
ours = make_loop()

class MyEventLoopPolicy(aio.DefaultEventLoopPolicy):
    def get_event_loop(self):
        loop = super().get_event_loop()
        calls.append(loop)
        return loop

    def new_event_loop(self):
        return ours

aio.set_event_loop_policy(MyEventLoopPolicy())
loop = aio.new_event_loop()
aio.set_event_loop(loop)

async def main():
    await aio.sleep(0)
    return aio.get_event_loop() is loop

print(aio.get_event_loop().run_until_complete(main()), len(calls), loop is ours)
loop.close()
"""


@requirement("custom-policies/honours-overridden-methods", "set_event_loop_policy/redirects-loop-functions")
def test_a_program_with_a_policy_of_its_own_runs_on_the_loops_that_it_makes(run_program: RunProgram) -> None:
    finished = run_program(CUSTOM_POLICY)
    assert (finished.stdout, finished.returncode) == ("True 1 True\n", 0), finished.stderr
