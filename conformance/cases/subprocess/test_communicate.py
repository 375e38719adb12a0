"""``Process.communicate()``: input, output, and what may go wrong between."""

from __future__ import annotations

import contextlib
import inspect
import shlex
import signal
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.children import (
    ECHO,
    LONG_LIVED,
    MORE_THAN_A_PIPE_HOLDS,
    NOTHING,
    PYTHON,
    UNTIL_EOF,
    Program,
    prints,
    start,
)
from conformance.support.marks import DEBUG, EAGER, PLAIN, on_loops, requirement
from conformance.support.waiting import until

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

# Tells how much it read until the end of its input, on standard error.
COUNTS = Program("import sys; sys.stderr.write(str(len(sys.stdin.buffer.read())))", "printf %s $(wc -c) >&2")


def pipes(aio: Any, *names: str) -> dict[str, Any]:
    return dict.fromkeys(names, aio.subprocess.PIPE)


@requirement("subprocess.Process.communicate/accepts-input")
async def test_communicate_is_a_coroutine_function_whose_input_has_a_name(aio: Any) -> None:
    process = await start(aio, ECHO, **pipes(aio, "stdin", "stdout"))
    assert inspect.iscoroutinefunction(process.communicate)
    assert await process.communicate(input=b"named") == (b"named", None)


@requirement("subprocess.Process.communicate/accepts-input")
async def test_input_may_be_left_out(aio: Any) -> None:
    process = await start(aio, prints("shown"), **pipes(aio, "stdout"))
    assert await process.communicate() == (b"shown", None)
    process = await start(aio, prints("shown"), **pipes(aio, "stdout"))
    assert await process.communicate(None) == (b"shown", None)


@on_loops(PLAIN, DEBUG, EAGER)
@pytest.mark.parametrize("size", [1, 1000, MORE_THAN_A_PIPE_HOLDS])
@requirement("subprocess.Process.communicate/sends-input-to-stdin")
@requirement("subprocess.Process.communicate/closes-stdin-after-input")
async def test_all_of_the_input_reaches_the_child_and_then_its_end(
    loop: AbstractEventLoop, aio: Any, size: int
) -> None:
    process = await loop.create_task(start(aio, COUNTS, **pipes(aio, "stdin", "stderr")))
    assert await process.communicate(b"x" * size) == (None, str(size).encode())
    assert process.returncode == 0


@requirement("subprocess.Process.communicate/closes-stdin-after-input")
async def test_empty_input_is_the_end_of_input(aio: Any) -> None:
    process = await start(aio, COUNTS, **pipes(aio, "stdin", "stderr"))
    assert await process.communicate(b"") == (None, b"0")


@requirement("subprocess.Process.communicate/closes-stdin-without-input")
async def test_without_input_the_childs_input_ends_too(aio: Any) -> None:
    process = await start(aio, COUNTS, **pipes(aio, "stdin", "stderr"))
    assert await process.communicate() == (None, b"0")


@requirement("subprocess.Process.communicate/sends-input-to-stdin")
async def test_input_comes_after_what_was_written_before(aio: Any) -> None:
    process = await start(aio, ECHO, **pipes(aio, "stdin", "stdout"))
    process.stdin.write(b"first ")
    assert await process.communicate(b"second") == (b"first second", None)


@on_loops(PLAIN, DEBUG)
@requirement("subprocess.Process.communicate/returns-output-pair")
async def test_the_output_is_a_pair_of_bytes(loop: AbstractEventLoop, aio: Any) -> None:
    program = Program(
        "import os; os.write(1, b'one '); os.write(2, b'error'); os.write(1, b'two')",
        "printf 'one '; printf error >&2; printf two",
    )
    process = await start(aio, program, **pipes(aio, "stdout", "stderr"))
    pair = await process.communicate()
    assert pair == (b"one two", b"error")
    assert [type(pair), *map(type, pair)] == [tuple, bytes, bytes]
    assert not loop.is_closed()


