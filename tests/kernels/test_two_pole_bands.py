"""Bands of two poles against the recursion written out densely; and rows under a bend, and bands under gains."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsynth.kernels import BentRows, GainedBands, GainedRows, PiecewiseLinear, TwoPoleBands
from rtsynth.kernels.value import Array
from rtsynth.statespace import state_space
from tests.kernels.examples import GRID, ROWS, T

RATE = 8000.0
BANDS = TwoPoleBands(np.array([300.0, 3900.0, 0.0]), np.array([40.0, 900.0, 10.0]), RATE)


def dense(centre: float, width: float, lags: int) -> Array:
    """E[y y'] / E[y y] of the recursion, lag by lag, as the sum over its impulse response, until that has died away."""
    edge = 2.0 * np.pi * width / math.sqrt(2.0)
    poles = np.exp((-edge + 1j * (2.0 * np.pi * centre + np.array([edge, -edge]))) / RATE)
    response = np.zeros(round(40.0 * RATE / edge) + lags, complex)
    x = np.array([1.0, -1.0], complex)
    for n in range(response.size):
        response[n] = x.sum()
        x *= poles
    # A complex white noise: twice the covariance of the real part is the real part of this.
    found = np.array([np.vdot(response[: response.size - lag], response[lag:]).real for lag in range(lags)])
    return found / found[0]


def test_each_band_is_the_recursion_it_states() -> None:
    lags = 60
    t = np.arange(lags) / RATE
    for k, (centre, width) in enumerate(zip(BANDS.centre, BANDS.width, strict=True)):
        want = dense(centre, width, lags)
        alone = TwoPoleBands(BANDS.centre[k : k + 1], BANDS.width[k : k + 1], RATE)
        np.testing.assert_allclose(alone.covariance(t, [0.0])[:, 0], want, atol=1e-12)
        wider = TwoPoleBands(BANDS.centre[k : k + 1], 1.001 * BANDS.width[k : k + 1], RATE)
        assert np.abs(wider.covariance(t, [0.0])[:, 0] - want).max() > 1e-6


def test_bands_add_up_to_a_covariance_of_unit_variances() -> None:
    t = np.arange(300) / RATE
    covariance = BANDS.covariance(t, t)
    np.testing.assert_allclose(np.diag(covariance), 3.0, rtol=1e-14)
    np.testing.assert_allclose(BANDS.variance(t), 3.0, rtol=1e-14)
    assert np.linalg.eigvalsh(covariance).min() > 0.0


def test_half_the_power_at_the_width_and_12_decibels_an_octave_beyond() -> None:
    """Butterworth of second order around the centre: 1 / (1 + (distance / width)⁴)."""
    band = TwoPoleBands(np.array([10e3]), np.array([50.0]), 1e6)
    off = np.array([0.0, 25.0, 50.0, 100.0, 200.0, 400.0])
    density = band.spectral_density(10e3 + off) / band.spectral_density(np.array([10e3]))
    np.testing.assert_allclose(density, 1.0 / (1.0 + (off / 50.0) ** 4), rtol=0.002)


def test_gained_bands_are_a_sum_of_gained_single_bands() -> None:
    gains = PiecewiseLinear(GRID.times, GRID.values[:, :3])
    want = np.zeros((T.size, T.size))
    for k in range(3):
        alone = TwoPoleBands(BANDS.centre[k : k + 1], BANDS.width[k : k + 1], RATE)
        want += np.outer(gains(T)[:, k], gains(T)[:, k]) * alone.covariance(T, T)
    kernel = GainedBands(BANDS, gains)
    np.testing.assert_allclose(kernel.covariance(T, T), want, atol=1e-12)
    np.testing.assert_allclose(kernel.variance(T), np.diag(want), atol=1e-12)
    assert not kernel.stationary


def warp(t: Array) -> Array:
    """Rows turn at 1 to 1.4 times their speed from 10 ms on."""
    ratios = np.linspace(1.0, 1.4, ROWS.rows)
    return np.minimum(t, 0.01)[:, None] + np.maximum(t - 0.01, 0.0)[:, None] * ratios


def test_bent_rows_are_the_sum_written_out() -> None:
    want = np.zeros((T.size, T.size))
    lag, total = np.abs(np.subtract.outer(T, T)), np.add.outer(T, T)
    for k in range(ROWS.rows):
        turning = np.cos(2.0 * np.pi * ROWS.frequency[k] * np.subtract.outer(warp(T)[:, k], warp(T)[:, k]))
        excess = (ROWS.start_variance[k] - ROWS.settled_variance[k]) * np.exp(-ROWS.damping[k] * total)
        law = ROWS.settled_variance[k] * np.exp(-ROWS.damping[k] * lag) + excess
        want += np.outer(GRID(T)[:, k], GRID(T)[:, k]) * turning * law
    bent = BentRows(ROWS, GRID, warp)
    np.testing.assert_allclose(bent.covariance(T, T), want, atol=1e-11)
    np.testing.assert_allclose(bent.variance(T), np.diag(want), atol=1e-11)
    unbent = BentRows(ROWS, GRID, lambda t: np.repeat(t[:, None], ROWS.rows, axis=1))
    np.testing.assert_allclose(unbent.covariance(T, T), GainedRows(ROWS, GRID).covariance(T, T), atol=1e-11)
    assert np.abs(unbent.covariance(T, T) - want).max() > 0.01


def test_what_has_no_state_space_says_so() -> None:
    gains = PiecewiseLinear(GRID.times, GRID.values[:, :3])
    for kernel in (BANDS, GainedBands(BANDS, gains), BentRows(ROWS, GRID, warp)):
        with pytest.raises((TypeError, ValueError), match=type(kernel).__name__):
            state_space(kernel)


def test_bad_bands_are_refused() -> None:
    with pytest.raises(ValueError, match="want 2 widths > 0"):
        TwoPoleBands(np.array([1.0, 2.0]), np.array([1.0]), RATE)
    with pytest.raises(ValueError, match="want 1 widths > 0"):
        TwoPoleBands(np.array([1.0]), np.array([0.0]), RATE)
    with pytest.raises(ValueError, match="sample_rate"):
        TwoPoleBands(np.array([1.0]), np.array([1.0]), 0.0)
    with pytest.raises(ValueError, match=r"shape \(63, 3\) at 63 times, got \(63, 5\)"):
        GainedBands(BANDS, GRID).variance(T)
