"""A feature that a loop lacks is one finding with the probe's name, not a failure per case."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from conformance.harness.features import FEATURES_OF_AREAS
from conformance.harness.probes import PROBES, ask
from conformance.harness.probing import FEATURES, Asked, probe
from conformance.selftest.running import case_of, is_whole, run_suite, verdicts
from fixtures.faulty.lacks import descriptors, executors
from reports.model import Status, exit_code


def test_every_feature_has_its_probe_in_order() -> None:
    assert tuple(PROBES) == FEATURES


def test_every_area_with_a_feature_has_its_probe() -> None:
    assert set(FEATURES_OF_AREAS.values()) <= set(PROBES)


def test_cases_that_need_a_missing_feature_are_unsupported_and_name_the_probe() -> None:
    report = run_suite("areas", "fixtures.faulty.lacks:executors", workers=0)
    found = verdicts(report)
    assert found.pop("came_with_a_later_version") in ("pass", "skipped")
    assert found == {
        "needs_nothing": "pass",
        "needs_executors": "unsupported",
        "needs_executors_too": "unsupported",
        "needs_descriptors": "pass",
    }
    message = "the probe for executor failed: NotImplementedError: no threads here"
    assert case_of(report, "needs_executors").message == case_of(report, "needs_executors_too").message == message
    assert [one.feature for one in report.probes if not one.supported] == ["executor", "dns"]
    (requirement,) = (one for one in report.requirements if one.id == "loop.run_in_executor/runs-func-in-executor")
    assert requirement.status is Status.UNSUPPORTED
    assert is_whole(report)
    assert exit_code(report) == 0


def test_the_standard_library_s_loop_has_every_feature() -> None:
    found = {one.feature: one.supported for one in probe(Asked("asyncio")).probes}
    assert found == dict.fromkeys(PROBES, True)


def test_a_loop_says_no_with_notimplementederror() -> None:
    with contextlib.closing(executors()) as loop:
        assert ask("executor", loop) == (False, "NotImplementedError: no threads here")


def test_a_loop_says_no_by_having_no_such_method() -> None:
    loop: Any = descriptors()
    with contextlib.closing(loop):
        assert ask("fds", loop) == (False, "the loop has no method add_reader()")


@pytest.mark.parametrize("error", [AttributeError("of something else"), RuntimeError(), KeyboardInterrupt()])
def test_any_other_answer_means_that_the_feature_is_there(error: BaseException) -> None:
    class Loop(asyncio.SelectorEventLoop):
        def add_reader(self, *_: object) -> None:
            raise error

    with contextlib.closing(Loop()) as loop:
        assert ask("fds", loop) == (True, "")


def test_a_probe_that_ends_the_process_leaves_the_other_answers() -> None:
    found = {
        one.feature: one.supported for one in probe(Asked("fixtures.faulty.lacks:a_harmless_way_to_say_no")).probes
    }
    assert {**found, "eager-tasks": True} == dict.fromkeys(PROBES, True)
