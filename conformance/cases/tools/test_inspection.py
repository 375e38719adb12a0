"""``python -m asyncio ps PID`` and ``pstree PID``: the tasks of another process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.support.commands import COMMAND, INSPECTION, check_inspected, require_inspection
from conformance.support.marks import requirement

if TYPE_CHECKING:
    from conformance.cases.tools.conftest import Inspect
    from conformance.support.programs import RunProgram

# Tasks that wait for a task each, down to one that sleeps, and one that waits for nobody's sake.
CHAIN = """
async def rest():
    await aio.sleep(LONG)

async def inner():
    await rest()

async def middle():
    await aio.create_task(inner(), name="innermost")

async def outer():
    await aio.create_task(middle(), name="between")

async def main():
    lonely = aio.create_task(rest(), name="lonely")
    waiting = aio.create_task(outer(), name="outermost")
    for _ in range(5):
        await aio.sleep(0)
    is_ready()
    await aio.sleep(LONG)

def program():
    loop = make_loop()
    loop.run_until_complete(main())
"""

CYCLE = """
async def wait_for(name):
    await tasks[name]

tasks = {}

async def main():
    tasks["first"] = aio.create_task(wait_for("second"), name="first")
    tasks["second"] = aio.create_task(wait_for("first"), name="second")
    for _ in range(5):
        await aio.sleep(0)
    is_ready()
    await aio.sleep(LONG)

def program():
    loop = make_loop()
    loop.run_until_complete(main())
"""

TWO_LOOPS = """
import threading

everybody = threading.Barrier(2)

async def main():
    waiting = aio.create_task(aio.sleep(LONG), name="task of " + threading.current_thread().name)
    await aio.sleep(0)
    await aio.sleep(0)
    everybody.wait()
    if threading.current_thread() is threading.main_thread():
        is_ready()
    await aio.sleep(LONG)

def run_a_loop():
    loop = make_loop()
    loop.run_until_complete(main())

def program():
    threading.main_thread().name = "main"
    threading.Thread(target=run_a_loop, name="other", daemon=True).start()
    run_a_loop()
"""


# Above what a Linux kernel numbers processes with, and within a C int.
NO_PROCESS = 2**22 + 1


def row_of(name: str, table: str) -> str:
    """The row of a task that nothing but its name, as a word, tells from others."""
    (row,) = [line for line in table.splitlines() if name in line.split()[2:3]]
    return row


def depths_in(tree: str, names: list[str]) -> dict[str, int]:
    """How far to the right each of ``names`` stands in the tree."""
    return {name: min(line.index(name) for line in tree.splitlines() if name in line) for name in names}


@requirement("python-m-asyncio-ps-pid/prints-task-table")
def test_the_table_has_a_row_with_name_and_ids_for_every_pending_task(inspect: Inspect) -> None:
    finished = inspect(CHAIN, 'command("ps", pid)')
    assert finished.returncode == 0, finished.stderr
    for name in ("lonely", "outermost", "between", "innermost"):
        thread, task, *_ = row_of(name, finished.stdout).split()
        assert (thread.isdigit(), int(task, 16) > 0) == (True, True)


@requirement("python-m-asyncio-ps-pid/prints-task-table")
def test_a_row_has_the_coroutines_of_the_task_and_of_the_task_that_awaits_it(inspect: Inspect) -> None:
    finished = inspect(CHAIN, 'command("ps", pid)')
    innermost, between = row_of("innermost", finished.stdout), row_of("between", finished.stdout)
    words = innermost.replace("->", " ").split()
    assert {"rest", "inner", "middle", "between"} <= set(words), finished.stdout
    # The awaiter's id stands last, and is the one that its own row begins with.
    assert int(words[-1], 16) == int(between.split()[1], 16)
    assert words.index("rest") < words.index("inner") < words.index("middle") < words.index("between")


@requirement("python-m-asyncio-ps-pid/prints-task-table")
def test_the_table_has_the_tasks_of_every_thread(inspect: Inspect) -> None:
    finished = inspect(TWO_LOOPS, 'command("ps", pid)')
    rows = {name: [line for line in finished.stdout.splitlines() if f"task of {name}" in line]
            for name in ("main", "other")}  # fmt: skip
    assert [len(found) for found in rows.values()] == [1, 1], finished.stdout
    assert rows["main"][0].split()[0] != rows["other"][0].split()[0]


@requirement("python-m-asyncio-ps-pid/prints-despite-cycles")
def test_the_table_has_tasks_that_wait_for_each_other(inspect: Inspect) -> None:
    finished = inspect(CYCLE, 'command("ps", pid)')
    assert finished.returncode == 0, finished.stderr
    for name, awaiter in (("first", "second"), ("second", "first")):
        assert row_of(name, finished.stdout).split()[-2] == awaiter


@requirement("python-m-asyncio-ps-pid/executes-nothing-in-target")
def test_the_table_is_read_from_a_process_that_is_stopped(inspect: Inspect) -> None:
    finished = inspect(CHAIN, '(os.kill(pid, signal.SIGSTOP), os.waitpid(pid, os.WUNTRACED), command("ps", pid))[-1]')
    assert finished.returncode == 0, finished.stderr
    assert "innermost" in row_of("innermost", finished.stdout)


@requirement("python-m-asyncio-pstree-pid/prints-task-tree")
def test_in_the_tree_a_task_stands_under_the_coroutines_of_the_task_that_awaits_it(inspect: Inspect) -> None:
    finished = inspect(CHAIN, 'command("pstree", pid)')
    assert finished.returncode == 0, finished.stderr
    order = ["outermost", "outer ", "between", "middle ", "innermost", "inner ", "rest "]
    tree = finished.stdout[finished.stdout.index("outermost") :].replace("()", " ")
    places = [tree.index(name) for name in order]
    assert places == sorted(places), finished.stdout
    depths = depths_in(finished.stdout, ["outermost", "between", "innermost"])
    assert depths["outermost"] < depths["between"] < depths["innermost"]


@requirement("python-m-asyncio-pstree-pid/prints-task-tree")
def test_in_the_tree_a_task_that_nobody_awaits_stands_alone(inspect: Inspect) -> None:
    finished = inspect(CHAIN, 'command("pstree", pid)')
    depths = depths_in(finished.stdout, ["outermost", "lonely"])
    assert depths["lonely"] == depths["outermost"], finished.stdout


@requirement("python-m-asyncio-pstree-pid/fails-on-await-cycle")
def test_instead_of_a_tree_with_a_cycle_an_error_names_the_tasks_in_it(inspect: Inspect) -> None:
    finished = inspect(CYCLE, 'command("pstree", pid)')
    # The page does not say where errors are printed.
    printed = finished.stdout + finished.stderr
    assert [line for line in printed.splitlines() if "first" in line and "second" in line] != []
    assert "cycle" in printed.lower()
    assert finished.returncode != 0
    assert "└" not in printed


@pytest.mark.parametrize("what", ["ps", "pstree"])
@requirement("python-m-asyncio-ps-pid/fails-without-permission")
def test_for_a_process_of_another_user_the_command_ends_with_an_error(inspect: Inspect, what: str) -> None:
    finished = inspect(CHAIN, f'print("code:", without_permission("{what}", pid))')
    (code,) = [line for line in finished.stdout.splitlines() if line.startswith("code:")]
    assert code != "code: 0"
    assert "error" in (finished.stdout + finished.stderr).lower()


@pytest.mark.parametrize("what", ["ps", "pstree"])
@requirement("python-m-asyncio-ps-pid/fails-without-permission")
def test_for_a_process_that_is_gone_the_command_ends_with_an_error(inspect: Inspect, what: str) -> None:
    finished = inspect(CHAIN, f'command("{what}", {NO_PROCESS})')
    assert finished.returncode != 0
    assert "error" in (finished.stdout + finished.stderr).lower()


@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize("what", ["ps", "pstree"])
@requirement("python-m-asyncio-retries-n/retries-failed-inspection")
def test_the_commands_take_the_number_of_attempts_to_repeat(inspect: Inspect, what: str, retries: int) -> None:
    finished = inspect(CHAIN, f'command("{what}", "--retries", {retries}, pid)')
    assert finished.returncode == 0, finished.stderr
    assert "innermost" in finished.stdout


STANDARD_TASKS = """
import asyncio

