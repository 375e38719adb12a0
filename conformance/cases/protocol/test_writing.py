"""Writing to a stream transport, on every carrier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.support.marks import requirement

if TYPE_CHECKING:
    from conformance.support.connections import Carrier

# More than any socket buffer takes at once.
BLOCKS = [bytes([n]) * 100_000 for n in range(40)]


@requirement("WriteTransport.write/fifo-order", "BaseTransport.close/flushes-buffer-first")
async def test_closing_flushes_everything_written_in_its_order(stream: Carrier) -> None:
    transport, _, peer = await stream.connect()
    for block in BLOCKS:
        transport.write(block)
    transport.close()
    assert await peer.read_until_eof() == b"".join(BLOCKS)
