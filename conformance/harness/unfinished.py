"""What a run that was cut knows already, kept so that another run of the same thing can go on from there."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING, Any

from attrs import asdict, field, mutable

import conformance
from conformance.harness.containment import Death
from conformance.harness.environment import platform_info, python_info
from conformance.harness.naming import CASES
from conformance.harness.passes import Collected, Execution
from reports.model import Verdict
from reports.text import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from conformance.catalogue import Version
    from conformance.harness.options import RunOptions
    from conformance.target import Target

UNFINISHED_JSON = "unfinished.json"

FORMAT = 1

LARGEST = 1024**3
"""Bytes: twice what a run could keep in which every case fails with the longest story."""


class UnfinishedError(Exception):
    """There is no such run to go on from; the message is one sentence."""


@mutable
class Record:
    """The executions of a run, in their order, and what they are worth something for."""

    identity: dict[str, str] = field(factory=dict)
    """what has to be the same for another run to go on; see `identity_of`"""
    collected: dict[str, Collected] = field(factory=dict)
    executions: list[tuple[str, Execution]] = field(factory=list)
    """each with the phase of the run that it belongs to"""
    started: str = ""
    """when the run began, ISO 8601; empty where nothing was taken over"""
    seconds: float = 0.0
    """how long it took so far"""

    def done(self, phase: str) -> set[str]:
        """The ids of the cases that the phase has executed."""
        return {execution.case for name, execution in self.executions if name == phase}


def identity_of(options: RunOptions, target: Target, profile: Version) -> dict[str, str]:
    """What makes two runs the same: in words, by what it is called."""
    python, platform = python_info(), platform_info()
    built = f"{python.build}{' free-threaded' if python.free_threaded else ''}"
    return {
        "target": f"{options.target} ({target.factory})",
        "version of the target": target.version or "none",
        "namespace": target.namespace_name,
        "profile": str(profile),
        "version of the suite": conformance.__version__,
        "state of the suite's files": digest(options.suite),
        "Python": f"{python.implementation} {python.version} ({built})",
        "platform": f"{platform.system} {platform.machine}",
        "--area": " ".join(options.areas) or "none",
        "--page": " ".join(options.pages) or "none",
        "--case": " ".join(options.cases) or "none",
        "-k": options.keyword or "none",
    }


def digest(suite: Path) -> str:
    """A SHA-256 (hex) over everything that decides what a case does and what becomes of it."""
    code = CASES.parent
    found = hashlib.sha256()
    for part in (suite, code / "support", code / "harness", code / "catalogue"):
        for path in sorted([*part.rglob("*.py"), *part.rglob("*.toml")]):
            found.update(path.relative_to(part).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def dumps(record: Record) -> str:
    """The text of an ``unfinished.json``: a line that says what it is, and the run in another."""
    run = {
        "identity": record.identity,
        "started": record.started,
        "seconds": record.seconds,
        "collected": [asdict(case) for case in record.collected.values()],
        "executions": [
            {"phase": phase, **asdict(execution, value_serializer=_plain)} for phase, execution in record.executions
        ],
    }
    body = json.dumps(run)
    return json.dumps({"unfinished": FORMAT, "sha256": _sum(body)}) + f"\n{body}\n"


def read(folder: Path, identity: Mapping[str, str]) -> Record:
    """The run that was cut and is kept in ``folder``, if it is the one with this identity.

    Raises UnfinishedError: there is none, it is another, or somebody else wrote the file.
    """
    path = folder / UNFINISHED_JSON
    text = _text(path)
    try:
        head, _, body = text.partition("\n")
        title = json.loads(head)
        body = body.removesuffix("\n")
        if title["unfinished"] != FORMAT or title["sha256"] != _sum(body):
            raise ValueError
        record = _record(json.loads(body))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UnfinishedError(
            f"{path} is cut, was edited, or is of another version: leave --resume away, and all cases run"
        ) from None
    for name, value in identity.items():
        earlier = record.identity.get(name, "none")
        if earlier != value:
            differs = "other files" if len(value) == len(earlier) == hashlib.sha256().digest_size * 2 else earlier
            now = "changed files" if differs == "other files" else value
            raise UnfinishedError(
                f"the unfinished run in {folder} is another: its {name} was {differs}, and is {now} now; "
                "leave --resume away, and all cases run"
            )
    return record


def _text(path: Path) -> str:
    nofollow = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | nofollow), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
                raise UnfinishedError(f"{path} is no file that a run left: remove it, and leave --resume away")
            return file.read(LARGEST).decode("ascii", "replace")
    except FileNotFoundError:
        raise UnfinishedError(f"there is no unfinished run in {path.parent}: leave --resume away") from None
    except (OSError, ValueError) as problem:
        raise UnfinishedError(f"{path} cannot be read ({reason(problem)}): leave --resume away") from None


def _record(run: dict[str, Any]) -> Record:
    collected = [Collected.read(entry) for entry in run["collected"]]
    record = Record(
        identity={str(name): str(value) for name, value in run["identity"].items()},
        collected={case.id: case for case in collected},
        executions=list(_executions(run["executions"])),
        started=str(run["started"]),
        seconds=float(run["seconds"]),
    )
    if not {execution.case for _, execution in record.executions} <= record.collected.keys():
        raise ValueError
    return record


def _executions(entries: list[dict[str, Any]]) -> Iterator[tuple[str, Execution]]:
    for entry in entries:
        phase, death, outcome = str(entry.pop("phase")), entry.pop("death"), entry["outcome"]
        if death is not None:
            death = Death(**{**death, "verdict": Verdict(death["verdict"])})
        elif outcome is not None:
            Verdict(outcome["verdict"])
        else:
            raise ValueError
        yield phase, Execution(**entry, death=death)


def _plain(_owner: Any, _field: Any, value: Any) -> Any:
    return value.value if isinstance(value, Verdict) else value


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
