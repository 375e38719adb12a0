"""Targets: what a user may write, what it resolves to, and the one sentence that a mistake gets."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import subprocess
import sys
import types
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from conformance.harness.naming import ROOT
from conformance.loading import ESSENTIALS, load_factory
from conformance.target import KNOWN, Known, Target, TargetError, adapters, announced, check_loop, entry_points, resolve
from conformance.target.model import FACTORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def add_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write an importable module; it is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)

    def add(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()

    return add


@pytest.fixture
def add_entry_point(tmp_path: Path, add_module: Callable[[str, str], None]) -> Callable[[str, str, str], None]:
    """Install a distribution that brings one module and registers one entry point."""

    def add(point: str, module: str, source: str) -> None:
        add_module(module, source)
        folder = tmp_path / f"{module}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n", encoding="utf-8")
        (folder / "entry_points.txt").write_text(f"[asyncio_conformance.targets]\n{point}\n", encoding="utf-8")
        importlib.invalidate_caches()

    return add


def refusal(spec: str, api: str | None = None) -> str:
    """The sentence that resolving ``spec`` is refused with."""
    with pytest.raises(TargetError) as caught:
        resolve(spec, api)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("known", KNOWN.values(), ids=list(KNOWN))
def test_every_known_loop_can_be_found_and_installed_by_what_is_said_of_it(known: Known) -> None:
    assert FACTORY.fullmatch(known.factory)
    assert len(known.modules) == len(known.distributions)
    assert known.note
    module, _, function = known.factory.partition(":")
    if module == adapters.__name__:
        assert callable(getattr(adapters, function))
    else:
        assert module.partition(".")[0] in (*known.modules, "asyncio")


def test_the_standard_library_is_known_and_makes_fresh_loops_of_its_own_namespace() -> None:
    target = resolve("asyncio")
    first, second = target.make_loop(), target.make_loop()
    first.close()
    second.close()
    assert first is not second
    assert target.namespace is asyncio
    assert (target.distribution, target.version) == (None, None)


def test_a_target_is_found_again_by_its_name_and_namespace() -> None:
    target = resolve("asyncio:SelectorEventLoop", "asyncio")
    assert resolve(target.name, target.namespace_name) == target


def test_the_api_option_replaces_the_namespace(add_module: Callable[[str, str], None]) -> None:
    add_module("own_namespace", "from asyncio import *")
    target = resolve("asyncio", "own_namespace")
    assert target.namespace_name == "own_namespace"
    assert target.namespace.Lock is asyncio.Lock


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("uvlop", 'there is no target "uvlop"; did you mean "uvloop"?'),
        ("qtasyncio", 'there is no target "qtasyncio"; did you mean "QtAsyncio"?'),
        ("trio_asyncio", 'there is no target "trio_asyncio"; did you mean "trio-asyncio"?'),
        ("a:b:c", '"a:b:c" is no target; write a factory as module:callable, such as mylib.loop:Loop'),
        (":Loop", '":Loop" is no target; write a factory as module:callable, such as mylib.loop:Loop'),
        ("my-lib:Loop", '"my-lib:Loop" is no target; write a factory as module:callable, such as mylib.loop:Loop'),
        (
            "no_module:Loop",
            'there is no module "no_module" for the factory "no_module:Loop"; install it, or correct the name',
        ),
    ],
)
def test_a_name_that_is_no_target_is_refused_in_one_sentence(spec: str, sentence: str) -> None:
    assert refusal(spec) == sentence


@pytest.mark.parametrize("spec", ["", "xxxxxxxxxx"])
def test_a_name_like_no_other_gets_the_list(spec: str) -> None:
    message = refusal(spec)
    assert message.startswith(f'there is no target "{spec}"; give one of refloop, asyncio, uvloop')
    assert message.endswith("or a factory as module:callable")


def test_a_loop_that_is_not_installed_gets_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Known("absent", "absent:Loop", distributions=("absent-loop", "absent-qt"), modules=("absent", "absent_qt"))
    monkeypatch.setitem(KNOWN, "absent", absent)
    assert absent.state == "not installed"
    assert refusal("absent") == "absent is not installed; run: pip install absent-loop absent-qt"


def test_a_loop_without_a_wheel_for_this_interpreter_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Known("absent", "absent:Loop", distributions=("absent-loop",), modules=("absent",), interpreters="3.8-3.9")
    monkeypatch.setitem(KNOWN, "absent", absent)
    minor = sys.version_info.minor
    assert absent.state == f"no wheel for 3.{minor}"
    assert refusal("absent") == (
        f"absent is not installed, and has no wheel for Python 3.{minor}; run the suite with Python 3.8 to 3.9"
    )


def test_resolving_imports_nothing_of_the_loop(add_module: Callable[[str, str], None]) -> None:
    add_module("explosive", "raise SystemExit('imported')")
    assert resolve("explosive:Loop").factory == "explosive:Loop"
    assert "explosive" not in sys.modules


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("raise SystemExit(3)", 'importing "broken" for the factory "broken:Loop" failed: SystemExit: 3'),
        ("import no_such_dependency", "No module named 'no_such_dependency'; install what it needs"),
        ("1 / 0", "failed: ZeroDivisionError: division by zero"),
        ("", 'module "broken" has no "Loop"; give a factory as module:callable'),
        ("Loop = 3", '"broken:Loop" is not callable'),
        (
            "def Loop(): pass",
            'the factory "broken:Loop" returned None, which is no event loop: it has no run_forever()',
        ),
        ("class Other: pass\ndef Loop(): return Other", "returned the class Other, which is no event loop"),
        ("class Loop: pass", "returned an object of class Loop, which is no event loop"),
    ],
)
def test_a_factory_that_gives_no_loop_is_refused_in_one_sentence(
    add_module: Callable[[str, str], None], source: str, sentence: str
) -> None:
    add_module("broken", source)
    load_factory.cache_clear()
    target = resolve("broken:Loop")
    with pytest.raises(TargetError) as caught:
        target.make_loop()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_factory_raises_passes_through(add_module: Callable[[str, str], None]) -> None:
    add_module("refusing", "def Loop(): raise OSError('no ring')")
    with pytest.raises(OSError, match="no ring"):
        resolve("refusing:Loop").make_loop()


def test_a_loop_needs_no_base_class() -> None:
    loop = types.SimpleNamespace(**dict.fromkeys(ESSENTIALS, print))
    check_loop(loop, "own:Loop")
    del loop.create_task
    with pytest.raises(TargetError, match=r"it has no create_task\(\)"):
        check_loop(loop, "own:Loop")


@pytest.mark.parametrize(
    ("api", "sentence"),
    [
        ("math", 'module "math" is no asyncio namespace, it has no CancelledError'),
        ("no_such_module", 'there is no module "no_such_module" for the namespace (--api)'),
    ],
)
def test_a_namespace_that_is_none_is_refused(api: str, sentence: str) -> None:
    target = resolve("asyncio", api)
    with pytest.raises(TargetError) as caught:
        _ = target.namespace
    assert str(caught.value).startswith(sentence)


def test_an_api_option_that_is_no_module_name_is_refused() -> None:
    assert refusal("asyncio", "my-lib") == '"my-lib" is no module name; give --api something like mylib.aio'


def test_an_entry_point_may_name_a_factory(add_entry_point: Callable[[str, str, str], None]) -> None:
    add_entry_point(
        "pointed = pointed_loop:new_loop", "pointed_loop", "from asyncio import SelectorEventLoop as new_loop"
    )
    target = resolve("pointed")
    assert (target.name, target.factory, target.namespace_name) == ("pointed", "pointed_loop:new_loop", "asyncio")
    assert (target.distribution, target.version) == ("pointed_loop", "1.2")
    target.make_loop().close()


def test_an_entry_point_may_name_a_target_with_its_own_namespace(
    add_entry_point: Callable[[str, str, str], None],
) -> None:
    add_entry_point(
        "described = described_loop:TARGET",
        "described_loop",
        "from asyncio import *\nfrom conformance.target import Target\n"
        "TARGET = Target('other', 'asyncio:SelectorEventLoop', 'described_loop')",
    )
    target = resolve("described")
    assert (target.name, target.factory) == ("described", "asyncio:SelectorEventLoop")
    assert target.namespace.__name__ == "described_loop"
    assert target.version == "1.2"


def test_a_loop_is_announced_without_being_imported(add_entry_point: Callable[[str, str, str], None]) -> None:
    # What is imported may end the process, and the command has a report to write.
    add_entry_point("deadly = deadly_loop:TARGET", "deadly_loop", "import os\nos._exit(0)")
    target = announced("deadly", "asyncio")
    assert (target.name, target.factory, target.distribution) == ("deadly", "deadly_loop:TARGET", "deadly_loop")
    assert "deadly_loop" not in sys.modules


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_entry_point_that_ends_the_process_is_refused_in_one_sentence(
    add_entry_point: Callable[[str, str, str], None], tmp_path: Path, workers: str
) -> None:
    add_entry_point("deadly = deadly_loop:TARGET", "deadly_loop", "import os\nos._exit(0)")
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "run", "deadly", "-n", workers, "--page", "queue"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "deadly_loop:TARGET ended the process (exited with status 0)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_a_process_found_out_about_a_target_arrives_in_another() -> None:
    target = resolve("refloop")
    assert Target.of_json(json.loads(json.dumps(attrs.asdict(target)))) == target


def test_an_entry_point_cannot_take_over_a_known_name(add_entry_point: Callable[[str, str, str], None]) -> None:
    add_entry_point("asyncio = impostor:Loop", "impostor", "")
    assert "asyncio" not in entry_points()
    assert resolve("asyncio").factory == KNOWN["asyncio"].factory


@pytest.mark.parametrize(
    ("point", "sentence"),
    [
        ("bad = bad_loop", 'entry point "bad" is "bad_loop"; its distribution must write module:callable'),
        ("bad = bad_loop:Missing", 'loading entry point "bad" (bad_loop:Missing) failed: AttributeError'),
    ],
)
def test_an_entry_point_that_does_not_load_is_refused(
    add_entry_point: Callable[[str, str, str], None], point: str, sentence: str
) -> None:
    add_entry_point(point, "bad_loop", "")
    assert refusal("bad").startswith(sentence)


def test_a_misspelt_entry_point_gets_its_name(add_entry_point: Callable[[str, str, str], None]) -> None:
    add_entry_point("splendid-loop = splendid:Loop", "splendid", "")
    assert refusal("splendid-lop") == 'there is no target "splendid-lop"; did you mean "splendid-loop"?'


def test_qt_loops_share_the_one_application_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    class Application:
        one: Any = None

        def __init__(self, _arguments: list[str]) -> None:
            assert Application.one is None
            Application.one = self

        @classmethod
        def instance(cls) -> Any:
            return cls.one

    modules = {
        "PySide6": types.ModuleType("PySide6"),
        "PySide6.QtCore": types.SimpleNamespace(QCoreApplication=Application),
        "PySide6.QtAsyncio": types.SimpleNamespace(QAsyncioEventLoop=lambda application: ("QtAsyncio", application)),
        "qasync": types.SimpleNamespace(QEventLoop=lambda application: ("qasync", application)),
        "qtinter": types.SimpleNamespace(new_event_loop=lambda: ("qtinter", Application.one)),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    made: list[object] = [adapters.qtinter(), adapters.qasync(), adapters.qtasyncio()]
    assert made == [(name, Application.one) for name in ("qtinter", "qasync", "QtAsyncio")]


def test_closing_the_proxy_closes_the_loop_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Proxy:
        def __init__(self, parent: asyncio.AbstractEventLoop) -> None:
            self.parent = parent
            self.closed = False

        def close(self) -> None:
            self.closed = True

    monkeypatch.setitem(sys.modules, "aioloop_proxy", types.SimpleNamespace(LoopProxy=Proxy))
    proxy: Any = adapters.aioloop_proxy()
    proxy.close()
    assert proxy.closed
    assert proxy.parent.is_closed()


def test_every_glib_loop_has_a_context_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {
        "gi": types.ModuleType("gi"),
        "gi.repository": types.ModuleType("gi.repository"),
        "gi.repository.GLib": types.SimpleNamespace(MainContext=object),
        "gi.events": types.SimpleNamespace(GLibEventLoop=lambda context: context),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    assert adapters.gi_events() is not adapters.gi_events()
