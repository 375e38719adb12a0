"""The warm process as the run sees it: started when it is first needed, asked for passes, ended with the run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from conformance.harness.probing import ANSWERS, LOOK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CAN_FORK = hasattr(os, "fork") and sys.platform not in ("darwin", "win32")
"""Whether workers can be forked. macOS has the call, but its system libraries do not work in a fork."""


PATIENCE = 1.0
"""Seconds that the warm process gets to end by itself: it takes a hundredth of one, unless it is collecting."""


class WarmProcess:
    """One pytest process that collects once and serves the passes of a run (`conformance.harness.serving`)."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control = -1
        self._places: frozenset[str] = frozenset()
        self._workers: list[int] = []
        self._answers: Path | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def covers(self, places: Sequence[str]) -> bool:
        """Whether it runs and has collected these files and folders."""
        return self.is_alive and self._places.issuperset(places)

    def start(self, line: Sequence[str], places: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start it with the command ``line``, to collect ``places``; an earlier one is ended.

        ``folder`` receives what it prints and, from the first one, what it finds out about the target.
        """
        self.end()
        if self._answers is None:
            self._answers = folder / ANSWERS
            line = [*line, "--conformance-probe", str(folder)]
        reading, self._control = os.pipe()
        self._places = frozenset(places)
        try:
            with (folder / "log").open("wb") as output:
                self._process = subprocess.Popen(
                    [*line, f"--conformance-serve={reading}"],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    pass_fds=[reading],
                    start_new_session=True,
                )
        finally:
            os.close(reading)

    def probed(self) -> dict[str, object] | None:
        """Wait for what its probes found out; None where it never started, or died."""
        while self._answers is not None:
            alive = self.is_alive
            if self._answers.exists():
                found: dict[str, object] = json.loads(self._answers.read_text(encoding="utf-8"))
                return found
            if not alive:
                break
            time.sleep(LOOK)
        return None

    def ask(self, folder: Path) -> None:
        """Have it serve the pass whose request is in ``folder``; of one that just died, its process tells."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._control, f"{folder}\n".encode())

    def note(self, worker: int) -> None:
        """It has forked a worker, with this process id: an end of the run ends that, too."""
        self._workers.append(worker)

    def forget_workers(self) -> None:
        """A pass is over, and its workers have ended: their process ids are free for others."""
        self._workers.clear()

    def end(self) -> None:
        """End it, its workers, and what they started."""
        if self._process is None:
            return
        # It sees the pipe end, and ends its workers itself, also one of which nobody has been told yet.
        os.close(self._control)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        for group in (self._process.pid, *self._workers):
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGKILL)
        self._process.wait()
        self._process = None
        self._workers.clear()
