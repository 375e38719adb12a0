"""refloop has every object that the documentation of 3.6 to 3.15 describes, and takes the documented arguments.

`documented.toml` says what is documented. What the newest documentation says is asked of `refloop`; what older ones
say, of `refloop.legacy`, which stands in for their namespace.
"""

from __future__ import annotations

import inspect
import socket
import subprocess
import sys
import tomllib
import warnings
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import refloop
from refloop import legacy

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENTED: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "documented.toml").read_text(encoding="utf-8")
)
NEWEST = "3.15"
OF_INTERFACES = ("method", "special-method")

# What the defaults of documented signatures are written with.
NAMES = {**vars(refloop), "socket": socket, "subprocess": subprocess, "_DEFAULT_LIMIT": 2**16}

# Functions with keywords that they only hand on, and who takes them.
HANDED_ON = {
    "loop.create_task": "Task",
    "create_task": "Task",
    "TaskGroup.create_task": "Task",
    "eager_task_factory": "Task",
    "open_connection": "loop.create_connection",
    "start_server": "loop.create_server",
    "open_unix_connection": "loop.create_unix_connection",
    "start_unix_server": "loop.create_unix_server",
}

WINDOWS = "refloop has no loop that is only for Windows: EventLoop is the selector's loop there, too"
NOT_THERE = {
    "ProactorEventLoop": WINDOWS,
    "WindowsProactorEventLoopPolicy": WINDOWS,
    "WindowsSelectorEventLoopPolicy": WINDOWS,
}
"""Documented names that refloop does not have, and why."""

FUTURE = "documented as awaitable: it has begun by the time it returns, so it is a future and no coroutine"
ACQUIRES = "gives the coroutine of acquire(), so that a subclass's own acquire() is what runs"
NO_COROUTINE_FUNCTIONS = {
    "loop.run_in_executor": FUTURE,
    "gather": FUTURE,
    "shield": FUTURE,
    "Lock.__aenter__": ACQUIRES,
    "Condition.__aenter__": ACQUIRES,
    "Semaphore.__aenter__": ACQUIRES,
}
"""What is documented like a coroutine function and is none, and why."""

PROGRAM = "the program is the first of args, and there must be one"
RENAMED = "3.7 documents the same parameter by another name; an object has but one"
NONE_FOR_DEFAULT = "the legacy function's, documented until 3.11; it stands for the number that 3.12 documents"
THE_TASKS_DEFAULT = "None leaves it to the task, whose own default is False"
NOT_TAKEN = {
    ("loop.create_task", "eager_start is False by default"): THE_TASKS_DEFAULT,
    ("create_task", "eager_start is False by default"): THE_TASKS_DEFAULT,
    ("TaskGroup.create_task", "eager_start is False by default"): THE_TASKS_DEFAULT,
    ("loop.subprocess_exec", "needs program"): PROGRAM,
    ("create_subprocess_exec", "needs program"): PROGRAM,
    ("create_subprocess_shell", "limit is elsewhere"): "3.6 lists it last; by position it cannot come after keywords",
    ("create_subprocess_exec", "limit is None by default"): NONE_FOR_DEFAULT,
    ("create_subprocess_shell", "limit is None by default"): NONE_FOR_DEFAULT,
    ("loop.create_datagram_endpoint", "has no reuse_address"): "gone with 3.11, which wins: the keyword is refused",
    ("Future.add_done_callback", "has no fn"): RENAMED,
    ("Future.add_done_callback", "needs callback"): RENAMED,
    ("Future.remove_done_callback", "has no fn"): RENAMED,
    ("Future.remove_done_callback", "needs callback"): RENAMED,
    ("as_completed", "has no fs"): RENAMED,
    ("as_completed", "needs aws"): RENAMED,
    ("ensure_future", "has no coro_or_future"): RENAMED,
    ("ensure_future", "needs obj"): RENAMED,
    ("async", "has no coro_or_future"): RENAMED,
    ("async", "needs obj"): RENAMED,
    ("shield", "has no arg"): RENAMED,
    ("shield", "needs aw"): RENAMED,
    ("wait", "has no futures"): RENAMED,
    ("wait", "needs aws"): RENAMED,
    ("wait_for", "has no fut"): RENAMED,
    ("wait_for", "needs aw"): RENAMED,
}
"""Documented calls that refloop does not take as they stand, and why."""


def find(namespace: Any, name: str) -> Any:
    """The object that a documented name stands for in `namespace`."""
    found = namespace
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for part in name.split("."):
            found = namespace.EventLoop if part == "loop" else getattr(found, part)
    return found


def documented_signature(text: str) -> inspect.Signature:
    """What a documented signature says; its defaults are the values that they stand for."""
    made: dict[str, Any] = {}
    exec(compile(f"def documented{text}: ...", text, "exec", dont_inherit=True), dict(NAMES), made)
    return inspect.signature(made["documented"])


def own_signature(namespace: Any, name: str) -> inspect.Signature:
    """How refloop's object is called, seen from outside: without `self`, with the keywords that it hands on."""
    own = inspect.signature(find(namespace, name))
    parameters = list(own.parameters.values())
    if DOCUMENTED[name]["kind"] in OF_INTERFACES:
        del parameters[0]
    if name in HANDED_ON:
        rest = parameters.pop()
        assert rest.kind is Parameter.VAR_KEYWORD
        known = {parameter.name for parameter in parameters}
        taken = own_signature(namespace, HANDED_ON[name]).parameters.values()
        parameters += [each for each in taken if each.kind is Parameter.KEYWORD_ONLY and each.name not in known]
        parameters.append(rest)
    return own.replace(parameters=parameters)


