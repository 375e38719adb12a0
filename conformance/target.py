"""Who is tested: a loop factory, and the namespace whose tasks, locks and streams are used with it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from types import ModuleType

KNOWN = {
    "asyncio": ("asyncio:new_event_loop", "asyncio"),
    "refloop": ("refloop:EventLoop", "refloop"),
    "uvloop": ("uvloop:new_event_loop", "asyncio"),
    "rloop": ("rloop:new_event_loop", "asyncio"),
    "zloop": ("zloop:new_event_loop", "asyncio"),
    "veloxloop": ("veloxloop:new_event_loop", "asyncio"),
}


@frozen
class Target:
    """What is under test: ``make_loop()`` gives a fresh loop, ``namespace`` is the module cases call ``aio``."""

    name: str
    factory: str
    namespace_name: str

    def make_loop(self) -> AbstractEventLoop:
        """Call the factory; whatever it raises passes through."""
        module, _, attribute = self.factory.partition(":")
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        factory: Callable[[], AbstractEventLoop] = found
        return factory()

    @property
    def namespace(self) -> ModuleType:
        """The module that plays ``asyncio``'s part in cases."""
        return importlib.import_module(self.namespace_name)


def resolve(spec: str, api: str | None = None) -> Target:
    """The target that ``spec`` names: a known name or ``module:callable``."""
    factory, namespace = KNOWN.get(spec, (spec, "asyncio"))
    return Target(spec, factory, api or namespace)
