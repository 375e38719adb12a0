"""Connecting to a host with several addresses: in turn, or with attempts that overlap (RFC 8305)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.listeners import attempts_under_way, has_connection, overfull, twins
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.protocols import Recorder
from conformance.support.waiting import bounded, turns, until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Seconds: reached at once, and never.
BRIEF = 0.01
NEVER = 3600.0
# Seconds in which an attempt that is not to be made would show. A loop that makes none cannot fail for it.
A_WHILE = 0.03

IN_TURN_AND_OVERLAPPING = pytest.mark.parametrize(
    "options", [{}, {"happy_eyeballs_delay": NEVER}], ids=["in-turn", "happy-eyeballs"]
)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="where the kernel's connections are listed")


async def end(loop: AbstractEventLoop, transport: Any, protocol: Any) -> None:
    """Break a connection off and wait for its end."""
    transport.abort()
    await until(loop, lambda: protocol.lost)


async def call_off(loop: AbstractEventLoop, aio: Any, connecting: Any) -> None:
    """Cancel an attempt to connect, and let what it has begun end as well."""
    connecting.cancel()
    with pytest.raises(aio.CancelledError):
        await connecting
    await turns(loop)


@on_loops(PLAIN, DEBUG)
@IN_TURN_AND_OVERLAPPING
@requirement("loop.create_connection/falls-through-to-next-address")
async def test_when_one_address_refuses_the_next_is_tried_at_once(
    loop: Any, reported: list[dict[str, Any]], options: dict[str, Any]
) -> None:
    with twins() as both:
        made = await bounded(loop, loop.create_connection(Recorder, both.host, both.port, **options))
        assert has_connection(both.second)
        assert made[0].get_extra_info("peername") == both.second.getsockname()
        await end(loop, *made)
    assert reported == []


@IN_TURN_AND_OVERLAPPING
@requirement("loop.create_connection/falls-through-to-next-address")
async def test_once_an_address_connects_no_other_is_tried(loop: Any, options: dict[str, Any]) -> None:
    with twins() as both:
        both.first.listen()
        made = await loop.create_connection(Recorder, both.host, both.port, **options)
        assert (has_connection(both.first), has_connection(both.second)) == (True, False)
        assert made[1].events == ["made"]
        await end(loop, *made)


@on_loops(PLAIN, DEBUG, EAGER)
@requirement(
    "loop.create_connection/happy-eyeballs-starts-parallel-attempt",
    "loop.create_connection/first-successful-attempt-wins",
)
async def test_an_address_that_does_not_answer_is_overtaken_by_the_next(
    loop: Any, reported: list[dict[str, Any]]
) -> None:
    with twins() as both, overfull(both.first):
        connecting = loop.create_connection(Recorder, both.host, both.port, happy_eyeballs_delay=BRIEF)
        made = await bounded(loop, connecting)
        assert made[0].get_extra_info("peername") == both.second.getsockname()
        await end(loop, *made)
    assert reported == []


@linux_only
@requirement("loop.create_connection/first-successful-attempt-wins")
async def test_the_attempt_that_was_overtaken_is_called_off(loop: Any) -> None:
    with twins() as both, overfull(both.first):
        connecting = loop.create_connection(Recorder, both.host, both.port, happy_eyeballs_delay=BRIEF)
        made = await bounded(loop, connecting)
        await until(loop, lambda: attempts_under_way(both.port) == 0)
        await end(loop, *made)


@linux_only
@requirement("loop.create_connection/happy-eyeballs-starts-parallel-attempt")
async def test_the_first_attempt_goes_on_when_the_next_has_failed(loop: Any, aio: Any) -> None:
    with twins() as both, overfull(both.first):
        both.second.close()
        connecting = loop.create_task(
            loop.create_connection(Recorder, both.host, both.port, happy_eyeballs_delay=BRIEF)
        )
        await until(loop, lambda: attempts_under_way(both.port))
        # Long enough for the next to be refused; if it was not yet, the case shows less.
        await aio.sleep(A_WHILE)
        assert (connecting.done(), attempts_under_way(both.port)) == (False, 1)
        await call_off(loop, aio, connecting)


@requirement("loop.create_connection/happy-eyeballs-starts-parallel-attempt")
async def test_the_next_attempt_does_not_begin_before_the_delay_has_passed(loop: Any, aio: Any) -> None:
    with twins() as both, overfull(both.first):
        connecting = loop.create_task(
            loop.create_connection(Recorder, both.host, both.port, happy_eyeballs_delay=NEVER)
        )
        await aio.sleep(A_WHILE)
        assert (connecting.done(), has_connection(both.second)) == (False, False)
        await call_off(loop, aio, connecting)


@requirement("loop.create_connection/accepts-happy-eyeballs-interleave-keywords")
async def test_without_a_delay_attempts_do_not_overlap(loop: Any, aio: Any) -> None:
    with twins() as both, overfull(both.first):
        connecting = loop.create_task(loop.create_connection(Recorder, both.host, both.port))
        await aio.sleep(A_WHILE)
        assert (connecting.done(), has_connection(both.second)) == (False, False)
        await call_off(loop, aio, connecting)


@linux_only
@requirement("loop.create_connection/happy-eyeballs-starts-parallel-attempt")
async def test_cancelling_calls_off_every_attempt_that_overlaps(loop: Any, aio: Any) -> None:
    with twins() as both, overfull(both.first), overfull(both.second):
        connecting = loop.create_task(
            loop.create_connection(Recorder, both.host, both.port, happy_eyeballs_delay=BRIEF)
        )
        await until(loop, lambda: attempts_under_way(both.port) == 2)
        await call_off(loop, aio, connecting)
        await until(loop, lambda: attempts_under_way(both.port) == 0)
