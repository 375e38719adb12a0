"""Executors that not every interpreter has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


def interpreter_pool(*, thread_name_prefix: str = "") -> ThreadPoolExecutor:
    """A pool of one interpreter, which is a thread pool executor; where there is none, the case is skipped.

    What is promised is the loop's part; the pool comes with the interpreter, from 3.14 on.
    """
    try:
        from concurrent.futures import InterpreterPoolExecutor  # type: ignore[attr-defined]
    except ImportError:
        pytest.skip("this interpreter has no InterpreterPoolExecutor, which came with 3.14")
    pool: ThreadPoolExecutor = InterpreterPoolExecutor(1, thread_name_prefix=thread_name_prefix)
    return pool
