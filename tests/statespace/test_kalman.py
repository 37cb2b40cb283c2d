"""The filter's log-likelihood against the dense Gaussian density, and where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from rtsynth.kernels import Cosine, Exponential, GainedRows, Kernel, Matern32, Matern52
from rtsynth.statespace import draw, log_likelihood, state_space
from tests.kernels.examples import GRID, KERNELS, ROWS

RATE = 2000.0
CASES = [
    (Exponential(0.01), 0.0),
    (Matern32(0.01) * Cosine(200.0), 0.0),
    (Matern52(0.002) + Exponential(0.1), 1e-3),
    (GainedRows(ROWS, GRID), 0.1),
    (KERNELS["mixture"], 0.01),
    (Cosine(100.0), 1e-4),
]


@pytest.mark.parametrize(("kernel", "noise_variance"), CASES, ids=lambda value: str(value)[:40])
def test_log_likelihood_is_that_of_the_dense_gaussian(kernel: Kernel, noise_variance: float) -> None:
    t = np.arange(60) / RATE
    rng = np.random.default_rng(5)
    y = draw(kernel, t, rng) + np.sqrt(noise_variance) * rng.standard_normal(t.size)
    covariance = kernel.covariance(t, t) + noise_variance * np.eye(t.size)
    want = multivariate_normal(np.zeros(t.size), covariance, allow_singular=True).logpdf(y)
    model = state_space(kernel).discretise(RATE)
    assert log_likelihood(model, y, noise_variance) == pytest.approx(want, rel=1e-9)
    other = state_space(1.01 * kernel).discretise(RATE)
    assert log_likelihood(other, y, noise_variance) != pytest.approx(want, rel=1e-6)


def test_samples_without_a_density_are_refused() -> None:
    model = state_space(Cosine(100.0)).discretise(RATE)
    y = np.cos(2.0 * np.pi * 100.0 * np.arange(10) / RATE)
    with pytest.raises(ValueError, match="sample 2 is certain"):
        log_likelihood(model, y)
    assert np.isfinite(log_likelihood(model, y, 1e-6))


def test_bad_input_is_refused() -> None:
    model = state_space(Exponential(0.1)).discretise(RATE)
    with pytest.raises(ValueError, match="finite samples"):
        log_likelihood(model, [0.0, np.nan])
    with pytest.raises(ValueError, match="noise_variance"):
        log_likelihood(model, [0.0], -1.0)
    assert log_likelihood(model, []) == 0.0
