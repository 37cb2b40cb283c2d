"""The references against what is slower still: unit noises through the recursion, eigenvalues, factors."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.kernels import Cosine, Exponential, GainedRows, Matern32, seed_crossover, two_regime
from rtsynth.kernels.value import Array
from rtsynth.statespace import Discrete, covariance_of_recursion, draw, lower_factor, nearest_psd, state_space
from tests.kernels.examples import GRID, ROWS, T


class UnitNoises:
    """Stands in for a generator of normal variates: gives one column of the identity."""

    def __init__(self, index: int) -> None:
        self.index = index

    def standard_normal(self, size: int) -> Array:
        return np.eye(size)[self.index]


def linear_map(model: Discrete, count: int) -> Array:
    """L (count, all noises): the recursion run once with each of its unit noises, start and driving alike."""
    A, output, J = model.transition(), model.output(count), model.states
    start, drive = lower_factor(model.start_covariance()), lower_factor(model.noise_covariance())
    noises = np.eye(J * (count + 1)).reshape(J * (count + 1), count + 1, J)
    L = np.empty((count, len(noises)))
    for i, noise in enumerate(noises):
        x = start @ noise[0]
        for n in range(count):
            L[n, i] = output[n] @ x
            x = A @ x + drive @ noise[n + 1]
    return L


def test_covariance_of_recursion_is_that_of_its_linear_map() -> None:
    model = state_space(GainedRows(ROWS, GRID) + Matern32(0.001)).discretise(2000.0)
    L = linear_map(model, 25)
    np.testing.assert_allclose(L @ L.T, covariance_of_recursion(model, 25), atol=1e-12)
    assert np.abs((1.001 * L) @ (1.001 * L).T - covariance_of_recursion(model, 25)).max() > 1e-3


def test_draw_has_the_covariance_of_the_kernel() -> None:
    for kernel in (Exponential(0.01), Matern32(0.01) * Cosine(200.0), Cosine(100.0), GainedRows(ROWS, GRID)):
        L = np.stack([draw(kernel, T, UnitNoises(i)) for i in range(T.size)], axis=1)  # type: ignore[arg-type]
        np.testing.assert_allclose(L @ L.T, kernel.covariance(T, T), atol=1e-12 * kernel.variance(T).max())
        np.testing.assert_array_equal(L, np.tril(L))


def test_draw_repeats_with_its_generator() -> None:
    paths = [draw(Exponential(0.1), T, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(paths[0], paths[1])
    assert not np.array_equal(paths[0], paths[2])


def test_draw_from_the_seed_wants_the_nearest_covariance() -> None:
    t = np.linspace(0.0, 2.0, 300)
    kernel = two_regime(faithful=True, crossover=lambda t: seed_crossover(4.0 * (t - 0.9)))
    with pytest.raises(ValueError, match=r"not positive semi-definite.*nearest_psd"):
        draw(kernel, t, np.random.default_rng(1))
    assert np.isfinite(draw(kernel, t, np.random.default_rng(1), faithful=True)).all()


def test_lower_factor_of_singular_matrices() -> None:
    line = np.outer([1.0, 2.0, 0.0, -1.0], [1.0, 2.0, 0.0, -1.0])
    L = lower_factor(line)
    np.testing.assert_allclose(L @ L.T, line, atol=1e-14)
    assert (np.diag(L) >= 0.0).all()
    np.testing.assert_array_equal(L, np.tril(L))
    np.testing.assert_array_equal(lower_factor(np.zeros((3, 3))), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="not positive semi-definite"):
        lower_factor(-line)


def test_nearest_psd_leaves_a_covariance_alone() -> None:
    covariance = Exponential(0.01).covariance(T, T)
    np.testing.assert_allclose(nearest_psd(covariance), covariance, atol=1e-12)


def test_nearest_psd_drops_small_eigenvalues_and_keeps_the_diagonal() -> None:
    """What eig_tol and posd_tol do, on a matrix whose smallest positive eigenvalue is 1e-7 of the largest."""
    vectors = np.linalg.qr(np.random.default_rng(4).standard_normal((3, 3)))[0]
    matrix = (vectors * [1e-7, 0.5, 1.0]) @ vectors.T
    near = nearest_psd(matrix)
    assert np.linalg.eigvalsh(near)[0] == pytest.approx(1e-8, rel=0.05)
    assert np.linalg.eigvalsh(nearest_psd(matrix, eig_tol=1e-8))[0] == pytest.approx(1e-7, rel=1e-6)
    projected = (vectors[:, 1:] * [0.5, 1.0]) @ vectors[:, 1:].T
    np.testing.assert_allclose(np.diag(near), np.diag(projected), rtol=1e-14)


def test_nearest_psd_is_the_projection_on_the_eigenvalues_above_zero() -> None:
    rng = np.random.default_rng(3)
    vectors = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    eigenvalues = np.array([-0.3, -0.1, 0.5, 1.0, 2.0, 3.0])
    matrix = (vectors * eigenvalues) @ vectors.T
    projected = (vectors * np.maximum(eigenvalues, 0.0)) @ vectors.T
    near = nearest_psd(matrix)
    assert np.linalg.eigvalsh(near)[0] > 0.0
    np.testing.assert_allclose(near, projected, atol=1e-6)  # posd_tol moves it by 1e-8 of the largest
    np.testing.assert_allclose(np.diag(near), np.diag(projected), atol=1e-15)
    assert np.linalg.norm(near - matrix) == pytest.approx(np.hypot(0.3, 0.1), rel=1e-6)


@pytest.mark.parametrize("bad", [-np.eye(3), np.ones((2, 3)), np.array([[1.0, 0.5], [0.2, 1.0]])])
def test_nearest_psd_refuses_what_has_no_neighbour(bad: Array) -> None:
    with pytest.raises(ValueError, match="nearest_psd"):
        nearest_psd(bad)
