"""Matern kernels against the general formula with Bessel functions; far above the corner; cosines."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import gamma, kv

from rtsynth.kernels import Cosine, Exponential, Matern, Matern32, Matern52

MATERNS = [Exponential(0.01, 1.5), Matern32(0.01, 2.0), Matern52(0.003)]


@pytest.mark.parametrize("kernel", MATERNS)
def test_matern_is_the_general_formula(kernel: Matern) -> None:
    lag = np.linspace(1e-4, 0.05, 200)
    x = math.sqrt(2.0 * kernel.nu) * lag / kernel.lengthscale
    want = kernel.amplitude**2 * 2.0 ** (1.0 - kernel.nu) / gamma(kernel.nu) * x**kernel.nu * kv(kernel.nu, x)
    np.testing.assert_allclose(kernel.at(lag), want, rtol=1e-12)
    np.testing.assert_array_equal(kernel.at(-lag), kernel.at(lag))
    assert kernel.at(np.zeros(1))[0] == kernel.amplitude**2


@pytest.mark.parametrize("kernel", MATERNS)
def test_density_falls_by_its_order_far_above_the_corner(kernel: Matern) -> None:
    f = 1e6 / kernel.lengthscale * np.array([1.0, 10.0])
    falls = np.log10(np.divide(*kernel.spectral_density(f)))
    assert falls == pytest.approx(2.0 * kernel.nu + 1.0, abs=1e-9)
    # The sum of terms, which products use, is right to 1e-15 of the peak, and not to a digit of such a tail.
    terms = super(Matern, kernel).continuous_density(f)
    assert (np.abs(terms - kernel.spectral_density(f)) <= 1e-15 * kernel.spectral_density(np.zeros(1))).all()


def test_cosine_is_one_line() -> None:
    lines = Cosine(100.0, 3.0).lines()
    assert (lines.frequency.tolist(), lines.weight.tolist()) == ([100.0], [9.0])
    assert Cosine(100.0).at(np.array([0.0025]))[0] == pytest.approx(0.0, abs=1e-15)
