"""A callback waits until a socket can be read.

Prints:
    received: abc
    it was watched: True
"""

from __future__ import annotations

import socket

import refloop as asyncio

near, far = socket.socketpair()
loop = asyncio.new_event_loop()


def read() -> None:
    print("received:", near.recv(100).decode())
    print("it was watched:", loop.remove_reader(near))
    loop.stop()


loop.add_reader(near, read)
loop.call_soon(far.send, b"abc")
try:
    loop.run_forever()
finally:
    near.close()
    far.close()
    loop.close()
