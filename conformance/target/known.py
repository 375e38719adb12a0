"""The loops that the suite knows by name: how each is made, what brings it, and for which interpreters."""

from __future__ import annotations

from attrs import field, frozen

from conformance.catalogue.versions import Version, VersionRange
from conformance.target.model import Target, installed_version, is_importable

_ADAPTERS = "conformance.target.adapters"


def _versions(text: str | None) -> VersionRange | None:
    return None if text is None else VersionRange.parse(text)


@frozen
class Known:
    """A loop that can be tested by its name."""

    name: str
    factory: str
    """``module:callable``"""
    namespace: str = "asyncio"
    distributions: tuple[str, ...] = ()
    """what pip installs: the loop's own distribution first, then what it needs and does not bring"""
    modules: tuple[str, ...] = ()
    """the modules by which an installation without metadata is recognised"""
    interpreters: VersionRange | None = field(default=None, converter=_versions)
    """the interpreters that there are wheels for; None where any will do"""
    profile: str | None = None
    """the documentation that its namespace keeps to, whatever the interpreter"""
    note: str = ""

    @property
    def target(self) -> Target:
        """The target of this name."""
        return Target(self.name, self.factory, self.namespace, self.distribution, self.profile)

    @property
    def distribution(self) -> str | None:
        """The loop's own distribution; None for the standard library."""
        return self.distributions[0] if self.distributions else None

    @property
    def missing(self) -> bool:
        """Whether something that it needs is not installed here."""
        # To look for a module in a package would import the package.
        packages = {module.partition(".")[0] for module in self.modules}
        return not all(map(is_importable, packages)) and None in map(installed_version, self.distributions)

    @property
    def version(self) -> str | None:
        """The version that is installed here; None for the standard library and for what is not."""
        return None if self.distribution is None else installed_version(self.distribution)

    @property
    def has_wheel(self) -> bool:
        """Whether the running interpreter is one that it has wheels for, or needs none."""
        return self.interpreters is None or Version.running() in self.interpreters

    @property
    def state(self) -> str:
        """In a few words: its version, or that it is not installed or cannot be."""
        if self.missing:
            return "not installed" if self.has_wheel else f"no wheel for 3.{Version.running().minor}"
        return "standard library" if self.distribution is None else self.version or "installed"

    def how_to_install(self) -> str:
        """One sentence: it is not installed, and what to do about it."""
        if not self.has_wheel:
            there = str(self.interpreters).replace("-", " to ")
            return (
                f"{self.name} is not installed, and has no wheel for Python 3.{Version.running().minor}; "
                f"run the suite with Python {there}"
            )
        return f"{self.name} is not installed; run: pip install {' '.join(self.distributions)}"


KNOWN = {
    known.name: known
    for known in (
        Known(
            "refloop",
            "refloop:EventLoop",
            namespace="refloop",
            distributions=("asyncio-conformance",),
            modules=("refloop",),
            profile="3.15",
            note="the reference implementation, with its own namespace",
        ),
        Known("asyncio", "asyncio:new_event_loop", note="the standard library's loop: the control"),
        Known(
            "uvloop",
            "uvloop:new_event_loop",
            distributions=("uvloop",),
            modules=("uvloop",),
            interpreters="3.8-3.15",
            note="Cython on libuv; no wheels for Windows",
        ),
        Known(
            "rloop",
            "rloop:new_event_loop",
            distributions=("rloop",),
            modules=("rloop",),
            interpreters="3.10-3.15",
            note="Rust on mio; no TLS, no Unix sockets",
        ),
        Known(
            "rsloop",
            "rsloop:new_event_loop",
            distributions=("rsloop",),
            modules=("rsloop",),
            interpreters="3.14-3.15",
            note="Rust on io_uring; glibc 2.39 or newer",
        ),
        Known(
            "zloop",
            "zloop:new_event_loop",
            distributions=("zloop",),
            modules=("zloop",),
            interpreters="3.12-3.14",
            note="Zig on epoll",
        ),
        Known(
            "veloxloop",
            "veloxloop:new_event_loop",
            distributions=("veloxloop",),
            modules=("veloxloop",),
            interpreters="3.11-3.14",
            note="Rust; can abort the process",
        ),
        Known(
            "uringcore",
            "uringcore:UringEventLoop",
            distributions=("uringcore",),
            modules=("uringcore",),
            interpreters="3.13",
            note="Rust on io_uring",
        ),
        Known(
            "qasync",
            f"{_ADAPTERS}:qasync",
            distributions=("qasync", "PySide6-Essentials"),
            modules=("qasync", "PySide6"),
            interpreters="3.8-3.15",
            note="Qt; runs in a QCoreApplication, no screen needed",
        ),
        Known(
            "QtAsyncio",
            f"{_ADAPTERS}:qtasyncio",
            distributions=("PySide6-Addons",),
            modules=("PySide6.QtAsyncio",),
            interpreters="3.9-3.15",
            note="Qt; no I/O by design; runs in a QCoreApplication",
        ),
        Known(
            "qtinter",
            f"{_ADAPTERS}:qtinter",
            distributions=("qtinter", "PySide6-Essentials"),
            modules=("qtinter", "PySide6"),
            note="the standard library's loop inside Qt's",
        ),
        Known(
            "trio-asyncio",
            "trio_asyncio._sync:SyncTrioEventLoop",
            distributions=("trio-asyncio",),
            modules=("trio_asyncio",),
            interpreters="3.8-3.13",
            note="on trio, in its synchronous mode",
        ),
        Known(
            "asyncio-gevent",
            "asyncio_gevent:EventLoop",
            distributions=("asyncio-gevent",),
            modules=("asyncio_gevent",),
            note="the standard library's loop in a greenlet; without gevent's monkey patches",
        ),
        Known(
            "gi.events",
            f"{_ADAPTERS}:gi_events",
            distributions=("PyGObject",),
            modules=("gi.events",),
            note="the standard library's loop inside GLib's; PyGObject 3.50 or newer, built from source",
        ),
        Known(
            "gbulb",
            "gbulb:GLibEventLoop",
            distributions=("gbulb", "PyGObject"),
            modules=("gbulb", "gi"),
            note="on GLib; PyGObject is built from source",
        ),
        Known(
            "looptime",
            "looptime:new_event_loop",
            distributions=("looptime",),
            modules=("looptime",),
            note="the standard library's loop with a clock that skips waiting",
        ),
        Known(
            "aioloop-proxy",
            f"{_ADAPTERS}:aioloop_proxy",
            distributions=("aioloop-proxy",),
            modules=("aioloop_proxy",),
            note="a proxy around the standard library's loop; closes the loop behind it",
        ),
    )
}
"""Name → loop, in the order in which ``asyncio-conformance targets`` lists them."""
