"""What the cases about the prompt share: a way to type into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from conformance.support.commands import COMMAND, require_command

if TYPE_CHECKING:
    import subprocess

    from conformance.support.programs import RunProgram
    from conformance.target import Target


class Prompt(Protocol):
    """Type ``text`` into the prompt of ``python -m NAMESPACE`` and end it.

    ``before`` and ``after`` are run by the process before the prompt begins and after it has ended.
    What the module's cases type stands in its ``TYPED``, so that one interpreter can begin all of their prompts.
    """

    def __call__(self, text: str, *, before: str = "", after: str = "") -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def prompt(request: pytest.FixtureRequest, target: Target, run_program: RunProgram) -> Prompt:
    """The prompt of the target's namespace. NotImplementedError where it has none."""

    def run(text: str, *, before: str = "", after: str = "") -> subprocess.CompletedProcess[str]:
        require_command(target.namespace_name)
        return run_program(typing(text, before, after), among=[typing(each) for each in request.module.TYPED])

    return run


def typing(text: str, before: str = "", after: str = "") -> str:
    """The program that types ``text`` into its own prompt."""
    return f"{COMMAND}\n{before}\ntype_in({text!r})\ncode = command()\n{after}\nsys.exit(code)\n"
