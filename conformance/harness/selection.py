"""Which cases a run wants, and which of those apply to its profile, platform and target."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

from conformance.catalogue import load, profile_version
from conformance.harness.features import EAGER_TASKS, FEATURES_OF_AREAS
from conformance.harness.naming import case_id, page_of
from conformance.support.modes import EAGER
from conformance.target import resolve
from reports.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pytest

    from conformance.catalogue import Catalogue, Requirement, Version
    from conformance.target import Target

PATIENCE = 120.0
"""Seconds that a worker waits for the rules: the run writes them once its target is probed, or ends the worker."""
REST = 0.005

COLLECTED = "collected.json"
RULES = "rules.json"
ONLY = "only.json"


@frozen
class Rules:
    """For each requirement its area, and why its cases do not run, where they do not.

    The run works this out once and its workers read it: each would spend a sixth of a second on the catalogue.
    """

    areas: dict[str, str]
    barred: dict[str, tuple[str, str]]
    """requirement id → verdict (``skipped`` or ``unsupported``) and reason"""
    no_eager_tasks: str = ""
    """why the variants with eager tasks do not run; empty where they do"""

    @classmethod
    def of(cls, catalogue: Catalogue, profile: Version, target: Target, missing: Mapping[str, str]) -> Rules:
        """The rules for a target: ``missing`` maps the features that it lacks to what its probes said."""
        areas = {requirement.id: str(requirement.area) for requirement in catalogue}
        barred = {}
        for requirement in catalogue:
            feature = FEATURES_OF_AREAS.get(str(requirement.area))
            if (reason := why_skipped(requirement, profile, target)) is not None:
                barred[requirement.id] = (Verdict.SKIPPED.value, reason)
            elif feature is not None and feature in missing:
                reason = f"the probe for {feature} failed: {missing[feature]}"
                barred[requirement.id] = (Verdict.UNSUPPORTED.value, reason)
        no_eager_tasks = f"the probe for {EAGER_TASKS} failed: {missing[EAGER_TASKS]}" if EAGER_TASKS in missing else ""
        return cls(areas, barred, no_eager_tasks)

    def write(self, path: Path) -> None:
        """Leave the rules for the workers, which wait for them."""
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(asdict(self)), encoding="utf-8")
        unfinished.replace(path)

    @classmethod
    def read(cls, path: Path) -> Rules:
        """What `write` left, or leaves within `PATIENCE` seconds."""
        deadline = time.monotonic() + PATIENCE
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(REST)
        rules = json.loads(path.read_text(encoding="utf-8"))
        rules["barred"] = {one: (verdict, reason) for one, (verdict, reason) in rules["barred"].items()}
        return cls(**rules)


def why_skipped(requirement: Requirement, profile: Version, target: Target) -> str | None:
    """Why the requirement does not apply to this platform, profile or target; None when it does."""
    if not requirement.platform.covers(sys.platform):
        return f"{requirement.id} holds on {requirement.platform}, this is {sys.platform}"
    if not requirement.in_force(profile):
        return f"{requirement.id} is not in force in documentation {profile}"
    if requirement.namespace_only and target.borrows_namespace:
        return f"{requirement.id} judges a namespace, and {target.name} uses asyncio's"
    return None


@frozen
class Selection:
    """Which cases the run asked for, and which of them may run."""

    rules: Rules
    areas: frozenset[str]
    pages: frozenset[str]
    only: frozenset[str] | None
    """ids of the cases to run, with or without variant; None stands for all"""

    @classmethod
    def of(cls, folder: Path, areas: Iterable[str], pages: Iterable[str]) -> Selection:
        """With the rules, and the choice of cases if there is one, that the run left in the folder of a pass."""
        rules, chosen = Rules.read(folder / RULES), folder / ONLY
        only = frozenset(json.loads(chosen.read_text(encoding="utf-8"))) if chosen.exists() else None
        return cls(rules, frozenset(areas), frozenset(pages), only)

    @classmethod
    def from_config(cls, config: pytest.Config, run: Path | None) -> Selection:
        """From the command line's options, and from what the run put into its folder, if there is a run."""
        areas, pages = config.getoption("areas"), config.getoption("pages")
        if run is not None:
            return cls.of(run, areas, pages)
        target = resolve(config.getoption("--target"), config.getoption("--api"))
        profile = profile_version(config.getoption("--profile") or target.profile)
        return cls(Rules.of(load(), profile, target, {}), frozenset(areas), frozenset(pages), None)

    def wants(self, item: pytest.Item) -> bool:
        """Whether the case was asked for."""
        identifier = case_id(item.nodeid)
        if self.only is not None and identifier not in self.only and identifier.partition("[")[0] not in self.only:
            return False
        if self.pages and page_of(identifier) not in self.pages:
            return False
        # An id that the catalogue does not know has no area; a selftest refuses it.
        return not self.areas or bool(self.areas & {self.rules.areas.get(one, "") for one in requirements_of(item)})

    def applies(self, item: pytest.Item) -> tuple[Verdict, str]:
        """``PASS`` when the case may run; ``SKIPPED`` or ``UNSUPPORTED`` with the reason when it may not."""
        for identifier in requirements_of(item):
            if identifier in self.rules.barred:
                verdict, reason = self.rules.barred[identifier]
                return Verdict(verdict), reason
        callspec = getattr(item, "callspec", None)
        if self.rules.no_eager_tasks and callspec is not None and callspec.params.get("loop") == EAGER:
            # The cases of eager tasks themselves run and fail: one fault must not read as a hundred.
            return Verdict.SKIPPED, self.rules.no_eager_tasks
        return Verdict.PASS, ""


def requirements_of(item: pytest.Item) -> list[str]:
    """The ids that the case is marked with, the nearest mark first."""
    return [str(identifier) for mark in item.iter_markers("requirement") for identifier in mark.args]


def budget_of(item: pytest.Item, default: float) -> float:
    """The seconds that the case may take."""
    mark = item.get_closest_marker("budget")
    return default if mark is None else float(mark.args[0])


def tell_collected(folder: Path, items: Iterable[pytest.Item], suite: Path, teller: str = "") -> None:
    """Leave in the folder of the pass what will run. Several processes may tell the same; the first one counts."""
    collected = folder / COLLECTED
    if not collected.exists():
        own = collected.with_suffix(f".part{teller}")
        own.write_text(json.dumps(describe_items(items, suite)), encoding="utf-8")
        # A rename never shows half a file.
        own.replace(collected)


def describe_items(items: Iterable[pytest.Item], suite: Path) -> list[dict[str, Any]]:
    """What the run must know of each collected case, also of one whose worker dies."""
    files: dict[Path, str] = {}
    described = []
    for item in items:
        file = files.get(item.path)
        if file is None:
            file = files[item.path] = item.path.relative_to(suite).as_posix()
        mark = item.get_closest_marker("budget")
        described.append(
            {
                "id": case_id(item.nodeid),
                "node": item.nodeid,
                "requirements": requirements_of(item),
                "file": file,
                "line": first_line(item),
                "budget": None if mark is None else float(mark.args[0]),
            }
        )
    return described


def first_line(item: pytest.Item) -> int:
    """The line at which the case's function begins, decorators included."""
    code = getattr(getattr(item, "obj", None), "__code__", None)
    return (item.location[1] or 0) + 1 if code is None else int(code.co_firstlineno)
