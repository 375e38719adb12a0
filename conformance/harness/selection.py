"""Which cases a run wants, and which of those apply to its profile, platform and target."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from attrs import frozen

from conformance.catalogue import Catalogue, Version, load, profile_version
from conformance.harness.naming import CASES, case_id, page_of
from conformance.harness.probes import FEATURES_OF_AREAS
from conformance.target import resolve
from reports.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pytest


@frozen
class Selection:
    """What the run asked for, and what it knows of the target."""

    catalogue: Catalogue
    profile: Version
    target: str
    namespace: str
    areas: frozenset[str]
    pages: frozenset[str]
    only: frozenset[str] | None
    """ids of the cases to run, with or without variant; None stands for all"""
    missing: dict[str, str]
    """feature → what its probe said, for the features that the target lacks"""

    @classmethod
    def from_config(cls, config: pytest.Config, run: Path | None) -> Selection:
        """From the command line's options and the files that the run put into its folder."""
        only, missing = None, {}
        if run is not None:
            chosen, probed = run / "only.json", run / "missing.json"
            if chosen.exists():
                only = frozenset(json.loads(chosen.read_text(encoding="utf-8")))
            if probed.exists():
                missing = json.loads(probed.read_text(encoding="utf-8"))
        target = resolve(config.getoption("--target"), config.getoption("--api"))
        return cls(
            catalogue=load(),
            profile=profile_version(config.getoption("--profile")),
            target=target.name,
            namespace=target.namespace_name,
            areas=frozenset(config.getoption("areas")),
            pages=frozenset(config.getoption("pages")),
            only=only,
            missing=missing,
        )

    def wants(self, item: pytest.Item) -> bool:
        """Whether the case was asked for."""
        identifier = case_id(item.nodeid)
        if self.only is not None and identifier not in self.only and identifier.partition("[")[0] not in self.only:
            return False
        if self.pages and page_of(identifier) not in self.pages:
            return False
        return not self.areas or bool(self.areas & {self.area_of(one) for one in requirements_of(item)})

    def area_of(self, requirement: str) -> str:
        """The area of a requirement; empty for an id that the catalogue does not know (a selftest refuses those)."""
        known = self.catalogue.get(requirement)
        return "" if known is None else str(known.area)

    def applies(self, item: pytest.Item) -> tuple[Verdict, str]:
        """``PASS`` when the case may run; ``SKIPPED`` or ``UNSUPPORTED`` with the reason when it may not."""
        for identifier in requirements_of(item):
            requirement = self.catalogue.get(identifier)
            if requirement is None:
                continue
            if not requirement.platform.covers(sys.platform):
                return Verdict.SKIPPED, f"{identifier} holds on {requirement.platform}, this is {sys.platform}"
            if not requirement.in_force(self.profile):
                return Verdict.SKIPPED, f"{identifier} is not in force in documentation {self.profile}"
            if requirement.namespace_only and self.namespace == "asyncio" and self.target != "asyncio":
                return Verdict.SKIPPED, f"{identifier} judges a namespace, and {self.target} uses asyncio's"
            feature = FEATURES_OF_AREAS.get(str(requirement.area))
            if feature is not None and feature in self.missing:
                return Verdict.UNSUPPORTED, f"the probe for {feature} failed: {self.missing[feature]}"
        return Verdict.PASS, ""


def requirements_of(item: pytest.Item) -> list[str]:
    """The ids that the case is marked with, the nearest mark first."""
    return [str(identifier) for mark in item.iter_markers("requirement") for identifier in mark.args]


def describe_items(items: Iterable[pytest.Item]) -> list[dict[str, Any]]:
    """What the run must know of each collected case, also of one whose worker dies."""
    return [
        {
            "id": case_id(item.nodeid),
            "node": item.nodeid,
            "requirements": requirements_of(item),
            "file": item.path.relative_to(CASES).as_posix(),
            "line": getattr(getattr(item, "obj", None), "__code__", None).co_firstlineno  # type: ignore[union-attr]
            if hasattr(getattr(item, "obj", None), "__code__")
            else (item.location[1] or 0) + 1,
            "budget": float(mark.args[0]) if (mark := item.get_closest_marker("budget")) else None,
        }
        for item in items
    ]
