"""JACK servers that are killed, and come back: what is left, what is kept, what is said."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsynth.engine import Engine
from rtsynth.io.devices import find_output
from rtsynth.io.performance import Ending, Outcome, Performance, Presence
from rtsynth.io.streams import open_output
from rtsynth.messages import Kind, message
from tests.engine.probe import Probe
from tests.io import jack
from tests.io.test_midi_ports import Keyboard, wait_until


def holdings() -> tuple[int, int]:
    """File descriptors and threads of this process, libjack's own among them."""
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def test_streams_and_looks_leave_no_client_behind(jack_server: str) -> None:
    held: tuple[int, int] | None = None
    with Engine([], jack.RATE) as engine:
        for _ in range(3):
            stream = open_output(engine, find_output("system"))
            stream.start()
            stream.close()
            held = held or holdings()
        assert wait_until(lambda: holdings() <= (held or (0, 0)), 2.0)


def test_servers_killed_and_started_again_leave_nothing_behind(
    own_name: str, probe_library: ctypes.CDLL
) -> None:
    """One engine, its state kept, and no descriptor or thread left of a server that was killed."""
    source = Probe(probe_library)
    held: tuple[int, int] | None = None
    with Engine([source], jack.RATE) as engine:
        engine.send(message(Kind.NOTE_ON, 0, value=0.5))
        for _ in range(20):
            with jack.server(own_name) as server:
                stream = open_output(engine, find_output("system"))
                stream.start()
                before = engine.time
                assert wait_until(lambda before=before: engine.time > before + 10 * jack.PERIOD)
                assert not stream.finished
                server.kill()
                server.wait()
                assert wait_until(lambda stream=stream: stream.finished)
                assert stream.close()
            held = held or holdings()  # the first opens what libjack keeps
            assert wait_until(lambda held=held: holdings() <= held)
            assert max(engine.meter()) > 0.2
    assert source.active_voices == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_performance_waits_for_its_server_and_goes_on(
    own_name: str, tmp_path: Path, probe_library: ctypes.CDLL, number: signal.Signals
) -> None:
    source, lines, presences = Probe(probe_library), [], []
    stop = threading.Event()
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        server = stack.enter_context(jack.server(own_name))
        performance = stack.enter_context(
            Performance(source, find_output("system"), sample_rate=jack.RATE, say=lines.append)
        )
        performance.record(tmp_path / "x.wav", subtype="FLOAT", tags={}, force=False)
        performance.engine.send(message(Kind.NOTE_ON, 0, value=0.5))

        def run() -> None:
            told = lambda presence, name: presences.append((presence, name))  # noqa: E731
            outcomes.append(performance.run(stop, on_device=told))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert wait_until(lambda: performance.engine.time > 4800)
            server.send_signal(number)
            server.wait()
            assert wait_until(lambda: len(lines) == 1)
            stood_still = performance.engine.time
            with jack.server(own_name, period=128):  # another period is fine
                assert wait_until(lambda: performance.engine.time > stood_still + 4800)
                assert performance.block == 128
                assert wait_until(lambda: len(presences) == 2)
                stop.set()
                thread.join()
        finally:
            stop.set()
            thread.join()
    (outcome,) = outcomes
    gone = "JACK: system has gone: waiting for it to come back, Ctrl-C to stop"
    assert lines == [gone, "JACK: system is back"]
    assert presences == [(Presence.GONE, "JACK: system"), (Presence.BACK, "JACK: system")]
    assert (outcome.ending, outcome.outages, outcome.voices) == (Ending.INTERRUPTED, 1, 1)
    assert outcome.away_seconds > 0
    assert [applied.number for applied in source.applied] == [
        0,
        -1,
    ]  # the note, and the end: never struck anew
    sound, _ = soundfile.read(tmp_path / "x.wav")
    assert len(sound) == pytest.approx(outcome.seconds * jack.RATE, abs=1)
    resumed = sound[stood_still : stood_still + 480]  # faded in over 10 ms …
    assert np.abs(resumed[:48]).max() < 0.11 * 0.5
    assert np.abs(resumed[-48:]).max() > 0.8 * 0.5
    assert np.abs(sound[stood_still - 48 : stood_still]).max() > 0.4  # … having stopped in full sound


