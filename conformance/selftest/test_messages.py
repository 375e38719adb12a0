"""A message says what was seen and what it was of; it is never a bare assertion or a traceback's first line."""

from __future__ import annotations

import pytest

from conformance.harness.messages import with_short_fractions
from conformance.selftest.running import run_suite
from reports.model import Verdict

TOLD = {
    "that_values_are_equal": "order is [2, 4, 0], expected [0, 2, 4]",
    "that_long_values_are_equal": "order has 7 at index 7, expected 'seven'",
    "that_something_is_true": "loop.is_closed() is False, expected True",
    "that_something_holds": "loop.is_closed() is False",
    "that_something_does_not_hold": "loop.is_running() is True, expected False",
    "that_nothing_was_reported": "errors is [LookupError('lost')], expected none",
    "that_something_is_of_a_class": "handle is <Loud one\\non two lines>, which is no threading.Thread",
    "that_a_number_is_not_small": "moment is 5248.403123, expected at least 5248.403373",
    "that_something_is_among_others": "names is ['made', 'lost'], without 'eof'",
    "that_it_says_so_itself": "still listening after close()",
    "that_a_program_was_quiet": "output is ['ended otherwise'], expected ['killed'], and it said: "
    "LookupError: no such thing",
    "that_an_error_is_raised": "{'one': 1}.pop('one') did not raise LookupError",
    "that_a_warning_is_given": "loop.set_debug(False) gave no RuntimeWarning",
    "that_somebody_comes": "waited 0.01 s for a condition that never came true, "
    "in wait_until(lambda: bool(received), bound=0.01)",
    "that_says_nothing": "threading.BrokenBarrierError, in threading.Barrier(2).wait(0.001)",
    "that_takes_too_long": "TimeoutError: timed out, in raise TimeoutError('timed out')",
    "that_raises": "",
    "that_runs_into_a_claim_of_the_loop": "number == 1 does not hold, in bare(2)",
    "that_runs_into_a_claim_that_says_so": "the number should be one, in worded(2)",
    "that_gives_up": "the peer never came",
}


def test_a_message_says_what_was_seen() -> None:
    report = run_suite("telling", "asyncio")
    cases = {case.id.partition("::")[2]: case.attempts[0] for case in report.cases if case.attempts}
    # A loop that lacks a method says so itself.
    assert cases.pop("that_raises").verdict is Verdict.UNSUPPORTED
    told = {name: attempt.message for name, attempt in cases.items()}
    assert told == {name: message for name, message in TOLD.items() if message}


@pytest.mark.parametrize(
    ("message", "short"),
    [
        ("fired at 0.000303544, not 0.0014", "fired at 0.000304, not 0.0014"),
        ("seen[1] is 3600.0000001, expected 3600.0000002", "seen[1] is 3600.0000001, expected 3600.0000002"),
        ("off by 0.0000001", "off by 0.0000001"),
        ("no number", "no number"),
    ],
)
def test_a_fraction_is_short_unless_it_then_says_nothing(message: str, short: str) -> None:
    assert with_short_fractions(message) == short
