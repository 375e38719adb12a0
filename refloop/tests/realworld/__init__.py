"""Libraries that people use asyncio for run on refloop's loop as they do on the standard library's."""
