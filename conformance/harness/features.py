"""Which feature of a loop each area needs; `conformance.harness.probes` asks for it."""

from __future__ import annotations

FEATURES_OF_AREAS = {
    "executor": "executor",
    "asyncgens": "asyncgens",
    "signals": "signals",
    "dns": "dns",
    "fds": "fds",
    "sock": "sock",
    "tcp-client": "tcp-client",
    "tcp-server": "tcp-server",
    "stream-server": "tcp-server",
    "udp": "udp",
    "datagram-transports": "udp",
    "unix": "unix",
    "unix-streams": "unix",
    "tls": "tls",
    "tls-streams": "tls",
    "sendfile": "sendfile",
    "pipes": "pipes",
    "pipe-transports": "pipes",
    "subprocess": "subprocess",
    "subprocess-transports": "subprocess",
}
"""The feature that all cases of an area need."""

EAGER_TASKS = "eager-tasks"
"""The feature that the variants with eager tasks need: `conformance.support.marks.EAGER`."""


def lacks_method(error: AttributeError, loop: object) -> bool:
    """Whether the error says that the loop itself has no such public method; any other missing attribute is a fault."""
    return error.obj is loop and not str(error.name).startswith("_")
