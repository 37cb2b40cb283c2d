"""Newton's method for the spectral factor against factors known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.statespace.spectral_factor import Factor, spectral_factor


def noisy_decay(lam: float, v: float, r: float) -> Factor:
    """k(lag) = v λ^lag + r [lag = 0] by the textbook: the predictor's variance p solves a quadratic.

    p = λ² p r / (p + r) + v (1 - λ²), S = p + r, gain = λ p / S.
    """
    q = v * (1.0 - lam * lam)
    half = 0.5 * (q - r * (1.0 - lam * lam))
    p = half + np.sqrt(half * half + q * r)
    return Factor(np.array([lam * p / (p + r)], dtype=np.complex128), float(p + r))


@pytest.mark.parametrize("lam", [0.9, -0.6, 0.9999])
@pytest.mark.parametrize("r", [0.0, 0.3, 10.0])
def test_the_factor_of_a_decay_in_noise(lam: float, r: float) -> None:
    want = noisy_decay(lam, 2.0, r)
    one, poles, wanted = np.ones(1), np.array([lam], np.complex128), np.array([2.0], np.complex128)
    got = spectral_factor(poles, one, wanted, 2.0 + r)
    assert got.noise_variance == pytest.approx(want.noise_variance, rel=1e-9)
    np.testing.assert_allclose(got.gain, want.gain, rtol=1e-9)
    other = spectral_factor(poles, one, 1.01 * wanted, 1.01 * (2.0 + r))
    assert other.noise_variance != pytest.approx(want.noise_variance, rel=1e-3)


def test_weights_are_folded_in() -> None:
    """An output weight on a rotation is a scale on its gain, and one without power is not driven."""
    lam = np.exp(np.array([-0.01 + 0.3j, -0.02 + 1.1j, -0.3]))
    v, w = np.array([1.0, 0.5, 2.0]), np.array([0.5, -2.0, 0.0])
    k0 = float(v @ w**2)
    weighted = spectral_factor(lam, w, (v * w).astype(complex), k0)
    plain = spectral_factor(lam[:2], np.ones(2), (v * w * w)[:2].astype(complex), k0)
    np.testing.assert_allclose(w[:2] * weighted.gain[:2], plain.gain, rtol=1e-10)
    assert weighted.gain[2] == 0.0
    assert weighted.noise_variance == pytest.approx(plain.noise_variance, rel=1e-10)


@pytest.mark.filterwarnings("error")
def test_what_is_no_covariance_is_refused() -> None:
    """k(1) > k(0): no gain has that law."""
    with pytest.raises(ValueError, match="misses the covariance by"):
        spectral_factor(np.array([0.9 + 0j]), np.ones(1), np.array([2.0 + 0j]), 1.0)
