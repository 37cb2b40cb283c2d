"""Modes of known notes found again, and those of recorded notes against the recordings."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from rtsynth.instrument.fitting.modes import MOST_MODES, Modes, fit_modes, sound
from rtsynth.instrument.fitting.pitch import fundamental, series
from rtsynth.instrument.fitting.recording import prepare
from tests.data import shared
from tests.instrument.fitting.notes import F0, ONSET, RATE, STRETCH, matches, ring, string


def fit(samples, rate=RATE):
    recording = prepare(samples, rate)
    return recording, fit_modes(recording, fundamental(recording))


def errors(note, modes):
    """Of frequency in cents, of damping as a share."""
    found = matches(note, modes)
    cents = 1200.0 * np.log2(modes.frequency[found] / note.frequency)
    return np.abs(cents), np.abs(modes.damping[found] / note.damping - 1.0)


@functools.cache
def of_seeds(snr_db, beating):
    """Errors over three notes."""
    each = [errors(note, fit(note.samples)[1]) for note in (string(s, snr_db, beating) for s in range(3))]
    return tuple(np.concatenate(part) for part in zip(*each, strict=True))


def snr_db(wanted, found):
    return 10.0 * np.log10(np.sum(wanted**2) / np.sum((wanted - found) ** 2))


def test_known_modes_are_recovered():
    """Without noise to 1e-6, no others beside them, and begun with the right sample."""
    k = np.arange(1, 7)
    note = ring(series(F0, STRETCH, k), 1.0 + 0.5 * k, np.exp(1j * k) / k)
    recording, modes = fit(note.samples)
    found = matches(note, modes)
    np.testing.assert_allclose(modes.frequency[found], note.frequency, rtol=1e-6)
    np.testing.assert_allclose(modes.damping[found], note.damping, rtol=1e-6)
    np.testing.assert_allclose(modes.amplitude[found], note.amplitude, rtol=1e-5)
    assert modes.frequency.size == 6
    assert modes.attack == 0.0
    model = sound(modes, RATE, recording.samples.size, recording.onset)
    begins, began = np.flatnonzero(model)[0], note.samples.size - recording.samples.size
    assert began + begins == ONSET


@pytest.mark.parametrize(
    ("noise_db", "cents", "median", "worst"),
    # gp.md: ESPRIT 0.0 / 0 % at 60 dB, 0.8 / 3 % at 30 dB (p95), 0.001 cent
    [(60.0, 0.001, 0.001, 0.005), (30.0, 0.005, 0.012, 0.07)],
)
def test_frequencies_and_decays_of_a_string_in_noise(noise_db, cents, median, worst):
    frequency, damping = of_seeds(noise_db, False)
    assert np.median(frequency) < cents
    assert np.median(damping) < median
    assert np.quantile(damping, 0.95) < worst


def test_beating_strings_are_found():
    """Pairs 0.3-2 Hz apart, at 60 dB: gp.md has 0.3 % and 1 %."""
    frequency, damping = of_seeds(60.0, True)
    assert np.median(damping) < 0.002
    assert np.quantile(damping, 0.95) < 0.015
    assert frequency.max() < 0.05


def test_no_modes_are_made_up():
    _, modes = fit(string(0, 60.0).samples)
    assert modes.frequency.size == 20


def test_the_deviations_tell_the_errors():
    """Root mean square of 180 scores (3 notes, 20 partials, frequency, damping, level) within 0.8 … 1.5.

    Were all scores normal and independent it would leave 0.8 … 1.2 once in 10^4; the attack and what beside it is not
    white take the rest.
    """
    scores = []
    for seed in range(3):
        note = string(seed, 40.0)
        _, modes = fit(note.samples)
        found = matches(note, modes)
        level_db = 20.0 * np.log10(np.abs(modes.amplitude[found] / note.amplitude))
        scores += [
            (modes.frequency[found] - note.frequency) / modes.frequency_std[found],
            (modes.damping[found] - note.damping) / modes.damping_std[found],
            level_db / modes.level_std_db[found],
        ]
    assert 0.8 < np.sqrt(np.mean(np.square(scores))) < 1.5


@pytest.mark.parametrize(("start", "attack"), [(0.0, 0.0), (0.0031, 0.0), (0.0, 0.002), (0.00237, 0.0007)])
def test_sound_is_the_sum_of_the_modes(start, attack):
    rng = np.random.default_rng(5)
    M, samples, onset = 7, 5000, 441
    modes = Modes(
        rng.uniform(50.0, 9000.0, M), rng.uniform(0.1, 150.0, M), rng.standard_normal(M) + 1j, start, attack
    )
    slow = np.zeros(samples)
    for n, m in itertools.product(range(samples), range(M)):
        t = (n - onset) / 44100.0 - start
        if t >= 0.0:
            rising = 1.0 - np.exp(-t / attack) if attack else 1.0
            pole = -modes.damping[m] + 2j * np.pi * modes.frequency[m]
            slow[n] += rising * (modes.amplitude[m] * np.exp(pole * t)).real
    np.testing.assert_allclose(sound(modes, 44100.0, samples, onset), slow, atol=1e-11)


def test_the_sound_of_no_modes_is_silence():
    none = Modes(np.zeros(0), np.zeros(0), np.zeros(0, complex))
    assert not sound(none, RATE, 100).any()


def test_no_amplitude_is_far_above_what_is_heard():
    """Two modes of one frequency could cancel in their band and nowhere else; single precision would show it."""
    note = string(1, 30.0, beating=True).samples
    _, modes = fit(note)
    assert np.abs(modes.amplitude).max() < 8.0 * np.abs(note).max()


def test_nothing_rings_on_where_the_note_has_faded():
    """In bands of 100 Hz above what lasts, the last second is no more than 6 dB louder than the recording's."""
    soundfile = pytest.importorskip("soundfile")
    samples, rate = soundfile.read(shared("piano_notes/salamander_A0_v10.ogg"))
    recording, modes = fit(samples, rate)
    model = sound(modes, rate, recording.samples.size, recording.onset)
    ends = [np.abs(np.fft.rfft(x[-rate:] * np.hanning(rate))) ** 2 for x in (recording.samples, model)]
    wanted, found = (power[2000:6000].reshape(40, 100).sum(axis=1) for power in ends)  # bins of 1 Hz
    assert (found < 4.0 * wanted).all()


