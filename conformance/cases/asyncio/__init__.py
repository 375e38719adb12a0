"""Cases for the asyncio page of the documentation."""
