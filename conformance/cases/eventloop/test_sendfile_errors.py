"""Files that the system cannot send, and transports that take none: ``sendfile()`` and ``sock_sendfile()``."""

from __future__ import annotations

import io
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.certificates import over_tls, trusting_context
from conformance.support.marks import DEBUG, PLAIN, on_loops, requirement
from conformance.support.peers import Peer, accepting, read_until_eof, socket_pair

if TYPE_CHECKING:
    import socket
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

CONTENTS = b"the contents of the file"


@contextmanager
def refused() -> Iterator[None]:
    """The block must raise RuntimeError; NotImplementedError is one, but it says that there is no such feature."""
    with pytest.raises(RuntimeError) as caught:
        yield
    if isinstance(caught.value, NotImplementedError):
        raise caught.value


@on_loops(PLAIN, DEBUG)
@requirement(
    "loop.sock_sendfile/raises-sendfile-not-available", "SendfileNotAvailableError/raised-when-sendfile-unavailable"
)
async def test_a_file_without_a_descriptor_cannot_be_sent_to_a_socket_by_the_system(
    loop: AbstractEventLoop, aio: Any
) -> None:
    with socket_pair() as (ours, _), pytest.raises(aio.SendfileNotAvailableError):
        await loop.sock_sendfile(ours, io.BytesIO(CONTENTS), fallback=False)


@requirement("loop.sock_sendfile/raises-sendfile-not-available")
async def test_nothing_of_a_refused_file_goes_to_the_socket(loop: AbstractEventLoop, aio: Any) -> None:
    file = io.BytesIO(CONTENTS)
    with socket_pair() as (ours, theirs):
        with pytest.raises(aio.SendfileNotAvailableError):
            await loop.sock_sendfile(ours, file, fallback=False)
        await loop.sock_sendall(ours, b"afterwards")
        ours.close()
        assert read_until_eof(theirs) == b"afterwards"
    assert file.tell() == 0


@requirement("loop.sock_sendfile/raises-sendfile-not-available")
async def test_a_part_of_a_file_without_a_descriptor_cannot_be_sent_either(loop: AbstractEventLoop, aio: Any) -> None:
    with socket_pair() as (ours, _), pytest.raises(aio.SendfileNotAvailableError):
        await loop.sock_sendfile(ours, io.BytesIO(CONTENTS), 4, 8, fallback=False)


@asynccontextmanager
async def connected(loop: AbstractEventLoop, aio: Any) -> AsyncIterator[tuple[Any, Peer[bytes]]]:
    """A transport and its peer, which reads until the transport's end."""
    with accepting(read_until_eof) as peer:
        transport, _ = await loop.create_connection(aio.Protocol, *peer.address)
        try:
            yield transport, peer
        finally:
            transport.abort()
        await peer.outcome(loop)


@on_loops(PLAIN, DEBUG)
@requirement(
    "loop.sendfile/raises-sendfile-not-available", "SendfileNotAvailableError/raised-when-sendfile-unavailable"
)
async def test_a_file_without_a_descriptor_cannot_be_sent_over_a_transport_by_the_system(
    loop: AbstractEventLoop, aio: Any
) -> None:
    async with connected(loop, aio) as (transport, _):
        with pytest.raises(aio.SendfileNotAvailableError):
            await loop.sendfile(transport, io.BytesIO(CONTENTS), fallback=False)


@requirement("loop.sendfile/raises-sendfile-not-available")
async def test_a_transport_that_could_not_send_a_file_still_writes(loop: AbstractEventLoop, aio: Any) -> None:
    file = io.BytesIO(CONTENTS)
    async with connected(loop, aio) as (transport, peer):
        transport.write(b"before ")
        with pytest.raises(aio.SendfileNotAvailableError):
            await loop.sendfile(transport, file, fallback=False)
        transport.write(b"after")
        transport.close()
        assert await peer.outcome(loop) == b"before after"
    assert file.tell() == 0


@requirement("loop.sendfile/raises-sendfile-not-available")
async def test_a_transport_that_could_not_send_a_file_still_reads(loop: AbstractEventLoop, aio: Any) -> None:
    received = loop.create_future()

    def answer(connection: socket.socket) -> None:
        connection.recv(2)
        connection.sendall(b"!")
        read_until_eof(connection)

    class Reader(aio.Protocol):  # type: ignore[misc]
        def data_received(self, data: bytes) -> None:
            received.set_result(data)

    with accepting(answer) as peer:
        transport, _ = await loop.create_connection(Reader, *peer.address)
        with pytest.raises(aio.SendfileNotAvailableError):
            await loop.sendfile(transport, io.BytesIO(CONTENTS), fallback=False)
        transport.write(b"go")
        assert await received == b"!"
        transport.close()
        await peer.outcome(loop)


@requirement("loop.sendfile/raises-sendfile-not-available")
async def test_a_file_never_goes_around_the_encryption_of_a_transport(
    loop: AbstractEventLoop, aio: Any, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENTS)
    options: dict[str, Any] = {"ssl": trusting_context(), "server_hostname": "localhost"}
    with accepting(over_tls(read_until_eof)) as peer:
        transport, _ = await loop.create_connection(aio.Protocol, *peer.address, **options)
        # CPython raises the base class here, as it does for transports of unknown kinds.
        with path.open("rb") as file, refused():
            await loop.sendfile(transport, file, fallback=False)
        transport.write(b"encrypted")
        transport.close()
        assert await peer.outcome(loop) == b"encrypted"


@on_loops(PLAIN, DEBUG)
@pytest.mark.parametrize("ending", ["close", "abort"])
@pytest.mark.parametrize("fallback", [True, False], ids=["fallback", "system"])
@requirement("loop.sendfile/rejects-closing-transport")
async def test_a_closing_transport_takes_no_file(
    loop: AbstractEventLoop, aio: Any, tmp_path: Path, ending: str, fallback: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENTS)
    async with connected(loop, aio) as (transport, _):
        getattr(transport, ending)()
        with path.open("rb") as file, refused():
            await loop.sendfile(transport, file, fallback=fallback)


@requirement("loop.sendfile/rejects-closing-transport")
async def test_a_transport_that_closes_with_data_to_send_sends_it_and_no_file(
    loop: AbstractEventLoop, aio: Any, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENTS)
    async with connected(loop, aio) as (transport, peer):
        transport.write(b"written before")
        transport.close()
        with path.open("rb") as file, refused():
            await loop.sendfile(transport, file)
        assert await peer.outcome(loop) == b"written before"
