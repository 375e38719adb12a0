"""An aiohttp server and an aiohttp client talk to each other."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("aiohttp", reason="needs the `dev` extra: aiohttp is not installed")

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

CLIENTS = 100
MEBIBYTE = bytes(range(256)) * 4096


@asynccontextmanager
async def serving(*routes: web.RouteDef, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve the routes; give the address that they stand under."""
    application = web.Application(client_max_size=2 * len(MEBIBYTE))
    application.add_routes(routes)
    runner = web.AppRunner(application, shutdown_timeout=5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"{'http' if context is None else 'https'}://{host}:{port}"
    finally:
        await runner.cleanup()


def peer_port(request: web.Request) -> str:
    """Return the client's port."""
    assert request.transport is not None
    return str(request.transport.get_extra_info("peername")[1])


async def tell_port(request: web.Request) -> web.Response:
    """Answer with the client's port."""
    return web.Response(text=peer_port(request))


async def echo(request: web.Request) -> web.Response:
    """Answer with the body."""
    return web.Response(body=await request.read())


async def test_a_connection_is_kept_for_the_next_request() -> None:
    async with serving(web.get("/", tell_port)) as url, aiohttp.ClientSession() as session:
        ports = set()
        for _ in range(5):
            async with session.get(url) as response:
                assert response.status == 200
                ports.add(await response.text())
    assert len(ports) == 1


async def test_a_connection_is_closed_when_the_client_asks_for_it() -> None:
    async with serving(web.get("/", tell_port)) as url, aiohttp.ClientSession() as session:
        ports = set()
        for _ in range(3):
            async with session.get(url, headers={"Connection": "close"}) as response:
                ports.add(await response.text())
    assert len(ports) == 3


async def test_a_hundred_clients_are_served_at_once() -> None:
    everybody_is_here = asyncio.Barrier(CLIENTS)

    async def answer(request: web.Request) -> web.Response:
        await everybody_is_here.wait()
        return web.Response(text=f"{request.query['number']} {peer_port(request)}")

    async def ask(number: int) -> str:
        async with aiohttp.ClientSession() as session, session.get(url, params={"number": str(number)}) as response:
            text = await response.text()
        said, port = text.split()
        assert said == str(number)
        return port

    async with serving(web.get("/", answer)) as url:
        ports = await asyncio.gather(*map(ask, range(CLIENTS)))
    assert len(set(ports)) == CLIENTS


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
async def test_a_large_body_goes_there_and_back(
    encrypted: bool, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    async with serving(web.post("/", echo), context=server_context if encrypted else None) as url:
        connector = aiohttp.TCPConnector(ssl=client_context)
        async with aiohttp.ClientSession(connector=connector) as session, session.post(url, data=MEBIBYTE) as response:
            assert await response.read() == MEBIBYTE


async def test_a_response_is_streamed_while_the_server_still_writes() -> None:
    received = asyncio.Queue[bytes]()

    async def count(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for number in (b"1", b"2", b"3"):
            await response.write(number)
            assert await received.get() == number
        return response

    async with serving(web.get("/", count)) as url, aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            numbers = []
            async for chunk in response.content.iter_any():
                numbers.append(chunk)
                received.put_nowait(chunk)
    assert numbers == [b"1", b"2", b"3"]


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
async def test_a_file_is_sent(
    encrypted: bool, tmp_path: Path, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    path = tmp_path / "content"
    path.write_bytes(MEBIBYTE)

    async def send(_: web.Request) -> web.FileResponse:
        return web.FileResponse(path)

    async with serving(web.get("/", send), context=server_context if encrypted else None) as url:
        connector = aiohttp.TCPConnector(ssl=client_context)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get(url) as response:
                assert await response.read() == MEBIBYTE
            async with session.get(url, headers={"Range": "bytes=1000-1999"}) as response:
                assert await response.read() == MEBIBYTE[1000:2000]


async def test_a_client_gives_up_on_a_silent_server() -> None:
    asked = asyncio.Event()
    given_up = asyncio.Event()

    async def stay_silent(_: web.Request) -> web.Response:
        asked.set()
        await given_up.wait()
        return web.Response()

    async with serving(web.get("/", stay_silent)) as url, aiohttp.ClientSession() as session:
        with pytest.raises(asyncio.TimeoutError):
            await session.get(url, timeout=aiohttp.ClientTimeout(sock_read=0.05))
        assert asked.is_set()
        given_up.set()


async def test_a_name_is_resolved_and_its_addresses_are_tried() -> None:
    async with serving(web.get("/", tell_port)) as url:
        connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get(url.replace("127.0.0.1", "localhost")) as response:
                assert int(await response.text())


async def test_a_refused_connection_is_an_error_of_the_client() -> None:
    async with serving() as url:
        pass
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError) as caught:
            await session.get(url)
    assert isinstance(caught.value.os_error, ConnectionRefusedError)


async def parrot(request: web.Request) -> web.WebSocketResponse:
    """Repeat what comes over a web socket; close it on "bye"."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.data == "bye":
            await socket.close(code=4321, message=b"so long")
        elif message.type is aiohttp.WSMsgType.TEXT:
            await socket.send_str(message.data)
        else:
            await socket.send_bytes(message.data)
    return socket


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "tls"])
async def test_a_web_socket_carries_text_and_bytes_and_is_closed_by_the_server(
    encrypted: bool, server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    async with serving(web.get("/", parrot), context=server_context if encrypted else None) as url:
        connector = aiohttp.TCPConnector(ssl=client_context)
        async with aiohttp.ClientSession(connector=connector) as session, session.ws_connect(url) as socket:
            await socket.send_str("Grüße")
            assert await socket.receive_str() == "Grüße"
            await socket.send_bytes(MEBIBYTE)
            assert await socket.receive_bytes() == MEBIBYTE
            await socket.send_str("bye")
            message = await socket.receive()
            assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 4321, "so long")


async def test_many_web_sockets_hear_a_broadcast() -> None:
    sockets = set[web.WebSocketResponse]()

    async def join(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        sockets.add(socket)
        async for message in socket:
            for other in sockets:
                await other.send_str(message.data)
        return socket

    async with serving(web.get("/", join)) as url, aiohttp.ClientSession() as session:
        clients = [await session.ws_connect(url) for _ in range(20)]
        await clients[0].send_str("hear, hear")
        assert [await client.receive_str() for client in clients] == ["hear, hear"] * len(clients)
        await asyncio.gather(*(client.close() for client in clients))
