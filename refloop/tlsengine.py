"""TLS without I/O: ciphertext goes in and comes out as bytes, and whoever carries the bytes is somebody else's affair.

    from the peer   receive(ciphertext)  ->  decrypt(), decrypt_into(buffer)
    to the peer     encrypt(plaintext)   ->  take()

What the peer sends may need an answer of TLS's own - handshake, key update, alert - so `take()` whenever `waiting`.
"""

from __future__ import annotations

import ssl
from typing import Any

# Bytes of plaintext in the largest TLS record, which is what one read gives at most. To ask for more makes the
# interpreter reserve more.
RECORD = 16 * 1024


class Engine:
    """One end of a TLS connection.

    `over`: nothing more comes from the peer - it said goodbye (close_notify), its bytes ended, or they were no TLS; in
    the last case `failure` is the error. Neither is true before the caller has what was decrypted up to there.

    Raises `ValueError` or `ssl.SSLError` when `context` cannot serve this side or this host name.
    """

    __slots__ = ("_incoming", "_outgoing", "failure", "over", "receive", "ssl_object", "take")

    def __init__(self, context: ssl.SSLContext, server_side: bool, server_hostname: str | None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.ssl_object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            # The empty name stands for none; a server has nothing to match.
            server_hostname=None if server_side else server_hostname or None,
        )
        self.over = False
        self.failure: ssl.SSLError | None = None
        # The memory's own methods, with no call of ours around them.
        self.receive = self._incoming.write
        self.take = self._outgoing.read

    @property
    def waiting(self) -> int:
        """How many bytes wait to be taken."""
        return self._outgoing.pending

    @property
    def unread(self) -> bool:
        """Whether something was received that nobody has decrypted yet, perhaps part of a record only."""
        return bool(self._incoming.pending or self.ssl_object.pending())

    def receive_eof(self) -> None:
        """Note that the peer's bytes have ended.

        Without a goodbye before, that is as good as one: peers that leave it out are many, and Python's own TLS sockets
        take it so by default.
        """
        self.over = True

    def shake(self) -> bool:
        """Go on with the handshake as far as what was received allows; return whether it is complete.

        Raises the `ssl.SSLError` that ends it.
        """
        try:
            self.ssl_object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def decrypt(self) -> bytes:
        """Return all plaintext that there is; nothing when no record is complete or when `over`."""
        read = self.ssl_object.read
        incoming = self._incoming
        pieces: list[bytes] = []
        try:
            data = read(RECORD)
            if not incoming.pending:
                # One record, as most messages are.
                self.over = self.over or not data
                return data
            while data:
                pieces.append(data)
                if not incoming.pending:
                    break
                data = read(RECORD)
            else:
                self.over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.over = True
        except ssl.SSLError as error:
            self._fail(error)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def decrypt_into(self, buffer: bytearray | memoryview) -> int:
        """Fill `buffer`, which has room, with plaintext; return how many bytes there were, as `decrypt()` does."""
        # With a buffer, `read()` returns a number, of which its stub does not know.
        read: Any = self.ssl_object.read
        filled = 0
        try:
            with memoryview(buffer) as whole, whole.cast("B") as view:
                room = len(view)
                while filled < room:
                    with view[filled:] as rest:
                        received = read(room - filled, rest)
                    if not received:
                        self.over = True
                        break
                    filled += received
                    if not self._incoming.pending and not self.ssl_object.pending():
                        break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.over = True
        except ssl.SSLError as error:
            self._fail(error)
        return filled

    def discard(self) -> None:
        """Decrypt for nobody, to find the peer's goodbye."""
        while self.decrypt():
            pass

    def encrypt(self, data: bytes | bytearray | memoryview) -> int:
        """Encrypt `data`, which is not empty; return how much of it.

        Less than all when TLS needs something from the peer first; the rest is then to be given again, unchanged.
        """
        write = self.ssl_object.write
        done = 0
        try:
            done = write(data)
            while done < len(data):
                with memoryview(data) as whole, whole[done:] as rest:
                    done += write(rest)
        except ssl.SSLWantReadError:
            pass
        return done

    def say_goodbye(self) -> None:
        """Tell the peer that nothing more will come. What it still sends is to be discarded."""
        self.discard()
        if self.failure is not None:
            return
        try:
            self.ssl_object.unwrap()
        except ssl.SSLWantReadError:
            # The peer has not said goodbye yet.
            pass
        except ssl.SSLError as error:
            self._fail(error)

    def _fail(self, error: ssl.SSLError) -> None:
        self.failure = error
        self.over = True
