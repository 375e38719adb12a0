"""The exception of files that the system cannot send; when it is raised stands with ``sendfile()``."""

from __future__ import annotations

from typing import Any

from conformance.support.marks import requirement


@requirement("SendfileNotAvailableError/is-runtimeerror-subclass")
def test_sendfilenotavailableerror_is_a_runtimeerror(aio: Any) -> None:
    assert issubclass(aio.SendfileNotAvailableError, RuntimeError)
