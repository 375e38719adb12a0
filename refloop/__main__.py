"""`python -m refloop`: an interactive prompt in which `await` works.

`ps` and `pstree`, with which `python -m asyncio` reads the tasks of another process from 3.14 on, say why they are not
here: the interpreter finds the standard library's tasks in a foreign memory, since they are C structures in a list of
their own. refloop's are Python objects; to learn of them, code has to run in their process, which is what the
documentation promises not to do. Within it, `refloop.print_call_graph()` shows the same.
"""

from __future__ import annotations

import sys

from refloop.repl import run_repl

# What argparse ends with for a command that does not exist.
NO_SUCH_COMMAND = 2


def main() -> int:
    """Run the prompt; return the exit code."""
    if not sys.argv[1:]:
        return run_repl()
    import argparse  # the prompt itself needs none

    parser = argparse.ArgumentParser(
        prog="python -m refloop", description="An interactive prompt in which `await` works."
    )
    commands = parser.add_subparsers(dest="command", metavar="{ps,pstree}")
    for name in ("ps", "pstree"):
        command = commands.add_parser(name, help="not for refloop's tasks; it says why")
        command.add_argument("pid", type=int)
        command.add_argument("--retries", type=int)
    command_name = parser.parse_args().command
    if command_name is None:  # such as after `--`
        return run_repl()
    print(
        f"python -m refloop {command_name}: error: the tasks of refloop cannot be read from another process; "
        f"for those of the standard library, on any loop, use python -m asyncio {command_name} PID (Python 3.14 and "
        "later), and refloop.print_call_graph() within the process",
        file=sys.stderr,
    )
    return NO_SUCH_COMMAND


if __name__ == "__main__":
    sys.exit(main())
