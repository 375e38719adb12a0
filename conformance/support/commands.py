"""``python -m NAMESPACE`` in a process of its own: the text of a program that runs it, and how it ended.

The program runs what the interpreter would run for ``-m``, so that one process does for both: typed text waits in a
pipe in place of standard input, and a process to inspect is forked off beforehand, because a system may let a process
inspect its descendants only.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess

# What argparse ends with for a command that it does not know.
USAGE = 2

COMMAND = """
import importlib.util, os, sys

_spec = importlib.util.find_spec(aio.__name__ + ".__main__")
_code = _spec.loader.get_code(_spec.name)

def command(*arguments):
    '''What ``python -m NAMESPACE ARGUMENTS`` does; its exit code.'''
    sys.argv[1:] = [str(each) for each in arguments]
    module = type(sys)("__main__")
    module.__dict__.update(
        __package__=aio.__name__, __spec__=_spec, __loader__=_spec.loader, __file__=_spec.origin,
        __builtins__=__builtins__
    )
    sys.modules["__main__"] = module
    try:
        exec(_code, module.__dict__)
    except SystemExit as ended:
        return ended.code or 0
    finally:
        sys.stdout.flush()
    return 0

def type_in(text):
    '''Let ``text`` be what is typed into this process, and then nothing more.'''
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    os.dup2(reading, 0)
    os.close(reading)
"""

INSPECTION = """
import signal

_ready, _tell = os.pipe()
# A process that nobody kills ends by itself.
LONG = 20
NOBODY = 65534

def is_ready():
    os.write(_tell, b"x")

def fork(program):
    '''Run ``program()`` in a forked process; its number once it has called ``is_ready()``.'''
    pid = os.fork()
    if not pid:
        try:
            program()
        finally:
            os._exit(1)
    os.close(_tell)
    if os.read(_ready, 1) != b"x":
        raise RuntimeError("the program ended before it was ready")
    return pid

def without_permission(what, pid):
    '''What the command ends with for a process of a user that is not its own.'''
    # Once with permission, so that everything is imported that another user may not be able to read.
    first = command(what, pid)
    if first:
        sys.exit(first)
    tried = os.fork()
    if not tried:
        if os.getuid() == 0:
            os.setresuid(NOBODY, NOBODY, NOBODY)
        else:
            pid = 1
        os._exit(command(what, pid))
    return os.waitstatus_to_exitcode(os.waitpid(tried, 0)[1])

def end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


def has_command(namespace: str) -> bool:
    """Whether ``python -m namespace`` runs something."""
    try:
        return importlib.util.find_spec(f"{namespace}.__main__") is not None
    except (ImportError, ValueError):
        return False


def require_command(namespace: str) -> None:
    """NotImplementedError where ``python -m namespace`` runs nothing."""
    if not has_command(namespace):
        raise NotImplementedError(f"python -m {namespace} runs nothing")


def require_inspection() -> None:
    """Skip the case where the interpreter has nothing to inspect another process with."""
    if sys.platform == "win32" or importlib.util.find_spec("_remote_debugging") is None:
        pytest.skip("this interpreter cannot inspect another process, which came with 3.14")


def check_inspected(finished: subprocess.CompletedProcess[str]) -> None:
    """Skip or refuse the case where the inspection itself was refused.

    NotImplementedError for a namespace that says that it has no such command, a skip for a system that does not let
    one process read the memory of another.
    """
    if finished.returncode == USAGE:
        raise NotImplementedError(finished.stderr.strip().splitlines()[-1])
    if finished.returncode and "permission" in finished.stderr.lower():
        pytest.skip("this system does not let a process inspect its child")
