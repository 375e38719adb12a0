"""Each program prints what its first lines say, with refloop as `asyncio`, and with asyncio as the control."""

from __future__ import annotations

import ast
import gc
import io
import os
import re
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "programs"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))

# They speak through logs, warnings or hooks, which pytest takes for itself, or start this interpreter anew.
SEPARATE = {"executors", "never_awaited", "never_retrieved", "slow_callback"}

# A program that takes so long hangs: the slowest starts an interpreter, and then another.
SECONDS_PER_PROGRAM = 60

OURS = "import refloop as asyncio\n"

# The first version whose asyncio has all that the program shows.
SINCE = {"as_they_complete": (3, 13), "call_graph": (3, 14)}


def promised(source: str) -> list[str]:
    """Return the patterns of the lines that a program says it prints."""
    text = ast.get_docstring(ast.parse(source))
    assert text is not None
    return [line.strip() for line in text.partition("\nPrints:\n")[2].splitlines()]


def give_up(_: object, __: object) -> None:
    """End a program that hangs."""
    raise TimeoutError(f"the program did not end within {SECONDS_PER_PROGRAM} seconds")


def printed_here(source: str, name: str) -> str:
    """Run the program in this process; return what it prints."""
    output = io.StringIO()
    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS_PER_PROGRAM)
    try:
        with redirect_stdout(output), redirect_stderr(output):
            exec(compile(source, f"{name}.py", "exec"), {"__name__": "__main__"})
            # What was forgotten complains now.
            gc.collect()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
    return output.getvalue()


def printed_elsewhere(source: str) -> str:
    """Run the program with an interpreter of its own; return what it prints and complains of, and insist on success.

    Nothing but the standard library and this checkout is needed; without site-packages it starts faster.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONUNBUFFERED": "1"}
    completed = subprocess.run(
        [sys.executable, "-S", "-W", "error", "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=environment,
        timeout=SECONDS_PER_PROGRAM,
        check=False,
        text=True,
    )
    assert completed.returncode == 0, completed.stdout
    return completed.stdout


def expression(pattern: str) -> str:
    """Return the regular expression for a line: `*` stands for anything, or, alone, for any number of lines."""
    return "(?:.*\n)*" if pattern == "*" else re.escape(pattern).replace(r"\*", ".*") + "\n"


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("world", ["refloop", "asyncio"])
def test_a_program_prints_what_it_should(name: str, world: str) -> None:
    source = (FOLDER / f"{name}.py").read_text()
    assert OURS in source
    if world == "asyncio":
        if sys.version_info < SINCE.get(name, (3, 11)):
            pytest.skip("asyncio of this version lacks it")
        source = source.replace(OURS, "import asyncio\n")
    expected = promised(source)
    assert expected
    output = printed_elsewhere(source) if name in SEPARATE else printed_here(source, name)
    assert re.fullmatch("".join(map(expression, expected)), output), output
