"""refloop stands alone: what it takes from asyncio comes by one module, and it runs without what a system lacks."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import refloop
import refloop.identity

PACKAGE = Path(refloop.__file__).parent
# The benchmarks measure refloop beside the standard library.
MODULES = sorted(module for module in PACKAGE.glob("*.py") if not module.stem.startswith("bench"))
TREES = {module.stem: ast.parse(module.read_text(encoding="utf-8")) for module in MODULES}
ELSEWHERE = [stem for stem in TREES if stem != "identity"]

# Starting Python and compiling everything may take long on a busy machine.
SECONDS = 60

ACCESSORS = {"getattr", "setattr", "hasattr", "delattr"}

PRIVATE_BUT_DOCUMENTED = {
    ("addresses", "_replace"),  # of a named tuple
    ("callgraph", "_getframe"),  # of sys
    ("describing", "_getframe"),
}
"""The private names that modules use and refloop does not define."""


def is_asyncio(name: object) -> bool:
    """Whether it is the name of asyncio or one of its modules."""
    return (
        isinstance(name, str)
        and all(part.isidentifier() for part in name.split("."))
        and (name.partition(".")[0] in ("asyncio", "_asyncio"))
    )


def uses_of_asyncio(tree: ast.AST) -> list[str]:
    """Imports of asyncio, its name as an attribute of something, and its name as a text for an import by hand."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if is_asyncio(alias.name)]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module or ""] if is_asyncio(node.module) else []
            found += [alias.name for alias in node.names if is_asyncio(alias.name)]
        elif isinstance(node, ast.Attribute):
            found += [f".{node.attr}"] if is_asyncio(node.attr) else []
        elif isinstance(node, ast.Constant) and is_asyncio(node.value):
            found.append(repr(node.value))
    return found


# The logger that the documentation names, and the name that the prompt gives to refloop.
@pytest.mark.parametrize(("stem", "allowed"), [(stem, {"errors": ["'asyncio'"], "repl": ["'asyncio'"]}.get(stem, []))
                                               for stem in ELSEWHERE])  # fmt: skip
def test_no_other_module_than_that_of_identities_names_asyncio(stem: str, allowed: list[str]) -> None:
    assert uses_of_asyncio(TREES[stem]) == allowed


def test_the_module_of_identities_does_import_asyncio() -> None:
    assert "asyncio.events" in uses_of_asyncio(TREES["identity"])


@pytest.mark.parametrize("stem", ELSEWHERE)
def test_no_other_module_holds_anything_of_asyncio_that_is_no_identity(stem: str) -> None:
    module = importlib.import_module("refloop" if stem == "__init__" else f"refloop.{stem}")
    shared = {id(getattr(refloop.identity, name)) for name in refloop.identity.__all__}
    foreign = [
        name
        for name, value in vars(module).items()
        if id(value) not in shared
        and is_asyncio(value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None))
    ]
    assert foreign == []


def private_names_defined(tree: ast.AST) -> set[str]:
    """The private names that a module gives to something: functions, arguments, attributes that are set, slots."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store(), value=ast.Name(id="self" | "cls")):
                found.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.alias(asname=str(name)):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id="__slots__")], value=value):
                found |= {str(each.value) for each in ast.walk(value) if isinstance(each, ast.Constant)}
    return {name for name in found if is_private(name)}


def private_names_used(tree: ast.AST) -> set[str]:
    """The private attributes that a module asks something for, plainly or by `getattr()` and its kin."""
    found: set[Any] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name):
                found.add(name)
            case ast.Call(func=ast.Name(id=function), args=[_, ast.Constant(value=name), *_]) if function in ACCESSORS:
                found.add(name)
            case ast.ImportFrom(names=names):
                found |= {alias.name for alias in names}
    return {name for name in found if isinstance(name, str) and is_private(name)}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_private_names_of_others_are_used_only_where_listed() -> None:
    defined = set().union(*map(private_names_defined, TREES.values())) | set(refloop.identity.__all__)
    used = {(stem, name) for stem in ELSEWHERE for name in private_names_used(TREES[stem]) - defined}
    assert used == PRIVATE_BUT_DOCUMENTED


FOREIGN_SYSTEM = """
import os, pathlib, select, selectors, signal, socket, sys

system, name = sys.argv[1:]
import refloop, refloop.legacy, refloop.repl, refloop.__main__

for module in [each for each in sys.modules if each.partition(".")[0] == "refloop"]:
    del sys.modules[module]
for module in ("fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"):
    sys.modules[module] = None
lacking = {
    os: ["eventfd", "eventfd_read", "eventfd_write", "EFD_NONBLOCK", "EFD_CLOEXEC", "pidfd_open"],
    select: ["epoll", "EPOLLIN", "EPOLLOUT", "EPOLLPRI", "EPOLLRDHUP", "EPOLLHUP", "EPOLLERR"],
    selectors: ["EpollSelector"],
}
selectors.DefaultSelector = selectors.PollSelector
if name == "nt":
    lacking[os] += ["fork", "waitid", "waitpid", "WNOHANG", "WIFEXITED", "set_blocking", "sendfile", "P_PID", "WEXITED"]
    lacking[os] += ["register_at_fork", "WNOWAIT", "waitstatus_to_exitcode", "getuid", "kill"]
    lacking[select] += ["poll", "POLLIN", "POLLOUT"]
    lacking[selectors] += ["PollSelector"]
    lacking[signal] = ["SIGCHLD", "SIGKILL", "SIGUSR1", "SIGHUP", "siginterrupt", "pthread_sigmask"]
    lacking[socket] = ["AF_UNIX", "SO_REUSEPORT"]
    # There, a pair is two connected TCP sockets.
    pair, unix = socket.socketpair, socket.AF_UNIX
    socket.socketpair = lambda: pair(unix)
    selectors.DefaultSelector = selectors.SelectSelector
for module, attributes in lacking.items():
    for attribute in attributes:
        if hasattr(module, attribute):
            delattr(module, attribute)
# What kind of paths there are is not what this is about.
pathlib.Path = pathlib.WindowsPath = pathlib.PosixPath
sys.platform, os.name = system, name

import refloop, refloop.legacy, refloop.repl, refloop.__main__

async def serve(reader, writer):
    writer.write(await reader.readline())
    writer.close()

async def main():
    server = await refloop.start_server(serve, "127.0.0.1", 0)
    async with server, refloop.timeout(30):
        reader, writer = await refloop.open_connection(*server.sockets[0].getsockname())
        writer.write(b"ping\\n")
        answer = await reader.readline()
        writer.close()
        await writer.wait_closed()
    return answer, await refloop.to_thread(str, "thread"), await refloop.gather(refloop.sleep(0.001, "slept"))

print(refloop.run(main()), hasattr(refloop, "start_unix_server"))
"""


@pytest.mark.parametrize(
    ("system", "name", "unix"), [("win32", "nt", False), ("darwin", "posix", True), ("freebsd14", "posix", True)]
)
def test_it_runs_without_what_the_system_lacks(system: str, name: str, *, unix: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FOREIGN_SYSTEM, system, name],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=PACKAGE.parent,
    )
    assert done.stdout == f"(b'ping\\n', 'thread', ['slept']) {unix}\n", done.stderr
