"""What the cases about inspecting another process share: a program that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from conformance.support.commands import (
    COMMAND,
    INSPECTION,
    check_inspected,
    require_command,
    require_inspection,
)

if TYPE_CHECKING:
    import subprocess

    from conformance.support.programs import RunProgram
    from conformance.target import Target


class Inspect(Protocol):
    """Run ``inspection`` beside the process ``pid``, in which ``program`` has called ``is_ready()``.

    ``command("ps", pid)`` is the namespace's command and gives its exit code, which ends the inspecting process.
    """

    def __call__(self, program: str, inspection: str) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def inspect(target: Target, run_program: RunProgram) -> Inspect:
    """A process that inspects its child with the command of the target's namespace.

    NotImplementedError where it has none; where the system or the interpreter cannot inspect, the case is skipped.
    """

    def run(program: str, inspection: str) -> subprocess.CompletedProcess[str]:
        require_inspection()
        require_command(target.namespace_name)
        finished = run_program(
            f"{COMMAND}\n{INSPECTION}\n{program}\npid = fork(program)\n"
            f"try:\n    code = {inspection}\nfinally:\n    end(pid)\nsys.exit(code)\n"
        )
        check_inspected(finished)
        return finished

    return run