def test_progress_goes_up_to_one():
    recording = prepare(string(0, 60.0).samples, RATE)
    told = []
    fit_modes(recording, fundamental(recording), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_the_number_of_modes_is_limited():
    note = string(0, 60.0)
    recording = prepare(note.samples, RATE)
    modes = fit_modes(recording, fundamental(recording), most=5)
    assert modes.frequency.size == 5
    assert set(np.argmin(np.abs(modes.frequency[:, None] - note.frequency), axis=1)) <= set(range(10))


@pytest.mark.parametrize("seed", range(3))
def test_noise_alone_and_short_notes_are_fitted_without_failing(seed):
    rng = np.random.default_rng(seed)
    samples = [
        rng.standard_normal(4000),
        string(seed).samples[: ONSET + 900],
        rng.integers(-2, 3, 9000) / 128.0,
    ]
    _, modes = fit(samples[seed])
    assert np.isfinite(modes.amplitude).all()
    assert (modes.damping > 0.0).all()


@pytest.mark.parametrize(
    ("file", "least_db"),
    [
        ("piano_notes/salamander_C4_v10.ogg", 14.0),
        ("instrument_notes/sonicpi_perc_bell.flac", 18.0),
    ],
)
def test_recorded_notes(file, least_db):
    soundfile = pytest.importorskip("soundfile")
    samples, rate = soundfile.read(shared(file))
    recording, modes = fit(samples, rate)
    model = sound(modes, rate, recording.samples.size, recording.onset)
    assert snr_db(recording.samples, model) > least_db
    assert modes.frequency.size <= MOST_MODES
    assert (
        modes.frequency_std.shape
        == modes.damping_std.shape
        == modes.level_std_db.shape
        == modes.frequency.shape
    )


def test_partials_are_within_a_cent_of_a_long_window():
    """The loudest mode of each of the first partials of a recorded note, against the peak of a window of 3 s."""
    soundfile = pytest.importorskip("soundfile")
    samples, rate = soundfile.read(shared("piano_notes/splendid_A2_mp.flac"))
    recording = prepare(samples, rate)
    pitch = fundamental(recording)
    modes = fit_modes(recording, pitch)
    first = recording.onset + round(0.05 * rate)
    part = recording.samples[first : first + 3 * rate]
    model = sound(modes, rate, recording.samples.size, recording.onset)[first : first + 3 * rate]
    size = 1 << 22
    window = np.hanning(part.size)
    wanted, found = (np.abs(np.fft.rfft(x * window, size)) for x in (part, model))
    for k in range(1, 11):
        centre = round(float(pitch.partial_frequency(k)) * size / rate)
        near = slice(centre - 800, centre + 800)  # ±8 Hz
        cents = 1200.0 * np.log2(
            (near.start + np.argmax(found[near])) / (near.start + np.argmax(wanted[near]))
        )
        assert abs(cents) < 1.0
