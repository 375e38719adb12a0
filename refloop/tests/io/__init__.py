"""Transports, servers, sockets, datagrams, pipes and files, on refloop and on asyncio."""
