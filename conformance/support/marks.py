"""Marks that a case wears: the requirements it checks, the budget it needs, the kinds of loop it runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from conformance.support.modes import DEBUG, EAGER, PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., object]")

__all__ = ["DEBUG", "EAGER", "PLAIN", "budget", "on_loops", "requirement"]


def requirement(*ids: str) -> Callable[[F], F]:
    """Say which catalogue entries a case checks: it fails when one of them is broken.

    ``ids`` are permanent requirement ids such as ``"loop.call_soon/fifo-order"``; a selftest refuses unknown ones.
    """

    def mark(function: F) -> F:
        marked: F = pytest.mark.requirement(*ids)(function)
        return marked

    return mark


def budget(seconds: float, *, reason: str) -> Callable[[F], F]:
    """Give a case more (or less) than the ten seconds that every case has, and say why it needs them."""

    def mark(function: F) -> F:
        marked: F = pytest.mark.budget(seconds, reason=reason)(function)
        return marked

    return mark


def on_loops(*modes: str) -> pytest.MarkDecorator:
    """Run the case once per mode of its ``loop``: ``PLAIN``, ``DEBUG`` (debug mode on), ``EAGER`` (eager tasks).

    One contract, many carriers: what the documentation promises of every task or callback holds in each mode. The mode
    is the variant in the case's id: ``task/tasks::a_task_returns…[debug]``.
    """
    return pytest.mark.parametrize("loop", modes, indirect=True)
