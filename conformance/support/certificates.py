"""A TLS certificate for ``localhost``, ``127.0.0.1`` and ``::1``, and the contexts that cases use it in.

It signs itself, so that nothing trusts it unless told to, and its key is public: it protects nothing. It stands here as
text because a run has only the installed package, the standard library and no network; it is valid until 2120.
"""

from __future__ import annotations

import functools
import ssl
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

T = TypeVar("T")

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIB4jCCAYigAwIBAgIBATAKBggqhkjOPQQDAjAeMRwwGgYDVQQDDBNhc3luY2lv
LWNvbmZvcm1hbmNlMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAe
MRwwGgYDVQQDDBNhc3luY2lvLWNvbmZvcm1hbmNlMFkwEwYHKoZIzj0CAQYIKoZI
zj0DAQcDQgAE90/dYu3QBO1vIGr689/pVsEOpHSE4KZLv89SJGH0AYkgCwY4uvMO
9fxWj7bKNlAEUhZZKnOqFwvvVURUWV2D+KOBtDCBsTAsBgNVHREEJTAjgglsb2Nh
bGhvc3SHBH8AAAGHEAAAAAAAAAAAAAAAAAAAAAEwEgYDVR0TAQH/BAgwBgEB/wIB
ADAOBgNVHQ8BAf8EBAMCAoQwHQYDVR0lBBYwFAYIKwYBBQUHAwEGCCsGAQUFBwMC
MB0GA1UdDgQWBBRjbS1uwvdCqz+rsLJX7c6/dskCPjAfBgNVHSMEGDAWgBRjbS1u
wvdCqz+rsLJX7c6/dskCPjAKBggqhkjOPQQDAgNIADBFAiEArUKe8zReZj8zqJSp
G17XTFTLZd1NPoPUP04/F/xViT8CIH61qY0p2xstuGXP3PWTYdgTWwU0DGnvDbb7
iapk+6aC
-----END CERTIFICATE-----
"""

KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgH8GnaB5VMho+MuZK
eEPXkesQGkRlLt4V+tn7HSWz9uyhRANCAAT3T91i7dAE7W8gavrz3+lWwQ6kdITg
pku/z1IkYfQBiSALBji68w71/FaPtso2UARSFlkqc6oXC+9VRFRZXYP4
-----END PRIVATE KEY-----
"""


def server_context() -> ssl.SSLContext:
    """A server's context with the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    descriptor, file = tempfile.mkstemp(prefix="conformance-", suffix=".pem")
    try:
        with open(descriptor, "w", encoding="ascii") as writing:  # noqa: PTH123 - a descriptor
            writing.write(KEY + CERTIFICATE)
        context.load_cert_chain(file)
    finally:
        Path(file).unlink()
    return context


@functools.cache
def peers_context(*, server_side: bool) -> ssl.SSLContext:
    """The same for the peers of a whole process, which leave it as it is; a client's trusts the certificate.

    A target gets a fresh one each time: nothing that it does to one reaches the next case.
    """
    return server_context() if server_side else trusting_context()


def over_tls(serve: Callable[[socket.socket], T]) -> Callable[[socket.socket], T | None]:
    """A peer that shows the certificate and, when the handshake succeeds, runs ``serve()`` on the encrypted connection.

    Gives None when TLS fails: it is for the case to say whether the target should have gone along.
    """

    def encrypt(connection: socket.socket) -> T | None:
        context = peers_context(server_side=True)
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as encrypted:
            return serve(encrypted)
        return None

    return encrypt


def trusting_context() -> ssl.SSLContext:
    """A client's context that accepts the certificate, and checks the name of the host against it."""
    return ssl.create_default_context(cadata=CERTIFICATE)


def distrusting_context() -> ssl.SSLContext:
    """A client's context that accepts no certificate at all."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def careless_context() -> ssl.SSLContext:
    """A client's context that accepts every certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def nameless_context() -> ssl.SSLContext:
    """A client's context that accepts the certificate, whatever name is in it."""
    context = trusting_context()
    context.check_hostname = False
    return context


@contextmanager
def certificate_file() -> Iterator[Path]:
    """The certificate in a file, as the system's list of trusted ones would be."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        file = Path(folder) / "certificate.pem"
        file.write_text(CERTIFICATE, encoding="ascii")
        yield file
