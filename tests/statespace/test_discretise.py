"""Noise covariances to the last digits, where the textbook formula loses them; aliasing; bad rates."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext

import numpy as np
import pytest
from scipy.linalg import expm

from rtsynth.kernels import Matern32, Matern52
from rtsynth.kernels.value import Array
from rtsynth.statespace import LinearBlock, Rotation, state_space


def matern32_noise(x: float) -> Array:
    """Q (2, 2) of a unit Matern-3/2 over x = rate * step, in 60 digits; its derivative is by rate * time."""
    getcontext().prec = 60
    y = Decimal(x)
    e = (-2 * y).exp()
    entries = [1 - e * (1 + 2 * y + 2 * y * y), 2 * y * y * e, 2 * y * y * e, 1 - e * (1 - 2 * y + 2 * y * y)]
    return np.array([float(entry) for entry in entries]).reshape(2, 2)


@pytest.mark.parametrize("step", [2.0**-14, 2.0**-7, 0.25, 1.0, 4.0])
def test_matern_noise_keeps_its_digits_however_fast_it_is_sampled(step: float) -> None:
    block = state_space(Matern32(math.sqrt(3.0))).blocks[0]
    want = matern32_noise(step)
    np.testing.assert_allclose(block.discretise(1.0 / step).Q, want, rtol=1e-12)
    A = expm(block.F * step)
    if step < 1e-3:  # the difference of two covariances has lost most digits here
        assert np.abs((block.Pinf - A @ block.Pinf @ A.T) / want - 1.0).max() > 1e-9


def test_matern52_noise_is_a_covariance_where_the_difference_is_none() -> None:
    block = state_space(Matern52(1.0)).blocks[0]
    A = expm(block.F / 48000.0)
    assert np.linalg.eigvalsh(block.Pinf - A @ block.Pinf @ A.T)[0] < 0.0
    assert np.linalg.eigvalsh(block.discretise(48000.0).Q)[0] > 0.0


@pytest.mark.parametrize("damping", [1e-9, 0.1, 30.0, 1e6])
def test_rotation_noise_is_one_minus_the_power_kept(damping: float) -> None:
    getcontext().prec = 60
    want = 2.0 * float(1 - (-2 * Decimal(damping / 48000.0)).exp())
    block = Rotation(damping, 440.0, 0.0, 2.0).discretise(48000.0)
    np.testing.assert_allclose(block.Q, want * np.eye(2), rtol=1e-15)


def test_undamped_rotation_has_no_noise_and_keeps_its_power() -> None:
    block = Rotation(0.0, 440.0, 2.0, 5.0).discretise(48000.0)
    assert not block.Q.any()
    np.testing.assert_allclose(block.A @ block.A.T, np.eye(2), atol=1e-15)


def test_a_frequency_above_half_the_rate_aliases() -> None:
    above, below = (Rotation(2.0, f, 1.0, 1.0).discretise(48000.0) for f in (48440.0, 440.0))
    np.testing.assert_allclose(above.A, below.A, atol=1e-12)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_bad_rates_are_refused(rate: float) -> None:
    for kernel in (Matern32(0.1), 2.0 * Matern52(0.1)):
        with pytest.raises(ValueError, match="sample rate"):
            state_space(kernel).discretise(rate)
    with pytest.raises(ValueError, match="sample rate"):
        Rotation(1.0, 1.0, 1.0, 1.0).discretise(rate)


def test_bad_blocks_are_refused() -> None:
    with pytest.raises(ValueError, match="damping"):
        Rotation(-1.0, 1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"F \(1, 1\)"):
        LinearBlock(-np.eye(1), np.ones(2), np.eye(2), np.eye(2))
