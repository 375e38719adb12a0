"""Whatever a loop printed is fit to be shown."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.tests.samples import HOSTILE, PATIENT, any_text
from reports.text import clip, count, one_line, plain, seconds


@given(any_text())
@PATIENT
def test_plain_text_stands_in_xml_and_utf_8(text: str) -> None:
    shown = plain(text)
    assert (ET.fromstring(f"<a>{escape(shown)}</a>").text or "") == shown
    assert shown.encode().decode() == shown
    assert "\x1b" not in shown
    assert "\r" not in shown


@given(any_text())
@PATIENT
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@pytest.mark.parametrize("mark", "\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\x85\x9b")
def test_what_moves_other_text_is_named(mark: str) -> None:
    named = f"\\x{ord(mark):02x}" if ord(mark) < 0x100 else f"\\u{ord(mark):04x}"
    assert plain(f"a{mark}b") == one_line(f"a{mark}b") == f"a{named}b"


def test_an_unfinished_title_hides_nothing() -> None:
    assert plain("\x1b]0;title and\nthe story") == "\\x1b]0;title and\nthe story"
    assert plain("\x1b]0;title\x07and\x1b]0;title\x1b\\the story") == "andthe story"


def test_what_cannot_be_shown_is_named() -> None:
    assert plain("\x1b[1;31mred\x1b[0m") == "red"
    assert plain("a\x00b\udc80c\x9b") == "a\\x00b\\udc80c\\x9b"
    assert plain("a\r\nb\rc\td") == "a\nb\nc\td"


@given(any_text(), st.integers(2, 40))
@PATIENT
def test_one_line_is_one_line_of_at_most_the_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.splitlines() in ([], [line])


def test_a_long_text_keeps_head_and_tail_and_says_what_is_missing() -> None:
    text = "HEAD" + "x" * 1000 + "TAIL"
    shown = clip(text, 100)
    assert shown.startswith("HEAD")
    assert shown.endswith("TAIL")
    assert "908 characters are left out" in shown
    assert len(shown) < 250


@given(st.text("abc", max_size=500), st.integers(10, 100))
def test_what_is_left_out_is_counted(text: str, limit: int) -> None:
    shown = clip(text, limit)
    if len(text) <= limit:
        assert shown == text
    else:
        head, note, tail = shown.split("\n")
        missing = int(note.split()[1].replace(",", ""))
        assert len(head) + missing + len(tail) == len(text)


def test_a_hundred_megabytes_are_clipped_without_being_read() -> None:
    assert len(clip(HOSTILE * 400_000)) < 25_000


@pytest.mark.parametrize(("number", "words"), [(1, "1 case"), (0, "0 cases"), (1200, "1,200 cases")])
def test_counts_agree_with_their_noun(number: int, words: str) -> None:
    assert count(number, "case") == words


@pytest.mark.parametrize(
    ("duration", "words"), [(0.0042, "4 ms"), (4.18, "4.2 s"), (725, "12 min 5 s"), (7260, "2 h 1 min")]
)
def test_durations_read_like_speech(duration: float, words: str) -> None:
    assert seconds(duration) == words
