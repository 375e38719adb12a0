"""Factories for loops that need something set up before they are made.

The loops are imported when a factory is called, so that this module imports everywhere.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from conformance.loading import import_quietly

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


def _qt_application() -> Any:
    """The application that a Qt loop runs in: one per process, and without a screen, since no widget is made."""
    core = import_quietly("PySide6.QtCore").QCoreApplication
    application = core.instance()
    if application is None:
        application = core(sys.argv[:1])
        # The binding deletes an application that nobody refers to.
        core.asyncio_conformance = application
    return application


def qasync() -> AbstractEventLoop:
    """qasync's loop in a QCoreApplication of PySide6."""
    application = _qt_application()
    loop: AbstractEventLoop = import_quietly("qasync").QEventLoop(application)
    return loop


def qtasyncio() -> AbstractEventLoop:
    """PySide6's own loop, which quits the application only where it made it itself."""
    application = _qt_application()
    loop: AbstractEventLoop = import_quietly("PySide6.QtAsyncio").QAsyncioEventLoop(application)
    return loop


def qtinter() -> AbstractEventLoop:
    """qtinter's loop: the standard library's, polled from Qt's."""
    _qt_application()
    loop: AbstractEventLoop = import_quietly("qtinter").new_event_loop()
    return loop


def gi_events() -> AbstractEventLoop:
    """PyGObject's loop on a GLib main context of its own."""
    glib = import_quietly("gi.repository.GLib")
    loop: AbstractEventLoop = import_quietly("gi.events").GLibEventLoop(glib.MainContext())
    return loop


def aioloop_proxy() -> AbstractEventLoop:
    """A proxy around a loop of the standard library that closes the loop behind it, too."""
    import asyncio

    parent = asyncio.new_event_loop()
    proxy = import_quietly("aioloop_proxy").LoopProxy(parent)
    close_proxy = proxy.close

    def close() -> None:
        close_proxy()
        parent.close()

    proxy.close = close
    loop: AbstractEventLoop = proxy
    return loop
