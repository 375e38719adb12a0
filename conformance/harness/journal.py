"""What a pytest process tells the run that started it: one JSON line per event, written as it happens.

Nothing that was measured is lost when the pytest process dies: the run reads the lines that are there. Events:

``{"event": "started", "node": nodeid, "worker": id}`` · ``{"event": "finished", "node": nodeid, …outcome…}`` ·
``{"event": "died", "node": nodeid, "worker": id, "status": exit status}`` ·
``{"event": "forked", "pid": process id}`` · ``{"event": "done"}``
"""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest


class JournalWriter:
    """Pytest plugin of the process that sees reports: one that runs cases, or xdist's controller.

    It holds no descriptor while a case runs: a target that writes into whatever is open does not write here. Several
    processes may write to one journal, because each line is appended in one piece.
    """

    def __init__(self, path: Path, worker: str = "") -> None:
        self._path = path
        self._worker = worker

    def write(self, event: str, **fields: object) -> None:
        """Add one line and hand it to the kernel."""
        line = (json.dumps({"event": event, **fields}) + "\n").encode()
        journal = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.write(journal, line) < len(line):
                # A full disk takes a part and says nothing.
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        finally:
            os.close(journal)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.write("started", node=nodeid, worker=self._worker)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome = getattr(report, "conformance", None)
        if outcome is not None:
            self.write("finished", node=report.nodeid, **outcome)


class XdistDeaths:
    """Pytest plugin of xdist's controller, which alone sees workers die."""

    def __init__(self, journal: JournalWriter) -> None:
        self._journal = journal

    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        gateway = report.node.gateway
        self._journal.write("died", node=crashitem, worker=gateway.id, status=gateway._io.popen.wait())


class JournalReader:
    """Reads the events that have been written since the last look."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open(encoding="utf-8", errors="replace")
        self._rest = ""

    def read(self) -> Iterator[dict[str, Any]]:
        """The events since the last call; a line that is still being written waits for the next one.

        What is no event was spoiled, by a disk that took only a part of it: the case that it told of has no verdict.
        """
        lines = (self._rest + self._file.read()).split("\n")
        self._rest = lines.pop()
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict) and "event" in event:
                yield event

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
