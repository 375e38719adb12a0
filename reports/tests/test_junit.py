"""JUnit: valid, and every verdict where a CI server looks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from lxml import etree

from fixtures import reports as fixtures
from fixtures.reports.golden import GOLDEN
from reports import junit
from reports.model import CaseResult, Report, Verdict
from reports.tests.samples import PATIENT, any_report, hostile, many, report_of

XSD = etree.XMLSchema(file=str(Path(fixtures.__file__).parent / "junit.xsd"))


def parsed(report: Report) -> Any:
    document = etree.fromstring(junit.render(report).encode())
    XSD.assertValid(document)
    return document


@given(any_report())
@PATIENT
def test_every_report_is_valid_and_its_counts_are_those_of_its_cases(report: Report) -> None:
    suite = parsed(report)[0]
    assert suite.get("tests") == str(len(suite.findall("testcase"))) == str(len(report.cases))
    for attribute, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert suite.get(attribute) == str(len(suite.findall(f"testcase/{element}")))


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_reports_are_valid(name: str) -> None:
    parsed(GOLDEN[name]())


@pytest.mark.parametrize(
    ("verdict", "end"),
    [
        (Verdict.PASS, None),
        (Verdict.FAIL, "failure"),
        (Verdict.TIMEOUT, "failure"),
        (Verdict.CRASH, "failure"),
        (Verdict.FLAKY, "failure"),
        (Verdict.ERROR, "error"),
        (Verdict.UNSUPPORTED, "skipped"),
        (Verdict.SKIPPED, "skipped"),
    ],
)
def test_a_verdict_is_an_end_of_its_own_type(verdict: Verdict, end: str | None) -> None:
    case = CaseResult("eventloop/test_dns::test_it[::1]", ("a/b",), "dns", verdict, 0.25, message="why")
    element = parsed(report_of([case])).find(".//testcase")
    assert dict(element.attrib) == {"classname": "eventloop.test_dns", "name": "test_it[::1]", "time": "0.250"}
    assert [(child.tag, child.get("type"), child.get("message")) for child in element] == (
        [(end, verdict.value, "why")] if end else []
    )


def test_a_known_bug_is_skipped_and_says_so() -> None:
    skipped = parsed(GOLDEN["known_bugs"]()).findall(".//skipped")
    assert [element.get("type") for element in skipped] == ["known bug"]
    assert "known CPython bug (3.13.0-3.13.1)" in skipped[0].get("message")


def test_a_cut_run_is_never_green() -> None:
    suite = parsed(GOLDEN["cut"]())[0]
    assert suite.get("errors") == "1"
    assert "not measured to the end" in suite.find("testcase/error").get("message")


def test_the_run_is_named_in_the_properties() -> None:
    found = {item.get("name"): item.get("value") for item in parsed(GOLDEN["deviating"]()).iter("property")}
    assert (found["target"], found["python"], found["profile"]) == ("gustloop", "CPython 3.13.1", "3.13")


def test_hostile_text_is_text() -> None:
    document = parsed(hostile())
    assert {element.tag for element in document.iter()} <= {
        *("testsuites", "testsuite", "properties", "property", "testcase", "failure", "error", "skipped"),
    }
    assert "</script>" in document.find(".//failure").text


def test_many_findings_make_no_file_that_a_server_refuses() -> None:
    text = junit.render(many(1_100, "x" * 30_000))
    assert len(text) < 1.6 * junit.STORIES_LIMIT
    assert "This file is full" in text


@pytest.mark.parametrize(
    "change",
    [
        lambda suite: suite.set("time", "1"),
        lambda suite: suite.attrib.pop("errors"),
        lambda suite: suite.append(etree.Element("errors")),
        lambda suite: suite.find("testcase").attrib.pop("name"),
        lambda suite: suite.find("testcase/failure").attrib.pop("type"),
        lambda suite: suite.find("testcase/failure").set("message", ""),
    ],
)
def test_the_schema_can_fail(change: Any) -> None:
    document = parsed(GOLDEN["deviating"]())
    change(document[0])
    assert not XSD.validate(document)
