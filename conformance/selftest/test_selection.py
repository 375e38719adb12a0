"""Which cases run: profiles, platforms, namespaces, and what a user asks for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from conformance.catalogue import Catalogue, Version, load
from conformance.catalogue.model import Platform
from conformance.harness.selection import Rules, why_skipped
from conformance.selftest.running import is_whole, run_suite, verdicts
from conformance.target import Target, resolve
from reports.model import Selection, Status, exit_code
from reports.summary import Outcome, outcome

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.catalogue import Requirement

ASYNCIO = resolve("asyncio")
BORROWING = Target("mine", "mine:Loop")
OWN = Target("mine", "mine:Loop", "mine")


@pytest.fixture(scope="module")
def requirement() -> Requirement:
    return attrs.evolve(load()["loop.call_soon/fifo-order"], since=Version.parse("3.12"), until=Version.parse("3.13"))


@pytest.mark.parametrize(("profile", "skipped"), [("3.11", True), ("3.12", False), ("3.13", False), ("3.14", True)])
def test_a_requirement_applies_where_its_documentation_is_in_force(
    requirement: Requirement, profile: str, skipped: bool
) -> None:
    reason = why_skipped(requirement, Version.parse(profile), ASYNCIO)
    assert reason == (f"{requirement.id} is not in force in documentation {profile}" if skipped else None)


def test_a_requirement_of_another_platform_is_skipped(requirement: Requirement) -> None:
    (other,) = {Platform.WINDOWS, Platform.UNIX} - {Platform.WINDOWS if sys.platform == "win32" else Platform.UNIX}
    reason = why_skipped(attrs.evolve(requirement, platform=other), Version.parse("3.12"), ASYNCIO)
    assert reason is not None
    assert sys.platform in reason


@pytest.mark.parametrize(("target", "skipped"), [(ASYNCIO, False), (BORROWING, True), (OWN, False)])
def test_a_namespace_is_judged_only_where_it_is_the_target_s_own(
    requirement: Requirement, target: Target, skipped: bool
) -> None:
    reason = why_skipped(attrs.evolve(requirement, namespace_only=True), Version.parse("3.12"), target)
    assert (reason is not None) is skipped


@pytest.mark.parametrize(
    "asked",
    [
        {"keyword": "timer"},
        {"areas": ("timers",)},
        {"pages": ("eventloop",)},
        {"cases": ("eventloop/small::a_timer_fires",)},
    ],
    ids=lambda asked: next(iter(asked)),
)
def test_a_report_says_what_was_selected_and_is_no_verdict_on_the_loop(asked: dict[str, Any]) -> None:
    report = run_suite("small", "asyncio", **asked)
    assert report.selection == Selection(**asked)
    assert outcome(report) is Outcome.PARTIAL
    assert exit_code(report) == 0


def test_a_report_of_everything_says_so() -> None:
    report = run_suite("small", "asyncio")
    assert not report.selection.is_partial
    assert outcome(report) is Outcome.CONFORMS


def test_rules_survive_the_way_to_a_worker(requirement: Requirement, tmp_path: Path) -> None:
    catalogue = Catalogue((requirement, load()["loop.run_in_executor/returns-future"]))
    rules = Rules.of(catalogue, Version.parse("3.11"), ASYNCIO, {"executor": "NotImplementedError"})
    assert rules.barred == {
        "loop.call_soon/fifo-order": (
            "skipped",
            "loop.call_soon/fifo-order is not in force in documentation 3.11",
        ),
        "loop.run_in_executor/returns-future": ("unsupported", "the probe for executor failed: NotImplementedError"),
    }
    rules.write(tmp_path / "rules.json")
    assert Rules.read(tmp_path / "rules.json") == rules


def test_cases_of_a_later_documentation_are_skipped_and_their_requirements_left_out() -> None:
    report = run_suite("areas", "asyncio", profile="3.12")
    assert verdicts(report)["came_with_a_later_version"] == "skipped"
    assert "loop.set_task_factory/passes-extra-keywords" not in [one.id for one in report.requirements]
    assert report.suite.profile.startswith("3.12")
    assert is_whole(report)
    assert exit_code(report) == 0


SELECTIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"areas": ("executor",)}, ["needs_executors", "needs_executors_too"]),
    ({"areas": ("executor", "fds")}, ["needs_descriptors", "needs_executors", "needs_executors_too"]),
    ({"cases": ("eventloop/areas::needs_nothing",)}, ["needs_nothing"]),
    ({"keyword": "executors and not too"}, ["needs_executors"]),
]


@pytest.mark.parametrize(("asked", "names"), SELECTIONS, ids=["area", "areas", "case", "keyword"])
def test_what_is_asked_for_runs_and_nothing_else(asked: dict[str, Any], names: list[str]) -> None:
    report = run_suite("areas", "asyncio", **asked)
    assert sorted(verdicts(report)) == names
    assert set(verdicts(report).values()) == {"pass"}
    assert is_whole(report)
    others = [one for one in report.requirements if one.id == "loop.stop/ends-run-forever"]
    assert [one.status for one in others] == [Status.UNVERIFIED]