def run_in_thread(performance: Performance, stop: threading.Event) -> tuple[threading.Thread, list[Outcome]]:
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(performance.run(stop)))
    thread.start()
    return thread, outcomes


def test_another_rate_is_refused_in_one_line_and_waited_out(
    own_name: str, probe_library: ctypes.CDLL
) -> None:
    lines: list[str] = []
    stop = threading.Event()
    with ExitStack() as stack:
        server = stack.enter_context(jack.server(own_name))
        performance = stack.enter_context(
            Performance(Probe(probe_library), find_output("system"), sample_rate=jack.RATE, say=lines.append)
        )
        thread, outcomes = run_in_thread(performance, stop)
        assert wait_until(lambda: performance.engine.time > 480)
        server.kill()
        server.wait()
        with jack.server(own_name, rate=44100):
            assert wait_until(lambda: len(lines) == 2)
            time.sleep(0.6)  # further looks say nothing more
        stop.set()
        thread.join()
    assert lines[1:] == [
        "JACK: system is back at another rate, and this runs at 48000 Hz: give it that rate, or start anew"
    ]
    assert outcomes[0].ending is Ending.INTERRUPTED


def test_waiting_ends_at_once_or_when_the_time_is_over(own_name: str, probe_library: ctypes.CDLL) -> None:
    for seconds, ending in [(None, Ending.INTERRUPTED), (0.8, Ending.OVER)]:
        stop = threading.Event()
        with ExitStack() as stack:
            server = stack.enter_context(jack.server(own_name))
            performance = stack.enter_context(
                Performance(Probe(probe_library), find_output("system"), sample_rate=jack.RATE)
            )
            outcomes: list[Outcome] = []
            thread = threading.Thread(
                target=lambda p=performance, s=stop, t=seconds, o=outcomes: o.append(p.run(s, seconds=t))
            )
            thread.start()
            assert wait_until(lambda p=performance: p.engine.time > 480)
            server.kill()
            server.wait()
            assert wait_until(lambda p=performance: not p._outlet.running)
            if seconds is None:
                stop.set()
            thread.join(5)
            assert not thread.is_alive()
        assert outcomes[0].ending is ending
        assert outcomes[0].outages == 1


def test_who_does_not_wait_is_told_that_it_has_stopped(own_name: str, probe_library: ctypes.CDLL) -> None:
    lines: list[str] = []
    with ExitStack() as stack:
        server = stack.enter_context(jack.server(own_name))
        performance = stack.enter_context(
            Performance(
                Probe(probe_library),
                find_output("system"),
                sample_rate=jack.RATE,
                wait_for_device=False,
                say=lines.append,
            )
        )
        thread, outcomes = run_in_thread(performance, threading.Event())
        assert wait_until(lambda: performance.engine.time > 480)
        server.kill()
        thread.join(5)
        assert not thread.is_alive()
    assert outcomes[0].ending is Ending.DEVICE_GONE
    assert lines == ["JACK: system has stopped: was it unplugged? List: rtsynth devices"]


def test_a_keyboard_is_heard_again_when_the_server_is_back(own_name: str, probe_library: ctypes.CDLL) -> None:
    source, lines = Probe(probe_library), []
    stop = threading.Event()
    with ExitStack() as stack:
        server = stack.enter_context(jack.server(own_name))
        keys = Keyboard("Player")
        performance = stack.enter_context(
            Performance(source, find_output("system"), sample_rate=jack.RATE, say=lines.append)
        )
        performance.listen("player")
        thread, _ = run_in_thread(performance, stop)
        try:
            assert wait_until(lambda: performance.engine.time > 4800)
            keys.send("90 3C 40")
            assert wait_until(lambda: source.active_voices == 1)
            keys.unplug()  # first: this process must not be a client of two servers
            server.kill()
            server.wait()
            assert wait_until(lambda: any("has gone" in line for line in lines))
            with jack.server(own_name):
                keys = Keyboard("Player")
                assert wait_until(
                    lambda: any("MIDI input 'Player" in line and "back" in line for line in lines)
                )
                keys.send("90 3E 40")
                assert wait_until(lambda: 62 in [applied.number for applied in source.applied])
                keys.unplug()
                stop.set()
                thread.join()
        finally:
            stop.set()
            thread.join()
