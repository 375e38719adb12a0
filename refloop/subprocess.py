"""Child processes by streams: started with one call, written to and read from like connections, and waited for."""

from __future__ import annotations

from subprocess import DEVNULL, PIPE, STDOUT
from typing import TYPE_CHECKING, Any, cast

from refloop.gathering import gather
from refloop.identity import SubprocessProtocol, get_running_loop
from refloop.stream_protocol import FlowControl
from refloop.stream_reader import DEFAULT_LIMIT, StreamReader
from refloop.stream_writer import StreamWriter

if TYPE_CHECKING:
    import os

    from refloop.futures import Future
    from refloop.identity import AbstractEventLoop, SubprocessTransport
    from refloop.stream_protocol import StreamReaderProtocol

    Argument = str | bytes | os.PathLike[str] | os.PathLike[bytes]


class SubprocessStreamProtocol(SubprocessProtocol):
    """Feeds the readers of a child's output, and knows when the child has ended.

    It asks of the transport what is documented and no more, so it serves children of any loop.
    """

    def __init__(self, limit: int, loop: AbstractEventLoop) -> None:
        if limit <= 0:
            raise ValueError(f"limit must be a positive number of bytes, not {limit!r}")
        self._limit = limit
        self._loop = loop
        self._transport: Any = None
        self._open_pipes: set[int] = set()
        self._exited = False
        self._waiters: list[Future[None]] = []
        self._input = FlowControl(loop)
        self._outputs: dict[int, StreamReader] = {}
        self.stdin: StreamWriter | None = None

    @property
    def stdout(self) -> StreamReader | None:
        """The reader of the child's standard output, if that is a pipe."""
        return self._outputs.get(1)

    @property
    def stderr(self) -> StreamReader | None:
        """The reader of the child's standard error, if that is a pipe of its own."""
        return self._outputs.get(2)

    def connection_made(self, transport: Any) -> None:
        """Make the streams."""
        self._transport = transport
        for fd in (1, 2):
            pipe = transport.get_pipe_transport(fd)
            if pipe is not None:
                self._open_pipes.add(fd)
                self._outputs[fd] = StreamReader(self._limit, self._loop)
                self._outputs[fd].set_transport(pipe)
        pipe = transport.get_pipe_transport(0)
        if pipe is not None:
            self._open_pipes.add(0)
            # Of its protocol a writer of pipes asks only what flow control answers.
            protocol = cast("StreamReaderProtocol", self._input)
            self.stdin = StreamWriter(pipe, protocol, None, self._loop)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Feed the reader."""
        self._outputs[fd].feed_data(data)

    def pipe_connection_lost(self, fd: int, exc: BaseException | None) -> None:
        """End the stream."""
        self._open_pipes.discard(fd)
        if fd == 0:
            self._input.connection_lost(exc)
            if self.stdin is not None:
                self.stdin.close()
        elif exc is None:
            self._outputs[fd].feed_eof()
        else:
            self._outputs[fd].set_exception(exc)
        self._close_if_done()

    def pause_writing(self) -> None:
        """The child reads too slowly for what is written."""
        self._input.pause_writing()

    def resume_writing(self) -> None:
        """The child has caught up."""
        self._input.resume_writing()

    def process_exited(self) -> None:
        """Wake who waits for the end."""
        self._exited = True
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._close_if_done()

    def connection_lost(self, _: BaseException | None) -> None:
        """Let go of the transport, which is of no more use."""
        self._transport = None

    async def wait_for_exit(self) -> None:
        """Wait until the child has ended."""
        if not self._exited:
            waiter = cast("Future[None]", self._loop.create_future())
            self._waiters.append(waiter)
            await waiter

    def _close_if_done(self) -> None:
        if self._exited and not self._open_pipes and self._transport is not None:
            self._transport.close()


class Process:
    """A child process; `create_subprocess_exec()` and `create_subprocess_shell()` make these.

    `stdin` is a `StreamWriter`, `stdout` and `stderr` are `StreamReader`s, each if that stream is a pipe, else None;
    `pid` is the child's process id. It is not thread-safe, has no `poll()`, and its methods take no timeouts.

    Keeps: subprocess.Process/returned-by-creation-functions, subprocess.Process/has-no-poll,
    subprocess.Process/rejects-timeout-argument, subprocess.Process/readable-while-running,
    subprocess.Process.stdin/returns-stream-writer-or-none, subprocess.Process.stdout/returns-stream-reader-or-none,
    subprocess.Process.stderr/returns-stream-reader-or-none, subprocess.Process.pid/returns-child-pid,
    subprocess.Process.pid/returns-shell-pid.
    """

    def __init__(
        self, transport: SubprocessTransport, protocol: SubprocessStreamProtocol, loop: AbstractEventLoop
    ) -> None:
        self._transport = transport
        self._protocol = protocol
        self._loop = loop
        self.stdin = protocol.stdin
        self.stdout = protocol.stdout
        self.stderr = protocol.stderr
        self.pid = transport.get_pid()

    @property
    def returncode(self) -> int | None:
        """The return code; None while the child runs. -N if signal N ended it; a shell's is what the shell says.

        Keeps: subprocess.Process.returncode/none-until-exit, subprocess.Process.returncode/negative-signal-number,
        subprocess.Process.returncode/returns-shell-status, subprocess.Process.returncode/returns-exit-status.
        """
        return self._transport.get_returncode()

    async def wait(self) -> int:
        """Wait until the child has ended; return its return code.

        A child that writes to a full pipe does not end before somebody reads; `communicate()` does.

        Keeps: subprocess.Process.wait/is-coroutine, subprocess.Process.wait/returns-exit-code,
        subprocess.Process.wait/wakes-all-waiters, subprocess.Process.wait/sets-returncode,
        subprocess.Process.wait/may-deadlock-on-full-pipe.
        """
        await self._protocol.wait_for_exit()
        returncode = self.returncode
        assert returncode is not None
        return returncode

    async def communicate(
        self,
        input: bytes | bytearray | memoryview | None = None,  # noqa: A002 - documented name
    ) -> tuple[bytes | None, bytes | None]:
        """Write `input` and close stdin, read stdout and stderr to their ends, wait; return what was read of both.

        A stream that is no pipe gives None, and takes no input. That the child reads no more is no error.

        Keeps: subprocess.Process.communicate/accepts-input, subprocess.Process.communicate/sends-input-to-stdin,
        subprocess.Process.communicate/reads-until-eof-and-exit, subprocess.Process.communicate/returns-output-pair,
        subprocess.Process.communicate/survives-large-output,
        subprocess.Process.communicate/input-requires-stdin-pipe,
        subprocess.Process.communicate/returns-none-for-unpiped-streams.
        """
        _, output, errors = await gather(self._feed(input), read_all(self.stdout), read_all(self.stderr))
        await self.wait()
        return output, errors

    def send_signal(self, signal: int) -> None:
        """Send a signal to the child; `ProcessLookupError` when it has ended.

        Keeps: subprocess.Process.send_signal/sends-given-signal.
        """
        self._transport.send_signal(signal)

    def terminate(self) -> None:
        """Ask the child to end, by SIGTERM; `ProcessLookupError` when it has ended.

        Keeps: subprocess.Process.terminate/sends-sigterm.
        """
        self._transport.terminate()

    def kill(self) -> None:
        """End the child, by SIGKILL; `ProcessLookupError` when it has ended.

        Keeps: subprocess.Process.kill/sends-sigkill.
        """
        self._transport.kill()

    async def _feed(self, data: bytes | bytearray | memoryview | None) -> None:
        """Write the input, if any, and close stdin.

        Keeps: subprocess.Process.communicate/closes-stdin-after-input,
        subprocess.Process.communicate/closes-stdin-without-input,
        subprocess.Process.communicate/ignores-broken-stdin.
        """
        if self.stdin is None:
            return
        if data is not None:
            try:
                self.stdin.write(data)
                await self.stdin.drain()
            except (BrokenPipeError, ConnectionResetError):
                pass
        self.stdin.close()

    def __del__(self) -> None:
        """Kill a child that its owner let go of.

        Keeps: create_subprocess_exec/kills-child-when-collected, create_subprocess_shell/kills-child-when-collected.
        """
        transport = getattr(self, "_transport", None)
        if transport is None or transport.get_returncode() is not None:
            return
        try:
            # Objects are collected in any thread.
            self._loop.call_soon_threadsafe(transport.close)
        except RuntimeError:
            transport.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.pid}>"


async def create_subprocess_exec(
    program: Argument,
    *args: Argument,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    limit: int = DEFAULT_LIMIT,
    **kwds: Any,
) -> Process:
    """Run `program` with `args`; return it as a `Process`.

    The streams are the parent's own unless given: `PIPE`, `DEVNULL`, a descriptor, something with `fileno()`, and
    `STDOUT` for `stderr`. `limit` is the readers', in bytes. All other keywords go to `loop.subprocess_exec()`.

    Keeps: create_subprocess_exec/accepts-documented-arguments, create_subprocess_exec/returns-process,
    create_subprocess_exec/limit-bounds-reader-buffers, create_subprocess_exec/passes-keywords-through,
    create_subprocess_exec/runs-children-in-parallel, subprocess.PIPE/accepted-for-each-stream,
    subprocess.STDOUT/merges-stderr-into-stdout, subprocess.DEVNULL/connects-stream-to-devnull.
    """
    loop: Any = get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        lambda: SubprocessStreamProtocol(limit, loop), program, *args, stdin=stdin, stdout=stdout, stderr=stderr, **kwds
    )
    return Process(transport, protocol, loop)


async def create_subprocess_shell(
    cmd: str | bytes,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    limit: int = DEFAULT_LIMIT,
    **kwds: Any,
) -> Process:
    """Run `cmd` by the system's shell; return the shell as a `Process`. Quoting is up to the caller.

    All other arguments are those of `create_subprocess_exec()`; other keywords go to `loop.subprocess_shell()`.

    Keeps: create_subprocess_shell/accepts-documented-arguments, create_subprocess_shell/returns-process,
    create_subprocess_shell/limit-bounds-reader-buffers, create_subprocess_shell/passes-keywords-through,
    create_subprocess_shell/failing-command-sets-returncode.
    """
    loop: Any = get_running_loop()
    transport, protocol = await loop.subprocess_shell(
        lambda: SubprocessStreamProtocol(limit, loop), cmd, stdin=stdin, stdout=stdout, stderr=stderr, **kwds
    )
    return Process(transport, protocol, loop)


async def read_all(stream: StreamReader | None) -> bytes | None:
    """Return all that comes from `stream`; None for no stream."""
    return None if stream is None else await stream.read()


__all__ = ["DEVNULL", "PIPE", "STDOUT", "Process", "create_subprocess_exec", "create_subprocess_shell"]