@requirement("subprocess.Process.communicate/returns-output-pair")
async def test_streams_to_which_nothing_was_written_are_empty(aio: Any) -> None:
    process = await start(aio, NOTHING, **pipes(aio, "stdout", "stderr"))
    assert await process.communicate() == (b"", b"")


@requirement("subprocess.Process.communicate/returns-output-pair")
async def test_what_was_read_before_is_not_read_again(aio: Any) -> None:
    process = await start(aio, prints("one\ntwo"), **pipes(aio, "stdout"))
    assert (await process.stdout.readline()).strip() == b"one"
    assert await process.communicate() == (b"two", None)


@requirement("subprocess.Process.communicate/returns-none-for-unpiped-streams")
async def test_streams_that_are_no_pipes_give_none(aio: Any) -> None:
    nowhere = aio.subprocess.DEVNULL
    process = await start(aio, prints("shown"), stdin=nowhere, stdout=nowhere, stderr=nowhere)
    assert await process.communicate() == (None, None)
    process = await start(aio, NOTHING, **pipes(aio, "stderr"))
    assert await process.communicate() == (None, b"")
    process = await start(aio, NOTHING, stderr=aio.subprocess.STDOUT, **pipes(aio, "stdout"))
    assert await process.communicate() == (b"", None)


@requirement("subprocess.Process.communicate/reads-until-eof-and-exit")
async def test_communicating_lasts_until_the_child_has_ended(aio: Any) -> None:
    # The streams end, and the child lives a little longer.
    program = "import os, time; os.write(1, b'all'); os.close(1); os.close(2); time.sleep(0.05); os._exit(3)"
    process = await start(aio, program, **pipes(aio, "stdout", "stderr"))
    assert await process.communicate() == (b"all", b"")
    assert process.returncode == 3


@requirement("subprocess.Process.communicate/reads-until-eof-and-exit")
async def test_communicating_lasts_until_the_output_has_ended(aio: Any) -> None:
    # The child ends, and its own child writes a little later.
    grandchild = "import os, time; time.sleep(0.05); os.write(1, b'late')"
    program = Program(
        f"import subprocess; subprocess.Popen([*{PYTHON!r}, {grandchild!r}])",
        f"{shlex.join([*PYTHON, grandchild])} &",
    )
    process = await start(aio, program, **pipes(aio, "stdout"))
    assert await process.communicate() == (b"late", None)
    assert process.returncode == 0


@requirement("subprocess.Process.communicate/reads-until-eof-and-exit")
async def test_the_output_of_a_child_that_ended_long_ago_is_all_there(loop: AbstractEventLoop, aio: Any) -> None:
    process = await start(aio, prints("kept"), **pipes(aio, "stdout"))
    await until(loop, lambda: process.returncode is not None)
    assert await process.communicate() == (b"kept", None)


