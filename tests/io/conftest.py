"""Fixtures: the engine's test source, a JACK server of the tests' own, and a guard against hanging."""

from __future__ import annotations

import ctypes
import faulthandler
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine import build
from tests.engine.probe import Echo, Probe
from tests.io import jack, tape
from tests.io.tape import Tape

WATCHDOG_SECONDS = 60.0  # PortAudio and JACK can wait for ever; no test here takes a tenth of this


@pytest.fixture(autouse=True)
def _watchdog() -> Iterator[None]:
    """End the whole run, with every thread's traceback, rather than hang."""
    faulthandler.dump_traceback_later(WATCHDOG_SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def probe_library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if build.COMPILER is None:
        pytest.skip("no C compiler (cc) to build the test source with")
    path = tmp_path_factory.mktemp("probe") / "probe.so"
    sources = [build.NATIVE / "clock.c", build.NATIVE / "test" / "probe.c"]
    return build.load_tests(build.compile_library(path, sources))


@pytest.fixture
def probe(probe_library: ctypes.CDLL) -> Callable[[], Probe]:
    """Makes sources of noise at the level of the latest note, which log what reaches them."""
    return lambda: Probe(probe_library)


@pytest.fixture(scope="package")
def jack_server() -> Iterator[str]:
    """The name of a JACK server that runs for this folder; clients find it through the environment."""
    reason = jack.why_not()
    if reason is not None:
        pytest.skip(reason)
    name = f"rtsynth-test-{os.getpid()}"
    before = {key: os.environ.get(key) for key in jack.environment(name)}
    os.environ.update(jack.environment(name))
    with jack.server(name):
        yield name
    for key, value in before.items():
        os.environ.pop(key) if value is None else os.environ.update({key: value})


@pytest.fixture
def echo(probe_library: ctypes.CDLL) -> Callable[[int], Echo]:
    """Makes sources that play what they hear so many samples later."""
    return lambda latency: Echo(probe_library, latency)


@pytest.fixture(scope="session")
def tape_library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if build.COMPILER is None:
        pytest.skip("no C compiler (cc) to build the player and the recorder with")
    return tape.compile_library(tmp_path_factory.mktemp("tape"))


@pytest.fixture
def tapes(tape_library: ctypes.CDLL) -> Iterator[Callable[..., Tape]]:
    """Makes players and recorders that are closed at the end."""
    with ExitStack() as stack:
        yield lambda name, samples, **more: stack.enter_context(Tape(tape_library, name, samples, **more))


@pytest.fixture
def own_name(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A name for a server that the test itself starts and kills; clients look for it alone."""
    reason = jack.why_not()
    if reason is not None:
        pytest.skip(reason)
    name = f"rtsynth-jack-{os.getpid()}"
    for key, value in jack.environment(name).items():
        monkeypatch.setenv(key, value)
    yield name
    jack.forget(name)


@pytest.fixture(autouse=True)
def _state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rescued recordings go to the test's own folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
