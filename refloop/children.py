"""A child process, its pipes, and what its protocol is told of them.

    Child            what the loop holds while the child lives
    PipeProtocol     passes on what one pipe says
    ChildTransport   what the program holds

The loop refers to the child and its pipes, never to the transport. So a transport that the program lets go of is
collected although the child lives, and takes the child with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import warnings
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

from refloop.childexits import UNKNOWN_RETURN_CODE, was_reaped, watch_exit
from refloop.errors import logger
from refloop.identity import Protocol, SubprocessTransport
from refloop.pipes import ReadPipeTransport, WritePipeTransport

if TYPE_CHECKING:
    from refloop.childexits import ExitWatch
    from refloop.futures import Future

# A killed child is gone in no time, unless the system holds it in a call that nothing interrupts.
SECONDS_FOR_A_KILLED_CHILD = 5.0


class Child:
    """A running program, from its start until it has ended and all its pipes are closed.

    `popen` was started with unbuffered pipes. When the making fails, the child has been killed.
    """

    def __init__(self, loop: Any, popen: subprocess.Popen[bytes], protocol: Any, child_watcher: Any = None) -> None:
        self.loop = loop
        self.popen = popen
        self.protocol = protocol
        self.pipes: dict[int, Any] = {}
        self.closing = False
        self.exited = False
        self.ended = False
        # Whether its transport was collected: then nobody is left who could close it.
        self.forgotten = False
        self._context = copy_context()
        self._waiters: list[Future[None]] = []
        self._open_pipes: set[int] = set()
        self._watch: ExitWatch | None = None
        try:
            self._watch = watch_exit(loop, popen, self._heard_exit, child_watcher)
            self._connect_pipes()
        except BaseException:
            self.end_at_once()
            raise
        loop._children.add(self)

    # The beginning

    def _connect_pipes(self) -> None:
        """Make a transport for each pipe.

        Keeps: WriteTransport/returned-by-connect-write-pipe, ReadTransport/returned-by-connect-read-pipe,
        SubprocessTransport.get_pipe_transport/returns-usable-pipe-transports.
        """
        for fd, file in enumerate((self.popen.stdin, self.popen.stdout, self.popen.stderr)):
            if file is not None:
                kind = ReadPipeTransport if fd else WritePipeTransport
                pipe = self.pipes[fd] = kind(self.loop, file, PipeProtocol(self, fd))
                pipe._start()
                self._open_pipes.add(fd)

    def begin(self, transport: ChildTransport) -> None:
        """Tell the protocol of its transport; no turn of the loop has passed in which it could have missed anything.

        Keeps: BaseProtocol.connection_made/receives-transport, BaseProtocol.connection_made/precedes-other-callbacks.
        """
        self.tell("connection_made", transport)

    # What happens to it

    def tell(self, name: str, *args: Any) -> None:
        """Call the protocol's callback `name`. Its failing is reported; the child goes on, and so do its callbacks."""
        if self.protocol is None:
            return
        try:
            self._context.run(getattr(self.protocol, name), *args)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self.loop.call_exception_handler(
                {"message": f"protocol.{name}() failed", "exception": error, "protocol": self.protocol}
            )

    def pipe_lost(self, fd: int, error: BaseException | None) -> None:
        """One of the pipes is closed.

        Keeps: SubprocessProtocol.pipe_connection_lost/called-once-per-closed-pipe,
        SubprocessProtocol.pipe_connection_lost/receives-none-on-normal-close.
        """
        self._open_pipes.discard(fd)
        self.tell("pipe_connection_lost", fd, error)
        self._end_if_done()

    def _heard_exit(self) -> None:
        """The child has ended: reap it, and tell.

        Keeps: SubprocessProtocol.process_exited/called-after-child-exit,
        SubprocessProtocol.process_exited/may-precede-pipe-callbacks, subprocess.Process.wait/wakes-all-waiters.
        """
        if self.popen.returncode is None and was_reaped(self.popen.pid):
            logger.warning("child %d was reaped by somebody else; its return code is reported as 255", self.popen.pid)
            self.popen.returncode = UNKNOWN_RETURN_CODE
        self.popen.wait()
        self.exited = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.tell("process_exited")
        self._end_if_done()

    def _end_if_done(self) -> None:
        if self.exited and not self._open_pipes and not self.ended:
            self.ended = True
            self.loop.call_soon(self._end)

    def _end(self) -> None:
        """Tell the protocol that this was all.

        Keeps: SubprocessTransport.close/calls-connection-lost-eventually, BaseProtocol.connection_lost/last-callback.
        """
        self.tell("connection_lost", None)
        self.protocol = None
        self.loop._children.discard(self)

    async def wait(self) -> int:
        """Wait until the child has ended; return its return code."""
        if not self.exited:
            waiter = cast("Future[None]", self.loop.create_future())
            self._waiters.append(waiter)
            await waiter
        return self.popen.wait()

    # What is done to it

    def send_signal(self, number: int) -> None:
        """Send a signal; `ProcessLookupError` once the child has been reaped.

        Only a child that was not reaped has its process id for sure.

        Keeps: SubprocessTransport.send_signal/sends-given-signal, SubprocessTransport.send_signal/raises-after-exit.
        """
        if self.popen.returncode is not None:
            raise ProcessLookupError(f"the child {self.popen.pid} has ended")
        os.kill(self.popen.pid, number)

    def close(self) -> None:
        """Kill the child if it runs, and close its pipes.

        Keeps: SubprocessTransport.close/kills-running-child, SubprocessTransport.close/closes-pipe-transports.
        """
        if self.loop.is_closed():
            self.end_at_once()
            return
        if self.closing:
            return
        self.closing = True
        killed = self._kill()
        for fd, pipe in self.pipes.items():
            if fd == 0 and killed:
                # Nobody is left to read what is buffered.
                pipe.abort()
            else:
                pipe.close()

    def end_at_once(self) -> None:
        """Kill the child, reap it and give everything back, without a loop that could tell of it."""
        self.closing = True
        if self._kill():
            try:
                self.popen.wait(SECONDS_FOR_A_KILLED_CHILD)
            except subprocess.TimeoutExpired:
                logger.warning("the child %d was killed and does not end", self.popen.pid)
                return
        self.exited = True
        if self._watch is not None:
            self._watch.stop()
        for pipe in self.pipes.values():
            pipe.abort()
        for file in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if file is not None:
                file.close()
        # What the loop may still have to say of the pipes is for nobody.
        self.protocol = None

    def _kill(self) -> bool:
        """Kill the child unless it was reaped; return whether that was to be done."""
        if self.popen.returncode is not None:
            return False
        # Not by `Popen.kill()`, which reaps a child that has ended: then a child watcher would never hear of it.
        with suppress(ProcessLookupError):
            os.kill(self.popen.pid, signal.SIGKILL)
        return True


