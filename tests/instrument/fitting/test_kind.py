"""Struck or sustained: made-up notes, and every recording of the shared data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsynth.instrument.fitting.kind import Kind, course_of, kind_of
from rtsynth.instrument.fitting.recording import prepare
from tests.data import shared_files

RATE = 22050.0
SUSTAINED = ("flute", "violin", "trumpet", "soprano")
RECORDINGS = [
    path
    for path in (*shared_files("piano_notes", "*.*"), *shared_files("instrument_notes", "*.*"))
    if path.stem != "smstools_piano_C4"  # a phrase
]


def tone(envelope: np.ndarray) -> np.ndarray:
    t = np.arange(envelope.size) / RATE
    return envelope * sum(np.sin(2 * np.pi * 220.0 * k * t) / k for k in range(1, 12))


@pytest.mark.parametrize("t60", [0.3, 1.0, 5.0])
def test_what_decays_from_the_start_is_struck(t60: float) -> None:
    t = np.arange(round(2.0 * RATE)) / RATE
    assert kind_of(prepare(tone(10.0 ** (-3.0 * t / t60)), RATE)) is Kind.STRUCK


@pytest.mark.parametrize("attack", [0.01, 0.1, 0.5])
def test_what_stays_is_sustained(attack: float) -> None:
    t = np.arange(round(2.0 * RATE)) / RATE
    envelope = np.minimum(t / attack, 1.0) * np.minimum((2.0 - t) / 0.1, 1.0)
    assert kind_of(prepare(tone(envelope), RATE)) is Kind.SUSTAINED


def test_a_plucked_note_that_swells_at_first_is_struck() -> None:
    t = np.arange(round(2.0 * RATE)) / RATE
    assert kind_of(prepare(tone(np.minimum(t / 0.2, 1.0) * 10.0 ** (-3.0 * t / 2.0)), RATE)) is Kind.STRUCK


def test_a_struck_note_cut_off_early_is_struck() -> None:
    t = np.arange(round(0.6 * RATE)) / RATE
    assert kind_of(prepare(tone(10.0 ** (-3.0 * t / 5.0)), RATE)) is Kind.STRUCK


@pytest.mark.skipif(not RECORDINGS, reason="the shared data has no notes here")
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_every_recording(path: Path) -> None:
    samples, rate = soundfile.read(path, always_2d=True, frames=6 * 44100)
    recording = prepare(samples, rate, path.stem)
    expected = Kind.SUSTAINED if any(name in path.stem for name in SUSTAINED) else Kind.STRUCK
    assert kind_of(recording) is expected
    fallen_db = course_of(recording).fallen_db  # with a margin
    assert fallen_db > 14.0 if expected is Kind.STRUCK else fallen_db < 7.0
