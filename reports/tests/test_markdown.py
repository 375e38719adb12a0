"""Markdown: fits a job's summary, and no text of a case is taken for markup."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from reports import markdown
from reports.tests.samples import HOSTILE, PATIENT, any_report, hostile, many

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


def test_the_table_has_a_row_for_each_area_and_as_many_cells_in_each(deviating: Report) -> None:
    rows = [line for line in markdown.render(deviating).splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert len(rows) == len({case.area for case in deviating.cases}) + 3
    assert rows[-1].startswith("| **all** | 29 | 19 | 3 |")
    assert rows[-1].endswith("| 12 of 23 |")


@pytest.mark.parametrize("details", ["x" * 4_000, HOSTILE * 20, "é" * 4_000, "<" * 4_000])
def test_it_always_fits_and_says_what_is_missing(details: str) -> None:
    text = markdown.render(many(2_000, details))
    assert 900_000 < len(text.encode()) <= markdown.SIZE_LIMIT < GITHUB_LIMIT
    assert "This summary is cut" in text[-400:]


def test_twenty_thousand_areas_fit() -> None:
    report = many(20_000)
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
