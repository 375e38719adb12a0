"""`python -m refloop`: an interactive prompt in which `await` works."""

from __future__ import annotations

import argparse
import sys

from refloop.repl import run_repl


def main() -> int:
    """Run the prompt; return the exit code."""
    argparse.ArgumentParser(prog="python -m refloop", description=__doc__).parse_args()
    return run_repl()


if __name__ == "__main__":
    sys.exit(main())
