"""The system's buffers between the two ends of a connection, kept small: what overfills them is then soon written.

Left to themselves, those of a TCP connection grow to many megabytes while somebody reads.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from conformance.support.peers import MORE_THAN_BUFFERED

if TYPE_CHECKING:
    from conformance.support.connections import Remote

# Small, and yet enough for a TCP connection within the machine, whose packets have 64 KiB, to flow: with a quarter of
# it, every packet has been seen to wait 200 ms for the system to look whether the receiver has room.
TO_SEND = 64 * 1024
TO_RECEIVE = 128 * 1024
# What a transport may hold back beneath the buffer that it counts, as one over TLS does: four times the usual mark.
BENEATH = 256 * 1024


def more_than_fits(transport: Any, peer: Remote) -> int:
    """Make the system's buffers of a connection small; a number of bytes that overfills them and the transport's own.

    Neither does ``transport`` send so many at once, which pauses its protocol then if its limits are still its own,
    nor does ``peer`` while nobody reads. Where the transport's socket is out of reach, the number is beyond the largest
    buffers that systems grow.
    """
    try:
        high: int = transport.get_write_buffer_limits()[1]
        # Another descriptor of the same socket: what a transport shows as its socket need not take options.
        with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as ours:
            for sock in ours, peer.sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, TO_SEND)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TO_RECEIVE)
            there = _holds(ours, socket.SO_SNDBUF) + _holds(peer.sock, socket.SO_RCVBUF)
            back = _holds(peer.sock, socket.SO_SNDBUF) + _holds(ours, socket.SO_RCVBUF)
            return min(max(there, back) + max(high, 0) + BENEATH, MORE_THAN_BUFFERED)
    except Exception:
        # That a transport tells its socket and its limits is for other cases to check.
        return MORE_THAN_BUFFERED


def _holds(sock: socket.socket, buffer: int) -> int:
    return sock.getsockopt(socket.SOL_SOCKET, buffer)
