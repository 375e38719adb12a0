"""uvicorn serves an ASGI application, and httpx asks it."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

import pytest

pytest.importorskip("uvicorn", reason="needs the `dev` extra: uvicorn is not installed")
pytest.importorskip("httpx", reason="needs the `dev` extra: httpx is not installed")

import httpx
import uvicorn

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

CLIENTS = 40
MEBIBYTE = bytes(range(256)) * 4096


class Answer(Protocol):
    """What answers an HTTP request."""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Receive the request's body and send the response."""


class Application:
    """An ASGI application with a life span, which leaves requests to `answer`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.stages: list[str] = []

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection, or the life span."""
        if scope["type"] == "http":
            await self.answer(scope, receive, send)
            return
        for stage in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{stage}"
            self.stages.append(stage)
            await send({"type": f"lifespan.{stage}.complete"})


@asynccontextmanager
async def serving(answer: Answer, **options: Any) -> AsyncIterator[str]:
    """Run the server; give the address that it stands under."""
    application = Application(answer)
    config = uvicorn.Config(
        cast("Any", application), http="h11", ws="none", loop="none", lifespan="on", log_config=None, **options
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=CLIENTS) as listener:
        # The socket listens already: clients need not wait for the server's start.
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield f"{'https' if options else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
    assert application.stages == ["startup", "shutdown"]


async def body_of(receive: Receive) -> bytes:
    """Receive a whole body."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def respond(send: Send, body: bytes, status: int = 200) -> None:
    """Send a response that is known beforehand."""
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def mirror(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Tell the client what it sent and from where."""
    body = await body_of(receive)
    seen = [scope["method"], scope["path"], scope["query_string"].decode(), len(body), scope["client"][1]]
    await respond(send, json.dumps(seen).encode())


async def echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Send the body back."""
    del scope
    await respond(send, await body_of(receive))


async def test_requests_on_one_connection_are_answered() -> None:
    async with serving(mirror) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        answers = [
            (await client.get("/a", params={"q": "1"})).json(),
            (await client.post("/b", content=b"12345")).json(),
            (await client.delete("/c")).json(),
        ]
    assert [answer[:4] for answer in answers] == [
        ["GET", "/a", "q=1", 0],
        ["POST", "/b", "", 5],
        ["DELETE", "/c", "", 0],
    ]
    assert len({answer[4] for answer in answers}) == 1


async def test_many_requests_are_answered_at_once() -> None:
    everybody_is_here = asyncio.Barrier(CLIENTS)

    async def answer(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await everybody_is_here.wait()
        await mirror(scope, receive, send)

    limits = httpx.Limits(max_connections=CLIENTS)
    async with serving(answer) as url:
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=20, trust_env=False) as client:
            responses = await asyncio.gather(*(client.get(f"/{number}") for number in range(CLIENTS)))
    assert [response.json()[1] for response in responses] == [f"/{number}" for number in range(CLIENTS)]


async def test_a_large_body_is_streamed_there_and_back() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(MEBIBYTE), 50_000):
            yield MEBIBYTE[start : start + 50_000]

    async with serving(echo) as url, httpx.AsyncClient(trust_env=False) as client:
        response = await client.post(url, content=pieces())
        assert response.content == MEBIBYTE


async def test_a_response_is_streamed_while_the_application_still_sends() -> None:
    received = asyncio.Queue[bytes]()

    async def count(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in (b"1", b"2", b"3"):
            await send({"type": "http.response.body", "body": number, "more_body": True})
            assert await received.get() == number
        await send({"type": "http.response.body"})

    async with serving(count) as url, httpx.AsyncClient(trust_env=False) as client:
        async with client.stream("GET", url) as response:
            numbers = []
            async for chunk in response.aiter_raw():
                numbers.append(chunk)
                received.put_nowait(chunk)
    assert numbers == [b"1", b"2", b"3"]


async def test_the_application_hears_that_a_client_went_away() -> None:
    heard = asyncio.get_running_loop().create_future()

    async def wait(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        del scope, send
        await receive()
        heard.set_result((await receive())["type"])

    async with serving(wait) as url, httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(url, timeout=httpx.Timeout(20, read=0.05))
        assert await heard == "http.disconnect"


async def test_an_encrypted_server_is_asked(certificate_file: Path, client_context: ssl.SSLContext) -> None:
    async with serving(echo, ssl_certfile=str(certificate_file)) as url:
        async with httpx.AsyncClient(verify=client_context, trust_env=False) as client:
            response = await client.post(url, content=MEBIBYTE)
            assert response.content == MEBIBYTE
