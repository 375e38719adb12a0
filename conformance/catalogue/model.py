"""What a requirement is: typed values, and the catalogue that holds them.

A catalogue is immutable; :mod:`conformance.catalogue.reader` makes it from the TOML files.
"""

from __future__ import annotations

import enum
import sys
from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.catalogue.versions import Version, VersionRange


class Level(enum.StrEnum):
    """How firmly the documentation promises it."""

    STATED = "stated"
    """the documentation says so"""
    IMPLIED = "implied"
    """it follows from what the documentation says"""
    CUSTOMARY = "customary"
    """no page says it, every loop does it, and programs rely on it"""


class Kind(enum.StrEnum):
    """What sort of promise it is."""

    BEHAVIOUR = "behaviour"
    """what a call does or returns"""
    ERROR = "error"
    """which exception a call raises, and when"""
    SIGNATURE = "signature"
    """which arguments a call takes, and their defaults"""
    ORDERING = "ordering"
    """what comes before what"""
    TIMING = "timing"
    """not before, not after, at most once per"""
    THREAD_SAFETY = "thread-safety"
    """what may be done from another thread, and what is refused there"""
    WARNING = "warning"
    """which warning is given, and when"""
    DEBUG = "debug"
    """what debug mode adds"""


class Platform(enum.StrEnum):
    """Where a promise holds."""

    ALL = "all"
    """everywhere"""
    UNIX = "unix"
    """every POSIX system: Linux, macOS, the BSDs"""
    LINUX = "linux"
    """Linux (and Android, which is one)"""
    MACOS = "macos"
    """macOS"""
    BSD = "bsd"
    """FreeBSD, NetBSD, OpenBSD, DragonFly, and macOS, which is one of them"""
    WINDOWS = "windows"
    """Windows"""
    WASI = "wasi"
    """WebAssembly without an operating system: WASI and Emscripten"""

    def covers(self, system: str) -> bool:
        """Whether ``system``, a value of ``sys.platform``, belongs here."""
        windows, wasm = system == "win32", system in ("wasi", "emscripten")
        match self:
            case Platform.ALL:
                return True
            case Platform.UNIX:
                return not windows and not wasm
            case Platform.LINUX:
                return system in ("linux", "android")
            case Platform.MACOS:
                return system == "darwin"
            case Platform.BSD:
                return system.startswith(("darwin", "freebsd", "netbsd", "openbsd", "dragonfly"))
            case Platform.WINDOWS:
                return windows
            case Platform.WASI:
                return wasm


class Area(enum.StrEnum):
    """What a run groups and probes by, in the order in which reports show it: the loop, its I/O, what stands on it."""

    LIFECYCLE = "lifecycle"
    """making, running, stopping and closing a loop"""
    CALLBACKS = "callbacks"
    """call_soon and what runs in one pass"""
    TIMERS = "timers"
    """call_later, call_at and the loop's clock"""
    HANDLES = "handles"
    """what scheduling returns"""
    THREADS = "threads"
    """calls from other threads, and work handed to them"""
    EXECUTOR = "executor"
    """run_in_executor and the default executor"""
    ASYNCGENS = "asyncgens"
    """asynchronous generators that a loop closes"""
    ERRORS = "errors"
    """refusals of misuse, and the exception handler"""
    DEBUG = "debug"
    """debug mode"""
    LOGGING = "logging"
    """what goes to the asyncio logger"""
    FUTURES = "futures"
    """futures"""
    TASKS = "tasks"
    """tasks: creation, names, contexts, cancellation"""
    EAGER_TASKS = "eager-tasks"
    """tasks that start while they are created"""
    COROUTINES = "coroutines"
    """coroutines and awaitables"""
    CANCELLATION = "cancellation"
    """cancelling what runs"""
    EXCEPTIONS = "exceptions"
    """the exception classes"""
    RUNNER = "runner"
    """run() and Runner"""
    POLICIES = "policies"
    """event loop policies and the current loop"""
    CHILD_WATCHERS = "child-watchers"
    """child watchers, of documentation up to 3.13"""
    SIGNALS = "signals"
    """signal handlers of the loop"""
    DNS = "dns"
    """getaddrinfo and getnameinfo"""
    FDS = "fds"
    """watching file descriptors"""
    SOCK = "sock"
    """the sock_* methods"""
    TCP_CLIENT = "tcp-client"
    """create_connection"""
    TCP_SERVER = "tcp-server"
    """create_server, accepted sockets and Server"""
    UDP = "udp"
    """create_datagram_endpoint"""
    UNIX = "unix"
    """Unix domain sockets"""
    TLS = "tls"
    """TLS on connections, servers and start_tls"""
    SENDFILE = "sendfile"
    """sendfile and sock_sendfile"""
    PIPES = "pipes"
    """connect_read_pipe and connect_write_pipe"""
    SUBPROCESS = "subprocess"
    """child processes"""
    STREAM_TRANSPORTS = "stream-transports"
    """read and write transports"""
    DATAGRAM_TRANSPORTS = "datagram-transports"
    """datagram transports"""
    PIPE_TRANSPORTS = "pipe-transports"
    """pipe transports"""
    SUBPROCESS_TRANSPORTS = "subprocess-transports"
    """subprocess transports"""
    EXTRA_INFO = "extra-info"
    """what get_extra_info answers"""
    FLOW_CONTROL = "flow-control"
    """write buffer limits, pausing and resuming"""
    PROTOCOLS = "protocols"
    """what is called on a protocol, and in which order"""
    BUFFERED_PROTOCOLS = "buffered-protocols"
    """protocols that bring their own buffer"""
    STREAMS = "streams"
    """StreamReader and StreamWriter"""
    STREAM_SERVER = "stream-server"
    """start_server"""
    UNIX_STREAMS = "unix-streams"
    """streams over Unix domain sockets"""
    TLS_STREAMS = "tls-streams"
    """streams over TLS"""
    WAITING = "waiting"
    """sleep, gather, wait, wait_for, shield, as_completed"""
    TIMEOUTS = "timeouts"
    """timeout and timeout_at"""
    TASKGROUPS = "taskgroups"
    """TaskGroup"""
    LOCKS = "locks"
    """Lock"""
    EVENTS = "events"
    """Event"""
    CONDITIONS = "conditions"
    """Condition"""
    SEMAPHORES = "semaphores"
    """Semaphore and BoundedSemaphore"""
    BARRIERS = "barriers"
    """Barrier"""
    QUEUES = "queues"
    """Queue and its relatives"""
    INTROSPECTION = "introspection"
    """current_task, all_tasks and the call graph"""
    EXTENDING = "extending"
    """what a loop or task class of one's own may rely on"""
    FREE_THREADING = "free-threading"
    """loops in parallel threads without the GIL"""
    COMMAND_LINE = "command-line"
    """python -m asyncio"""
    PLATFORMS = "platforms"
    """what differs between operating systems"""
    HYGIENE = "hygiene"
    """what a loop leaves behind: nothing"""


