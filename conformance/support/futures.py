"""Ways to finish a future, as parameters, and its outcome as a value that compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import Future

FINISHES = ["set_result", "set_exception", "cancel"]


def finish_with(future: Future[Any], finish: str) -> None:
    """Finish ``future`` in one of the ways of ``FINISHES``, leaving no exception unretrieved."""
    if finish == "set_result":
        future.set_result("first")
    elif finish == "set_exception":
        future.set_exception(ValueError("first"))
        future.exception()
    else:
        future.cancel()


def outcome(future: Future[Any], aio: Any) -> tuple[str, object]:
    """How a done ``future`` ended; its exception counts as retrieved."""
    try:
        error = future.exception()
    except aio.CancelledError:
        return "cancelled", None
    return ("raised", error) if error is not None else ("returned", future.result())
