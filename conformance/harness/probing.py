"""Has a target probed, in processes that may die of it.

The warm process forks for it as soon as it starts, so that the probes are answered while the suite is collected. Where
there is none, a Python is started.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

from conformance.harness.children import environment
from conformance.harness.containment import describe_status
from conformance.harness.options import START_TIMEOUT
from conformance.target import Target, TargetError, announced
from reports.model import Probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

PROBE_BUDGET = 5.0
"""Seconds for one probe; each takes milliseconds where the feature works."""

FEATURES = (
    "eager-tasks", "executor", "asyncgens", "signals", "dns", "fds", "sock", "tcp-client", "tcp-server", "udp", "unix",
    "tls", "sendfile", "pipes", "subprocess",
)  # fmt: skip
"""What is asked for, in this order (`conformance.harness.probes` asks)."""

PATIENCE = PROBE_BUDGET * (len(FEATURES) + 2)
"""Seconds for a process that probes, once the target is there: it ends itself much sooner."""

LOOK = 0.005

ANSWERS = "probes.json"


@frozen
class Asked:
    """What the probes are to find out about."""

    spec: str
    """the target, as the user wrote it"""
    api: str | None = None
    start_timeout: float = START_TIMEOUT
    """seconds for the target to be imported and to give its first loop"""

    def arguments(self, known: Iterable[str]) -> list[str]:
        """The arguments of `conformance.harness.probes.main`, given the features that are ``known`` already."""
        return [self.spec, self.api or "", str(self.start_timeout), *known]


@frozen
class Found:
    """What came of it."""

    target: Target
    """as its own process saw it: an entry point may bring a namespace, which shows only once it is loaded"""
    probes: tuple[Probe, ...]

    def as_json(self) -> dict[str, object]:
        """Plain values, for `of_json` in another process."""
        return {"target": asdict(self.target), "probes": [asdict(one) for one in self.probes]}

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Found:
        """What `as_json` gave."""
        return cls(Target.of_json(values["target"]), tuple(Probe(**one) for one in values["probes"]))


def probe(asked: Asked, attempt: Callable[[Asked, Sequence[str]], tuple[str, str]] | None = None) -> Found:
    """Have the target give a loop and ask for its features, in a process that may die of it.

    ``attempt`` runs `conformance.harness.probes.main` in such a process, with the features that are known already, and
    returns what it printed and how it ended. Raises TargetError with one sentence when there is no such target, when
    its factory gives no working loop, takes too long, or ends the process.
    """
    target = announced(asked.spec, asked.api)
    known: dict[str, Probe] = {}
    checked = False
    while True:
        began = time.monotonic()
        output, status = (attempt or in_a_python)(asked, list(known))
        lines = [json.loads(text) for text in output.splitlines() if text.startswith("{")]
        begun: str | None = None
        for line in lines:
            if "refused" in line:
                raise TargetError(str(line["refused"]))
            if "target" in line:
                checked, target = True, Target.of_json(line["target"])
            elif "begin" in line:
                begun = str(line["begin"])
            elif "feature" in line:
                feature = str(line["feature"])
                known[feature] = Probe(feature, bool(line["supported"]), str(line["reason"]))
        if any("done" in line for line in lines):
            return Found(target, tuple(known[feature] for feature in FEATURES))
        if not checked and time.monotonic() - began >= asked.start_timeout:
            raise TargetError(
                f"{target.factory}, when asked for a loop, hung or took longer than {asked.start_timeout:g} s; "
                f"if it needs more, give --start-timeout, and else see: python -c {shlex.quote(_first_loop(target))}"
            )
        if not checked:
            raise TargetError(
                f"the first loop from {target.factory} ended the process ({status}); "
                f"try: python -c {shlex.quote(_first_loop(target))}"
            )
        if begun is None or begun in known:
            return Found(target, tuple(known.get(feature, Probe(feature, supported=True)) for feature in FEATURES))
        # A probe that kills the process shows that the feature is there; what is wrong with it the cases say.
        known[begun] = Probe(begun, supported=True)


def in_a_python(asked: Asked, known: Sequence[str]) -> tuple[str, str]:
    """An attempt in a Python of its own."""
    line = [sys.executable, "-P", "-m", "conformance.harness.probes", *asked.arguments(known)]
    try:
        done = subprocess.run(
            line,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(),
            timeout=asked.start_timeout + PATIENCE,
            check=False,
        )
        output, status = done.stdout, describe_status(done.returncode)
    except subprocess.TimeoutExpired as error:
        output, status = error.stdout or b"", "it did not end in time"
    return output.decode(errors="replace"), status


def in_a_fork(folder: Path, asked: Asked, known: Sequence[str]) -> tuple[str, str]:
    """An attempt in a fork of this process, which has to be free of threads and of the target."""
    from conformance.harness.probes import main

    told = folder / f"probes-{len(known)}"
    told.touch(mode=0o600)
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)
            with told.open("a", encoding="utf-8") as out:
                main(asked.arguments(known), out)
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(1)
    deadline, parent = time.monotonic() + asked.start_timeout + PATIENCE, os.getppid()
    ended, status = 0, 0
    # The warm process may be gone by now, and nobody is left to be told.
    while not ended and time.monotonic() < deadline and os.getppid() == parent:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            time.sleep(LOOK)
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(pid, signal.SIGKILL)
    if not ended:
        os.waitpid(pid, 0)
    words = describe_status(os.waitstatus_to_exitcode(status)) if ended else "it did not end in time"
    return told.read_text(encoding="utf-8", errors="replace"), words


def fork_prober(folder: Path, asked: Asked) -> None:
    """Fork a process that has the target probed and leaves the answers in ``folder``; do not wait for it."""
    if os.fork():
        return
    answer: dict[str, object]
    try:
        os.setpgid(0, 0)
        answer = probe(asked, functools.partial(in_a_fork, folder)).as_json()
    except TargetError as problem:
        answer = {"refused": str(problem)}
    except BaseException as problem:
        answer = {"broken": repr(problem)}
    try:
        unfinished = folder / f"{ANSWERS}.part"
        unfinished.write_text(json.dumps(answer), encoding="utf-8")
        unfinished.replace(folder / ANSWERS)
    finally:
        os._exit(0)


def answers(asked: Asked, told: Callable[[], dict[str, object] | None]) -> Found:
    """What the warm process ``told``, or fresh answers where it tells nothing. Raises TargetError as `probe` does."""
    answer = told() or {}
    if "refused" in answer:
        raise TargetError(str(answer["refused"]))
    return Found.of_json(answer) if "probes" in answer else probe(asked)


def _first_loop(target: Target) -> str:
    module, _, attribute = target.factory.partition(":")
    return f"import asyncio, {module}; {module}.{attribute}().run_until_complete(asyncio.sleep(0))"
