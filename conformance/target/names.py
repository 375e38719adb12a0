"""From what a user writes to a target: known names, entry points, ``module:callable``."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import attrs

from conformance.loading import TargetError, describe
from conformance.target.known import KNOWN
from conformance.target.model import FACTORY, Target, is_importable

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "asyncio_conformance.targets"
"""The group in which a distribution registers its loop: ``myloop = "mylib:new_event_loop"``."""


def resolve(spec: str, api: str | None = None) -> Target:
    """The target that ``spec`` names: a known name, an entry point, or ``module:callable``.

    ``api`` is the module whose namespace is used instead of the target's own. Nothing of a known loop or of a
    ``module:callable`` is imported yet. Raises TargetError, one sentence that says what to do, for a name that nobody
    knows, a loop that is not installed, and text that is no target.
    """
    return _with_api(_find(spec, _load), api)


def announced(spec: str, api: str | None = None) -> Target:
    """The target that ``spec`` names, as far as that is known without importing anything that is not ours.

    What an entry point names may turn out to be a target of its own, which only `resolve` finds out. Raises TargetError
    as that does, but for an entry point that cannot be loaded.
    """
    return _with_api(_find(spec, _announce), api)


def _with_api(target: Target, api: str | None) -> Target:
    if api is None:
        return target
    if not all(part.isidentifier() for part in api.split(".")):
        raise TargetError(f'"{api}" is no module name; give --api something like mylib.aio')
    return attrs.evolve(target, namespace_name=api, profile=None)


def _find(spec: str, of_entry_point: Callable[[EntryPoint], Target]) -> Target:
    known = KNOWN.get(spec)
    if known is not None:
        if known.missing:
            raise TargetError(known.how_to_install())
        return known.target
    if ":" in spec:
        if not FACTORY.fullmatch(spec):
            raise TargetError(f'"{spec}" is no target; write a factory as module:callable, such as mylib.loop:Loop')
        package = spec.partition(":")[0].partition(".")[0]
        if not is_importable(package):
            raise TargetError(
                f'there is no module "{package}" for the factory "{spec}"; install it, or correct the name'
            )
        return Target(spec, spec)
    points = entry_points()
    if spec in points:
        return of_entry_point(points[spec])
    raise TargetError(_unknown(spec, [*KNOWN, *points]))


def _unknown(spec: str, names: list[str]) -> str:
    close = difflib.get_close_matches(spec.lower(), [name.lower() for name in names], n=1, cutoff=0.6)
    if close:
        meant = next(name for name in names if name.lower() == close[0])
        return f'there is no target "{spec}"; did you mean "{meant}"?'
    return f'there is no target "{spec}"; give one of {", ".join(names)}, or a factory as module:callable'


def entry_points() -> dict[str, EntryPoint]:
    """The loops that installed distributions register, by name; a known name cannot be taken over."""
    from importlib import metadata  # 30 ms, needed only where a name is not known

    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS) if point.name not in KNOWN}


def _announce(point: EntryPoint) -> Target:
    if not FACTORY.fullmatch(point.value):
        raise TargetError(f'entry point "{point.name}" is "{point.value}"; its distribution must write module:callable')
    return Target(point.name, point.value, distribution=point.dist.name if point.dist is not None else None)


def _load(point: EntryPoint) -> Target:
    found_in = _announce(point)
    distribution = found_in.distribution
    try:
        found = point.load()
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as problem:  # an imported module may raise anything
        raise TargetError(
            f'loading entry point "{point.name}" ({point.value}) failed: {describe(problem)}; '
            f"reinstall {distribution or 'its distribution'} or report it there"
        ) from None
    if isinstance(found, Target):
        return attrs.evolve(found, name=point.name, distribution=found.distribution or distribution)
    return found_in
