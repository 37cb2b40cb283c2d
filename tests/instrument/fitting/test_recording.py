"""What is let in, what is kept of it, and what is said about it."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.instrument.fitting.recording import prepare
from tests.data import shared
from tests.instrument.fitting.notes import ONSET, RATE, string


@pytest.fixture(scope="module")
def note():
    return string(0, snr_db=60.0).samples


def test_begins_20_ms_before_the_onset(note):
    late = np.concatenate([1e-5 * np.ones(4000), note])
    recording = prepare(late, RATE)
    assert recording.onset == round(0.02 * RATE)
    lead = round(0.001 * RATE)
    assert 0 <= 4000 + ONSET - (late.size - recording.samples.size + recording.onset) <= lead
    assert recording.times[recording.onset] == 0.0
    assert not recording.warnings


def test_is_cut_at_six_seconds(note):
    recording = prepare(np.tile(note, 4), RATE)
    assert recording.seconds == pytest.approx(6.0, abs=2.0 / RATE)


def test_ends_where_it_falls_silent(note):
    recording = prepare(np.concatenate([note, np.zeros(30000)]), RATE)
    assert recording.samples.size <= note.size + round(0.05 * RATE)


def test_every_other_sample_is_kept(note):
    recording = prepare(note, RATE)
    first = ONSET - recording.onset - round(0.001 * RATE)
    kept = note[max(first, 0) :][: recording.samples.size]
    np.testing.assert_array_equal(recording.samples, kept)


def test_an_offset_is_taken_off(note):
    recording = prepare(note + 0.1, RATE)
    assert recording.onset == prepare(note, RATE).onset
    assert abs(recording.samples.mean()) < 1e-3


def test_the_first_of_channels_about_as_loud_is_kept(note):
    other = np.roll(note, 100)
    kept = prepare(np.stack([0.6 * note, other], axis=1), RATE)
    assert np.abs(kept.samples).max() == pytest.approx(0.6 * np.abs(note).max(), rel=1e-3)


@pytest.mark.parametrize("loud", [0, 1, 2])
def test_the_loud_channel_of_three_is_kept(note, loud):
    gains = np.full(3, 0.05)
    gains[loud] = 0.8
    kept = prepare(note[:, None] * gains, RATE)
    assert np.abs(kept.samples).max() == pytest.approx(0.8 * np.abs(note).max(), rel=1e-3)


def test_a_channel_that_clips_is_left_for_one_that_does_not(note):
    clipped = np.clip(note, -0.5 * note.max(), 0.5 * note.max())
    both = prepare(np.stack([clipped, 0.5 * note], axis=1), RATE)
    assert not both.warnings
    assert np.abs(both.samples).max() == pytest.approx(0.5 * np.abs(note).max(), rel=1e-9)
    assert np.ptp(both.samples) == pytest.approx(0.5 * np.ptp(note), rel=1e-9)
    alone = prepare(clipped, RATE, "loud.wav")
    assert len(alone.warnings) == 1
    assert "loud.wav is clipped" in alone.warnings[0]


def test_a_sine_of_constant_level_is_not_called_clipped():
    t = np.arange(int(RATE)) / RATE
    assert not prepare(0.9 * np.sin(2.0 * np.pi * 443.7 * t), RATE).warnings


def test_eight_bits_are_fitted_with_a_warning(note):
    coarse = np.round(note / np.abs(note).max() * 100.0) / 128.0
    (warning,) = prepare(coarse, RATE, "old.wav").warnings
    assert "8 bits" in warning
    fine = np.round(note / np.abs(note).max() * 30000.0) / 32768.0
    assert not prepare(fine, RATE).warnings


def test_a_short_one_is_fitted_with_a_warning(note):
    (warning,) = prepare(note[: ONSET + 3000], RATE).warnings
    assert "0.19 s long" in warning


@pytest.mark.parametrize(
    ("samples", "rate", "cause"),
    [
        (np.zeros(9000), RATE, "is silent"),
        (np.full((9000, 2), 0.25), RATE, "is silent"),
        (np.zeros((0, 2)), RATE, "is empty"),
        (np.append(np.ones(9000), np.nan), RATE, "1 samples that are not numbers"),
        (np.append(np.ones(9000), np.inf), RATE, "1 samples that are not numbers"),
        (np.sin(np.arange(160.0)), RATE, "10 ms of sound: too short"),
        (np.zeros((2, 3, 4)), RATE, "wants samples"),
        (np.sin(np.arange(9000.0)), 1234.0, "1234 Hz"),
        (np.sin(np.arange(9000.0)), float("nan"), "nan Hz"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(samples, rate, cause):
    with pytest.raises(InputError, match=cause) as refused:
        prepare(samples, rate, "take.wav")
    assert "take.wav" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_two_notes_are_called_a_phrase(note):
    higher = np.repeat(note, 2)[::3]  # another pitch
    legato = note.copy()
    legato[16000 : 16000 + higher.size] += higher[: legato.size - 16000]
    (warning,) = prepare(legato, RATE, "tune.wav").warnings
    assert "tune.wav is a phrase" in warning
    assert "another begins 1.0 s after" in warning


def test_a_beating_note_is_no_phrase():
    assert not prepare(string(3, snr_db=50.0, beating=True).samples, RATE).warnings


@pytest.mark.parametrize(
    ("file", "phrase"),
    [
        ("piano_notes/smstools_piano_C4.wav", True),
        ("speech_ljspeech/LJ001-0002.wav", True),
        ("piano_notes/salamander_C8_v10.ogg", False),
        ("piano_notes/splendid_A5_mp.flac", False),
        ("instrument_notes/smstools_soprano-E4.wav", False),
        ("instrument_notes/olpc_berklee_guitar_Astring.mp3", False),
    ],
)
def test_recorded_phrases_and_notes_are_told_apart(file, phrase):
    soundfile = pytest.importorskip("soundfile")
    samples, rate = soundfile.read(shared(file))
    warnings = prepare(samples, rate).warnings
    assert any("phrase" in warning for warning in warnings) == phrase
