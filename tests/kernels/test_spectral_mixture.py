"""Damped cosines against the stochastic equation that defines them, solved the long way; their refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsynth.kernels import DampedCosines
from tests.kernels.examples import ROWS, T


def covariance_by_definition(rows: DampedCosines, s: float, t: float) -> float:
    """Cov(y_s, y_t), s <= t: x_t = e^(a (t - s)) x_s + noise; V of x_s by dV = 2 damping (settled - V)."""
    total = 0.0
    for f, damping, settled, start in zip(
        rows.frequency, rows.damping, rows.settled_variance, rows.start_variance, strict=True
    ):
        at_s = start * math.exp(-2.0 * damping * s) - settled * math.expm1(-2.0 * damping * s)
        total += at_s * math.exp(-damping * (t - s)) * math.cos(2.0 * math.pi * f * (t - s))
    return total


def test_covariance_is_that_of_the_stochastic_equation() -> None:
    want = np.array([[covariance_by_definition(ROWS, min(s, t), max(s, t)) for t in T] for s in T])
    np.testing.assert_allclose(ROWS.covariance(T, T), want, atol=1e-12)
    wrong = DampedCosines(ROWS.frequency, ROWS.damping, ROWS.settled_variance * 1.01, ROWS.start_variance)
    assert np.abs(wrong.covariance(T, T) - want).max() > 1e-3


def test_ringing_settled_and_undamped_rows() -> None:
    ringing = DampedCosines.ringing([100.0], [5.0], [2.0])
    assert ringing.variance(np.array([0.0, 0.1]))[1] == pytest.approx(2.0 * math.exp(-1.0))
    settled = DampedCosines.settled([100.0], [5.0], [2.0])
    np.testing.assert_array_equal(settled.variance(T), np.full(T.size, 2.0))
    # Without damping nothing is ever forgotten, whatever variance it is said to settle at.
    undamped = DampedCosines(np.array([100.0]), np.zeros(1), np.array([9.0]), np.array([2.0]))
    np.testing.assert_allclose(
        undamped.covariance(T, T), 2.0 * np.cos(200.0 * np.pi * np.subtract.outer(T, T)), atol=1e-13
    )
    assert undamped.stationary
    assert undamped.lines().weight.tolist() == [2.0]


def test_rows_add_up() -> None:
    parts = sum(ROWS.row(k).covariance(T, T) for k in range(ROWS.rows))
    np.testing.assert_allclose(ROWS.covariance(T, T), parts, atol=1e-12)
    np.testing.assert_allclose(ROWS.row_variance(T).sum(axis=1), ROWS.variance(T))


def test_stationary_rows_know_no_start() -> None:
    settled = DampedCosines.settled([100.0, 30.0], [5.0, 0.0], [2.0, 1.0])
    np.testing.assert_allclose(settled.covariance(T - 1e3, T - 1e3), settled.covariance(T, T), atol=1e-8)
    with pytest.raises(ValueError, match="start at time 0"):
        ROWS.covariance(np.array([-0.1]), T)
    with pytest.raises(ValueError, match=r"row 0 starts at variance 2 and settles at 0\.5"):
        ROWS.spectral_density(np.zeros(1))


def test_fields_must_agree() -> None:
    with pytest.raises(ValueError, match="2 frequencies"):
        DampedCosines.settled([1.0, 2.0], [1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="damping: wants values >= 0, got -1 at index 1"):
        DampedCosines.settled([1.0, 2.0], [1.0, -1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="frequency: want a non-empty array"):
        DampedCosines.settled([], [], [])
