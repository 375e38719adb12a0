"""A lock, an event, a condition and a semaphore.

Prints:
    lock: a a b b
    event: waiting, set, go
    condition: 3 items
    semaphore: at most 2
"""

from __future__ import annotations

import refloop as asyncio


async def hold_lock() -> None:
    lock = asyncio.Lock()
    events: list[str] = []

    async def hold(name: str) -> None:
        async with lock:
            events.append(name)
            await asyncio.sleep(0)
            events.append(name)

    await asyncio.gather(hold("a"), hold("b"))
    print("lock:", *events)


async def wait_for_event() -> None:
    event = asyncio.Event()
    events: list[str] = []

    async def wait() -> None:
        events.append("waiting")
        await event.wait()
        events.append("go")

    waiter = asyncio.create_task(wait())
    await asyncio.sleep(0)
    events.append("set")
    event.set()
    await waiter
    print("event:", ", ".join(events))


async def meet_condition() -> None:
    condition = asyncio.Condition()
    items: list[int] = []

    async def consume() -> None:
        async with condition:
            await condition.wait_for(lambda: len(items) == 3)
            print("condition:", len(items), "items")

    consumer = asyncio.create_task(consume())
    for number in range(3):
        await asyncio.sleep(0)
        async with condition:
            items.append(number)
            condition.notify_all()
    await consumer


async def share_semaphore() -> None:
    semaphore = asyncio.Semaphore(2)
    inside = most = 0

    async def enter() -> None:
        nonlocal inside, most
        async with semaphore:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(7)))
    print("semaphore: at most", most)


async def main() -> None:
    await hold_lock()
    await wait_for_event()
    await meet_condition()
    await share_semaphore()


asyncio.run(main())
