"""refloop's own tests: its promises, checked on asyncio as well wherever asyncio has them."""
