"""The shape of the ``run_program`` fixture, for cases that need a process of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping


class RunProgram(Protocol):
    """Run ``source`` in a fresh interpreter in which ``make_loop`` (the target's factory) and ``aio`` are defined.

    ``flags`` are interpreter options (``"-X", "dev"``), ``env`` is added to the environment. Returns the finished
    process: ``stdout`` and ``stderr`` as text, ``returncode``.
    """

    def __call__(
        self, source: str, *flags: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]: ...
