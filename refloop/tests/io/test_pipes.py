"""Pipes: what refloop does beyond the documented promises, which the suite's cases check."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import pytest

from refloop.tests.io.carriers import Recorder, turns, until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.asyncio_differs("takes anything that the peer sends for its end")
async def test_a_peer_that_sends_does_not_end_a_write_pipe_over_a_socket(loop: Any) -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    transport, protocol = await loop.connect_write_pipe(Recorder, ours)
    theirs.sendall(b"not for us")
    await turns(20)
    assert not transport.is_closing()
    transport.write(b"still here")
    assert theirs.recv(100) == b"still here"
    transport.close()
    await until(lambda: protocol.lost)
    theirs.close()


@pytest.mark.asyncio_differs("takes what it wrote itself for the reader's end")
async def test_a_fifo_that_was_opened_for_both_directions_can_be_written_to(loop: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    # So it opens without waiting for a reader.
    transport, protocol = await loop.connect_write_pipe(Recorder, (tmp_path / "fifo").open("r+b", 0))
    transport.write(b"for whoever reads")
    await turns(20)
    assert not transport.is_closing()
    reader = os.open(tmp_path / "fifo", os.O_RDONLY)
    transport.close()
    await until(lambda: protocol.lost)
    assert protocol.lost == [None]
    assert os.read(reader, 100) == b"for whoever reads"
    os.close(reader)