class PipeProtocol(Protocol):
    """Passes on what the pipe of descriptor `fd` says."""

    def __init__(self, child: Child, fd: int) -> None:
        self._child = child
        self._fd = fd

    def data_received(self, data: bytes) -> None:
        """Pass the child's output on.

        Keeps: SubprocessProtocol.pipe_data_received/receives-fd-and-bytes,
        SubprocessProtocol.pipe_data_received/fifo-order-per-fd, loop.subprocess_exec/output-is-bytes.
        """
        self._child.tell("pipe_data_received", self._fd, data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Say that the pipe is closed."""
        self._child.pipe_lost(self._fd, exc)

    # Said from within the program's own call of `write()`, and meant for it: neither put off nor in another context.

    def pause_writing(self) -> None:
        """Say that what the child has yet to read is too much."""
        self._child.protocol.pause_writing()

    def resume_writing(self) -> None:
        """Say that it is no longer too much."""
        self._child.protocol.resume_writing()


class ChildTransport(SubprocessTransport):
    """The transport that `loop.subprocess_exec()` and `loop.subprocess_shell()` return.

    Keeps: SubprocessTransport/returned-by-subprocess-methods.
    """

    __slots__ = ("__weakref__", "_child")

    def __init__(self, child: Child) -> None:
        self._child = child

    def get_pid(self) -> int:
        """Return the process id of the child.

        Keeps: SubprocessTransport.get_pid/returns-child-pid.
        """
        return self._child.popen.pid

    def get_pipe_transport(self, fd: int) -> Any:
        """Return the transport of the pipe to the child's descriptor `fd`, 0 to 2; None if there is none.

        Keeps: SubprocessTransport.get_pipe_transport/returns-stdin-write-transport,
        SubprocessTransport.get_pipe_transport/returns-output-read-transports,
        SubprocessTransport.get_pipe_transport/returns-none-for-other-fd.
        """
        return self._child.pipes.get(fd)

    def get_returncode(self) -> int | None:
        """Return the child's return code; -N if signal N ended it; None while it runs.

        Keeps: SubprocessTransport.get_returncode/returns-code-or-none.
        """
        return self._child.popen.returncode

    def send_signal(self, signal: int) -> None:
        """Send a signal to the child; `ProcessLookupError` when it has ended.

        Keeps: SubprocessTransport.send_signal/sends-given-signal, SubprocessTransport.send_signal/raises-after-exit.
        """
        self._child.send_signal(signal)

    def terminate(self) -> None:
        """Ask the child to end, by SIGTERM; `ProcessLookupError` when it has ended.

        Keeps: SubprocessTransport.terminate/sends-sigterm.
        """
        self._child.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the child, by SIGKILL; `ProcessLookupError` when it has ended.

        Keeps: SubprocessTransport.kill/sends-sigkill.
        """
        self._child.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Kill the child if it still runs, and close its pipes. The protocol hears of all that, and of the end.

        Keeps: SubprocessTransport.close/kills-running-child, SubprocessTransport.close/closes-pipe-transports,
        loop.subprocess_exec/kills-child-with-transport, loop.subprocess_shell/kills-child-with-transport.
        """
        self._child.close()

    def is_closing(self) -> bool:
        """Return whether the transport is closing or closed.

        Keeps: BaseTransport.is_closing/returns-true-once-closing.
        """
        return self._child.closing or self._child.ended

    def set_protocol(self, protocol: Any) -> None:
        """Let `protocol` receive all further callbacks.

        Keeps: BaseTransport.set_protocol/redirects-callbacks.
        """
        self._child.protocol = protocol

    def get_protocol(self) -> Any:
        """Return the protocol in use; None once the child and its pipes are gone.

        Keeps: BaseTransport.get_protocol/returns-current-protocol.
        """
        return self._child.protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the `subprocess.Popen` object for "subprocess", `default` for anything else.

        Keeps: BaseTransport.get_extra_info/offers-subprocess-key, loop.subprocess_exec/exposes-popen-object.
        """
        return self._child.popen if name == "subprocess" else default

    async def _wait(self) -> int:
        """Wait for the child's return code; `Process` of the standard library asks its transport so."""
        return await self._child.wait()

    def __del__(self) -> None:
        """Kill a child that its owner forgot, with a `ResourceWarning`.

        Keeps: loop.subprocess_exec/kills-child-with-transport, loop.subprocess_shell/kills-child-with-transport,
        debug-mode/warns-about-unclosed-resources.
        """
        child = getattr(self, "_child", None)
        if child is None or child.ended or (child.exited and child.closing):
            return
        was_closing, child.forgotten = child.closing, True
        try:
            # Objects are collected in any thread.
            child.loop.call_soon_threadsafe(child.close)
        except RuntimeError:
            child.end_at_once()
        if not was_closing:
            warnings.warn(f"unclosed transport {self!r}", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        child = self._child
        words = [f"<{type(self).__name__} pid={child.popen.pid}"]
        words.append("running" if child.popen.returncode is None else f"returncode={child.popen.returncode}")
        words.extend(f"{name}={child.pipes[fd]!r}" for fd, name in enumerate(PIPE_NAMES) if fd in child.pipes)
        if self.is_closing():
            words.append("closed" if child.ended else "closing")
        return " ".join(words) + ">"


PIPE_NAMES = ("stdin", "stdout", "stderr")
