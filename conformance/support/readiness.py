"""Sockets that are ready or not, and passes of a loop that looks at them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from conformance.support.peers import CHUNK
from conformance.support.waiting import run_one_pass

if TYPE_CHECKING:
    import socket
    from asyncio import AbstractEventLoop

# Passes in which a callback that is not to come had its chance: a watched descriptor is looked at in each.
PASSES = 5


def run_passes(loop: AbstractEventLoop, number: int = PASSES) -> None:
    """Let the loop look at its descriptors ``number`` times."""
    for _ in range(number):
        run_one_pass(loop)


def fill(sock: socket.socket) -> None:
    """Send until the socket takes nothing more, so that it is not writable."""
    with suppress(BlockingIOError):
        while True:
            sock.send(bytes(CHUNK))


def empty(sock: socket.socket) -> None:
    """Receive everything that waits, so that the other end is writable again."""
    sock.setblocking(False)
    with suppress(BlockingIOError):
        while sock.recv(CHUNK):
            pass
