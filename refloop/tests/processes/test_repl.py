"""`python -m refloop`, like `python -m asyncio`."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Starting Python and compiling everything may take long on a busy machine.
SECONDS = 60


def talk(module: str, typed: str) -> tuple[str, str, int]:
    """Type this into the prompt; return what it prints, what it reports and its exit code."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", module], input=typed, capture_output=True, text=True, timeout=SECONDS
    )
    return done.stdout, done.stderr, done.returncode


@pytest.fixture(params=["refloop", "asyncio"])
def module(request: pytest.FixtureRequest) -> str:
    """The module that is run."""
    name: str = request.param
    return name


def test_a_failing_statement_is_shown_and_the_prompt_goes_on(module: str) -> None:
    output, errors, code = talk(
        module, "1 / 0\nasync def f(): raise LookupError('on purpose')\n\nawait f()\nprint('on')\n"
    )
    assert "ZeroDivisionError" in errors
    assert "LookupError: on purpose" in errors
    assert "on\n" in output
    assert code == 0


def test_tasks_go_on_while_the_prompt_waits_and_end_with_it(module: str) -> None:
    typed = (
        "async def f():\n try: await asyncio.sleep(1000)\n finally: print('cleared')\n\nt = asyncio.create_task(f())\n"
    )
    output, _, code = talk(module, typed + "await asyncio.sleep(0)\n")
    if module == "refloop":
        assert "cleared" in output
    assert code == 0


def test_exit_ends_it_with_the_given_code() -> None:
    assert talk("refloop", "raise SystemExit(7)\n")[2] == 7


def test_context_variables_last_from_one_statement_to_the_next() -> None:
    typed = "import contextvars\nv = contextvars.ContextVar('v')\ntoken = v.set('kept')\nprint(v.get())\n"
    assert "kept" in talk("refloop", typed)[0]


@pytest.mark.parametrize("command", ["ps", "pstree"])
def test_what_needs_the_standard_librarys_tasks_says_so_in_one_line(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "refloop", command, "1"], capture_output=True, text=True, timeout=SECONDS
    )
    assert (done.stdout, len(done.stderr.splitlines()), done.returncode) == ("", 1, 2)
    assert f"python -m asyncio {command} PID" in done.stderr
