"""The conformance suite: does an event loop keep the promises that the asyncio documentation makes?"""

from __future__ import annotations

__version__ = "0.1.0"
