"""Servers: sockets that listen, the connections they accept, and what becomes of both at the end."""

from __future__ import annotations

import errno
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from refloop import tls
from refloop.connecting import IP_FAMILIES, send_without_delay
from refloop.errors import logger
from refloop.identity import AbstractServer, CancelledError
from refloop.streamtransports import SocketTransport
from refloop.transportsockets import TransportSocket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from refloop.futures import Future
    from refloop.transports import LoopTransport

# Seconds for which a server that cannot accept rests. It is out of descriptors or memory, which others must give back;
# to ask in every turn meanwhile would take the time they need for it.
REST_AFTER_FAILURE = 1.0

# What `accept()` fails with although nothing is wrong with the server: the one connection is gone.
CONNECTION_GONE = frozenset(
    getattr(errno, name) for name in ("ECONNABORTED", "EPROTO", "ENETDOWN", "EHOSTUNREACH") if hasattr(errno, name)
)


class Server(AbstractServer):
    """What `create_server()` and `create_unix_server()` return. Not to be instantiated otherwise.

    An async context manager that gives itself and closes the server at the end.

    Keeps: Server/returned-by-server-factories, Server/exported-as-asyncio-server,
    Server/context-manager-closes-server, Server/async-with-yields-server.
    """

    def __init__(
        self,
        loop: Any,
        sockets: Sequence[socket.socket],
        protocol_factory: Callable[[], Any],
        options: tls.TLSOptions | None,
        backlog: int,
        on_close: Callable[[], object] | None = None,
    ) -> None:
        self._loop = loop
        self._sockets: list[socket.socket] | None = list(sockets)
        self._protocol_factory = protocol_factory
        self._options = options
        self._backlog = backlog
        # Gives back what the sockets alone do not, while they are open: a Unix server's file.
        self._on_close = on_close
        # Connections begin in the context in which the server was made.
        self._context = copy_context()
        self._serving = False
        self._clients: set[LoopTransport] = set()
        self._closing: list[Future[None]] = []
        self._forever: Future[None] | None = None

    def get_loop(self) -> Any:
        """Return the loop that the server belongs to.

        Keeps: Server.get_loop/returns-owning-loop.
        """
        return self._loop

    def is_serving(self) -> bool:
        """Return whether connections are accepted.

        Keeps: Server.is_serving/reports-serving-state.
        """
        return self._serving

    @property
    def sockets(self) -> tuple[TransportSocket, ...]:
        """The sockets that listen; none after `close()`.

        Keeps: Server.sockets/lists-listening-sockets, Server.sockets/is-copy, Server.sockets/empty-after-close,
        Server.sockets/holds-transport-sockets, loop.create_server/returns-server.
        """
        return tuple(map(TransportSocket, self._sockets or ()))

    async def start_serving(self) -> None:
        """Accept connections from now on; does nothing if that is so already. `RuntimeError` when closed.

        Keeps: Server.start_serving/is-coroutine-function, Server.start_serving/starts-accepting,
        Server.start_serving/repeat-call-does-nothing.
        """
        self._listen()

    async def serve_forever(self) -> None:
        """Accept connections until cancelled, which closes the server and its connections.

        `RuntimeError` when the server is closed or another call waits.

        Keeps: Server.serve_forever/is-coroutine-function, Server.serve_forever/cancelling-closes-server,
        Server.serve_forever/callable-while-serving.
        """
        if self._forever is not None:
            raise RuntimeError(f"serve_forever() of {self!r} is being awaited already")
        self._listen()
        self._forever = self._loop.create_future()
        try:
            await self._forever
        except CancelledError:
            if self._sockets is not None:
                self.close()
                # Idle clients would otherwise keep the program from ending for as long as they please.
                self.close_clients()
                await self.wait_closed()
            raise
        finally:
            self._forever = None

    def close(self) -> None:
        """Stop listening and close the listening sockets. Connections stay. Closing again does nothing.

        Keeps: Server.close/closes-listening-sockets, Server.close/keeps-client-connections,
        Server.close/finishes-asynchronously, Server.close/refuses-new-connections,
        Server.close/repeat-call-does-nothing, loop.create_server/server-owns-given-socket.
        """
        sockets, self._sockets = self._sockets, None
        if sockets is None:
            return
        if self._on_close is not None:
            self._on_close()
        for sock in sockets:
            self._loop._unwatch_reader(sock.fileno())
            sock.close()
        self._serving = False
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()
        self._tell_if_closed()

    def close_clients(self) -> None:
        """Call `close()` of every connection's transport.

        Keeps: Server.close_clients/closes-client-transports, Server.close_clients/call-after-close.
        """
        for transport in list(self._clients):
            transport.close()

    def abort_clients(self) -> None:
        """Call `abort()` of every connection's transport.

        Keeps: Server.abort_clients/aborts-client-transports, Server.abort_clients/call-after-close,
        Server.abort_clients/drops-pending-data.
        """
        for transport in list(self._clients):
            transport.abort()

    async def wait_closed(self) -> None:
        """Wait until `close()` was called and all connections have ended.

        Keeps: Server.wait_closed/is-coroutine-function, Server.wait_closed/waits-for-close,
        Server.wait_closed/waits-for-active-connections.
        """
        if not self._is_closed():
            waiter = self._loop.create_future()
            self._closing.append(waiter)
            await waiter

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        await self.wait_closed()

    # Accepting

    def _listen(self) -> None:
        if self._sockets is None:
            raise RuntimeError(f"{self!r} is closed")
        if self._serving:
            return
        for sock in self._sockets:
            # May fail, and then nobody is accepted.
            sock.listen(self._backlog)
        for sock in self._sockets:
            self._loop._watch_reader(sock.fileno(), Listening(self, sock))
        self._serving = True

    def _listen_again(self, sock: socket.socket) -> None:
        if self._sockets is not None:
            self._loop._watch_reader(sock.fileno(), Listening(self, sock))

    def _accept(self, listening: socket.socket) -> None:
        """Accept the connections that wait, at most as many as may wait at once.

        Keeps: loop.create_server/calls-factory-per-connection, loop.create_server/peername-known-on-connection.
        """
        for _ in range(max(self._backlog, 1)):
            try:
                sock, peername = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in CONNECTION_GONE:
                    continue
                self._rest(listening, error)
                return
            # What its factory and its protocol do to context variables is no other connection's.
            copy_context().run(self._begin_connection, sock, peername)
            if self._sockets is None:
                # A protocol has closed the server.
                return

    def _begin_connection(self, sock: socket.socket, peername: Any) -> None:
        """Make protocol and transport for an accepted connection. A failure costs this connection only.

        Keeps: loop.create_server/connection-gets-own-transport, loop.create_server/handshake-failure-is-isolated.
        """
        try:
            sock.setblocking(False)
            if sock.family in IP_FAMILIES:
                send_without_delay(sock)
            protocol = self._protocol_factory()
            if self._options is None:
                SocketTransport(self._loop, sock, protocol, self, peername)._start()
            else:
                tls.begin_tls(
                    self._loop, sock, protocol, self._options, server_side=True, server=self, peername=peername
                ).add_done_callback(self._note_handshake)
        except (KeyboardInterrupt, SystemExit):
            sock.close()
            raise
        except BaseException as error:
            sock.close()
            self._loop.call_exception_handler(
                {"message": "A connection was accepted but could not begin", "exception": error}
            )

    def _note_handshake(self, made: Future[Any]) -> None:
        """Take note of how a connection's TLS handshake ended. That one failed is the peer's affair, not an error."""
        error = None if made.cancelled() else made.exception()
        if error is not None and self._loop.get_debug():
            logger.debug("%r: TLS handshake failed", self, exc_info=error)

    def _rest(self, listening: socket.socket, error: OSError) -> None:
        """Report that `listening` cannot accept, and let it try again later."""
        self._loop.call_exception_handler(
            {
                "message": f"A server cannot accept connections; it tries again in {REST_AFTER_FAILURE:g} s",
                "exception": error,
                "socket": TransportSocket(listening),
            }
        )
        self._loop._unwatch_reader(listening.fileno())
        self._loop.call_later(REST_AFTER_FAILURE, self._listen_again, listening)

    # The connections

    def _attach(self, transport: LoopTransport) -> None:
        """Count a connection in; its transport calls this when it begins."""
        self._clients.add(transport)

    def _detach(self, transport: LoopTransport) -> None:
        """Count a connection out; its transport calls this when it has ended."""
        self._clients.discard(transport)
        if self._sockets is None:
            self._tell_if_closed()

    def _is_closed(self) -> bool:
        return self._sockets is None and not self._clients

    def _tell_if_closed(self) -> None:
        if self._is_closed():
            waiting, self._closing = self._closing, []
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_result(None)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} sockets={self.sockets!r}>"


class Listening:
    """The loop's entry for a socket that listens."""

    __slots__ = ("_server", "_sock")

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self._server: Server | None = server
        self._sock = sock

    def _run(self) -> None:
        if self._server is not None:
            self._server._context.run(self._server._accept, self._sock)

    def cancel(self) -> None:
        """Never accept again."""
        self._server = None
