"""What refloop promises of child processes, checked on asyncio as well."""
