"""What only refloop has: how timers are swept and wake-ups saved."""

from __future__ import annotations

import os
import random
import re
import socket
import threading
from contextvars import Context, ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import refloop
from refloop.polling import SocketWaker
from refloop.timers import SWEEP_AT_LEAST

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(refloop.__file__).parent
# The benchmarks measure refloop beside the standard library.
MODULES = sorted(module for module in PACKAGE.glob("*.py") if not module.stem.startswith("bench"))
CATALOGUE = PACKAGE.parent / "conformance" / "catalogue"

# Long enough for a thread to run on a busy machine; nothing waits this long when all is well.
GENEROUS = 30


@pytest.fixture
def own_loop() -> Iterator[Any]:
    """A loop of refloop's."""
    loop: Any = refloop.EventLoop()
    yield loop
    loop.close()


def test_cancelled_timers_do_not_accumulate(own_loop: Any) -> None:
    live = [own_loop.call_later(3600 + n, int) for n in range(100)]
    for _ in range(10_000):
        own_loop.call_later(3600, int).cancel()
        assert (
            len(own_loop._timers.heap) + len(own_loop._timers.fresh)
            <= 2 * max(SWEEP_AT_LEAST, len(live)) + len(live) + 1
        )
    assert {timer[2] for timer in own_loop._timers.heap} >= set(live)


def test_timers_run_in_the_order_of_their_deadlines_whatever_is_cancelled(own_loop: Any) -> None:
    chance = random.Random(1)
    ran: list[float] = []
    start = own_loop.time()
    kept = []
    for _ in range(2000):
        when = start + chance.random() / 1000
        timer = own_loop.call_at(when, ran.append, when)
        if chance.random() < 0.7:
            timer.cancel()
        else:
            kept.append(when)
    own_loop.call_at(start + 0.002, own_loop.stop)
    own_loop.run_forever()
    assert ran == sorted(kept)


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="counts what only an eventfd counts")
def test_many_threadsafe_calls_cost_one_wake_up(own_loop: Any) -> None:
    for _ in range(100):
        own_loop.call_soon_threadsafe(int)
    assert os.eventfd_read(own_loop._waker.fd) == 1


def test_no_wake_up_is_lost(own_loop: Any) -> None:
    turns = 2000
    done = threading.Event()
    ran = 0

    def count() -> None:
        nonlocal ran
        ran += 1
        done.set()

    def call() -> None:
        for _ in range(turns):
            own_loop.call_soon_threadsafe(count)
            assert done.wait(GENEROUS)
            done.clear()
        own_loop.call_soon_threadsafe(own_loop.stop)

    caller = threading.Thread(target=call)
    caller.start()
    own_loop.run_forever()
    caller.join(GENEROUS)
    assert ran == turns


def test_the_waker_for_other_systems_wakes_and_drains() -> None:
    waker = SocketWaker()
    with socket.socket(fileno=os.dup(waker.fd)) as watched:
        watched.setblocking(False)
        for _ in range(100_000):
            waker.wake()
        assert watched.recv(1, socket.MSG_PEEK)
        waker.drain()
        with pytest.raises(BlockingIOError):
            watched.recv(1, socket.MSG_PEEK)
    waker.close()
    waker.wake()


def test_debug_mode_leaves_nothing_behind_when_it_is_switched_off(own_loop: Any) -> None:
    before = set(vars(own_loop))
    own_loop.set_debug(True)
    own_loop.set_debug(False)
    assert set(vars(own_loop)) - before <= {"_debug"}
    assert own_loop.call_soon(int)._created_at() is None


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_every_requirement_named_in_a_docstring_is_in_the_catalogue(module: Path) -> None:
    known = {
        found for page in CATALOGUE.glob("*.toml") for found in re.findall(r'(?m)^id = "([^"]+)"', page.read_text())
    }
    named = set()
    for _, listed in re.findall(r"(?m)^( *)(?:# )?Keeps: ((?:.+\n?)+?)(?=\s*(?:\"\"\"|\n|\Z))", module.read_text()):
        named |= set(re.findall(r"[\w.()-]+/[\w-]+", listed))
    assert named - known == set()


@pytest.mark.parametrize("module", sorted(PACKAGE.glob("[!_]*.py")), ids=lambda module: module.stem)
def test_every_module_stands_in_the_reading_guide(module: Path) -> None:
    assert f"`{module.stem}`" in (PACKAGE / "README.md").read_text()


def test_a_runner_uses_an_empty_context_that_it_is_given() -> None:
    variable: ContextVar[str] = ContextVar("variable")

    async def main() -> None:
        variable.set("set inside")

    context = Context()
    with refloop.Runner() as runner:
        runner.run(main(), context=context)
    assert context[variable] == "set inside"