def complaints(own: inspect.Signature, documented: inspect.Signature, newest: inspect.Signature) -> Iterator[str]:
    """What refloop does not take as `documented`. A default that changed later is as the `newest` signature says."""
    for position, parameter in enumerate(documented.parameters.values()):
        if is_rest(parameter):
            if all(each.kind is not parameter.kind for each in own.parameters.values()):
                yield f"takes no {parameter}"
            continue
        found = own.parameters.get(parameter.name)
        if found is None:
            yield f"has no {parameter.name}"
            continue
        if found.kind is not parameter.kind:
            yield f"{parameter.name} is {found.kind.description}"
        elif found.kind is not Parameter.KEYWORD_ONLY and list(own.parameters).index(parameter.name) != position:
            yield f"{parameter.name} is elsewhere"
        default = newest.parameters.get(parameter.name, parameter).default
        if found.default is not default and found.default != default:
            yield f"{parameter.name} is {found.default!r} by default"
    for name, parameter in own.parameters.items():
        if parameter.default is Parameter.empty and not is_rest(parameter) and name not in documented.parameters:
            yield f"needs {name}"


def is_rest(parameter: Parameter) -> bool:
    """Whether it is `*args` or `**kwargs`."""
    return parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def is_documented(entry: dict[str, Any], version: str) -> bool:
    """Whether the documentation of `version` describes it."""
    first, last = (int(each.partition(".")[2]) for each in entry["documented"].split("-"))
    return first <= int(version.partition(".")[2]) <= last


NAMESPACES = [pytest.param(refloop, id="refloop"), pytest.param(legacy, id="legacy")]
in_both = pytest.mark.parametrize("namespace", NAMESPACES)


def names_for(namespace: Any) -> list[str]:
    """The documented names that `namespace` is asked for."""
    return [name for name, entry in DOCUMENTED.items() if namespace is legacy or is_documented(entry, NEWEST)]


def not_taken(namespace: Any, name: str) -> set[tuple[str, str]]:
    """Name and complaint for all that is not taken of the calls that are documented for `namespace`."""
    calls = {} if name in NOT_THERE else DOCUMENTED[name].get("calls", {})
    if not calls:
        return set()
    signatures = [documented_signature(text) for text in calls.values()]
    own = own_signature(namespace, name)
    asked = signatures[-1:] if namespace is refloop else signatures
    return {(name, complaint) for each in asked for complaint in complaints(own, each, signatures[-1])}


async def has_instance_attribute(name: str) -> bool:
    """Whether an object of the class has the attribute, where the class itself does not tell."""
    owner, _, attribute = name.rpartition(".")
    if owner == "subprocess.Process":
        process = await refloop.create_subprocess_exec(sys.executable, "-S", "-c", "")
        await process.wait()
        return hasattr(process, attribute)
    made = {
        "IncompleteReadError": refloop.IncompleteReadError(b"", 1),
        "LimitOverrunError": refloop.LimitOverrunError("", 1),
    }
    return hasattr(made.get(owner), attribute)


def is_there(namespace: Any, name: str) -> bool:
    """Whether refloop has what the name stands for."""
    try:
        find(namespace, name)
    except AttributeError:
        return DOCUMENTED[name]["kind"] == "attribute" and refloop.run(has_instance_attribute(name))
    return True


@in_both
def test_every_documented_object_is_there(namespace: Any) -> None:
    missing = {name for name in names_for(namespace) if not is_there(namespace, name)}
    assert missing == set(NOT_THERE)
    assert set(NOT_THERE) == {name for name, entry in DOCUMENTED.items() if entry.get("windows")}


@in_both
def test_every_object_is_what_the_documentation_calls_it(namespace: Any) -> None:
    wrong = []
    for name in names_for(namespace):
        kind = DOCUMENTED[name]["kind"]
        if name in NOT_THERE or kind in ("attribute", "constant"):
            continue
        found = find(namespace, name)
        is_class = kind in ("class", "dataclass", "exception")
        bases = [find(namespace, base) for base in DOCUMENTED[name].get("bases", ())]
        bases += [BaseException] if kind == "exception" else []
        if not callable(found) or inspect.isclass(found) != is_class or not all(issubclass(found, b) for b in bases):
            wrong.append(name)
    assert wrong == []


@in_both
def test_every_coroutine_function_is_one(namespace: Any) -> None:
    documented = [name for name in names_for(namespace) if DOCUMENTED[name].get("coroutine")]
    wrong = {name for name in documented if not inspect.iscoroutinefunction(find(namespace, name))}
    assert wrong == set(NO_COROUTINE_FUNCTIONS)


def test_every_object_takes_the_documented_arguments() -> None:
    found: set[tuple[str, str]] = set()
    for namespace in (refloop, legacy):
        found = found.union(*(not_taken(namespace, name) for name in names_for(namespace)))
    assert found - set(NOT_TAKEN) == set()
    assert set(NOT_TAKEN) - found == set(), "these are taken: they are no exceptions any more"


@in_both
def test_every_documented_name_is_in_all(namespace: Any) -> None:
    names = {name for name in names_for(namespace) if "." not in name and not name.startswith("_")}
    # These warn when they are looked up, or cannot be written: a star is not to import them.
    unlisted = {"async"} if namespace is legacy else {"AbstractEventLoopPolicy", "DefaultEventLoopPolicy"}
    assert names - set(NOT_THERE) - set(namespace.__all__) == unlisted
