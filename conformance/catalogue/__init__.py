"""What is promised: the requirements of the asyncio documentation, one TOML file per page, loaded into typed values.

catalogue = load()
catalogue["loop.call_soon/fifo-order"].in_force(profile_version("3.12"))
"""

from __future__ import annotations

from conformance.catalogue.model import Area, Catalogue, CPythonBug, Kind, Level, Platform, Requirement
from conformance.catalogue.reader import CatalogueError, load, page_names
from conformance.catalogue.versions import Version, VersionError, VersionRange, profile_version

__all__ = [
    "Area",
    "CPythonBug",
    "Catalogue",
    "CatalogueError",
    "Kind",
    "Level",
    "Platform",
    "Requirement",
    "Version",
    "VersionError",
    "VersionRange",
    "load",
    "page_names",
    "profile_version",
]
