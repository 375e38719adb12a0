"""A worker: a fork of the warm process that takes one case after the other until none is left, and ends."""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from attrs import frozen

from conformance.harness.journal import JournalWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from conformance.harness.plugin import CaseRunner
    from conformance.harness.selection import Selection

BROKE = 70
"""The exit status of a worker that the harness itself broke; the log has the reason."""


@frozen
class Tickets:
    """Numbers that several processes take, each number once.

    To take one is to append a byte to a file: where it lands is the number. No process has to be asked, none holds a
    lock or an open descriptor while a case runs, and what a dead one took shows as a case without a verdict.
    """

    path: Path
    total: int

    def take(self) -> int | None:
        """The next number, or None when all are taken."""
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, b".")
            number = os.lseek(file, 0, os.SEEK_CUR) - 1
        finally:
            os.close(file)
        return number if number < self.total else None

    def left(self) -> int:
        """How many nobody has taken."""
        taken = self.path.stat().st_size if self.path.exists() else 0
        return max(0, self.total - taken)


@frozen
class Assignment:
    """What a worker is to do, and where it tells what came of it."""

    folder: Path
    target: str
    api: str | None
    profile: str | None
    selection: Selection
    order: Sequence[pytest.Item]
    tickets: Tickets


def work(name: str, assignment: Assignment, config: pytest.Config, runner: CaseRunner) -> NoReturn:
    """Be a worker, in a fork of the warm process: take cases while there are any, then end the process."""
    status = BROKE
    try:
        os.setpgid(0, 0)
        gc.enable()
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        option: Any = config.option
        option.target, option.api, option.profile = assignment.target, assignment.api, assignment.profile
        separate_output(config)
        runner.begin(assignment.folder, name, assignment.selection)
        config.pluginmanager.register(JournalWriter(assignment.folder / "journal", name), "conformance-journal")
        while not runner.is_spent and (number := assignment.tickets.take()) is not None:
            item = assignment.order[number]
            # Without a next item all of it is torn down again, which costs less than to know what comes next.
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        status = 0
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        # Loops have been seen to hang or crash at interpreter exit; everything is said.
        os._exit(status)


def separate_output(config: pytest.Config) -> None:
    """Capture in a file of one's own, for the warm process's is shared by its forks; show no progress to nobody."""
    manager: Any = config.pluginmanager.getplugin("capturemanager")
    manager.stop_global_capturing()
    manager.start_global_capturing()
    manager.suspend_global_capture()
    config.pluginmanager.unregister(name="terminalreporter")