@frozen
class CPythonBug:
    """An interpreter's own, reported deviation from a requirement: there, and only there, it is no failure."""

    versions: tuple[VersionRange, ...]
    """the interpreter versions that have it"""
    instead: str
    """what the interpreter does instead"""
    issue: str
    """where it is reported upstream (URL)"""
    implementation: str = "cpython"
    """``sys.implementation.name`` of the interpreters meant"""

    def affects(self, version: Version, implementation: str = sys.implementation.name) -> bool:
        """Whether the interpreter of that version and implementation has the bug.

        PyPy brings the ``asyncio`` of the CPython whose version it tells, and with it the bugs.
        """
        meant = {self.implementation, "pypy"} if self.implementation == "cpython" else {self.implementation}
        return implementation in meant and any(version in span for span in self.versions)

    @property
    def versions_text(self) -> str:
        """The versions as the catalogue writes them: ``3.12.0-3.12.3, 3.13.0``."""
        return ", ".join(map(str, self.versions))


@frozen
class Requirement:
    """One promise of the documentation."""

    id: str
    """``API/promise``, permanent: never renamed, never reused"""
    api: str
    """the API as documented, or a topic"""
    page: str
    """the documentation page, which is the name of the TOML file"""
    area: Area
    text: str
    """the promise in our words, one sentence whose subject is the API"""
    level: Level
    kind: Kind
    since: Version
    """first documentation version that says it; 3.6 also stands for earlier"""
    until: Version | None = None
    """last documentation version that says it; None while it still holds"""
    platform: Platform = Platform.ALL
    namespace_only: bool = False
    """no event loop can influence it: it judges a namespace"""
    advice: bool = False
    """closer to advice than to a promise"""
    excluded: str | None = None
    """why no case checks it; None where cases do"""
    note: str | None = None
    """what a reader must know: a correction, what interpreters do"""
    known_bugs: tuple[CPythonBug, ...] = ()

    def in_force(self, profile: Version, platform: str = sys.platform) -> bool:
        """Whether documentation of version ``profile`` promises it on ``platform``, a value of ``sys.platform``."""
        return (
            self.since.first <= profile.last
            and (self.until is None or profile.last <= self.until.last)
            and self.platform.covers(platform)
        )

    def known_bug(self, version: Version, implementation: str = sys.implementation.name) -> CPythonBug | None:
        """The recorded bug by which the interpreter of that version breaks the promise itself, if there is one."""
        return next((bug for bug in self.known_bugs if bug.affects(version, implementation)), None)


@frozen
class Catalogue:
    """Requirements in the order of their pages. Ids are unique."""

    requirements: tuple[Requirement, ...]
    _by_id: dict[str, Requirement] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {requirement.id: requirement for requirement in self.requirements})

    def __iter__(self) -> Iterator[Requirement]:
        return iter(self.requirements)

    def __len__(self) -> int:
        return len(self.requirements)

    def __contains__(self, id: object) -> bool:  # noqa: A002 - ids are what the catalogue is asked for
        return id in self._by_id

    def __getitem__(self, id: str) -> Requirement:  # noqa: A002
        """The requirement of that id; KeyError when no loaded page has it."""
        return self._by_id[id]

    def get(self, id: str) -> Requirement | None:  # noqa: A002
        """The requirement of that id, or None when no loaded page has it."""
        return self._by_id.get(id)

    @property
    def pages(self) -> tuple[str, ...]:
        """The loaded pages that have requirements, in order."""
        return tuple(dict.fromkeys(requirement.page for requirement in self.requirements))

    @property
    def areas(self) -> tuple[Area, ...]:
        """The areas that the loaded requirements belong to, in the order of :class:`Area`."""
        present = {requirement.area for requirement in self.requirements}
        return tuple(area for area in Area if area in present)

    def select(self, pages: Iterable[str] = (), areas: Iterable[str] = ()) -> tuple[Requirement, ...]:
        """The requirements of those pages and areas; an empty selection of either kind stands for all."""
        pages, areas = frozenset(pages), frozenset(areas)
        return tuple(
            requirement
            for requirement in self.requirements
            if (not pages or requirement.page in pages) and (not areas or requirement.area in areas)
        )

    def in_force(self, profile: Version, platform: str = sys.platform) -> tuple[Requirement, ...]:
        """The requirements that documentation of version ``profile`` makes on ``platform``."""
        return tuple(requirement for requirement in self.requirements if requirement.in_force(profile, platform))