@requirement("subprocess.Process.communicate/survives-large-output")
async def test_much_goes_in_all_directions_at_once(aio: Any) -> None:
    # It reads its input only after it has written more than its pipes hold.
    program = (
        f"import sys; sys.stdout.buffer.write(b'o' * {MORE_THAN_A_PIPE_HOLDS}); sys.stdout.flush()\n"
        f"sys.stderr.buffer.write(b'e' * {MORE_THAN_A_PIPE_HOLDS}); sys.stderr.flush()\n"
        "sys.stdout.buffer.write(sys.stdin.buffer.read())"
    )
    process = await start(aio, program, **pipes(aio, "stdin", "stdout", "stderr"))
    data = b"0123456789" * (MORE_THAN_A_PIPE_HOLDS // 10)
    output, errors = await process.communicate(data)
    assert output == b"o" * MORE_THAN_A_PIPE_HOLDS + data
    assert errors == b"e" * MORE_THAN_A_PIPE_HOLDS


@requirement("subprocess.Process.communicate/survives-large-output")
async def test_output_may_exceed_the_limit_of_the_readers(aio: Any) -> None:
    process = await start(aio, "print('x' * 200000, end='')", limit=100, **pipes(aio, "stdout"))
    assert await process.communicate() == (b"x" * 200000, None)


@pytest.mark.parametrize(
    "program",
    ["import os; os.close(0); os.write(1, b'done')", "import os; os.write(1, b'done'); os._exit(0)"],
    ids=["closes-its-input", "ends"],
)
@pytest.mark.parametrize("size", [10, MORE_THAN_A_PIPE_HOLDS], ids=["small", "large"])
@requirement("subprocess.Process.communicate/ignores-broken-stdin")
async def test_a_child_that_reads_nothing_is_no_error(
    aio: Any, reported: list[dict[str, Any]], program: str, size: int
) -> None:
    process = await start(aio, program, **pipes(aio, "stdin", "stdout"))
    assert await process.communicate(bytes(size)) == (b"done", None)
    assert (process.returncode, reported) == (0, [])


@requirement("subprocess.Process.communicate/ignores-broken-stdin")
async def test_input_for_a_child_that_has_ended_already_is_no_error(
    loop: AbstractEventLoop, aio: Any, reported: list[dict[str, Any]]
) -> None:
    process = await start(aio, prints("done"), **pipes(aio, "stdin", "stdout"))
    await until(loop, lambda: process.returncode is not None)
    assert await process.communicate(bytes(MORE_THAN_A_PIPE_HOLDS)) == (b"done", None)
    assert reported == []


@requirement("subprocess.Process.communicate/ignores-broken-stdin")
async def test_a_child_that_stops_reading_half_way_is_no_error(aio: Any, reported: list[dict[str, Any]]) -> None:
    program = Program(
        "import os; os.read(0, 1000); os.close(0); os.write(1, b'enough')",
        "dd bs=1000 count=1 >/dev/null 2>&1; exec <&-; printf enough",
    )
    process = await start(aio, program, **pipes(aio, "stdin", "stdout"))
    assert await process.communicate(bytes(MORE_THAN_A_PIPE_HOLDS)) == (b"enough", None)
    assert reported == []


@requirement("subprocess.Process.communicate/input-requires-stdin-pipe")
async def test_input_reaches_no_child_whose_stdin_is_no_pipe(aio: Any) -> None:
    program = Program("import sys; sys.exit(len(sys.stdin.buffer.read()))", "exit $(wc -c)")
    process = await start(aio, program, stdin=aio.subprocess.DEVNULL)
    # The documentation does not say what becomes of the input: versions before 3.12 raise, later ones ignore it.
    with contextlib.suppress(AttributeError):
        assert await process.communicate(b"for nobody") == (None, None)
    assert await process.wait() == 0


@requirement("subprocess.Process.communicate/reads-until-eof-and-exit")
async def test_after_communicating_was_cancelled_the_child_goes_on(loop: AbstractEventLoop, aio: Any) -> None:
    process = await start(aio, LONG_LIVED, **pipes(aio, "stdin", "stdout"))
    talking = loop.create_task(process.communicate(bytes(MORE_THAN_A_PIPE_HOLDS)))
    for _ in range(5):
        await aio.sleep(0)
    talking.cancel()
    with pytest.raises(aio.CancelledError):
        await talking
    assert process.returncode is None
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    assert await process.communicate() == (b"", None)


@requirement("subprocess.Process.communicate/reads-until-eof-and-exit")
async def test_communicating_that_times_out_can_be_tried_again(aio: Any) -> None:
    process = await start(aio, UNTIL_EOF, **pipes(aio, "stdin", "stdout"))
    assert (await process.stdout.readline()).strip() == b"ready"
    with pytest.raises(aio.TimeoutError):
        # Without a turn of the loop it does not get to close the input.
        await aio.wait_for(process.communicate(b"x"), 0)
    assert await process.communicate(b"y") == (b"", None)
    assert process.returncode == 0
