"""What Windows cannot do, its two loops each, and which of them is the default."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement
from conformance.support.policies import deprecated_api
from conformance.support.waiting import GENEROUS, run_one_pass

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterator

    from conformance.support.programs import RunProgram

# How a loop says that it cannot do something: the method raises, or is not there.
LACKS = (NotImplementedError, AttributeError)
CHILD = (sys.executable, "-S", "-c", "print('child')")
# One more than the page lets select() wait for, counted without the loop's own.
TOO_MANY = 513


@pytest.fixture
def default_loop(aio: Any) -> Iterator[AbstractEventLoop]:
    """A loop of the namespace's default kind."""
    with contextlib.closing(aio.new_event_loop()) as made:
        yield made


@pytest.fixture
def selector_loop(aio: Any) -> Iterator[AbstractEventLoop]:
    """A loop of the kind that polls a selector."""
    with contextlib.closing(aio.SelectorEventLoop()) as made:
        yield made


@pytest.fixture
def proactor_loop(aio: Any) -> Iterator[AbstractEventLoop]:
    """A loop of the kind that waits for completions."""
    with contextlib.closing(aio.ProactorEventLoop()) as made:
        yield made


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The two ends of a pipe, which is no socket and was not opened for overlapped I/O."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


@requirement("windows/lacks-unix-sockets")
def test_windows_has_no_unix_sockets(default_loop: AbstractEventLoop, aio: Any) -> None:
    for method in ("create_unix_connection", "create_unix_server"):
        with pytest.raises(LACKS):
            default_loop.run_until_complete(getattr(default_loop, method)(aio.Protocol, "name"))


@requirement("windows/lacks-signal-handlers")
def test_windows_has_no_signal_handlers(default_loop: AbstractEventLoop) -> None:
    with pytest.raises(LACKS):
        default_loop.add_signal_handler(2, int)
    with pytest.raises(LACKS):
        default_loop.remove_signal_handler(2)


@requirement("windows/lacks-child-watchers")
def test_windows_has_no_child_watchers(aio: Any) -> None:
    with deprecated_api(), pytest.raises(LACKS):
        aio.get_event_loop_policy().set_child_watcher(None)


@requirement("windows/proactor-is-default")
def test_the_default_loop_of_windows_is_the_proactors(default_loop: AbstractEventLoop, aio: Any) -> None:
    assert isinstance(default_loop, aio.ProactorEventLoop)


@pytest.mark.parametrize("add", ["add_reader", "add_writer"])
@requirement("windows/selector-readers-require-sockets", "windows/selector-limited-to-sockets")
def test_the_selectors_loop_watches_nothing_but_sockets(
    selector_loop: AbstractEventLoop, pipe: tuple[int, int], add: str
) -> None:
    end = pipe[0] if add == "add_reader" else pipe[1]

    def watch() -> None:
        # It may notice when it is told of the pipe, or when it waits for it.
        getattr(selector_loop, add)(end, int)
        run_one_pass(selector_loop)

    try:
        with pytest.raises((OSError, ValueError)):
            watch()
    finally:
        getattr(selector_loop, add.replace("add", "remove"))(end)


@requirement("windows/selector-limited-to-sockets")
def test_the_selectors_loop_waits_for_512_sockets_at_most(selector_loop: AbstractEventLoop) -> None:
    def watch_all() -> None:
        for each in sockets:
            selector_loop.add_reader(each, int)
        run_one_pass(selector_loop)

    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(TOO_MANY)]
        try:
            with pytest.raises((OSError, ValueError)):
                watch_all()
        finally:
            for each in sockets:
                selector_loop.remove_reader(each)


@pytest.mark.parametrize("connect", ["connect_read_pipe", "connect_write_pipe"])
@requirement("windows/selector-lacks-pipes")
def test_the_selectors_loop_has_no_pipes(
    selector_loop: AbstractEventLoop, aio: Any, pipe: tuple[int, int], connect: str
) -> None:
    reads = connect == "connect_read_pipe"
    with os.fdopen(pipe[not reads], "rb" if reads else "wb", 0) as end, pytest.raises(LACKS):
        selector_loop.run_until_complete(getattr(selector_loop, connect)(aio.Protocol, end))


@requirement("windows/selector-lacks-subprocesses")
def test_the_selectors_loop_starts_no_child(selector_loop: AbstractEventLoop, aio: Any) -> None:
    with pytest.raises(LACKS):
        selector_loop.run_until_complete(selector_loop.subprocess_exec(aio.SubprocessProtocol, *CHILD))
    with pytest.raises(LACKS):
        selector_loop.run_until_complete(selector_loop.subprocess_shell(aio.SubprocessProtocol, "exit 0"))
    with pytest.raises(LACKS):
        selector_loop.run_until_complete(aio.create_subprocess_exec(*CHILD))
    with pytest.raises(LACKS):
        selector_loop.run_until_complete(aio.create_subprocess_shell("exit 0"))


@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
@requirement("windows/proactor-lacks-readers-and-writers")
def test_the_proactors_loop_watches_nothing(proactor_loop: AbstractEventLoop, method: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(LACKS):
        getattr(proactor_loop, method)(ours, int)


@requirement("windows/proactor-pipes-require-overlapped")
def test_the_proactors_loop_cannot_read_a_pipe_that_is_not_for_overlapped_io(
    proactor_loop: AbstractEventLoop, aio: Any, pipe: tuple[int, int]
) -> None:
    proactor_loop.set_exception_handler(lambda *_: None)

    async def connect(end: Any) -> object:
        lost = proactor_loop.create_future()

        class Protocol(aio.Protocol):  # type: ignore[misc]
            def connection_lost(self, error: Exception | None) -> None:
                lost.set_result(error)

        try:
            await proactor_loop.connect_read_pipe(Protocol, end)
        except OSError as error:
            return error
        return await aio.wait_for(lost, GENEROUS)

    with os.fdopen(pipe[0], "rb", 0) as end:
        assert isinstance(proactor_loop.run_until_complete(connect(end)), OSError)


@requirement("windows/proactor-supports-subprocesses")
def test_the_proactors_loop_starts_children(proactor_loop: AbstractEventLoop, aio: Any) -> None:
    async def outputs() -> list[bytes]:
        executed = await aio.create_subprocess_exec(*CHILD, stdout=aio.subprocess.PIPE)
        by_shell = await aio.create_subprocess_shell("echo shell", stdout=aio.subprocess.PIPE)
        return [(await child.communicate())[0].strip() for child in (executed, by_shell)]

    assert proactor_loop.run_until_complete(outputs()) == [b"child", b"shell"]


SUBPROCESSES_ON_WINDOWS = """
import sys

aio.set_event_loop_policy(aio.WindowsProactorEventLoopPolicy())

async def main():
    child = await aio.create_subprocess_exec(
        sys.executable, "-S", "-c", "print('child')", stdout=aio.subprocess.PIPE
    )
    output, _ = await child.communicate()
    print(output.decode().strip())

aio.run(main())
"""


@requirement("examples/subprocess-support-on-windows")
def test_the_program_with_the_proactors_policy_starts_a_child(run_program: RunProgram) -> None:
    finished = run_program(SUBPROCESSES_ON_WINDOWS)
    assert (finished.stdout, finished.returncode) == ("child\n", 0), finished.stderr
