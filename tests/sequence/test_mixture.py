"""Mixture densities: what integrates to 1, what a bias does, and that torch says the same. Seeds are fixed."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsynth.errors import UsageError
from rtsynth.sequence import mixture
from rtsynth.sequence.mixture import Bivariate, Diagonal

Array = NDArray[np.float64]
BIASES = (0.0, 0.1, 0.3, 0.5, 1.0, 2.0, 5.0)
K = 6


def raw_of(size: int, seed: int, rows: int = 1) -> Array:
    """What a network might say: (rows, size). Deviations between e^-1.5 and e^1.5."""
    return np.random.default_rng(seed).uniform(-1.5, 1.5, (rows, size))


def a_pair(seed: int, rows: int = 1) -> Bivariate:
    return mixture.bivariate(raw_of(mixture.bivariate_size(K), seed, rows))


def slow_log_density(mixed: Diagonal | Bivariate, x: Array) -> float:
    """By the textbook: Σ weight · exp(-zᵀ Σ⁻¹ z / 2) / √det(2π Σ), whole covariances, no logarithms."""
    total = 0.0
    for k, log_weight in enumerate(mixed.log_weights):
        deviations = np.exp(mixed.log_deviations[k])
        covariance = np.diag(deviations**2)
        if isinstance(mixed, Bivariate):
            covariance[0, 1] = covariance[1, 0] = mixed.correlations[k] * deviations.prod()
        off = x - mixed.means[k]
        exponent = -0.5 * off @ np.linalg.inv(covariance) @ off
        total += math.exp(log_weight + exponent) / math.sqrt(np.linalg.det(2 * np.pi * covariance))
    return math.log(total)


def row_of(mixed: Diagonal | Bivariate, row: int) -> Diagonal | Bivariate:
    return type(mixed)(*(part[row] for part in mixed))


@pytest.mark.parametrize("dimensions", [1, 3, 10])
def test_the_density_is_the_textbooks(dimensions: int) -> None:
    mixed = mixture.diagonal(raw_of(mixture.diagonal_size(K, dimensions), 1, 4), dimensions)
    x = raw_of(dimensions, 2, 4)
    wanted = [slow_log_density(row_of(mixed, row), x[row]) for row in range(4)]
    np.testing.assert_allclose(mixture.log_density(mixed, x), wanted, rtol=1e-12, atol=1e-12)


def test_the_density_of_pairs_is_the_textbooks() -> None:
    mixed, x = a_pair(1, rows=4), raw_of(2, 2, 4)
    wanted = [slow_log_density(row_of(mixed, row), x[row]) for row in range(4)]
    np.testing.assert_allclose(mixture.log_density(mixed, x), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bias", [0.0, 0.7])
def test_in_one_dimension_it_integrates_to_one(seed: int, bias: float) -> None:
    mixed = mixture.diagonal(raw_of(mixture.diagonal_size(K, 1), seed), 1, bias)
    x = np.linspace(-50, 50, 40001)
    assert np.trapezoid(np.exp(mixture.log_density(mixed, x[:, None])), x) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("family", ["diagonal", "bivariate"])
def test_in_two_dimensions_it_integrates_to_one(seed: int, family: str) -> None:
    mixed: Diagonal | Bivariate = mixture.bivariate(raw_of(mixture.bivariate_size(K), seed) / 1.5)
    if family == "diagonal":
        mixed = mixture.diagonal(raw_of(mixture.diagonal_size(K, 2), seed) / 1.5, 2)
    x = np.linspace(-22, 22, 441)  # 0.1 apart: half the least deviation, across its correlation
    grid = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1)
    density = np.exp(mixture.log_density(mixed, grid))
    assert np.trapezoid(np.trapezoid(density, x), x) == pytest.approx(1.0, abs=1e-6)


def drawn(mixed: Diagonal | Bivariate, count: int, seed: int) -> Array:
    """(count, D) of a mixture with one row."""
    rng = np.random.default_rng(seed)
    many = type(mixed)(*(np.repeat(part, count, axis=0) for part in mixed))
    return mixture.draw(many, rng.random(count), rng.standard_normal((count, mixed.means.shape[-1])))


@pytest.mark.parametrize("family", ["diagonal", "bivariate"])
def test_draws_have_the_moments_and_the_density(family: str) -> None:
    """Means and variances within 5 standard errors (Gauss: false alarm 6e-7 each), and the product of the two."""
    mixed: Diagonal | Bivariate = a_pair(5)
    if family == "diagonal":
        mixed = mixture.diagonal(raw_of(mixture.diagonal_size(K, 2), 5), 2)
    draws, others = drawn(mixed, 40000, 6), drawn(mixed, 40000, 7)
    mean, variance = (part[0] for part in mixture.moments(mixed))
    off = draws - mean
    assert (abs(off.mean(axis=0)) < 5 * np.sqrt(variance / 40000)).all()
    assert (abs((off**2).mean(axis=0) - variance) < 5 * (off**2).std(axis=0) / 200).all()
    # The correlation is in no moment above: E[xy] by its components.
    weights = np.exp(mixed.log_weights[0])
    inner = mixed.means[0].prod(axis=-1)
    if isinstance(mixed, Bivariate):
        inner = inner + mixed.correlations[0] * np.exp(mixed.log_deviations[0].sum(axis=-1))
    product = others.prod(axis=-1)
    assert abs(product.mean() - weights @ inner) < 5 * product.std() / 200


def test_the_same_numbers_give_the_same_draw_and_the_last_component_can_be_drawn() -> None:
    mixed = a_pair(3)
    normals = np.zeros((1, 2))
    first = mixture.draw(mixed, np.array([0.0]), normals)
    last = mixture.draw(mixed, np.array([np.nextafter(1.0, 0.0)]), normals)
    np.testing.assert_array_equal(first, mixed.means[:, 0])
    np.testing.assert_array_equal(last, mixed.means[:, -1])


def test_components_are_chosen_as_often_as_their_weights() -> None:
    mixed = a_pair(8)
    uniform = (np.arange(20000) + 0.5) / 20000
    chosen = mixture.choose(np.broadcast_to(mixed.log_weights, (20000, K)), uniform)
    np.testing.assert_allclose(
        np.bincount(chosen, minlength=K) / 20000, np.exp(mixed.log_weights[0]), atol=1e-4
    )


@pytest.mark.parametrize("family", ["diagonal", "bivariate"])
def test_a_bias_lowers_the_variance_monotonically(family: str) -> None:
    """Means apart by what they are in strokes: the spread between components falls with that within them."""
    size = mixture.diagonal_size(K, 2) if family == "diagonal" else mixture.bivariate_size(K)
    raw = raw_of(size, 11, rows=50)
    raw[:, K : 3 * K] *= 0.3
    make: Callable[..., Diagonal | Bivariate] = (
        (lambda bias: mixture.diagonal(raw, 2, bias))
        if family == "diagonal"
        else (lambda bias: mixture.bivariate(raw, bias))
    )
    variances = np.array([mixture.moments(make(bias))[1] for bias in BIASES])
    assert (np.diff(variances, axis=0) < 0).all()
    entropies = np.array([-(np.exp(w) * w).sum(axis=-1) for w in (make(bias).log_weights for bias in BIASES)])
    assert (np.diff(entropies, axis=0) < 0).all()


def test_what_a_network_says_too_loudly_is_held() -> None:
    raw = np.full((1, mixture.bivariate_size(1)), 1e6)
    mixed = mixture.bivariate(raw)
    assert mixed.log_deviations.max() == mixture.LOG_DEVIATION[1]
    assert abs(mixed.correlations).max() < 1.0
    assert np.isfinite(mixture.log_density(mixed, np.zeros((1, 2)))).all()


def test_what_is_no_mixture_is_refused() -> None:
    with pytest.raises(UsageError, match="no mixture"):
        mixture.diagonal(np.zeros(7), 1)
    with pytest.raises(UsageError, match="no mixture"):
        mixture.bivariate(np.zeros(7))
    for bias in (-0.1, math.nan):
        with pytest.raises(UsageError, match="bias"):
            mixture.bivariate(np.zeros(6), bias)
