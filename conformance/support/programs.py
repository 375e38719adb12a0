"""The shape of the ``run_program`` fixture, for cases that need a process of their own, and many programs at once."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class RunProgram(Protocol):
    """Run ``source`` in a fresh interpreter in which ``make_loop`` (the target's factory) and ``aio`` are defined.

    ``flags`` are interpreter options (``"-X", "dev"``), ``env`` is added to the environment. Returns the finished
    process: ``stdout`` and ``stderr`` as text, ``returncode``.

    ``among`` are programs of which it is one, and which need a process each, but neither to import the target, which
    takes most of a program's time, nor an interpreter's end. Where the system forks, one interpreter imports the target
    once and forks them all off, side by side, when the first of them is to be run.
    """

    def __call__(
        self, source: str, *flags: str, env: Mapping[str, str] | None = None, among: Collection[str] = ()
    ) -> subprocess.CompletedProcess[str]: ...


FORKING = '''
import contextlib as _contextlib, json as _json, os as _os, signal as _signal, sys as _sys, tempfile as _tempfile

# A program is given this many seconds before it is ended; the process around it is given more.
_PATIENCE = 5

def _begin(source):
    """Run ``source`` as a program in a process of its own; its number, and the files of its two output streams."""
    streams = [_tempfile.TemporaryFile() for _ in range(2)]
    pid = _os.fork()
    if pid:
        return pid, streams
    for number, stream in enumerate(streams, 1):
        _os.dup2(stream.fileno(), number)
    code = 1
    try:
        exec(compile(source, "<string>", "exec"), globals())
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        _sys.excepthook(*_sys.exc_info())
    finally:
        _sys.stdout.flush()
        _sys.stderr.flush()
        # To take an interpreter down takes longer in a forked process than to make one: all of its memory is copied.
        _os._exit(code)

def _written(stream):
    stream.seek(0)
    return stream.read().decode(errors="replace")

def _run(programs):
    running = {}
    for source in programs:
        pid, streams = _begin(source)
        running[pid] = source, streams

    def end_all(*_):
        for pid in running:
            with _contextlib.suppress(ProcessLookupError):
                _os.kill(pid, _signal.SIGKILL)

    _signal.signal(_signal.SIGALRM, end_all)
    _signal.alarm(_PATIENCE)
    outcomes = {}
    while running:
        pid, status = _os.wait()
        source, streams = running.pop(pid)
        outcomes[source] = [_os.waitstatus_to_exitcode(status), *map(_written, streams)]
    return outcomes

# A target that has threads from the start may not be able to work in a forked process.
if len(_os.listdir("/proc/self/task")) == 1:
    print(_json.dumps(_run(programs)))
'''


def run_forked(run_program: RunProgram, programs: Collection[str]) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run all of the programs in processes that one interpreter forks; what became of each, or nothing if it cannot."""
    if sys.platform != "linux":
        return {}
    finished = run_program(f"programs = {list(programs)!r}\n{FORKING}")
    if finished.returncode or not finished.stdout:
        return {}
    outcomes: dict[str, tuple[int, str, str]] = json.loads(finished.stdout)
    return {source: subprocess.CompletedProcess(source, *outcome) for source, outcome in outcomes.items()}
