"""Does the target have the feature at all? Asked once, before the cases that need it.

One missing feature must not read as two hundred failures: where the loop answers ``NotImplementedError``, or has no
such method, the cases of the areas that need it are `unsupported` at once. Any other answer, a wrong one included,
means that the feature is there, and the cases judge it.

``python -m conformance.harness.probes TARGET NAMESPACE [KNOWN…]`` runs in a process of its own, because the first use
of a loop may end it; it tells its parent what it finds as JSON lines, about the features that are not yet known.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import json
import os
import shutil
import signal
import socket
import ssl
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from attrs import asdict

from conformance.harness.containment import start_clean
from conformance.harness.features import EAGER_TASKS, lacks_method
from conformance.harness.probing import PROBE_BUDGET
from conformance.target import TargetError, make_current_folder_importable, resolve

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO


def probe_eager_tasks(loop: Any) -> None:
    # Not a feature of a loop's own: every kind of task is checked with eager start as well, and where a loop fails on
    # asyncio's own factory, the cases of that factory say so once and the others have nothing to add.
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        return
    loop.set_task_factory(factory)

    async def start() -> None:
        await loop.create_task(asyncio.sleep(0))

    main = start()
    try:
        loop.run_until_complete(main)
    except TypeError as error:
        main.close()
        raise NotImplementedError(f"a task with asyncio.eager_task_factory: {error}") from error


def probe_executor(loop: Any) -> None:
    loop.run_until_complete(loop.run_in_executor(None, int))


def probe_asyncgens(loop: Any) -> None:
    loop.run_until_complete(loop.shutdown_asyncgens())


def probe_signals(loop: Any) -> None:
    loop.add_signal_handler(signal.SIGUSR1, int)
    loop.remove_signal_handler(signal.SIGUSR1)


def probe_dns(loop: Any) -> None:
    loop.run_until_complete(loop.getaddrinfo("127.0.0.1", 80))


def probe_fds(loop: Any) -> None:
    with _pair() as (left, _):
        loop.add_reader(left, int)
        loop.remove_reader(left)


def probe_sock(loop: Any) -> None:
    with _pair() as (left, right):
        right.send(b"x")
        loop.run_until_complete(loop.sock_recv(left, 1))


def probe_tcp_client(loop: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        _connect(loop, server)


def probe_tcp_server(loop: Any) -> None:
    async def serve() -> None:
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
        server.close()

    loop.run_until_complete(serve())


def probe_udp(loop: Any) -> None:
    async def open_endpoint() -> None:
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        transport.close()

    loop.run_until_complete(open_endpoint())


def probe_unix(loop: Any) -> None:
    async def serve() -> None:
        with tempfile.TemporaryDirectory() as folder:
            server = await loop.create_unix_server(asyncio.Protocol, f"{folder}/socket")
            server.close()

    loop.run_until_complete(serve())


def probe_tls(loop: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.suppress(OSError, TimeoutError):
        # Nobody answers the handshake: a loop with TLS gives up, one without says so at once.
        _connect(
            loop, server, ssl=ssl.create_default_context(), server_hostname="localhost", ssl_handshake_timeout=0.05
        )


def probe_sendfile(loop: Any) -> None:
    with _pair() as (left, _), tempfile.TemporaryFile() as file:
        file.write(b"x")
        file.seek(0)
        loop.run_until_complete(loop.sock_sendfile(left, file))


def probe_pipes(loop: Any) -> None:
    reading, writing = os.pipe()
    os.close(writing)

    async def connect() -> None:
        transport, _ = await loop.connect_read_pipe(asyncio.Protocol, os.fdopen(reading, "rb", 0))
        transport.close()

    loop.run_until_complete(connect())


def probe_subprocess(loop: Any) -> None:
    async def spawn() -> None:
        transport, _ = await loop.subprocess_exec(asyncio.SubprocessProtocol, shutil.which("true") or sys.executable)
        transport.close()

    loop.run_until_complete(spawn())


PROBES: dict[str, Callable[[Any], None]] = {
    EAGER_TASKS: probe_eager_tasks,
    "executor": probe_executor,
    "asyncgens": probe_asyncgens,
    "signals": probe_signals,
    "dns": probe_dns,
    "fds": probe_fds,
    "sock": probe_sock,
    "tcp-client": probe_tcp_client,
    "tcp-server": probe_tcp_server,
    "udp": probe_udp,
    "unix": probe_unix,
    "tls": probe_tls,
    "sendfile": probe_sendfile,
    "pipes": probe_pipes,
    "subprocess": probe_subprocess,
}


@contextlib.contextmanager
def _pair() -> Any:
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        yield left, right


def _connect(loop: Any, server: socket.socket, **options: Any) -> None:
    async def connect() -> None:
        transport, _ = await loop.create_connection(asyncio.Protocol, *server.getsockname()[:2], **options)
        transport.close()

    loop.run_until_complete(connect())


def ask(feature: str, loop: Any) -> tuple[bool, str]:
    """Whether the loop has the feature, and what it says if not."""
    try:
        PROBES[feature](loop)
    except NotImplementedError as error:
        return False, f"NotImplementedError{f': {error}' if str(error) else ''}"
    except AttributeError as error:
        if lacks_method(error, loop):
            return False, f"the loop has no method {error.name}()"
    except BaseException:
        return True, ""
    return True, ""


def main(arguments: list[str], out: TextIO) -> None:
    """Check the factory and run every probe that is not known yet; one JSON line each to ``out``, as it happens."""
    spec, namespace, start_timeout, *known = arguments
    process = os.getpid()
    make_current_folder_importable()
    start_clean()

    def tell(**line: object) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    faulthandler.enable(sys.__stderr__ or sys.stderr)
    faulthandler.dump_traceback_later(float(start_timeout), exit=True)
    try:
        target = resolve(spec, namespace or None)
        loop = target.make_loop()
        loop.run_until_complete(target.namespace.sleep(0))
        loop.close()
    except TargetError as error:
        tell(refused=str(error))
        return
    except BaseException as error:
        tell(refused=f"the factory {spec} gives no working loop: {type(error).__name__}: {error}")
        return
    tell(target=asdict(target))
    for feature in PROBES:
        if feature in known:
            continue
        tell(begin=feature)
        faulthandler.dump_traceback_later(PROBE_BUDGET, exit=True)
        try:
            loop = target.make_loop()
            supported, reason = ask(feature, loop)
            with contextlib.suppress(BaseException):
                loop.close()
        except BaseException:
            supported, reason = True, ""
        if os.getpid() != process:
            # A loop that forks: the copy has nothing to say.
            os._exit(1)
        tell(feature=feature, supported=supported, reason=reason)
    tell(done=True)
    # Loops have been seen to hang or crash at interpreter exit; everything is said.
    out.flush()
    os._exit(0)


if __name__ == "__main__":
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    main(sys.argv[1:], told)
