"""Everything that a run leaves in its folder: ``report.json`` and what is rendered from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from reports import html, junit, markdown, store
from reports.text import reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reports.model import Report

FORMATS: dict[str, Callable[[Report], str]] = {
    store.REPORT_JSON: store.dumps,
    html.INDEX_HTML: html.render,
    markdown.SUMMARY_MD: markdown.render,
    junit.JUNIT_XML: junit.render,
}
"""File name → the function that makes its text."""


@frozen
class Written:
    """What `write_all` could write, and what it could not."""

    paths: dict[str, Path]
    """file name → where it is"""
    problems: tuple[str, ...]
    """one sentence for each format that failed, for the user"""


def write_all(report: Report, folder: Path) -> Written:
    """Write ``report`` in every format into ``folder``, which is made when it is missing.

    Each file is written atomically, and whatever happens to one, the others are still written: a broken renderer or a
    full disk must not cost the evidence of the run.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sentence = f"{folder} cannot be made ({reason(error)}): choose another folder with --output."
        return Written({}, (sentence,))
    paths: dict[str, Path] = {}
    problems = []
    for name, render in FORMATS.items():
        try:
            store.write_text(render(report), folder / name)
        except store.NotWritten as error:
            problems.append(str(error))
        except Exception as error:
            problems.append(
                f"{name} was not written, which is a bug of asyncio-conformance: {error!r}; please report it."
            )
        else:
            paths[name] = folder / name
    return Written(paths, tuple(problems))
