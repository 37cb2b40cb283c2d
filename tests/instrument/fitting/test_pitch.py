"""Fundamental and inharmonicity of known strings, and of recorded notes."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.instrument.fitting.pitch import fundamental, keyboard_inharmonicity, series
from rtsynth.instrument.fitting.recording import prepare
from tests.data import shared
from tests.instrument.fitting.notes import F0, RATE, STRETCH, ring, string


@pytest.mark.parametrize(
    ("snr_db", "beating", "error"), [(60.0, False, 1e-4), (30.0, False, 1e-3), (60.0, True, 0.02)]
)
def test_a_known_string(snr_db, beating, error):
    pitch = fundamental(prepare(string(0, snr_db, beating).samples, RATE))
    assert pitch.harmonic
    assert pitch.inharmonicity == pytest.approx(STRETCH, rel=error)
    assert pitch.f0 == pytest.approx(F0, rel=2e-3 if beating else 1e-5)  # 0.3-2 Hz apart: the pair's middle
    np.testing.assert_array_equal(pitch.number, np.arange(1, 21))


def test_partial_one_gives_the_key():
    pitch = fundamental(prepare(string(1, 60.0).samples, RATE))
    assert pitch.partial_frequency(1) == pytest.approx(F0 * np.sqrt(1.0 + STRETCH))
    assert pitch.key == pytest.approx(60.0 + 12.0 * np.log2(pitch.partial_frequency(1) / 261.6256), abs=1e-4)


def test_a_missing_fundamental_is_found():
    k = np.arange(1, 20)
    level = np.where(k < 4, 0.0, 1.0 / k).astype(complex)
    note = ring(series(82.4, 1e-4, k), np.full(k.size, 1.5), level, snr_db=50.0)
    assert fundamental(prepare(note.samples, RATE)).f0 == pytest.approx(82.4, rel=1e-4)


def test_weak_odd_partials_do_not_raise_the_octave():
    k = np.arange(1, 16)
    level = np.where(k % 2, 0.04, 1.0).astype(complex) / k
    note = ring(series(F0, STRETCH, k), np.full(k.size, 2.0), level, snr_db=60.0)
    assert fundamental(prepare(note.samples, RATE)).f0 == pytest.approx(F0, rel=1e-4)


def test_two_partials_take_the_keyboards_inharmonicity_only_where_it_fits():
    stiff = keyboard_inharmonicity(2090.0)
    for B in (stiff, 0.0):
        note = ring(series(2090.0, B, np.arange(1, 3)), np.full(2, 4.0), np.array([1.0, 0.3j]), snr_db=50.0)
        pitch = fundamental(prepare(note.samples, RATE))
        assert pitch.inharmonicity == pytest.approx(B, rel=2e-2)
        assert pitch.partial_frequency(1) == pytest.approx(note.frequency[0], rel=1e-5)
        assert np.isinf(pitch.inharmonicity_std)


def test_no_series_is_called_none():
    frequency = np.array([701.0, 1187.0, 1933.0, 2711.0, 3067.0, 4463.0])
    note = ring(frequency, np.full(6, 3.0), np.array([0.6, 0.5, 1.0, 0.4, 0.3, 0.4], complex), snr_db=50.0)
    pitch = fundamental(prepare(note.samples, RATE))
    assert not pitch.harmonic
    assert pitch.f0 == pytest.approx(1933.0, rel=1e-4)


def test_a_known_key_is_believed():
    note = string(2, 60.0)
    pitch = fundamental(prepare(note.samples, RATE), key=60.0)
    assert pitch.f0 == pytest.approx(F0, rel=1e-5)


def test_the_deviation_tells_the_error():
    """Within a factor of six: peaks have errors that the scatter of the biweight's inliers does not show."""
    scores = []
    for seed in range(8):
        pitch = fundamental(prepare(string(seed, 30.0).samples, RATE))
        scores.append((pitch.inharmonicity - STRETCH) / pitch.inharmonicity_std)
    assert 0.3 < np.sqrt(np.mean(np.square(scores))) < 6.0


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("piano_notes/salamander_A0_v10.ogg", 21),
        ("piano_notes/salamander_C2_v10.ogg", 36),
        ("piano_notes/splendid_A2_mp.flac", 45),
        ("piano_notes/salamander_C4_v04.ogg", 60),
        ("piano_notes/salamander_Fs5_v10.ogg", 78),
        ("piano_notes/salamander_C7_v10.ogg", 96),
        ("piano_notes/splendid_C8_mf.flac", 108),
        ("instrument_notes/olpc_berklee_guitar_Astring.mp3", 45),
        ("instrument_notes/smstools_violin-B3.wav", 59),
        ("instrument_notes/smstools_soprano-E4.wav", 64),
        ("instrument_notes/smstools_vibraphone-C6.wav", 84),
    ],
)
def test_recorded_notes(file, key):
    soundfile = pytest.importorskip("soundfile")
    samples, rate = soundfile.read(shared(file))
    pitch = fundamental(prepare(samples, rate))
    assert pitch.harmonic
    assert pitch.key == pytest.approx(key, abs=0.5)


def test_a_recorded_bell_has_no_series():
    soundfile = pytest.importorskip("soundfile")
    samples, rate = soundfile.read(shared("instrument_notes/sonicpi_perc_bell.flac"))
    assert not fundamental(prepare(samples, rate)).harmonic
