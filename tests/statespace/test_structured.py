"""Structured draws and products against the dense matrices they stand for, by the linear map of unit normals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.linalg import toeplitz

from rtsynth.kernels import Cosine, Exponential, Kernel, Matern32, Matern52
from rtsynth.kernels.value import Array
from rtsynth.statespace import (
    draw_circulant,
    draw_kronecker,
    draw_toeplitz,
    kronecker_matvec,
    toeplitz_column,
    toeplitz_matvec,
    toeplitz_solve,
)
from tests.kernels.examples import ROWS
from tests.statespace.test_dense import UnitNoises

RATE = 2000.0
N = 60
DECAYING = [Exponential(0.004), Matern32(0.003) * Cosine(300.0), 2.0 * Exponential(0.002) + Matern52(0.001)]


def dense(kernel: Kernel) -> Array:
    t = np.arange(N) / RATE
    return kernel.covariance(t, t)


def linear_map(draw: Callable[[np.random.Generator], Array], normals: int) -> Array:
    return np.stack([draw(UnitNoises(i)).ravel() for i in range(normals)], axis=1)  # type: ignore[arg-type]


class Count:
    """Stands in for a generator: tells how many normal variates were asked for."""

    def standard_normal(self, size: int) -> Array:
        self.size = size
        return np.zeros(size)


@pytest.mark.parametrize("kernel", DECAYING, ids=str)
def test_circulant_draws_have_the_covariance_of_the_kernel(kernel: Kernel) -> None:
    count, K = Count(), dense(kernel)
    draw_circulant(kernel, N, RATE, count)  # type: ignore[arg-type]
    assert count.size >= 2 * 2 * N
    L = linear_map(lambda rng: draw_circulant(kernel, N, RATE, rng), count.size)
    np.testing.assert_allclose(L @ L.T, K, rtol=0, atol=1e-10 * K[0, 0])
    assert np.abs(L[:, 1:] @ L[:, 1:].T - K).max() > 1e-4 * K[0, 0]


def test_what_does_not_decay_on_the_circle_is_refused_and_a_larger_circle_helps() -> None:
    kernel = Matern32(0.01) * Cosine(113.0)
    with pytest.raises(ValueError, match=r"covariance by up to [\d.e-]+ of the variance: raise pad"):
        draw_circulant(kernel, N, RATE, np.random.default_rng(1), pad=1.0)
    assert np.isfinite(draw_circulant(kernel, N, RATE, np.random.default_rng(1), pad=10.0)).all()
    with pytest.raises(ValueError, match="raise pad"):
        draw_circulant(Cosine(111.1), N, RATE, np.random.default_rng(1))


@pytest.mark.parametrize("kernel", DECAYING, ids=str)
def test_toeplitz_draws_are_those_of_the_cholesky_factor(kernel: Kernel) -> None:
    L, K = linear_map(lambda rng: draw_toeplitz(kernel, N, RATE, rng), N), dense(kernel)
    np.testing.assert_allclose(L @ L.T, K, rtol=0, atol=1e-10 * K[0, 0])
    np.testing.assert_allclose(L, np.linalg.cholesky(K), rtol=0, atol=1e-9)
    assert np.abs(L[:, :-1] @ L[:, :-1].T - K).max() > 1e-4 * K[0, 0]


def test_toeplitz_draws_refuse_what_is_certain() -> None:
    for kernel, sample in ((Cosine(100.0), 2), (Matern52(1.0), 2), (0.0 * Exponential(1.0), 0)):
        with pytest.raises(ValueError, match=f"sample {sample} of .* all but certain"):
            draw_toeplitz(kernel, N, RATE, np.random.default_rng(1))


@pytest.mark.parametrize("draw", [draw_circulant, draw_toeplitz])
def test_structured_draws_repeat_with_their_generator_at_any_length(draw: Callable[..., Array]) -> None:
    for n in (1, 2, 3, 17):
        paths = [draw(DECAYING[0], n, RATE, np.random.default_rng(seed)) for seed in (1, 1, 2)]
        assert paths[0].shape == (n,)
        np.testing.assert_array_equal(paths[0], paths[1])
        assert not np.array_equal(paths[0], paths[2])


@pytest.mark.parametrize("kernel", DECAYING, ids=str)
def test_toeplitz_products_and_solutions_are_the_dense_ones(kernel: Kernel) -> None:
    column, K = toeplitz_column(kernel, N, RATE), dense(kernel)
    np.testing.assert_allclose(toeplitz(column), K, rtol=0, atol=1e-14 * K[0, 0])
    x = np.random.default_rng(2).standard_normal((N, 3))
    np.testing.assert_allclose(toeplitz_matvec(column, x), K @ x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(toeplitz_matvec(column, x[:, 0]), K @ x[:, 0], rtol=0, atol=1e-12)
    column[0] += 0.01
    noisy = toeplitz(column)
    np.testing.assert_allclose(toeplitz_solve(column, noisy @ x[:, 0], 1e-13), x[:, 0], rtol=0, atol=1e-9)
    assert np.abs(toeplitz_solve(1.001 * column, noisy @ x[:, 0]) - x[:, 0]).max() > 1e-4


def test_a_long_toeplitz_system_is_solved_in_few_iterations() -> None:
    column = toeplitz_column(Matern32(0.003) * Cosine(300.0), 2**16, RATE)
    column[0] += 0.1
    x = np.random.default_rng(2).standard_normal(column.size)
    solved = toeplitz_solve(column, toeplitz_matvec(column, x), 1e-12, iterations=40)
    np.testing.assert_allclose(solved, x, rtol=0, atol=1e-9)
    with pytest.raises(ValueError, match="after 2 iterations at most"):
        toeplitz_solve(column, x, iterations=2)


@pytest.mark.parametrize("shapes", [[(3, 3), (4, 4)], [(2, 3), (4, 1), (3, 5)], [(3, 2)]])
def test_kronecker_products_are_the_dense_ones(shapes: list[tuple[int, int]]) -> None:
    rng = np.random.default_rng(3)
    factors = [rng.standard_normal(shape) for shape in shapes]
    whole = np.ones((1, 1))
    for factor in factors:
        whole = np.kron(whole, factor)
    x = rng.standard_normal(whole.shape[1])
    np.testing.assert_allclose(kronecker_matvec(factors, x), whole @ x, rtol=0, atol=1e-13)


def test_the_order_of_kronecker_factors_matters() -> None:
    x = np.arange(6.0)
    first, second = np.diag([1.0, 2.0]), np.ones((3, 3))
    np.testing.assert_allclose(kronecker_matvec([first, second], x), np.kron(first, second) @ x)
    assert np.abs(kronecker_matvec([second, first], x) - np.kron(first, second) @ x).max() > 1.0


def test_kronecker_draws_have_the_product_covariance() -> None:
    channels = np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.3], [0.1, 0.3, 2.0]])
    K = Exponential(0.004).covariance(np.arange(8) / RATE, np.arange(8) / RATE)
    assert draw_kronecker([channels, K], np.random.default_rng(1)).shape == (3, 8)
    L = linear_map(lambda rng: draw_kronecker([channels, K], rng), 24)
    np.testing.assert_allclose(L @ L.T, np.kron(channels, K), rtol=0, atol=1e-10)
    assert np.abs(L @ L.T - np.kron(K, channels)).max() > 0.1


def test_bad_input_is_refused() -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(ValueError, match="not Toeplitz"):
        draw_toeplitz(ROWS, N, RATE, rng)
    with pytest.raises(ValueError, match="n >= 1, got 0"):
        draw_circulant(DECAYING[0], 0, RATE, rng)
    with pytest.raises(ValueError, match="sample rate"):
        toeplitz_column(DECAYING[0], N, 0.0)
    for pad in (0.5, np.nan, np.inf):
        with pytest.raises(ValueError, match="pad >= 1"):
            draw_circulant(DECAYING[0], N, RATE, rng, pad)
    with pytest.raises(ValueError, match="do not fit"):
        toeplitz_matvec(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="not finite"):
        toeplitz_solve([1.0, np.nan], np.ones(2))
    with pytest.raises(ValueError, match="one right side"):
        toeplitz_solve([1.0, 0.1], np.ones((2, 1)))
    with pytest.raises(ValueError, match="not positive definite"):
        toeplitz_solve([1.0, 2.0], np.ones(2))
    with pytest.raises(ValueError, match="one or more matrices"):
        kronecker_matvec([], np.ones(1))
    with pytest.raises(ValueError, match=r"\[2, 3\] columns and x \(5,\)"):
        kronecker_matvec([np.eye(2), np.eye(3)], np.ones(5))
    with pytest.raises(ValueError, match="positive semi-definite"):
        draw_kronecker([-np.eye(2)], rng)
