"""Containment: no target costs the run more than the one case that it breaks.

A worker starts from a clean state, has a memory ceiling, and is ended when a case exceeds its budget. Neither way needs
the GIL, so a hang in C ends too: the warm process ends its workers from outside, by a signal upon which `faulthandler`
dumps the stacks; where there is none, `faulthandler` watches from a thread of its own. A worker that can still run
Python is asked for its last words before that, and ends itself (`conformance.harness.lastwords`).
What happened is found afterwards in two small files per worker: its *place* (the case that is running) and its *trace*
(the stacks that were dumped, on a hang or on a fatal signal), which `conformance.harness.stacks` puts in order.
"""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import sys
from typing import TYPE_CHECKING, TextIO

from attrs import frozen

from conformance.harness.lastwords import OVERTIME, LastWords
from conformance.harness.stacks import place, tell
from reports.model import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.harness.outcome import CaseState

BUDGET = 10.0
"""Seconds that a case may take; one that needs more says so with the ``budget`` mark."""

MEMORY_CEILING = 4 * 1024**3
"""Bytes of private memory per worker: far above any case, far below what would start the machine's OOM killer."""

STACKS_WANTED = getattr(signal, "SIGABRT", signal.SIGTERM)
"""Ends a worker that goes on for too long: the one signal that `faulthandler` answers with stacks from any state."""

WARM_UP = "warm-up"
"""The place of a worker that has not come to its first case, and has the target make two loops."""

ANSWER = "Fatal Python error: Aborted"
"""How `faulthandler` begins then; it would look like a crash."""

HANG = re.compile(r"^Timeout \(\d", re.MULTILINE)


def start_clean() -> None:
    """Undo what a worker inherits: an ignored or blocked SIGINT, and memory without a limit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        ceiling = MEMORY_CEILING if hard == resource.RLIM_INFINITY else min(MEMORY_CEILING, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (ceiling, hard))
        # A crash is evidence enough with its stacks; a core file per crash would fill the disk.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


class Watch:
    """The budget of the case that is running, in one process."""

    def __init__(self, folder: Path | None, worker: str, *, from_outside: bool = False) -> None:
        """With a ``folder``, keep place and trace there for the run to read; without one, dump to standard error.

        ``from_outside``: another process watches the place and ends this one, so no thread has to be started per case.
        """
        self._from_outside = from_outside
        self._place: Path | None = None
        self._last_words: LastWords | None = None
        self._trace: TextIO = sys.__stderr__ or sys.stderr
        if folder is not None:
            self._place = folder / f"{worker}.place"
            trace = folder / f"{worker}.trace"
            # Appended to, because last words come through a descriptor of their own.
            self._trace = trace.open("a", encoding="utf-8")
            faulthandler.enable(self._trace)
            self._last_words = LastWords(trace)

    def begin(self, nodeid: str, budget: float, case: CaseState | None = None) -> None:
        """A case starts: it has ``budget`` seconds for its fixtures and itself; last words tell of ``case``."""
        self._stand(nodeid)
        if self._last_words is not None:
            self._last_words.prepare(budget, case)
        if not self._from_outside:
            overtime = 0.0 if self._last_words is None else OVERTIME
            faulthandler.dump_traceback_later(budget + overtime, exit=True, file=self._trace)

    def end(self) -> None:
        """The case is over."""
        if not self._from_outside:
            faulthandler.cancel_dump_traceback_later()
        if self._last_words is not None:
            self._last_words.forget()
        self._stand("")

    def _stand(self, nodeid: str) -> None:
        # No descriptor stays open: a target that writes into whatever is open does not lose the place.
        if self._place is not None:
            place = os.open(self._place, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            try:
                os.write(place, nodeid.encode())
            finally:
                os.close(place)


@frozen
class Death:
    """How a worker died, as far as it can be told from outside."""

    verdict: Verdict
    message: str
    details: str
    node: str
    """the case that was running, or empty when the worker died between two cases"""


def examine(
    folder: Path, worker: str, status: int | None, budget_of: Callable[[str], float], *, overdue: bool = False
) -> Death:
    """What the place, the trace and the exit status of a dead worker say.

    ``overdue``: it was ended from outside, because the case went on beyond its budget.
    """
    node, stacks = _read(folder / f"{worker}.place"), _read(folder / f"{worker}.trace").strip()
    if overdue or HANG.search(stacks):
        stacks = stacks.removeprefix(ANSWER).strip()
        where = f": {found}" if (found := place(stacks)) else ""
        message = f"did not end within its {budget_of(node):g} s{where}"
        if not stacks:
            message += ", and was not to be asked for its stacks"
        return Death(Verdict.TIMEOUT, message, tell(stacks), node)
    where = f", {found}" if (found := place(stacks)) else ""
    return Death(Verdict.CRASH, f"the process died: {describe_status(status)}{where}", tell(stacks), node)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def describe_status(status: int | None) -> str:
    """An exit status in words: the signal's name, or the code given to ``exit``."""
    if status is None:
        return "exit status unknown"
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    return f"exited with status {status}"
