"""Curves, gains and mixtures against their definitions written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsynth.kernels import (
    FaithfulMixture,
    Gain,
    GainedRows,
    HarmonicSeries,
    Matern32,
    Mixture,
    PiecewiseLinear,
)
from tests.kernels.examples import GRID, ROWS, T, quick, swell

BEFORE = HarmonicSeries(np.array([0.1, 0.7, 0.2]), 200.0)
AFTER = HarmonicSeries(np.array([0.3, 0.7]), 200.0)


def test_piecewise_linear_is_numpy_interp_column_by_column() -> None:
    t = np.concatenate([np.linspace(-0.01, 0.03, 101), GRID.times])
    for k in range(5):
        np.testing.assert_allclose(GRID(t)[:, k], np.interp(t, GRID.times, GRID.values[:, k]), atol=1e-15)
    one = PiecewiseLinear(GRID.times, GRID.values[:, 1])
    assert one(t).shape == t.shape
    np.testing.assert_array_equal(one(np.array([-1.0, 9.0])), GRID.values[[0, -1], 1])
    np.testing.assert_array_equal(PiecewiseLinear(np.zeros(1), np.array([3.0]))(t), np.full(t.size, 3.0))
    np.testing.assert_array_equal(GRID(GRID.times), GRID.values)


def test_curves_are_values_and_check_their_points() -> None:
    twin = PiecewiseLinear(GRID.times.copy(), GRID.values.copy())
    assert twin == GRID
    assert hash(twin) == hash(GRID)
    assert PiecewiseLinear(GRID.times, 2.0 * GRID.values) != GRID
    with pytest.raises(ValueError, match="rise strictly"):
        PiecewiseLinear(np.array([0.0, 0.0]), np.zeros(2))
    with pytest.raises(ValueError, match="2 times for 3 values"):
        PiecewiseLinear(np.array([0.0, 1.0]), np.zeros(3))


def test_gain_multiplies_from_both_sides() -> None:
    kernel = Matern32(0.01)
    want = np.diag(swell(T)) @ kernel.covariance(T, T) @ np.diag(swell(T))
    np.testing.assert_allclose(Gain(kernel, swell).covariance(T, T), want, atol=1e-15)


def test_gained_rows_are_a_sum_of_gained_single_rows() -> None:
    want = np.zeros((T.size, T.size))
    for k in range(ROWS.rows):
        want += Gain(ROWS.row(k), PiecewiseLinear(GRID.times, GRID.values[:, k])).covariance(T, T)
    np.testing.assert_allclose(GainedRows(ROWS, GRID).covariance(T, T), want, atol=1e-12)
    swapped = PiecewiseLinear(GRID.times, GRID.values[:, ::-1])
    assert np.abs(GainedRows(ROWS, swapped).covariance(T, T) - want).max() > 0.1


def test_mixture_is_one_process_a_harmonic() -> None:
    m, lag = quick(T), np.subtract.outer(T, T)
    want = np.zeros_like(lag)
    for k, (b, a) in enumerate([(0.1, 0.3), (0.7, 0.7), (0.2, 0.0)]):
        g = np.sqrt((1.0 - m) * b + m * a)
        want += np.outer(g, g) * np.exp(-np.abs(lag) / 0.1) * np.cos(2.0 * np.pi * 200.0 * k * lag)
    np.testing.assert_allclose(Mixture(BEFORE, AFTER, 0.1, quick).covariance(T, T), want, atol=1e-13)


def test_mixture_and_faithful_mixture_agree_on_the_diagonal_and_where_nothing_changes() -> None:
    mixture, faithful = Mixture(BEFORE, AFTER, math.inf, quick), FaithfulMixture(BEFORE, AFTER, quick)
    np.testing.assert_allclose(mixture.variance(T), faithful.variance(T), atol=1e-14)
    assert np.abs(mixture.covariance(T, T) - faithful.covariance(T, T)).max() > 0.01
    before = Mixture(BEFORE, AFTER, math.inf, np.zeros_like)
    np.testing.assert_allclose(before.covariance(T, T), BEFORE.covariance(T, T), atol=1e-13)
    after = Mixture(BEFORE, AFTER, math.inf, np.ones_like)
    np.testing.assert_allclose(after.covariance(T, T), AFTER.covariance(T, T), atol=1e-13)


def test_bad_curves_and_series_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(63,\) at 63 times, got \(63, 5\)"):
        Gain(Matern32(0.01), GRID).variance(T)
    with pytest.raises(ValueError, match=r"not finite at 0\.015 s"):
        Gain(Matern32(0.01), lambda t: np.where(t < 0.015, 1.0, np.inf)).variance(np.array([0.0, 0.015]))
    with pytest.raises(ValueError, match=r"crossover: wants values in \[0, 1\]"):
        Mixture(BEFORE, AFTER, 0.1, lambda t: 1.1 + 0.0 * t).variance(T)
    with pytest.raises(ValueError, match="200 Hz before and 100 Hz after"):
        Mixture(BEFORE, HarmonicSeries(np.ones(1), 100.0), 0.1, quick)
    with pytest.raises(ValueError, match="decay_time"):
        Mixture(BEFORE, AFTER, 0.0, quick)