async def inner():
    await asyncio.sleep(LONG)

async def outer():
    await asyncio.create_task(inner(), name="inner task")

async def main():
    waiting = asyncio.create_task(outer(), name="outer task")
    for _ in range(5):
        await asyncio.sleep(0)
    is_ready()
    await asyncio.sleep(LONG)

def program():
    loop = make_loop()
    loop.set_task_factory(lambda loop, coro, **keywords: asyncio.Task(coro, loop=loop, **keywords))
    loop.run_until_complete(main())

# The tasks are the standard library's, and so is the command that knows them.
aio = asyncio
"""


def inspect_standard_tasks(run_program: RunProgram, what: str) -> str:
    """What the standard library's command prints of its own tasks on the target's loop."""
    require_inspection()
    finished = run_program(
        f"{STANDARD_TASKS}\n{COMMAND}\n{INSPECTION}\npid = fork(program)\n"
        f"try:\n    code = command({what!r}, pid)\nfinally:\n    end(pid)\nsys.exit(code)\n"
    )
    check_inspected(finished)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@requirement("python-m-asyncio-ps-pid/sees-third-party-tasks")
def test_the_table_has_the_standard_tasks_of_any_loop(run_program: RunProgram) -> None:
    table = inspect_standard_tasks(run_program, "ps")
    (inner,) = [line for line in table.splitlines() if "inner task" in line]
    assert "outer task" in inner, table


@requirement("python-m-asyncio-pstree-pid/sees-third-party-tasks")
def test_the_tree_has_the_standard_tasks_of_any_loop(run_program: RunProgram) -> None:
    tree = inspect_standard_tasks(run_program, "pstree")
    assert tree.index("outer task") < tree.index("inner task")
    depths = depths_in(tree, ["outer task", "inner task"])
    assert depths["outer task"] < depths["inner task"]


ALBUMS = """
async def play(track):
    await aio.sleep(LONG)

async def album(name, tracks):
    async with aio.TaskGroup() as group:
        for track in tracks:
            group.create_task(play(track), name=track)

async def main():
    async with aio.TaskGroup() as group:
        group.create_task(album("Left", ["One", "Two"]), name="Left")
        group.create_task(album("Right", ["Three"]), name="Right")
        for _ in range(5):
            await aio.sleep(0)
        is_ready()

def program():
    loop = make_loop()
    loop.run_until_complete(main())
"""


@requirement("examples/command-line-introspection-tools")
def test_the_program_with_albums_shows_its_tracks_under_them(inspect: Inspect) -> None:
    finished = inspect(ALBUMS, 'command("ps", pid) or command("pstree", pid)')
    assert finished.returncode == 0, finished.stderr
    table, tree = finished.stdout[: finished.stdout.index("└")], finished.stdout[finished.stdout.index("└") :]
    awaiters = {name: row_of(name, table).split()[-2] for name in ("One", "Two", "Three")}
    assert awaiters == {"One": "Left", "Two": "Left", "Three": "Right"}
    depths = depths_in(tree, ["Left", "Right", "One", "Two", "Three"])
    assert depths["Left"] == depths["Right"] < depths["One"] == depths["Two"] == depths["Three"]
