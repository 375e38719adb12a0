"""Markdown: fits a job's summary, and no text of a case is taken for markup."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from reports import markdown
from reports.model import CaseResult, Verdict
from reports.tests.samples import HOSTILE, PATIENT, all_different, any_report, hostile, many, report_of

if TYPE_CHECKING:
    from reports.model import Report

GITHUB_LIMIT = 1024 * 1024


def test_it_begins_with_the_verdict(golden: Report) -> None:
    assert re.match(r"## (✅|❌|⚠️) \S", markdown.render(golden))


def test_every_finding_is_there_with_its_sentence_and_its_story(deviating: Report) -> None:
    text = html.unescape(markdown.render(deviating))
    for case in deviating.cases:
        if case.deviates:
            assert case.id in text
            assert case.message in text
            assert case.repeat in text
    assert "runs callbacks in the order in which they were registered" in text
    assert "https://docs.python.org/3/library/asyncio-eventloop.html" in text
    assert 'File "/srv/venv/lib/python3.13/site-packages/gustloop/_poll.py", line 88 in wait' in text


def test_a_cause_of_many_is_told_once_with_all_its_cases() -> None:
    report = many(500, "the story")
    text = html.unescape(markdown.render(report))
    assert text.count("expected one thing, seen another") == 1
    assert "**500 cases in 50 requirements**: expected one thing, seen another" in text
    assert text.count("the story") == 1
    for case in report.cases:
        assert case.id in text


def test_variants_that_went_the_same_way_are_one_block() -> None:
    cases = [
        CaseResult(f"a/b::c[{name}]", ("r",), "x", Verdict.FAIL, 0.1, f"{n} ms early", details=f"details of {name}")
        for n, name in enumerate(("plain", "debug", "eager"))
    ]
    text = html.unescape(markdown.render(report_of(cases)))
    assert "<b>fail</b> <code>a/b::c</code> (3 variants: plain, debug, eager): … ms early" in text
    assert "details of plain" in text
    assert "  a/b::c[eager]\n" in text


def test_the_table_has_a_row_for_each_area_and_as_many_cells_in_each(deviating: Report) -> None:
    rows = [line for line in markdown.render(deviating).splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert len(rows) == len({case.area for case in deviating.cases}) + 3
    assert rows[-1].startswith("| **all** | 29 | 19 | 3 |")
    assert rows[-1].endswith("| 12 of 23 |")


@pytest.mark.parametrize("details", ["x" * 4_000, HOSTILE * 20, "é" * 4_000, "<" * 4_000])
def test_it_always_fits_and_says_what_is_missing(details: str) -> None:
    text = markdown.render(all_different(many(2_000, details)))
    assert 900_000 < len(text.encode()) <= markdown.SIZE_LIMIT < GITHUB_LIMIT
    assert "This summary is cut" in text[-400:]


def test_twenty_thousand_areas_fit() -> None:
    report = all_different(many(20_000))
    assert len(markdown.render(report).encode()) <= markdown.SIZE_LIMIT


@given(any_report())
@PATIENT
def test_any_report_fits_and_its_blocks_are_balanced(report: Report) -> None:
    text = markdown.render(report)
    assert len(text.encode()) <= markdown.SIZE_LIMIT
    for tag in ("details", "summary", "pre"):
        assert text.count(f"<{tag}>") == text.count(f"</{tag}>")


def test_hostile_text_is_text() -> None:
    text = markdown.render(hostile())
    tags = set(re.findall(r"</?([a-z]+)", text))
    assert tags <= {"details", "summary", "b", "code", "pre"}
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({row.count("|") for row in rows}) == 1
