"""What the package offers, and its first example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement

if TYPE_CHECKING:
    from conformance.support.programs import RunProgram

# The names that every version of the documentation has had, by what the first page calls them.
FACILITIES = {
    "loops": "AbstractEventLoop BaseEventLoop SelectorEventLoop Handle get_event_loop set_event_loop new_event_loop",
    "transports": "BaseTransport ReadTransport WriteTransport Transport DatagramTransport SubprocessTransport",
    "protocols": "BaseProtocol Protocol DatagramProtocol SubprocessProtocol",
    "streams": "StreamReader StreamWriter open_connection start_server IncompleteReadError LimitOverrunError",
    "futures-and-tasks": "Future Task ensure_future wrap_future iscoroutine CancelledError InvalidStateError",
    "waiting": "gather wait wait_for as_completed shield sleep TimeoutError ALL_COMPLETED FIRST_COMPLETED "
    "FIRST_EXCEPTION",
    "synchronisation": "Lock Event Condition Semaphore BoundedSemaphore",
    "queues": "Queue PriorityQueue LifoQueue QueueEmpty QueueFull",
    "subprocesses": "create_subprocess_exec create_subprocess_shell subprocess",
    "threads": "run_coroutine_threadsafe",
}


@pytest.mark.parametrize("facility", FACILITIES)
@requirement("asyncio/offers-documented-facilities")
def test_the_package_offers(aio: Any, facility: str) -> None:
    assert [name for name in FACILITIES[facility].split() if not hasattr(aio, name)] == []


HELLO_WORLD = """
import time

async def main():
    print("Hello ...")
    began = time.monotonic()
    await aio.sleep(0.1)
    # Half of the delay: what a unit mistaken for another misses by far.
    print("... World!", time.monotonic() - began > 0.05)

loop = make_loop()
loop.run_until_complete(main())
loop.close()
"""


@requirement("examples/asyncio-asynchronous-i-o")
def test_the_hello_world_program_greets_waits_and_greets_again(run_program: RunProgram) -> None:
    finished = run_program(HELLO_WORLD)
    assert (finished.stdout, finished.stderr, finished.returncode) == ("Hello ...\n... World! True\n", "", 0)
