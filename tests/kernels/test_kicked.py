"""Block noise as a kernel: the recursion written out, its average over time, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsynth.kernels import DampedCosines, GainedRows, KickedCosines
from rtsynth.kernels.kicked import SAMPLES, crest, ripple_db

RATE = 48000.0
INTERVAL = SAMPLES / RATE
FREQUENCY, DAMPING = np.array([440.0, 3000.0, 50.0, 900.0]), np.array([1.5, 150.0, 20.0, 0.0])
SETTLED, START = np.array([1.0, 0.3, 0.0, 0.5]), np.array([1.0, 0.7, 0.4, 0.5])
KICKED = KickedCosines(FREQUENCY, DAMPING, SETTLED, START, INTERVAL)
T = np.arange(5 * SAMPLES + 3) / RATE


def written_out() -> np.ndarray:
    """L Lᵀ of the recursion: two Gaussians a row at the start, two more at every kick, nothing in between."""
    total = np.zeros((T.size, T.size))
    for frequency, damping, settled, start in zip(FREQUENCY, DAMPING, SETTLED, START, strict=True):
        step = np.exp((-damping + 2j * math.pi * frequency) / RATE)
        columns, n = [], np.arange(T.size)
        for first in range(0, T.size, SAMPLES):
            power = start if first == 0 else settled * (1.0 - abs(step) ** (2 * SAMPLES))
            path = np.where(n >= first, math.sqrt(power) * step ** np.maximum(n - first, 0), 0.0)
            columns += [path.real, -path.imag]
        factor = np.stack(columns, axis=1)
        total += factor @ factor.T
    return total


def test_it_is_the_law_of_the_recursion() -> None:
    want = written_out()
    np.testing.assert_allclose(KICKED.covariance(T, T), want, atol=1e-13)
    np.testing.assert_allclose(KICKED.variance(T), np.diag(want), atol=1e-13)
    plain = DampedCosines(FREQUENCY, DAMPING, SETTLED, START)
    assert np.abs(plain.covariance(T, T) - want).max() > 1e-2
    late = KickedCosines(FREQUENCY, DAMPING, SETTLED, START, INTERVAL * 33 / 32)
    assert np.abs(late.covariance(T, T) - want).max() > 1e-3


@pytest.mark.parametrize("lag", [0, 1, 31, 32, 33, 64, 100])
def test_on_average_over_time_it_is_stationary(lag: int) -> None:
    """Times sqrt(crest), at every lag."""
    damping, t = DAMPING[:3], np.arange(SAMPLES, 2 * SAMPLES) / RATE
    rows = FREQUENCY[:3], damping, np.ones(3), np.ones(3)
    gain = np.sqrt(crest(damping, INTERVAL))
    kicked = GainedRows(KickedCosines(*rows, INTERVAL), lambda at: np.tile(gain, (at.size, 1)))
    average = np.mean([kicked.covariance(s, s + lag / RATE) for s in t[:, None]])
    stationary = DampedCosines(*rows).covariance(t[:1], t[:1] + lag / RATE)[0, 0]
    assert abs(average - stationary) < 1e-12
    without = KickedCosines(*rows, INTERVAL)
    off = np.mean([without.covariance(s, s + lag / RATE) for s in t[:, None]]) - stationary
    assert abs(off) > 1e-5


def test_bent_rows_turn_and_do_not_fade_otherwise() -> None:
    turned = np.multiply.outer(1.3 * T, np.ones(4))
    ones = np.ones((T.size, 4))
    bent = KICKED.weighted_covariance(T, T, ones, ones, turned, turned)
    higher = KickedCosines(1.3 * FREQUENCY, DAMPING, SETTLED, START, INTERVAL)
    np.testing.assert_allclose(bent, higher.covariance(T, T), atol=1e-12)


def test_crest_and_ripple() -> None:
    level = KickedCosines(FREQUENCY[:2], DAMPING[:2], np.ones(2), np.ones(2), INTERVAL).row_variance(
        T[:SAMPLES]
    )
    np.testing.assert_allclose(crest(DAMPING[:2], INTERVAL), level[0] / level.mean(axis=0), rtol=1e-13)
    np.testing.assert_array_equal(crest([0.0], INTERVAL), [1.0])
    whole = 10.0 * np.log10(np.exp(2.0 * DAMPING[:2] * INTERVAL))
    np.testing.assert_allclose(2.0 * ripple_db(DAMPING[:2], INTERVAL), whole, rtol=1e-12)


def test_what_it_refuses() -> None:
    assert not KICKED.stationary
    assert KickedCosines([5.0], [0.0], [1.0], [1.0], INTERVAL).stationary
    with pytest.raises(ValueError, match="no covariance at -1 s"):
        KICKED.covariance(np.array([-1.0]), T)
    with pytest.raises(ValueError, match="4 frequencies"):
        KickedCosines(FREQUENCY, DAMPING[:3], SETTLED, START, INTERVAL)
    with pytest.raises(ValueError, match="interval"):
        KickedCosines(FREQUENCY, DAMPING, SETTLED, START, 0.0)
    with pytest.raises(ValueError, match="damping"):
        KickedCosines(FREQUENCY, -DAMPING, SETTLED, START, INTERVAL)
