"""Random MIDI of every kind through an instrument: nothing sticks, nothing is lost, all of it finite and in range.

Ten minutes of it in real time, with the time that blocks take: bench/endurance.py.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from rtsynth.engine import Engine
from rtsynth.instrument import Instrument, load
from rtsynth.io.random_midi import CHANNELS, RandomMidi, all_released
from rtsynth.messages import ALL_SOURCES, MESSAGE, Kind, Messages

RATE = 48000.0
SECONDS = 5.0


def through(instrument: Instrument, seconds: float, seed: int = 1) -> tuple[Engine, Messages, Messages]:
    """An engine that has played so much of it, all that it was sent, and all that it applied."""
    engine = Engine([instrument], RATE)
    engine.open_journal()
    sent, applied = [np.empty(0, MESSAGE)], [np.empty(0, MESSAGE)]
    odd = np.random.default_rng(seed)
    for step, messages in RandomMidi(seed).bursts():
        if engine.time >= seconds * RATE:
            break
        frames = round(step * RATE)
        messages["time"] = engine.time + np.sort(odd.integers(0, frames, len(messages)))
        assert engine.send(messages) == len(messages)
        played(engine, frames)
        sent.append(messages)
        applied.append(engine.read_journal())
    return engine, np.concatenate(sent), np.concatenate(applied)


def played(engine: Engine, frames: int) -> None:
    out = np.empty((frames, 2), np.float32)
    engine.process(out)
    assert np.isfinite(out).all()
    assert abs(out).max() <= 1.0


def settled(engine: Engine, instrument: Instrument) -> int:
    """Voices left when everything has been let go and had its time to die away."""
    end = engine.time + (instrument.tail if instrument.tail >= 0 else 60 * RATE)
    while engine.active_voices and engine.time < end:
        played(engine, 4800)
    return engine.active_voices


def test_nothing_sticks_and_nothing_is_lost() -> None:
    instrument = Instrument(load("piano"))
    engine, sent, applied = through(instrument, SECONDS)
    with engine:
        np.testing.assert_array_equal(applied, sent)  # every one, in order, at its sample
        report = engine.report()
        assert (report.late_messages, report.nan_samples, instrument.counts["bad_voices"]) == (0, 0, 0)
        assert instrument.counts["notes"] > 500
        assert engine.active_voices > 0
        engine.send(all_released())
        assert settled(engine, instrument) == 0


def test_a_pedal_that_is_not_let_go_is_found() -> None:
    """The check above sees a voice that is held: all but the sustain pedal is let go."""
    instrument = Instrument(load("bowed"))
    engine, _, _ = through(instrument, 0.5)
    with engine:
        held = all_released()[:1].copy()
        held["number"], held["value"], held["channel"] = 64, 127.0, 3
        note = held.copy()
        note["kind"], note["number"], note["value"] = Kind.NOTE_ON, 60, 0.7
        off = all_released()
        engine.send(np.concatenate([all_released(), held, note, off[off["number"] == 123]]))
        for _ in range(30):
            played(engine, 4800)
        assert engine.active_voices > 0
        engine.send(all_released())
        assert settled(engine, instrument) == 0


def test_the_stream_has_every_kind_on_every_channel() -> None:
    found = RandomMidi(3).messages(8_000)
    kinds = Counter(found["kind"].tolist())
    wanted = {kind for kind in Kind if kind < Kind.SWAP}  # no MIDI message is any other
    assert {Kind(kind) for kind in kinds} == wanted
    for kind in wanted - {Kind.RESET}:
        assert len(np.unique(found["channel"][found["kind"] == kind])) == CHANNELS, kind
    assert set(found["source"].tolist()) == {ALL_SOURCES}
    np.testing.assert_array_equal(found, RandomMidi(3).messages(8_000))
