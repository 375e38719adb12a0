"""What a third-party loop may build on: ``BaseEventLoop`` and the constructors of ``Future`` and ``Task``."""

from __future__ import annotations

import socket
import threading
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from conformance.support.marks import requirement

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


async def give(value: object = None) -> object:
    return value


@requirement("BaseEventLoop/supplies-common-methods")
def test_a_subclass_of_baseeventloop_has_working_methods_that_need_no_polling(aio: Any) -> None:
    class Minimal(aio.BaseEventLoop):  # type: ignore[misc]
        pass

    loop = Minimal()
    assert isinstance(loop, aio.AbstractEventLoop)
    assert (loop.is_running(), loop.is_closed()) == (False, False)
    assert loop.create_future().get_loop() is loop
    assert isinstance(loop.call_soon(print), aio.Handle)
    assert isinstance(loop.call_later(3600, print), aio.TimerHandle)
    loop.set_debug(True)
    assert loop.get_debug() is True
    loop.close()
    assert loop.is_closed()


@requirement("BaseEventLoop/supplies-common-methods")
def test_loops_of_the_namespace_are_baseeventloops(aio: Any) -> None:
    assert issubclass(aio.BaseEventLoop, aio.AbstractEventLoop)
    assert issubclass(aio.SelectorEventLoop, aio.BaseEventLoop)


@requirement("BaseEventLoop/calls-make-socket-transport")
def test_create_connection_of_a_subclass_asks_it_for_the_transport(aio: Any) -> None:
    asked: list[tuple[object, object]] = []

    class Recording(aio.SelectorEventLoop):  # type: ignore[misc]
        def _make_socket_transport(self, sock: Any, protocol: Any, *arguments: Any, **keywords: Any) -> Any:
            asked.append((sock, protocol))
            return super()._make_socket_transport(sock, protocol, *arguments, **keywords)

    ours, peer = socket.socketpair()
    loop = Recording()
    with peer:
        transport, protocol = loop.run_until_complete(loop.create_connection(aio.Protocol, sock=ours))
        transport.close()
        loop.run_until_complete(aio.sleep(0))
        loop.close()
    assert asked == [(ours, protocol)]


@requirement("Future.__init__/callable-by-third-parties")
def test_a_future_can_be_made_directly_for_a_loop(loop: AbstractEventLoop, aio: Any) -> None:
    future = aio.Future(loop=loop)
    assert (future.get_loop(), future.done()) == (loop, False)
    loop.call_soon(future.set_result, "value")
    assert loop.run_until_complete(future) == "value"


@requirement("Future.__init__/callable-by-third-parties")
def test_a_subclass_can_call_the_constructor_of_future(loop: AbstractEventLoop, aio: Any) -> None:
    class Own(aio.Future):  # type: ignore[misc]
        def __init__(self, *, loop: AbstractEventLoop) -> None:
            super().__init__(loop=loop)

    future = Own(loop=loop)
    loop.call_soon(future.set_result, "value")
    assert loop.run_until_complete(future) == "value"


@requirement("Future.__init__/callable-by-third-parties")
def test_the_constructor_of_future_takes_no_loop_by_position(loop: AbstractEventLoop, aio: Any) -> None:
    with pytest.raises(TypeError):
        aio.Future(loop)


@requirement("Future.__init__/loop-optional")
async def test_a_future_made_without_a_loop_belongs_to_the_running_one(loop: AbstractEventLoop, aio: Any) -> None:
    assert aio.Future().get_loop() is loop
    assert aio.Future(loop=None).get_loop() is loop


@requirement("Future.__init__/loop-optional")
def test_a_future_made_without_a_loop_belongs_to_the_one_that_was_set(loop: AbstractEventLoop, aio: Any) -> None:
    found: list[object] = []

    def work() -> None:
        aio.set_event_loop(loop)
        try:
            found.append(aio.Future().get_loop())
        finally:
            aio.set_event_loop(None)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [loop]


@requirement("Task.__init__/callable-by-third-parties")
def test_a_task_can_be_made_directly_for_a_loop(loop: AbstractEventLoop, aio: Any) -> None:
    task = aio.Task(give("value"), loop=loop)
    assert (task.get_loop(), task.done()) == (loop, False)
    assert loop.run_until_complete(task) == "value"


@requirement("Task.__init__/callable-by-third-parties")
def test_a_subclass_can_call_the_constructor_of_task(loop: AbstractEventLoop, aio: Any) -> None:
    class Own(aio.Task):  # type: ignore[misc]
        def __init__(self, coroutine: Any, *, loop: AbstractEventLoop) -> None:
            super().__init__(coroutine, loop=loop, name="of a subclass")

    task = Own(give("value"), loop=loop)
    assert task.get_name() == "of a subclass"
    assert loop.run_until_complete(task) == "value"


@requirement("Task.__init__/callable-by-third-parties")
def test_the_constructor_of_task_takes_its_options_by_keyword_only(loop: AbstractEventLoop, aio: Any) -> None:
    coroutine = give("value")
    with pytest.raises(TypeError):
        aio.Task(coroutine, loop)
    assert loop.run_until_complete(aio.Task(coroutine, loop=loop, name=None, context=None)) == "value"


@requirement("Task.__init__/accepts-create-task-arguments")
def test_the_name_means_what_it_means_for_create_task(loop: AbstractEventLoop, aio: Any) -> None:
    names = ("given", "", 7)
    tasks = [aio.Task(give(), loop=loop, name=name) for name in names]
    same = [loop.create_task(give(), name=name) for name in names]  # type: ignore[arg-type]
    assert [task.get_name() for task in tasks] == [task.get_name() for task in same]
    assert [task.get_name() for task in tasks] == ["given", "", "7"]
    loop.run_until_complete(aio.wait([*tasks, *same]))


@requirement("Task.__init__/accepts-create-task-arguments")
def test_the_context_means_what_it_means_for_create_task(loop: AbstractEventLoop, aio: Any) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    context = Context()

    async def change() -> None:
        variable.set("set by the task")

    loop.run_until_complete(aio.Task(change(), loop=loop, context=context))
    assert context[variable] == "set by the task"
    assert variable.get() == "unset"


@requirement("Task.__init__/accepts-create-task-arguments")
async def test_without_a_context_the_current_one_is_copied(loop: AbstractEventLoop, aio: Any) -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("at creation")

    async def change() -> str:
        before = variable.get()
        variable.set("by the task")
        return before

    task = aio.Task(change(), loop=loop)
    variable.set("after creation")
    assert await task == "at creation"
    assert variable.get() == "after creation"
