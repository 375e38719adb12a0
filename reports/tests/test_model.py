"""The model's own rules."""

from __future__ import annotations

import subprocess
import sys

import attrs
import pytest

from fixtures.reports.golden import clean, cut, deviating, known_bugs
from reports.model import RequirementResult, Status, Verdict, exit_code, seal


def test_a_clean_run_conforms() -> None:
    assert exit_code(clean()) == 0


def test_known_bugs_are_not_held_against_the_target() -> None:
    report = known_bugs()
    assert report.totals.known_bugs == 1
    assert exit_code(report) == 0


def test_a_deviation_is() -> None:
    report = deviating()
    healthy = tuple(case for case in report.cases if case.verdict is not Verdict.ERROR)
    assert exit_code(attrs.evolve(report, cases=healthy)) == 1


def test_the_suites_fault_comes_before_the_loops() -> None:
    assert exit_code(deviating()) == 3


def test_an_incomplete_run_comes_before_everything() -> None:
    assert exit_code(cut()) == 4
    assert exit_code(attrs.evolve(deviating(), complete=False)) == 4


def test_the_seal_is_of_the_set_of_ids_and_not_of_their_order() -> None:
    assert seal(["a", "b"]) == seal(["b", "a"]) != seal(["a"])


def test_every_string_has_a_seal() -> None:
    assert seal(["\udc80"]) != seal(["\udc81"])


@pytest.mark.parametrize(
    ("page", "url"),
    [
        ("eventloop", "https://docs.python.org/3/library/asyncio-eventloop.html"),
        ("asyncio", "https://docs.python.org/3/library/asyncio.html"),
    ],
)
def test_a_requirement_knows_its_documentation_page(page: str, url: str) -> None:
    assert RequirementResult("a/b", Status.VERIFIED, "does", page, "timers", "stated").url == url


def test_importing_the_model_imports_no_renderer() -> None:
    heavy = {"rich", "jinja2", "cattrs", "json", "pytest", "xml"}
    program = "import sys, reports.model; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "reports.model" in out.split()
    assert not heavy & {name.partition(".")[0] for name in out.split()}
