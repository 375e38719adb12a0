"""Of the stacks of a hang or a crash the case comes first, and what carries it is folded away.

The traces in ``fixtures/traces`` are what real workers left, on each interpreter.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.harness.naming import ROOT
from conformance.harness.stacks import ANSWERING, Dump, place, tell

TRACES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "fixtures" / "traces").glob("*.txt"))}

FOLD = re.compile(r"^  … (?:and )?(\d+) ", re.MULTILINE)

PLACES = {
    "crash": r"in string_at \(__init__.py:\d+\)",
    "hang": r"in wait \(hangs.py:34\)",
    "hang-watched-from-inside": r"in wait \(hangs.py:34\)",
    "waits": r"in select \(selectors.py:\d+\), "
    r"while 2 tasks wait, the first in test_a_future_that_never_comes \(test_waiting.py:21\)",
}


@pytest.mark.parametrize("name", TRACES)
def test_the_case_comes_first_and_the_harness_is_one_line(name: str) -> None:
    told = tell(TRACES[name])
    first = re.search(r"^\S.*\(most recent call first\):$", told, re.MULTILINE)
    assert first is not None
    assert first[0].startswith("The case's thread 0x")
    assert "fixtures/suites/" in told
    for carrier in ("_pytest/", "pluggy/", "conformance/harness/", "runpy", "importlib"):
        assert carrier not in told
    (harness,) = re.findall(r"^  … (\d+) frames of pytest and the harness$", told, re.MULTILINE)
    assert int(harness) > 20


@pytest.mark.parametrize("name", TRACES)
def test_the_message_says_where_the_case_stands(name: str) -> None:
    assert re.fullmatch(PLACES[name.partition("-")[2]], place(TRACES[name]))


@pytest.mark.parametrize("name", TRACES)
def test_every_line_is_told_or_counted(name: str) -> None:
    assert counted(tell(TRACES[name])) == counted(TRACES[name])


def counted(text: str) -> int:
    """How many lines the text has or stands for, without those of whoever dumped it."""
    lines = [line for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if "conformance/harness/lastwords.py" not in line]
    folds = [int(number) for number in FOLD.findall(text)]
    return len(lines) - len(folds) + sum(folds)


def test_tasks_come_before_other_threads_and_c_comes_last() -> None:
    other = (
        'Thread 0x00007f668e9ff6c0 [wörker one] (most recent call first):\n  File "/srv/worker.py", line 5 in work\n'
    )
    told = tell(other + "\n" + TRACES["3.15-waits"] + TRACES["3.15-crash"].partition("\n\n")[2].partition("\n\n")[2])
    titles = re.findall(r"^\S.*(?= \(most recent call first\):$)", told, re.MULTILINE)
    assert [title.split(" 0x")[0] for title in titles] == [
        "The case's thread",
        "Task Task-3",
        "Task helper",
        "Thread",
        "Current thread's C stack trace",
    ]
    assert "  … 22 frames of the interpreter" in told
    assert "ffi_call+0x155" in told


CRASH_ELSEWHERE = """Fatal Python error: Segmentation fault

Current thread 0x00007f87df9ff6c0 (most recent call first):
  File "/srv/gustloop/_poll.py", line 88 in wait
  File "/usr/lib/python3.13/threading.py", line 992 in run

Thread 0x00007f87e1058b80 (most recent call first):
  File "/srv/suite/conformance/cases/eventloop/test_threads.py", line 37 in test_it
  File "/srv/venv/lib/python3.13/site-packages/_pytest/python.py", line 1798 in runtest
  File "/srv/venv/lib/python3.13/site-packages/pluggy/_execution.py", line 147 in _multicall

Extension modules: gustloop._core, uvloop.loop (total: 2)
"""


def test_a_crash_in_another_thread_comes_before_the_case() -> None:
    assert tell(CRASH_ELSEWHERE) == (
        "Fatal Python error: Segmentation fault\n\n"
        "Current thread 0x00007f87df9ff6c0 (most recent call first):\n"
        '  File "/srv/gustloop/_poll.py", line 88 in wait\n'
        '  File "/usr/lib/python3.13/threading.py", line 992 in run\n\n'
        "The case's thread 0x00007f87e1058b80 (most recent call first):\n"
        '  File "/srv/suite/conformance/cases/eventloop/test_threads.py", line 37 in test_it\n'
        "  … 2 frames of pytest and the harness\n\n"
        "Extension modules: gustloop._core, uvloop.loop (total: 2)"
    )
    assert place(CRASH_ELSEWHERE) == "in wait (_poll.py:88)"


def test_what_waits_in_the_support_is_the_case() -> None:
    trace = (
        "Thread 0x1 (most recent call first):\n"
        '  File "/srv/conformance/support/waiting.py", line 56 in wait_until\n'
        '  File "/srv/conformance/cases/eventloop/test_threads.py", line 37 in test_it\n'
        '  File "/srv/pluggy/_callers.py", line 3 in _multicall\n'
    )
    assert place(trace) == "in test_it (test_threads.py:37)"
    assert "in wait_until" in tell(trace)


def test_a_call_that_recurs_is_told_once() -> None:
    frame = '  File "/srv/gustloop.py", line 10 in dive'
    told = tell("Thread 0x1 (most recent call first):\n" + f"{frame}\n" * 99 + "  ...\n")
    assert told.splitlines()[1:] == [frame, "  … and 98 more of this call", "  ..."]


def test_a_loop_that_is_not_written_in_python_is_said_to_run() -> None:
    trace = (
        "Thread 0x1 (most recent call first):\n"
        '  File "/srv/conformance/harness/plugin.py", line 208 in pytest_pyfunc_call\n'
        '  File "/srv/pluggy/_callers.py", line 3 in _multicall\n'
    )
    assert tell(trace).splitlines()[1:] == [
        "  the loop runs, but no Python of its own",
        "  … 2 frames of pytest and the harness",
    ]
    assert place(trace) == ""
    assert (
        place(f'{trace}\nTask a (most recent call first):\n  File "x.py", line 3 in y\n')
        == "a task waits in y (x.py:3)"
    )


@pytest.mark.parametrize("name", ["3.11-crash", "3.15-crash", "3.15-waits"])
def test_a_trace_that_is_torn_off_is_told_as_far_as_it_goes(name: str) -> None:
    text = TRACES[name]
    for end in range(0, len(text), 97):
        assert counted(tell(text[:end])) == counted(text[:end])
        place(text[:end])


LINES = st.sampled_from([line for text in TRACES.values() for line in text.splitlines()]) | st.text(max_size=40)


@given(st.lists(LINES, max_size=60))
def test_of_any_text_every_line_is_told_or_counted(lines: list[str]) -> None:
    text = "\n".join(line for line in "\n".join(lines).splitlines() if "…" not in line and not ANSWERING.search(line))
    told = tell(text)
    place(text)
    assert counted(told) == counted(text)
    before = Dump.of(text).before
    assert told.startswith("\n".join(before))
