"""Keys that were not recorded, predicted from those that were: here a keyboard whose law is known."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.instrument.fitting.keyboard import INSTANTS, Keyboard
from rtsynth.instrument.fitting.pitch import Pitch
from rtsynth.instrument.stroke import Stroke

KEYS = (33, 40, 47, 54, 61, 68, 75, 82)
LEFT_OUT = 57


def stiffness(key: float) -> float:
    return 3e-4 * 2.0 ** ((key - 60.0) / 12.0)


def stretch_cents(key: float) -> float:
    return 0.4 * (key - 60.0)


def true_level_db(frequency: np.ndarray, key: float) -> np.ndarray:
    """A smooth law over frequency and key."""
    octaves = np.log2(frequency / 500.0)
    return -20.0 - 6.0 * octaves - 1.5 * octaves**2 - 0.1 * (key - 60.0)


def true_damping(frequency: np.ndarray, key: float) -> np.ndarray:
    return 0.8 * (frequency / 500.0) ** 0.5 * 2.0 ** ((key - 60.0) / 24.0)


def note(key: float, scatter_db: float = 0.0) -> tuple[Stroke, Pitch]:
    """One mode a partial, on the law but for a scatter of its own."""
    b = stiffness(key)
    first = 440.0 * 2.0 ** ((key + stretch_cents(key) / 100.0 - 69.0) / 12.0)
    pitch = Pitch(first / np.sqrt(1.0 + b), b, True, np.arange(1, 2), np.array([first]))
    k = np.arange(1, 41)
    frequency = pitch.partial_frequency(k)
    frequency = frequency[frequency < 9000.0]
    rng = np.random.default_rng(round(10 * key))
    level = true_level_db(frequency, key) + scatter_db * rng.standard_normal(frequency.size)
    amplitude = 10.0 ** (level / 20.0) * np.exp(2j * np.pi * rng.random(frequency.size))
    bands = np.array([200.0, 2000.0])
    gain = 10.0 ** ((np.array([[-50.0, -60.0], [-80.0, -90.0]]) - 0.2 * (key - 60.0)) / 20.0)
    stroke = Stroke(
        key=pitch.key,
        frequency=frequency,
        damping=true_damping(frequency, key),
        amplitude=amplitude,
        band_centre=bands,
        band_width=0.3 * bands,
        times=np.array([0.0, 1.0]),
        band_gain=gain,
    )
    return stroke, pitch


def keyboard(scatter_db: float = 0.0, keys: tuple[int, ...] = KEYS) -> Keyboard:
    strokes, pitches = zip(*(note(key, scatter_db) for key in keys), strict=True)
    return Keyboard(strokes, pitches)


def level_errors_db(predicted: Stroke, key: float) -> np.ndarray:
    """Predicted less true levels of the first partials at each instant, (P, I)."""
    true, pitch = note(key)
    errors = []
    for i in range(10):
        near = np.abs(predicted.frequency - true.frequency[i]) < 0.25 * pitch.f0
        waves = predicted.amplitude[near, None] * np.exp(-np.outer(predicted.damping[near], INSTANTS))
        power = np.abs(waves.sum(axis=0)) ** 2
        true_power = np.abs(true.amplitude[i]) ** 2 * np.exp(-2.0 * true.damping[i] * INSTANTS)
        errors.append(10.0 * np.log10(power / true_power))
    return np.array(errors)


def test_a_smooth_law_is_found_at_a_key_left_out() -> None:
    predicted = keyboard().predict(LEFT_OUT)
    assert np.abs(level_errors_db(predicted, LEFT_OUT)).max() < 3.0
    assert np.abs(level_errors_db(predicted, LEFT_OUT)).mean() < 1.0


def test_another_key_s_law_is_not_mistaken_for_it() -> None:
    """The planted fault: what is predicted for a key two octaves up does not pass for this one."""
    wrong = keyboard().predict(LEFT_OUT + 24)
    true, pitch = note(LEFT_OUT)
    here = np.array([(np.abs(wrong.frequency - f) < 0.05 * pitch.f0).any() for f in true.frequency[:10]])
    assert not here.all()


def test_tuning_and_inharmonicity_lie_between_the_neighbours_() -> None:
    law = keyboard()
    cents = 1200.0 * np.log2(law.fundamental(LEFT_OUT) / (440.0 * 2.0 ** ((LEFT_OUT - 69) / 12)))
    assert cents == pytest.approx(stretch_cents(LEFT_OUT), abs=0.1)
    assert law.inharmonicity(LEFT_OUT) == pytest.approx(stiffness(LEFT_OUT), rel=0.01)
    predicted = law.predict(LEFT_OUT)
    true, _ = note(LEFT_OUT)
    nearest = np.array([np.abs(predicted.frequency - f).min() for f in true.frequency[:10]])
    assert nearest.max() < 0.4  # hertz


def test_noise_lies_between_the_neighbours_in_decibels() -> None:
    predicted, (true, _) = keyboard().predict(LEFT_OUT), note(LEFT_OUT)
    assert 20.0 * np.log10(predicted.band_gain / true.band_gain) == pytest.approx(0.0, abs=0.01)


def test_the_uncertainty_is_that_of_the_scatter() -> None:
    """Standard deviations state what partials scatter by: 3 dB here, to within a factor of 1.6."""
    predicted = keyboard(scatter_db=3.0).predict(LEFT_OUT)
    assert 3.0 / 1.6 < np.median(predicted.level_std_db) < 3.0 * 1.6
    sure = keyboard(scatter_db=0.0).predict(LEFT_OUT)
    assert np.median(sure.level_std_db) < np.median(predicted.level_std_db)


def test_drawn_scatter_is_the_same_every_time_and_another_for_another_seed() -> None:
    law = keyboard(scatter_db=6.0)
    once, again = law.predict(LEFT_OUT, scatter=1.0), law.predict(LEFT_OUT, scatter=1.0)
    assert once == again
    assert once != law.predict(LEFT_OUT, scatter=1.0, seed=1)
    assert once != law.predict(LEFT_OUT)


def test_one_key_is_no_law() -> None:
    stroke, pitch = note(60)
    with pytest.raises(InputError, match="at least two keys"):
        Keyboard([stroke, stroke], [pitch, pitch])


def test_two_keys_are_enough() -> None:
    predicted = keyboard(keys=(47, 61)).predict(54)
    assert predicted.frequency.size > 10
    assert np.isfinite(predicted.amplitude).all()
