"""The report as JUnit XML, for the CI servers that read it.

JUnit knows four ends of a test. What speaks against the target is a failure whose type is the verdict; the suite's own
fault is an error; what did not apply, is not supported or is CPython's known bug is skipped and says so. A cut run has
one error more, so that it is never green.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from reports.model import DEVIATIONS, Verdict
from reports.summary import headline
from reports.text import clip, one_line, plain

if TYPE_CHECKING:
    from reports.model import CaseResult, Report

JUNIT_XML = "junit.xml"

STORIES_LIMIT = 20_000_000
"""Characters of all stories together: CI servers refuse files of some tens of megabytes and then show nothing."""

_FAILURE, _ERROR, _SKIPPED = "failure", "error", "skipped"


def render(report: Report) -> str:
    """``report`` as a JUnit document, in the dialect that Jenkins, GitLab and pytest share."""
    ends = [_end(case) for case in report.cases]
    cut = not report.complete
    suite = ET.Element(
        "testsuite",
        name=f"asyncio-conformance {one_line(report.target.name)}",
        tests=str(len(ends) + cut),
        failures=str(ends.count(_FAILURE)),
        errors=str(ends.count(_ERROR) + cut),
        skipped=str(ends.count(_SKIPPED)),
        time=_time(report.seconds),
        timestamp=one_line(report.started),
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(report).items():
        ET.SubElement(properties, "property", name=name, value=one_line(value))
    if cut:
        _cut(suite, report)
    room = STORIES_LIMIT
    for case, end in zip(report.cases, ends, strict=True):
        story = _story(case) if end in (_FAILURE, _ERROR) else ""
        if len(story) > room:
            story = "This file is full; report.json has the whole story."
        room -= len(story)
        _case(suite, case, end, story)
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _end(case: CaseResult) -> str:
    if case.known_bug is not None:
        return _SKIPPED
    if case.verdict in DEVIATIONS:
        return _FAILURE
    if case.verdict is Verdict.ERROR:
        return _ERROR
    return "" if case.verdict is Verdict.PASS else _SKIPPED


def _properties(report: Report) -> dict[str, str]:
    return {
        "target": report.target.name,
        "target.version": report.target.version or "",
        "target.factory": report.target.factory,
        "target.namespace": report.target.namespace,
        "python": f"{report.python.implementation} {report.python.version}",
        "platform": f"{report.platform.system} {report.platform.release} {report.platform.machine}",
        "profile": report.suite.profile,
        "suite.version": report.suite.version,
        "complete": "true" if report.complete else "false",
        "requirements.total": str(report.totals.requirements.total),
        "requirements.verified": str(report.totals.requirements.verified),
    }


def _cut(suite: ET.Element, report: Report) -> None:
    element = ET.SubElement(
        suite, "testcase", name="the run is complete", classname="asyncio_conformance", time="0.000"
    )
    ET.SubElement(element, _ERROR, type="incomplete", message=headline(report)).text = headline(report)


def _case(suite: ET.Element, case: CaseResult, end: str, story: str) -> None:
    module, _, name = plain(case.id).partition("::")
    element = ET.SubElement(suite, "testcase", name=name, classname=module.replace("/", "."), time=_time(case.seconds))
    if not end:
        return
    message = one_line(case.message) or case.verdict.value
    if case.known_bug is not None:
        bug = case.known_bug
        kind = "known bug"
        message = one_line(f"known CPython bug ({bug.versions}): {bug.instead}; see {bug.issue}")
    else:
        kind = case.verdict.value
    ET.SubElement(element, end, type=kind, message=message).text = story or None


def _story(case: CaseResult) -> str:
    facts = [("requirement", ", ".join(case.requirements))]
    if case.expected is not None:
        facts.append(("expected", clip(case.expected)))
    if case.seen is not None:
        facts.append(("seen", clip(case.seen)))
    if case.control is not None:
        facts.append(("on asyncio itself", case.control.value))
    if case.repeat:
        facts.append(("repeat", case.repeat))
    lines = [f"{name}: {plain(value)}" for name, value in facts]
    return "\n".join([*lines, "", clip(case.details)] if case.details else lines)


def _time(seconds: float) -> str:
    return f"{max(seconds, 0.0):.3f}"
