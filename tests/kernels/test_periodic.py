"""Harmonic weights against the FFT of the closed form; truncation; clipping, and that it is said."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from rtsynth.kernels import (
    ClippedWeights,
    HarmonicSeries,
    Periodic,
    PeriodicExponential,
    Regime,
    SineEighth,
    clip_weights,
)
from rtsynth.kernels.value import Array

PERIODIC = [
    PeriodicExponential(0.0, 3.0),
    PeriodicExponential(0.3, 3.0),
    PeriodicExponential(5.0, 200.0),
    PeriodicExponential(400.0, 1.0),
    SineEighth(100.0),
    Regime(2.0, 0.25, 264.0),
]


def weights_by_fft(kernel: Periodic, count: int) -> Array:
    """a_0 .. a_count from 1024 points of one period."""
    spectrum = np.fft.rfft(kernel.at(np.arange(1024) / 1024 / kernel.frequency)).real / 1024
    return np.concatenate([spectrum[:1], 2.0 * spectrum[1 : count + 1]])


@pytest.mark.parametrize("kernel", PERIODIC, ids=str)
def test_weights_are_the_fourier_coefficients_of_the_closed_form(kernel: Periodic) -> None:
    np.testing.assert_allclose(kernel.harmonics(20), weights_by_fft(kernel, 20), atol=1e-14, rtol=0)
    assert kernel.harmonics(0).shape == (1,)
    np.testing.assert_array_equal(kernel.harmonics(3), kernel.harmonics(20)[:4])


@pytest.mark.parametrize("kernel", PERIODIC, ids=str)
def test_enough_harmonics_are_all_of_the_kernel(kernel: Periodic) -> None:
    lag = np.linspace(-1.0, 1.0, 301) / kernel.frequency
    phases = 2.0 * np.pi * kernel.frequency * np.multiply.outer(lag, np.arange(kernel.enough + 1))
    np.testing.assert_allclose(
        np.cos(phases) @ kernel.harmonics(kernel.enough), kernel.at(lag), atol=1e-13, rtol=0
    )


def test_harmonic_series_is_its_sum() -> None:
    weights, lag = np.array([0.2, 0.0, 0.5, 0.1]), np.linspace(-0.02, 0.02, 77)
    want = sum(a * np.cos(2.0 * np.pi * 100.0 * k * lag) for k, a in enumerate(weights))
    np.testing.assert_allclose(HarmonicSeries(weights, 100.0).at(lag), want, atol=1e-15)


def test_clipping_keeps_the_sum_and_names_what_it_clipped() -> None:
    with pytest.warns(ClippedWeights, match=r"a_1 = -0\.1, a_3 = -0\.02") as said:
        clipped = clip_weights([0.5, -0.1, 0.6, -0.02])
    assert len(said) == 1
    np.testing.assert_allclose(clipped, np.array([0.5, 0.0, 0.6, 0.0]) * 0.98 / 1.1)
    with pytest.warns(ClippedWeights, match="a_0 = -0.0001214$"):
        series = Regime(2.0, 0.25, 264.0).series(8)
    assert series.weights[0] == 0.0


def test_nothing_is_said_where_nothing_is_clipped() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ClippedWeights)
        np.testing.assert_array_equal(
            Regime(5.0, 1.7, 264.0).series(8).weights, Regime(5.0, 1.7, 264.0).harmonics(8)
        )


def test_weights_that_are_no_variance_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 0"):
        SineEighth(100.0).series(4)
    with pytest.raises(ValueError, match="index 1"):
        HarmonicSeries(np.array([1.0, -0.1]), 100.0)
    with pytest.raises(ValueError, match="not finite"):
        HarmonicSeries(np.array([1.0, np.nan]), 100.0)
    with pytest.raises(ValueError, match="count"):
        SineEighth(100.0).harmonics(-1)
    with pytest.raises(ValueError, match="p:"):
        PeriodicExponential(-1.0, 100.0)
