"""Tests of the core: what the conformance cases cannot see, and how refloop mixes with asyncio."""
