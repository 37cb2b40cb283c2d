"""Performances on the null device: pieces, recordings, endings, and what a full disk does to them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsynth.engine import Engine
from rtsynth.engine.engine import MESSAGE_CAPACITY
from rtsynth.io import performance as performance_module
from rtsynth.io.devices import find_output, null_device
from rtsynth.io.feeder import Feeder
from rtsynth.io.midi_files import MidiPiece
from rtsynth.io.performance import Ending, Outcome, Performance, Status
from rtsynth.io.rendering import render_file
from rtsynth.messages import Kind, from_notes
from tests.engine.probe import Probe
from tests.io.test_midi_ports import Keyboard, wait_until

RATE = 48000
NOTES = from_notes([(0.0, 60, 0.2, 0.1), (0.2345, 62, 0.4, 0.05)], RATE)
Sources = Callable[[], Probe]


def piece() -> MidiPiece:
    messages = NOTES.copy()
    messages["time"] = 0
    return MidiPiece("two notes", NOTES["time"] / RATE, messages, 0.3)


def perform(source: Probe, tmp_path: Path, *, gain_db: float = 0.0) -> Outcome:
    with Performance(source, null_device(), sample_rate=RATE, gain_db=gain_db) as performance:
        performance.play(piece())
        performance.record(tmp_path / "live.wav", subtype=None, tags={}, force=True)
        return performance.run(threading.Event())


@pytest.mark.parametrize("gain_db", [0.0, -6.0])
def test_what_is_played_is_what_is_rendered_bit_for_bit(
    tmp_path: Path, probe: Sources, gain_db: float
) -> None:
    outcome = perform(probe(), tmp_path, gain_db=gain_db)
    assert outcome.ending is Ending.OVER
    assert outcome.recorded is not None
    assert outcome.recorded.whole
    render_file(probe(), NOTES, tmp_path / "offline.wav", sample_rate=RATE, gain_db=gain_db)
    live, offline = (soundfile.read(tmp_path / name)[0] for name in ("live.wav", "offline.wav"))
    length = int(NOTES["time"][-1])
    assert len(live) > length
    assert np.abs(live).max() > 0.1
    np.testing.assert_array_equal(live[:length], offline[:length])


def test_the_check_sees_another_gain(tmp_path: Path, probe: Sources) -> None:
    perform(probe(), tmp_path, gain_db=-6.0)
    render_file(probe(), NOTES, tmp_path / "offline.wav", sample_rate=RATE)
    live, offline = (soundfile.read(tmp_path / name)[0] for name in ("live.wav", "offline.wav"))
    assert not np.array_equal(live[:4800], offline[:4800])


def test_stop_ends_it_with_a_fade_and_a_reset(tmp_path: Path, probe: Sources) -> None:
    source = probe()
    stop = threading.Event()
    seen: list[Status] = []

    def on_status(status: Status) -> None:
        seen.append(status)
        if len(seen) == 3:
            stop.set()

    with Performance(source, null_device(), sample_rate=RATE) as performance:
        performance.engine.send(from_notes([(0.0, 60, 0.5, 100.0)], RATE)[:1])
        performance.record(tmp_path / "live.wav", subtype="FLOAT", tags={}, force=False)
        outcome = performance.run(stop, on_status=on_status)
    assert outcome.ending is Ending.INTERRUPTED
    assert source.resets == 1
    assert outcome.voices == 1
    assert [status.voices for status in seen] == [1, 1, 1]
    assert seen[-1].level == pytest.approx(0.5, abs=0.1)
    live, _ = soundfile.read(tmp_path / "live.wav")
    last = np.flatnonzero(live.any(axis=1))[-1]
    assert last < len(live) - 1  # silence at the end …
    assert np.abs(live[last - 48 : last]).max() < 0.5 * 0.2  # … reached through a fade
    assert np.abs(live[last - 4800 : last - 960]).max() > 0.4


def test_seconds_end_it(probe: Sources) -> None:
    with Performance(probe(), null_device(), sample_rate=RATE) as performance:
        outcome = performance.run(threading.Event(), seconds=0.25)
    assert outcome.ending is Ending.OVER
    assert 0.25 <= outcome.seconds < 2


def test_a_sound_that_never_dies_away_is_ended(probe: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performance_module, "TAIL_CAP_SECONDS", 0.2)
    source = probe()
    source.tail = -1
    held = piece()
    held.messages["kind"][held.messages["kind"] == Kind.NOTE_OFF] = Kind.NOTE_ON
    with Performance(source, null_device(), sample_rate=RATE) as performance:
        performance.play(held)
        outcome = performance.run(threading.Event())
    assert outcome.ending is Ending.OVER
    assert outcome.voices == 1


def test_a_keyboard_plays(jack_server: str, probe: Sources) -> None:
    keys = Keyboard("Player")
    source = probe()
    stop = threading.Event()
    with Performance(source, find_output("system"), sample_rate=RATE) as performance:
        performance.listen("player")
        thread = threading.Thread(target=lambda: performance.run(stop))
        thread.start()
        try:
            assert wait_until(lambda: performance.engine.time > 4800)
            keys.send("90 3C 40")
            assert wait_until(lambda: source.active_voices == 1)
        finally:
            stop.set()
            thread.join()
            keys.unplug()
    assert [applied.number for applied in source.applied] == [60, -1]


# ---- feeding ----


def test_a_piece_with_more_messages_than_the_ring_holds_is_played_whole(probe: Sources) -> None:
    source = probe()
    count = 40_000
    messages = from_notes([(0.0, 60, 0.5, 0.1)], RATE)[:1].repeat(count)
    messages["time"] = np.arange(count) // 100  # all due within 400 samples
    with Engine([source], RATE) as engine:
        feeder = Feeder(engine, messages)
        feeder.start()
        out = np.empty((64, 2), np.float32)
        while not feeder.done:
            engine.process(out)
        for _ in range(count // MESSAGE_CAPACITY + 1):  # a ring's worth a block, late ones too
            engine.process(out)
        feeder.stop()
    assert len(source.applied) == count


def test_a_piece_is_sent_a_second_ahead_and_no_more(probe: Sources) -> None:
    messages = from_notes([(start / 10, 60, 0.5, 0.05) for start in range(100)], RATE)
    with Engine([probe()], RATE) as engine:
        feeder = Feeder(engine, messages)
        feeder._feed()
        assert feeder._sent == np.count_nonzero(messages["time"] <= RATE)


# ---- recording on a full disk ----

FULL = """
import resource, sys, threading, ctypes
from pathlib import Path
from rtsynth.io.devices import null_device
from rtsynth.io.performance import Performance
from tests.engine import build
from tests.engine.probe import Probe
from tests.io.test_performance import piece

