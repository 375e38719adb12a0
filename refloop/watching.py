"""Watching descriptors: a callback for each direction in which one may become ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVarTuple

from refloop.handles import CallersWatch
from refloop.scheduling import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from refloop.handles import Watch

Args = TypeVarTuple("Args")


class DescriptorWatching(Scheduler):
    """`add_reader()` and `add_writer()`.

    A watched descriptor keeps one entry for each direction, which stands in the ready queue again in every turn that
    finds the descriptor ready, until it is cancelled. All four methods raise `RuntimeError` for a descriptor that a
    transport or a server of the loop reads or writes: it would never hear of its data again.
    """

    def add_reader(self, fd: Any, callback: Callable[[*Args], object], *args: *Args) -> None:
        """Call `callback(*args)` in each turn in which `fd`, a number or something with `fileno()`, can be read.

        Replaces the callback for reading `fd` if there is one. `OSError` for what cannot be watched, as regular files.

        Keeps: loop.add_reader/calls-callback-when-readable, loop.add_reader/fires-until-removed,
        loop.add_reader/replaces-previous-callback, loop.add_reader/accepts-int-or-fileno-object,
        loop.add_reader/rejects-regular-files.
        """
        number = descriptor_of(fd)
        refuse_own_descriptor(number, self._readers, self._writers)
        watch = self._new_watch(callback, args, self)
        watch._file = fd
        self._watch_reader(number, watch)

    def remove_reader(self, fd: Any) -> bool:
        """Stop watching `fd` for reading and return whether it was watched; its callback does not run any more.

        Keeps: loop.remove_reader/stops-watching, loop.remove_reader/returns-whether-watched,
        loop.remove_reader/callback-never-runs-afterwards.
        """
        number = number_under_which_watched(fd, self._readers)
        refuse_own_descriptor(number, self._readers, self._writers)
        return self._unwatch_reader(number)

    def add_writer(self, fd: Any, callback: Callable[[*Args], object], *args: *Args) -> None:
        """Call `callback(*args)` in each turn in which `fd`, a number or something with `fileno()`, can be written.

        Replaces the callback for writing `fd` if there is one. `OSError` for what cannot be watched, as regular files.

        Keeps: loop.add_writer/calls-callback-when-writable, loop.add_writer/replaces-previous-callback.
        """
        number = descriptor_of(fd)
        refuse_own_descriptor(number, self._readers, self._writers)
        watch = self._new_watch(callback, args, self)
        watch._file = fd
        self._watch_writer(number, watch)

    def remove_writer(self, fd: Any) -> bool:
        """Stop watching `fd` for writing and return whether it was watched; its callback does not run any more.

        Keeps: loop.remove_writer/stops-watching, loop.remove_writer/returns-whether-watched,
        loop.remove_writer/callback-never-runs-afterwards.
        """
        number = number_under_which_watched(fd, self._writers)
        refuse_own_descriptor(number, self._readers, self._writers)
        return self._unwatch_writer(number)

    def _watch_reader(self, fd: int, entry: Watch) -> None:
        self._check_closed()
        self._poller.watch(fd, True, fd in self._writers)
        if fd in self._readers:
            self._readers[fd].cancel()
        self._readers[fd] = entry

    def _watch_writer(self, fd: int, entry: Watch) -> None:
        self._check_closed()
        self._poller.watch(fd, fd in self._readers, True)
        if fd in self._writers:
            self._writers[fd].cancel()
        self._writers[fd] = entry

    def _unwatch_reader(self, fd: int) -> bool:
        entry = self._readers.pop(fd, None)
        if entry is None:
            return False
        entry.cancel()
        try:
            self._poller.watch(fd, False, fd in self._writers)
        except OSError:
            # Closed before, so that the system cannot go on watching it in the other direction.
            pass
        return True

    def _unwatch_writer(self, fd: int) -> bool:
        entry = self._writers.pop(fd, None)
        if entry is None:
            return False
        entry.cancel()
        try:
            self._poller.watch(fd, fd in self._readers, False)
        except OSError:
            pass
        return True


def refuse_own_descriptor(fd: int, *tables: dict[int, Watch]) -> None:
    """Raise `RuntimeError` if the loop watches `fd` for something of its own."""
    for watched in tables:
        if fd in watched and not isinstance(watched[fd], CallersWatch):
            raise RuntimeError(f"the descriptor {fd} is in use by {watched[fd]!r}")


def number_under_which_watched(fd: Any, watched: dict[int, Watch]) -> int:
    """Return the number of a descriptor; of one that was closed while it was watched, the number that it had."""
    try:
        return descriptor_of(fd)
    except ValueError:
        for number, entry in watched.items():
            if getattr(entry, "_file", None) is fd:
                return number
        raise


def descriptor_of(fd: Any) -> int:
    """Return the number of a descriptor given as a number or as an object with `fileno()`.

    `ValueError` when there is no number to be had, as for a closed socket.
    """
    if isinstance(fd, int):
        number = fd
    else:
        try:
            number = int(fd.fileno())
        except (AttributeError, TypeError, ValueError):
            raise ValueError(f"Invalid file object: {fd!r}") from None
    if number < 0:
        raise ValueError(f"Invalid file descriptor: {number}")
    return number
