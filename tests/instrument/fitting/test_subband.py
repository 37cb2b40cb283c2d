"""Exponentials in bands: the closed form against the transform of the samples themselves."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.instrument.fitting.attack import rise
from rtsynth.instrument.fitting.subband import Exponentials, Onset, bands_around, transform
from tests.instrument.fitting.notes import RATE

SAMPLES, BEGIN = 9001, 320
POLES = np.array(
    [
        [-2.0 + 2j * np.pi * 441.3, -130.0 + 2j * np.pi * 420.0],
        [-0.05 + 2j * np.pi * 3000.2, -9.0 + 2j * np.pi * 3020.0],
    ]
)
ONSETS = [Onset(), Onset(start=0.0031), Onset(attack=0.0013), Onset(start=0.00237, attack=0.003)]


def of_samples(bands, pole, onset):
    """Bands (B, K) of one complex exponential, by the transform of its samples."""
    t = (np.arange(SAMPLES) - BEGIN) / RATE
    x = np.where(t >= onset.start, np.exp(pole * np.maximum(t - onset.start, 0.0)), 0.0) * rise(t, onset)
    spectrum = np.fft.fft(x, bands.of.size)
    bins = bands.first[:, None] + np.arange(bands.window.size)
    return np.fft.ifft(spectrum[bins] * bands.window, axis=1) * (bands.window.size / bands.of.size)


@pytest.fixture(scope="module")
def bands():
    return bands_around([440.0, 3010.0], 40.0, transform(np.zeros(SAMPLES), RATE, BEGIN))


@pytest.mark.parametrize("onset", ONSETS)
def test_the_closed_form_is_the_transform_of_the_samples(bands, onset):
    value, _ = Exponentials(bands, onset)(POLES)
    for b, p in np.ndindex(POLES.shape):
        np.testing.assert_allclose(value[b, p], of_samples(bands, POLES[b, p], onset)[b], atol=1e-11)


@pytest.mark.parametrize("onset", ONSETS)
@pytest.mark.parametrize("direction", [1.0, 1j])
def test_the_derivative_is_that_of_the_closed_form(bands, onset, direction):
    exponentials, h = Exponentials(bands, onset), 1e-3 * direction
    _, derivative = exponentials(POLES)
    differences = (exponentials(POLES + h)[0] - exponentials(POLES - h)[0]) / (2.0 * h)
    np.testing.assert_allclose(derivative, differences, atol=2e-6 * np.abs(derivative).max())


def test_a_step_elsewhere_is_another_signal(bands):
    """The check above would see a start that is a sample off."""
    value, _ = Exponentials(bands, Onset(start=1.0 / RATE))(POLES)
    assert np.abs(value[0, 0] - of_samples(bands, POLES[0, 0], Onset())[0]).max() > 1e-3


def test_a_cosine_has_its_amplitude_in_its_band():
    t = np.arange(SAMPLES) / RATE
    bands = bands_around([1000.0], 60.0, transform(0.3 * np.cos(2.0 * np.pi * 1000.0 * t), RATE, 0))
    middle = np.abs(bands.signals()[0, bands.window.size // 4 : -bands.window.size // 4])
    np.testing.assert_allclose(middle, 0.3, rtol=5e-3)


def test_rows_are_some_of_the_bands(bands):
    exponentials = Exponentials(bands, ONSETS[3])
    value, derivative = exponentials(POLES)
    some_value, some_derivative = exponentials.rows(np.array([1]))(POLES[1:])
    np.testing.assert_array_equal(some_value[0], value[1])
    np.testing.assert_array_equal(some_derivative[0], derivative[1])


def test_bands_stay_inside_the_spectrum():
    of = transform(np.ones(SAMPLES), RATE, 0)
    bands = bands_around([0.0, 5.0, RATE / 2], 40.0, of)
    assert bands.first.min() == 0
    assert bands.first.max() + bands.window.size == of.size // 2 + 1
    assert np.isfinite(bands.signals()).all()
