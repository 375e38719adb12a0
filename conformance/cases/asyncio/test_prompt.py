"""The prompt of ``python -m asyncio``, in which ``await`` works."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

import pytest

from conformance.support.commands import COMMAND, require_command
from conformance.support.marks import requirement

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.cases.asyncio.conftest import Prompt
    from conformance.support.programs import RunProgram
    from conformance.target import Target

GREETING = "asyncio REPL"

# What is awaited takes longer than a prompt that does not wait for it needs for the next statement.
AWAITS = "x = await asyncio.sleep(0.03, 'slept')\nprint('value:', x)\n"
SHOWS = "await asyncio.sleep(0.03, 'sle' 'pt')\n"
ONE_LOOP = (
    "loop = asyncio.get_running_loop()\n"
    "event = asyncio.Event()\n"
    "_ = loop.call_later(0.03, event.set)\n"
    "print('woken:', await event.wait())\n"
    "print('same:', asyncio.get_running_loop() is loop, loop.is_running())\n"
)
TASK = "task = asyncio.create_task(asyncio.sleep(0.03, 'done'))\nother = 1\nprint('task:', await task)\n"
WITHIN = "print('all:', [await asyncio.sleep(0, n) for n in range(3)], 1 + await asyncio.sleep(0, 1))\n"
EXCEPTIONS = "await asyncio.wait_for(asyncio.sleep(60), 0)\n1 / 0\nprint('went', await asyncio.sleep(0.03, 'on'))\n"
NOTHING = ""
NAME = "print('name:', asyncio.__name__)\n"
TYPED = (AWAITS, SHOWS, ONE_LOOP, TASK, WITHIN, EXCEPTIONS, NOTHING, NAME)


@requirement("python-m-asyncio/allows-top-level-await")
def test_await_works_at_the_prompt_and_gives_the_value(prompt: Prompt) -> None:
    finished = prompt(AWAITS)
    assert "value: slept\n" in finished.stdout, finished.stderr
    assert finished.returncode == 0


@requirement("python-m-asyncio/allows-top-level-await")
def test_the_prompt_shows_the_value_of_an_expression_that_awaits(prompt: Prompt) -> None:
    finished = prompt(SHOWS)
    assert "'slept'" in finished.stdout, finished.stderr


@requirement("python-m-asyncio/allows-top-level-await")
def test_statements_at_the_prompt_run_in_one_running_loop(prompt: Prompt) -> None:
    finished = prompt(ONE_LOOP)
    assert "woken: True\n" in finished.stdout, finished.stderr
    assert "same: True True\n" in finished.stdout


@requirement("python-m-asyncio/allows-top-level-await")
def test_a_task_goes_on_between_statements(prompt: Prompt) -> None:
    finished = prompt(TASK)
    assert "task: done\n" in finished.stdout, finished.stderr


@requirement("python-m-asyncio/allows-top-level-await")
def test_await_works_within_an_expression_at_the_prompt(prompt: Prompt) -> None:
    finished = prompt(WITHIN)
    assert "all: [0, 1, 2] 2\n" in finished.stdout, finished.stderr


@requirement("python-m-asyncio/allows-top-level-await")
def test_after_an_exception_the_prompt_goes_on(prompt: Prompt) -> None:
    finished = prompt(EXCEPTIONS)
    assert "TimeoutError" in finished.stderr
    assert "ZeroDivisionError" in finished.stderr
    assert "went on\n" in finished.stdout


@requirement("python-m-asyncio/imports-asyncio-and-greets")
def test_the_prompt_greets(prompt: Prompt) -> None:
    finished = prompt(NOTHING)
    lines = (finished.stderr + finished.stdout).splitlines()
    assert lines[0].startswith(GREETING)
    assert finished.returncode == 0


@requirement("python-m-asyncio/imports-asyncio-and-greets")
def test_the_namespace_is_imported_at_the_prompt(prompt: Prompt, target: Target) -> None:
    finished = prompt(NAME)
    assert f"name: {target.namespace_name}\n" in finished.stdout, finished.stderr


@requirement("python-m-asyncio/raises-audit-event")
def test_the_prompt_raises_an_auditing_event_without_arguments(prompt: Prompt) -> None:
    finished = prompt(
        "",
        before="events = []\nsys.addaudithook(lambda event, args: event.endswith('.run_stdin') and "
        "events.append((event, args)))",
        after="print('events:', events)",
    )
    assert "events: [('cpython.run_stdin', ())]\n" in finished.stdout, finished.stderr


TERMINAL = """
import pty

os.environ["TERM"] = "xterm"
pid, terminal = pty.fork()
if not pid:
    os._exit(command())

seen = b""

def wait_for(text, times=1):
    global seen
    while seen.count(text) < times:
        seen += os.read(terminal, 10000)

try:
    # The first stands before the import that the banner shows; what is typed before the second may be thrown away.
    wait_for(b">>> ", times=2)
    os.write(terminal, b"await asyncio.sleep(0.001, 'sl' 'ept') * 2\\r")
    wait_for(b"sleptslept")
    os.write(terminal, b"exit()\\r")
    while True:
        seen += os.read(terminal, 10000)
except OSError:
    # The other end is closed.
    pass
sys.stdout.write(seen.decode(errors="replace"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals to open")
@pytest.mark.parametrize("basic", ["", "1"], ids=["default", "basic"])
@requirement("python-m-asyncio/limited-basic-repl-support")
def test_the_prompt_works_in_a_terminal_with_and_without_the_basic_prompt(
    target: Target, run_program: RunProgram, basic: str
) -> None:
    require_command(target.namespace_name)
    finished = run_program(COMMAND + TERMINAL, env={"PYTHON_BASIC_REPL": basic})
    assert "sleptslept" in finished.stdout, finished.stderr
    assert finished.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals to open")
@requirement("python-m-asyncio/uses-pyrepl-and-startup")
def test_a_prompt_that_uses_pyrepl_runs_the_startup_file(
    target: Target, run_program: RunProgram, tmp_path: Path
) -> None:
    require_command(target.namespace_name)
    if not all(map(importlib.util.find_spec, ("_pyrepl", "_curses"))):
        pytest.skip("this interpreter has no PyREPL, which came with 3.13")
    startup = tmp_path / "startup.py"
    startup.write_text("print('started', 6 * 7)\n", encoding="utf-8")
    finished = run_program(COMMAND + TERMINAL, env={"PYTHONSTARTUP": str(startup), "PYTHON_BASIC_REPL": ""})
    assert "started 42" in finished.stdout, finished.stderr
