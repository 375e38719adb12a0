"""Happy eyeballs (RFC 8305): connection attempts that overlap, of which the first to succeed wins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from refloop.waiting import FIRST_COMPLETED, wait

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

T = TypeVar("T")


async def first_to_succeed(
    loop: Any,
    attempts: Sequence[Callable[[], Coroutine[Any, Any, T]]],
    delay: float,
    discard: Callable[[Any], object],
) -> tuple[T | None, list[Exception]]:
    """Return the result of the first attempt to succeed, None when none does, and the exceptions of those that failed.

    The next attempt starts when the one before it has failed, or has not ended `delay` seconds after its start. When
    one succeeds the others are cancelled; the result of one that ends at the same moment is given to `discard`.

    Keeps: loop.create_connection/happy-eyeballs-starts-parallel-attempt,
    loop.create_connection/first-successful-attempt-wins.
    """
    to_start = list(reversed(attempts))
    running: set[Any] = set()
    errors: list[Exception] = []
    winners: list[T] = []
    try:
        while to_start or running:
            if to_start:
                running.add(loop.create_task(to_start.pop()()))
            failed = False
            while running and not failed:
                done, running = await wait(running, timeout=delay if to_start else None, return_when=FIRST_COMPLETED)
                if not done:
                    break
                for attempt in done:
                    error = attempt.exception()
                    if error is None:
                        winners.append(attempt.result())
                    elif isinstance(error, Exception):
                        errors.append(error)
                        failed = True
                    else:
                        raise error
                if winners:
                    for late in winners[1:]:
                        discard(late)
                    return winners[0], errors
        return None, errors
    finally:
        try:
            await _call_off(running, discard)
        except BaseException:
            # Cancelled meanwhile: nobody gets the result any more.
            for winner in winners[:1]:
                discard(winner)
            raise


async def _call_off(running: set[Any], discard: Callable[[Any], object]) -> None:
    """Cancel the attempts and see to their end, also if nobody waits for it any more."""

    def drop(attempt: Any) -> None:
        if not attempt.cancelled() and attempt.exception() is None:
            discard(attempt.result())

    for attempt in running:
        attempt.add_done_callback(drop)
        attempt.cancel()
    if running:
        await wait(running)
