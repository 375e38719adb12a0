"""Protocols that write down what they are told, for cases to read.

They come from asyncio's base classes: a documented namespace shares these, and a loop takes them from any program.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Recorder(asyncio.Protocol):
    """Writes down every callback in ``events``, and what came in ``data``.

    ``keep_open`` is what ``eof_received()`` returns. Consecutive ``data`` events count as one: into how many pieces a
    stream is cut is nobody's promise.
    """

    def __init__(self, *, keep_open: bool = False) -> None:
        self.keep_open = keep_open
        self.transport: Any = None
        self.events: list[str] = []
        self.data = bytearray()
        self.lost: list[BaseException | None] = []
        """the arguments of ``connection_lost()``, one for each call"""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        if self.events[-1:] != ["data"]:
            self.events.append("data")

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self.keep_open

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")
        self.lost.append(exc)

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")


class BufferedRecorder(asyncio.BufferedProtocol):
    """The same with a buffer of its own, of ``size`` bytes; every callback is an event."""

    def __init__(self, size: int = 1000, *, keep_open: bool = False) -> None:
        self.keep_open = keep_open
        self.transport: Any = None
        self.buffer = bytearray(size)
        self.hints: list[int] = []
        """the arguments of ``get_buffer()``"""
        self.counts: list[int] = []
        """the arguments of ``buffer_updated()``"""
        self.events: list[str] = []
        self.data = bytearray()
        self.lost: list[BaseException | None] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.events.append("made")

    def get_buffer(self, sizehint: int) -> Any:
        self.events.append("get")
        self.hints.append(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.events.append("updated")
        self.counts.append(nbytes)
        self.data += self.buffer[:nbytes]

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self.keep_open

    def connection_lost(self, exc: BaseException | None) -> None:
        self.events.append("lost")
        self.lost.append(exc)

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")