path, rescue_fits = Path(sys.argv[1]), sys.argv[2] == "fits"
lines = []

def say(line):
    lines.append(line)
    if rescue_fits:  # the other disk has room
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

source = Probe(build.load_tests(Path(sys.argv[3])))
with Performance(source, null_device(), sample_rate=48000, say=say) as performance:
    performance.play(piece())
    performance.record(path, subtype=None, tags={}, force=False)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
    outcome = performance.run(threading.Event(), seconds=0.6)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
recorded = outcome.recorded
figures = recorded.seconds, recorded.rescued, recorded.rescued_seconds, recorded.lost_seconds, recorded.whole
print(*figures, sep="|")
print(outcome.seconds)
print(*lines, sep="\\n")
"""


def record_on_a_full_disk(tmp_path: Path, library: str, rescue: str) -> list[str]:
    command = [sys.executable, "-c", FULL, str(tmp_path / "live.wav"), rescue, library]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env=os.environ | {"PYTHONPATH": "."}
    )
    return done.stdout.splitlines()


def test_a_full_disk_moves_the_recording_and_nothing_is_lost(
    tmp_path: Path, probe: Sources, probe_library: object
) -> None:
    figures, played, *lines = record_on_a_full_disk(tmp_path, probe_library._name, "fits")  # type: ignore[attr-defined]
    seconds, rescued, rescued_seconds, lost, whole = figures.split("|")
    assert (float(lost), whole) == (0.0, "False")
    assert float(seconds) + float(rescued_seconds) == pytest.approx(float(played), abs=0.02)
    parts = [soundfile.read(path)[0] for path in (tmp_path / "live.wav", rescued)]
    render_file(probe(), NOTES, tmp_path / "offline.wav", sample_rate=RATE)
    offline, _ = soundfile.read(tmp_path / "offline.wav")
    length = int(NOTES["time"][-1])
    np.testing.assert_array_equal(np.concatenate(parts)[:length], offline[:length])
    (line,) = lines
    assert line.startswith("disk full while writing")
    assert f"The rest goes to {rescued}; the playing goes on" in line


def test_with_no_room_anywhere_what_is_lost_is_told(tmp_path: Path, probe_library: object) -> None:
    figures, played, *lines = record_on_a_full_disk(tmp_path, probe_library._name, "full")  # type: ignore[attr-defined]
    seconds, _, rescued_seconds, lost, whole = figures.split("|")
    assert whole == "False"
    assert float(lost) > 0
    total = float(seconds) + float(rescued_seconds) + float(lost)
    assert total == pytest.approx(float(played), abs=0.02)
    assert any("could not be saved anywhere" in line for line in lines)
