"""HTML: one self-contained page in which everything can be found, and no text of a case becomes markup."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from lxml import html as lxml_html

from fixtures.reports.golden import GOLDEN
from reports import html
from reports.model import CaseResult, Report, Verdict
from reports.tests.samples import PATIENT, any_report, hostile, many, report_of

STYLE = (Path(html.__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")


def page(report: Report) -> Any:
    return lxml_html.document_fromstring(html.render(report))


def text_of(element: Any) -> str:
    return " ".join(str(element.text_content()).split())


def test_the_page_needs_no_network(golden: Report) -> None:
    document = page(golden)
    assert not document.xpath("//@src | //@srcset | //link[@rel='stylesheet'] | //iframe | //object | //img")
    assert document.xpath("//link/@href") == ["data:,"]
    assert not re.search(r"url\(|@import", STYLE)
    policy = document.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")[0]
    assert policy.startswith("default-src 'none';")
    assert all(href.startswith(("#", "https://")) for href in document.xpath("//a/@href"))


def test_every_number_of_the_head_has_its_denominator(deviating: Report) -> None:
    legends = [text_of(item) for item in page(deviating).xpath("//ul[@class='legend']/li")]
    assert legends[:3] == ["12 of 23 verified", "6 of 23 failed", "1 of 23 known bug"]
    assert all(re.fullmatch(r"\d+ of (23|29) [a-z ]+", legend) for legend in legends)
    assert "%" not in text_of(page(deviating).find("body/header"))


def test_every_section_counts_out_of_a_total(deviating: Report) -> None:
    counted = {item.get("id"): text_of(item.find("h2/span")) for item in page(deviating).xpath("//main/section")}
    assert counted == {
        "fails": "6 of 29 cases",
        "faults": "1 of 29 cases",
        "known": "1 of 29 cases",
        "probes": "6 of 7 features supported",
        "areas": "16 areas",
        "cases": "21 of 29 cases",
        "requirements": "12 of 23 verified",
    }


@pytest.mark.parametrize(
    "fact",
    ["gustloop:EventLoop", "gustloop 0.9.2", "CPython 3.13.1", "documentation of Python 3.13", "31.7 s", "complete"],
)
def test_the_head_says_what_was_run_and_where(deviating: Report, fact: str) -> None:
    assert fact in text_of(page(deviating).find("body/header"))


def test_a_cut_run_says_so() -> None:
    assert "cut (interrupted), 9 of 29 cases" in text_of(page(GOLDEN["cut"]()).find("body/header"))


def test_a_finding_has_its_whole_story(deviating: Report) -> None:
    case = next(case for case in deviating.cases if case.deviates)
    card = next(item for item in page(deviating).xpath("//details") if item.get("id") == case.id)
    text = text_of(card)
    assert case.source is not None
    assert case.expected is not None
    assert case.seen is not None
    for part in (case.message, case.expected, case.seen, case.source.file, case.repeat, "passes on asyncio itself"):
        assert part in text
    assert "At index 0 diff: 99 != 0" in text
    assert card.xpath(".//span[@class='n']/text()")[0] == str(case.source.line)
    heading = text_of(card.getparent().find("h3"))
    assert heading == "runs callbacks in the order in which they were registered loop.call_soon/fifo-order"
    assert card.getparent().xpath("h3/a/@href") == ["https://docs.python.org/3/library/asyncio-eventloop.html"]


def test_attempts_stacks_and_signals_are_shown(deviating: Report) -> None:
    text = text_of(page(deviating))
    assert "fail in 2 ms: the timer ran 0.4 ms early" in text
    assert "gustloop/_poll.py" in text
    assert "SIGSEGV (11)" in text


def test_every_case_and_every_requirement_is_on_the_page_once(golden: Report) -> None:
    ids = page(golden).xpath("//*[@data-a]/@id")
    expected = [case.id for case in golden.cases] + [f"requirement:{item.id}" for item in golden.requirements]
    assert sorted(ids) == sorted(expected)


def test_unverified_requirements_are_named_and_not_green(deviating: Report) -> None:
    rows = page(deviating).xpath("//li[starts-with(@id, 'requirement:')]")
    badges = {row.get("id"): text_of(row.find("span")) for row in rows}
    assert badges["requirement:loop.slow_callback_duration/default"] == "unverified"
    assert badges["requirement:loop.call_soon/fifo-order"] == "failed"
    assert badges["requirement:loop.call_soon/runs-in-given-context"] == "known bug"


@given(any_report())
@PATIENT
def test_every_link_into_the_page_leads_somewhere(report: Report) -> None:
    document = page(report)
    ids = set(document.xpath("//@id"))
    for href in document.xpath("//a/@href[starts-with(., '#')]"):
        assert href == "#" or unquote(href[1:]) in ids


def test_hostile_text_is_text() -> None:
    document = page(hostile())
    assert len(document.xpath("//script")) == len(document.xpath("//style")) == 1
    assert "alert(1)" not in document.xpath("//script")[0].text
    assert "alert(1)" in document.xpath("//pre")[0].text
    assert "49" not in document.xpath("//pre")[0].text
    assert not document.xpath("//@*[starts-with(name(), 'on')]")
    assert not document.xpath("//a[starts-with(@href, 'javascript:')]")
    html.render(hostile()).encode()


def test_a_link_of_a_report_cannot_run_a_script() -> None:
    assert not page(hostile("javascript:alert(1)")).xpath("//a[starts-with(@href, 'javascript')]")


def test_twenty_thousand_findings_stay_a_page_that_opens_and_it_says_what_is_left_out() -> None:
    text = html.render(many(20_000, "</script>" * 3_000))
    assert len(text) < 30_000_000
    assert "19,000 cases of these are below among the other cases" in text
    assert text.count('class="case"') == html.CARDS_LIMIT


def test_long_details_are_cut_and_say_so() -> None:
    report = many(1, "HEAD" + "x" * 1_000_000 + "TAIL")
    text = html.render(report)
    assert len(text) < 100_000
    assert "980,008 characters are left out here; report.json has them all" in text


def test_few_findings_are_open_and_many_are_not(deviating: Report) -> None:
    assert not page(deviating).xpath("//details[@class='case'][@open]")
    assert len(page(many(2)).xpath("//details[@class='case'][@open]")) == 2


def test_a_clean_page_says_so() -> None:
    document = page(GOLDEN["clean"]())
    assert "No case is held against the loop." in text_of(document)
    assert not document.xpath("//*[@id='fails']")
    assert "No case is held" not in text_of(page(many(5, verdict=Verdict.SKIPPED)))


def test_variants_are_folded_and_each_has_its_story() -> None:
    cases = [
        CaseResult(f"a/b::c[{name}]", ("r",), "x", Verdict.FAIL, 0.1, f"{n} ms early", details=f"details of {name}")
        for n, name in enumerate(("plain", "debug", "eager", "uneven"))
    ]
    document = page(report_of([*cases, CaseResult("a/b::c[other]", ("r",), "x", Verdict.CRASH, 0.1, "SIGSEGV")]))
    (fold,) = document.xpath("//details[@data-fold]")
    assert text_of(fold.find("summary")) == "fail a/b::c4 variants: plain, debug, eager, uneven… ms early"
    stories = fold.xpath(".//details[@data-a]")
    assert [item.get("id") for item in stories] == [case.id for case in cases]
    assert text_of(stories[1].find("summary")) == "fail debug1 ms early"
    assert "details of debug" in text_of(stories[1])
    # What took the process away comes first.
    assert document.xpath("//*[@data-a]/@id")[0] == "a/b::c[other]"


def test_a_cause_of_many_comes_first_and_is_named_once() -> None:
    report = many(500)
    crash = CaseResult("a/b::c", ("r",), "x", Verdict.CRASH, 0.1, "SIGSEGV")
    headings = page(report_of([crash, *report.cases], report.requirements)).xpath("//section[@id='fails']//h3")
    assert [text_of(item) for item in headings] == [
        "500 cases in 50 requirements expected one thing, seen another",
        "r",
    ]
    assert html.render(report).count("expected one thing, seen another") == 1


def test_landmarks_headings_and_labels(deviating: Report) -> None:
    document = page(deviating)
    for landmark in ("header", "nav", "main", "footer"):
        assert len(document.xpath(f"//{landmark}")) == 1
    assert len(document.xpath("//h1")) == 1
    assert document.get("lang") == "en"
    ids = set(document.xpath("//@id"))
    assert set(document.xpath("//@aria-labelledby")) <= ids
    for control in document.xpath("//input | //select"):
        assert text_of(control.getparent())
    assert len(ids) == len(document.xpath("//@id"))


def luminance(colour: str) -> float:
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_contrast_is_at_least_what_wcag_asks_of_text(scheme: int) -> None:
    block = re.findall(r":root \{(.*?)\}", STYLE, flags=re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6});", block))
    inks = ("ink", "muted", "link", "green", "red", "plum", "amber", "violet", "blue", "grey")
    pairs = [(ink, paper) for ink in inks for paper in ("bg", "panel")]
    pairs += [("on", paper) for paper in ("green", "red", "plum", "amber", "violet")]
    pairs += [("ink", "sunk"), ("muted", "sunk")]
    for ink, paper in pairs:
        lighter, darker = sorted((luminance(colours[ink]), luminance(colours[paper])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (ink, paper)
