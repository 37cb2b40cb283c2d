"""The rows of a key follow their formulae, stay below Nyquist, and are in tune, in the loop's own tables too."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest

import rtsynth
from rtsynth.instrument import load, tables
from rtsynth.instrument.preset import (
    Layer,
    Modes,
    Noise,
    Partials,
    Periodic,
    Preset,
    Spectrum,
    Stereo,
    Velocity,
)
from rtsynth.instrument.rows import Rows, longest_ring, rows_of_key, seconds_to_silence
from rtsynth.instrument.stated import HeldNote, level_and_mix
from rtsynth.kernels.two_regime import SEED_RATE, seed_crossover, seed_gain
from rtsynth.sampler.noise import SEGMENT
from rtsynth.sampler.segments import HALF
from rtsynth.sampler.table import LAW
from tests.instrument.playing import Array, frequency_of_key

KEYS = range(128)
RATES = [8000.0, 11025.0, 44100.0, 48000.0, 96000.0, 192000.0]


def preset_of(*layers: Layer, **fields: Any) -> Preset:
    return Preset(schema=1, name="rows", title="Rows", layers=layers, **fields)  # type: ignore[arg-type]


def rows_of(*layers: Layer, note: int = 60, sample_rate: float = 48000.0, **fields: Any) -> Rows:
    return rows_of_key(preset_of(*layers, **fields), note, sample_rate)


def level(rows: Rows) -> Array:
    """Of both channels together."""
    return np.hypot(rows.left, rows.right)


def cents(frequency: Any, reference: Any) -> Any:
    return 1200.0 * np.log2(frequency / reference)


# ---- formulae, one row at a time ----


@pytest.mark.parametrize("note", [21, 60, 100])
def test_partials(note: int) -> None:
    layer = Partials(
        count=12,
        inharmonicity=4e-4,
        inharmonicity_slope=0.8,
        tilt_db=-5.0,
        key_db=3.0,
        body=Spectrum(hz=(100.0, 1000.0), db=(0.0, -10.0)),
        strike=0.13,
        odd_db=2.0,
        t60=8.0,
        t60_slope=-0.6,
        t60_tilt=-0.3,
        loss=0.2,
        level_db=-3.0,
    )
    rows = rows_of(layer, note=note, sample_rate=1e6, gain_db=-6.0)
    octaves = (note - 60) / 12
    f0, b = frequency_of_key(note), 4e-4 * 2 ** (0.8 * octaves)
    for i, k in enumerate(range(1, 13)):
        frequency = k * f0 * math.sqrt((1 + b * k**2) / (1 + b))
        body_db = -10 * min(max(math.log10(frequency / 100), 0), 1)
        db = -9 - 5 * math.log2(k) + 3 * octaves + body_db - (2 if k % 2 == 0 else 0)
        t60 = 8 * 2 ** (-0.6 * octaves - 0.3 * math.log2(k))
        damping = math.log(1000) / t60 + 0.2 * (frequency / 1000) ** 2
        assert rows.frequency[i] == pytest.approx(frequency, rel=1e-12)
        assert rows.damping[i] == pytest.approx(damping, rel=1e-12)
        want = 10 ** (db / 20) * abs(math.sin(math.pi * k * 0.13))
        assert level(rows)[i] == pytest.approx(want, rel=1e-12)


def test_the_first_partial_is_in_tune_whatever_the_inharmonicity() -> None:
    for b in (0.0, 1e-4, 1e-2, 1.0):
        rows = rows_of(Partials(count=5, inharmonicity=b))
        assert rows.frequency[0] == pytest.approx(frequency_of_key(60), rel=1e-14)
    sharp = rows_of(Partials(count=20, inharmonicity=3.6e-4))
    # Fletcher's string with B = 3.6e-4: the tenth partial is 30 cents above ten times the first.
    assert cents(sharp.frequency[9], 10 * sharp.frequency[0]) == pytest.approx(30.3, abs=0.1)


def test_the_second_polarisation_is_softer_longer_and_a_little_off() -> None:
    layer = Partials(count=30, after_count=20, after_db=-13.0, after_t60=3.5, after_cents=0.8, tilt_db=-2.0)
    rows = rows_of(layer, sample_rate=192000.0)
    assert len(rows) == 50
    first, second = slice(0, 20), slice(30, 50)
    np.testing.assert_allclose(20 * np.log10(level(rows)[second] / level(rows)[first]), -13.0)
    np.testing.assert_allclose(rows.damping[first] / rows.damping[second], 3.5)
    off = cents(rows.frequency[second], rows.frequency[first])
    assert 0.5 < np.abs(off).max() <= 0.8
    assert off.min() < -0.3 < 0.3 < off.max()


def test_modes_are_as_stated_and_doublets_are_split_evenly() -> None:
    plain = Modes(ratios=(0.5, 1.0, 2.51), levels_db=(-9.0, 0.0, -6.0), t60=(9.0, 5.0, 2.0), t60_slope=-0.5)
    double = msgspec.structs.replace(plain, split_cents=1.6)
    for note in (48, 72):
        rows, pair = rows_of(plain, note=note), rows_of(double, note=note)
        np.testing.assert_allclose(rows.frequency, frequency_of_key(note) * np.array([0.5, 1.0, 2.51]))
        np.testing.assert_allclose(20 * np.log10(level(rows)), [-9.0, 0.0, -6.0], atol=1e-12)
        factor = 2.0 ** (-0.5 * (note - 60) / 12)
        np.testing.assert_allclose(rows.damping, np.log(1000) / (np.array([9.0, 5.0, 2.0]) * factor))
        low, high = pair.frequency.reshape(2, 3)
        np.testing.assert_allclose(cents(high, low), 1.6)
        np.testing.assert_allclose(np.sqrt(low * high), rows.frequency)
        np.testing.assert_allclose(np.square(level(pair)).reshape(2, 3).sum(axis=0), np.square(level(rows)))


def erb_rate(frequency: Any) -> Any:
    """Glasberg and Moore (1990)."""
    return 21.4 * np.log10(1.0 + 0.00437 * frequency)


@pytest.mark.parametrize(("track", "note"), [(0.0, 60), (0.0, 90), (1.0, 72), (0.5, 36)])
def test_noise_bands_are_evenly_spaced_on_the_erb_rate_scale(track: float, note: int) -> None:
    layer = Noise(
        bands=24, low=60.0, high=9000.0, life=1.0, bandwidth=0.5, track=track, tilt_db=3.0, centre=500.0
    )
    rows = rows_of(layer, note=note, sample_rate=192000.0)
    move = 2.0 ** (track * (note - 60) / 12)
    at_60 = rows.frequency / move
    steps = np.diff(erb_rate(at_60))
    np.testing.assert_allclose(steps, (erb_rate(9000.0) - erb_rate(60.0)) / 24)
    assert erb_rate(at_60[0]) - erb_rate(60.0) == pytest.approx(0.5 * steps[0])
    # The half-width of a band is half of its share of the scale, in hertz.
    edges = np.linspace(erb_rate(60.0), erb_rate(9000.0), 25)
    width = np.diff((10.0 ** (edges / 21.4) - 1.0) / 0.00437) * move
    np.testing.assert_allclose(rows.damping / (2.0 * np.pi), 0.5 * width)
    # Level: even power a hertz, under a tilt of 3 dB an octave on both sides of 500 Hz.
    db = 20 * np.log10(level(rows) / np.sqrt(width / width.sum()))
    np.testing.assert_allclose(db, -3.0 * np.abs(np.log2(at_60 / 500.0)))


def test_a_knock_decays_and_its_bands_stay_in_their_places() -> None:
    layer = Noise(bands=14, low=55.0, high=4500.0, t60=0.4)
    rows, living = rows_of(layer), rows_of(msgspec.structs.replace(layer, t60=None, life=1.0))
    np.testing.assert_allclose(rows.damping, np.log(1000) / 0.4)
    assert (rows.settled == 0).all()
    half = 0.5 * np.gradient(living.frequency)
    assert (np.abs(rows.frequency - living.frequency) < 1.2 * half).all()


def test_the_two_regimes_have_the_published_weights() -> None:
    """From the closed form of "Gaussian Process Middle C", to the digits it was worked out with."""
    layer = load("piano-faithful").layers[0]
    assert isinstance(layer, Periodic)
    rows = rows_of_key(load("piano-faithful"), 60, 48000.0)
    before = np.array([0.0, 0.72227, 0.25444, 0.01700, 0.00598, 3.99e-4, 3.3e-5, 2.4e-6, 1.5e-7])
    after = np.array([4.937e-3, 0.08259, 0.79099, 0.04950, 0.05858, 0.01078, 2.17e-3, 3.77e-4, 5.8e-5])
    # a_0 = -1.214e-4 is clipped, and the others give it back.
    np.testing.assert_allclose(rows.before, before / 1.0001214, atol=6e-6)
    np.testing.assert_allclose(rows.after, after, atol=2e-5)
    assert rows.before.sum() == pytest.approx(1.0)
    assert rows.after.sum() == pytest.approx(1.0, abs=1e-5)  # nine harmonics of it
    assert rows.frequency[1] == pytest.approx(44100.0 / 167.0, rel=1e-6)
    np.testing.assert_allclose(rows.frequency, rows.frequency[1] * np.arange(9))
    np.testing.assert_allclose(rows.damping, rows.frequency[1] / 102.0)
    np.testing.assert_allclose(rows.settled, np.sqrt(rows.variance))


def test_the_published_gain_and_cross_over_are_sampled_on_the_grid() -> None:
    level_curve, mix = level_and_mix(load("piano-faithful"), 48000.0)
    t = np.arange(level_curve.size) * SEGMENT / 48000.0
    np.testing.assert_allclose(level_curve, seed_gain(t) / 32768.0)
    np.testing.assert_allclose(mix, seed_crossover(t))
    assert t[-1] >= 3.0
    assert t[np.argmax(level_curve)] == pytest.approx(3000.0 / SEED_RATE, rel=0.1)


# ---- start, noise, place, velocity ----


@pytest.mark.parametrize(("variance", "life"), [(1.0, 0.0), (0.2, 0.0), (0.5, 1.0), (0.0, 0.3), (1.0, 0.25)])
def test_power_is_shared_between_mean_draw_and_noise(variance: float, life: float) -> None:
    rows = rows_of(Partials(count=9, variance=variance, life=life))
    np.testing.assert_allclose(rows.mean_re**2 + rows.mean_im**2, 2.0)
    np.testing.assert_allclose(rows.variance, variance)
    np.testing.assert_allclose(rows.settled**2, life, atol=1e-15)  # also where every stroke is the same


def test_places_keep_the_power_and_follow_the_key() -> None:
    layer = Partials(count=40, tilt_db=0.0)
    centre = rows_of(layer)
    np.testing.assert_allclose(centre.left, centre.right)
    wide = rows_of(layer, stereo=Stereo(width=0.8))
    np.testing.assert_allclose(level(wide), level(centre))
    angle = np.arctan2(wide.right, wide.left) / (0.25 * np.pi) - 1.0
    assert angle.min() == pytest.approx(-0.8, abs=0.1)
    assert angle.max() == pytest.approx(0.8, abs=0.1)
    low, high = (rows_of(layer, note=note, stereo=Stereo(keys=1.0)) for note in (21, 108))
    assert low.right.max() < 1e-12 < low.left.max()
    assert high.left.max() < 1e-12 < high.right.max()


def test_velocity_makes_softer_and_darker() -> None:
    velocity = Velocity(range_db=30.0, brightness_db=6.0, reference=500.0)
    rows = rows_of(Modes(ratios=(1.0, 2.0), levels_db=(0.0, 0.0), t60=(1.0, 1.0)), velocity=velocity)
    db = 20.0 / np.log(10.0) * rows.tilt
    np.testing.assert_allclose(db, 30.0 + 6.0 * np.log2(rows.frequency / 500.0))
    assert db[1] - db[0] == pytest.approx(6.0)


def test_gains_of_a_held_note() -> None:
    """Attack, velocity and the fade below Nyquist, at a few points of the grid."""
    preset = preset_of(Modes(ratios=(1.0, 89.9), levels_db=(0.0, 0.0), t60=(1.0, 1.0)))
    rows = rows_of_key(preset, 60, 48000.0)
    at = HeldNote(preset, 60, 0.5).grid_gains("left")(np.array([0, 1, 3, 1000]))
    soft = 10.0 ** (-18.0 / 20.0)
    rise = np.sin(0.5 * np.pi * np.array([0.0, 32.0 / 96.0, 1.0, 1.0])) ** 2
    np.testing.assert_allclose(at[:, 0], soft * rise * math.sqrt(0.5))
    fade = (0.5 - rows.frequency[1] / 48000.0) / 0.02
    assert 0.1 < fade < 0.9
    np.testing.assert_allclose(at[:, 1], fade * at[:, 0])


def test_seconds_to_silence() -> None:
    layer = Modes(ratios=(1.0, 2.0), levels_db=(0.0, -60.0), t60=(6.0, 6.0), variance=0.0)
    rows = rows_of(layer)
    # The power of a row of full level is 2; two channels of half each.
    assert seconds_to_silence(rows) == pytest.approx([12.0 + 0.3, 6.0 + 0.3], abs=0.01)
    # Four rows that leave together, each rung by its mean and the largest number there is: wherever the variance knob
    # stands, √(1-v) √2 + √v 5.9 is no more than that.
    for variance in (0.0, 1.0):
        any_draw = rows_of(msgspec.structs.replace(layer, variance=variance))
        assert longest_ring(any_draw) == pytest.approx(
            12.0 + 2.0 * math.log10(2.0 * math.hypot(5.9, math.sqrt(2.0)))
        )
    assert longest_ring(rows_of(Partials(t60=math.inf))) == math.inf
    assert longest_ring(rows_of(Noise(life=0.1))) == math.inf
    silent = rows_of(Modes(ratios=(100.0,), levels_db=(0.0,), t60=(1.0,)))
    assert longest_ring(silent) == 0.0
    assert seconds_to_silence(silent)[0] == -math.inf


# ---- Nyquist ----


@pytest.mark.parametrize("name", rtsynth.presets())
def test_nothing_sounds_at_or_above_nyquist(name: str) -> None:
    preset, above = load(name), 0
    for sample_rate in RATES:
        for key in KEYS:
            rows = rows_of_key(preset, key, sample_rate)
            beyond = rows.frequency >= 0.5 * sample_rate
            above += int(beyond.sum())
            assert (level(rows)[beyond] == 0).all()
            assert (level(rows)[~beyond & stated(rows)] > 0).all()
    assert above > 0
    aliased = rows_of_key(preset, 127, 8000.0, alias=True)
    assert (level(aliased)[stated(aliased)] > 0).all()


def stated(rows: Rows) -> Array:
    """All but those of recorded layers, where a stroke may have fewer rows than there is room for."""
    return rows.motion < 0


@pytest.mark.parametrize("sample_rate", [8000.0, 48000.0])
def test_nor_in_the_tables(sample_rate: float) -> None:
    _, arrays = tables.build(load("piano-modelled"), sample_rate, np.float64)
    frequency = arrays.law[:, LAW.index("frequency")]
    sounds = (arrays.law[:, LAW.index("left")] != 0) | (arrays.law[:, LAW.index("right")] != 0)
    assert frequency[sounds].max() < 0.5 * sample_rate <= frequency.max()
    for key in KEYS:  # rows that cannot be heard are not among those the loop starts with
        assert not sounds[key, arrays.alive[key] :].any()


# ---- tuning ----


@pytest.mark.parametrize("sample_rate", [44100.0, 48000.0, 96000.0])
@pytest.mark.parametrize("name", ["piano-modelled", "piano-faithful"])
def test_the_first_partial_is_in_tune_in_the_tables_that_are_played(name: str, sample_rate: float) -> None:
    """Within 3 cents over all keys: the angle of λ^16 and of λ^15 in float32, which is how the loop turns."""
    preset = msgspec.structs.replace(load(name), tuning=load("piano-modelled").tuning)
    _, arrays = tables.build(preset, sample_rate)
    worst = 0.0
    for key in KEYS:
        row = _row_of(arrays, key, frequency_of_key(key))
        for samples, turned in (
            (HALF, complex(*arrays.half[key, :, row])),
            (HALF - 1, complex(*arrays.powers[key, row, :, -1])),
        ):
            worst = max(worst, abs(_cents_of(turned, samples, frequency_of_key(key), sample_rate)))
    assert worst < 0.1


def _row_of(arrays: tables.Tables, key: int, frequency: float) -> int:
    return int(np.abs(arrays.law[key, LAW.index("frequency")] - frequency).argmin())


def _cents_of(turned: complex, samples: int, frequency: float, sample_rate: float) -> float:
    """How far λ^samples is from that of a frequency."""
    turn = 2.0 * np.pi * frequency * samples / sample_rate
    return 1200.0 / math.log(2.0) * float(np.angle(turned * np.exp(-1j * turn))) / turn


def test_the_measure_of_tuning_sees_a_cent() -> None:
    preset = msgspec.structs.replace(
        load("piano-modelled"), tuning=msgspec.structs.replace(load("piano-modelled").tuning, a4=440.2543)
    )
    _, arrays = tables.build(preset, 48000.0)
    for key in (0, 60, 127):
        row = _row_of(arrays, key, frequency_of_key(key))
        turned = complex(*arrays.half[key, :, row])
        assert _cents_of(turned, HALF, frequency_of_key(key), 48000.0) == pytest.approx(1.0, abs=0.05)
