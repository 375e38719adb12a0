"""`python -m refloop`, like `python -m asyncio`."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading

import pytest

requirement = pytest.mark.requirement

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


@requirement("python-m-asyncio/allows-top-level-await")
def test_await_works_at_top_level(module: str) -> None:
    output, errors, code = talk(module, "x = await asyncio.sleep(0.01, 'slept')\nprint(x * 2)\n")
    assert "sleptslept" in output
    assert "Error" not in errors
    assert code == 0


@requirement("python-m-asyncio/imports-asyncio-and-greets")
def test_it_greets_and_has_asyncio(module: str) -> None:
    output, errors, _ = talk(module, "print(asyncio.get_running_loop().is_running())\n")
    assert errors.startswith("asyncio REPL")
    assert "True" in output


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


@requirement("python-m-asyncio/uses-pyrepl-and-startup", "python-m-asyncio/raises-audit-event")
def test_it_works_in_a_terminal() -> None:
    manager, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    child = subprocess.Popen(
        [sys.executable, "-m", "refloop"], stdin=terminal, stdout=terminal, stderr=terminal, env=environment
    )
    os.close(terminal)
    # Reading fails when the child is gone.
    alarm = threading.Timer(SECONDS, child.kill)
    alarm.start()
    seen = b""
    os.write(manager, b"await asyncio.sleep(0, 'ab' * 3)\r")
    while b"ababab" not in seen:
        seen += os.read(manager, 10000)
    os.write(manager, b"exit()\r")
    try:
        while os.read(manager, 10000):
            pass
    except OSError:
        # The terminal's other end is closed.
        pass
    os.close(manager)
    alarm.cancel()
    assert child.wait(SECONDS) == 0
