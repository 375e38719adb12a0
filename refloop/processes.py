"""Starting child processes: `loop.subprocess_exec()` and `loop.subprocess_shell()`."""

from __future__ import annotations

import os
import subprocess
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from refloop import policies
from refloop.children import Child, ChildTransport
from refloop.watching import DescriptorWatching

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Argument = str | bytes | os.PathLike[str] | os.PathLike[bytes]


class ProcessStarting(DescriptorWatching):
    """`subprocess_exec()`, `subprocess_shell()`, and the children that they started.

    Any loop in any thread may start children, with no loop in the main thread and no handler for SIGCHLD.

    Keeps: subprocess-and-threads/spawns-from-any-thread.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._children: set[Child] = set()

    async def subprocess_exec(
        self,
        protocol_factory: Callable[[], Any],
        program: Argument,
        *args: Argument,
        stdin: Any = subprocess.PIPE,
        stdout: Any = subprocess.PIPE,
        stderr: Any = subprocess.PIPE,
        universal_newlines: bool = False,
        shell: bool = False,
        bufsize: int = 0,
        encoding: str | None = None,
        errors: str | None = None,
        text: bool | None = None,
        **kwargs: Any,
    ) -> tuple[ChildTransport, Any]:
        """Run `program` with `args`, without a shell; return its transport and the protocol.

        Each of `stdin`, `stdout` and `stderr` is `PIPE`, `DEVNULL`, a descriptor, something with `fileno()`, or None
        for the parent's own; `stderr` may be `STDOUT` as well. All further keywords go to `subprocess.Popen`. What
        would make its streams anything but unbuffered bytes is refused by `ValueError`; a program that cannot be
        started raises what `Popen` does.

        Keeps: loop.subprocess_exec/accepts-documented-parameters, loop.subprocess_exec/runs-program-without-shell,
        loop.subprocess_exec/accepts-str-and-bytes-arguments, loop.subprocess_exec/accepts-subprocess-protocol-factory,
        loop.subprocess_exec/returns-transport-protocol-pair, loop.subprocess_exec/pipe-creates-new-pipe,
        loop.subprocess_exec/accepts-file-object-stream, loop.subprocess_exec/none-inherits-stream,
        loop.subprocess_exec/devnull-uses-null-device, loop.subprocess_exec/stdout-merges-stderr,
        loop.subprocess_exec/accepts-descriptor-stream, loop.subprocess_exec/forwards-keywords-to-popen,
        loop.subprocess_exec/rejects-bufsize-newlines-shell, loop.subprocess_exec/rejects-text-encoding-errors,
        loop.subprocess_exec/raises-for-missing-program, loop.subprocess_exec/unsupported-on-windows-selector,
        loop.subprocess_exec/streams-configured-independently, loop.subprocess_exec/protocol-comes-from-factory,
        loop.subprocess_exec/default-streams-are-pipes, loop.subprocess_exec/passed-pipe-peer-registrable.
        """
        if shell:
            raise ValueError("subprocess_exec() runs programs without a shell; subprocess_shell() runs them with one")
        refuse_anything_but_bytes(universal_newlines, bufsize, encoding, errors, text)
        return self._start_child(protocol_factory, (program, *args), stdin, stdout, stderr, kwargs)

    async def subprocess_shell(
        self,
        protocol_factory: Callable[[], Any],
        cmd: str | bytes,
        *,
        stdin: Any = subprocess.PIPE,
        stdout: Any = subprocess.PIPE,
        stderr: Any = subprocess.PIPE,
        universal_newlines: bool = False,
        shell: bool = True,
        bufsize: int = 0,
        encoding: str | None = None,
        errors: str | None = None,
        text: bool | None = None,
        **kwargs: Any,
    ) -> tuple[ChildTransport, Any]:
        """Run `cmd` by the system's shell, as it is: quoting is up to the caller. Else like `subprocess_exec()`.

        `ValueError` for a `cmd` that is neither str nor bytes.

        Keeps: loop.subprocess_shell/accepts-documented-parameters, loop.subprocess_shell/runs-cmd-through-shell,
        loop.subprocess_shell/accepts-str-or-bytes-cmd, loop.subprocess_shell/returns-transport-protocol-pair,
        loop.subprocess_shell/otherwise-like-subprocess-exec, loop.subprocess_shell/rejects-non-string-cmd,
        loop.subprocess_shell/quoting-left-to-caller.
        """
        if not isinstance(cmd, (str, bytes)):
            raise ValueError(f"cmd must be a str or bytes, not {type(cmd).__name__}")
        if not shell:
            raise ValueError("subprocess_shell() runs programs by a shell; subprocess_exec() runs them without one")
        refuse_anything_but_bytes(universal_newlines, bufsize, encoding, errors, text)
        return self._start_child(protocol_factory, cmd, stdin, stdout, stderr, {**kwargs, "shell": True})

    def _start_child(
        self,
        protocol_factory: Callable[[], Any],
        command: str | bytes | Sequence[Argument],
        stdin: Any,
        stdout: Any,
        stderr: Any,
        kwargs: dict[str, Any],
    ) -> tuple[ChildTransport, Any]:
        if os.name == "nt":
            raise NotImplementedError("on Windows, a loop that asks a selector cannot start processes")
        self._check_closed()
        watcher = policies.chosen_child_watcher()
        if watcher is not None and not watcher.is_active():
            raise RuntimeError(
                "the child watcher is not active: it needs attach_loop() and, for SafeChildWatcher and "
                "FastChildWatcher, a loop that runs in the main thread"
            )
        protocol = protocol_factory()
        # A watcher that reaps every child must not do so before it knows this one.
        with nullcontext() if watcher is None else watcher:
            popen = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, bufsize=0, **kwargs)
            child = Child(self, popen, protocol, watcher)
        transport = ChildTransport(child)
        child.begin(transport)
        return transport, protocol

    def _close_children(self) -> None:
        """Let go of the children of a closed loop; those that are being closed have to end for that.

        The others run until their transports are closed or collected.
        """
        for child in list(self._children):
            if child.closing or child.forgotten:
                child.end_at_once()
        self._children.clear()


def refuse_anything_but_bytes(
    universal_newlines: object, bufsize: object, encoding: object, errors: object, text: object
) -> None:
    """Raise `ValueError` for a keyword of `Popen` that would decode or buffer.

    Keeps: loop.subprocess_exec/rejects-bufsize-newlines-shell, loop.subprocess_exec/rejects-text-encoding-errors,
    subprocess.Process/rejects-universal-newlines.
    """
    refused = {"universal_newlines": universal_newlines, "text": text, "encoding": encoding, "errors": errors}
    for name, value in refused.items():
        if value:
            raise ValueError(f"{name} is not supported: a child's streams carry bytes")
    if bufsize != 0:
        raise ValueError("bufsize must be 0: pipes are buffered by their transports")
